//! The kernel's replies. Attributes that this version does not know are skipped.

use std::{
    cmp::Ordering,
    mem::{offset_of, size_of},
};

use icmptap_sys as sys;

use crate::{
    BatchSize, BootId, Cpu, Families, FamilyId, FlushInterval, Hooks, IfIndex, Netns, Pid, PortId,
    Protocol, RateLimit, Sampling, Snaplen, SubscriptionId, TypeSet, Verdict,
    nlmsg::{Attr, DecodeError, Generic, Message, NLMSG_HDRLEN, align4, attributes, need, u32_at},
};

/// A message of type `NLMSG_ERROR`: a refusal or an acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// The kernel has carried out the request.
    Ack,
    /// The kernel has refused the request.
    Refused(Refusal),
}

/// Why the kernel refused a request (`struct nlmsgerr`, extended
/// acknowledgement).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The errno, positive.
    pub errno: i32,
    /// The kernel's explanation, if it gave one.
    pub message: Option<String>,
    /// The attribute that is at fault, as its offset in the request, in bytes.
    pub offset: Option<u32>,
}

impl Status {
    /// Decodes a message whose type is `NLMSG_ERROR` (2).
    ///
    /// # Errors
    /// If it is too short, or its attributes are not well formed.
    pub fn decode(message: &Message<'_>) -> Result<Self, DecodeError> {
        let payload = message.payload;
        need(
            "an error message",
            payload,
            message.at,
            size_of::<sys::nlmsgerr>(),
        )?;
        let error = u32_at(payload, offset_of!(sys::nlmsgerr, error)) as i32;
        if error == 0 {
            return Ok(Self::Ack);
        }
        // The request comes back in front of the attributes, unless capped.
        let request = offset_of!(sys::nlmsgerr, msg);
        let echoed = if u32::from(message.flags) & sys::NLM_F_CAPPED != 0 {
            NLMSG_HDRLEN
        } else {
            align4(u32_at(payload, request + offset_of!(sys::nlmsghdr, nlmsg_len)) as usize)
        };
        refusal(message, error, request.saturating_add(echoed)).map(Self::Refused)
    }
}

/// The end of a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// The list is complete.
    Complete,
    /// The list is incomplete, because of this error.
    Failed(Refusal),
}

impl Done {
    /// Decodes a message whose type is `NLMSG_DONE` (3): an errno, and with
    /// `NLM_F_ACK_TLVS` the attributes of an extended acknowledgement.
    ///
    /// # Errors
    /// If it is too short, or its attributes are not well formed.
    pub fn decode(message: &Message<'_>) -> Result<Self, DecodeError> {
        let errno = size_of::<i32>();
        need("the end of a dump", message.payload, message.at, errno)?;
        match u32_at(message.payload, 0) as i32 {
            error if error < 0 => refusal(message, error, errno).map(Self::Failed),
            _ => Ok(Self::Complete),
        }
    }
}

/// `error`: a negative errno; `start`: where attributes are, if there are any.
fn refusal(message: &Message<'_>, error: i32, start: usize) -> Result<Refusal, DecodeError> {
    let mut refusal = Refusal {
        errno: error.saturating_neg(),
        message: None,
        offset: None,
    };
    if u32::from(message.flags) & sys::NLM_F_ACK_TLVS == 0 {
        return Ok(refusal);
    }
    need(
        "an error message with its request",
        message.payload,
        message.at,
        start,
    )?;
    for attr in attributes(&message.payload[start..], message.at + start) {
        let attr = attr?;
        match u32::from(attr.kind) {
            sys::NLMSGERR_ATTR_MSG => refusal.message = Some(attr.text()?.to_owned()),
            sys::NLMSGERR_ATTR_OFFS => refusal.offset = Some(attr.u32("an offset")?),
            _ => {}
        }
    }
    Ok(refusal)
}

/// The family `icmptap`, as the generic netlink controller describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Family {
    /// The message type of requests and replies.
    pub id: FamilyId,
    /// `ICMPTAP_GENL_VERSION` of the module.
    pub version: u32,
}

