//! Every ICMP message a Linux kernel sees, as structured events.
//!
//! The kernel module `icmptap` sends packets to a [`Subscription`], which returns them one
//! by one as [`EventRef`](event::EventRef)s. Where events were lost, it returns the loss
//! between them:
//!
//! ```no_run
//! use icmptap::{Item, Subscription};
//!
//! let mut subscription = Subscription::builder().subscribe()?;
//! while let Some(item) = subscription.recv()? {
//!     match item {
//!         Item::Event(event) => println!("{event}"),
//!         Item::Lost(lost) => println!("{lost}"),
//!     }
//! }
//! # Ok::<(), icmptap::Error>(())
//! ```
//!
//! By default these are the packets that arrive, at the hook prerouting. Packets that this
//! host sends pass the hooks output and postrouting: see [`Builder::hooks`].
//!
//! [`Subscription::recv_many`] returns the events of a whole batch, which costs less per
//! event. [`Builder`] has every option of the module.
//!
//! | feature | what it adds |
//! |---|---|
//! | `pcap`, on by default | filters in tcpdump's language: `Builder::filter`, `Filter` |
//! | `tokio` | `AsyncSubscription`, for tasks of tokio |
//! | `serde` | `json`: events, losses and the summary as lines of JSON, written and read; `Serialize` and `Deserialize` for counters and parameters |
//!
//! Older and newer modules work: [`Info::age`](reply::Info::age) tells which one is
//! loaded. A request that an older module does not know fails with
//! [`Error::ModuleTooOld`].
//!
//! [`Client`] asks the module about itself, its statistics and its subscriptions; [`Imp2`]
//! is a client of the older protocol. The wire format and the decoder are in
//! [`icmptap_proto`]; what is needed of it is re-exported here, so that its examples compile
//! with `icmptap::` in place of `icmptap_proto::`.

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
pub use filter::{Filter, FilterError, direction::AmbiguousDirection};
#[cfg(feature = "serde")]
#[doc(inline)]
pub use icmptap_proto::json;
#[doc(inline)]
pub use icmptap_proto::{
    BatchSize, BootId, Cpu, DecodeError, Families, Family, FlushInterval, Hex, Hook, Hooks,
    IfIndex, Instruction, Mtu, Name, Netns, Pid, PortId, Program, ProgramTooLong, Protocol,
    RateLimit, Sampling, Snaplen, SubscriptionId, TypeSet, UnknownWord, Verdict, event, icmp,
    imp2::Packet as Imp2Packet, reply, request::SubscribeOption, sequence::Lost, text,
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
