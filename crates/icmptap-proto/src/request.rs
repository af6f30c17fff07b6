//! The requests to the kernel, encoded.
//!
//! Each function returns one whole netlink message. The reply has the same `seq`. Requests
//! that have a reply do not set `NLM_F_ACK`: the reply is the acknowledgement, and a
//! refusal is an error message.

use std::fmt;

use icmptap_sys as sys;

use crate::{
    BatchSize, Families, FamilyId, FlushInterval, Hooks, IfIndex, Instruction, Program, RateLimit,
    Sampling, Snaplen, TypeSet, Verdict,
    nlmsg::{GENL_HDRLEN, NLMSG_HDRLEN, Writer, attributes},
};

/// The options of a subscription. With `None`, the kernel's default applies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscribeOptions {
    /// The hooks at which packets are seen. Default: prerouting.
    pub hooks: Option<Hooks>,
    /// The protocol families. Default: all that the module supports.
    pub families: Option<Families>,
    /// How many bytes of each packet an event has. Default: 576.
    pub snaplen: Option<Snaplen>,
    /// The size of a full batch. Default: 3,776.
    pub batch: Option<BatchSize>,
    /// The longest time that an event waits in a batch. Default: 1,000 µs.
    pub flush_interval: Option<FlushInterval>,
    /// The ICMP types. Default: all.
    pub icmp_types: Option<TypeSet>,
    /// The ICMPv6 types. Default: all.
    pub icmpv6_types: Option<TypeSet>,
    /// The interface by which packets arrive or leave. Default: any.
    pub interface: Option<IfIndex>,
    /// The filter. Default: none.
    pub filter: Option<Program>,
    /// Which of the selected packets are delivered. Default: all.
    pub sampling: Option<Sampling>,
    /// The largest rate of events. Default: no limit.
    pub rate_limit: Option<RateLimit>,
    /// What the kernel does with matched packets. Default: it accepts them.
    pub verdict: Option<Verdict>,
    /// Whether the packets of every network namespace are seen, instead of those of the
    /// socket's own only.
    pub all_netns: bool,
}

impl SubscribeOptions {
    /// The first option that a module of this schema version does not know.
    #[must_use]
    pub fn unknown_to(&self, schema: u32) -> Option<SubscribeOption> {
        self.attributes()
            .into_iter()
            .filter_map(|(kind, _)| SubscribeOption::of_attribute(kind))
            .find(|option| option.since() > schema)
    }

    fn attributes(&self) -> Vec<(u32, Vec<u8>)> {
        let Self {
            hooks,
            families,
            snaplen,
            batch,
            flush_interval,
            icmp_types,
            icmpv6_types,
            interface,
            filter,
            sampling,
            rate_limit,
            verdict,
            all_netns,
        } = self;
        let number = |value: u32| value.to_ne_bytes().to_vec();
        [
            (
                sys::ICMPTAP_SUB_HOOKS,
                hooks.map(|hooks| number(hooks.bits())),
            ),
            (
                sys::ICMPTAP_SUB_FAMILIES,
                families.map(|families| number(families.bits())),
            ),
            (
                sys::ICMPTAP_SUB_SNAPLEN,
                snaplen.map(|snaplen| number(snaplen.0)),
            ),
            (sys::ICMPTAP_SUB_BATCH, batch.map(|batch| number(batch.0))),
            (
                sys::ICMPTAP_SUB_FLUSH_US,
                flush_interval.map(|interval| number(interval.us)),
            ),
            (
                sys::ICMPTAP_SUB_ICMP_TYPES,
                icmp_types.map(|types| types.bytes().to_vec()),
            ),
            (
                sys::ICMPTAP_SUB_ICMPV6_TYPES,
                icmpv6_types.map(|types| types.bytes().to_vec()),
            ),
            (
                sys::ICMPTAP_SUB_IFINDEX,
                interface.map(|index| number(index.0)),
            ),
            (
                sys::ICMPTAP_SUB_FILTER,
                filter.as_ref().map(|filter| {
                    let instructions = filter.instructions().iter();
                    instructions.flat_map(sock_filter).collect()
                }),
            ),
            (
                sys::ICMPTAP_SUB_SAMPLE,
                sampling.map(|sampling| number(sampling.one_in)),
            ),
            (
                sys::ICMPTAP_SUB_RATE,
                rate_limit.map(|limit| number(limit.per_second)),
            ),
            (
                sys::ICMPTAP_SUB_VERDICT,
                verdict.map(|verdict| number(verdict.number())),
            ),
            (sys::ICMPTAP_SUB_ALL_NETNS, all_netns.then(Vec::new)),
        ]
        .into_iter()
        .filter_map(|(kind, value)| Some((kind, value?)))
        .collect()
    }
}

