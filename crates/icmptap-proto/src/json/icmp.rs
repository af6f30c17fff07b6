//! What an ICMP message says, as JSON.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::{
    Word,
    extension::Extensions,
    hex::{hex, hex_if_any},
    ndp::{NdpOption, RouterAdvertisement},
    rpl::Rpl,
};
use crate::icmp::{self, Body, Transport, mld, protocol_word, v4};

// What few messages have is in boxes, because the whole is moved for each line.
/// An ICMP message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Icmp {
    /// The ICMP type.
    pub r#type: u8,
    /// The name of the type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub type_name: Option<Word>,
    /// The ICMP code.
    pub code: u8,
    /// The name of the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_name: Option<Word>,
    /// Whether its length is wrong for its type, so that receivers ignore it. The bytes
    /// after the checksum are in `data`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub malformed: bool,
    /// Of a malformed message: the bytes after the checksum, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Of a query or reply: the identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u16>,
    /// Of a query or reply: the sequence number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u16>,
    /// Of "fragmentation needed" and "packet too big": the next-hop MTU in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Of an ICMPv4 redirect: the better first hop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Ipv4Addr>,
    /// Of a parameter problem: the offset of the byte at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<u32>,
    /// Of a timestamp, in milliseconds since midnight UT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<Times>,
    /// Of an address mask request or reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask: Option<Ipv4Addr>,
    /// Of an extended echo request: whether the interface belongs to the node that is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local: Option<bool>,
    /// Of an extended echo reply.
    #[serde(flatten)]
    pub extended: Option<Box<ExtendedEchoReply>>,
    /// Of a router advertisement: its lifetime in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<u16>,
    /// Of an ICMPv4 router advertisement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routers: Option<Vec<Router>>,
    /// Of an ICMPv6 router advertisement; in part, of a mobile prefix advertisement.
    #[serde(flatten)]
    pub advertisement: Option<Box<RouterAdvertisement>>,
    /// Of a home agent address discovery reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home_agents: Option<Vec<Ipv6Addr>>,
    /// Of a certification path solicitation or advertisement: the number of the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<u16>,
    /// Of a certification path advertisement: the number of certificates in the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all_components: Option<u16>,
    /// Of an RPL control message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpl: Option<Box<Rpl>>,
    /// Of a neighbour advertisement.
    #[serde(flatten)]
    pub neighbor: Option<NeighborFlags>,
    /// Of a neighbour solicitation or advertisement: the target address. Of an ICMPv6
    /// redirect: the better first hop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Ipv6Addr>,
    /// Of an ICMPv6 redirect: the destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<Ipv6Addr>,
    /// The options of a neighbour discovery message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<Vec<NdpOption>>,
    /// Of a multicast listener query: the maximum response delay in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_response_ms: Option<u32>,
    /// Of a multicast listener query, report or done: the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Ipv6Addr>,
    /// Of a multicast listener query, version 2.
    #[serde(flatten)]
    pub query: Option<Box<MulticastQuery>>,
    /// Of a multicast listener report, version 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records: Option<Vec<MulticastRecord>>,
    /// Of an error or a redirect: the packet that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<Box<Quote>>,
    /// The extension structure: what a router appended to an error, and the interface that
    /// an extended echo request asks about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Box<Extensions>>,
    /// Of an error: the bytes after the quoted packet that are no extension, or all bytes if
    /// there is no packet. Hexadecimal. Missing if all are zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trailing: Option<String>,
}

/// The times of a timestamp message, in milliseconds since midnight UT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Times {
    /// When the sender last touched the request.
    pub originate: u32,
    /// When the request was received.
    pub receive: u32,
    /// When the reply was sent.
    pub transmit: u32,
}

/// What an extended echo reply says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ExtendedEchoReply {
    /// The state of a neighbour in the neighbour cache.
    pub state: u8,
    /// The name of the state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_name: Option<Word>,
    /// Whether the interface is up.
    pub active: bool,
    /// Whether IPv4 runs on it.
    pub ipv4: bool,
    /// Whether IPv6 runs on it.
    pub ipv6: bool,
}

