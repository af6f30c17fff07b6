//! ICMPv4 messages made by hand.

use icmptap_vm_tests::packet::{Ipv4, echo, message};

use super::quote::{
    extension_sets, extensions, interface_name, ipv4, ipv6, mpls, ping, quoted, summed, timestamp,
    transports, udp,
};
use super::{Expected, Family, How, Kind, priority};

pub(crate) fn kinds() -> Vec<Kind> {
    let mut kinds = Vec::new();
    kinds.extend(echoes());
    kinds.extend(errors());
    kinds.extend(quotes());
    kinds.extend(extended());
    kinds.extend(others());
    kinds.extend(unusual_headers());
    kinds.extend(cut_short());
    kinds
}

/// A whole message in a plain packet.
fn kind(name: impl Into<String>, message: Vec<u8>) -> Kind {
    let seen = Some((message[0], message[1]));
    packet(name, Ipv4::icmp(message).bytes(), seen)
}

fn packet(name: impl Into<String>, bytes: Vec<u8>, seen: Option<(u8, u8)>) -> Kind {
    let expected: Expected = (Family::V4, seen);
    Kind {
        name: format!("ICMPv4: {}", name.into()),
        expected: vec![expected],
        how: How::Packet(None, bytes),
    }
}

fn echoes() -> Vec<Kind> {
    let mut bad = echo(1, 3, b"bad");
    bad[2] ^= 0xff;
    let mut none = echo(1, 4, b"none");
    none[2..4].fill(0);
    vec![
        kind("echo request", echo(1, 1, b"data")),
        kind("echo request without data", echo(0xabcd, 0xef01, b"")),
        kind("echo request, odd length", echo(1, 2, b"odd")),
        kind("echo request, bad checksum", bad),
        kind("echo request, checksum 0", none),
        kind("echo reply", message(0, 0, [0, 7, 0, 8], b"data")),
        kind("echo reply with a code", message(0, 5, [0, 7, 0, 8], b"")),
    ]
}

fn errors() -> Vec<Kind> {
    let about = ipv4(17, &udp());
    let mut kinds = Vec::new();
    for code in (0..=15).chain([77]) {
        if code == 4 {
            continue;
        }
        let name = format!("unreachable, code {code}");
        kinds.push(kind(name, message(3, code, [0; 4], &about)));
    }
    for mtu in [1300_u16, 0, 68] {
        let rest = [[0, 0], mtu.to_be_bytes()].concat();
        let name = format!("fragmentation needed, MTU {mtu}");
        kinds.push(kind(name, message(3, 4, rest, &about)));
    }
    kinds.push(kind("source quench", message(4, 0, [0; 4], &about)));
    for code in 0..=4 {
        let name = format!("redirect, code {code}");
        kinds.push(kind(name, message(5, code, [10, 0, 0, 7], &about)));
    }
    for code in 0..=2 {
        let name = format!("time exceeded, code {code}");
        kinds.push(kind(name, message(11, code, [0; 4], &about)));
    }
    for code in 0..=3 {
        let name = format!("parameter problem, code {code}");
        kinds.push(kind(name, message(12, code, [21, 0, 0, 0], &about)));
    }
    kinds
}

fn quotes() -> Vec<Kind> {
    let of = |name: &str, about: &[u8]| {
        kind(
            format!("port unreachable about {name}"),
            message(3, 3, [0; 4], about),
        )
    };
    let mut kinds: Vec<Kind> = transports()
        .iter()
        .map(|(name, protocol, payload)| of(name, &ipv4(*protocol, payload)))
        .collect();

    let mut with_options = quoted(17, &udp());
    with_options.options = vec![148, 4, 0, 0];
    let mut first = quoted(17, &udp());
    first.more_fragments = true;
    let mut later = quoted(17, &udp());
    later.fragment_offset = 1480;
    let whole = ipv4(17, &udp());
    let error = message(3, 3, [0; 4], &ipv4(17, &udp()));
    let reply = message(
        14,
        0,
        [0, 5, 0, 6],
        &[[0, 0, 0, 1], [0, 0, 0, 2], [0, 0, 0, 3]].concat(),
    );
    let authenticated = [&[17, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1][..], &udp()].concat();
    kinds.extend([
        of("an echo request", &ipv4(1, &ping())),
        of("a timestamp request", &ipv4(1, &timestamp())),
        of("a timestamp reply", &ipv4(1, &reply)),
        of(
            "UDP behind an authentication header",
            &ipv4(51, &authenticated),
        ),
        of("UDP, and more behind it", &[&whole[..], b"more"].concat()),
        of("an ICMP error", &ipv4(1, &error)),
        of("IPv6 in IPv4", &ipv4(41, &ipv6(17, &udp()))),
        of("IPv4 in IPv4", &ipv4(4, &ipv4(17, &udp()))),
        of("a packet with options", &with_options.bytes()),
        of("a first fragment", &first.bytes()),
        of("a later fragment", &later.bytes()),
        of("UDP, 8 bytes of it", &whole[..28]),
        of("UDP, 4 bytes of it", &whole[..24]),
        of("UDP, 2 bytes of it", &whole[..22]),
        of("an IP header alone", &whole[..20]),
        of("half an IP header", &whole[..12]),
        of("nothing", &[]),
        of("what is no IP packet", &[0x55; 28]),
    ]);
    kinds
}

