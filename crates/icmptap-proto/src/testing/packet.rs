//! Packets and parts of them.

use std::net::Ipv6Addr;

/// An IPv4 packet without options: ICMP from 10.0.0.1 to 10.0.0.2, with a
/// right ICMP checksum.
pub fn icmpv4(icmp_type: u8, code: u8, rest: [u8; 4], data: &[u8]) -> Vec<u8> {
    let mut icmp = icmp(icmp_type, code, rest, data);
    let sum = checksum(&icmp);
    icmp[2..4].copy_from_slice(&sum);
    ipv4([10, 0, 0, 1], [10, 0, 0, 2], 1, &icmp)
}

/// An IPv4 packet without options.
pub fn ipv4(src: [u8; 4], dst: [u8; 4], protocol: u8, data: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((20 + data.len() as u16).to_be_bytes());
    packet.extend([0, 1, 0, 0, 64, protocol, 0, 0]);
    packet.extend(src);
    packet.extend(dst);
    packet.extend(data);
    packet
}

/// An IPv6 packet without extension headers: ICMPv6 from 2001:db8::1 to
/// 2001:db8::2, with a right checksum.
pub fn icmpv6(icmp_type: u8, code: u8, rest: [u8; 4], data: &[u8]) -> Vec<u8> {
    icmpv6_behind(ICMPV6, &[], &icmp(icmp_type, code, rest, data))
}

/// An ICMPv6 packet from 2001:db8::1 to 2001:db8::2 with these extension
/// headers, the first of which has this number, and a right checksum.
pub fn icmpv6_behind(first: u8, headers: &[u8], icmp: &[u8]) -> Vec<u8> {
    let (src, dst) = (address(1), address(2));
    let message = summed(src, dst, icmp);
    ipv6(src, dst, first, &[headers, &message].concat())
}

/// An ICMPv6 packet between these, with a right checksum.
pub fn icmpv6_of(src: Ipv6Addr, dst: Ipv6Addr, icmp: &[u8]) -> Vec<u8> {
    ipv6(src, dst, ICMPV6, &summed(src, dst, icmp))
}

/// The message with a right checksum.
fn summed(src: Ipv6Addr, dst: Ipv6Addr, icmp: &[u8]) -> Vec<u8> {
    let mut pseudo = [src.octets(), dst.octets()].concat();
    pseudo.extend((icmp.len() as u32).to_be_bytes());
    pseudo.extend([0, 0, 0, ICMPV6]);
    let mut icmp = icmp.to_vec();
    icmp[2..4].fill(0);
    let sum = checksum(&[&pseudo[..], &icmp].concat());
    icmp[2..4].copy_from_slice(&sum);
    icmp
}

/// An IPv6 packet.
pub fn ipv6(src: Ipv6Addr, dst: Ipv6Addr, next_header: u8, data: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((data.len() as u16).to_be_bytes());
    packet.extend([next_header, 64]);
    packet.extend(src.octets());
    packet.extend(dst.octets());
    packet.extend(data);
    packet
}

/// 2001:db8:: and this number.
pub fn address(last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last)
}

/// An ICMP message without a checksum.
pub fn icmp(icmp_type: u8, code: u8, rest: [u8; 4], data: &[u8]) -> Vec<u8> {
    [&[icmp_type, code, 0, 0], &rest[..], data].concat()
}

/// 8 bytes of UDP: ports 5000 and 33434.
pub const UDP: [u8; 8] = [0x13, 0x88, 0x82, 0x9a, 0, 8, 0, 0];

/// The first 8 bytes of TCP: ports 5000 and 443, sequence number 12345.
pub const TCP: [u8; 8] = [0x13, 0x88, 0x01, 0xbb, 0, 0, 0x30, 0x39];

/// A quote of 128 bytes and an extension structure with these objects: class,
/// ctype, payload.
pub fn extended(quote: &[u8], objects: &[(u8, u8, &[u8])]) -> Vec<u8> {
    let mut data = quote.to_vec();
    data.resize(128, 0);
    data.extend(extensions(objects));
    data
}

/// An extension structure with a right checksum (RFC 4884).
pub fn extensions(objects: &[(u8, u8, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0x20, 0, 0, 0];
    for (class, ctype, payload) in objects {
        bytes.extend((4 + payload.len() as u16).to_be_bytes());
        bytes.extend([*class, *ctype]);
        bytes.extend(*payload);
    }
    let sum = checksum(&bytes);
    bytes[2..4].copy_from_slice(&sum);
    bytes
}

/// An option of neighbour discovery, filled up with zeros.
pub fn ndp_option(kind: u8, data: &[u8]) -> Vec<u8> {
    let len = (2 + data.len()).next_multiple_of(8);
    let mut option = vec![kind, (len / 8) as u8];
    option.extend(data);
    option.resize(len, 0);
    option
}

const ICMPV6: u8 = 58;

/// As RFC 1071 has it, word by word.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let mut sum = 0;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) * 256 + pair.get(1).map_or(0, |b| u32::from(*b));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!sum as u16).to_be_bytes()
}
