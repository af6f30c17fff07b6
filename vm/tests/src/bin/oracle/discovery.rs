//! Messages made by hand that carry options of neighbour discovery.

use std::net::Ipv6Addr;

use icmptap_vm_tests::packet::Ipv6;

use super::Kind;
use super::quote::{ipv6, udp};
use super::v6::{address, kind, message, packet};

pub(crate) fn kinds() -> Vec<Kind> {
    [routers(), neighbours(), options(), secure(), mobile()]
        .into_iter()
        .flatten()
        .collect()
}

fn source_link() -> Vec<u8> {
    vec![1, 1, 2, 0, 0, 0, 0, 1]
}

fn target_link() -> Vec<u8> {
    vec![2, 1, 2, 0, 0, 0, 0, 2]
}

fn prefix() -> Vec<u8> {
    let mut option = vec![3, 4, 64, 0xe0];
    option.extend(2_592_000_u32.to_be_bytes());
    option.extend(604_800_u32.to_be_bytes());
    option.extend([0; 4]);
    option.extend(address("fd00:5::"));
    option
}

fn routers() -> Vec<Kind> {
    let advertisement = |flags: u8, lifetime: u16, options: &[u8]| {
        let mut data = vec![0, 0, 0x75, 0x30, 0, 0, 0x03, 0xe8];
        data.extend(options);
        let lifetime = lifetime.to_be_bytes();
        message(134, 0, [64, flags, lifetime[0], lifetime[1]], &data)
    };
    let mtu = [&[5, 1, 0, 0][..], &1400_u32.to_be_bytes()].concat();
    let everything = [source_link(), mtu, prefix()].concat();
    vec![
        kind("router solicitation", message(133, 0, [0; 4], &[])),
        kind(
            "router solicitation with a link address",
            message(133, 0, [0; 4], &source_link()),
        ),
        kind("router advertisement", advertisement(0, 1800, &[])),
        kind(
            "router advertisement, all flags, high preference",
            advertisement(0b1110_1100, 9000, &[]),
        ),
        kind(
            "router advertisement, low preference",
            advertisement(0b0001_1000, 0, &[]),
        ),
        kind(
            "router advertisement with link address, MTU and prefix",
            advertisement(0xc0, 1800, &everything),
        ),
        kind(
            "router advertisement, cut short",
            message(134, 0, [64, 0, 0, 0], &[0; 4]),
        ),
    ]
}

fn neighbours() -> Vec<Kind> {
    let target = address("fd00::99");
    let with = |options: &[u8]| [&target[..], options].concat();
    let nonce = [14, 1, 1, 2, 3, 4, 5, 6];
    let mut probe = Ipv6::icmp(message(135, 0, [0; 4], &with(&nonce)));
    probe.src = Ipv6Addr::UNSPECIFIED;
    probe.dst = "ff02::1:ff00:99".parse().expect("an address");
    let mut far = Ipv6::icmp(message(135, 0, [0; 4], &target));
    far.hop_limit = 64;

    let ends = [address("fe80::7"), address("fd00:9::1")].concat();
    let mut about = ipv6(17, &udp());
    about.resize(about.len().next_multiple_of(8), 0);
    let mut header = vec![4, 0, 0, 0, 0, 0, 0, 0];
    header[1] = u8::try_from(1 + about.len() / 8).expect("short");
    header.extend(about);
    let redirect = [ends.clone(), target_link(), header].concat();
    vec![
        kind(
            "neighbour solicitation",
            message(135, 0, [0; 4], &with(&source_link())),
        ),
        packet(
            "neighbour solicitation, is the address free?",
            probe.summed().bytes(),
            Some((135, 0)),
        ),
        packet(
            "neighbour solicitation from beyond a router",
            far.summed().bytes(),
            Some((135, 0)),
        ),
        kind(
            "neighbour solicitation, cut short",
            message(135, 0, [0; 4], &target[..8]),
        ),
        kind(
            "neighbour advertisement, all flags",
            message(136, 0, [0xe0, 0, 0, 0], &with(&target_link())),
        ),
        kind(
            "neighbour advertisement, solicited",
            message(136, 0, [0x40, 0, 0, 0], &target),
        ),
        kind("redirect", message(137, 0, [0; 4], &redirect)),
        kind("redirect without options", message(137, 0, [0; 4], &ends)),
        kind("redirect, cut short", message(137, 0, [0; 4], &ends[..24])),
    ]
}

