//! Neighbour discovery (RFC 4861), inverse (RFC 3122) and secure (RFC 3971), and its
//! options.

mod dns;
mod option;
mod prefix;
mod pvd;
mod registration;
mod send;

use std::net::Ipv6Addr;

pub use dns::{Dnssl, Domain, Domains, Rdnss};
pub use option::{AddressList, LinkLayer, NdpOption, OptionBody, OptionType, Options, OptionsIter};
pub use prefix::{Pref64, Preference, Prefix, Route};
pub use pvd::Pvd;
pub use registration::{AddressRegistration, ExtendedRegistration, RegistrationStatus};
pub use send::{Certificate, Cga, RsaSignature, Timestamp, TrustAnchor};

use super::{message::Message, quote::Quote};
use crate::bytes::{be16, be32, ipv6};

/// A router says that it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouterAdvertisement<'a> {
    /// The hop limit that hosts shall send with; 0: it does not say.
    pub hop_limit: u8,
    /// M: addresses are to be had by DHCPv6.
    pub managed: bool,
    /// O: other things are to be had by DHCPv6.
    pub other: bool,
    /// H: it is a home agent (RFC 6275).
    pub home_agent: bool,
    /// How much it wants to be the default router (RFC 4191).
    pub preference: Preference,
    /// P: it is a neighbour discovery proxy (RFC 4389).
    pub proxy: bool,
    /// How long it is good as a default router, in seconds; 0: not at all.
    pub lifetime: u16,
    /// How long a neighbour counts as reachable, in milliseconds; 0: it does
    /// not say.
    pub reachable_ms: u32,
    /// Milliseconds between solicitations; 0: it does not say.
    pub retrans_ms: u32,
    /// The options.
    pub options: Options<'a>,
}

impl<'a> RouterAdvertisement<'a> {
    pub(super) fn decode(message: Message<'a>) -> Option<Self> {
        let bytes = message.bytes;
        let [hop_limit, flags] = *bytes.get(4..)?.first_chunk()?;
        Some(Self {
            hop_limit,
            managed: flags & 0x80 != 0,
            other: flags & 0x40 != 0,
            home_agent: flags & 0x20 != 0,
            preference: Preference::of_flags(flags),
            proxy: flags & 0x04 != 0,
            lifetime: be16(bytes, 6)?,
            reachable_ms: be32(bytes, 8)?,
            retrans_ms: be32(bytes, 12)?,
            options: Options::decode(message, 16)?,
        })
    }
}

/// Who has this address?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NeighborSolicitation<'a> {
    /// The address.
    pub target: Ipv6Addr,
    /// The options.
    pub options: Options<'a>,
}

impl<'a> NeighborSolicitation<'a> {
    pub(super) fn decode(message: Message<'a>) -> Option<Self> {
        let bytes = message.bytes;
        Some(Self {
            target: ipv6(bytes, 8)?,
            options: Options::decode(message, 24)?,
        })
    }
}

/// I have this address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NeighborAdvertisement<'a> {
    /// R: the sender is a router.
    pub router: bool,
    /// S: it was asked.
    pub solicited: bool,
    /// O: what was known of the address before is to be forgotten.
    pub overrides: bool,
    /// The address.
    pub target: Ipv6Addr,
    /// The options.
    pub options: Options<'a>,
}

impl<'a> NeighborAdvertisement<'a> {
    pub(super) fn decode(message: Message<'a>) -> Option<Self> {
        let bytes = message.bytes;
        let flags = *bytes.get(4)?;
        Some(Self {
            router: flags & 0x80 != 0,
            solicited: flags & 0x40 != 0,
            overrides: flags & 0x20 != 0,
            target: ipv6(bytes, 8)?,
            options: Options::decode(message, 24)?,
        })
    }
}

/// There is a better first hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redirect<'a> {
    /// The better first hop; the destination itself if that is a neighbour.
    pub target: Ipv6Addr,
    /// For which destination.
    pub destination: Ipv6Addr,
    /// The options. The packet that should have gone there is in the message's
    /// [`quote`](super::Icmp::quote) as well.
    pub options: Options<'a>,
}

impl<'a> Redirect<'a> {
    pub(super) fn decode(message: Message<'a>) -> Option<Self> {
        let bytes = message.bytes;
        Some(Self {
            target: ipv6(bytes, 8)?,
            destination: ipv6(bytes, 24)?,
            options: Options::decode(message, 40)?,
        })
    }

    pub(super) fn quote(&self) -> Option<Quote<'a>> {
        self.options.iter().find_map(|option| match option.body {
            OptionBody::Redirected { quote } => Some(quote),
            _ => None,
        })
    }
}

/// A question for the certificates of a router (RFC 3971 section 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificationPathSolicitation<'a> {
    /// Matches answers to the question.
    pub id: u16,
    /// Which certificate of the path is wanted; 65,535: all.
    pub component: u16,
    /// The options.
    pub options: Options<'a>,
}

impl<'a> CertificationPathSolicitation<'a> {
    pub(super) fn decode(message: Message<'a>) -> Option<Self> {
        Some(Self {
            id: be16(message.bytes, 4)?,
            component: be16(message.bytes, 6)?,
            options: Options::decode(message, 8)?,
        })
    }
}

/// A router's certificates, or one of them (RFC 3971 section 6.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificationPathAdvertisement<'a> {
    /// The question's; 0 if nobody asked.
    pub id: u16,
    /// How many certificates the path has.
    pub all_components: u16,
    /// Which one this is; the last one of a path is 0.
    pub component: u16,
    /// The options.
    pub options: Options<'a>,
}

impl<'a> CertificationPathAdvertisement<'a> {
    pub(super) fn decode(message: Message<'a>) -> Option<Self> {
        Some(Self {
            id: be16(message.bytes, 4)?,
            all_components: be16(message.bytes, 6)?,
            component: be16(message.bytes, 8)?,
            options: Options::decode(message, 12)?,
        })
    }
}

/// What is in a provisioning domain.
impl<'a> Pvd<'a> {
    /// What the router says to those who know the domain, in place of what the
    /// message says. `None` if that counts for them too.
    #[must_use]
    pub fn router_advertisement(&self) -> Option<RouterAdvertisement<'a>> {
        let contents = self.router_advertisement_bytes()?;
        RouterAdvertisement::decode(Message::whole(contents)).map(|message| RouterAdvertisement {
            options: self.options(),
            ..message
        })
    }

    /// The options that count within the domain.
    #[must_use]
    pub fn options(&self) -> Options<'a> {
        Options::in_pvd(self.option_bytes())
    }
}
