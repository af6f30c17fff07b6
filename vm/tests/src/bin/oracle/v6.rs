//! ICMPv6 messages made by hand.

use std::net::Ipv6Addr;

use icmptap_vm_tests::net::Wire;
use icmptap_vm_tests::packet::{Ipv6, echo};

use super::quote::{extension_sets, extensions, ipv4, ipv6, mpls, quoted6, transports, udp};
use super::{Family, How, Kind, priority};

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;

pub(crate) fn kinds() -> Vec<Kind> {
    let mut kinds = Vec::new();
    kinds.extend(echoes());
    kinds.extend(errors());
    kinds.extend(quotes());
    kinds.extend(extended());
    kinds.extend(listeners());
    kinds.extend(rpl());
    kinds.extend(others());
    kinds.extend(headers());
    kinds.extend(fragments());
    kinds.extend(cut_short());
    kinds
}

/// An ICMPv6 message, its checksum not yet there.
pub(crate) fn message(number: u8, code: u8, rest: impl Into<Vec<u8>>, data: &[u8]) -> Vec<u8> {
    let mut message = vec![number, code, 0, 0];
    message.extend(rest.into());
    message.extend(data);
    message
}

/// A whole message in a plain packet, summed.
pub(crate) fn kind(name: impl Into<String>, message: Vec<u8>) -> Kind {
    let seen = Some((message[0], message[1]));
    packet(name, Ipv6::icmp(message).summed().bytes(), seen)
}

pub(crate) fn packet(name: impl Into<String>, bytes: Vec<u8>, seen: Option<(u8, u8)>) -> Kind {
    Kind {
        name: format!("ICMPv6: {}", name.into()),
        expected: vec![(Family::V6, seen)],
        how: How::Packet(None, bytes),
    }
}

pub(crate) fn address(text: &str) -> Vec<u8> {
    let address: Ipv6Addr = text.parse().expect("an address");
    address.octets().to_vec()
}

fn request(seq: u8, data: &[u8]) -> Vec<u8> {
    message(128, 0, [0x66, 0x66, 0, seq], data)
}

fn echoes() -> Vec<Kind> {
    let mut bad = Ipv6::icmp(request(3, b"bad")).summed();
    bad.payload[2] ^= 0xff;
    let none = Ipv6::icmp(request(4, b"none"));
    // As ICMPv4 would: without the pseudo header.
    let mut old = echo(5, 5, b"old");
    old[0] = 128;
    let seen = Some((128, 0));
    vec![
        kind("echo request", request(1, b"data")),
        kind("echo request, odd length", request(2, b"odd")),
        packet("echo request, bad checksum", bad.bytes(), seen),
        packet("echo request, checksum 0", none.bytes(), seen),
        packet(
            "echo request, checksum without pseudo header",
            Ipv6::icmp(old).bytes(),
            seen,
        ),
        kind("echo reply", message(129, 0, [0, 7, 0, 8], b"data")),
        kind("echo reply with a code", message(129, 5, [0, 7, 0, 8], b"")),
    ]
}

fn errors() -> Vec<Kind> {
    let about = ipv6(17, &udp());
    let mut kinds = Vec::new();
    for code in (0..=8).chain([77]) {
        let name = format!("unreachable, code {code}");
        kinds.push(kind(name, message(1, code, [0; 4], &about)));
    }
    for (code, mtu) in [(0, 1300_u32), (0, 0), (1, 0xffff_ffff)] {
        let name = format!("packet too big, code {code}, MTU {mtu}");
        kinds.push(kind(name, message(2, code, mtu.to_be_bytes(), &about)));
    }
    for code in 0..=2 {
        let name = format!("time exceeded, code {code}");
        kinds.push(kind(name, message(3, code, [0; 4], &about)));
    }
    for code in 0..=11 {
        let name = format!("parameter problem, code {code}");
        let pointer = 40_u32 + u32::from(code) * 256;
        kinds.push(kind(name, message(4, code, pointer.to_be_bytes(), &about)));
    }
    kinds
}

