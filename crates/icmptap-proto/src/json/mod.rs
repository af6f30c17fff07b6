//! Events as JSON, one object per line, written and read (feature `serde`). New versions may
//! add keys, and remove none. An unknown `kind` of line is an error. Keys that do not apply to
//! an event, and values that are not known, are left out. Names and other text that somebody
//! else chose are escaped, as [`Name`] does.
//!
//! The function `schema` (feature `schema`) returns the JSON Schema of a line.
//!
//! Reading:
//!
//! ```
//! use icmptap_proto::json::Line;
//!
//! // Lines of `icmptap listen -o json`.
//! for line in [r#"{"kind":"lost","cpu":3,"count":12}"#] {
//!     match serde_json::from_str(line)? {
//!         Line::Event(event) => {
//!             println!("{:?} > {:?}", event.src, event.dst);
//!             // `type_name` is the same word in both families, `id` that of an echo.
//!             if let Some(icmp) = event.icmp
//!                 && icmp.type_name.as_deref() == Some("echo-request")
//!             {
//!                 println!("type {}, id {:?}", icmp.r#type, icmp.id);
//!             }
//!         }
//!         Line::Lost(lost) => println!("{} lost", lost.count),
//!         Line::Summary(summary) => println!("{} received", summary.received),
//!         _ => {}
//!     }
//! }
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! Writing: an event and a [loss](sequence::Lost) are serialized as their lines, and
//! [`Line::summary`] is the last one. The example `json` of the crate `icmptap` does so.

mod extension;
mod hex;
mod icmp;
mod ndp;
mod rpl;

pub use self::{
    extension::{Extensions, Label, Object},
    icmp::{
        ExtendedEchoReply, Icmp, MulticastQuery, MulticastRecord, NeighborFlags, Quote, Router,
        Times,
    },
    ndp::{AddressRegistration, NdpOption, Pvd, RouterAdvertisement},
    rpl::{Rpl, RplOption},
};

use std::{borrow::Cow, net::IpAddr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use crate::{
    Family, Hook, IfIndex, Name,
    checksum::Checksum,
    event::{self, ChecksumState, EventRef},
    reply, sequence,
};

/// A line of `icmptap listen -o json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Line {
    /// An event: a packet that the kernel saw.
    Event(Box<Event>),
    /// Events that were lost at this place in the stream.
    Lost(Lost),
    /// The last line: the final counters.
    Summary(Summary),
}

impl Line {
    /// The line of an event. `name` returns the name of an interface, if it is known.
    pub fn event(event: &EventRef<'_>, name: impl FnMut(IfIndex) -> Option<String>) -> Self {
        Self::Event(Box::new(Event::new(event, name)))
    }

    /// Sets the name of the network namespace in the line of an event. Does nothing to other
    /// lines.
    #[must_use]
    pub fn with_netns_name(mut self, name: Option<String>) -> Self {
        if let Self::Event(event) = &mut self {
            event.netns_name = name.map(|name| Name::from(name.as_str()).to_string());
        }
        self
    }

    /// The line of a loss.
    #[must_use]
    pub fn lost(lost: sequence::Lost) -> Self {
        Self::Lost(Lost {
            cpu: Some(lost.cpu.0),
            count: lost.count,
        })
    }

    /// The line of `count` losses that no other line has told of: those in the final counters,
    /// less those of the lines before.
    #[must_use]
    pub fn lost_at_the_end(count: u64) -> Self {
        Self::Lost(Lost { cpu: None, count })
    }

    /// The last line: the numbers of events shown and received, and the final counters.
    #[must_use]
    pub fn summary(shown: u64, received: u64, counters: &reply::Counters) -> Self {
        Self::Summary(Summary {
            shown,
            received,
            counters: *counters,
        })
    }
}

/// The line of the event, without the names of interfaces. [`Line`] reads it back.
impl Serialize for EventRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Line::event(self, |_| None).serialize(serializer)
    }
}

/// As [`EventRef`].
impl Serialize for event::Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_ref().serialize(serializer)
    }
}

/// A word of a fixed vocabulary, such as `echo-request`. A newer version may know more.
pub type Word = Cow<'static, str>;

/// The JSON Schema (draft 2020-12) of a [`Line`].
#[cfg(feature = "schema")]
pub fn schema() -> schemars::Schema {
    schemars::generate::SchemaSettings::draft2020_12()
        .for_serialize()
        .with_transform(schemars::transform::RecursiveTransform(without_null))
        .into_generator()
        .into_root_schema_for::<Line>()
}

