//! An ICMP message in words.

use std::{
    fmt::{self, Display},
    net::SocketAddr,
};

use icmptap::{
    event::Checksum,
    icmp::{
        Body, Echo, Extensions, Icmp, Quote, Transport, Type,
        extension::{InterfaceId, InterfaceInfo, ObjectBody},
        mld::{Query, Report},
        ndp::{NdpOption, OptionBody, Preference, RouterAdvertisement},
        protocol_word, v4, v6,
    },
};

/// What a message says, in one line.
pub(super) struct Message<'a>(pub(super) &'a Icmp<'a>);

impl Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.0;
        write!(f, "{}", message.icmp_type)?;
        code(f, message)?;
        if let Some(echo) = message.echo() {
            write!(f, "{}", Matched(echo))?;
        }
        if let Some(mtu) = message.mtu() {
            write!(f, " mtu {mtu}")?;
        }
        body(f, message)?;
        if let Some(options) = message.options() {
            options
                .iter()
                .try_for_each(|option| ndp_option(f, option))?;
        }
        if let Some(extensions) = message.extensions {
            objects(f, extensions)?;
        }
        match message.quote {
            Some(quote) => write!(f, " for {}", Quoted(quote)),
            None => Ok(()),
        }
    }
}

fn code(f: &mut fmt::Formatter<'_>, message: &Icmp<'_>) -> fmt::Result {
    match (message.icmp_type, message.code) {
        // The usual cases, where the type and what follows say it all.
        (Type::V4(v4::Type::REDIRECT), 1)
        | (Type::V4(v4::Type::PARAMETER_PROBLEM) | Type::V6(v6::Type::PARAMETER_PROBLEM), 0) => {
            Ok(())
        }
        (icmp_type, code) => match icmp_type.code_word(code) {
            Some(word) => write!(f, " {word}"),
            None if code != 0 => write!(f, " code {code}"),
            None => Ok(()),
        },
    }
}

fn body(f: &mut fmt::Formatter<'_>, message: &Icmp<'_>) -> fmt::Result {
    match message.body {
        Body::Redirect { gateway } => write!(f, " gateway {gateway}"),
        Body::ParameterProblem { pointer } => {
            let has_pointer = match message.icmp_type {
                Type::V4(_) => message.code == 0,
                Type::V6(_) => true,
            };
            if has_pointer {
                write!(f, " pointer {pointer}")?;
            }
            Ok(())
        }
        Body::Timestamp {
            times: Some(times), ..
        } if message.icmp_type == v4::Type::TIMESTAMP_REPLY.into() => write!(
            f,
            " originate {} receive {} transmit {}",
            times.originate, times.receive, times.transmit
        ),
        Body::AddressMask {
            mask: Some(mask), ..
        } if message.icmp_type == v4::Type::ADDRESS_MASK_REPLY.into() => write!(f, " mask {mask}"),
        Body::Routers(routers) => {
            write!(f, " lifetime {}", routers.lifetime)?;
            for router in routers.iter() {
                write!(f, " router {}", router.address)?;
                if router.preference != 0 {
                    write!(f, " preference {}", router.preference)?;
                }
            }
            Ok(())
        }
        Body::ExtendedEchoRequest(request) => flags(f, &[(request.local, "local")]),
        Body::ExtendedEchoReply(reply) => {
            if reply.state.0 != 0 {
                write!(f, " {}", reply.state)?;
            }
            flags(
                f,
                &[
                    (reply.active, "active"),
                    (reply.ipv4, "ipv4"),
                    (reply.ipv6, "ipv6"),
                ],
            )
        }
        Body::RouterAdvertisement(advertisement) => router_advertisement(f, advertisement),
        Body::NeighborSolicitation(solicitation) => write!(f, " target {}", solicitation.target),
        Body::NeighborAdvertisement(advertisement) => {
            write!(f, " target {}", advertisement.target)?;
            flags(
                f,
                &[
                    (advertisement.router, "router"),
                    (advertisement.solicited, "solicited"),
                    (advertisement.override_, "override"),
                ],
            )
        }
        Body::NeighborRedirect(redirect) => {
            let (target, destination) = (redirect.target, redirect.destination);
            write!(f, " target {target} destination {destination}")
        }
        Body::MulticastQuery(query) => multicast_query(f, query),
        Body::Multicast { group } => write!(f, " group {group}"),
        Body::MulticastReport(report) => multicast_report(f, report),
        _ => Ok(()),
    }
}

fn router_advertisement(
    f: &mut fmt::Formatter<'_>,
    advertisement: RouterAdvertisement<'_>,
) -> fmt::Result {
    write!(f, " lifetime {}", advertisement.lifetime)?;
    flags(
        f,
        &[
            (advertisement.managed, "managed"),
            (advertisement.other, "other"),
            (advertisement.home_agent, "home-agent"),
            (advertisement.proxy, "proxy"),
        ],
    )?;
    preference(f, advertisement.preference)
}

/// The usual one goes without saying.
fn preference(f: &mut fmt::Formatter<'_>, preference: Preference) -> fmt::Result {
    match preference {
        Preference(0) => Ok(()),
        other => write!(f, " preference {other}"),
    }
}

