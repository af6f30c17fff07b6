//! Requests made from the specification (`kernel/netlink/icmptap.yaml`), right and
//! wrong: an attribute that is new there is fuzzed without a change here.

use std::collections::BTreeSet;

use fastrand::Rng;
use icmptap_proto::nlmsg::attributes;
use icmptap_sys as sys;

use super::program::program;
use crate::spec::{Check, Command, Mode, Policy, Spec};

const DUMP: u16 = 0x300;
const REQUEST: u16 = sys::NLM_F_REQUEST as u16;
const ACK: u16 = sys::NLM_F_ACK as u16;
const ECHO: u16 = 8;
const NESTED: u16 = 0x8000;
/// The attribute whose bytes are a program.
const FILTER: &str = "filter";
/// Two that do not go together.
const IFINDEX: &str = "ifindex";
const ALL_NETNS: &str = "all-netns";

/// What makes requests for the family.
pub struct Requests {
    family: u16,
    commands: Vec<Command>,
}

/// Whether the specification allows a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It has no words for what is wrong with it, if anything is.
    Unsaid,
}

impl Requests {
    /// For the family of this id.
    pub fn new(family: u16) -> Self {
        Self {
            family,
            commands: Spec::read().commands(),
        }
    }

    /// The name of a command.
    pub fn name(&self, number: u8) -> Option<&str> {
        let mut commands = self.commands.iter();
        let found = commands.find(|command| command.number == u32::from(number));
        found.map(|command| command.name.as_str())
    }

    /// A request. Its lengths are true, its number in the sequence is 0.
    pub fn generate(&self, rng: &mut Rng) -> Vec<u8> {
        let command = rng.choice(&self.commands).expect("commands");
        let modes: Vec<_> = command.requests.iter().collect();
        let (mode, policy) = modes[rng.usize(..modes.len())];
        let number = match rng.u32(..40) {
            0 => rng.u8(..),
            _ => command.number as u8,
        };
        let mut flags = match rng.u32(..10) {
            0 => REQUEST,
            1 => REQUEST | ACK | ECHO,
            2 => ACK,
            3 => rng.u16(..),
            _ => REQUEST | ACK,
        };
        let other_mode = rng.u32(..20) == 0;
        if (*mode == Mode::Dump) != other_mode {
            flags |= DUMP;
        }
        let version = if rng.u32(..8) == 0 { rng.u8(..) } else { 1 };
        let reserved = if rng.u32(..30) == 0 { rng.u16(..) } else { 0 };

        let mut message = vec![0; 4];
        message.extend(self.family.to_ne_bytes());
        message.extend(flags.to_ne_bytes());
        message.extend([0; 4]);
        // A port id, forged.
        message.extend(rng.u32(..).to_ne_bytes());
        message.extend([number, version]);
        message.extend(reserved.to_ne_bytes());
        for (kind, value) in choose(rng, command, policy) {
            attribute(&mut message, kind, &value);
        }
        let length = message.len() as u32;
        message[..4].copy_from_slice(&length.to_ne_bytes());
        message
    }

    /// Whether the specification allows this message, which has a generic
    /// netlink header.
    pub fn allow(&self, message: &[u8]) -> Allowed {
        let flags = u16::from_ne_bytes([message[6], message[7]]);
        let is_dump = flags & DUMP == DUMP;
        let mode = if is_dump { Mode::Dump } else { Mode::Do };
        let others = if is_dump { flags & !DUMP } else { flags };
        // Reserved bytes, and flags that mean nothing here, are refused by some
        // kernels.
        if message[18..20] != [0, 0] || others & !(REQUEST | ACK | ECHO) != 0 {
            return Allowed::Unsaid;
        }
        let number = u32::from(message[16]);
        let mut commands = self.commands.iter();
        let Some(command) = commands.find(|command| command.number == number) else {
            return Allowed::No;
        };
        let Some(policy) = command.requests.get(&mode) else {
            return Allowed::No;
        };
        allow(command, policy, &message[20..])
    }
}

fn allow(command: &Command, policy: &Policy, bytes: &[u8]) -> Allowed {
    let (mut allowed, mut seen) = (Allowed::Yes, BTreeSet::new());
    for attr in attributes(bytes, 0) {
        let Ok(attr) = attr else { return Allowed::No };
        let number = u32::from(attr.kind);
        let kind = [bytes[attr.at - 2], bytes[attr.at - 1]];
        let is_nested = u16::from_ne_bytes(kind) & NESTED != 0;
        let Some(check) = policy.get(&number) else {
            return Allowed::No;
        };
        if is_nested || !seen.insert(number) || !holds(check, attr.payload) {
            return Allowed::No;
        }
        // An empty mask is for the module to refuse, a program for the kernel.
        let is_program = command.attributes[number as usize] == FILTER;
        let is_empty = matches!(check, Check::Mask(_)) && attr.payload == [0; 4];
        if is_program || is_empty {
            allowed = Allowed::Unsaid;
        }
    }
    // Each may be there, but an interface is one network namespace's.
    let has = |name| {
        let mut names = seen
            .iter()
            .map(|number| &command.attributes[*number as usize]);
        names.any(|seen| *seen == name)
    };
    if has(IFINDEX) && has(ALL_NETNS) {
        allowed = Allowed::Unsaid;
    }
    allowed
}

