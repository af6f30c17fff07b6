//! ICMP messages of both families (RFC 792, RFC 4443) and what they quote.
//!
//! A message whose end was cut off is read as far as it goes: what cannot be
//! known is `None`. Lists (options, extension objects, group records) are read
//! as they are walked, and borrow from the packet.

mod echo;
pub mod extension;
pub mod mld;
pub mod ndp;
mod open_enum;
mod quote;
pub mod v4;
pub mod v6;

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

pub use echo::{Echo, ExtendedEchoReply, ExtendedEchoRequest, NeighborState};
pub use extension::Extensions;
pub use quote::{Quote, Transport, protocol_word};

use crate::Mtu;

/// An ICMP type of either family: any number, some of which have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Type {
    /// Of ICMP for IPv4.
    V4(v4::Type),
    /// Of ICMPv6.
    V6(v6::Type),
}

impl Type {
    /// The number on the wire.
    pub fn number(self) -> u8 {
        match self {
            Self::V4(icmp_type) => icmp_type.0,
            Self::V6(icmp_type) => icmp_type.0,
        }
    }

    /// The name in IANA's registry.
    pub fn iana_name(self) -> Option<&'static str> {
        match self {
            Self::V4(icmp_type) => icmp_type.iana_name(),
            Self::V6(icmp_type) => icmp_type.iana_name(),
        }
    }

    /// The name as one word.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::V4(icmp_type) => icmp_type.name(),
            Self::V6(icmp_type) => icmp_type.name(),
        }
    }

    /// The name of one of the type's codes, as one word. `None` where the code
    /// has none, and where the type knows only code 0 and that says nothing.
    pub fn code_word(self, code: u8) -> Option<&'static str> {
        match self {
            Self::V4(icmp_type) => icmp_type.code_word(code),
            Self::V6(icmp_type) => icmp_type.code_word(code),
        }
    }

    fn quotes(self) -> bool {
        match self {
            Self::V4(icmp_type) => icmp_type.quotes(),
            Self::V6(icmp_type) => icmp_type.quotes(),
        }
    }

    /// Where the length of the quote stands, and in how many bytes it counts.
    fn quote_length(self) -> Option<(usize, usize)> {
        match self {
            Self::V4(icmp_type) => icmp_type.quote_length_at().map(|at| (at, 4)),
            Self::V6(icmp_type) => icmp_type.quote_length_at().map(|at| (at, 8)),
        }
    }
}

impl From<v4::Type> for Type {
    fn from(icmp_type: v4::Type) -> Self {
        Self::V4(icmp_type)
    }
}

impl From<v6::Type> for Type {
    fn from(icmp_type: v6::Type) -> Self {
        Self::V6(icmp_type)
    }
}

/// The word, or `type-77` where there is none.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(icmp_type) => icmp_type.fmt(f),
            Self::V6(icmp_type) => icmp_type.fmt(f),
        }
    }
}

/// What an ICMP message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Icmp<'a> {
    /// The type.
    pub icmp_type: Type,
    /// The code; [`Type::code_word`] names it.
    pub code: u8,
    /// What it says beyond that.
    pub body: Body<'a>,
    /// Of an error or a redirect: the packet it is about.
    pub quote: Option<Quote>,
    /// What a router appended to an error (RFC 4884), and what an extended echo
    /// request asks about (RFC 8335).
    pub extensions: Option<Extensions<'a>>,
}