/// RFC 4884: the quote's length in words, the quote padded to at least 128
/// bytes, the extensions.
fn extended() -> Vec<Kind> {
    let mut about = ipv4(17, &udp());
    about.resize(128, 0);
    let length = 32;
    let with = |structure: &[u8]| [&about[..], structure].concat();
    let mut kinds: Vec<Kind> = extension_sets()
        .iter()
        .map(|(name, structure)| {
            kind(
                format!("time exceeded with {name}"),
                message(11, 0, [0, length, 0, 0], &with(structure)),
            )
        })
        .collect();
    let label = extensions(&[mpls(&[(77, 0, 9)])]);
    let mut unsummed = label.clone();
    unsummed[2..4].fill(0);
    let mut too_long = label.clone();
    too_long.truncate(6);
    kinds.extend([
        kind(
            "port unreachable with MPLS",
            message(3, 3, [0, length, 0, 0], &with(&label)),
        ),
        kind(
            "fragmentation needed with MPLS",
            message(3, 4, [0, length, 0x05, 0x14], &with(&label)),
        ),
        kind(
            "parameter problem with MPLS",
            message(12, 0, [20, length, 0, 0], &with(&label)),
        ),
        kind(
            "time exceeded with MPLS and no length, as before RFC 4884",
            message(11, 0, [0; 4], &with(&label)),
        ),
        kind(
            "time exceeded with a length beyond its end",
            message(11, 0, [0, 200, 0, 0], &with(&label)),
        ),
        kind(
            "time exceeded with MPLS and a length in bytes",
            message(11, 0, [0, 128, 0, 0], &with(&label)),
        ),
        kind(
            "time exceeded with MPLS, a length in bytes and no checksum",
            message(11, 0, [0, 128, 0, 0], &with(&unsummed)),
        ),
        kind(
            "time exceeded with MPLS and a length without the padding",
            message(11, 0, [0, 9, 0, 0], &with(&label)),
        ),
        kind(
            "time exceeded with a length and nothing behind",
            message(11, 0, [0, length, 0, 0], &about),
        ),
        kind(
            "time exceeded with half an extension",
            message(11, 0, [0, length, 0, 0], &with(&summed(too_long))),
        ),
    ]);
    kinds
}