/// Options of neighbour discovery, each in a router advertisement.
fn options() -> Vec<Kind> {
    let lifetime = 1200_u32.to_be_bytes();
    let option = |head: &[u8], rest: &[&[u8]]| {
        let mut bytes = head.to_vec();
        bytes.extend(rest.concat());
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes[1] = u8::try_from(bytes.len() / 8).expect("short");
        bytes
    };
    let server = address("2001:db8::53");
    let other = address("2001:db8::54");
    let names = b"\x07example\x03org\x00\x03lab\x00";
    let link = &source_link()[..];
    let list: Vec<(&str, Vec<u8>)> = vec![
        (
            "two DNS servers",
            option(&[25, 0, 0, 0], &[&lifetime, &server, &other]),
        ),
        (
            "a DNS search list",
            option(&[31, 0, 0, 0], &[&lifetime, names]),
        ),
        (
            "a route",
            option(
                &[24, 0, 48, 0b0000_1000],
                &[&lifetime, &address("2001:db8:5::")],
            ),
        ),
        (
            "a default route, low preference",
            option(&[24, 0, 0, 0b0001_1000], &[&lifetime]),
        ),
        (
            "an advertisement interval",
            option(&[7, 0, 0, 0], &[&600_000_u32.to_be_bytes()]),
        ),
        (
            "home agent information",
            option(&[8, 0, 0, 0], &[&[0, 5, 0x07, 0x08]]),
        ),
        (
            "a captive portal",
            option(&[37, 0], &[b"https://portal.example/"]),
        ),
        (
            "a NAT64 prefix",
            option(&[38, 0, 0x25, 0x80], &[&address("64:ff9b::")[..12]]),
        ),
        ("flags to come", option(&[26, 0, 0x80, 0, 0, 0, 0, 0], &[])),
        ("a nonce of 14 bytes", option(&[14, 0], &[&[9; 14]])),
        (
            "a link address of 8 bytes",
            option(&[1, 0], &[&[1, 2, 3, 4, 5, 6, 7, 8]]),
        ),
        ("an unknown option", option(&[250, 0], &[&[1; 14]])),
        (
            "an option of no length",
            [link, &[3, 0, 0, 0, 0, 0, 0, 0]].concat(),
        ),
        (
            "an option that runs over the end",
            [link, &[3, 4, 64, 0, 0, 0, 0, 0]].concat(),
        ),
        ("half an option's head", [link, &[5]].concat()),
        (
            "a malformed prefix, 8 bytes",
            vec![3, 1, 64, 0xc0, 0, 0, 0, 0],
        ),
        (
            "a malformed DNS server, no address",
            option(&[25, 0, 0, 0], &[&lifetime]),
        ),
        (
            "a malformed DNS search list, no name",
            option(&[31, 0, 0, 0], &[&lifetime]),
        ),
        (
            "a malformed DNS search list, garbage",
            option(&[31, 0, 0, 0], &[&lifetime, b"\x03lab\x00\x9a\x11\x07"]),
        ),
        (
            "a DNS search list with a dot in a label",
            option(&[31, 0, 0, 0], &[&lifetime, b"\x05a.b.c\x03org\x00"]),
        ),
        (
            "a malformed MTU, 16 bytes",
            option(&[5, 0, 0, 0, 0, 0, 5, 0], &[&[0; 8]]),
        ),
        (
            "a malformed prefix, 40 bytes",
            option(&prefix(), &[&[0; 8]]),
        ),
        ("a malformed prefix, 129 bits", {
            let mut option = prefix();
            option[2] = 129;
            option
        }),
        (
            "a malformed NAT64 prefix, 24 bytes",
            option(
                &[38, 0, 0x25, 0x80],
                &[&address("64:ff9b::")[..12], &[0; 8]],
            ),
        ),
        (
            "a NAT64 prefix of 32 bits, and more",
            option(
                &[38, 0, 0x25, 0x85],
                &[&address("2001:db8:1:2:3:4::")[..12]],
            ),
        ),
        (
            "a provisioning domain",
            option(&[21, 0, 0xc0, 1, 0, 7], &[b"\x03pvd\x07example\x00"]),
        ),
    ];
    list.into_iter()
        .map(|(name, option)| {
            let data = [&[0, 0, 0x75, 0x30, 0, 0, 0x03, 0xe8], &option[..]].concat();
            kind(
                format!("router advertisement with {name}"),
                message(134, 0, [64, 0, 0x07, 0x08], &data),
            )
        })
        .collect()
}

