//! Numbers and addresses out of bytes that may end anywhere.

use std::net::{Ipv4Addr, Ipv6Addr};

/// `N` bytes from `at` on; `None` if the bytes end before.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

pub(crate) fn ipv4(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    array::<4>(bytes, at).map(Ipv4Addr::from)
}

pub(crate) fn ipv6(bytes: &[u8], at: usize) -> Option<Ipv6Addr> {
    array::<16>(bytes, at).map(Ipv6Addr::from)
}

/// IPv6 addresses one after another; what is left of another is passed over.
pub(crate) fn addresses(bytes: &[u8]) -> impl Iterator<Item = Ipv6Addr> {
    bytes.chunks_exact(16).filter_map(|chunk| ipv6(chunk, 0))
}

/// The ones' complement sum of 16-bit words, an odd last byte padded with
/// zero (RFC 1071). A right checksum among them makes it all ones.
pub(crate) fn internet_sum(parts: [&[u8]; 2]) -> u16 {
    let sum: u64 = parts
        .iter()
        .flat_map(|part| part.chunks(2))
        .map(|pair| u64::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u64::from))
        .sum();
    // 64 KiB of 16-bit words and a pseudo header fit in 32 bits: one fold
    // leaves at most one carry.
    let folded = (sum & 0xffff) + (sum >> 16);
    ((folded & 0xffff) + (folded >> 16)) as u16
}

/// What the sum is where the checksum is right.
pub(crate) const ALL_ONES: u16 = 0xffff;
