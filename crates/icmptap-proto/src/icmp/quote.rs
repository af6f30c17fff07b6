//! The packet inside an ICMP error.

use std::net::IpAddr;

use super::{icmp_type::Type, message::Message, v4, v6};
use crate::{
    bytes::{be16, be32},
    ip::{IPV4_MIN, IPV6_LEN, Ip, protocol},
};

/// The packet that an ICMP error is about: the start of it comes with the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quote<'a> {
    /// Who sent it.
    pub src: IpAddr,
    /// To whom.
    pub dst: IpAddr,
    /// What follows the network headers (IANA's "Protocol Numbers");
    /// [`protocol_word`] names some. If the quote ends inside an IPv6 extension
    /// header: the number of that header.
    pub protocol: u8,
    /// Bytes it had, network header included. `None` for a jumbogram.
    pub len: Option<u32>,
    /// Its time to live (IPv4) or hop limit (IPv6), when the error was made.
    pub ttl: u8,
    /// Where in its packet it starts, if it was a fragment, in bytes; `None` if
    /// the quote ends before that is clear.
    pub fragment_offset: Option<u16>,
    /// What follows its headers.
    pub transport: Transport<'a>,
}

/// What is quoted behind the network header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport<'a> {
    /// TCP, UDP, SCTP, DCCP or UDP-Lite.
    Ports {
        /// Source port.
        src: u16,
        /// Destination port.
        dst: u16,
        /// Of TCP: the sequence number.
        tcp_seq: Option<u32>,
    },
    /// ICMP.
    Icmp(QuotedIcmp<'a>),
    /// Another protocol, a later fragment, or cut off.
    None,
}

/// A quoted ICMP message, as far as it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuotedIcmp<'a> {
    /// Its type.
    pub icmp_type: Type,
    /// Its code.
    pub code: u8,
    pub(super) message: Message<'a>,
}

/// Quotes within each other. An error about an error is not allowed (RFC 1122
/// section 3.2.2), and where there is one, it is the second of these.
const DEPTH_MAX: u8 = 4;

impl<'a> Quote<'a> {
    /// Of a message that lies in `depth` quotes. `None` if it is not IP or shorter
    /// than the header's fixed part, and where there are too many quotes within
    /// each other.
    #[inline(always)]
    pub(super) fn decode(bytes: &'a [u8], depth: u8) -> Option<Self> {
        if depth >= DEPTH_MAX {
            return None;
        }
        let depth = depth + 1;
        let ip = Ip::decode(bytes)?;
        let (chain, fragment_offset, is_fragment) = match ip {
            Ip::V4(header) => (
                header.extensions(bytes),
                Some(header.fragment_offset()),
                header.is_fragment(),
            ),
            Ip::V6(header) => {
                let chain = header.extensions(bytes);
                let is_fragment = chain.fragment_offset.is_some();
                (chain, chain.fragment_offset(), is_fragment)
            }
        };
        let protocol = chain.next_header;
        let total = ip.total_len();
        let start = match bytes.get(chain.end..) {
            Some(bytes) if chain.is_whole && fragment_offset == Some(0) => bytes,
            _ => &[],
        };
        // What fills up the quote is not of the packet. A length that cannot be, as
        // some routers have it here, says nothing.
        let len = match total {
            Some(total) => (total as usize).checked_sub(chain.end),
            None => None,
        };
        let start = match len {
            Some(len) if len < start.len() => &start[..len],
            _ => start,
        };
        let message = Message {
            bytes: start,
            len: len.filter(|_| !is_fragment),
            depth,
        };
        let transport = Transport::decode(protocol, message);
        Some(Self {
            src: ip.src(),
            dst: ip.dst(),
            protocol,
            len: total,
            ttl: ip.ttl(),
            fragment_offset,
            transport: transport.unwrap_or(Transport::None),
        })
    }
}

impl Quote<'_> {
    /// Where it ended. `None` if its header has a length that cannot be.
    pub(super) fn end(&self) -> Option<usize> {
        let header = match self.src {
            IpAddr::V4(_) => IPV4_MIN,
            IpAddr::V6(_) => IPV6_LEN,
        };
        let end = usize::try_from(self.len?).ok()?;
        (end >= header).then_some(end)
    }
}

impl<'a> Transport<'a> {
    /// `None` for another protocol, and where too little is left.
    #[inline]
    fn decode(number: u8, message: Message<'a>) -> Option<Self> {
        let data = message.bytes;
        match number {
            protocol::TCP
            | protocol::UDP
            | protocol::DCCP
            | protocol::SCTP
            | protocol::UDP_LITE => Some(Self::Ports {
                src: be16(data, 0)?,
                dst: be16(data, 2)?,
                tcp_seq: be32(data, 4).filter(|_| number == protocol::TCP),
            }),
            protocol::ICMP => Self::icmp(message, |number| v4::Type(number).into()),
            protocol::ICMPV6 => Self::icmp(message, |number| v6::Type(number).into()),
            _ => None,
        }
    }

    fn icmp(message: Message<'a>, icmp_type: impl Fn(u8) -> Type) -> Option<Self> {
        let [number, code] = *message.bytes.first_chunk()?;
        Some(Self::Icmp(QuotedIcmp {
            icmp_type: icmp_type(number),
            code,
            message,
        }))
    }
}

/// The word for a protocol number, where it is a common one.
#[must_use]
pub fn protocol_word(protocol: u8) -> Option<&'static str> {
    Some(match protocol {
        0 => "hop-by-hop",
        1 => "icmp",
        2 => "igmp",
        4 => "ipip",
        6 => "tcp",
        17 => "udp",
        33 => "dccp",
        41 => "ipv6",
        43 => "routing",
        44 => "fragment",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        58 => "icmpv6",
        59 => "no-next-header",
        60 => "destination-options",
        89 => "ospf",
        103 => "pim",
        112 => "vrrp",
        132 => "sctp",
        136 => "udplite",
        _ => return None,
    })
}