fn multicast_query(f: &mut fmt::Formatter<'_>, query: Query<'_>) -> fmt::Result {
    if !query.group.is_unspecified() {
        write!(f, " group {}", query.group)?;
    }
    write!(f, " max-response {} ms", query.max_response_ms)?;
    match query.v2 {
        Some(v2) => list(f, "sources", v2.sources()),
        None => Ok(()),
    }
}

fn multicast_report(f: &mut fmt::Formatter<'_>, report: Report<'_>) -> fmt::Result {
    for record in report.records() {
        write!(f, " {} {}", record.kind, record.group)?;
        list(f, "sources", record.sources())?;
    }
    Ok(())
}

fn ndp_option(f: &mut fmt::Formatter<'_>, option: NdpOption<'_>) -> fmt::Result {
    match option.body {
        OptionBody::LinkLayer(address) => write!(f, " lladdr {address}"),
        OptionBody::Prefix(prefix) => write!(f, " prefix {}/{}", prefix.prefix, prefix.len),
        OptionBody::Mtu(mtu) => write!(f, " mtu {mtu}"),
        OptionBody::Route(route) => {
            write!(f, " route {}/{}", route.prefix, route.len)?;
            preference(f, route.preference)
        }
        OptionBody::Rdnss(rdnss) => list(f, "dns", rdnss.servers()),
        OptionBody::Dnssl(dnssl) => list(f, "search", dnssl.domains()),
        OptionBody::CaptivePortal(uri) => write!(f, " captive-portal {uri}"),
        OptionBody::Pref64(pref64) => write!(f, " pref64 {}/{}", pref64.prefix, pref64.len),
        // It comes last, as with other messages.
        OptionBody::Redirected { .. } => Ok(()),
        _ => write!(f, " {}", option.kind),
    }
}

fn objects(f: &mut fmt::Formatter<'_>, extensions: Extensions<'_>) -> fmt::Result {
    for object in extensions.objects() {
        match object.body {
            ObjectBody::Mpls(stack) => list(f, "mpls", stack.iter().map(|label| label.label))?,
            ObjectBody::InterfaceInfo(info) => interface(f, info)?,
            ObjectBody::InterfaceId(InterfaceId::Name(name)) => write!(f, " interface {name}")?,
            ObjectBody::InterfaceId(InterfaceId::Index(index)) => {
                write!(f, " interface index {index}")?;
            }
            ObjectBody::InterfaceId(InterfaceId::Address(ip)) => write!(f, " interface {ip}")?,
            ObjectBody::InterfaceId(_) => write!(f, " interface of another address family")?,
            _ => write!(f, " extension {} type {}", object.class, object.ctype)?,
        }
    }
    flags(
        f,
        &[(
            extensions.checksum == Checksum::Bad,
            "bad-extensions-checksum",
        )],
    )
}

fn interface(f: &mut fmt::Formatter<'_>, info: InterfaceInfo<'_>) -> fmt::Result {
    write!(f, " {} interface", info.role.word().unwrap_or("other"))?;
    if let Some(name) = info.name {
        write!(f, " {name}")?;
    }
    if let Some(index) = info.index {
        write!(f, " index {index}")?;
    }
    if let Some(address) = info.address {
        write!(f, " {address}")?;
    }
    if let Some(mtu) = info.mtu {
        write!(f, " mtu {mtu}")?;
    }
    Ok(())
}

/// The words that apply.
fn flags(f: &mut fmt::Formatter<'_>, words: &[(bool, &str)]) -> fmt::Result {
    words
        .iter()
        .filter(|(applies, _)| *applies)
        .try_for_each(|(_, word)| write!(f, " {word}"))
}

/// ` name a,b`; nothing if there are none.
fn list(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    items: impl Iterator<Item = impl Display>,
) -> fmt::Result {
    for (i, item) in items.enumerate() {
        if i == 0 {
            write!(f, " {name} {item}")?;
        } else {
            write!(f, ",{item}")?;
        }
    }
    Ok(())
}

struct Matched(Echo);

impl Display for Matched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " id {} seq {}", self.0.id, self.0.seq)
    }
}

struct Quoted(Quote);

impl Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quote = self.0;
        match quote.transport {
            Transport::Ports { src, dst, .. } => {
                let src = SocketAddr::new(quote.src, src);
                let dst = SocketAddr::new(quote.dst, dst);
                write!(f, "{src} > {dst}")?;
            }
            _ => write!(f, "{} > {}", quote.src, quote.dst)?,
        }
        match protocol_word(quote.protocol) {
            Some(word) => write!(f, " {word}")?,
            None => write!(f, " protocol {}", quote.protocol)?,
        }
        match quote.transport {
            Transport::Ports {
                tcp_seq: Some(seq), ..
            } => write!(f, " seq {seq}")?,
            Transport::Icmp {
                icmp_type, echo, ..
            } => {
                write!(f, " {icmp_type}")?;
                if let Some(echo) = echo {
                    write!(f, "{}", Matched(echo))?;
                }
            }
            _ => {}
        }
        match quote.fragment_offset {
            Some(offset) if offset != 0 => write!(f, " fragment offset {offset}"),
            _ => Ok(()),
        }
    }
}
