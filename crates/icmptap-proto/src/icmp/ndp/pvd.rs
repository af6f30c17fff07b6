//! A provisioning domain: what a router says to those who know the domain (RFC
//! 8801).

use super::dns::Domain;
use crate::bytes::be16;

/// What counts in one provisioning domain (RFC 8801 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pvd<'a> {
    /// H: more about it is to be had by HTTPS.
    pub http: bool,
    /// L: it is the one of IPv4 and DHCPv4 on this link too.
    pub legacy: bool,
    /// Those who fetch what is had by HTTPS wait up to 2 to the power of twice
    /// this, in milliseconds.
    pub delay: u8,
    /// Changes when what is had by HTTPS does.
    pub sequence: u16,
    /// Its name.
    pub id: Domain<'a>,
    has_router_advertisement: bool,
    /// The header of a router advertisement, if it has one, and options.
    contents: &'a [u8],
}

/// Bytes of a router advertisement in front of its options.
const ROUTER_ADVERTISEMENT_LEN: usize = 16;

impl<'a> Pvd<'a> {
    /// `None` if it has no name, or if it ends within the header that it says it
    /// has.
    pub(super) fn decode(data: &'a [u8]) -> Option<Self> {
        let flags = be16(data, 0)?;
        let sequence = be16(data, 2)?;
        let (id, after) = Domain::split(data.get(4..)?)?;
        // What follows starts at a multiple of 8 from the option's type on.
        let end = 2 + data.len() - after.len();
        let contents = data.get(end.next_multiple_of(8) - 2..)?;
        let has_router_advertisement = flags & 0x2000 != 0;
        if has_router_advertisement && contents.len() < ROUTER_ADVERTISEMENT_LEN {
            return None;
        }
        Some(Self {
            http: flags & 0x8000 != 0,
            legacy: flags & 0x4000 != 0,
            delay: flags as u8 & 0x0f,
            sequence,
            id,
            has_router_advertisement,
            contents,
        })
    }

    pub(super) fn router_advertisement_bytes(&self) -> Option<&'a [u8]> {
        self.has_router_advertisement.then_some(self.contents)
    }

    pub(super) fn option_bytes(&self) -> &'a [u8] {
        if self.has_router_advertisement {
            &self.contents[ROUTER_ADVERTISEMENT_LEN..]
        } else {
            self.contents
        }
    }
}