/// A router of an ICMPv4 router advertisement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Router {
    /// The router's address.
    pub address: Ipv4Addr,
    /// The preference level; a higher one is preferred.
    pub preference: i32,
}

/// The flags of a neighbour advertisement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct NeighborFlags {
    /// Whether the sender is a router.
    pub router: bool,
    /// Whether it answers a solicitation.
    pub solicited: bool,
    /// Whether it overrides an existing cache entry.
    pub r#override: bool,
}

/// What a multicast listener query of version 2 says besides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MulticastQuery {
    /// Whether routers suppress their timer updates.
    pub suppress: bool,
    /// The querier's robustness variable.
    pub robustness: u8,
    /// The querier's query interval in seconds.
    pub interval: u32,
    /// The source addresses asked about.
    pub sources: Vec<Ipv6Addr>,
}

/// A record of a multicast listener report, version 2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MulticastRecord {
    /// The record type.
    pub r#type: u8,
    /// The name of the record type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub type_name: Option<Word>,
    /// The multicast group.
    pub group: Ipv6Addr,
    /// The source addresses.
    pub sources: Vec<Ipv6Addr>,
}

/// The packet inside an ICMP error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Quote {
    /// The source address.
    pub src: IpAddr,
    /// The destination address.
    pub dst: IpAddr,
    /// The protocol number.
    pub protocol: u8,
    /// The name of the protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol_name: Option<Word>,
    /// The length of the packet in bytes, including its IP header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub len: Option<u32>,
    /// Its time to live or hop limit.
    pub ttl: u8,
    /// The fragment offset in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fragment_offset: Option<u16>,
    /// The source port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src_port: Option<u16>,
    /// The destination port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dst_port: Option<u16>,
    /// The sequence number of TCP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp_seq: Option<u32>,
    /// The ICMP message, if the packet is ICMP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icmp: Option<Box<Icmp>>,
}

impl Icmp {
    pub(super) fn new(message: &icmp::Icmp<'_>) -> Self {
        let options = message.options();
        let mut icmp = Self {
            mtu: message.mtu().map(|mtu| mtu.0),
            options: options.map(|options| options.iter().map(NdpOption::from).collect()),
            quote: message.quote.as_ref().map(|quote| Box::new(quote.into())),
            extensions: message.extensions.as_ref().map(|all| Box::new(all.into())),
            trailing: hex_if_any(message.trailing()),
            r#type: message.icmp_type.number(),
            type_name: message.icmp_type.name().map(Word::from),
            code: message.code,
            code_name: message.icmp_type.code_name(message.code).map(Word::from),
            id: message.id(),
            seq: message.echo().map(|echo| echo.seq),
            ..Self::default()
        };
        match message.body {
            Body::ParameterProblem { pointer } => icmp.pointer = Some(pointer),
            Body::Redirect { gateway } => icmp.gateway = Some(gateway),
            Body::Timestamp { times, .. } => icmp.times = times.map(Times::from),
            Body::AddressMask { mask, .. } => icmp.mask = mask,
            Body::Routers(routers) => {
                icmp.lifetime = Some(routers.lifetime);
                icmp.routers = Some(routers.iter().map(Router::from).collect());
            }
            Body::ExtendedEchoRequest(request) => icmp.local = Some(request.local),
            Body::ExtendedEchoReply(reply) => icmp.extended = Some(Box::new(reply.into())),
            Body::RouterAdvertisement(advertisement) => {
                icmp.lifetime = Some(advertisement.lifetime);
                icmp.advertisement = Some(Box::new(advertisement.into()));
            }
            Body::NeighborSolicitation(solicitation) => icmp.target = Some(solicitation.target),
            Body::NeighborAdvertisement(advertisement) => {
                icmp.target = Some(advertisement.target);
                icmp.neighbor = Some(NeighborFlags {
                    router: advertisement.router,
                    solicited: advertisement.solicited,
                    r#override: advertisement.overrides,
                });
            }
            Body::NeighborRedirect(redirect) => {
                icmp.target = Some(redirect.target);
                icmp.destination = Some(redirect.destination);
            }
            Body::MulticastQuery(query) => {
                icmp.max_response_ms = Some(query.max_response_ms);
                icmp.group = Some(query.group);
                icmp.query = query.v2.map(|query| Box::new(query.into()));
            }
            Body::Multicast { group } => icmp.group = Some(group),
            Body::MulticastReport(report) => {
                icmp.records = Some(report.records().map(MulticastRecord::from).collect());
            }
            Body::HomeAgentDiscoveryReply(agents) => {
                icmp.home_agents = Some(agents.iter().collect());
            }
            Body::MobilePrefixAdvertisement(message) => {
                icmp.advertisement = Some(Box::new(RouterAdvertisement {
                    managed: message.managed,
                    other: message.other,
                    ..RouterAdvertisement::default()
                }));
            }
            Body::CertificationPathSolicitation(message) => {
                icmp.component = Some(message.component);
            }
            Body::CertificationPathAdvertisement(message) => {
                icmp.component = Some(message.component);
                icmp.all_components = Some(message.all_components);
            }
            Body::Rpl(control) => icmp.rpl = Some(Box::new(control.into())),
            Body::Malformed(data) => {
                icmp.malformed = true;
                icmp.data = Some(hex(data));
            }
            Body::Echo(_)
            | Body::Unreachable { .. }
            | Body::PacketTooBig { .. }
            | Body::RouterSolicitation(_)
            | Body::InverseNeighbor(_)
            | Body::HomeAgentDiscoveryRequest { .. }
            | Body::MobilePrefixSolicitation { .. }
            | Body::None => {}
        }
        icmp
    }

