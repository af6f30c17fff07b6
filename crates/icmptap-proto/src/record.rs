//! A record on the wire: is it whole, and what does its header say?
//!
//! Layout: `struct icmptap_record` in `kernel/uapi/linux/icmptap.h`.

use std::{
    fmt,
    mem::{offset_of, size_of},
};

use icmptap_sys as sys;

use crate::nlmsg::{DecodeError, need, u8_at, u16_at, u32_at, u64_at};

/// Bytes of a record's header that this version knows.
pub(crate) const HDRLEN: usize = size_of::<sys::icmptap_record>();

/// In place of the hook's number where no hook saw the packet. The kernel has less than
/// ten hooks, and never sends this.
pub(crate) const NO_HOOK: u8 = u8::MAX;

/// How long a record is, and its parts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) hdrlen: usize,
    pub(crate) caplen: usize,
    pub(crate) len: usize,
}

impl Extent {
    /// `bytes`: from the record to the end of the message. `None` if it cannot be
    /// one: [`objection`](Self::objection) says why.
    #[inline]
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < HDRLEN {
            return None;
        }
        let extent = Self::claimed(bytes);
        let is_whole = extent.len <= bytes.len()
            && extent.hdrlen >= HDRLEN
            && extent.hdrlen.saturating_add(extent.caplen) <= extent.len
            && extent.len.is_multiple_of(8);
        is_whole.then_some(extent)
    }

    /// What a header says, which is there.
    #[inline]
    fn claimed(bytes: &[u8]) -> Self {
        Self {
            hdrlen: u16_at(bytes, offset_of!(sys::icmptap_record, hdrlen)).into(),
            caplen: u32_at(bytes, offset_of!(sys::icmptap_record, caplen)) as usize,
            len: u32_at(bytes, offset_of!(sys::icmptap_record, len)) as usize,
        }
    }

    /// What is wrong with a record that [`decode`](Self::decode) does not take, and
    /// that starts at byte `at` of the datagram.
    #[cold]
    pub(crate) fn objection(bytes: &[u8], at: usize) -> DecodeError {
        if let Err(error) = need("a record's header", bytes, at, HDRLEN) {
            return error;
        }
        let Self {
            hdrlen,
            caplen,
            len,
        } = Self::claimed(bytes);
        let checked = need("a record", bytes, at, len)
            .and_then(|()| header_length("a record's hdrlen", hdrlen, HDRLEN, at));
        if let Err(error) = checked {
            return error;
        }
        let (what, value, expected) = if hdrlen.saturating_add(caplen) > len {
            ("a record's caplen", caplen, "more than the record holds")
        } else {
            ("a record's len", len, "not a multiple of 8")
        };
        DecodeError::Value {
            what,
            at,
            value: value as u64,
            expected,
        }
    }
}

/// A record's header as far as this version knows it. Fields are read as they are
/// asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header<'a>(pub(crate) &'a [u8; HDRLEN]);

/// What gives a field of `struct icmptap_record`.
macro_rules! fields {
    ($($field:ident: $kind:ident by $read:expr;)*) => {
        impl Header<'_> {
            $(
                #[inline]
                pub(crate) fn $field(self) -> $kind {
                    $read(self.0, offset_of!(sys::icmptap_record, $field))
                }
            )*
        }

        impl fmt::Debug for Header<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct("Header")
                    $(.field(stringify!($field), &self.$field()))*
                    .finish()
            }
        }
    };
}

fields! {
    flags: u16 by u16_at;
    time_ns: u64 by u64_at;
    origlen: u32 by u32_at;
    netns: u32 by u32_at;
    iif: u32 by u32_at;
    oif: u32 by u32_at;
    mark: u32 by u32_at;
    vlan_tci: u16 by u16_at;
    icmp_offset: u16 by u16_at;
    family: u8 by u8_at;
    hook: u8 by u8_at;
    icmp_type: u8 by u8_at;
    icmp_code: u8 by u8_at;
}

/// Is a header as long as this version needs?
pub(crate) fn header_length(
    what: &'static str,
    found: usize,
    known: usize,
    at: usize,
) -> Result<(), DecodeError> {
    if found < known {
        return Err(DecodeError::Value {
            what,
            at,
            value: found as u64,
            expected: "less than this version of the format needs",
        });
    }
    Ok(())
}
