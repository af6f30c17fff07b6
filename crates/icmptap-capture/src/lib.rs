//! ICMP events in capture files: writes captures for Wireshark, tshark and tcpdump, and reads
//! all metadata back.
//!
//! [`PcapngWriter`] writes pcapng with everything about an event: its hook, network
//! namespace, CPU, sequence number and mark, losses where they occurred, and the counters at
//! the end. [`PcapWriter`] writes pcap with nanosecond timestamps, for programs without
//! pcapng support: packets and times only.
//!
//! [`Reader`] reads both, and captures of other programs, in which it looks for ICMP.
//! Such events have no hook, CPU, sequence number, network namespace or mark:
//! [`EventRef::is_tapped`](icmptap::event::EventRef::is_tapped) is false. [`Audit`] checks
//! that everything that was written was read.
//!
//! ```
//! use icmptap_capture::{Item, Reader};
//!
//! fn print(file: impl std::io::Read) -> Result<(), icmptap_capture::ReadError> {
//!     for item in Reader::new(file) {
//!         match item? {
//!             Item::Event(captured) => {
//!                 let event = captured.event.as_ref();
//!                 println!("{:?} > {:?}", event.src(), event.dst());
//!             }
//!             Item::Lost(lost) => println!("{} lost", lost.lost.count),
//!             _ => {}
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! This crate opens no files and reads no clock: a writer has an [`io::Write`](std::io::Write),
//! a reader an [`io::Read`](std::io::Read), which may be a pipe. A reader keeps one block
//! of a file in memory, whatever length the file claims.

mod audit;
mod error;
mod input;
mod journal;
mod link;
mod note;
mod options;
mod output;
mod pcap;
mod pcapng;
mod reader;
mod session;

pub use audit::{Audit, Gap, Report, Verdict};
pub use error::ReadError;
pub use pcap::writer::PcapWriter;
pub use pcapng::writer::{PcapngWriter, Section};
pub use reader::{Captured, Item, PassedOver, Reader};
pub use session::{InterfaceName, Names, NetnsName, Session, SessionLost, Totals};

/// The README's example; it is compiled as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