/// An option of a subscription: a field of [`SubscribeOptions`], and a method of the same name
/// of `icmptap::Builder`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SubscribeOption {
    /// [`SubscribeOptions::hooks`]
    Hooks,
    /// [`SubscribeOptions::families`]
    Families,
    /// [`SubscribeOptions::snaplen`]
    Snaplen,
    /// [`SubscribeOptions::batch`]
    Batch,
    /// [`SubscribeOptions::flush_interval`]
    FlushInterval,
    /// [`SubscribeOptions::icmp_types`]
    IcmpTypes,
    /// [`SubscribeOptions::icmpv6_types`]
    Icmpv6Types,
    /// [`SubscribeOptions::interface`]
    Interface,
    /// [`SubscribeOptions::filter`]
    Filter,
    /// [`SubscribeOptions::sampling`]
    Sampling,
    /// [`SubscribeOptions::rate_limit`]
    RateLimit,
    /// [`SubscribeOptions::verdict`]
    Verdict,
    /// [`SubscribeOptions::all_netns`]
    AllNetns,
}

impl SubscribeOption {
    fn of_attribute(kind: u32) -> Option<Self> {
        Some(match kind {
            sys::ICMPTAP_SUB_HOOKS => Self::Hooks,
            sys::ICMPTAP_SUB_FAMILIES => Self::Families,
            sys::ICMPTAP_SUB_SNAPLEN => Self::Snaplen,
            sys::ICMPTAP_SUB_BATCH => Self::Batch,
            sys::ICMPTAP_SUB_FLUSH_US => Self::FlushInterval,
            sys::ICMPTAP_SUB_ICMP_TYPES => Self::IcmpTypes,
            sys::ICMPTAP_SUB_ICMPV6_TYPES => Self::Icmpv6Types,
            sys::ICMPTAP_SUB_IFINDEX => Self::Interface,
            sys::ICMPTAP_SUB_FILTER => Self::Filter,
            sys::ICMPTAP_SUB_SAMPLE => Self::Sampling,
            sys::ICMPTAP_SUB_RATE => Self::RateLimit,
            sys::ICMPTAP_SUB_VERDICT => Self::Verdict,
            sys::ICMPTAP_SUB_ALL_NETNS => Self::AllNetns,
            _ => return None,
        })
    }

    /// The first schema version that knows it.
    #[must_use]
    pub fn since(self) -> u32 {
        match self {
            Self::Hooks | Self::Families | Self::Snaplen | Self::Batch | Self::FlushInterval => 1,
            Self::IcmpTypes
            | Self::Icmpv6Types
            | Self::Interface
            | Self::Filter
            | Self::Sampling
            | Self::RateLimit
            | Self::Verdict
            | Self::AllNetns => 2,
        }
    }
}

/// Its name in a sentence: `hooks`, `flush interval`, `ICMP types`.
impl fmt::Display for SubscribeOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Hooks => "hooks",
            Self::Families => "families",
            Self::Snaplen => "snaplen",
            Self::Batch => "batch size",
            Self::FlushInterval => "flush interval",
            Self::IcmpTypes => "ICMP types",
            Self::Icmpv6Types => "ICMPv6 types",
            Self::Interface => "interface",
            Self::Filter => "filter",
            Self::Sampling => "sampling",
            Self::RateLimit => "rate limit",
            Self::Verdict => "verdict",
            Self::AllNetns => "all network namespaces",
        })
    }
}

/// Asks the generic netlink controller for the family `icmptap`
/// (`CTRL_CMD_GETFAMILY`). Answer: [`reply::Family`](crate::reply::Family).
#[must_use]
pub fn get_family(seq: u32) -> Vec<u8> {
    let mut writer = Writer::generic(
        sys::GENL_ID_CTRL as u16,
        sys::NLM_F_REQUEST,
        seq,
        sys::CTRL_CMD_GETFAMILY,
        1,
    );
    writer.attr(
        sys::CTRL_ATTR_FAMILY_NAME,
        sys::ICMPTAP_GENL_NAME.to_bytes_with_nul(),
    );
    writer.finish()
}