impl Family {
    /// Decodes the answer to `CTRL_CMD_GETFAMILY`.
    ///
    /// # Errors
    /// If an attribute is missing or malformed.
    pub fn decode(body: &Generic<'_>) -> Result<Self, DecodeError> {
        let (mut id, mut version) = (None, None);
        for attr in attributes(body.body, body.at) {
            let attr = attr?;
            match u32::from(attr.kind) {
                sys::CTRL_ATTR_FAMILY_ID => id = Some(FamilyId(attr.u16("the family's id")?)),
                sys::CTRL_ATTR_VERSION => version = Some(attr.u32("the family's version")?),
                _ => {}
            }
        }
        Ok(Self {
            id: required(id, "the family's id", body)?,
            version: required(version, "the family's version", body)?,
        })
    }
}

/// The module's version and limits.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// The module's version, as in `modinfo`.
    pub module_version: String,
    /// The version of the wire format, which additions increase; see
    /// [`Info::SCHEMA_KNOWN`].
    pub schema_version: u32,
    /// Different after each load of the module.
    pub boot_id: BootId,
    /// The hooks at which packets can be seen.
    pub hooks: Hooks,
    /// The families whose packets can be seen.
    pub families: Families,
    /// The largest snaplen.
    pub snaplen_max: Snaplen,
    /// The smallest batch.
    pub batch_min: BatchSize,
    /// The largest batch.
    pub batch_max: BatchSize,
    /// The longest flush interval.
    pub flush_max: FlushInterval,
    /// The longest filter, in instructions. 0 with a module of schema version 1, which
    /// has no filters.
    pub filter_max: u32,
    /// The limit of the memory of all subscriptions together, in bytes. `None` with a
    /// module older than schema version 3, which does not report it.
    pub max_bytes: Option<u64>,
}

impl Info {
    /// The schema version this crate was made for.
    pub const SCHEMA_KNOWN: u32 = sys::ICMPTAP_SCHEMA_VERSION;

    /// Compares the module's schema version with the one that this crate knows.
    #[must_use]
    pub fn age(&self) -> Age {
        match self.schema_version.cmp(&Self::SCHEMA_KNOWN) {
            Ordering::Less => Age::Older,
            Ordering::Equal => Age::Same,
            Ordering::Greater => Age::Newer,
        }
    }

    /// Decodes the answer to `ICMPTAP_CMD_GET_INFO`.
    ///
    /// # Errors
    /// If an attribute is missing or malformed.
    pub fn decode(body: &Generic<'_>) -> Result<Self, DecodeError> {
        let mut module_version = None;
        let mut schema_version = None;
        let mut boot_id = None;
        let mut hooks = None;
        let mut families = None;
        let mut snaplen_max = None;
        let mut batch_min = None;
        let mut batch_max = None;
        let mut flush_max = None;
        let mut filter_max = 0;
        let mut max_bytes = None;
        for attr in attributes(body.body, body.at) {
            let attr = attr?;
            match u32::from(attr.kind) {
                sys::ICMPTAP_INFO_MODULE_VERSION => module_version = Some(attr.text()?.to_owned()),
                sys::ICMPTAP_INFO_SCHEMA_VERSION => {
                    schema_version = Some(attr.u32("the schema version")?);
                }
                sys::ICMPTAP_INFO_BOOT_ID => boot_id = Some(BootId(attr.array("the boot id")?)),
                sys::ICMPTAP_INFO_HOOKS => hooks = Some(Hooks::from_bits(attr.u32("the hooks")?)),
                sys::ICMPTAP_INFO_FAMILIES => {
                    families = Some(Families::from_bits(attr.u32("the families")?));
                }
                sys::ICMPTAP_INFO_SNAPLEN_MAX => {
                    snaplen_max = Some(Snaplen(attr.u32("the largest snaplen")?));
                }
                sys::ICMPTAP_INFO_BATCH_MIN => {
                    batch_min = Some(BatchSize(attr.u32("the smallest batch")?));
                }
                sys::ICMPTAP_INFO_BATCH_MAX => {
                    batch_max = Some(BatchSize(attr.u32("the largest batch")?));
                }
                sys::ICMPTAP_INFO_FLUSH_MAX_US => {
                    flush_max = Some(FlushInterval {
                        us: attr.u32("the longest flush interval")?,
                    });
                }
                sys::ICMPTAP_INFO_FILTER_MAX => filter_max = attr.u32("the longest filter")?,
                sys::ICMPTAP_INFO_MAX_BYTES => max_bytes = Some(attr.u64("the most memory")?),
                _ => {}
            }
        }
        Ok(Self {
            module_version: required(module_version, "a module version", body)?,
            schema_version: required(schema_version, "a schema version", body)?,
            boot_id: required(boot_id, "a boot id", body)?,
            hooks: required(hooks, "hooks", body)?,
            families: required(families, "families", body)?,
            snaplen_max: required(snaplen_max, "a largest snaplen", body)?,
            batch_min: required(batch_min, "a smallest batch", body)?,
            batch_max: required(batch_max, "a largest batch", body)?,
            flush_max: required(flush_max, "a longest flush interval", body)?,
            filter_max,
            max_bytes,
        })
    }
}

