//! Numbers and addresses out of bytes that may end anywhere.

use std::net::{Ipv4Addr, Ipv6Addr};

/// `N` bytes from `at` on; `None` if the bytes end before.
#[inline]
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[inline]
pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

#[inline]
pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

#[inline]
pub(crate) fn ipv4(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    array::<4>(bytes, at).map(Ipv4Addr::from)
}

#[inline]
pub(crate) fn ipv6(bytes: &[u8], at: usize) -> Option<Ipv6Addr> {
    array::<16>(bytes, at).map(Ipv6Addr::from)
}

/// IPv6 addresses one after another; what is left of another is passed over.
pub(crate) fn addresses(bytes: &[u8]) -> impl Iterator<Item = Ipv6Addr> {
    bytes.chunks_exact(16).filter_map(|chunk| ipv6(chunk, 0))
}
