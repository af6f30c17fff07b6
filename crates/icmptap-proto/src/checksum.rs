//! The internet checksum (RFC 1071), of messages and of what is in them.

/// Whether a checksum is right, computed from the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Checksum {
    /// It is right.
    Good,
    /// It is wrong.
    Bad,
    /// It cannot be computed from the captured bytes.
    Unknown,
}

impl Checksum {
    /// Of bytes that are all there, the checksum among them.
    #[inline]
    pub(crate) fn of(parts: [&[u8]; 2]) -> Self {
        match internet_sum(parts) {
            ALL_ONES => Self::Good,
            _ => Self::Bad,
        }
    }
}

/// The ones' complement sum of 16-bit words, an odd last byte padded with
/// zero (RFC 1071). A right checksum among them makes it all ones.
#[inline]
fn internet_sum(parts: [&[u8]; 2]) -> u16 {
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
const ALL_ONES: u16 = 0xffff;

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
