//! ICMP events in capture files: written so that Wireshark, tshark and tcpdump show them, and read
//! back with everything that was known of them.
//!
//! [`PcapngWriter`] writes pcapng with all that an event has: its hook, network
//! namespace, CPU, sequence number and mark, losses at their place, and the counters at
//! the end. [`PcapWriter`] writes pcap with nanoseconds, for programs that know nothing
//! newer: packets and times only.
//!
//! [`Reader`] reads both, and the captures of other programs, in which it looks for ICMP.
//! Such an event has no hook, CPU, sequence number, network namespace or mark, and says
//! so: [`EventRef::is_tapped`](icmptap::event::EventRef::is_tapped). [`Audit`] checks
//! whether what was read is all that was written.
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
//! Nothing here opens a file or asks the time: a writer has an [`io::Write`](std::io::Write),
//! a reader an [`io::Read`](std::io::Read), which may be a pipe. A reader keeps one block
//! of a file at a time, whatever the file says of its length.

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

/// Its example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