/// The module's schema version compared with [`Info::SCHEMA_KNOWN`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// The module is older. It refuses the options and requests that it does not know.
    Older,
    /// Both have the same version.
    Same,
    /// The module is newer. Everything that this crate knows works; what the module adds
    /// is skipped.
    Newer,
}

/// The parameters in force of a subscription. A module of schema version 1 reports fewer;
/// the others then have the values that describe its behaviour: all types, no filter, no
/// limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parameters {
    /// The hooks at which it sees packets.
    pub hooks: Hooks,
    /// The protocol families.
    pub families: Families,
    /// The number of bytes of each packet that its events have.
    pub snaplen: Snaplen,
    /// The size of a full batch.
    pub batch: BatchSize,
    /// The longest time that an event waits in a batch.
    pub flush_interval: FlushInterval,
    /// The ICMP types.
    pub icmp_types: TypeSet,
    /// The ICMPv6 types.
    pub icmpv6_types: TypeSet,
    /// The interface by which packets arrive or leave. `None`: any.
    pub interface: Option<IfIndex>,
    /// The length of its filter in instructions. 0: it has none.
    pub filter_len: u32,
    /// Which of the selected packets it delivers.
    pub sampling: Sampling,
    /// The largest rate of its events.
    pub rate_limit: RateLimit,
    /// What the kernel does with matched packets.
    pub verdict: Verdict,
    /// Whether it sees the packets of every network namespace.
    pub all_netns: bool,
}