/// What an ICMP message says beyond type, code and quoted packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body<'a> {
    /// Echo request or reply; ICMPv4: information request or reply.
    Echo(Echo),
    /// Destination unreachable.
    Unreachable {
        /// ICMPv4 with code 4: what fits (RFC 1191). `None` from a router that
        /// does not say (it sends 0).
        next_hop_mtu: Option<Mtu>,
    },
    /// ICMPv6: packet too big.
    PacketTooBig {
        /// What fits.
        mtu: Mtu,
    },
    /// Parameter problem.
    ParameterProblem {
        /// The byte of the quoted packet that is wrong. ICMPv4: with code 0, in
        /// 8 bits; with code 1, the option that is missing (RFC 1108).
        pointer: u32,
    },
    /// ICMPv4: redirect.
    Redirect {
        /// The better first hop.
        gateway: Ipv4Addr,
    },
    /// ICMPv4: timestamp request or reply.
    Timestamp {
        /// To match replies with requests.
        echo: Echo,
        /// `None` if cut off.
        times: Option<v4::Times>,
    },
    /// ICMPv4: address mask request or reply (RFC 950).
    AddressMask {
        /// To match replies with requests.
        echo: Echo,
        /// `None` if cut off; 0.0.0.0 in a request.
        mask: Option<Ipv4Addr>,
    },
    /// ICMPv4: router advertisement (RFC 1256).
    Routers(v4::Routers<'a>),
    /// Extended echo request.
    ExtendedEchoRequest(ExtendedEchoRequest),
    /// Extended echo reply.
    ExtendedEchoReply(ExtendedEchoReply),
    /// ICMPv6: router solicitation, which says no more than its options.
    RouterSolicitation(ndp::Options<'a>),
    /// ICMPv6: router advertisement.
    RouterAdvertisement(ndp::RouterAdvertisement<'a>),
    /// ICMPv6: neighbour solicitation.
    NeighborSolicitation(ndp::NeighborSolicitation<'a>),
    /// ICMPv6: neighbour advertisement.
    NeighborAdvertisement(ndp::NeighborAdvertisement<'a>),
    /// ICMPv6: redirect.
    NeighborRedirect(ndp::Redirect<'a>),
    /// ICMPv6: multicast listener query, of either version.
    MulticastQuery(mld::Query<'a>),
    /// ICMPv6: multicast listener report or done, version 1 (RFC 2710).
    Multicast {
        /// The group that is listened to, or no more.
        group: Ipv6Addr,
    },
    /// ICMPv6: multicast listener report, version 2.
    MulticastReport(mld::Report<'a>),
    /// Nothing more is known: another type, or the message ends here.
    None,
}

impl<'a> Icmp<'a> {
    /// Reads the message: `bytes` are the ICMP header and what follows, as far
    /// as they were kept of `len` bytes; `None`: that is not known, as of a
    /// fragment. Type and code are known even if no byte was kept.
    // Inlined, with all that is below it, so that a caller who looks at the quote
    // only does not pay for the rest: it is half of the cost of an event.
    #[inline(always)]
    pub fn decode(icmp_type: Type, code: u8, bytes: &'a [u8], len: Option<usize>) -> Self {
        let message = Message { bytes, len };
        let body = match icmp_type {
            Type::V4(icmp_type) => v4::body(icmp_type, code, message),
            Type::V6(icmp_type) => v6::body(icmp_type, message),
        };
        let body = body.unwrap_or(Body::None);
        let (quoted, extensions) = extension::split(icmp_type, message);
        // The type is asked first: the body of another one is then not needed.
        let quote = match (icmp_type, body) {
            (Type::V6(v6::Type::REDIRECT), Body::NeighborRedirect(redirect)) => redirect.quote(),
            _ => quoted.and_then(Quote::decode),
        };
        Self {
            icmp_type,
            code,
            body,
            quote,
            extensions,
        }
    }

    /// What matches an answer to its question, where the message is one.
    pub fn echo(&self) -> Option<Echo> {
        match self.body {
            Body::Echo(echo) | Body::Timestamp { echo, .. } | Body::AddressMask { echo, .. } => {
                Some(echo)
            }
            Body::ExtendedEchoRequest(request) => Some(request.echo),
            Body::ExtendedEchoReply(reply) => Some(reply.echo),
            _ => None,
        }
    }

    /// What fits through the next hop, where the message says it.
    pub fn mtu(&self) -> Option<Mtu> {
        match self.body {
            Body::Unreachable { next_hop_mtu } => next_hop_mtu,
            Body::PacketTooBig { mtu } => Some(mtu),
            _ => None,
        }
    }

    /// Of neighbour discovery: the options.
    pub fn options(&self) -> Option<ndp::Options<'a>> {
        match self.body {
            Body::RouterSolicitation(options) => Some(options),
            Body::RouterAdvertisement(message) => Some(message.options),
            Body::NeighborSolicitation(message) => Some(message.options),
            Body::NeighborAdvertisement(message) => Some(message.options),
            Body::NeighborRedirect(message) => Some(message.options),
            _ => None,
        }
    }
}

/// An ICMP message from its header on, as far as it was kept.
#[derive(Debug, Clone, Copy)]
struct Message<'a> {
    bytes: &'a [u8],
    /// Bytes it had, if that is known.
    len: Option<usize>,
}

impl Message<'_> {
    fn is_whole(&self) -> bool {
        self.len.is_some_and(|len| self.bytes.len() >= len)
    }
}
