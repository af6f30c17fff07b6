//! The packet inside an ICMP error.

use std::net::IpAddr;

use super::{echo::Echo, icmp_type::Type, v4, v6};
use crate::{
    bytes::{be16, be32},
    ip::{Ip, protocol},
};

/// The packet that an ICMP error is about: the start of it comes with the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quote {
    /// Who sent it.
    pub src: IpAddr,
    /// To whom.
    pub dst: IpAddr,
    /// What follows the network headers (IANA's "Protocol Numbers");
    /// [`protocol_word`] names some. An IPv6 extension header's number if the
    /// quote ends in that header.
    pub protocol: u8,
    /// Bytes it had, network header included. `None` for a jumbogram.
    pub len: Option<u32>,
    /// Its time to live (IPv4) or hop limit (IPv6), when the error was made.
    pub ttl: u8,
    /// Where in its packet it starts, if it was a fragment, in bytes; `None` if
    /// the quote ends before that is clear.
    pub fragment_offset: Option<u16>,
    /// What follows its headers.
    pub transport: Transport,
}

/// What is quoted behind the network header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
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
    Icmp {
        /// Its type.
        icmp_type: Type,
        /// Its code.
        code: u8,
        /// Of a question or an answer.
        echo: Option<Echo>,
    },
    /// Another protocol, a later fragment, or cut off.
    None,
}

impl Quote {
    /// `None` if it is not IP or shorter than the header's fixed part.
    #[inline(always)]
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let ip = Ip::decode(bytes)?;
        let (protocol, fragment_offset, data) = match ip {
            Ip::V4(header) => (
                header.protocol(),
                Some(header.fragment_offset()),
                Some(header.header_len()),
            ),
            Ip::V6(header) => {
                let chain = header.extensions(bytes);
                (
                    chain.next_header,
                    chain.fragment_offset(),
                    chain.is_whole.then_some(chain.end),
                )
            }
        };
        let data = data.filter(|_| fragment_offset == Some(0));
        let transport = data
            .and_then(|at| bytes.get(at..))
            .and_then(|data| Transport::decode(protocol, data));
        Some(Self {
            src: ip.src(),
            dst: ip.dst(),
            protocol,
            len: ip.total_len(),
            ttl: ip.ttl(),
            fragment_offset,
            transport: transport.unwrap_or(Transport::None),
        })
    }
}

impl Transport {
    /// `None` for another protocol, and where too little is left.
    #[inline]
    fn decode(number: u8, data: &[u8]) -> Option<Self> {
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
            protocol::ICMP => Self::icmp(data, |number| v4::Type(number).into()),
            protocol::ICMPV6 => Self::icmp(data, |number| v6::Type(number).into()),
            _ => None,
        }
    }

    fn icmp(data: &[u8], icmp_type: impl Fn(u8) -> Type) -> Option<Self> {
        let [number, code] = *data.first_chunk()?;
        let icmp_type = icmp_type(number);
        Some(Self::Icmp {
            icmp_type,
            code,
            echo: Echo::decode(data).filter(|_| is_question(icmp_type)),
        })
    }
}

/// Its second word is an id and a sequence number of 16 bits each.
fn is_question(icmp_type: Type) -> bool {
    matches!(
        icmp_type,
        Type::V4(
            v4::Type::ECHO_REQUEST
                | v4::Type::ECHO_REPLY
                | v4::Type::TIMESTAMP
                | v4::Type::TIMESTAMP_REPLY
                | v4::Type::INFORMATION_REQUEST
                | v4::Type::INFORMATION_REPLY
                | v4::Type::ADDRESS_MASK_REQUEST
                | v4::Type::ADDRESS_MASK_REPLY
        ) | Type::V6(v6::Type::ECHO_REQUEST | v6::Type::ECHO_REPLY)
    )
}

/// The word for a protocol number, where it is a common one.
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