fn others() -> Vec<Kind> {
    let times = [
        [0x02, 0x93, 0x2e, 0x00],
        [0x02, 0x93, 0x2e, 0x01],
        [0x80, 0, 0, 9],
    ]
    .concat();
    let routers = [[10, 0, 0, 1], [0, 0, 0, 5], [10, 0, 0, 3], [0x80, 0, 0, 0]].concat();
    let identified = |c_type, payload: Vec<u8>| {
        message(42, 0, [0, 9, 3, 1], &extensions(&[(3, c_type, payload)]))
    };
    let mut kinds = vec![
        kind("alternate host address", message(6, 0, [10, 0, 0, 9], &[])),
        kind(
            "router advertisement",
            message(9, 0, [2, 2, 0x07, 0x08], &routers),
        ),
        kind(
            "router advertisement of a mobility agent",
            message(9, 16, [2, 2, 0x07, 0x08], &routers),
        ),
        kind(
            "router advertisement of more than it has",
            message(9, 0, [5, 2, 0x07, 0x08], &routers),
        ),
        kind("router solicitation", message(10, 0, [0; 4], &[])),
        kind("timestamp request", message(13, 0, [0, 1, 0, 2], &times)),
        kind("timestamp reply", message(14, 0, [0, 1, 0, 2], &times)),
        kind(
            "timestamp reply, cut short",
            message(14, 0, [0, 1, 0, 2], &times[..6]),
        ),
        kind("information request", message(15, 0, [0, 1, 0, 2], &[])),
        kind("information reply", message(16, 0, [0, 1, 0, 2], &[])),
        kind(
            "address mask request",
            message(17, 0, [0, 1, 0, 2], &[0; 4]),
        ),
        kind(
            "address mask reply",
            message(18, 0, [0, 1, 0, 2], &[255, 255, 255, 0]),
        ),
        kind(
            "address mask reply, cut short",
            message(18, 0, [0, 1, 0, 2], &[255, 255]),
        ),
        kind("traceroute", message(30, 0, [0, 1, 0, 0], &[0; 12])),
        kind("domain name request", message(37, 0, [0, 1, 0, 2], &[])),
        kind("domain name reply", message(38, 0, [0, 1, 0, 2], &[0; 8])),
        kind("Photuris", message(40, 0, [0, 1, 0, 2], &[])),
        kind(
            "extended echo request, by name",
            identified(1, b"eth1".to_vec()),
        ),
        kind("extended echo request, by index", {
            identified(2, 7_u32.to_be_bytes().to_vec())
        }),
        kind(
            "extended echo request, by address",
            identified(3, vec![0, 1, 4, 0, 192, 0, 2, 9]),
        ),
        kind(
            "extended echo request, by nothing",
            message(42, 0, [0, 9, 3, 0], &[]),
        ),
        kind(
            "extended echo reply",
            message(43, 0, [0, 9, 3, 0b0100_0111], &[]),
        ),
        kind(
            "extended echo reply, no such interface",
            message(43, 2, [0, 9, 3, 0], &[]),
        ),
    ];
    for number in [1, 19, 39, 41, 44, 200, 253, 255] {
        kinds.push(kind(
            format!("type {number}"),
            message(number, 3, [1, 2, 3, 4], b"data"),
        ));
    }
    // A name is no longer than 63 bytes.
    let long = interface_name(&"x".repeat(63));
    kinds.push(kind("time exceeded with the longest interface name", {
        let mut data = ipv4(17, &udp());
        data.resize(128, 0);
        data.extend(extensions(&[(2, 0x02, long)]));
        message(11, 0, [0, 32, 0, 0], &data)
    }));
    kinds
}

fn unusual_headers() -> Vec<Kind> {
    let with = |options: &[u8]| Ipv4 {
        options: options.to_vec(),
        ..Ipv4::icmp(echo(2, 1, b"options"))
    };
    let mut record_route = vec![1, 7, 39, 4];
    record_route.resize(40, 0);
    let whole = echo(3, 1, &[7; 40]);
    let part = |from: usize, to: usize| Ipv4 {
        id: 0x3333,
        fragment_offset: from as u16,
        more_fragments: to < whole.len(),
        ..Ipv4::icmp(&whole[from..to])
    };
    let request = Some((8, 0));
    let tagged = Kind {
        name: "ICMPv4: echo request, priority-tagged".into(),
        expected: vec![(Family::V4, request)],
        how: How::Packet(Some(priority(3)), Ipv4::icmp(echo(2, 2, b"tag")).bytes()),
    };
    vec![
        packet(
            "echo request with a router alert",
            with(&[148, 4, 0, 0]).bytes(),
            request,
        ),
        packet(
            "echo request with 40 bytes of options",
            with(&record_route).bytes(),
            request,
        ),
        packet("first fragment", part(0, 16).bytes(), request),
        packet("middle fragment", part(16, 32).bytes(), None),
        packet("last fragment", part(32, 48).bytes(), None),
        packet("first fragment, 8 bytes", part(0, 8).bytes(), request),
        tagged,
    ]
}

fn cut_short() -> Vec<Kind> {
    let whole = echo(4, 1, &[]);
    let mut kinds: Vec<Kind> = [0, 1, 2, 4, 7]
        .into_iter()
        .map(|length| {
            packet(
                format!("{length} bytes of an echo request"),
                Ipv4::icmp(&whole[..length]).bytes(),
                (length >= 2).then_some((8, 0)),
            )
        })
        .collect();
    let mut fragment = Ipv4::icmp(&whole[..4]);
    fragment.more_fragments = true;
    kinds.push(packet(
        "first fragment, 4 bytes",
        fragment.bytes(),
        Some((8, 0)),
    ));
    kinds
}
