//! What we ask of the kernel, as bytes.
//!
//! Each function gives one whole netlink message. `seq` comes back in the
//! answer. A request that has a reply is sent without `NLM_F_ACK`: the reply is
//! the acknowledgement, a refusal comes as an error message.

use icmptap_sys as sys;

use crate::{
    BatchSize, Families, FamilyId, FlushInterval, Hooks, Snaplen,
    nlmsg::{GENL_HDRLEN, NLMSG_HDRLEN, Writer, attributes},
};

/// What a subscription asks for. `None` leaves the choice to the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wishes {
    /// Where to look; the kernel's default is prerouting.
    pub hooks: Option<Hooks>,
    /// What to look for; the kernel's default is IPv4.
    pub families: Option<Families>,
    /// Packet bytes to keep; the kernel's default is 576.
    pub snaplen: Option<Snaplen>,
    /// Bytes of a full batch; the kernel's default is 3,776.
    pub batch: Option<BatchSize>,
    /// Longest wait in a batch; the kernel's default is 1,000 µs.
    pub flush_interval: Option<FlushInterval>,
}

/// Asks the generic netlink controller for the family `icmptap`
/// (`CTRL_CMD_GETFAMILY`). Answer: [`reply::Family`](crate::reply::Family).
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
pub fn get_info(family: FamilyId, seq: u32) -> Vec<u8> {
    command(family, 0, seq, sys::ICMPTAP_CMD_GET_INFO).finish()
}

/// `ICMPTAP_CMD_SUBSCRIBE`. Answer:
/// [`reply::Parameters`](crate::reply::Parameters); events may come before it.
pub fn subscribe(family: FamilyId, seq: u32, wishes: &Wishes) -> Vec<u8> {
    let Wishes {
        hooks,
        families,
        snaplen,
        batch,
        flush_interval,
    } = wishes;
    let mut writer = command(family, 0, seq, sys::ICMPTAP_CMD_SUBSCRIBE);
    let mut put = |kind: u32, value: Option<u32>| {
        if let Some(value) = value {
            writer.attr(kind, &value.to_ne_bytes());
        }
    };
    put(sys::ICMPTAP_SUB_HOOKS, hooks.map(|hooks| hooks.0));
    put(
        sys::ICMPTAP_SUB_FAMILIES,
        families.map(|families| families.0),
    );
    put(sys::ICMPTAP_SUB_SNAPLEN, snaplen.map(|snaplen| snaplen.0));
    put(sys::ICMPTAP_SUB_BATCH, batch.map(|batch| batch.0));
    put(
        sys::ICMPTAP_SUB_FLUSH_US,
        flush_interval.map(|interval| interval.us),
    );
    writer.finish()
}

/// `ICMPTAP_CMD_UNSUBSCRIBE`. Answer:
/// [`reply::Counters`](crate::reply::Counters), after the last event.
pub fn unsubscribe(family: FamilyId, seq: u32) -> Vec<u8> {
    command(family, 0, seq, sys::ICMPTAP_CMD_UNSUBSCRIBE).finish()
}

/// `ICMPTAP_CMD_FLUSH`. Answer: the batched events, then an acknowledgement.
pub fn flush(family: FamilyId, seq: u32) -> Vec<u8> {
    command(family, sys::NLM_F_ACK, seq, sys::ICMPTAP_CMD_FLUSH).finish()
}

/// The option that lies at byte `offset` of a request made by [`subscribe`], as
/// `icmptap listen` calls it: what the kernel's `NLMSGERR_ATTR_OFFS` points at.
pub fn option_at(request: &[u8], offset: u32) -> Option<&'static str> {
    let start = NLMSG_HDRLEN + GENL_HDRLEN;
    let attr = attributes(request.get(start..)?, start)
        .map_while(Result::ok)
        .find(|attr| attr.at == offset as usize + size_of::<sys::nlattr>())?;
    Some(match u32::from(attr.kind) {
        sys::ICMPTAP_SUB_HOOKS => "hook",
        sys::ICMPTAP_SUB_FAMILIES => "family",
        sys::ICMPTAP_SUB_SNAPLEN => "snaplen",
        sys::ICMPTAP_SUB_BATCH => "batch",
        sys::ICMPTAP_SUB_FLUSH_US => "flush-us",
        _ => return None,
    })
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
