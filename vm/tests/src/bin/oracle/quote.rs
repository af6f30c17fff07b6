//! What ICMP errors carry: the packet that they are about, and the extensions
//! behind it.

use icmptap_vm_tests::net::Wire;
use icmptap_vm_tests::packet::{Ipv4, Ipv6, checksum, echo, message};

/// An IPv4 packet from the host to the router.
pub(crate) fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    quoted(protocol, payload).bytes()
}

/// The same, to be changed.
pub(crate) fn quoted(protocol: u8, payload: &[u8]) -> Ipv4 {
    Ipv4 {
        src: Wire::RIGHT,
        dst: Wire::LEFT,
        id: 0x4242,
        protocol,
        ..Ipv4::icmp(payload)
    }
}

/// An IPv6 packet from the host to the router.
pub(crate) fn ipv6(protocol: u8, payload: &[u8]) -> Vec<u8> {
    quoted6(protocol, payload).bytes()
}

/// The same, to be changed.
pub(crate) fn quoted6(protocol: u8, payload: &[u8]) -> Ipv6 {
    Ipv6 {
        src: Wire::RIGHT6,
        dst: Wire::LEFT6,
        hop_limit: 1,
        protocol,
        ..Ipv6::icmp(payload)
    }
}

/// A packet of each transport, to be quoted: its name, protocol and payload.
pub(crate) fn transports() -> Vec<(&'static str, u8, Vec<u8>)> {
    vec![
        ("UDP", 17, udp()),
        ("TCP", 6, tcp()),
        ("TCP, 8 bytes", 6, tcp()[..8].to_vec()),
        ("TCP, 4 bytes", 6, tcp()[..4].to_vec()),
        ("SCTP", 132, sctp()),
        ("UDP-Lite", 136, udp()),
        ("DCCP", 33, [udp(), vec![0; 8]].concat()),
        ("GRE", 47, vec![0, 0, 0x08, 0]),
        ("ESP", 50, vec![0, 0, 0x10, 0, 0, 0, 0, 7, 1, 2, 3, 4]),
        ("an unknown protocol", 253, vec![0xaa; 12]),
    ]
}

pub(crate) fn udp() -> Vec<u8> {
    let mut udp = vec![0x13, 0x88, 0x82, 0x9a, 0, 16, 0, 0];
    udp.extend(b"quoted!!");
    udp
}

pub(crate) fn tcp() -> Vec<u8> {
    let mut tcp = vec![0x9c, 0x40, 0x01, 0xbb];
    tcp.extend(0x1234_5678_u32.to_be_bytes());
    tcp.extend(0x9abc_def0_u32.to_be_bytes());
    tcp.extend([0x50, 0x18, 0x20, 0x00, 0, 0, 0, 0]);
    tcp
}

fn sctp() -> Vec<u8> {
    // Ports, verification tag, checksum; a COOKIE ACK.
    let mut sctp = vec![0x0b, 0x59, 0x0b, 0x5a, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 0];
    sctp.extend([11, 0, 0, 4]);
    sctp
}

/// An echo request within a quote.
pub(crate) fn ping() -> Vec<u8> {
    echo(0x7777, 9, b"quoted")
}

/// A timestamp request within a quote.
pub(crate) fn timestamp() -> Vec<u8> {
    message(13, 0, [0, 5, 0, 6], &[0; 12])
}

