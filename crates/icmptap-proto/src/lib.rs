//! The icmptap wire format, without I/O: encode requests, decode events.
//!
//! Bytes in, values out: no system calls (but for the feature `interfaces`), no
//! unsafe code, no allocation per event. A datagram as received goes into [`nlmsg::messages`]; a message is
//! then an event batch ([`event::Batch`]), an answer ([`reply`]) or, on an IMP2
//! socket, a packet ([`imp2`]). [`request`] makes the other direction.
//!
//! The contract is `kernel/uapi/linux/icmptap.h`. Headers are in host byte
//! order, packets as on the wire. What a newer kernel appends is skipped; what
//! is missing or contradicts itself is a [`DecodeError`], never a panic.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod bytes;
mod checksum;
pub mod event;
mod hex;
pub mod icmp;
pub mod imp2;
mod ip;
#[cfg(feature = "serde")]
pub mod json;
mod name;
pub mod nlmsg;
mod record;
pub mod reply;
pub mod request;
pub mod sequence;
mod sets;
#[cfg(feature = "test-util")]
pub mod testing;
mod types;

pub use hex::Hex;
pub use name::Name;
pub use nlmsg::DecodeError;
pub use sets::{Families, Hooks};
pub use types::*;
