//! Events as JSON, one object per line. Keys may be added; those that are here
//! stay. What does not apply to an event, or is not known, is left out. Names
//! and other text that somebody else chose are escaped as [`Name`] writes them.
//!
//! `docs/event.schema.json` is made of these types.

mod extension;
mod hex;
mod icmp;
mod ndp;
mod rpl;

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::{
    IfIndex, Name,
    checksum::Checksum,
    event::{ChecksumState, EventRef},
    reply, sequence,
};

/// A line of `icmptap listen -o json`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Line {
    /// A packet.
    Event(Box<Event>),
    /// Packets that did not make it, at the place where they are missing.
    Lost(Lost),
    /// The end: what all lines before it add up to.
    Summary(Summary),
}

impl Line {
    /// The line of an event; `name` gives an interface's name, where it has one.
    pub fn event(event: &EventRef<'_>, name: impl FnMut(IfIndex) -> Option<String>) -> Self {
        Self::Event(Box::new(Event::new(event, name)))
    }

    /// With the name of the network namespace, where it has one. Does nothing to other
    /// lines than those of events.
    pub fn with_netns_name(mut self, name: Option<String>) -> Self {
        if let Self::Event(event) = &mut self {
            event.netns_name = name.map(|name| Name::from(name.as_str()).to_string());
        }
        self
    }

    /// The line of a loss.
    pub fn lost(lost: sequence::Lost) -> Self {
        Self::Lost(Lost {
            cpu: Some(lost.cpu.0),
            count: lost.count,
        })
    }

    /// The line of `count` losses that show in the final counters alone, as nothing
    /// came after them.
    pub fn lost_at_the_end(count: u64) -> Self {
        Self::Lost(Lost { cpu: None, count })
    }

    /// The last line: how many events were shown and received, and the final
    /// counters.
    pub fn summary(shown: u64, received: u64, counters: &reply::Counters) -> Self {
        Self::Summary(Summary {
            shown,
            received,
            counters: counters.into(),
        })
    }
}

/// The line of the event, without the names of interfaces.
impl Serialize for EventRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Line::event(self, |_| None).serialize(serializer)
    }
}

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

/// A packet.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Event {
    /// When the hook saw it: RFC 3339, UTC, nanoseconds.
    time: String,
    /// The same as nanoseconds since 1970.
    time_ns: u64,
    /// The CPU that saw it.
    cpu: u32,
    /// Its number in the stream of its CPU.
    seq: u64,
    /// Inode number of the network namespace.
    netns: u32,
    /// Its name among those of `ip netns`.
    #[serde(skip_serializing_if = "Option::is_none")]
    netns_name: Option<String>,
    /// `prerouting`, `input`, `forward`, `output` or `postrouting`.
    hook: String,
    /// `ipv4` or `ipv6`.
    family: String,
    /// The interface it came in by.
    #[serde(skip_serializing_if = "Option::is_none")]
    iif: Option<Interface>,
    /// The interface it leaves by.
    #[serde(skip_serializing_if = "Option::is_none")]
    oif: Option<Interface>,
    /// The packet's mark.
    mark: u32,
    /// The VLAN tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    vlan: Option<Vlan>,
    /// Who sent it; missing if the snaplen cut it off, like `dst` and `ttl`.
    #[serde(skip_serializing_if = "Option::is_none")]
    src: Option<IpAddr>,
    /// To whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    dst: Option<IpAddr>,
    /// Time to live or hop limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u8>,
    /// Bytes the packet had, IP header included.
    len: u32,
    /// Bytes that were kept of it.
    caplen: usize,
    /// Some were not kept.
    truncated: bool,
    /// It ends before its ICMP header does.
    malformed: bool,
    /// Of a fragment: where in the whole packet's payload it starts, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    fragment_offset: Option<u16>,
    /// What the bytes say of the ICMP checksum.
    checksum: Checksum,
    /// What the kernel knew of it.
    checksum_state: ChecksumState,
    /// Missing in a later fragment and a malformed packet.
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp: Option<icmp::Icmp>,
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
            cpu: event.cpu().0,
            seq: event.seq(),
            netns: event.netns().0,
            netns_name: None,
            hook: event.hook().to_string(),
            family: event.family().to_string(),
            iif: event.iif().map(&mut interface),
            oif: event.oif().map(&mut interface),
            mark: event.mark(),
            vlan: event.vlan().map(|vlan| Vlan {
                id: vlan.id(),
                priority: vlan.priority(),
                protocol: if vlan.provider { "802.1ad" } else { "802.1Q" },
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
            checksum_state: event.checksum_state(),
            icmp: match (event.icmp(), event.icmp_type_and_code()) {
                (Some(message), _) => Some(icmp::Icmp::new(&message)),
                (None, Some((number, code))) => Some(icmp::Icmp::of_unknown_family(number, code)),
                (None, None) => None,
            },
        }
    }
}

/// A network interface.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Interface {
    /// Unique within its network namespace.
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// A VLAN tag.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Vlan {
    id: u16,
    priority: u8,
    /// `802.1Q` or `802.1ad`.
    protocol: &'static str,
}

/// Packets that did not make it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Lost {
    /// On which CPU; missing in the line at the end, of those that no event came after.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<u32>,
    /// How many.
    count: u64,
}

/// The end of the stream. The lines of events are `shown` in number, the counts of the
/// lines of losses add up to the three `lost_` counters, and
/// `received` + these = `matched`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Summary {
    /// Events that were shown: fewer than `received` if only so many were wanted.
    shown: u64,
    /// Events that were received.
    received: u64,
    /// What the kernel counted.
    counters: Counters,
}

/// What a subscription counts. `matched` is the sum of `delivered`, the three `lost_`
/// counters and `queued`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counters {
    /// Packets that were wanted, each of which got a sequence number.
    matched: u64,
    /// Events put into the receive buffer.
    delivered: u64,
    /// Events lost because the receive buffer was full.
    lost_overrun: u64,
    /// Events lost because there was no memory.
    lost_nomem: u64,
    /// Events lost to the rate limit.
    lost_ratelimit: u64,
    /// Events in a batch that was not sent yet; 0 at the end.
    queued: u64,
    /// Packets that sampling passed over, which are not matched.
    sampled_out: u64,
}

impl From<&reply::Counters> for Counters {
    fn from(counters: &reply::Counters) -> Self {
        let reply::Counters {
            matched,
            delivered,
            lost_overrun,
            lost_nomem,
            lost_ratelimit,
            queued,
            sampled_out,
        } = *counters;
        Self {
            matched,
            delivered,
            lost_overrun,
            lost_nomem,
            lost_ratelimit,
            queued,
            sampled_out,
        }
    }
}