impl Parameters {
    /// Decodes the answer to `ICMPTAP_CMD_SUBSCRIBE`.
    ///
    /// # Errors
    /// If an attribute is missing or malformed.
    pub fn decode(body: &Generic<'_>) -> Result<Self, DecodeError> {
        let mut hooks = None;
        let mut families = None;
        let mut snaplen = None;
        let mut batch = None;
        let mut flush_interval = None;
        let mut icmp_types = TypeSet::ALL;
        let mut icmpv6_types = TypeSet::ALL;
        let mut interface = None;
        let mut filter_len = 0;
        let mut sampling = Sampling::ALL;
        let mut rate_limit = RateLimit::NONE;
        let mut verdict = Verdict::Accept;
        let mut all_netns = false;
        for attr in attributes(body.body, body.at) {
            let attr = attr?;
            match u32::from(attr.kind) {
                sys::ICMPTAP_SUB_HOOKS => hooks = Some(Hooks::from_bits(attr.u32("the hooks")?)),
                sys::ICMPTAP_SUB_FAMILIES => {
                    families = Some(Families::from_bits(attr.u32("the families")?));
                }
                sys::ICMPTAP_SUB_SNAPLEN => snaplen = Some(Snaplen(attr.u32("the snaplen")?)),
                sys::ICMPTAP_SUB_BATCH => batch = Some(BatchSize(attr.u32("the batch size")?)),
                sys::ICMPTAP_SUB_FLUSH_US => {
                    flush_interval = Some(FlushInterval {
                        us: attr.u32("the flush interval")?,
                    });
                }
                sys::ICMPTAP_SUB_ICMP_TYPES => {
                    icmp_types = TypeSet::from_bytes(attr.array("the ICMP types")?);
                }
                sys::ICMPTAP_SUB_ICMPV6_TYPES => {
                    icmpv6_types = TypeSet::from_bytes(attr.array("the ICMPv6 types")?);
                }
                sys::ICMPTAP_SUB_IFINDEX => {
                    let index = attr.u32("the interface")?;
                    interface = (index != 0).then_some(IfIndex(index));
                }
                sys::ICMPTAP_SUB_FILTER_LEN => filter_len = attr.u32("the filter's length")?,
                sys::ICMPTAP_SUB_SAMPLE => {
                    sampling = Sampling {
                        one_in: attr.u32("the sampling")?,
                    };
                }
                sys::ICMPTAP_SUB_RATE => {
                    rate_limit = RateLimit {
                        per_second: attr.u32("the rate limit")?,
                    };
                }
                sys::ICMPTAP_SUB_VERDICT => {
                    verdict = Verdict::from_number(attr.u32("the verdict")?);
                }
                sys::ICMPTAP_SUB_ALL_NETNS => all_netns = true,
                _ => {}
            }
        }
        Ok(Self {
            hooks: required(hooks, "hooks", body)?,
            families: required(families, "families", body)?,
            snaplen: required(snaplen, "a snaplen", body)?,
            batch: required(batch, "a batch size", body)?,
            flush_interval: required(flush_interval, "a flush interval", body)?,
            icmp_types,
            icmpv6_types,
            interface,
            filter_len,
            sampling,
            rate_limit,
            verdict,
            all_netns,
        })
    }
}

/// A current subscription and its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriptionInfo {
    /// Its parameters.
    pub parameters: Parameters,
    /// Its counters until now.
    pub counters: Counters,
    /// The port id of its socket.
    pub port: PortId,
    /// The protocol it was made with.
    pub protocol: Protocol,
    /// The network namespace of its socket.
    pub netns: Netns,
    /// The process that made it. `None` if it has ended, or is not visible in the PID
    /// namespace of the process that asks.
    pub pid: Option<Pid>,
    /// The name of that process (`/proc/PID/comm`). The process chose it: print it as
    /// [`Name`](crate::Name).
    pub command: String,
    /// Its number. `None` with a module older than schema version 3, which does not report
    /// it.
    pub id: Option<SubscriptionId>,
    /// Its memory in bytes. `None` with a module older than schema version 3, which does
    /// not report it.
    pub bytes: Option<u64>,
    /// Of a subscription to all network namespaces: the number of hooks that could not be
    /// registered in one of them, so that their packets are missing. 0 with a module older
    /// than schema version 3, which refuses the subscription in that case.
    pub taps_missing: u32,
}

