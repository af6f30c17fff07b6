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

/// The ones' complement sum of 16-bit words, an odd last byte padded with
/// zero (RFC 1071). A right checksum among them makes it all ones.
#[inline]
pub(crate) fn internet_sum(parts: [&[u8]; 2]) -> u16 {
    // Two words at a time: 2^16 is 1 in this arithmetic, and so is 2^32.
    let mut sum = 0u64;
    for part in parts {
        let (words, rest) = part.as_chunks::<4>();
        sum += words
            .iter()
            .map(|word| u64::from(u32::from_be_bytes(*word)))
            .sum::<u64>();
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        sum += u64::from(u32::from_be_bytes(last));
    }
    // 64 KiB and a pseudo header are less than 2^47; the last fold takes in what
    // the one before may have carried.
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

/// What the sum is where the checksum is right.
pub(crate) const ALL_ONES: u16 = 0xffff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_the_words() {
        let bytes: Vec<u8> = (0..=255).rev().cycle().take(2000).collect();
        for len in (0..20).chain(1490..2000) {
            let part = &bytes[..len];
            let pairs = part.chunks(2);
            let words =
                pairs.map(|pair| u64::from(pair[0]) * 256 + pair.get(1).map_or(0, |b| (*b).into()));
            let mut sum = words.sum::<u64>() + 0xfffe;
            while sum > 0xffff {
                sum = (sum & 0xffff) + (sum >> 16);
            }
            assert_eq!(u64::from(internet_sum([part, &[0xff, 0xfe]])), sum, "{len}");
        }
        assert_eq!(internet_sum([&[0xff; 65536], &[0xff; 40]]), ALL_ONES);
    }
}