fn holds(check: &Check, value: &[u8]) -> bool {
    let number = <[u8; 4]>::try_from(value).map(|value| u64::from(u32::from_ne_bytes(value)));
    match check {
        Check::Flag => value.is_empty(),
        Check::Number { min, max } => number.is_ok_and(|number| (*min..=*max).contains(&number)),
        Check::Mask(mask) => number.is_ok_and(|number| number & !mask == 0),
        Check::Bytes { min, max } => (*min..=*max).contains(&(value.len() as u64)),
        Check::Other(_) => unreachable!("not in a specification"),
    }
}

/// Where the attributes start, as far as their lengths say.
pub(super) fn starts(bytes: &[u8]) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut at = 0;
    while at + 4 <= bytes.len() {
        starts.push(at);
        let length = usize::from(u16::from_ne_bytes([bytes[at], bytes[at + 1]]));
        at += length.max(4).next_multiple_of(4);
    }
    starts
}

/// Attributes for a request: mostly those that it may have.
fn choose(rng: &mut Rng, command: &Command, policy: &Policy) -> Vec<(u16, Vec<u8>)> {
    let mut chosen: Vec<(u16, Vec<u8>)> = Vec::new();
    let often = rng.u32(1..6);
    for (number, check) in policy {
        if rng.u32(..8) < often {
            let is_program = command.attributes[*number as usize] == FILTER;
            chosen.push((*number as u16, value(rng, check, is_program)));
        }
    }
    match rng.u32(..24) {
        // Known, but not allowed here; or not known at all.
        0 => {
            let number = rng.usize(..command.attributes.len() + 3) as u16;
            chosen.push((number, noise(rng)));
        }
        1 => chosen.push((rng.u16(..), noise(rng))),
        2 => {
            if let Some(twice) = rng.choice(&chosen).cloned() {
                chosen.push(twice);
            }
        }
        3 => {
            // All that there is, in one that there may be.
            let mut inside = Vec::new();
            for (kind, value) in &chosen {
                attribute(&mut inside, *kind, value);
            }
            let number = rng.u16(..command.attributes.len() as u16);
            chosen.push((number | NESTED, inside));
        }
        _ => rng.shuffle(&mut chosen),
    }
    if rng.u32(..16) == 0
        && let Some((kind, _)) = chosen.first_mut()
    {
        *kind ^= 1 << rng.u32(14..16);
    }
    chosen
}

fn value(rng: &mut Rng, check: &Check, is_program: bool) -> Vec<u8> {
    // Of the wrong type.
    if rng.u32(..32) == 0 {
        return noise(rng);
    }
    let number = |rng: &mut Rng, numbers: &[u64]| {
        let number = rng.choice(numbers).expect("numbers");
        (*number as u32).to_ne_bytes().to_vec()
    };
    match check {
        Check::Flag => Vec::new(),
        Check::Number { min, max } => {
            let between = rng.u64(*min..=*max);
            let bounds = [*min, *max, *min + 1, max - 1, between, between];
            match rng.u32(..16) {
                0 => number(rng, &[max + 1, min.wrapping_sub(1), 0, u64::MAX]),
                _ => number(rng, &bounds),
            }
        }
        Check::Mask(mask) => match rng.u32(..16) {
            0 => number(rng, &[mask + 1, 0, u64::MAX, 1 << 31]),
            _ => {
                let some = rng.u64(..) & mask;
                number(rng, &[some.max(1), *mask])
            }
        },
        Check::Bytes { .. } if is_program => program(rng),
        Check::Bytes { min, max } => {
            let length = match rng.u32(..8) {
                0 => [max + 1, min.saturating_sub(1), 0][rng.usize(..3)],
                _ => rng.u64(*min..=*max),
            };
            let mut value = vec![0; length as usize];
            rng.fill(&mut value);
            if rng.bool() {
                value.fill(0xff);
            }
            value
        }
        Check::Other(_) => unreachable!("not in a specification"),
    }
}

/// Now and then as much as an attribute can hold.
fn noise(rng: &mut Rng) -> Vec<u8> {
    let length = match rng.u32(..300) {
        0 => rng.usize(..0xfff0),
        1..30 => rng.usize(..300),
        _ => rng.usize(..12),
    };
    let mut bytes = vec![0; length];
    rng.fill(&mut bytes);
    bytes
}

fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    // What is longer than that says so with a length that lies.
    message.extend(((4 + value.len()) as u16).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

/// A message for IMP2.
pub fn imp2(rng: &mut Rng) -> Vec<u8> {
    let kind = match rng.u32(..8) {
        0 => rng.u16(..),
        _ => rng.u16(..5),
    };
    let flags = match rng.u32(..4) {
        0 | 1 => REQUEST | ACK,
        // As the original client has it.
        2 => 0,
        _ => rng.u16(..),
    };
    let mut payload = vec![0; rng.usize(..20)];
    rng.fill(&mut payload);
    let length = 16 + payload.len() as u32;
    let length = match rng.u32(..8) {
        0 => rng.u32(..40),
        _ => length,
    };
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 4]);
    message.extend(rng.u32(..).to_ne_bytes());
    message.extend(payload);
    if rng.u32(..8) == 0 {
        message.truncate(rng.usize(1..message.len()));
    }
    message
}