/// `ICMPTAP_CMD_GET_INFO`. Answer: [`reply::Info`](crate::reply::Info).
#[must_use]
pub fn get_info(family: FamilyId, seq: u32) -> Vec<u8> {
    command(family, 0, seq, sys::ICMPTAP_CMD_GET_INFO).finish()
}

/// `ICMPTAP_CMD_SUBSCRIBE`. Answer:
/// [`reply::Parameters`](crate::reply::Parameters); events may come before it.
#[must_use]
pub fn subscribe(family: FamilyId, seq: u32, options: &SubscribeOptions) -> Vec<u8> {
    let mut writer = command(family, 0, seq, sys::ICMPTAP_CMD_SUBSCRIBE);
    for (kind, value) in options.attributes() {
        writer.attr(kind, &value);
    }
    writer.finish()
}

/// `ICMPTAP_CMD_UNSUBSCRIBE`. Answer:
/// [`reply::Counters`](crate::reply::Counters), after the last event.
#[must_use]
pub fn unsubscribe(family: FamilyId, seq: u32) -> Vec<u8> {
    command(family, 0, seq, sys::ICMPTAP_CMD_UNSUBSCRIBE).finish()
}

/// `ICMPTAP_CMD_FLUSH`. Answer: the batched events, then an acknowledgement.
#[must_use]
pub fn flush(family: FamilyId, seq: u32) -> Vec<u8> {
    command(family, sys::NLM_F_ACK, seq, sys::ICMPTAP_CMD_FLUSH).finish()
}

/// `ICMPTAP_CMD_GET_SUBSCRIPTION`, as a dump: of the requester's network
/// namespace, or of all. Answers: a
/// [`reply::SubscriptionInfo`](crate::reply::SubscriptionInfo) for each, then
/// [`reply::Done`](crate::reply::Done).
#[must_use]
pub fn get_subscriptions(family: FamilyId, seq: u32, all_netns: bool) -> Vec<u8> {
    let mut writer = command(
        family,
        sys::NLM_F_DUMP,
        seq,
        sys::ICMPTAP_CMD_GET_SUBSCRIPTION,
    );
    if all_netns {
        writer.attr(sys::ICMPTAP_SUB_ALL_NETNS, &[]);
    }
    writer.finish()
}

/// `ICMPTAP_CMD_GET_STATS`. Answer: [`reply::Stats`](crate::reply::Stats).
#[must_use]
pub fn get_stats(family: FamilyId, seq: u32) -> Vec<u8> {
    command(family, 0, seq, sys::ICMPTAP_CMD_GET_STATS).finish()
}

/// `ICMPTAP_CMD_GET_STATS`, as a dump. Answers: a
/// [`reply::CpuStats`](crate::reply::CpuStats) for each CPU, then
/// [`reply::Done`](crate::reply::Done).
#[must_use]
pub fn get_stats_per_cpu(family: FamilyId, seq: u32) -> Vec<u8> {
    command(family, sys::NLM_F_DUMP, seq, sys::ICMPTAP_CMD_GET_STATS).finish()
}

/// The option at byte `offset` of a request made by [`subscribe`]: what the
/// kernel's `NLMSGERR_ATTR_OFFS` points at.
pub fn option_at(request: &[u8], offset: u32) -> Option<SubscribeOption> {
    let start = NLMSG_HDRLEN + GENL_HDRLEN;
    let attr = attributes(request.get(start..)?, start)
        .map_while(Result::ok)
        .find(|attr| attr.at == offset as usize + size_of::<sys::nlattr>())?;
    SubscribeOption::of_attribute(attr.kind.into())
}

/// `struct sock_filter` of `linux/filter.h`: u16, u8, u8, u32.
fn sock_filter(instruction: &Instruction) -> [u8; 8] {
    let Instruction { code, jt, jf, k } = *instruction;
    let (code, k) = (code.to_ne_bytes(), k.to_ne_bytes());
    [code[0], code[1], jt, jf, k[0], k[1], k[2], k[3]]
}

fn command(family: FamilyId, flags: u32, seq: u32, command: u32) -> Writer {
    Writer::generic(
        family.0,
        sys::NLM_F_REQUEST | flags,
        seq,
        command,
        sys::ICMPTAP_GENL_VERSION,
    )
}