fn quotes() -> Vec<Kind> {
    let of = |name: &str, about: &[u8]| {
        kind(
            format!("port unreachable about {name}"),
            message(1, 4, [0; 4], about),
        )
    };
    let mut kinds: Vec<Kind> = transports()
        .iter()
        .map(|(name, protocol, payload)| of(name, &ipv6(*protocol, payload)))
        .collect();

    let through = |extensions: &[(u8, Vec<u8>)]| {
        let mut packet = quoted6(17, &udp());
        packet.extensions = extensions.to_vec();
        packet.bytes()
    };
    let hop_by_hop = (HOP_BY_HOP, vec![0, 0, 1, 4, 0, 0, 0, 0]);
    let fragment = |offset: u16, more: u16| {
        let place = (offset | more).to_be_bytes();
        (FRAGMENT, [&[0, 0][..], &place, &[0, 0, 0, 5]].concat())
    };
    let mut ping = quoted6(58, &request(9, b"quoted"));
    ping = ping.summed();
    let error = message(1, 4, [0; 4], &ipv6(17, &udp()));
    let solicitation = message(135, 0, [0; 4], &address("fd00::1"));
    let whole = ipv6(17, &udp());
    kinds.extend([
        of("an echo request", &ping.bytes()),
        of("an ICMPv6 error", &quoted6(58, &error).summed().bytes()),
        of(
            "a neighbour solicitation",
            &quoted6(58, &solicitation).summed().bytes(),
        ),
        of("IPv4 in IPv6", &ipv6(4, &ipv4(17, &udp()))),
        of("IPv6 in IPv6", &ipv6(41, &ipv6(17, &udp()))),
        of("nothing more than a header", &ipv6(59, &[])),
        of(
            "UDP behind hop-by-hop options",
            &through(std::slice::from_ref(&hop_by_hop)),
        ),
        of(
            "UDP behind three extension headers",
            &through(&[
                hop_by_hop,
                (DESTINATION_OPTIONS, vec![0, 0, 1, 4, 0, 0, 0, 0]),
                (ROUTING, vec![0, 0, 253, 0, 0, 0, 0, 0]),
            ]),
        ),
        of("a first fragment", &through(&[fragment(0, 1)])),
        of("a later fragment", &through(&[fragment(1448, 0)])),
        of("UDP, 8 bytes of it", &whole[..48]),
        of("UDP, 4 bytes of it", &whole[..44]),
        of("UDP, 2 bytes of it", &whole[..42]),
        of("an IPv6 header alone", &whole[..40]),
        of("half an IPv6 header", &whole[..20]),
        of("nothing", &[]),
        of("what is no IPv6 packet", &[0x55; 48]),
    ]);
    kinds
}

/// RFC 4884: the quote's length in units of 8 bytes, padded to 128.
fn extended() -> Vec<Kind> {
    let mut about = ipv6(17, &udp());
    about.resize(128, 0);
    let length = 16;
    let with = |structure: &[u8]| [&about[..], structure].concat();
    let mut kinds: Vec<Kind> = extension_sets()
        .iter()
        .map(|(name, structure)| {
            kind(
                format!("time exceeded with {name}"),
                message(3, 0, [length, 0, 0, 0], &with(structure)),
            )
        })
        .collect();
    let label = extensions(&[mpls(&[(77, 0, 9)])]);
    kinds.extend([
        kind(
            "port unreachable with MPLS",
            message(1, 4, [length, 0, 0, 0], &with(&label)),
        ),
        kind(
            "time exceeded with MPLS and no length",
            message(3, 0, [0; 4], &with(&label)),
        ),
        kind(
            "time exceeded with MPLS and a length in words",
            message(3, 0, [32, 0, 0, 0], &with(&label)),
        ),
        kind(
            "time exceeded with a length beyond its end",
            message(3, 0, [200, 0, 0, 0], &with(&label)),
        ),
    ]);
    kinds
}

