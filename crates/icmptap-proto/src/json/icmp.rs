//! What an ICMP message says, as JSON.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;

use crate::{
    checksum::Checksum,
    icmp::{
        self, Body, Transport,
        extension::{self, InterfaceId, ObjectBody},
        mld,
        ndp::{self, OptionBody},
        protocol_word, v4,
    },
};

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
    extended: Option<ExtendedEchoReply>,
    /// Of a router advertisement: how long it holds, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    lifetime: Option<u16>,
    /// Of an ICMPv4 router advertisement.
    #[serde(skip_serializing_if = "Option::is_none")]
    routers: Option<Vec<Router>>,
    /// Of an ICMPv6 router advertisement.
    #[serde(flatten)]
    advertisement: Option<RouterAdvertisement>,
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
    query: Option<MulticastQuery>,
    /// Of a multicast listener report, version 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<Vec<MulticastRecord>>,
    /// Of an error or a redirect: the packet it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    quote: Option<Box<Quote>>,
    /// What a router appended to an error, and what an extended echo request
    /// asks about.
    #[serde(skip_serializing_if = "Option::is_none")]
    extensions: Option<Extensions>,
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
struct RouterAdvertisement {
    /// The hop limit that hosts shall send with; 0: it does not say.
    hop_limit: u8,
    /// Addresses are to be had by DHCPv6.
    managed: bool,
    /// Other things are to be had by DHCPv6.
    other: bool,
    /// It is a home agent.
    home_agent: bool,
    /// `low`, `medium`, `high` or `reserved`.
    preference: &'static str,
    /// It is a neighbour discovery proxy.
    proxy: bool,
    /// How long a neighbour counts as reachable; 0: it does not say.
    reachable_ms: u32,
    /// Between solicitations; 0: it does not say.
    retrans_ms: u32,
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

/// An option of neighbour discovery.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct NdpOption {
    r#type: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    type_name: Option<&'static str>,
    /// A link-layer address: hexadecimal, with colons.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<Ipv6Addr>,
    /// Bits of the prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix_len: Option<u8>,
    /// Addresses of the prefix are neighbours.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_link: Option<bool>,
    /// Hosts may make addresses of the prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    autonomous: Option<bool>,
    /// The prefix is the router's whole address.
    #[serde(skip_serializing_if = "Option::is_none")]
    router_address: Option<bool>,
    /// How long the prefix is on the link, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid: Option<u32>,
    /// How long addresses made of it are preferred, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred: Option<u32>,
    /// Of a route: `low`, `medium`, `high` or `reserved`.
    #[serde(skip_serializing_if = "Option::is_none")]
    preference: Option<&'static str>,
    /// Of a route, of DNS servers and domains, of a PREF64: in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    lifetime: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u32>,
    /// Where names are resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    servers: Option<Vec<Ipv6Addr>>,
    /// Where short names are looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    domains: Option<Vec<String>>,
    /// Of a captive portal.
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    /// Of another option: what is in it, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
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

/// An extension structure (RFC 4884).
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Extensions {
    /// What the bytes say of its own checksum.
    checksum: Checksum,
    objects: Vec<Object>,
}

/// An object of an extension structure.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Object {
    class: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    class_name: Option<&'static str>,
    ctype: u8,
    /// An MPLS label stack, outermost first.
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<Label>>,
    /// What an interface has to do with the quoted packet: `incoming`,
    /// `incoming-sub-ip`, `outgoing` or `next-hop`.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    /// An interface's index.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u32>,
    /// An interface's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    /// An interface's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// An interface's MTU.
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u32>,
    /// Family of an interface's address that is not IP; it is in `data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    afi: Option<u16>,
    /// Of another object: what is in it, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
}

/// An MPLS label stack entry.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Label {
    label: u32,
    traffic_class: u8,
    bottom: bool,
    ttl: u8,
}