impl SubscriptionInfo {
    /// Decodes one message of the answer to `ICMPTAP_CMD_GET_SUBSCRIPTION`.
    ///
    /// # Errors
    /// If an attribute is missing or malformed.
    pub fn decode(body: &Generic<'_>) -> Result<Self, DecodeError> {
        let mut port = None;
        let mut protocol = None;
        let mut netns = None;
        let mut pid = None;
        let mut command = None;
        let mut id = None;
        let mut bytes = None;
        let mut taps_missing = 0;
        for attr in attributes(body.body, body.at) {
            let attr = attr?;
            match u32::from(attr.kind) {
                sys::ICMPTAP_SUB_PORTID => port = Some(PortId(attr.u32("the port id")?)),
                sys::ICMPTAP_SUB_PROTOCOL => {
                    protocol = Some(Protocol::from_number(attr.u32("the protocol")?));
                }
                sys::ICMPTAP_SUB_NETNS => netns = Some(Netns(attr.u32("the netns")?)),
                sys::ICMPTAP_SUB_PID => {
                    let number = attr.u32("the process")?;
                    pid = (number != 0).then_some(Pid(number));
                }
                // A process may call itself anything.
                sys::ICMPTAP_SUB_COMM => command = Some(attr.lossy_text()),
                sys::ICMPTAP_SUB_ID => {
                    id = Some(SubscriptionId(attr.u64("the subscription's number")?));
                }
                sys::ICMPTAP_SUB_BYTES => bytes = Some(attr.u64("the kept memory")?),
                sys::ICMPTAP_SUB_TAPS_MISSING => {
                    taps_missing = attr.u32("the number of missing hooks")?;
                }
                _ => {}
            }
        }
        Ok(Self {
            parameters: Parameters::decode(body)?,
            counters: Counters::decode(body)?,
            port: required(port, "a port id", body)?,
            protocol: required(protocol, "a protocol", body)?,
            netns: required(netns, "a netns", body)?,
            pid,
            command: required(command, "a command", body)?,
            id,
            bytes,
            taps_missing,
        })
    }
}

/// The counters of all subscriptions of a network namespace, current and past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The network namespace of their sockets.
    pub netns: Netns,
    /// The number of current subscriptions.
    pub subscriptions: u32,
    /// The sums of the counters.
    pub counters: Counters,
    /// The memory of the current subscriptions in bytes. `None` with a module older than
    /// schema version 3, which does not report it.
    pub bytes: Option<u64>,
    /// The same for all network namespaces; [`Info::max_bytes`] is its limit.
    pub bytes_total: Option<u64>,
}

impl Stats {
    /// Decodes the answer to `ICMPTAP_CMD_GET_STATS`.
    ///
    /// # Errors
    /// If an attribute is missing or malformed.
    pub fn decode(body: &Generic<'_>) -> Result<Self, DecodeError> {
        let attrs = StatsAttrs::decode(body)?;
        Ok(Self {
            netns: required(attrs.netns, "a netns", body)?,
            subscriptions: required(attrs.subscriptions, "a number of subscriptions", body)?,
            counters: required(attrs.counters, "counters", body)?,
            bytes: attrs.bytes,
            bytes_total: attrs.bytes_total,
        })
    }
}

/// The part of [`Stats`] that belongs to one CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CpuStats {
    /// The CPU.
    pub cpu: Cpu,
    /// The network namespace of the subscriptions' sockets.
    pub netns: Netns,
    /// The sums of the counters of their streams on this CPU.
    pub counters: Counters,
}

impl CpuStats {
    /// Decodes one message of the answer to `ICMPTAP_CMD_GET_STATS` as a dump.
    ///
    /// # Errors
    /// If an attribute is missing or malformed.
    pub fn decode(body: &Generic<'_>) -> Result<Self, DecodeError> {
        let attrs = StatsAttrs::decode(body)?;
        Ok(Self {
            cpu: required(attrs.cpu, "a CPU", body)?,
            netns: required(attrs.netns, "a netns", body)?,
            counters: required(attrs.counters, "counters", body)?,
        })
    }
}

#[derive(Default)]
struct StatsAttrs {
    cpu: Option<Cpu>,
    netns: Option<Netns>,
    subscriptions: Option<u32>,
    counters: Option<Counters>,
    bytes: Option<u64>,
    bytes_total: Option<u64>,
}

impl StatsAttrs {
    fn decode(body: &Generic<'_>) -> Result<Self, DecodeError> {
        let mut attrs = Self::default();
        for attr in attributes(body.body, body.at) {
            let attr = attr?;
            match u32::from(attr.kind) {
                sys::ICMPTAP_STATS_CPU => attrs.cpu = Some(Cpu(attr.u32("the CPU")?)),
                sys::ICMPTAP_STATS_NETNS => attrs.netns = Some(Netns(attr.u32("the netns")?)),
                sys::ICMPTAP_STATS_SUBSCRIPTIONS => {
                    attrs.subscriptions = Some(attr.u32("the number of subscriptions")?);
                }
                sys::ICMPTAP_STATS_COUNTERS => attrs.counters = Some(Counters::of(&attr, body)?),
                sys::ICMPTAP_STATS_BYTES => attrs.bytes = Some(attr.u64("the kept memory")?),
                sys::ICMPTAP_STATS_BYTES_TOTAL => {
                    attrs.bytes_total = Some(attr.u64("the memory kept for all")?);
                }
                _ => {}
            }
        }
        Ok(attrs)
    }
}

