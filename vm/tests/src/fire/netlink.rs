//! What netlink makes of a datagram: which messages it sees, and which of them it
//! has to answer (the kernel's `netlink_rcv_skb()`, `genl_rcv_msg()`, and imp2.c).

use std::ops::Range;

use icmptap_sys as sys;

const HEADER: usize = 16;
const DUMP: u16 = 0x300;
/// Below it are netlink's own types.
const MIN_TYPE: u16 = 0x10;

/// A message of a datagram that the kernel looks at.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Where it is in the datagram.
    pub range: Range<usize>,
    /// `nlmsg_type`.
    pub kind: u16,
    /// `nlmsg_flags`.
    pub flags: u16,
    /// `nlmsg_seq`.
    pub seq: u32,
}

impl Asked {
    /// Whether an acknowledgement is asked for.
    pub fn wants_ack(&self) -> bool {
        u32::from(self.flags) & sys::NLM_F_ACK != 0
    }

    /// Whether it says that it is a request.
    pub fn is_request(&self) -> bool {
        u32::from(self.flags) & sys::NLM_F_REQUEST != 0
    }

    /// Whether somebody acts on it: netlink itself passes over what is no request,
    /// and over its own types.
    pub fn is_handled(&self) -> bool {
        self.is_request() && self.kind >= MIN_TYPE
    }

    /// Whether it asks for a dump.
    pub fn is_dump(&self) -> bool {
        self.flags & DUMP == DUMP
    }
}

/// Gives the messages of a datagram numbers from `*seq` on, by which their answers
/// are known; what netlink does not look at is left as it is.
pub fn number(datagram: &mut [u8], seq: &mut u32) -> Vec<Asked> {
    let mut asked = Vec::new();
    let mut at = 0;
    while at + HEADER <= datagram.len() {
        let length = u32_at(datagram, at) as usize;
        if length < HEADER || length > datagram.len() - at {
            break;
        }
        let range = at..at + length;
        asked.push(number_one(datagram, range, seq));
        at = (at + length).next_multiple_of(4);
    }
    asked
}

/// The same for the one message that IMP2 looks at, whatever length it claims;
/// `None` if it is shorter than its header.
pub fn number_imp2(datagram: &mut [u8], seq: &mut u32) -> Option<Asked> {
    let range = 0..datagram.len();
    (datagram.len() >= HEADER).then(|| number_one(datagram, range, seq))
}

/// Whether a message's length is one that it can have.
pub fn is_length_true(datagram: &[u8]) -> bool {
    (HEADER..=datagram.len()).contains(&(u32_at(datagram, 0) as usize))
}

fn number_one(datagram: &mut [u8], range: Range<usize>, seq: &mut u32) -> Asked {
    let header = &mut datagram[range.start..];
    header[8..12].copy_from_slice(&seq.to_ne_bytes());
    *seq += 1;
    Asked {
        kind: u16::from_ne_bytes([header[4], header[5]]),
        flags: u16::from_ne_bytes([header[6], header[7]]),
        seq: *seq - 1,
        range,
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}
