//! Netlink framing: messages in a datagram, attributes in a message.
//!
//! Layouts: `struct nlmsghdr` and `struct nlattr` in `linux/netlink.h`; both are
//! aligned to 4 bytes, and lengths count the header but not the padding.

use std::mem::{offset_of, size_of};

use icmptap_sys as sys;

pub(crate) const NLMSG_HDRLEN: usize = size_of::<sys::nlmsghdr>();
pub(crate) const GENL_HDRLEN: usize = size_of::<sys::genlmsghdr>();
const NLA_HDRLEN: usize = size_of::<sys::nlattr>();
const NLA_TYPE_MASK: u16 = !((sys::NLA_F_NESTED | sys::NLA_F_NET_BYTEORDER) as u16);

/// The message type of refusals and acknowledgements
/// ([`Status`](crate::reply::Status)).
pub const ERROR: u16 = sys::NLMSG_ERROR as u16;

/// The message type at the end of a dump ([`Done`](crate::reply::Done)).
pub const DONE: u16 = sys::NLMSG_DONE as u16;

/// Malformed data. `at` is the offset in the datagram, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The data ends too early.
    #[error("byte {at}: {what} needs {need} bytes, {have} are left")]
    Short {
        /// What is truncated.
        what: &'static str,
        /// Where it starts.
        at: usize,
        /// The number of bytes needed.
        need: usize,
        /// The number of bytes that are there.
        have: usize,
    },
    /// A number is out of range.
    #[error("byte {at}: {what} is {value}, {expected}")]
    Value {
        /// The field with the number.
        what: &'static str,
        /// Where it starts.
        at: usize,
        /// The number.
        value: u64,
        /// What was expected.
        expected: &'static str,
    },
    /// A text is not UTF-8.
    #[error("byte {at}: text that is not UTF-8")]
    Text {
        /// Where it starts.
        at: usize,
    },
    /// A reply lacks an attribute that every reply has.
    #[error("byte {at}: a reply without {what}")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// Where the reply's attributes start.
        at: usize,
    },
}

/// One netlink message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message<'a> {
    /// `nlmsg_type`: a [`FamilyId`](crate::FamilyId) or a control message.
    pub kind: u16,
    /// `nlmsg_flags`: `NLM_F_*`.
    pub flags: u16,
    /// `nlmsg_seq`: in an answer, that of the request; in events 0.
    pub seq: u32,
    /// What follows the header.
    pub payload: &'a [u8],
    /// Where the payload starts in the datagram.
    pub at: usize,
}

impl<'a> Message<'a> {
    /// Whether the list changed while the kernel sent it (`NLM_F_DUMP_INTR`): entries may
    /// be missing or duplicated.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        u32::from(self.flags) & sys::NLM_F_DUMP_INTR != 0
    }

    /// Splits off the generic netlink header: the command, and what follows.
    ///
    /// # Errors
    /// If the message is too short for one.
    pub fn generic(&self) -> Result<Generic<'a>, DecodeError> {
        need(
            "a generic netlink header",
            self.payload,
            self.at,
            GENL_HDRLEN,
        )?;
        Ok(Generic {
            command: self.payload[offset_of!(sys::genlmsghdr, cmd)],
            version: self.payload[offset_of!(sys::genlmsghdr, version)],
            body: &self.payload[GENL_HDRLEN..],
            at: self.at + GENL_HDRLEN,
        })
    }
}

/// The contents of a generic netlink message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Generic<'a> {
    /// `cmd`: `ICMPTAP_CMD_*`.
    pub command: u8,
    /// The family's version.
    pub version: u8,
    /// What follows the header: attributes, or a batch of events.
    pub body: &'a [u8],
    /// Where the body starts in the datagram.
    pub at: usize,
}

/// Iterates over the messages of a received datagram, in order. An error ends the
/// iteration, because the start of the next message is then unknown.
#[must_use]
pub fn messages(datagram: &[u8]) -> Messages<'_> {
    Messages { datagram, at: 0 }
}

/// See [`messages`].
#[derive(Debug, Clone)]
pub struct Messages<'a> {
    datagram: &'a [u8],
    at: usize,
}

impl Messages<'_> {
    /// Where the next message starts in the datagram.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.at
    }
}

/// As [`messages`], from the byte `offset` on, which [`Messages::offset`] returned.
#[must_use]
pub fn messages_from(datagram: &[u8], offset: usize) -> Messages<'_> {
    Messages {
        datagram,
        at: offset.min(datagram.len()),
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        let rest = &self.datagram[at..];
        if rest.is_empty() {
            return None;
        }
        self.at = self.datagram.len();
        if let Err(error) = need("a netlink header", rest, at, NLMSG_HDRLEN) {
            return Some(Err(error));
        }
        let len = u32_at(rest, offset_of!(sys::nlmsghdr, nlmsg_len)) as usize;
        if len < NLMSG_HDRLEN {
            return Some(Err(DecodeError::Value {
                what: "nlmsg_len",
                at,
                value: len as u64,
                expected: "less than its header",
            }));
        }
        if let Err(error) = need("a netlink message", rest, at, len) {
            return Some(Err(error));
        }
        self.at = at + align4(len).min(rest.len());
        Some(Ok(Message {
            kind: u16_at(rest, offset_of!(sys::nlmsghdr, nlmsg_type)),
            flags: u16_at(rest, offset_of!(sys::nlmsghdr, nlmsg_flags)),
            seq: u32_at(rest, offset_of!(sys::nlmsghdr, nlmsg_seq)),
            payload: &rest[NLMSG_HDRLEN..len],
            at: at + NLMSG_HDRLEN,
        }))
    }
}