/// Secure and inverse neighbour discovery, and the registration of addresses.
fn secure() -> Vec<Kind> {
    let target = address("fd00::99");
    let owner = [2, 0, 0, 0xff, 0xfe, 0, 0, 1];
    let addresses = |number: u8| {
        let list = [address("fd00::1"), address("fd00::2")].concat();
        [&[number, 5, 0, 0, 0, 0, 0, 0][..], &list].concat()
    };
    let registration = [&[33, 2, 1, 0, 0, 0, 0, 60][..], &owner].concat();
    let extended = [&[33, 2, 0, 4, 3, 9, 0, 60][..], &owner].concat();
    let timestamp = [13, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0x5f, 0, 0, 0, 0, 0];
    let signature = [&[12, 4, 0, 0][..], &[9; 28]].concat();
    let anchor = b"\x0f\x02\x02\x01\x06anchor\x02db\x00\x00";
    let solicitation = |options: &[u8]| message(135, 0, [0; 4], &[&target[..], options].concat());
    vec![
        kind(
            "neighbour solicitation that registers",
            solicitation(&registration),
        ),
        kind(
            "neighbour solicitation that registers as RFC 8505 has it",
            solicitation(&extended),
        ),
        kind(
            "neighbour solicitation with a timestamp",
            solicitation(&timestamp),
        ),
        kind(
            "neighbour solicitation with a signature",
            solicitation(&signature),
        ),
        kind(
            "inverse neighbour solicitation",
            message(141, 0, [0; 4], &[source_link(), addresses(9)].concat()),
        ),
        kind(
            "inverse neighbour advertisement",
            message(142, 0, [0; 4], &[target_link(), addresses(10)].concat()),
        ),
        kind(
            "certification path solicitation",
            message(148, 0, [0, 7, 0xff, 0xff], anchor),
        ),
        kind(
            "certification path advertisement",
            message(149, 0, [0, 7, 0, 2], &[&[0, 1, 0, 0][..], anchor].concat()),
        ),
    ]
}

/// Mobile IPv6 (RFC 6275).
fn mobile() -> Vec<Kind> {
    let agents = [address("fd00::7"), address("fd00::8")].concat();
    vec![
        kind(
            "home agent address discovery request",
            message(144, 0, [0, 7, 0, 0], &[]),
        ),
        kind(
            "home agent address discovery reply",
            message(145, 0, [0, 7, 0, 0], &agents),
        ),
        kind(
            "mobile prefix solicitation",
            message(146, 0, [0, 7, 0, 0], &[]),
        ),
        kind(
            "mobile prefix advertisement",
            message(147, 0, [0, 7, 0xc0, 0], &prefix()),
        ),
    ]
}
