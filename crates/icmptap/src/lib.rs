//! Every ICMP message a Linux kernel sees, as structured events.
//!
//! The kernel module `icmptap` hands packets to a [`Subscription`], which lends
//! them out one by one as [`EventRef`](event::EventRef)s, with every loss in its place
//! between them:
//!
//! ```no_run
//! use icmptap::{Item, Subscription};
//!
//! let mut subscription = Subscription::builder().subscribe()?;
//! while let Some(item) = subscription.recv()? {
//!     match item {
//!         Item::Event(event) => println!("{:?} > {:?}", event.src(), event.dst()),
//!         Item::Lost(lost) => println!("{} lost on cpu {}", lost.count, lost.cpu),
//!     }
//! }
//! # Ok::<(), icmptap::Error>(())
//! ```
//!
//! [`Client`] asks the module about itself, [`Imp2`] speaks the older protocol.
//! The wire format and the decoding of packets are in [`icmptap_proto`], whose
//! modules are found here as well.

mod client;
mod core;
mod error;
mod imp2;
mod socket;
mod stop;
mod subscription;
mod sys;

pub use client::Client;
pub use error::{Error, Operation};
#[cfg(feature = "serde")]
pub use icmptap_proto::json;
pub use icmptap_proto::{
    BatchSize, BootId, Cpu, DecodeError, Families, Family, FlushInterval, Hook, Hooks, IfIndex,
    Mtu, Netns, Snaplen, event, icmp, imp2::Packet as Imp2Packet, reply, sequence::Lost,
};
pub use imp2::Imp2;
pub use stop::Stopper;
pub use subscription::{
    AuditError, Builder, Item, Iter, OwnedItem, Received, Subscription, Summary,
};
