//! What becomes of a datagram that was good enough to be kept.

use fastrand::Rng;

use super::requests::starts;

/// Changes a datagram in one to four ways. `other` is another one, to take from.
pub fn mutate(rng: &mut Rng, datagram: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..rng.u32(1..=4) {
        once(rng, datagram, other);
    }
    // Most of what has a length that lies is not looked at any further.
    if rng.u32(..4) > 0 && datagram.len() >= 4 {
        let length = datagram.len() as u32;
        datagram[..4].copy_from_slice(&length.to_ne_bytes());
    }
    // As long as a send buffer takes, and never nothing.
    datagram.truncate(200_000);
    if datagram.is_empty() {
        datagram.push(rng.u8(..));
    }
}

fn once(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let length = bytes.len();
    if length < 4 {
        bytes.extend(other);
        return;
    }
    match rng.u32(..12) {
        0 => bytes[rng.usize(..length)] ^= 1 << rng.u32(..8),
        1 => bytes[rng.usize(..length)] = rng.u8(..),
        2 => word(rng, bytes),
        3 => bytes.truncate(rng.usize(..length)),
        4 => bytes.extend((0..rng.u32(1..12)).map(|_| rng.u8(..))),
        5 => {
            let start = rng.usize(..length);
            let end = rng.usize(start..=length);
            bytes.drain(start..end);
        }
        6 => {
            let start = rng.usize(..length);
            let end = rng.usize(start..=length);
            bytes.extend_from_within(start..end);
        }
        7 => length_of_attribute(rng, bytes),
        8 => attribute_from(rng, bytes, other),
        // Two messages in one datagram.
        9 | 10 => {
            bytes.resize(length.next_multiple_of(4), 0);
            let first = bytes.len() as u32;
            bytes[..4].copy_from_slice(&first.to_ne_bytes());
            bytes.extend(other);
        }
        _ => {
            let claimed = [0, 15, 16, length as u32 - 1, length as u32 + 1, u32::MAX];
            let claimed = claimed[rng.usize(..claimed.len())];
            bytes[..4].copy_from_slice(&claimed.to_ne_bytes());
        }
    }
}

/// Puts a word where one may be.
fn word(rng: &mut Rng, bytes: &mut [u8]) {
    let at = rng.usize(..bytes.len() / 4) * 4;
    let word = match rng.u32(..4) {
        0 => 1_u32 << rng.u32(..32),
        1 => u32::MAX >> rng.u32(..32),
        2 => rng.u32(..16),
        _ => rng.u32(..),
    };
    bytes[at..at + 4].copy_from_slice(&word.to_ne_bytes());
}

/// Where an attribute of a generic netlink message may start.
fn any_attribute(rng: &mut Rng, bytes: &[u8]) -> Option<usize> {
    let starts = starts(bytes.get(20..)?);
    rng.choice(starts).map(|start| 20 + start)
}

fn length_of_attribute(rng: &mut Rng, bytes: &mut [u8]) {
    let Some(at) = any_attribute(rng, bytes) else {
        return;
    };
    let length = u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
    let lies = [
        0,
        3,
        4,
        length.wrapping_sub(1),
        length.wrapping_add(1),
        u16::MAX,
    ];
    let lie = lies[rng.usize(..lies.len())];
    bytes[at..at + 2].copy_from_slice(&lie.to_ne_bytes());
}

/// Takes an attribute of the other one, to the end or into the middle.
fn attribute_from(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let Some(from) = any_attribute(rng, other) else {
        return;
    };
    let length = usize::from(u16::from_ne_bytes([other[from], other[from + 1]]));
    let end = (from + length.next_multiple_of(4)).min(other.len());
    let to = any_attribute(rng, bytes).unwrap_or(bytes.len());
    let to = if rng.bool() { to } else { bytes.len() };
    bytes.splice(to..to, other[from..end.max(from)].iter().copied());
}
