//! An ICMP message in words.

use std::{
    fmt::{self, Display},
    net::SocketAddr,
};

use crate::icmp::{
    Body, Icmp, Quote, Transport, Type,
    mld::{Query, Report},
    ndp::RouterAdvertisement,
    protocol_word,
    rpl::Control,
    v4, v6,
};

use super::{
    extension::objects,
    option::{bytes, ndp_option, rpl_option},
    words::{flags, list, preference},
};

/// What the message says, in one line: `echo-request id 7 seq 1`.
impl Display for Icmp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self;
        write!(f, "{}", message.icmp_type)?;
        code(f, message)?;
        if let Some(id) = message.id() {
            write!(f, " id {id}")?;
        }
        if let Some(echo) = message.echo() {
            write!(f, " seq {}", echo.seq)?;
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
        let trailing = message.trailing();
        if !trailing.is_empty() {
            write!(f, " trailing")?;
            bytes(f, trailing)?;
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
        (icmp_type, code) => match icmp_type.code_name(code) {
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
                    (advertisement.overrides, "override"),
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
        Body::HomeAgentDiscoveryReply(agents) => list(f, "agents", agents.iter()),
        Body::MobilePrefixAdvertisement(advertisement) => flags(
            f,
            &[
                (advertisement.managed, "managed"),
                (advertisement.other, "other"),
            ],
        ),
        Body::CertificationPathSolicitation(solicitation) => {
            write!(f, " component {}", solicitation.component)
        }
        Body::CertificationPathAdvertisement(advertisement) => {
            let (component, all) = (advertisement.component, advertisement.all_components);
            write!(f, " component {component} of {all}")
        }
        Body::Rpl(control) => rpl(f, control),
        Body::Malformed(data) => {
            write!(f, " malformed")?;
            bytes(f, data)
        }
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

fn rpl(f: &mut fmt::Formatter<'_>, control: Control<'_>) -> fmt::Result {
    let dodag = match control {
        Control::Information(message) => {
            write!(f, " instance {} rank {}", message.instance, message.rank)?;
            Some(message.dodag)
        }
        Control::Advertisement(message) => {
            write!(
                f,
                " instance {} sequence {}",
                message.instance, message.sequence
            )?;
            message.dodag
        }
        Control::Acknowledgement(message) => {
            write!(
                f,
                " instance {} sequence {} status {}",
                message.instance, message.sequence, message.status
            )?;
            message.dodag
        }
        _ => None,
    };
    if let Some(dodag) = dodag {
        write!(f, " dodag {dodag}")?;
    }
    control
        .options()
        .into_iter()
        .flat_map(|options| options.iter())
        .try_for_each(|option| rpl_option(f, option))
}

struct Quoted<'a>(Quote<'a>);

impl Display for Quoted<'_> {
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
            Transport::Icmp(quoted) => write!(f, " {}", quoted.message())?,
            _ => {}
        }
        match quote.fragment_offset {
            Some(offset) if offset != 0 => write!(f, " fragment offset {offset}"),
            _ => Ok(()),
        }
    }
}
