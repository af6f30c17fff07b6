//! What the kernel answers. Attributes this version does not know are skipped.

use std::mem::{offset_of, size_of};

use icmptap_sys as sys;

use crate::{
    BatchSize, BootId, Families, FamilyId, FlushInterval, Hooks, Snaplen,
    nlmsg::{Attr, DecodeError, Generic, Message, NLMSG_HDRLEN, align4, attributes, need, u32_at},
};

/// An answer of type `NLMSG_ERROR`: a refusal, or a plain acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Ack,
    /// Not done.
    Refused(Refusal),
}

/// Why the kernel refused a request (`struct nlmsgerr`, extended
/// acknowledgement).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The errno, positive.
    pub errno: i32,
    /// The kernel's own words, if it had any.
    pub message: Option<String>,
    /// The attribute it objects to: offset in the request, in bytes.
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
        let mut refusal = Refusal {
            errno: error.saturating_neg(),
            message: None,
            offset: None,
        };
        if u32::from(message.flags) & sys::NLM_F_ACK_TLVS != 0 {
            // The request comes back in front of the attributes, unless capped.
            let request = offset_of!(sys::nlmsgerr, msg);
            let echoed = if u32::from(message.flags) & sys::NLM_F_CAPPED != 0 {
                NLMSG_HDRLEN
            } else {
                align4(u32_at(payload, request + offset_of!(sys::nlmsghdr, nlmsg_len)) as usize)
            };
            let start = request.saturating_add(echoed);
            need(
                "an error message with its request",
                payload,
                message.at,
                start,
            )?;
            for attr in attributes(&payload[start..], message.at + start) {
                let attr = attr?;
                match u32::from(attr.kind) {
                    sys::NLMSGERR_ATTR_MSG => refusal.message = Some(attr.text()?.to_owned()),
                    sys::NLMSGERR_ATTR_OFFS => refusal.offset = Some(attr.u32("an offset")?),
                    _ => {}
                }
            }
        }
        Ok(Self::Refused(refusal))
    }
}

/// The family as the controller knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Family {
    /// The message type to use.
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
            id: held(id, "the family's id", body)?,
            version: held(version, "the family's version", body)?,
        })
    }
}

/// What the module is and can do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// The module's version, as in `modinfo`.
    pub module_version: String,
    /// Counts additions to the wire format; see [`Info::SCHEMA_KNOWN`].
    pub schema_version: u32,
    /// Fresh for each load of the module.
    pub boot_id: BootId,
    /// The hooks that can be tapped.
    pub hooks: Hooks,
    /// The families that can be tapped.
    pub families: Families,
    /// The largest snaplen.
    pub snaplen_max: Snaplen,
    /// The smallest batch.
    pub batch_min: BatchSize,
    /// The largest batch.
    pub batch_max: BatchSize,
    /// The longest flush interval.
    pub flush_max: FlushInterval,
}

impl Info {
    /// The schema version this crate was made for.
    pub const SCHEMA_KNOWN: u32 = sys::ICMPTAP_SCHEMA_VERSION;

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
        for attr in attributes(body.body, body.at) {
            let attr = attr?;
            match u32::from(attr.kind) {
                sys::ICMPTAP_INFO_MODULE_VERSION => module_version = Some(attr.text()?.to_owned()),
                sys::ICMPTAP_INFO_SCHEMA_VERSION => {
                    schema_version = Some(attr.u32("the schema version")?);
                }
                sys::ICMPTAP_INFO_BOOT_ID => boot_id = Some(BootId(attr.array("the boot id")?)),
                sys::ICMPTAP_INFO_HOOKS => hooks = Some(Hooks(attr.u32("the hooks")?)),
                sys::ICMPTAP_INFO_FAMILIES => {
                    families = Some(Families(attr.u32("the families")?));
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
                _ => {}
            }
        }
        Ok(Self {
            module_version: held(module_version, "a module version", body)?,
            schema_version: held(schema_version, "a schema version", body)?,
            boot_id: held(boot_id, "a boot id", body)?,
            hooks: held(hooks, "hooks", body)?,
            families: held(families, "families", body)?,
            snaplen_max: held(snaplen_max, "a largest snaplen", body)?,
            batch_min: held(batch_min, "a smallest batch", body)?,
            batch_max: held(batch_max, "a largest batch", body)?,
            flush_max: held(flush_max, "a longest flush interval", body)?,
        })
    }
}

