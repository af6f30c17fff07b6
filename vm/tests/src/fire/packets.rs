//! Packets at random: ICMP of both families, good, broken and in pieces; and what a
//! record has to say of one.

use std::net::{Ipv4Addr, Ipv6Addr};

use fastrand::Rng;
use icmptap::Family;

use crate::packet::number::{
    AUTH, DESTINATION, FRAGMENT, HOP_BY_HOP, ICMP, ICMPV6, NO_NEXT, ROUTING,
};
use crate::packet::{Ipv4, Ipv6, checksum};

/// The module follows so many extension headers.
const EXTENSIONS_MAX: usize = 32;

/// What a record has to say of a packet, beside its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// It is a fragment, the first or a later one.
    pub fragment: bool,
    /// It ends within its ICMP header.
    pub malformed: bool,
    /// Type and code, where they are in it.
    pub type_and_code: Option<(u8, u8)>,
}

/// The facts about a packet, or `None` if it is not ICMP. Written from
/// docs/protocol.md.
pub fn facts(family: Family, bytes: &[u8]) -> Option<Facts> {
    let (offset, fragment, later) = match family {
        Family::Ipv4 => find_v4(bytes)?,
        _ => find_v6(bytes)?,
    };
    let offset = offset.filter(|_| !later);
    let here = offset.and_then(|offset| bytes.get(offset..));
    Some(Facts {
        fragment,
        malformed: !later && here.is_none_or(|icmp| icmp.len() < 8),
        type_and_code: here.and_then(|icmp| Some((*icmp.first()?, *icmp.get(1)?))),
    })
}

/// Where the ICMP header is, unless the IP header is too short for one; whether the
/// packet is a fragment, and a later one.
type Found = (Option<usize>, bool, bool);

fn find_v4(bytes: &[u8]) -> Option<Found> {
    if bytes[9] != ICMP {
        return None;
    }
    let header = usize::from(bytes[0] & 0xf) * 4;
    let fragment = u16::from_be_bytes([bytes[6], bytes[7]]);
    let later = fragment & 0x1fff != 0;
    let offset = (header >= 20).then_some(header);
    Some((offset, fragment & 0x3fff != 0, later && header >= 20))
}

fn find_v6(bytes: &[u8]) -> Option<Found> {
    let (mut next, mut offset, mut fragment) = (bytes[6], 40, 0);
    for nth in 0.. {
        let is_extension = [HOP_BY_HOP, ROUTING, FRAGMENT, AUTH, DESTINATION].contains(&next);
        if !is_extension || next == NO_NEXT {
            let found = (Some(offset), fragment & 0xfff9 != 0, false);
            return (next == ICMPV6).then_some(found);
        }
        if nth == EXTENSIONS_MAX {
            break;
        }
        let header = bytes.get(offset..offset + 8)?;
        let length = usize::from(header[1]);
        match next {
            FRAGMENT => {
                fragment |= u16::from_be_bytes([header[2], header[3]]);
                if fragment & 0xfff8 != 0 {
                    return (header[0] == ICMPV6).then_some((None, true, true));
                }
                offset += 8;
            }
            AUTH => offset += (length + 2) * 4,
            _ => offset += (length + 1) * 8,
        }
        next = header[0];
    }
    None
}

/// A packet's bytes as the receiving kernel sees them: without what its header does
/// not count.
pub fn seen(bytes: &[u8]) -> &[u8] {
    let length = match bytes.first().map(|byte| byte >> 4) {
        Some(4) if bytes.len() >= 20 => usize::from(u16::from_be_bytes([bytes[2], bytes[3]])),
        Some(6) if bytes.len() >= 40 => match u16::from_be_bytes([bytes[4], bytes[5]]) {
            0 if bytes[6] == HOP_BY_HOP => bytes.len(),
            length => 40 + usize::from(length),
        },
        _ => bytes.len(),
    };
    // What cannot be is dropped, and compared with nothing.
    bytes.get(..length.max(20)).unwrap_or(bytes)
}

/// The start of a packet without what a router changes, and without IPv4 options,
/// which it may: by this a packet is known again.
pub fn known_by(family: Family, bytes: &[u8]) -> Vec<u8> {
    let mut key = bytes[..bytes.len().min(100)].to_vec();
    if family != Family::Ipv4 {
        key[7] = 0;
        return key;
    }
    key[8] = 0;
    key[10..12].fill(0);
    let header = usize::from(key[0] & 0xf) * 4;
    if header > 20 && header <= key.len() {
        key[20..header].fill(0);
    }
    key
}

/// Whether the checksum of an IPv4 header is right.
pub fn is_sum_right(bytes: &[u8]) -> bool {
    let header = usize::from(bytes[0] & 0xf) * 4;
    bytes
        .get(..header)
        .is_some_and(|header| checksum(header) == 0)
}

