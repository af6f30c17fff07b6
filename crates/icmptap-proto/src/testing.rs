//! The kernel's side of the conversation, made from values: for tests here, in
//! the library and in the command line tool.

mod exercise;
mod messages;
mod packet;

use std::mem::size_of;

use icmptap_sys as sys;

pub use exercise::{corpus, exercise, walk};
pub use messages::messages;
pub use packet::*;

use crate::{BootId, FamilyId, nlmsg::Writer, reply::Counters};

/// The family id used here; the real one is given out at registration.
pub const FAMILY: FamilyId = FamilyId(0x20);

/// A packet record to be.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the fields of struct icmptap_record")]
pub struct Record {
    pub flags: u16,
    pub time_ns: u64,
    pub origlen: Option<u32>,
    pub netns: u32,
    pub iif: u32,
    pub oif: u32,
    pub mark: u32,
    pub vlan_tci: u16,
    pub icmp_offset: u16,
    pub family: u8,
    pub hook: u8,
    pub icmp_type: u8,
    pub icmp_code: u8,
    pub packet: Vec<u8>,
    /// Bytes that a newer kernel appended to the header; a multiple of 8.
    pub longer_by: u16,
}

impl Record {
    /// As the kernel would record this IPv4 packet at prerouting, on
    /// interface 2, at 12:00:01.123456 on the first day of 1970.
    pub fn of_ipv4(packet: Vec<u8>) -> Self {
        let icmp_offset = usize::from(packet[0] & 15) * 4;
        Self::of(sys::NFPROTO_IPV4, packet, icmp_offset)
    }

    /// The same of this IPv6 packet, whose ICMPv6 header is at `icmp_offset`.
    pub fn of_ipv6(packet: Vec<u8>, icmp_offset: usize) -> Self {
        Self::of(sys::NFPROTO_IPV6, packet, icmp_offset)
    }