    pub(super) fn of_unknown_family(number: u8, code: u8) -> Self {
        Self {
            r#type: number,
            code,
            ..Self::default()
        }
    }
}

impl From<v4::Times> for Times {
    fn from(times: v4::Times) -> Self {
        Self {
            originate: times.originate,
            receive: times.receive,
            transmit: times.transmit,
        }
    }
}

impl From<v4::Router> for Router {
    fn from(router: v4::Router) -> Self {
        Self {
            address: router.address,
            preference: router.preference,
        }
    }
}

impl From<icmp::ExtendedEchoReply> for ExtendedEchoReply {
    fn from(reply: icmp::ExtendedEchoReply) -> Self {
        Self {
            state: reply.state.0,
            state_name: reply.state.name().map(Word::from),
            active: reply.active,
            ipv4: reply.ipv4,
            ipv6: reply.ipv6,
        }
    }
}

impl From<mld::QueryV2<'_>> for MulticastQuery {
    fn from(query: mld::QueryV2<'_>) -> Self {
        Self {
            suppress: query.suppress,
            robustness: query.robustness,
            interval: query.interval,
            sources: query.sources().collect(),
        }
    }
}

impl From<mld::Record<'_>> for MulticastRecord {
    fn from(record: mld::Record<'_>) -> Self {
        Self {
            r#type: record.kind.0,
            type_name: record.kind.name().map(Word::from),
            group: record.group,
            sources: record.sources().collect(),
        }
    }
}

impl From<&icmp::Quote<'_>> for Quote {
    fn from(quote: &icmp::Quote<'_>) -> Self {
        let mut json = Self {
            src: quote.src,
            dst: quote.dst,
            protocol: quote.protocol,
            protocol_name: protocol_word(quote.protocol).map(Word::from),
            len: quote.len,
            ttl: quote.ttl,
            fragment_offset: quote.fragment_offset,
            src_port: None,
            dst_port: None,
            tcp_seq: None,
            icmp: None,
        };
        match quote.transport {
            Transport::Ports { src, dst, tcp_seq } => {
                json.src_port = Some(src);
                json.dst_port = Some(dst);
                json.tcp_seq = tcp_seq;
            }
            Transport::Icmp(quoted) => json.icmp = Some(Box::new(Icmp::new(&quoted.message()))),
            Transport::None => {}
        }
        json
    }
}