/// Makes the checksum of an IPv4 header right, as far as it is here.
pub fn sum(bytes: &mut [u8]) {
    let header = usize::from(bytes[0] & 0xf) * 4;
    if let Some(header) = bytes.get_mut(..header)
        && header.len() >= 20
    {
        header[10..12].fill(0);
        let sum = checksum(header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
    }
}

/// Bytes of an ICMP message: as short as one can be, or too short, or as long as
/// `most`.
fn message(rng: &mut Rng, most: usize) -> Vec<u8> {
    let length = match rng.u32(..150) {
        0 => rng.usize(..most),
        1..20 => rng.usize(..8),
        20..30 => rng.usize(..1400),
        _ => rng.usize(8..150),
    };
    let mut message = vec![0; length];
    rng.fill(&mut message);
    message
}

/// A good IPv4 packet, by its header; the ICMP message may be anything. `id` is in
/// it, and what is not a multiple of 0 comes back the same.
pub fn ipv4(rng: &mut Rng, id: u16, src: Ipv4Addr, dst: Ipv4Addr, most: usize) -> Vec<u8> {
    let mut packet = Ipv4 {
        src,
        dst,
        id,
        ..Ipv4::icmp(message(rng, most - 60))
    };
    if rng.u32(..6) == 0 {
        // No-operations, and their end.
        packet.options = vec![1; rng.usize(..=10) * 4];
    }
    let mut bytes = packet.bytes();
    bytes[1] = rng.u8(..) & 0xfc;
    sum(&mut bytes);
    bytes
}

/// A fragment that is no part of anything.
pub fn fragment_v4(rng: &mut Rng, id: u16, src: Ipv4Addr, dst: Ipv4Addr) -> Vec<u8> {
    let offset = if rng.bool() { 0 } else { rng.u16(..1000) * 8 };
    let mut payload = message(rng, 1400);
    payload.truncate(payload.len() / 8 * 8);
    Ipv4 {
        src,
        dst,
        id,
        fragment_offset: offset,
        more_fragments: offset == 0 || rng.bool(),
        ..Ipv4::icmp(payload)
    }
    .bytes()
}

/// A good IPv6 packet, by its headers, with up to 36 of them before ICMPv6.
pub fn ipv6(rng: &mut Rng, label: u16, src: Ipv6Addr, dst: Ipv6Addr, most: usize) -> Vec<u8> {
    let mut extensions = Vec::new();
    if rng.u32(..3) == 0 {
        let count = match rng.u32(..15) {
            0 => [31, 32, 33, 36][rng.usize(..4)],
            _ => rng.usize(1..4),
        };
        extensions.extend((0..count).map(|_| (DESTINATION, options(rng))));
        if rng.u32(..4) == 0 {
            extensions[0].0 = HOP_BY_HOP;
        }
        if rng.u32(..3) == 0 {
            let mut header = vec![0; 8];
            rng.fill(&mut header[2..]);
            if rng.bool() {
                // The first of several, or the only one.
                header[2..4].copy_from_slice(&[0, rng.u8(..8)]);
            }
            let at = rng.usize(1..=extensions.len());
            extensions.insert(at, (FRAGMENT, header));
        }
    }
    let packet = Ipv6 {
        src,
        dst,
        hop_limit: 64,
        extensions,
        ..Ipv6::icmp(message(rng, most - 3000))
    };
    let mut bytes = packet.bytes();
    bytes[2..4].copy_from_slice(&label.to_be_bytes());
    bytes
}

/// A header of options with one in it that is to be passed over: of mere padding the
/// kernel takes no more than 7 bytes.
fn options(rng: &mut Rng) -> Vec<u8> {
    let eights = rng.usize(1..5);
    let mut header = vec![0; eights * 8];
    header[1] = eights as u8 - 1;
    header[2..4].copy_from_slice(&[0x1e, eights as u8 * 8 - 4]);
    header
}

/// Damages a packet in one to three places, its addresses not among them. What is
/// dropped before any hook would be no test of the module, so that three in four of
/// IPv4 get a right checksum.
pub fn damage(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let addresses = match bytes[0] >> 4 {
        4 => 12..20,
        _ => 8..40,
    };
    let is_v4 = bytes[0] >> 4 == 4;
    for _ in 0..rng.u32(1..=3) {
        let length = bytes.len();
        let header = if is_v4 { 12 } else { 8 };
        let at = match rng.u32(..3) {
            0 => rng.usize(..header),
            1 => addresses.end + rng.usize(..=(length - addresses.end).min(40)),
            _ => rng.usize(..length),
        };
        if addresses.contains(&at) || at >= length {
            continue;
        }
        match rng.u32(..6) {
            0 => bytes[at] = rng.u8(..),
            1 => bytes[at] = [0, 1, 0xff, 0x80, 58, 44][rng.usize(..6)],
            2 if at > addresses.end => bytes.truncate(at),
            3 => bytes.extend((0..rng.u32(..40)).map(|_| 0x55)),
            _ => bytes[at] ^= 1 << rng.u32(..8),
        }
    }
    if is_v4 && rng.u32(..4) > 0 {
        sum(bytes);
    }
}