    fn of(family: u32, packet: Vec<u8>, icmp_offset: usize) -> Self {
        Self {
            flags: 0,
            time_ns: 43_201_123_456_789,
            origlen: None,
            netns: 4_026_531_840,
            iif: 2,
            oif: 0,
            mark: 0,
            vlan_tci: 0,
            icmp_offset: icmp_offset as u16,
            family: family as u8,
            hook: sys::NF_INET_PRE_ROUTING as u8,
            icmp_type: packet[icmp_offset],
            icmp_code: packet[icmp_offset + 1],
            packet,
            longer_by: 0,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let hdrlen = size_of::<sys::icmptap_record>() as u16 + self.longer_by;
        let caplen = self.packet.len() as u32;
        let len = (u32::from(hdrlen) + caplen).next_multiple_of(8);
        let mut bytes = Vec::new();
        bytes.extend(len.to_ne_bytes());
        bytes.extend(hdrlen.to_ne_bytes());
        bytes.extend(self.flags.to_ne_bytes());
        bytes.extend(self.time_ns.to_ne_bytes());
        bytes.extend(caplen.to_ne_bytes());
        bytes.extend(self.origlen.unwrap_or(caplen).to_ne_bytes());
        bytes.extend(self.netns.to_ne_bytes());
        bytes.extend(self.iif.to_ne_bytes());
        bytes.extend(self.oif.to_ne_bytes());
        bytes.extend(self.mark.to_ne_bytes());
        bytes.extend(self.vlan_tci.to_ne_bytes());
        bytes.extend(self.icmp_offset.to_ne_bytes());
        bytes.extend([self.family, self.hook, self.icmp_type, self.icmp_code]);
        bytes.resize(hdrlen.into(), 0xee);
        bytes.extend(&self.packet);
        bytes.resize(len as usize, 0);
        bytes
    }
}

/// An `EVENTS` message.
pub fn events(cpu: u32, seq: u64, lost: u64, records: &[Record]) -> Vec<u8> {
    events_longer(0, cpu, seq, lost, records)
}

/// An `EVENTS` message whose batch header is `longer_by` bytes longer.
pub fn events_longer(longer_by: u16, cpu: u32, seq: u64, lost: u64, records: &[Record]) -> Vec<u8> {
    let hdrlen = size_of::<sys::icmptap_batch>() as u16 + longer_by;
    let mut body = Vec::new();
    body.extend(hdrlen.to_ne_bytes());
    body.extend([0; 2]);
    body.extend(cpu.to_ne_bytes());
    body.extend((records.len() as u32).to_ne_bytes());
    body.extend(seq.to_ne_bytes());
    body.extend(lost.to_ne_bytes());
    body.resize(hdrlen.into(), 0xee);
    body.extend(records.iter().flat_map(Record::bytes));
    let mut writer = answer(0, sys::ICMPTAP_CMD_EVENTS);
    writer.raw(&body);
    writer.finish()
}

/// The controller's answer to `GETFAMILY`.
pub fn family(seq: u32) -> Vec<u8> {
    // CTRL_CMD_NEWFAMILY has number 1.
    let mut writer = Writer::generic(sys::GENL_ID_CTRL as u16, 0, seq, 1, 2);
    writer.attr(
        sys::CTRL_ATTR_FAMILY_NAME,
        sys::ICMPTAP_GENL_NAME.to_bytes_with_nul(),
    );
    writer.attr(sys::CTRL_ATTR_FAMILY_ID, &FAMILY.0.to_ne_bytes());
    writer.attr(
        sys::CTRL_ATTR_VERSION,
        &sys::ICMPTAP_GENL_VERSION.to_ne_bytes(),
    );
    writer.finish()
}

/// The answer to `GET_INFO`, with an attribute from the future in it.
pub fn info(seq: u32, boot_id: BootId) -> Vec<u8> {
    info_of_schema(seq, boot_id, sys::ICMPTAP_SCHEMA_VERSION)
}

/// The answer to `GET_INFO` of an older or newer module.
pub fn info_of_schema(seq: u32, boot_id: BootId, schema: u32) -> Vec<u8> {
    let mut writer = answer(seq, sys::ICMPTAP_CMD_GET_INFO);
    writer.attr(sys::ICMPTAP_INFO_MODULE_VERSION, b"0.1.0\0");
    writer.attr(FUTURE, b"news");
    writer.attr(sys::ICMPTAP_INFO_BOOT_ID, &boot_id.0);
    for (kind, value) in [
        (sys::ICMPTAP_INFO_SCHEMA_VERSION, schema),
        (sys::ICMPTAP_INFO_HOOKS, 1),
        (sys::ICMPTAP_INFO_FAMILIES, 1),
        (sys::ICMPTAP_INFO_SNAPLEN_MAX, 65535),
        (sys::ICMPTAP_INFO_BATCH_MIN, 512),
        (sys::ICMPTAP_INFO_BATCH_MAX, 65536),
        (sys::ICMPTAP_INFO_FLUSH_MAX_US, 1_000_000),
    ] {
        writer.attr(kind, &value.to_ne_bytes());
    }
    if schema > 1 {
        writer.attr(sys::ICMPTAP_INFO_FILTER_MAX, &4096u32.to_ne_bytes());
    }
    if schema > 2 {
        writer.attr(sys::ICMPTAP_INFO_PAD, &[]);
        writer.attr(sys::ICMPTAP_INFO_MAX_BYTES, &(15u64 << 20).to_ne_bytes());
    }
    writer.finish()
}

/// The answer to `SUBSCRIBE`: the kernel's defaults, as schema version 1 has
/// them.
pub fn subscribed(seq: u32) -> Vec<u8> {
    let mut writer = answer(seq, sys::ICMPTAP_CMD_SUBSCRIBE);
    parameters(&mut writer);
    writer.finish()
}

fn parameters(writer: &mut Writer) {
    for (kind, value) in [
        (sys::ICMPTAP_SUB_HOOKS, 1u32),
        (sys::ICMPTAP_SUB_FAMILIES, 1),
        (FUTURE, 5),
        (sys::ICMPTAP_SUB_SNAPLEN, 576),
        (sys::ICMPTAP_SUB_BATCH, 3776),
        (sys::ICMPTAP_SUB_FLUSH_US, 1000),
    ] {
        writer.attr(kind, &value.to_ne_bytes());
    }
}

/// The answer to `UNSUBSCRIBE` of a module of schema version 1: matched,
/// delivered, lost_overrun, lost_nomem and queued.
pub fn unsubscribed(seq: u32, counters: [u64; 5]) -> Vec<u8> {
    let [matched, delivered, lost_overrun, lost_nomem, queued] = counters;
    unsubscribed_with(
        seq,
        &[
            (sys::ICMPTAP_COUNTER_MATCHED, matched),
            (sys::ICMPTAP_COUNTER_DELIVERED, delivered),
            (sys::ICMPTAP_COUNTER_LOST_OVERRUN, lost_overrun),
            (sys::ICMPTAP_COUNTER_LOST_NOMEM, lost_nomem),
            (sys::ICMPTAP_COUNTER_QUEUED, queued),
        ],
    )
}

/// The answer to `UNSUBSCRIBE`.
pub fn counted(seq: u32, counters: &Counters) -> Vec<u8> {
    unsubscribed_with(seq, &numbers(counters))
}

fn unsubscribed_with(seq: u32, counters: &[(u32, u64)]) -> Vec<u8> {
    let mut writer = answer(seq, sys::ICMPTAP_CMD_UNSUBSCRIBE);
    nest(&mut writer, sys::ICMPTAP_SUB_COUNTERS, counters);
    writer.finish()
}

fn numbers(counters: &Counters) -> [(u32, u64); 7] {
    let Counters {
        matched,
        delivered,
        lost_overrun,
        lost_nomem,
        lost_ratelimit,
        queued,
        sampled_out,
    } = *counters;
    [
        (sys::ICMPTAP_COUNTER_MATCHED, matched),
        (sys::ICMPTAP_COUNTER_DELIVERED, delivered),
        (sys::ICMPTAP_COUNTER_LOST_OVERRUN, lost_overrun),
        (sys::ICMPTAP_COUNTER_LOST_NOMEM, lost_nomem),
        (sys::ICMPTAP_COUNTER_QUEUED, queued),
        (sys::ICMPTAP_COUNTER_LOST_RATELIMIT, lost_ratelimit),
        (sys::ICMPTAP_COUNTER_SAMPLED_OUT, sampled_out),
    ]
}

fn nest(writer: &mut Writer, kind: u32, counters: &[(u32, u64)]) {
    let mut nest = Writer::new(0, 0, 0);
    let header = nest.len();
    nest.attr(sys::ICMPTAP_COUNTER_PAD, &[]);
    for (kind, value) in counters.iter().chain(&[(FUTURE, 9)]) {
        nest.attr(*kind, &value.to_ne_bytes());
    }
    writer.attr(kind | sys::NLA_F_NESTED, &nest.finish()[header..]);
}

/// One message of the answer to `GET_SUBSCRIPTION`: of `icmptap`, process 42,
/// port 4200, with the defaults.
pub fn subscription(seq: u32, counters: &Counters) -> Vec<u8> {
    subscription_of_schema(seq, counters, sys::ICMPTAP_SCHEMA_VERSION)
}

/// The same of an older or newer module.
pub fn subscription_of_schema(seq: u32, counters: &Counters, schema: u32) -> Vec<u8> {
    let mut writer = part(seq, sys::ICMPTAP_CMD_GET_SUBSCRIPTION);
    parameters(&mut writer);
    nest(&mut writer, sys::ICMPTAP_SUB_COUNTERS, &numbers(counters));
    for (kind, value) in [
        (sys::ICMPTAP_SUB_PORTID, 4200u32),
        (sys::ICMPTAP_SUB_PROTOCOL, sys::NETLINK_GENERIC),
        (sys::ICMPTAP_SUB_NETNS, 4_026_531_840),
        (sys::ICMPTAP_SUB_PID, 42),
    ] {
        writer.attr(kind, &value.to_ne_bytes());
    }
    writer.attr(sys::ICMPTAP_SUB_COMM, b"icmptap\0");
    if schema > 2 {
        writer.attr(sys::ICMPTAP_SUB_PAD, &[]);
        writer.attr(sys::ICMPTAP_SUB_ID, &7u64.to_ne_bytes());
        writer.attr(sys::ICMPTAP_SUB_BYTES, &33_000u64.to_ne_bytes());
        writer.attr(sys::ICMPTAP_SUB_TAPS_MISSING, &3u32.to_ne_bytes());
    }
    writer.finish()
}

/// The answer to `GET_STATS`: two subscriptions.
pub fn stats(seq: u32, counters: &Counters) -> Vec<u8> {
    stats_of_schema(seq, counters, sys::ICMPTAP_SCHEMA_VERSION)
}

/// The same of an older or newer module.
pub fn stats_of_schema(seq: u32, counters: &Counters, schema: u32) -> Vec<u8> {
    let mut writer = answer(seq, sys::ICMPTAP_CMD_GET_STATS);
    writer.attr(sys::ICMPTAP_STATS_SUBSCRIPTIONS, &2u32.to_ne_bytes());
    stats_attrs(&mut writer, counters);
    if schema > 2 {
        writer.attr(sys::ICMPTAP_STATS_PAD, &[]);
        writer.attr(sys::ICMPTAP_STATS_BYTES, &66_000u64.to_ne_bytes());
        writer.attr(sys::ICMPTAP_STATS_BYTES_TOTAL, &99_000u64.to_ne_bytes());
    }
    writer.finish()
}

/// One message of the answer to `GET_STATS` as a dump.
pub fn cpu_stats(seq: u32, cpu: u32, counters: &Counters) -> Vec<u8> {
    let mut writer = part(seq, sys::ICMPTAP_CMD_GET_STATS);
    writer.attr(sys::ICMPTAP_STATS_CPU, &cpu.to_ne_bytes());
    stats_attrs(&mut writer, counters);
    writer.finish()
}

fn stats_attrs(writer: &mut Writer, counters: &Counters) {
    writer.attr(sys::ICMPTAP_STATS_NETNS, &4_026_531_840u32.to_ne_bytes());
    nest(writer, sys::ICMPTAP_STATS_COUNTERS, &numbers(counters));
}

/// The end of a dump: 0, or the errno that ended it. `interrupted`: what it
/// lists has changed meanwhile.
pub fn done(seq: u32, errno: i32, interrupted: bool) -> Vec<u8> {
    let flags = sys::NLM_F_MULTI | if interrupted { sys::NLM_F_DUMP_INTR } else { 0 };
    let mut writer = Writer::new(sys::NLMSG_DONE as u16, flags, seq);
    writer.raw(&(-errno).to_ne_bytes());
    writer.finish()
}

/// A plain acknowledgement of a request (`errno` 0) or a refusal without words.
pub fn status(seq: u32, errno: i32) -> Vec<u8> {
    refusal(seq, errno, None)
}

/// A refusal with the kernel's words and the offset of the bad attribute.
pub fn refusal(seq: u32, errno: i32, words: Option<(&str, u32)>) -> Vec<u8> {
    let flags = sys::NLM_F_CAPPED
        | if words.is_some() {
            sys::NLM_F_ACK_TLVS
        } else {
            0
        };
    let mut writer = Writer::new(sys::NLMSG_ERROR as u16, flags, seq);
    writer.raw(&(-errno).to_ne_bytes());
    writer.raw(&Writer::new(FAMILY.0, sys::NLM_F_REQUEST, seq).finish());
    if let Some((message, offset)) = words {
        writer.attr(sys::NLMSGERR_ATTR_MSG, format!("{message}\0").as_bytes());
        writer.attr(sys::NLMSGERR_ATTR_OFFS, &offset.to_ne_bytes());
    }
    writer.finish()
}

/// An attribute that no version has yet.
const FUTURE: u32 = 1000;

fn part(seq: u32, command: u32) -> Writer {
    let version = sys::ICMPTAP_GENL_VERSION;
    Writer::generic(FAMILY.0, sys::NLM_F_MULTI, seq, command, version)
}

fn answer(seq: u32, command: u32) -> Writer {
    Writer::generic(FAMILY.0, 0, seq, command, sys::ICMPTAP_GENL_VERSION)
}