impl Icmp {
    pub(super) fn new(message: &icmp::Icmp<'_>) -> Self {
        let options = message.options();
        let mut icmp = Self {
            mtu: message.mtu().map(|mtu| mtu.0),
            options: options.map(|options| options.iter().map(NdpOption::from).collect()),
            quote: message.quote.as_ref().map(|quote| Box::new(quote.into())),
            extensions: message.extensions.as_ref().map(Extensions::from),
            ..Self::of(message.icmp_type, message.code, message.echo())
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
            Body::ExtendedEchoReply(reply) => icmp.extended = Some(reply.into()),
            Body::RouterAdvertisement(advertisement) => {
                icmp.lifetime = Some(advertisement.lifetime);
                icmp.advertisement = Some(advertisement.into());
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
                icmp.query = query.v2.map(MulticastQuery::from);
            }
            Body::Multicast { group } => icmp.group = Some(group),
            Body::MulticastReport(report) => {
                icmp.records = Some(report.records().map(MulticastRecord::from).collect());
            }
            Body::Echo(_)
            | Body::Unreachable { .. }
            | Body::PacketTooBig { .. }
            | Body::RouterSolicitation(_)
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

    fn of(icmp_type: icmp::Type, code: u8, echo: Option<icmp::Echo>) -> Self {
        Self {
            r#type: icmp_type.number(),
            type_name: icmp_type.name(),
            code,
            code_name: icmp_type.code_name(code),
            id: echo.map(|echo| echo.id),
            seq: echo.map(|echo| echo.seq),
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

impl From<ndp::RouterAdvertisement<'_>> for RouterAdvertisement {
    fn from(advertisement: ndp::RouterAdvertisement<'_>) -> Self {
        Self {
            hop_limit: advertisement.hop_limit,
            managed: advertisement.managed,
            other: advertisement.other,
            home_agent: advertisement.home_agent,
            preference: advertisement.preference.name(),
            proxy: advertisement.proxy,
            reachable_ms: advertisement.reachable_ms,
            retrans_ms: advertisement.retrans_ms,
        }
    }
}

impl From<ndp::NdpOption<'_>> for NdpOption {
    fn from(option: ndp::NdpOption<'_>) -> Self {
        let mut json = Self {
            r#type: option.kind.0,
            type_name: option.kind.name(),
            ..Self::default()
        };
        match option.body {
            OptionBody::LinkLayer(address) => json.address = Some(address.to_string()),
            OptionBody::Prefix(prefix) => {
                json.prefix = Some(prefix.prefix);
                json.prefix_len = Some(prefix.len);
                json.on_link = Some(prefix.on_link);
                json.autonomous = Some(prefix.autonomous);
                json.router_address = Some(prefix.router_address);
                json.valid = Some(prefix.valid);
                json.preferred = Some(prefix.preferred);
            }
            OptionBody::Mtu(mtu) => json.mtu = Some(mtu),
            OptionBody::Route(route) => {
                json.prefix = Some(route.prefix);
                json.prefix_len = Some(route.len);
                json.preference = Some(route.preference.name());
                json.lifetime = Some(route.lifetime);
            }
            OptionBody::Rdnss(rdnss) => {
                json.lifetime = Some(rdnss.lifetime);
                json.servers = Some(rdnss.servers().collect());
            }
            OptionBody::Dnssl(dnssl) => {
                json.lifetime = Some(dnssl.lifetime);
                json.domains = Some(dnssl.domains().map(|domain| domain.to_string()).collect());
            }
            OptionBody::CaptivePortal(uri) => json.uri = Some(uri.to_string()),
            OptionBody::Pref64(pref64) => {
                json.prefix = Some(pref64.prefix);
                json.prefix_len = Some(pref64.len);
                json.lifetime = Some(pref64.lifetime.into());
            }
            // It is the message's quote.
            OptionBody::Redirected { .. } => {}
            OptionBody::Data(data) => json.data = Some(hex(data)),
        }
        json
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

impl From<&icmp::Quote> for Quote {
    fn from(quote: &icmp::Quote) -> Self {
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
            Transport::Icmp {
                icmp_type,
                code,
                echo,
            } => json.icmp = Some(Box::new(Icmp::of(icmp_type, code, echo))),
            Transport::None => {}
        }
        json
    }
}

impl From<&extension::Extensions<'_>> for Extensions {
    fn from(extensions: &extension::Extensions<'_>) -> Self {
        Self {
            checksum: extensions.checksum,
            objects: extensions.objects().map(Object::from).collect(),
        }
    }
}

impl From<extension::Object<'_>> for Object {
    fn from(object: extension::Object<'_>) -> Self {
        let mut json = Self {
            class: object.class.0,
            class_name: object.class.name(),
            ctype: object.ctype,
            ..Self::default()
        };
        match object.body {
            ObjectBody::Mpls(stack) => json.labels = Some(stack.iter().map(Label::from).collect()),
            ObjectBody::InterfaceInfo(info) => {
                json.role = info.role.name();
                json.index = info.index;
                json.address = info.address;
                json.name = info.name.map(|name| name.to_string());
                json.mtu = info.mtu;
            }
            ObjectBody::InterfaceId(InterfaceId::Name(name)) => json.name = Some(name.to_string()),
            ObjectBody::InterfaceId(InterfaceId::Index(index)) => json.index = Some(index),
            ObjectBody::InterfaceId(InterfaceId::Address(ip)) => json.address = Some(ip),
            ObjectBody::InterfaceId(InterfaceId::Other { afi, address }) => {
                json.afi = Some(afi);
                json.data = Some(hex(address));
            }
            ObjectBody::Data(data) => json.data = Some(hex(data)),
        }
        json
    }
}

impl From<extension::Label> for Label {
    fn from(label: extension::Label) -> Self {
        Self {
            label: label.label,
            traffic_class: label.traffic_class,
            bottom: label.is_bottom,
            ttl: label.ttl,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