/// An RFC 4884 structure of these objects (class, C-type, payload), with its
/// checksum.
pub(crate) fn extensions(objects: &[(u8, u8, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = vec![0x20, 0, 0, 0];
    for (class, c_type, payload) in objects {
        let length = u16::try_from(4 + payload.len()).expect("short");
        bytes.extend(length.to_be_bytes());
        bytes.extend([*class, *c_type]);
        bytes.extend(payload);
    }
    summed(bytes)
}

/// Makes the checksum of an extension structure right.
pub(crate) fn summed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[2..4].fill(0);
    let sum = checksum(&bytes);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// An MPLS label stack (RFC 4950) of these: label, traffic class, TTL.
pub(crate) fn mpls(entries: &[(u32, u32, u32)]) -> (u8, u8, Vec<u8>) {
    let stack = entries.iter().enumerate().flat_map(|(nth, entry)| {
        let bottom = u32::from(nth + 1 == entries.len());
        let (label, class, ttl) = entry;
        (label << 12 | class << 9 | bottom << 8 | ttl).to_be_bytes()
    });
    (1, 1, stack.collect())
}

/// An interface's name as RFC 5837 has it: length, name, padding.
pub(crate) fn interface_name(name: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(name.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes[0] = bytes.len().try_into().expect("short");
    bytes
}

/// Sets of extension objects, by name.
pub(crate) fn extension_sets() -> Vec<(&'static str, Vec<u8>)> {
    let index = 7_u32.to_be_bytes().to_vec();
    let ipv4 = vec![0, 1, 0, 0, 192, 0, 2, 9];
    let ipv6 = [&[0, 2, 0, 0][..], &Wire::LEFT6.octets()].concat();
    let mtu = 1300_u32.to_be_bytes().to_vec();
    let name = interface_name("eth1");

    let one_label = mpls(&[(16001, 3, 254)]);
    let mut broken = extensions(std::slice::from_ref(&one_label));
    broken[2] ^= 0xff;
    let mut version = extensions(std::slice::from_ref(&one_label));
    version[0] = 0x10;
    let mut unsummed = extensions(std::slice::from_ref(&one_label));
    unsummed[2..4].fill(0);
    let mut short = extensions(std::slice::from_ref(&one_label));
    short[4..6].copy_from_slice(&3_u16.to_be_bytes());
    let mut long = extensions(std::slice::from_ref(&one_label));
    long[4..6].copy_from_slice(&40_u16.to_be_bytes());
    vec![
        ("MPLS", extensions(std::slice::from_ref(&one_label))),
        (
            "a stack of three MPLS labels",
            extensions(&[mpls(&[(24_000, 0, 1), (1_048_575, 7, 255), (3, 1, 64)])]),
        ),
        (
            "an interface with all that there is",
            extensions(&[(2, 0x0f, [&index[..], &ipv4, &name, &mtu].concat())]),
        ),
        (
            "an outgoing interface's index and IPv6 address",
            extensions(&[(2, 0x8c, [&index[..], &ipv6].concat())]),
        ),
        (
            "an interface whose address is not IP",
            extensions(&[(
                2,
                0x8c,
                [&index[..], &[0x40, 5, 0, 0, 2, 0, 0, 0, 0, 1, 0, 0]].concat(),
            )]),
        ),
        (
            "a label stack of three bytes",
            extensions(&[(1, 1, vec![1, 2, 3])]),
        ),
        (
            "a next hop's IPv4 address",
            extensions(&[(2, 0xc4, ipv4.clone())]),
        ),
        (
            "a sub-IP interface's name",
            extensions(&[(2, 0x42, interface_name("ge-0/0/1.100"))]),
        ),
        (
            "an interface's name and MTU",
            extensions(&[(2, 0x03, [&name[..], &mtu].concat())]),
        ),
        ("MPLS and an interface", {
            extensions(&[one_label.clone(), (2, 0x09, [&index[..], &mtu].concat())])
        }),
        (
            "an unknown class",
            extensions(&[(250, 7, vec![1, 2, 3, 4])]),
        ),
        ("no object", extensions(&[])),
        ("a bad checksum", broken),
        ("no checksum", unsummed),
        ("version 1", summed(version)),
        ("an object shorter than its header", summed(short)),
        ("an object that runs over the end", summed(long)),
        (
            "an interface that ends early",
            extensions(&[(2, 0x0f, index)]),
        ),
    ]
}
