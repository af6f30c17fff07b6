//! Questions and their answers: echo, and extended echo (RFC 8335).

use std::fmt;

use crate::bytes::be16;

/// What matches an answer to its question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo {
    /// Names the asker, such as one run of ping.
    pub id: u16,
    /// Counts its questions.
    pub seq: u16,
}

impl Echo {
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            id: be16(bytes, 4)?,
            seq: be16(bytes, 6)?,
        })
    }
}

/// A ping that asks about an interface (RFC 8335). Which one is in the message's
/// extensions, as an
/// [`InterfaceId`](super::extension::ObjectBody::InterfaceId).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtendedEchoRequest {
    /// Names the asker; the sequence number has 8 bits here.
    pub echo: Echo,
    /// The interface is one of the node that is asked, not of a neighbour.
    pub local: bool,
}

impl ExtendedEchoRequest {
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (echo, bits) = short_echo(bytes)?;
        Some(Self {
            echo,
            local: bits & 1 != 0,
        })
    }
}

/// The answer to an extended echo request (RFC 8335).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtendedEchoReply {
    /// Names the asker; the sequence number has 8 bits here.
    pub echo: Echo,
    /// Of a neighbour's interface: what the neighbour cache says.
    pub state: NeighborState,
    /// The interface is up.
    pub active: bool,
    /// IPv4 runs on it.
    pub ipv4: bool,
    /// IPv6 runs on it.
    pub ipv6: bool,
}

impl ExtendedEchoReply {
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (echo, bits) = short_echo(bytes)?;
        Some(Self {
            echo,
            state: NeighborState(bits >> 5),
            active: bits & 4 != 0,
            ipv4: bits & 2 != 0,
            ipv6: bits & 1 != 0,
        })
    }
}

/// A state in a neighbour cache, as an extended echo reply numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeighborState(pub u8);

impl NeighborState {
    /// The name as one word. 0 has none: the question was not about a neighbour.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            1 => "incomplete",
            2 => "reachable",
            3 => "stale",
            4 => "delay",
            5 => "probe",
            6 => "failed",
            _ => return None,
        })
    }
}

/// The word, or `state-7` where there is none.
impl fmt::Display for NeighborState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(word) => f.pad(word),
            None => write!(f, "state-{}", self.0),
        }
    }
}

/// The sequence number is 8 bits long, and bits follow.
fn short_echo(bytes: &[u8]) -> Option<(Echo, u8)> {
    let Echo { id, seq } = Echo::decode(bytes)?;
    let [seq, bits] = seq.to_be_bytes();
    let seq = seq.into();
    Some((Echo { id, seq }, bits))
}

/// Codes of an extended echo reply, in both families.
pub(super) fn extended_echo_code_word(code: u8) -> Option<&'static str> {
    Some(match code {
        1 => "malformed-query",
        2 => "no-such-interface",
        3 => "no-such-table-entry",
        4 => "multiple-interfaces",
        _ => return None,
    })
}
