//! What an ICMP message says, as JSON.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;

use super::{
    extension::Extensions,
    hex::{hex, hex_if_any},
    ndp::{NdpOption, RouterAdvertisement},
    rpl::Rpl,
};
use crate::icmp::{self, Body, Transport, mld, protocol_word, v4};

// What few messages have is in boxes, because the whole is moved for each line.
/// An ICMP message.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Icmp {
    r#type: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    type_name: Option<&'static str>,
    code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    code_name: Option<&'static str>,
    /// It has no length that its type may have, and is to be ignored: the bytes
    /// behind the checksum are in `data`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    malformed: bool,
    /// Of a malformed message: its bytes behind the checksum, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    /// Of a question or an answer: names the asker.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u16>,
    /// Of a question or an answer: counts the asker's questions.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u16>,
    /// Of "fragmentation needed" and "packet too big": what fits, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u32>,
    /// Of an ICMPv4 redirect: the better first hop.
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<Ipv4Addr>,
    /// Of a parameter problem: the byte that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<u32>,
    /// Of a timestamp, in milliseconds since midnight UT.
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<Times>,
    /// Of an address mask request or reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    mask: Option<Ipv4Addr>,
    /// Of an extended echo request: the interface is one of the node asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    local: Option<bool>,
    /// Of an extended echo reply.
    #[serde(flatten)]
    extended: Option<Box<ExtendedEchoReply>>,
    /// Of a router advertisement: how long it holds, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    lifetime: Option<u16>,
    /// Of an ICMPv4 router advertisement.
    #[serde(skip_serializing_if = "Option::is_none")]
    routers: Option<Vec<Router>>,
    /// Of an ICMPv6 router advertisement.
    #[serde(flatten)]
    advertisement: Option<Box<RouterAdvertisement>>,
    /// Of a mobile prefix advertisement.
    #[serde(flatten)]
    mobile_prefixes: Option<MobilePrefixes>,
    /// Of a home agent address discovery reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    home_agents: Option<Vec<Ipv6Addr>>,
    /// Of a certification path solicitation or advertisement: which certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<u16>,
    /// Of a certification path advertisement: how many certificates the path has.
    #[serde(skip_serializing_if = "Option::is_none")]
    all_components: Option<u16>,
    /// Of an RPL control message.
    #[serde(skip_serializing_if = "Option::is_none")]
    rpl: Option<Box<Rpl>>,
    /// Of a neighbour advertisement.
    #[serde(flatten)]
    neighbor: Option<NeighborFlags>,
    /// Of a neighbour solicitation or advertisement: the address it is about; of
    /// an ICMPv6 redirect: the better first hop.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Ipv6Addr>,
    /// Of an ICMPv6 redirect: for which destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<Ipv6Addr>,
    /// Of neighbour discovery.
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<Vec<NdpOption>>,
    /// Of a multicast listener query: the longest wait, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_response_ms: Option<u32>,
    /// Of a multicast listener query, report or done: the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<Ipv6Addr>,
    /// Of a multicast listener query, version 2.
    #[serde(flatten)]
    query: Option<Box<MulticastQuery>>,
    /// Of a multicast listener report, version 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<Vec<MulticastRecord>>,
    /// Of an error or a redirect: the packet it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    quote: Option<Box<Quote>>,
    /// What a router appended to an error, and what an extended echo request
    /// asks about.
    #[serde(skip_serializing_if = "Option::is_none")]
    extensions: Option<Box<Extensions>>,
    /// Of an error: what follows the quoted packet and is no extension; all of it
    /// if it is no packet. Hexadecimal; missing if there are only zeros.
    #[serde(skip_serializing_if = "Option::is_none")]
    trailing: Option<String>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Times {
    originate: u32,
    receive: u32,
    transmit: u32,
}

#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct ExtendedEchoReply {
    /// Of a neighbour: what the neighbour cache says.
    state: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_name: Option<&'static str>,
    /// The interface is up.
    active: bool,
    /// IPv4 runs on it.
    ipv4: bool,
    /// IPv6 runs on it.
    ipv6: bool,
}

/// A router of an ICMPv4 router advertisement.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Router {
    address: Ipv4Addr,
    /// Higher is better.
    preference: i32,
}

#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct MobilePrefixes {
    /// Addresses are to be had by DHCPv6.
    managed: bool,
    /// Other things are to be had by DHCPv6.
    other: bool,
}

#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct NeighborFlags {
    /// The sender is a router.
    router: bool,
    /// It was asked.
    solicited: bool,
    /// What was known of the address before is to be forgotten.
    r#override: bool,
}

#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct MulticastQuery {
    /// Routers shall not update their timers.
    suppress: bool,
    /// How many losses the querier's listeners stand.
    robustness: u8,
    /// Seconds between the querier's general queries.
    interval: u32,
    sources: Vec<Ipv6Addr>,
}

/// A record of a multicast listener report, version 2.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct MulticastRecord {
    r#type: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    type_name: Option<&'static str>,
    group: Ipv6Addr,
    sources: Vec<Ipv6Addr>,
}

/// The packet inside an ICMP error.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Quote {
    src: IpAddr,
    dst: IpAddr,
    protocol: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol_name: Option<&'static str>,
    /// Bytes the packet had, IP header included.
    #[serde(skip_serializing_if = "Option::is_none")]
    len: Option<u32>,
    /// Its time to live or hop limit.
    ttl: u8,
    /// Where in its packet it starts, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    fragment_offset: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dst_port: Option<u16>,
    /// Of TCP: the sequence number.
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp_seq: Option<u32>,
    /// If it was ICMP itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp: Option<Box<Icmp>>,
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
            type_name: message.icmp_type.name(),
            code: message.code,
            code_name: message.icmp_type.code_name(message.code),
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
                icmp.mobile_prefixes = Some(MobilePrefixes {
                    managed: message.managed,
                    other: message.other,
                });
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
            state_name: reply.state.name(),
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
            type_name: record.kind.name(),
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
            protocol_name: protocol_word(quote.protocol),
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
