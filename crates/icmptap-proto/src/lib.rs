//! The icmptap wire format, without I/O: encode requests, decode events.
//!
//! This crate turns bytes into values and values into bytes. It makes no system calls
//! (except with the feature `interfaces`), has no unsafe code, and allocates nothing per
//! event. [`nlmsg::messages`] splits a received datagram into messages. Each is a batch
//! of events ([`event::Batch`]), a reply ([`reply`]) or, on an IMP2 socket, a packet
//! ([`imp2`]). [`request`] encodes the requests.
//!
//! ```
//! use icmptap_proto::{
//!     DecodeError, FamilyId,
//!     event::{Batch, is_batch},
//!     nlmsg,
//! };
//!
//! /// Prints the events in a datagram from a subscription's socket.
//! fn print(datagram: &[u8], family: FamilyId) -> Result<(), DecodeError> {
//!     for message in nlmsg::messages(datagram) {
//!         let message = message?;
//!         if message.kind != family.0 {
//!             continue;
//!         }
//!         let message = message.generic()?;
//!         if is_batch(&message) {
//!             for event in Batch::decode(&message)?.events() {
//!                 let event = event?;
//!                 println!("{:?} > {:?}", event.src(), event.dst());
//!             }
//!         }
//!     }
//!     Ok(())
//! }
//! # print(&[], FamilyId(1)).unwrap();
//! ```
//!
//! | feature | what it adds |
//! |---|---|
//! | `serde` | `json`: events, losses and the summary as lines of JSON, written and read |
//! | `schema` | `json::schema`, the JSON Schema of these lines |
//! | `interfaces` | `IfIndex::from_name`, which asks the kernel |
//! | `test-util` | `testing`: messages as the kernel sends them, made from values |
//!
//! The format is defined by the header `linux/icmptap.h` in the package `icmptap-sys`. Headers are in host byte order,
//! packets in network byte order. Fields that a newer kernel appends are skipped. Missing
//! and contradictory data is a [`DecodeError`], never a panic.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod bpf;
mod bytes;
mod checksum;
pub mod event;
mod hex;
pub mod icmp;
pub mod imp2;
mod ip;
#[cfg(feature = "serde")]
pub mod json;
mod metadata;
mod name;
pub mod nlmsg;
mod record;
pub mod reply;
pub mod request;
pub mod sequence;
mod sets;
#[cfg(feature = "test-util")]
pub mod testing;
pub mod text;
mod types;

pub use hex::Hex;
pub use name::Name;
pub use nlmsg::DecodeError;
pub use sets::{Families, Hooks};
pub use types::*;
