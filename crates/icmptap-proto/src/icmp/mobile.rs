//! What Mobile IPv6 says by ICMPv6 (RFC 6275 sections 6.5 to 6.8): where home
//! agents are, and which prefixes home has.

use std::net::Ipv6Addr;

use super::{message::Message, ndp::Options};
use crate::bytes::{addresses, be16};

/// The home agents of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HomeAgents<'a> {
    /// That of the question.
    pub id: u16,
    addresses: &'a [u8],
}

impl<'a> HomeAgents<'a> {
    /// `None` where the message ends within its header; and where it is whole,
    /// within an address.
    pub(super) fn decode(message: Message<'a>) -> Option<Self> {
        let addresses = message.bytes.get(8..)?;
        let is_list = addresses.len().is_multiple_of(16) || !message.is_whole();
        is_list.then_some(Self {
            id: be16(message.bytes, 4)?,
            addresses,
        })
    }

    /// The agents, as far as they are there.
    pub fn iter(&self) -> impl Iterator<Item = Ipv6Addr> + use<'a> {
        addresses(self.addresses)
    }
}

/// A home agent says which prefixes home has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrefixAdvertisement<'a> {
    /// That of the question; a number of its own if nobody asked.
    pub id: u16,
    /// M: addresses are to be had by DHCPv6.
    pub managed: bool,
    /// O: other things are to be had by DHCPv6.
    pub other: bool,
    /// The options.
    pub options: Options<'a>,
}

impl<'a> PrefixAdvertisement<'a> {
    pub(super) fn decode(message: Message<'a>) -> Option<Self> {
        let flags = *message.bytes.get(6)?;
        Some(Self {
            id: be16(message.bytes, 4)?,
            managed: flags & 0x80 != 0,
            other: flags & 0x40 != 0,
            options: Options::decode(message, 8)?,
        })
    }
}
