//! Options that say a prefix: of the link, of a route, of IPv4 in IPv6.

use std::{fmt, net::Ipv6Addr};

use crate::bytes::{be16, be32, ipv6};

/// A prefix of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prefix {
    /// The prefix; with `router_address`, the whole address.
    pub prefix: Ipv6Addr,
    /// Its bits, 0 to 128.
    pub len: u8,
    /// L: its addresses are neighbours.
    pub on_link: bool,
    /// A: hosts may make addresses of it.
    pub autonomous: bool,
    /// R: the prefix is the router's whole address (RFC 6275).
    pub router_address: bool,
    /// How long it is on the link, in seconds; all ones: for ever.
    pub valid: u32,
    /// How long addresses made of it are preferred, in seconds; all ones: for
    /// ever.
    pub preferred: u32,
}

impl Prefix {
    /// `None` if it is not of the one length that it may have, or of more bits
    /// than an address has (RFC 4861 section 4.6.2).
    pub(super) fn decode(data: &[u8]) -> Option<Self> {
        let data: &[u8; 30] = data.try_into().ok()?;
        let [len, flags, ..] = *data;
        let address = ipv6(data, 14)?;
        let prefix = masked(address, len)?;
        let router_address = flags & 0x20 != 0;
        Some(Self {
            prefix: if router_address { address } else { prefix },
            len,
            on_link: flags & 0x80 != 0,
            autonomous: flags & 0x40 != 0,
            router_address,
            valid: be32(data, 2)?,
            preferred: be32(data, 6)?,
        })
    }
}

/// An address without the bits behind the first `len`, which receivers have to
/// ignore. `None` if an address has less.
fn masked(address: Ipv6Addr, len: u8) -> Option<Ipv6Addr> {
    let behind = 128u32.checked_sub(len.into())?;
    let mask = u128::MAX.checked_shl(behind).unwrap_or(0);
    Some(Ipv6Addr::from_bits(address.to_bits() & mask))
}

/// A route that the router has (RFC 4191).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Route {
    /// To this prefix.
    pub prefix: Ipv6Addr,
    /// Its bits.
    pub len: u8,
    /// How much the router wants to be used for it.
    pub preference: Preference,
    /// How long it is good, in seconds; all ones: for ever.
    pub lifetime: u32,
}

impl Route {
    pub(super) fn decode(data: &[u8]) -> Option<Self> {
        let [len, flags] = *data.first_chunk()?;
        // As many bytes as are needed, in steps of 8.
        let given = data.get(6..)?;
        if given.len() > 16 || given.len() * 8 < usize::from(len) {
            return None;
        }
        let mut prefix = [0; 16];
        prefix[..given.len()].copy_from_slice(given);
        Some(Self {
            prefix: masked(prefix.into(), len)?,
            len,
            preference: Preference::of_flags(flags),
            lifetime: be32(data, 2)?,
        })
    }
}

/// How IPv4 is reached: by this prefix and an IPv4 address (RFC 8781).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pref64 {
    /// The prefix.
    pub prefix: Ipv6Addr,
    /// Its bits.
    pub len: u8,
    /// How long it is good, in seconds.
    pub lifetime: u16,
}

impl Pref64 {
    /// `None` if it is not of the one length that it may have, or if the code
    /// for the prefix's length has no meaning: both are to be ignored (RFC 8781
    /// section 4).
    pub(super) fn decode(data: &[u8]) -> Option<Self> {
        let data: &[u8; 14] = data.try_into().ok()?;
        let word = be16(data, 0)?;
        let len = *[96, 64, 56, 48, 40, 32].get(usize::from(word & 7))?;
        let mut prefix = [0; 16];
        prefix[..12].copy_from_slice(&data[2..]);
        Some(Self {
            prefix: masked(prefix.into(), len)?,
            len,
            lifetime: word & !7,
        })
    }
}

/// How much a router wants to be used (RFC 4191), in two bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preference(pub u8);

impl Preference {
    pub(super) fn of_flags(flags: u8) -> Self {
        Self(flags >> 3 & 3)
    }

    /// The name as one word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            0 => "medium",
            1 => "high",
            3 => "low",
            _ => "reserved",
        }
    }
}

impl fmt::Display for Preference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
