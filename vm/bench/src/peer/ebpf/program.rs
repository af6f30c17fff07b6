//! What runs in the kernel for each packet: is it ICMP, then a [`record`] of it goes
//! into the ring.

use anyhow::Result;

use super::Wakeups;
use super::assembly::{Code, Condition::*, Register, Register::*, Size::*};
use super::btf::Btf;
use crate::sys::bpf::Map;
use crate::traffic::SNAPLEN;

/// What is in the ring, field by field.
pub(super) mod record {
    pub(in super::super) const TIME: i16 = 0;
    pub(in super::super) const INTERFACE: i16 = 8;
    pub(in super::super) const MARK: i16 = 12;
    pub(in super::super) const LEN: i16 = 16;
    pub(in super::super) const CAPLEN: i16 = 20;
    pub(in super::super) const PACKET: i16 = 24;
}
const RECORD_LEN: i32 = record::PACKET as i32 + SNAPLEN as i32;

/// Where programs put things.
#[derive(Clone, Copy)]
pub(super) struct Maps<'a> {
    pub(super) ring: &'a Map,
    /// One number: the records that found no room.
    pub(super) lost: &'a Map,
}

/// For tc: sees frames.
pub(super) fn tc(wakeups: Wakeups, maps: Maps<'_>) -> Vec<u64> {
    // Of `struct __sk_buff`.
    const LEN: i16 = 0;
    const MARK: i16 = 8;
    const IFINDEX: i16 = 40;
    const DATA: i16 = 76;
    const DATA_END: i16 = 80;
    /// Bytes of the link's header.
    const LINK: i32 = 14;
    const TC_ACT_OK: i32 = 0;

    let mut code = Code::default();
    // It is bound to IPv4.
    code.copy(R6, R1);
    code.load(Word, R2, R6, DATA);
    code.load(Word, R3, R6, DATA_END);
    code.copy(R4, R2);
    code.increase(R4, LINK + 20);
    code.jump_if_it(R4, Greater, R3, "pass");
    code.load(Byte, R2, R2, LINK as i16 + PROTOCOL);
    code.jump_if(R2, NotEqual, libc::IPPROTO_ICMP, "pass");

    reserve(&mut code, maps);
    code.call(helper::KTIME_GET_NS);
    code.store(Double, R9, record::TIME, R0);
    for (from, to) in [(IFINDEX, record::INTERFACE), (MARK, record::MARK)] {
        code.load(Word, R2, R6, from);
        code.store(Word, R9, to, R2);
    }
    code.load(Word, R7, R6, LEN);
    code.increase(R7, -LINK);
    lengths(&mut code);
    code.copy(R1, R6);
    code.set(R2, LINK);
    address(&mut code, R3);
    code.copy(R4, R7);
    code.call(helper::SKB_LOAD_BYTES);
    submit(&mut code, wakeups, maps);
    code.label("pass");
    code.set(R0, TC_ACT_OK);
    code.exit();
    code.finish()
}

/// For netfilter: sees packets, as the kernel has them.
pub(super) fn netfilter(wakeups: Wakeups, maps: Maps<'_>, btf: &Btf) -> Result<Vec<u64>> {
    // Of `struct bpf_nf_ctx`.
    const STATE: i16 = 0;
    const SKB: i16 = 8;
    /// Of the stack: a dynptr.
    const DYNPTR: i32 = -16;
    const NF_ACCEPT: i32 = 1;

    let mut code = Code::default();
    code.load(Double, R6, R1, SKB);
    code.load(Double, R8, R1, STATE);
    let dynptr = |code: &mut Code, to: Register| {
        code.copy(to, R10);
        code.increase(to, DYNPTR);
    };
    code.copy(R1, R6);
    code.set(R2, 0);
    dynptr(&mut code, R3);
    code.call_kernel(btf.function("bpf_dynptr_from_skb")?);
    dynptr(&mut code, R1);
    code.set(R2, 0);
    code.set(R3, 0);
    code.set(R4, 20);
    code.call_kernel(btf.function("bpf_dynptr_slice")?);
    code.jump_if(R0, Equal, 0, "pass");
    code.load(Byte, R2, R0, PROTOCOL);
    code.jump_if(R2, NotEqual, libc::IPPROTO_ICMP, "pass");

    reserve(&mut code, maps);
    code.call(helper::KTIME_GET_NS);
    code.store(Double, R9, record::TIME, R0);
    code.load(Double, R2, R8, btf.field("nf_hook_state", "in")?);
    code.load(Word, R2, R2, btf.field("net_device", "ifindex")?);
    code.store(Word, R9, record::INTERFACE, R2);
    code.load(Word, R2, R6, btf.field("sk_buff", "mark")?);
    code.store(Word, R9, record::MARK, R2);
    code.load(Word, R7, R6, btf.field("sk_buff", "len")?);
    lengths(&mut code);
    address(&mut code, R1);
    code.copy(R2, R7);
    dynptr(&mut code, R3);
    code.set(R4, 0);
    code.set(R5, 0);
    code.call(helper::DYNPTR_READ);
    submit(&mut code, wakeups, maps);
    code.label("pass");
    code.set(R0, NF_ACCEPT);
    code.exit();
    Ok(code.finish())
}