/// One attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attr<'a> {
    /// `nla_type` without its flags.
    pub kind: u16,
    /// What follows the header.
    pub payload: &'a [u8],
    /// Where the payload starts in the datagram.
    pub at: usize,
}

impl<'a> Attr<'a> {
    /// The first `N` bytes; a newer kernel's longer form is cut.
    pub(crate) fn array<const N: usize>(&self, what: &'static str) -> Result<[u8; N], DecodeError> {
        need(what, self.payload, self.at, N)?;
        Ok(std::array::from_fn(|i| self.payload[i]))
    }

    pub(crate) fn u16(&self, what: &'static str) -> Result<u16, DecodeError> {
        self.array(what).map(u16::from_ne_bytes)
    }

    pub(crate) fn u32(&self, what: &'static str) -> Result<u32, DecodeError> {
        self.array(what).map(u32::from_ne_bytes)
    }

    pub(crate) fn u64(&self, what: &'static str) -> Result<u64, DecodeError> {
        self.array(what).map(u64::from_ne_bytes)
    }

    /// A text, up to its terminating zero if there is one.
    pub(crate) fn text(&self) -> Result<&'a str, DecodeError> {
        let bytes = self
            .payload
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| DecodeError::Text { at: self.at })
    }

    /// As [`text`](Self::text), where it may be anything.
    pub(crate) fn lossy_text(&self) -> String {
        let bytes = self.payload.split(|byte| *byte == 0).next();
        String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
    }

    pub(crate) fn nested(&self) -> Attrs<'a> {
        attributes(self.payload, self.at)
    }
}

/// Iterates over the attributes in `bytes`, which start at byte `at` of the datagram. An
/// error ends the iteration.
#[must_use]
pub fn attributes(bytes: &[u8], at: usize) -> Attrs<'_> {
    Attrs { bytes, at }
}

/// See [`attributes`].
#[derive(Debug, Clone)]
pub struct Attrs<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Attrs<'a> {
    type Item = Result<Attr<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (bytes, at) = (self.bytes, self.at);
        if bytes.is_empty() {
            return None;
        }
        self.bytes = &[];
        if let Err(error) = need("an attribute's header", bytes, at, NLA_HDRLEN) {
            return Some(Err(error));
        }
        let len = usize::from(u16_at(bytes, offset_of!(sys::nlattr, nla_len)));
        if len < NLA_HDRLEN {
            return Some(Err(DecodeError::Value {
                what: "nla_len",
                at,
                value: len as u64,
                expected: "less than its header",
            }));
        }
        if let Err(error) = need("an attribute", bytes, at, len) {
            return Some(Err(error));
        }
        let next = align4(len).min(bytes.len());
        self.bytes = &bytes[next..];
        self.at = at + next;
        Some(Ok(Attr {
            kind: u16_at(bytes, offset_of!(sys::nlattr, nla_type)) & NLA_TYPE_MASK,
            payload: &bytes[NLA_HDRLEN..len],
            at: at + NLA_HDRLEN,
        }))
    }
}

/// Writes one netlink message.
#[derive(Debug)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn new(kind: u16, flags: u32, seq: u32) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((flags as u16).to_ne_bytes());
        bytes.extend(seq.to_ne_bytes());
        // nlmsg_pid: the kernel takes the sender from the socket.
        bytes.extend([0; 4]);
        Self { bytes }
    }

    pub(crate) fn generic(kind: u16, flags: u32, seq: u32, command: u32, version: u32) -> Self {
        let mut writer = Self::new(kind, flags, seq);
        writer.bytes.extend([command as u8, version as u8, 0, 0]);
        writer
    }

    /// `payload` must be shorter than 64 KiB: the longest is a filter's 32 KiB.
    pub(crate) fn attr(&mut self, kind: u32, payload: &[u8]) {
        self.bytes
            .extend(((NLA_HDRLEN + payload.len()) as u16).to_ne_bytes());
        self.bytes.extend((kind as u16).to_ne_bytes());
        self.raw(payload);
    }

    pub(crate) fn raw(&mut self, payload: &[u8]) {
        self.bytes.extend(payload);
        self.bytes.resize(align4(self.bytes.len()), 0);
    }

    #[cfg(feature = "test-util")]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        let len = (self.bytes.len() as u32).to_ne_bytes();
        self.bytes[..4].copy_from_slice(&len);
        self.bytes
    }
}

#[inline]
pub(crate) fn align4(len: usize) -> usize {
    len.saturating_add(3) & !3
}

#[inline]
pub(crate) fn need(
    what: &'static str,
    bytes: &[u8],
    at: usize,
    need: usize,
) -> Result<(), DecodeError> {
    if bytes.len() < need {
        return Err(DecodeError::Short {
            what,
            at,
            need,
            have: bytes.len(),
        });
    }
    Ok(())
}

// The caller has made sure that the bytes are there.

#[inline]
fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    *bytes[at..].first_chunk().expect("the length was checked")
}

#[inline]
pub(crate) fn u8_at(bytes: &[u8], at: usize) -> u8 {
    bytes[at]
}

#[inline]
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes(array_at(bytes, at))
}

#[inline]
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(array_at(bytes, at))
}

#[inline]
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(array_at(bytes, at))
}