/// The kernel's counters, of one subscription or of several, of one CPU or of all.
///
/// Always: `matched == delivered + lost_overrun + lost_nomem + lost_ratelimit + queued`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    // What a newer version counts and an older one did not is 0.
    serde(default)
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Counters {
    /// Packets that got a sequence number.
    pub matched: u64,
    /// Events that were put into the receive buffer.
    pub delivered: u64,
    /// Events lost because the receive buffer was full.
    pub lost_overrun: u64,
    /// Events lost because there was no memory for the message.
    pub lost_nomem: u64,
    /// Events lost to the rate limit. 0 with a module of schema version 1, which has none.
    pub lost_ratelimit: u64,
    /// Events in batches that were not sent yet. 0 after the end.
    pub queued: u64,
    /// Packets that sampling skipped, which are not matched. 0 with a module of schema
    /// version 1, which has no sampling.
    pub sampled_out: u64,
}

impl Counters {
    /// Events lost, whatever the cause.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost_overrun
            .saturating_add(self.lost_nomem)
            .saturating_add(self.lost_ratelimit)
    }

    /// Decodes the answer to `ICMPTAP_CMD_UNSUBSCRIBE`.
    ///
    /// # Errors
    /// If an attribute is missing or malformed.
    pub fn decode(body: &Generic<'_>) -> Result<Self, DecodeError> {
        let mut nest: Option<Attr<'_>> = None;
        for attr in attributes(body.body, body.at) {
            let attr = attr?;
            if u32::from(attr.kind) == sys::ICMPTAP_SUB_COUNTERS {
                nest = Some(attr);
            }
        }
        Self::of(&required(nest, "counters", body)?, body)
    }

    fn of(nest: &Attr<'_>, body: &Generic<'_>) -> Result<Self, DecodeError> {
        let mut matched = None;
        let mut delivered = None;
        let mut lost_overrun = None;
        let mut lost_nomem = None;
        let mut lost_ratelimit = None;
        let mut queued = None;
        let mut sampled_out = None;
        for attr in nest.nested() {
            let attr = attr?;
            let counter = match u32::from(attr.kind) {
                sys::ICMPTAP_COUNTER_MATCHED => &mut matched,
                sys::ICMPTAP_COUNTER_DELIVERED => &mut delivered,
                sys::ICMPTAP_COUNTER_LOST_OVERRUN => &mut lost_overrun,
                sys::ICMPTAP_COUNTER_LOST_NOMEM => &mut lost_nomem,
                sys::ICMPTAP_COUNTER_LOST_RATELIMIT => &mut lost_ratelimit,
                sys::ICMPTAP_COUNTER_QUEUED => &mut queued,
                sys::ICMPTAP_COUNTER_SAMPLED_OUT => &mut sampled_out,
                _ => continue,
            };
            *counter = Some(attr.u64("a counter")?);
        }
        Ok(Self {
            matched: required(matched, "the counter `matched`", body)?,
            delivered: required(delivered, "the counter `delivered`", body)?,
            lost_overrun: required(lost_overrun, "the counter `lost_overrun`", body)?,
            lost_nomem: required(lost_nomem, "the counter `lost_nomem`", body)?,
            lost_ratelimit: lost_ratelimit.unwrap_or(0),
            queued: required(queued, "the counter `queued`", body)?,
            sampled_out: sampled_out.unwrap_or(0),
        })
    }
}

fn required<T>(value: Option<T>, what: &'static str, body: &Generic<'_>) -> Result<T, DecodeError> {
    value.ok_or(DecodeError::Missing { what, at: body.at })
}