/// For netfilter: does nothing. A kernel that does not take it has no such programs.
pub(super) fn accept() -> Vec<u64> {
    let mut code = Code::default();
    code.set(R0, 1);
    code.exit();
    code.finish()
}

/// Of an IPv4 header.
const PROTOCOL: i16 = 9;

/// `BPF_FUNC_*`
mod helper {
    pub(super) const MAP_LOOKUP_ELEM: i32 = 1;
    pub(super) const KTIME_GET_NS: i32 = 5;
    pub(super) const SKB_LOAD_BYTES: i32 = 26;
    pub(super) const RINGBUF_RESERVE: i32 = 131;
    pub(super) const RINGBUF_SUBMIT: i32 = 132;
    pub(super) const RINGBUF_QUERY: i32 = 134;
    pub(super) const DYNPTR_READ: i32 = 201;
}

/// `R9`: room for a record. Without it, counts and passes.
fn reserve(code: &mut Code, maps: Maps<'_>) {
    code.set_map(R1, maps.ring.number());
    code.set(R2, RECORD_LEN);
    code.set(R3, 0);
    code.call(helper::RINGBUF_RESERVE);
    code.jump_if(R0, NotEqual, 0, "room");
    count_lost(code, maps);
    code.jump("pass");
    code.label("room");
    code.copy(R9, R0);
}

/// Uses the stack below a dynptr.
fn count_lost(code: &mut Code, maps: Maps<'_>) {
    const KEY: i16 = -24;
    code.store_value(Word, R10, KEY, 0);
    code.set_map(R1, maps.lost.number());
    code.copy(R2, R10);
    code.increase(R2, KEY.into());
    code.call(helper::MAP_LOOKUP_ELEM);
    code.jump_if(R0, Equal, 0, "pass");
    code.set(R1, 1);
    code.count(R0, R1);
}

/// `R7` is the packet's length, and then that of what is kept.
fn lengths(code: &mut Code) {
    code.store(Word, R9, record::LEN, R7);
    code.jump_if(R7, LessOrEqual, SNAPLEN as i32, "short");
    code.set(R7, SNAPLEN as i32);
    code.label("short");
    code.store(Word, R9, record::CAPLEN, R7);
    // It is not; the kernel wants it in so many words.
    code.jump_if(R7, Less, 1, "submit");
}

/// Where the record's packet is.
fn address(code: &mut Code, to: Register) {
    code.copy(to, R9);
    code.increase(to, record::PACKET.into());
}

/// Gives the record to the reader, who may be woken.
fn submit(code: &mut Code, wakeups: Wakeups, maps: Maps<'_>) {
    const AVAIL_DATA: i32 = 0;
    const NO_WAKEUP: i32 = 1;
    const FORCE_WAKEUP: i32 = 2;
    code.label("submit");
    match wakeups {
        Wakeups::Default => code.set(R2, 0),
        Wakeups::At(bytes) => {
            code.set_map(R1, maps.ring.number());
            code.set(R2, AVAIL_DATA);
            code.call(helper::RINGBUF_QUERY);
            code.set(R2, NO_WAKEUP);
            code.jump_if(R0, Less, bytes.cast_signed(), "flags");
            code.set(R2, FORCE_WAKEUP);
            code.label("flags");
        }
    }
    code.copy(R1, R9);
    code.call(helper::RINGBUF_SUBMIT);
}