/// The parameters in force of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parameters {
    /// Where it looks.
    pub hooks: Hooks,
    /// What it looks for.
    pub families: Families,
    /// Packet bytes it keeps.
    pub snaplen: Snaplen,
    /// Bytes of a full batch.
    pub batch: BatchSize,
    /// Longest wait in a batch.
    pub flush_interval: FlushInterval,
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
        for attr in attributes(body.body, body.at) {
            let attr = attr?;
            match u32::from(attr.kind) {
                sys::ICMPTAP_SUB_HOOKS => hooks = Some(Hooks(attr.u32("the hooks")?)),
                sys::ICMPTAP_SUB_FAMILIES => {
                    families = Some(Families(attr.u32("the families")?));
                }
                sys::ICMPTAP_SUB_SNAPLEN => snaplen = Some(Snaplen(attr.u32("the snaplen")?)),
                sys::ICMPTAP_SUB_BATCH => batch = Some(BatchSize(attr.u32("the batch size")?)),
                sys::ICMPTAP_SUB_FLUSH_US => {
                    flush_interval = Some(FlushInterval {
                        us: attr.u32("the flush interval")?,
                    });
                }
                _ => {}
            }
        }
        Ok(Self {
            hooks: held(hooks, "hooks", body)?,
            families: held(families, "families", body)?,
            snaplen: held(snaplen, "a snaplen", body)?,
            batch: held(batch, "a batch size", body)?,
            flush_interval: held(flush_interval, "a flush interval", body)?,
        })
    }
}

/// Events of one subscription, summed over its CPUs, as the kernel counted them.
///
/// The law of conservation:
/// `matched == delivered + lost_overrun + lost_nomem + queued`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Events in a batch that was not sent yet; 0 after the end.
    pub queued: u64,
}

impl Counters {
    /// Events lost, whatever the cause.
    pub fn lost(&self) -> u64 {
        self.lost_overrun.saturating_add(self.lost_nomem)
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
        let nest = held(nest, "counters", body)?;
        let mut matched = None;
        let mut delivered = None;
        let mut lost_overrun = None;
        let mut lost_nomem = None;
        let mut queued = None;
        for attr in nest.nested() {
            let attr = attr?;
            let counter = match u32::from(attr.kind) {
                sys::ICMPTAP_COUNTER_MATCHED => &mut matched,
                sys::ICMPTAP_COUNTER_DELIVERED => &mut delivered,
                sys::ICMPTAP_COUNTER_LOST_OVERRUN => &mut lost_overrun,
                sys::ICMPTAP_COUNTER_LOST_NOMEM => &mut lost_nomem,
                sys::ICMPTAP_COUNTER_QUEUED => &mut queued,
                _ => continue,
            };
            *counter = Some(attr.u64("a counter")?);
        }
        Ok(Self {
            matched: held(matched, "the counter `matched`", body)?,
            delivered: held(delivered, "the counter `delivered`", body)?,
            lost_overrun: held(lost_overrun, "the counter `lost_overrun`", body)?,
            lost_nomem: held(lost_nomem, "the counter `lost_nomem`", body)?,
            queued: held(queued, "the counter `queued`", body)?,
        })
    }
}

fn held<T>(value: Option<T>, what: &'static str, body: &Generic<'_>) -> Result<T, DecodeError> {
    value.ok_or(DecodeError::Missing { what, at: body.at })
}