/// RPL (RFC 6550).
fn rpl() -> Vec<Kind> {
    let dodag = address("fd00::1");
    let configuration = [4, 14, 1, 8, 12, 0, 7, 0, 1, 0, 0, 0, 0, 0xff, 0, 60];
    let target = [&[5, 18, 0, 128][..], &address("fd00::2")].concat();
    let transit = [6, 4, 0, 0, 9, 30];
    let information = [&[0x8b, 7, 0, 0][..], &dodag, &configuration].concat();
    vec![
        kind("RPL DIS", message(155, 0, [0; 2], &[])),
        kind("RPL DIO", message(155, 1, [30, 240, 1, 0], &information)),
        kind(
            "RPL DAO",
            message(
                155,
                2,
                [30, 0xc0, 0, 241],
                &[&dodag[..], &target, &[1, 2, 0, 0], &transit].concat(),
            ),
        ),
        kind(
            "RPL DAO without a graph",
            message(155, 2, [30, 0, 0, 241], &target),
        ),
        kind("RPL DAO-ACK", message(155, 3, [30, 0x80, 241, 130], &dodag)),
        kind(
            "RPL DAO-ACK without a graph",
            message(155, 3, [30, 0, 241, 0], &[]),
        ),
    ]
}

/// Multicast listener discovery, behind a router alert as it has to be.
fn listeners() -> Vec<Kind> {
    let group = address("ff02::1:3");
    let nothing = address("::");
    let alert = (HOP_BY_HOP, vec![0, 0, 5, 2, 0, 0, 1, 0]);
    let of = |name: &str, message: Vec<u8>| {
        let seen = Some((message[0], message[1]));
        let mut packet = Ipv6::icmp(message);
        packet.src = "fe80::1".parse().expect("an address");
        packet.dst = "ff02::16".parse().expect("an address");
        packet.hop_limit = 1;
        packet.extensions = vec![alert.clone()];
        self::packet(name, packet.summed().bytes(), seen)
    };
    let delay = |code: u16| [code.to_be_bytes(), [0, 0]].concat();
    let query = |flags: u8, interval: u8, sources: &[Vec<u8>]| {
        let count = u16::try_from(sources.len()).expect("few").to_be_bytes();
        let tail = [flags, interval, count[0], count[1]];
        [&group[..], &tail, &sources.concat()].concat()
    };
    let sources = [address("2001:db8::1"), address("2001:db8::2")];
    let record = |number: u8, sources: &[Vec<u8>], auxiliary: &[u8]| {
        let words = u8::try_from(auxiliary.len() / 4).expect("short");
        let count = u16::try_from(sources.len()).expect("few").to_be_bytes();
        let head = [number, words, count[0], count[1]];
        [&head[..], &group, &sources.concat(), auxiliary].concat()
    };
    let report = |count: u16, records: &[Vec<u8>]| {
        message(
            143,
            0,
            delay(0)[2..]
                .iter()
                .copied()
                .chain(count.to_be_bytes())
                .collect::<Vec<_>>(),
            &records.concat(),
        )
    };
    let six: Vec<Vec<u8>> = (1..=6)
        .map(|number| record(number, &sources[..usize::from(number % 3)], &[]))
        .collect();
    vec![
        of(
            "MLDv1 general query",
            message(130, 0, delay(10_000), &nothing),
        ),
        of(
            "MLDv1 query of a group",
            message(130, 0, delay(1000), &group),
        ),
        of("MLDv1 report", message(131, 0, delay(0), &group)),
        of("MLDv1 done", message(132, 0, delay(0), &group)),
        of(
            "MLDv1 report, cut short",
            message(131, 0, delay(0), &group[..8]),
        ),
        of(
            "MLDv2 query",
            message(130, 0, delay(10_000), &query(2, 125, &[])),
        ),
        of(
            "MLDv2 query of sources, suppressed, long intervals",
            message(130, 0, delay(0x9abc), &query(0x0f, 0x9c, &sources)),
        ),
        of(
            "MLDv2 query of more sources than it has",
            message(130, 0, delay(1000), &{
                let mut data = query(2, 20, &sources);
                data[19] = 9;
                data
            }),
        ),
        of(
            "MLD query of neither version",
            message(130, 0, delay(1000), &[&group[..], &[2, 125]].concat()),
        ),
        of("MLDv2 report, one record", report(1, &six[3..4])),
        of("MLDv2 report, every type of record", report(6, &six)),
        of(
            "MLDv2 report, auxiliary data and an unknown type",
            report(
                2,
                &[record(4, &sources, b"auxiliary!!!"), record(77, &[], &[])],
            ),
        ),
        of("MLDv2 report, no record", report(0, &[])),
        of(
            "MLDv2 report of more records than it has",
            report(5, &six[..2]),
        ),
    ]
}