/// What is not known is left out, never null.
#[cfg(feature = "schema")]
fn without_null(schema: &mut schemars::Schema) {
    let is_null = |value: &serde_json::Value| value == "null" || value["type"] == "null";
    for key in ["type", "anyOf"] {
        let Some(either) = schema.get_mut(key).and_then(|value| value.as_array_mut()) else {
            continue;
        };
        either.retain(|value| !is_null(value));
        if let [only] = &mut either[..] {
            let only = only.take();
            match only {
                serde_json::Value::Object(reference) => {
                    schema.remove(key);
                    schema.ensure_object().extend(reference);
                }
                only => {
                    schema.insert(key.to_owned(), only);
                }
            }
        }
    }
}

/// An event: a packet that the kernel saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Event {
    /// When it was seen: RFC 3339, UTC, nanoseconds.
    pub time: String,
    /// The same, in nanoseconds since 1970.
    pub time_ns: u64,
    /// The CPU that saw it. Missing if another program captured it, like `seq`, `netns`,
    /// `hook`, `mark` and `checksum_state`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// The sequence number in the stream of its CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Inode number of the network namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netns: Option<u32>,
    /// The name of the network namespace, as `ip netns` lists it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netns_name: Option<String>,
    /// `prerouting`, `input`, `forward`, `output` or `postrouting`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<Hook>,
    /// `ipv4` or `ipv6`.
    pub family: Family,
    /// The interface on which it arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iif: Option<Interface>,
    /// The interface by which it leaves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oif: Option<Interface>,
    /// The packet's mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<u32>,
    /// The VLAN tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan: Option<Vlan>,
    /// The source address. Missing if it was not captured, like `dst` and `ttl`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src: Option<IpAddr>,
    /// The destination address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dst: Option<IpAddr>,
    /// Time to live or hop limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u8>,
    /// The length of the packet in bytes, including its IP header.
    pub len: u32,
    /// The number of bytes that were captured.
    pub caplen: usize,
    /// Whether fewer bytes were captured than the packet has.
    pub truncated: bool,
    /// Whether the packet is too short for an ICMP header.
    pub malformed: bool,
    /// Of a fragment: the fragment offset in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fragment_offset: Option<u16>,
    /// Whether the ICMP checksum is right.
    pub checksum: Checksum,
    /// What the kernel knew of the ICMP checksum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum_state: Option<ChecksumState>,
    /// The ICMP message. Missing in a later fragment and in a malformed packet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icmp: Option<Icmp>,
}

impl Event {
    fn new(event: &EventRef<'_>, mut name: impl FnMut(IfIndex) -> Option<String>) -> Self {
        let time = Timestamp::from_nanosecond(event.time_ns().into()).unwrap_or_default();
        let mut interface = |index: IfIndex| Interface {
            index: index.0,
            name: name(index).map(|name| Name::from(name.as_str()).to_string()),
        };
        Self {
            time: format!("{time:.9}"),
            time_ns: event.time_ns(),
            cpu: event.cpu().map(|cpu| cpu.0),
            seq: event.seq(),
            netns: event.netns().map(|netns| netns.0),
            netns_name: None,
            hook: event.hook(),
            family: event.family(),
            iif: event.iif().map(&mut interface),
            oif: event.oif().map(&mut interface),
            mark: event.mark(),
            vlan: event.vlan().map(|vlan| Vlan {
                id: vlan.id(),
                priority: vlan.priority(),
                protocol: if vlan.provider { "802.1ad" } else { "802.1Q" }.into(),
            }),
            src: event.src(),
            dst: event.dst(),
            ttl: event.ttl(),
            len: event.original_len(),
            caplen: event.packet().len(),
            truncated: event.is_truncated(),
            malformed: event.is_malformed(),
            fragment_offset: event.fragment_offset().filter(|_| event.is_fragment()),
            checksum: event.checksum(),
            checksum_state: event.is_tapped().then(|| event.checksum_state()),
            icmp: match (event.icmp(), event.icmp_type_and_code()) {
                (Some(message), _) => Some(Icmp::new(&message)),
                (None, Some((number, code))) => Some(Icmp::of_unknown_family(number, code)),
                (None, None) => None,
            },
        }
    }
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Interface {
    /// Unique within its network namespace.
    pub index: u32,
    /// Its name, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A VLAN tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Vlan {
    /// The VLAN identifier.
    pub id: u16,
    /// The priority, 0 to 7.
    pub priority: u8,
    /// `802.1Q` or `802.1ad`.
    pub protocol: Word,
}

/// Events that were lost. The causes are in the counters of the [`Summary`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Lost {
    /// The CPU. Missing for losses after the last event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// The number of events.
    pub count: u64,
}

/// The end of the stream. There are `shown` lines of events. The counts of all lines of losses
/// add up to the sum of the three counters `lost_overrun`, `lost_nomem` and `lost_ratelimit`.
/// That sum and `received` are `matched`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Summary {
    /// Events that were shown: fewer than `received` if their number was limited.
    pub shown: u64,
    /// Events that were received.
    pub received: u64,
    /// The kernel's counters.
    pub counters: reply::Counters,
}
