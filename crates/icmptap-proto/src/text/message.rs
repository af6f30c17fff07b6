//! An ICMP message in words.

use std::{
    fmt::{self, Display},
    net::SocketAddr,
};

use icmptap::icmp::{
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

/// What a message says, in one line.
pub(super) struct Message<'a>(pub(super) &'a Icmp<'a>);

impl Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.0;
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
            Transport::Icmp(quoted) => write!(f, " {}", Message(&quoted.message()))?,
            _ => {}
        }
        match quote.fragment_offset {
            Some(offset) if offset != 0 => write!(f, " fragment offset {offset}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use icmptap_proto::testing::{Record, extended, icmpv4, icmpv6, ipv4, messages};

    use super::*;
    use crate::text::tests::with_event;

    fn text(record: Record) -> String {
        with_event(record, |event| {
            event
                .icmp()
                .map_or_else(String::new, |icmp| Message(&icmp).to_string())
        })
    }

    #[test]
    fn every_kind_of_message() {
        let messages = messages();
        let udp = "for 10.0.0.1:5000 > 10.0.0.2:33434 udp";
        let udp_v6 = "for [2001:db8::1]:5000 > [2001:db8::2]:33434 udp";
        let table = [
            (
                "fragmentation-needed",
                "destination-unreachable fragmentation-needed mtu 1300 \
                 for 10.0.0.1:5000 > 10.0.0.2:443 tcp seq 12345",
            ),
            (
                "time-exceeded with MPLS labels",
                &format!("time-exceeded ttl mpls 1234 {udp}"),
            ),
            (
                "time-exceeded with interface",
                &format!(
                    "time-exceeded ttl incoming interface eth0 index 3 10.0.0.9 mtu 1500 {udp}"
                ),
            ),
            (
                "time-exceeded with an unknown object",
                &format!("time-exceeded ttl extension class-9 type 4 {udp}"),
            ),
            (
                "v4 router-advertisement",
                "router-advertisement lifetime 1800 router 10.0.0.1 preference 5 \
                 router 10.0.0.2 preference -2147483648",
            ),
            ("address-mask", "address-mask-request id 7 seq 1"),
            (
                "address-mask-reply",
                "address-mask-reply id 7 seq 1 mask 255.255.255.0",
            ),
            (
                "extended-echo-request by name",
                "extended-echo-request id 7 seq 1 local interface eth0",
            ),
            (
                "extended-echo-request by index",
                "extended-echo-request id 7 seq 1 local interface index 3",
            ),
            (
                "extended-echo-request by address",
                "extended-echo-request id 7 seq 1 local interface 10.0.0.1",
            ),
            (
                "extended-echo-request by MAC address",
                "extended-echo-request id 7 seq 1 interface of another address family",
            ),
            (
                "extended-echo-reply",
                "extended-echo-reply id 7 seq 1 reachable active ipv4 ipv6",
            ),
            (
                "extended-echo-reply that refuses",
                "extended-echo-reply no-such-interface id 7 seq 1",
            ),
            ("v6 echo-request", "echo-request id 7 seq 1"),
            (
                "v6 port-unreachable with MPLS labels",
                &format!("destination-unreachable port-unreachable mpls 1234,354 {udp_v6}"),
            ),
            (
                "v6 packet-too-big",
                "packet-too-big mtu 1280 \
                 for [2001:db8::1]:5000 > [2001:db8::2]:443 tcp seq 12345",
            ),
            (
                "v6 time-exceeded",
                "time-exceeded hop-limit \
                 for 2001:db8::1 > 2001:db8::2 icmpv6 echo-request id 7 seq 9",
            ),
            (
                "v6 reassembly",
                "time-exceeded reassembly \
                 for 2001:db8::1 > 2001:db8::2 udp fragment offset 1448",
            ),
            (
                "v6 parameter-problem",
                &format!("parameter-problem unrecognized-next-header pointer 40 {udp_v6}"),
            ),
            (
                "router-solicitation",
                "router-solicitation lladdr 02:00:00:00:00:01",
            ),
            (
                "router-advertisement",
                "router-advertisement lifetime 1800 managed other preference high \
                 lladdr 02:00:00:00:00:01 mtu 1500 prefix 2001:db8::/64 \
                 route 2001:db8::/48 preference high dns 2001:db8::1,2001:db8::2 \
                 search example.org,lan captive-portal https://example.org/api \
                 pref64 64:ff9b::/96 nonce",
            ),
            (
                "neighbor-solicitation",
                "neighbor-solicitation target 2001:db8::2 lladdr 02:00:00:00:00:01",
            ),
            (
                "neighbor-advertisement",
                "neighbor-advertisement target 2001:db8::2 router solicited override \
                 lladdr 02:00:00:00:00:01",
            ),
            (
                "v6 redirect",
                &format!(
                    "redirect target 2001:db8::1 destination 2001:db8::2 \
                     lladdr 02:00:00:00:00:01 {udp_v6}"
                ),
            ),
            (
                "MLDv1 query",
                "multicast-listener-query max-response 10000 ms",
            ),
            (
                "MLDv2 query",
                "multicast-listener-query group 2001:db8::fb max-response 65552 ms \
                 sources 2001:db8::1",
            ),
            (
                "MLDv1 report",
                "multicast-listener-report group 2001:db8::fb",
            ),
            (
                "MLDv2 report",
                "version-2-multicast-listener-report change-to-exclude-mode 2001:db8::fb \
                 mode-is-include 2001:db8::fb sources 2001:db8::1,2001:db8::1",
            ),
            ("an unknown type", "type-77 code 5"),
            (
                "time-exceeded with a length in bytes and no checksum",
                &format!("time-exceeded ttl mpls 1234 {udp}"),
            ),
            (
                "time-exceeded with more behind its quote",
                &format!("time-exceeded ttl trailing 6d6f7265 {udp}"),
            ),
            (
                "time-exceeded about nothing",
                "time-exceeded ttl trailing 6e6f207061636b6574",
            ),
            (
                "time-exceeded with a malformed object",
                &format!(
                    "time-exceeded ttl malformed extension mpls-label-stack type 1 000000 {udp}"
                ),
            ),
            (
                "time-exceeded with an interface that is not IP",
                &format!(
                    "time-exceeded ttl outgoing interface index 7 \
                     address-family 16389 020000000001 {udp}"
                ),
            ),
            (
                "time-exceeded about a timestamp-reply",
                "time-exceeded ttl for 10.0.0.1 > 10.0.0.2 icmp timestamp-reply id 7 seq 9 \
                 originate 1 receive 2 transmit 3",
            ),
            (
                "time-exceeded about an error",
                &format!(
                    "time-exceeded ttl for 10.0.0.1 > 10.0.0.2 icmp \
                     destination-unreachable port-unreachable {udp}"
                ),
            ),
            (
                "time-exceeded behind AH",
                &format!("time-exceeded ttl {udp}"),
            ),
            (
                "router-advertisement with malformed options",
                &format!(
                    "router-advertisement lifetime 1800 malformed prefix-information {} \
                     malformed mtu {} malformed recursive-dns-server {} \
                     malformed dns-search-list {} malformed pref64 {} \
                     malformed source-link-layer-address",
                    "40".repeat(38),
                    "00".repeat(14),
                    "00".repeat(6),
                    "00".repeat(6),
                    "00".repeat(22)
                ),
            ),
            (
                "a query of 26 bytes",
                &format!("multicast-listener-query malformed 2710{}", "00".repeat(20)),
            ),
            (
                "inverse-neighbor-discovery-solicitation",
                "inverse-neighbor-discovery-solicitation lladdr 02:02:02:02:02:02 \
                 source-address-list addresses 2001:db8::1,2001:db8::2",
            ),
            (
                "neighbor-advertisement with a registration",
                "neighbor-advertisement target 2001:db8::2 address-registration moved \
                 owner 020000fffe000001020000fffe000001 lifetime 60 min transaction 9",
            ),
            (
                "neighbor-solicitation with a signature",
                "neighbor-solicitation target 2001:db8::2 cga timestamp 1593835520 nonce \
                 rsa-signature",
            ),
            (
                "router-advertisement with a domain",
                "router-advertisement lifetime 1800 pvd pvd.example sequence 7 [ mtu 1280 ]",
            ),
            (
                "certification-path-solicitation",
                r"certification-path-solicitation id 7 component 65535 trust-anchor a\.bcd.e trust-anchor",
            ),
            (
                "certification-path-advertisement",
                "certification-path-advertisement id 7 component 1 of 2 certificate",
            ),
            (
                "home-agent-address-discovery-reply",
                "home-agent-address-discovery-reply id 7 agents 2001:db8::1,2001:db8::2",
            ),
            (
                "mobile-prefix-advertisement",
                "mobile-prefix-advertisement id 7 managed prefix 2001:db8::1/64",
            ),
            (
                "rpl DIO",
                "rpl-control dio instance 30 rank 256 dodag 2001:db8::1 dodag-configuration \
                 dag-metric-container",
            ),
            (
                "rpl DAO with a malformed option",
                "rpl-control dao instance 30 sequence 241 malformed rpl-target 0008",
            ),
            (
                "rpl DAO-ACK",
                "rpl-control dao-ack instance 30 sequence 241 status 130 dodag 2001:db8::1",
            ),
        ];
        for (name, expected) in table {
            let record = messages.iter().find(|(found, _)| *found == name);
            let (_, record) = record.unwrap_or_else(|| panic!("no message {name}"));
            assert_eq!(text(record.clone()), expected, "{name}");
        }
    }

    #[test]
    fn a_bad_checksum_of_extensions_is_said() {
        let quote = ipv4([10, 0, 0, 1], [10, 0, 0, 2], 99, &[]);
        let mut data = extended(&quote, &[(1, 1, &[0; 4])]);
        data[132] ^= 1;
        let record = Record::of_ipv4(icmpv4(11, 0, [0, 32, 0, 0], &data));
        assert!(text(record).contains(" bad-extensions-checksum for "));
    }

    #[test]
    fn a_usual_pointer_needs_no_code() {
        let record = Record::of_ipv6(icmpv6(4, 0, [0, 0, 0, 6], &[]), 40);
        assert_eq!(text(record), "parameter-problem pointer 6");
    }

    #[test]
    fn it_is_one_line_whatever_the_packet_says() {
        for (name, record) in messages() {
            let text = text(record);
            assert!(!text.contains(char::is_control), "{name}: {text:?}");
        }
        let name = [(3, 1, &b"a\nb\x1b[2J"[..])];
        let data = icmptap_proto::testing::extensions(&name);
        let record = Record::of_ipv4(icmpv4(42, 0, [0, 7, 1, 0], &data));
        assert_eq!(
            text(record),
            r"extended-echo-request id 7 seq 1 interface a\nb\u{1b}[2J"
        );
    }
}