fn others() -> Vec<Kind> {
    let mut kinds = vec![
        kind(
            "node information query",
            message(
                139,
                0,
                [0, 2, 0, 0],
                &[&[1; 8][..], &address("fd00::2")].concat(),
            ),
        ),
        kind(
            "node information reply",
            message(
                140,
                0,
                [0, 2, 0, 0],
                &[&[1; 8][..], &[0, 0, 0, 9, 0]].concat(),
            ),
        ),
        kind(
            "router renumbering",
            message(138, 0, [0, 0, 0, 1], &[1, 0, 0, 0, 0, 0, 0, 0]),
        ),
        kind(
            "multicast router advertisement",
            message(151, 20, [0, 125, 0, 2], &[]),
        ),
        kind(
            "multicast router solicitation",
            message(152, 0, [], &[0; 4]),
        ),
        kind("multicast router termination", message(153, 0, [], &[0; 4])),
        kind(
            "extended echo request, by index",
            message(
                160,
                0,
                [0, 9, 3, 1],
                &extensions(&[(3, 2, vec![0, 0, 0, 7])]),
            ),
        ),
        kind(
            "extended echo request, by address",
            message(160, 0, [0, 9, 3, 0], &{
                let address = [&[0, 2, 16, 0][..], &address("fd00::2")].concat();
                extensions(&[(3, 3, address)])
            }),
        ),
        kind(
            "extended echo reply",
            message(161, 0, [0, 9, 3, 0b0100_0111], &[]),
        ),
    ];
    for number in [0, 5, 100, 127, 150, 154, 158, 200, 255] {
        kinds.push(kind(
            format!("type {number}"),
            message(number, 0, [1, 2, 3, 4], &[0; 16]),
        ));
    }
    kinds
}

