//! A message of every kind.

use super::*;

/// Records of every kind of message, each with a name.
pub fn messages() -> Vec<(&'static str, Record)> {
    [
        v4(),
        old_routers(),
        errors_v6(),
        discovery(),
        secure_discovery(),
        mobile(),
        multicast(),
        rpl(),
        malformed(),
        odd(),
    ]
    .concat()
}

fn v4() -> Vec<(&'static str, Record)> {
    let udp = ipv4([10, 0, 0, 1], [10, 0, 0, 2], 17, &UDP);
    let tcp = ipv4([10, 0, 0, 1], [10, 0, 0, 2], 6, &TCP);
    let ping = ipv4([10, 0, 0, 1], [10, 0, 0, 2], 1, &[8, 0, 0, 0, 0, 7, 0, 9]);
    let mpls = [(1, 1, &[0, 0x4d, 0x21, 0x40][..])];
    let times = [0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
    let routers = [10, 0, 0, 1, 0, 0, 0, 5, 10, 0, 0, 2, 0x80, 0, 0, 0];
    let interface = [
        &[0, 0, 0, 3, 0, 1, 0, 0, 10, 0, 0, 9, 8][..],
        b"eth0\0\0\0",
        &[0, 0, 5, 220],
    ]
    .concat();
    let one =
        |icmp_type, code, rest, data: &[u8]| Record::of_ipv4(icmpv4(icmp_type, code, rest, data));
    vec![
        ("echo-request", one(8, 0, [0, 7, 0, 1], &[0; 56])),
        ("echo-reply", one(0, 0, [0, 7, 0, 1], &[0; 56])),
        ("port-unreachable", one(3, 3, [0; 4], &udp)),
        ("fragmentation-needed", one(3, 4, [0, 0, 5, 20], &tcp)),
        ("source-quench", one(4, 0, [0; 4], &udp)),
        ("redirect", one(5, 1, [10, 0, 0, 254], &udp)),
        ("time-exceeded", one(11, 0, [0; 4], &ping)),
        (
            "time-exceeded with MPLS labels",
            one(11, 0, [0, 32, 0, 0], &extended(&udp, &mpls)),
        ),
        (
            "time-exceeded with MPLS labels, not compliant",
            one(11, 0, [0; 4], &extended(&udp, &mpls)),
        ),
        (
            "time-exceeded with interface",
            one(
                11,
                0,
                [0, 32, 0, 0],
                &extended(&udp, &[(2, 0x0f, &interface)]),
            ),
        ),
        (
            "time-exceeded with an unknown object",
            one(11, 0, [0, 32, 0, 0], &extended(&udp, &[(9, 4, b"news")])),
        ),
        ("parameter-problem", one(12, 0, [21, 0, 0, 0], &udp)),
        ("v4 router-advertisement", one(9, 0, [2, 2, 7, 8], &routers)),
        ("v4 router-solicitation", one(10, 0, [0; 4], &[])),
        ("timestamp", one(13, 0, [0, 7, 0, 1], &times)),
        ("timestamp-reply", one(14, 0, [0, 7, 0, 1], &times)),
        ("address-mask", one(17, 0, [0, 7, 0, 1], &[0; 4])),
        (
            "address-mask-reply",
            one(18, 0, [0, 7, 0, 1], &[255, 255, 255, 0]),
        ),
        (
            "extended-echo-request by name",
            one(42, 0, [0, 7, 1, 1], &extensions(&[(3, 1, b"eth0")])),
        ),
        (
            "extended-echo-request by index",
            one(42, 0, [0, 7, 1, 1], &extensions(&[(3, 2, &[0, 0, 0, 3])])),
        ),
        (
            "extended-echo-request by address",
            one(
                42,
                0,
                [0, 7, 1, 1],
                &extensions(&[(3, 3, &[0, 1, 4, 0, 10, 0, 0, 1])]),
            ),
        ),
        (
            "extended-echo-request by MAC address",
            one(
                42,
                0,
                [0, 7, 1, 0],
                &extensions(&[(3, 3, &[0x40, 5, 6, 0, 2, 0, 0, 0, 0, 1, 0, 0])]),
            ),
        ),
        ("extended-echo-reply", one(43, 0, [0, 7, 1, 0x47], &[])),
        (
            "extended-echo-reply that refuses",
            one(43, 2, [0, 7, 1, 0], &[]),
        ),
    ]
}

/// Extensions where routers before RFC 4884 put them, and what is left over.
fn old_routers() -> Vec<(&'static str, Record)> {
    let udp = ipv4([10, 0, 0, 1], [10, 0, 0, 2], 17, &UDP);
    let mpls = [(1, 1, &[0, 0x4d, 0x21, 0x40][..])];
    let whole = extended(&udp, &mpls);
    let mut unsummed = whole.clone();
    unsummed[130..132].fill(0);
    let mut version = whole.clone();
    version[128] = 0x10;
    let other = [0, 0, 0, 7, 0x40, 5, 0, 0, 2, 0, 0, 0, 0, 1];
    let mut left = extended(&udp, &mpls);
    left.extend([1, 2, 3]);
    let times = [0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
    let reply = icmp(14, 0, [0, 7, 0, 9], &times);
    let ah = [&[17, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1][..], &UDP].concat();
    let host = |protocol, data: &[u8]| ipv4([10, 0, 0, 1], [10, 0, 0, 2], protocol, data);
    let one = |length, data: &[u8]| Record::of_ipv4(icmpv4(11, 0, [0, length, 0, 0], data));
    vec![
        ("time-exceeded with a length in bytes", one(128, &whole)),
        (
            "time-exceeded with a length in bytes and no checksum",
            one(128, &unsummed),
        ),
        (
            "time-exceeded with a length without padding",
            one(7, &whole),
        ),
        ("time-exceeded with an unknown version", one(32, &version)),
        ("time-exceeded with more behind its objects", one(32, &left)),
        (
            "time-exceeded with more behind its quote",
            one(0, &[&udp[..], b"more"].concat()),
        ),
        ("time-exceeded about nothing", one(0, b"no packet")),
        (
            "time-exceeded with a malformed object",
            one(32, &extended(&udp, &[(1, 1, &[0; 3])])),
        ),
        (
            "time-exceeded with an interface that is not IP",
            one(32, &extended(&udp, &[(2, 0x8c, &other)])),
        ),
        (
            "time-exceeded about a timestamp-reply",
            one(0, &host(1, &reply)),
        ),
        (
            "time-exceeded about an error",
            one(0, &host(1, &icmp(3, 3, [0; 4], &udp))),
        ),
        ("time-exceeded behind AH", one(0, &host(51, &ah))),
    ]
}

fn one_v6(icmp_type: u8, code: u8, rest: [u8; 4], data: &[u8]) -> Record {
    Record::of_ipv6(icmpv6(icmp_type, code, rest, data), 40)
}

fn errors_v6() -> Vec<(&'static str, Record)> {
    let tcp = ipv6(address(1), address(2), 6, &TCP);
    let udp = ipv6(address(1), address(2), 17, &UDP);
    let ping = ipv6(address(1), address(2), 58, &[128, 0, 0, 0, 0, 7, 0, 9]);
    // Destination options, then a fragment header: a later fragment.
    let later = ipv6(
        address(1),
        address(2),
        60,
        &[
            44, 0, 1, 4, 0, 0, 0, 0, 17, 0, 5, 168, 0, 0, 0, 1, 1, 2, 3, 4,
        ],
    );
    let mpls = [(1, 1, &[0, 0x4d, 0x20, 64, 0, 0x16, 0x21, 64][..])];
    vec![
        ("v6 echo-request", one_v6(128, 0, [0, 7, 0, 1], &[0; 56])),
        ("v6 echo-reply", one_v6(129, 0, [0, 7, 0, 1], &[0; 56])),
        ("v6 port-unreachable", one_v6(1, 4, [0; 4], &udp)),
        (
            "v6 port-unreachable with MPLS labels",
            one_v6(1, 4, [16, 0, 0, 0], &extended(&udp, &mpls)),
        ),
        ("v6 packet-too-big", one_v6(2, 0, [0, 0, 5, 0], &tcp)),
        ("v6 time-exceeded", one_v6(3, 0, [0; 4], &ping)),
        ("v6 reassembly", one_v6(3, 1, [0; 4], &later)),
        ("v6 parameter-problem", one_v6(4, 1, [0, 0, 0, 40], &udp)),
        (
            "v6 extended-echo-request",
            one_v6(160, 0, [0, 7, 1, 1], &extensions(&[(3, 1, b"eth0")])),
        ),
        (
            "v6 extended-echo-reply",
            one_v6(161, 0, [0, 7, 1, 0x45], &[]),
        ),
    ]
}

fn discovery() -> Vec<(&'static str, Record)> {
    let (one, two) = (address(1).octets(), address(2).octets());
    let lladdr = |kind| ndp_option(kind, &[2, 0, 0, 0, 0, 1]);
    let prefix = [
        &[64, 0xc0, 0, 1, 0x51, 0x80, 0, 0, 0x38, 0x40, 0, 0, 0, 0][..],
        &address(0).octets(),
    ]
    .concat();
    let dns = [&[0, 0, 0, 0, 7, 8][..], &one, &two].concat();
    let search = [&[0, 0, 0, 0, 7, 8][..], b"\x07example\x03org\0\x03lan\0"].concat();
    let advertisement = [
        vec![0, 0, 0x75, 0x30, 0, 0, 3, 0xe8],
        lladdr(1),
        ndp_option(5, &[0, 0, 0, 0, 5, 0xdc]),
        ndp_option(3, &prefix),
        ndp_option(
            24,
            &[&[48, 8, 0, 0, 7, 8][..], &address(0).octets()[..8]].concat(),
        ),
        ndp_option(25, &dns),
        ndp_option(31, &search),
        ndp_option(37, b"https://example.org/api"),
        ndp_option(
            38,
            &[0x07, 0x08, 0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0],
        ),
        ndp_option(14, &[1, 2, 3, 4, 5, 6]),
    ]
    .concat();
    let quote = ipv6(address(1), address(2), 17, &UDP);
    let redirected = ndp_option(4, &[&[0; 6][..], &quote].concat());
    vec![
        ("router-solicitation", one_v6(133, 0, [0; 4], &lladdr(1))),
        (
            "router-advertisement",
            one_v6(134, 0, [64, 0xc8, 7, 8], &advertisement),
        ),
        (
            "neighbor-solicitation",
            one_v6(135, 0, [0; 4], &[&two[..], &lladdr(1)].concat()),
        ),
        (
            "neighbor-advertisement",
            one_v6(136, 0, [0xe0, 0, 0, 0], &[&two[..], &lladdr(2)].concat()),
        ),
        (
            "v6 redirect",
            one_v6(
                137,
                0,
                [0; 4],
                &[&one[..], &two, &lladdr(2), &redirected].concat(),
            ),
        ),
    ]
}

/// Inverse, secure, and in low-power networks; provisioning domains.
fn secure_discovery() -> Vec<(&'static str, Record)> {
    let (one, two) = (address(1).octets(), address(2).octets());
    let list = ndp_option(9, &[&[0; 6][..], &one, &two].concat());
    let owner = [2, 0, 0, 0xff, 0xfe, 0, 0, 1];
    let registration = ndp_option(33, &[&[0, 0, 0, 0, 0, 60][..], &owner].concat());
    let extended = ndp_option(33, &[&[3, 5, 0x03, 9, 0, 60][..], &owner, &owner].concat());
    let cga = [&[1, 0][..], &[7; 16], &one[..8], &[1], b"ke"].concat();
    let signed = [
        ndp_option(11, &cga),
        ndp_option(13, &[0, 0, 0, 0, 0, 0, 0, 0, 0x5f, 0, 0, 0, 0x80, 0]),
        ndp_option(14, &[1, 2, 3, 4, 5, 6]),
        ndp_option(12, &[&[0, 0][..], &[9; 16], b"sign"].concat()),
    ]
    .concat();
    let mtu = ndp_option(5, &[0, 0, 0, 0, 5, 0]);
    let router = [&[134, 0, 0, 0, 64, 0x80, 0, 60][..], &[0; 8]].concat();
    let pvd = |flags, rest: &[u8]| {
        ndp_option(
            21,
            &[
                &[flags, 1, 0, 7][..],
                b"\x03pvd\x07example\0\0\0\0\0\0",
                rest,
            ]
            .concat(),
        )
    };
    let advertisement =
        |options: &[u8]| one_v6(134, 0, [64, 0, 7, 8], &[&[0; 8], options].concat());
    let anchors = [
        ndp_option(
            15,
            &[2, 3, 5, b'a', b'.', b'b', b'c', b'd', 1, b'e', 0, 0, 0, 0],
        ),
        ndp_option(15, &[1, 0, 0x30, 0, 0, 0]),
    ]
    .concat();
    vec![
        (
            "inverse-neighbor-discovery-solicitation",
            one_v6(
                141,
                0,
                [0; 4],
                &[ndp_option(1, &[2; 6]), list.clone()].concat(),
            ),
        ),
        (
            "inverse-neighbor-discovery-advertisement",
            one_v6(142, 0, [0; 4], &[&[10][..], &list[1..]].concat()),
        ),
        (
            "neighbor-solicitation with a registration",
            one_v6(135, 0, [0; 4], &[&two[..], &registration].concat()),
        ),
        (
            "neighbor-advertisement with a registration",
            one_v6(136, 0, [0; 4], &[&two[..], &extended].concat()),
        ),
        (
            "neighbor-solicitation with a signature",
            one_v6(135, 0, [0; 4], &[&two[..], &signed].concat()),
        ),
        (
            "router-advertisement with a domain",
            advertisement(&pvd(0xc0, &mtu)),
        ),
        (
            "router-advertisement with another one in a domain",
            advertisement(&pvd(0x20, &[router, mtu, pvd(0, &[])].concat())),
        ),
        (
            "certification-path-solicitation",
            one_v6(148, 0, [0, 7, 0xff, 0xff], &anchors),
        ),
        (
            "certification-path-advertisement",
            one_v6(
                149,
                0,
                [0, 7, 0, 2],
                &[&[0, 1, 0, 0][..], &ndp_option(16, b"\x01\0cert")].concat(),
            ),
        ),
    ]
}

fn mobile() -> Vec<(&'static str, Record)> {
    let agents = [address(1).octets(), address(2).octets()].concat();
    let prefix = [&[64, 0xe0][..], &[0; 12], &address(1).octets()].concat();
    vec![
        (
            "home-agent-address-discovery-request",
            one_v6(144, 0, [0, 7, 0, 0], &[]),
        ),
        (
            "home-agent-address-discovery-reply",
            one_v6(145, 0, [0, 7, 0, 0], &agents),
        ),
        (
            "mobile-prefix-solicitation",
            one_v6(146, 0, [0, 7, 0, 0], &[]),
        ),
        (
            "mobile-prefix-advertisement",
            one_v6(147, 0, [0, 7, 0x80, 0], &ndp_option(3, &prefix)),
        ),
    ]
}

fn rpl() -> Vec<(&'static str, Record)> {
    let dodag = address(1).octets();
    let information = [
        &[0x8b, 7, 0, 0][..],
        &dodag,
        &[4, 2, 1, 2],
        &[0, 1, 1, 0],
        &[2, 1, 9],
    ]
    .concat();
    let target = [5, 3, 0, 8, 0x20];
    vec![
        ("rpl DIS", one_v6(155, 0, [0, 0, 0, 0], &[])),
        ("rpl DIO", one_v6(155, 1, [30, 240, 1, 0], &information)),
        (
            "rpl DAO",
            one_v6(155, 2, [30, 0xc0, 0, 241], &[&dodag[..], &target].concat()),
        ),
        (
            "rpl DAO without DODAG",
            one_v6(155, 2, [30, 0, 0, 241], &target),
        ),
        ("rpl DAO-ACK", one_v6(155, 3, [30, 0x80, 241, 130], &dodag)),
        (
            "rpl DAO with a malformed option",
            one_v6(155, 2, [30, 0, 0, 241], &target[..4]),
        ),
        ("rpl secure DIO", one_v6(155, 0x81, [1, 2, 3, 4], b"more")),
    ]
}

/// What receivers have to ignore.
fn malformed() -> Vec<(&'static str, Record)> {
    let options = [
        ndp_option(3, &[64; 38]),
        ndp_option(5, &[0; 14]),
        ndp_option(25, &[0; 6]),
        ndp_option(31, &[0; 6]),
        ndp_option(38, &[0; 22]),
        vec![1],
    ]
    .concat();
    let mut home = icmpv6_behind(
        60,
        &[&[58, 2, 1, 2, 0, 0, 0xc9, 16][..], &address(7).octets()].concat(),
        &icmp(128, 0, [0, 7, 0, 1], b"ping"),
    );
    home[66] ^= 1;
    vec![
        (
            "router-advertisement with malformed options",
            one_v6(134, 0, [64, 0, 7, 8], &[&[0; 8], &options[..]].concat()),
        ),
        (
            "a short router-advertisement",
            one_v6(134, 0, [64, 0, 7, 8], &[0; 4]),
        ),
        (
            "a query of 26 bytes",
            one_v6(130, 0, [0x27, 0x10, 0, 0], &[0; 18]),
        ),
        ("a home address", Record::of_ipv6(home, 64)),
    ]
}

fn multicast() -> Vec<(&'static str, Record)> {
    let (group, source) = (address(0xfb).octets(), address(1).octets());
    let query = [&group[..], &[0x0a, 0x8f, 0, 1], &source].concat();
    let report = [
        &[4, 0, 0, 0][..],
        &group,
        &[1, 1, 0, 2],
        &group,
        &source,
        &source,
        b"more",
    ]
    .concat();
    vec![
        ("MLDv1 query", one_v6(130, 0, [0x27, 0x10, 0, 0], &[0; 16])),
        ("MLDv2 query", one_v6(130, 0, [0x90, 0x01, 0, 0], &query)),
        ("MLDv1 report", one_v6(131, 0, [0; 4], &group)),
        ("MLDv1 done", one_v6(132, 0, [0; 4], &group)),
        ("MLDv2 report", one_v6(143, 0, [0, 0, 0, 2], &report)),
    ]
}

/// Other types and families, extension headers, fragments, short packets.
fn odd() -> Vec<(&'static str, Record)> {
    let ping = icmp(128, 0, [0, 7, 0, 1], b"ping");
    let hop_by_hop = [58, 0, 5, 2, 0, 0, 1, 0];
    let first = [58, 0, 0, 1, 0, 0, 0, 1];
    let v4 = Record::of_ipv4(icmpv4(8, 0, [0, 7, 0, 1], &[0; 56]));
    let mut later = v4.clone();
    later.packet[6..8].copy_from_slice(&[0, 185]);
    vec![
        ("an unknown type", one_v6(77, 5, [0; 4], b"data")),
        (
            "an unknown v4 type",
            Record::of_ipv4(icmpv4(77, 5, [0; 4], b"data")),
        ),
        (
            "an unknown family",
            Record {
                family: 7,
                ..v4.clone()
            },
        ),
        (
            "hop-by-hop options",
            Record::of_ipv6(icmpv6_behind(0, &hop_by_hop, &ping), 48),
        ),
        (
            "a first fragment",
            Record {
                flags: 2,
                ..Record::of_ipv6(icmpv6_behind(44, &first, &ping), 48)
            },
        ),
        (
            "a later fragment",
            Record {
                flags: 2 | 4,
                icmp_offset: 0,
                icmp_type: 0,
                icmp_code: 0,
                ..later
            },
        ),
        (
            "a malformed packet",
            Record {
                flags: 4 | 8,
                icmp_offset: 0,
                icmp_type: 0,
                icmp_code: 0,
                packet: v4.packet[..21].to_vec(),
                ..v4.clone()
            },
        ),
        (
            "a VLAN",
            Record {
                flags: 16 | 32,
                vlan_tci: 0x6007,
                oif: 3,
                mark: 5,
                ..v4.clone()
            },
        ),
        (
            "nothing kept",
            Record {
                flags: 1,
                origlen: Some(84),
                packet: vec![],
                ..v4
            },
        ),
    ]
}
