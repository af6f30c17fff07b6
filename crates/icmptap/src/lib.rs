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
//! In a flood, [`Subscription::recv_many`] lends all that came at once, and costs
//! a reader less.
//!
//! Every option of the module is one of [`Builder`], filters in tcpdump's
//! language included (feature `pcap`, on by default). With the feature `tokio`
//! there is `AsyncSubscription` too, which waits as a task does.
//!
//! An older or newer module works: [`Info::age`](reply::Info::age) says which it
//! is, and what an older one does not know is refused with
//! [`Error::ModuleTooOld`].
//!
//! [`Client`] asks the module about itself, its statistics and
//! who else subscribed; [`Imp2`] speaks the older protocol.
//! The wire format and the decoding of packets are in [`icmptap_proto`], whose
//! modules are found here as well.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "tokio")]
mod asynchronous;
mod builder;
mod client;
mod core;
mod error;
mod exchange;
#[cfg(feature = "pcap")]
mod filter;
mod imp2;
mod received;
mod session;
mod socket;
mod stop;
mod subscription;
mod summary;
mod sys;

pub use self::core::Events;
#[cfg(feature = "tokio")]
pub use asynchronous::AsyncSubscription;
pub use builder::Builder;
pub use client::Client;
pub use error::{Error, Operation};
#[cfg(feature = "pcap")]
pub use filter::{FilterError, direction::AmbiguousDirection};
#[cfg(feature = "serde")]
pub use icmptap_proto::json;
pub use icmptap_proto::{
    BatchSize, BootId, Cpu, DecodeError, Families, Family, FlushInterval, Hex, Hook, Hooks,
    IfIndex, Instruction, Mtu, Name, Netns, Pid, PortId, Program, ProgramTooLong, Protocol,
    RateLimit, Sampling, Snaplen, SubscriptionId, TypeSet, Verdict, event, icmp,
    imp2::Packet as Imp2Packet, reply, request::SubscribeOption, sequence::Lost,
};
pub use imp2::Imp2;
pub use received::Received;
pub use stop::Stopper;
pub use subscription::{Item, Items, Iter, OwnedItem, Subscription};
pub use summary::{AuditError, Summary};

/// Its example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