fn headers() -> Vec<Kind> {
    let alert = (HOP_BY_HOP, vec![0, 0, 5, 2, 0, 0, 1, 0]);
    let options = (DESTINATION_OPTIONS, vec![0, 0, 1, 4, 0, 0, 0, 0]);
    let long_options = (DESTINATION_OPTIONS, {
        let mut bytes = vec![0, 2, 1, 20];
        bytes.resize(24, 0);
        bytes
    });
    let routing = |kind: u8, segments_left: u8, last: &str| {
        let head = [0, 2, kind, segments_left, 0, 0, 0, 0];
        (ROUTING, [&head[..], &address(last)].concat())
    };
    // Its sum is that of the packet that will arrive (RFC 8200, section 8.1).
    let mut routed = Ipv6::icmp(request(1, b"routed"));
    routed.dst = "fd00::3".parse().expect("an address");
    let mut routed = routed.summed();
    routed.dst = Wire::RIGHT6;
    routed.extensions = vec![routing(2, 1, "fd00::3")];
    let authentication = (AUTHENTICATION, {
        let mut bytes = vec![0, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1];
        bytes.resize(24, 0x11);
        bytes
    });
    let of = |name: &str, extensions: &[(u8, Vec<u8>)]| {
        let mut packet = Ipv6::icmp(request(1, b"headers"));
        packet.extensions = extensions.to_vec();
        self::packet(
            format!("echo request behind {name}"),
            packet.summed().bytes(),
            Some((128, 0)),
        )
    };
    // Its sum is over the home address (RFC 6275, section 11.3.1).
    let mut away = Ipv6::icmp(request(1, b"away"));
    let (care_of, home) = (
        away.src,
        Ipv6Addr::from([0xfd, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]),
    );
    away.src = home;
    let mut away = away.summed();
    away.src = care_of;
    away.extensions = vec![(DESTINATION_OPTIONS, {
        [&[0, 2, 1, 2, 0, 0, 0xc9, 16][..], &home.octets()].concat()
    })];
    let atomic = (FRAGMENT, vec![0, 0, 0, 0, 0, 0, 0, 5]);
    let tagged = Kind {
        name: "ICMPv6: echo request, priority-tagged".into(),
        expected: vec![(Family::V6, Some((128, 0)))],
        how: How::Packet(
            Some(priority(5)),
            Ipv6::icmp(request(2, b"tag")).summed().bytes(),
        ),
    };
    vec![
        of("a router alert", std::slice::from_ref(&alert)),
        of("destination options", std::slice::from_ref(&options)),
        of("24 bytes of destination options", &[long_options]),
        of("a routing header of type 2", &[routing(2, 0, "fd00::2")]),
        of("a segment routing header", &[routing(4, 0, "fd00::2")]),
        of(
            "a routing header of type 253",
            &[routing(253, 0, "fd00::2")],
        ),
        of("an authentication header", &[authentication]),
        of(
            "four headers",
            &[alert, options.clone(), routing(253, 0, "fd00::2"), options],
        ),
        of("a fragment header that divides nothing", &[atomic]),
        packet(
            "echo request on a source route",
            routed.bytes(),
            Some((128, 0)),
        ),
        packet(
            "echo request with a home address",
            away.bytes(),
            Some((128, 0)),
        ),
        tagged,
    ]
}

fn fragments() -> Vec<Kind> {
    let whole = Ipv6::icmp(request(1, &[7; 40])).summed().payload;
    let part = |from: usize, to: usize, before: &[(u8, Vec<u8>)]| {
        let more = u16::from(to < whole.len());
        let place = (from as u16 | more).to_be_bytes();
        let mut packet = Ipv6::icmp(&whole[from..to]);
        packet.extensions = before.to_vec();
        let header = [&[0, 0][..], &place, &[0, 0, 0, 9]].concat();
        packet.extensions.push((FRAGMENT, header));
        packet
    };
    let options = (DESTINATION_OPTIONS, vec![0, 0, 1, 4, 0, 0, 0, 0]);
    // What stands in front of the message is in the first part alone.
    let mut before = part(0, 16, &[]);
    before.extensions.push(options.clone());
    let seen = Some((128, 0));
    vec![
        packet(
            "first fragment in front of destination options",
            before.bytes(),
            seen,
        ),
        packet("first fragment", part(0, 16, &[]).bytes(), seen),
        packet("middle fragment", part(16, 32, &[]).bytes(), None),
        packet("last fragment", part(32, 48, &[]).bytes(), None),
        packet("first fragment, 8 bytes", part(0, 8, &[]).bytes(), seen),
        packet(
            "first fragment behind destination options",
            part(0, 16, std::slice::from_ref(&options)).bytes(),
            seen,
        ),
        packet(
            "later fragment behind destination options",
            part(16, 32, &[options]).bytes(),
            None,
        ),
    ]
}

fn cut_short() -> Vec<Kind> {
    let whole = Ipv6::icmp(request(1, &[])).summed().payload;
    [0, 1, 2, 4, 7]
        .into_iter()
        .map(|length| {
            packet(
                format!("{length} bytes of an echo request"),
                Ipv6::icmp(&whole[..length]).bytes(),
                (length >= 2).then_some((128, 0)),
            )
        })
        .collect()
}
