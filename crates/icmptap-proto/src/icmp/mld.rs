//! Multicast listener discovery, versions 1 (RFC 2710) and 2 (RFC 3810).

use std::{fmt, net::Ipv6Addr};

use super::message::Message;
use crate::bytes::{addresses, be16, ipv6};

/// A router asks who listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Query<'a> {
    /// The longest wait before an answer, in milliseconds.
    pub max_response_ms: u32,
    /// To which group; unspecified: to any.
    pub group: Ipv6Addr,
    /// Of version 2. `None` in version 1, and where it was cut off.
    pub v2: Option<QueryV2<'a>>,
}

/// What version 2 adds to a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryV2<'a> {
    /// S: routers shall not update their timers.
    pub suppress: bool,
    /// How many losses the querier's listeners stand.
    pub robustness: u8,
    /// Seconds between the querier's general queries.
    pub interval: u32,
    /// How many sources it says it asks about.
    pub source_count: u16,
    sources: &'a [u8],
}

impl<'a> Query<'a> {
    /// `None` if it is of neither version: these differ in length, and what has
    /// another one has to be ignored (RFC 3810 section 8.1).
    pub(super) fn decode(message: Message<'a>) -> Option<Self> {
        let bytes = message.bytes;
        let code = be16(bytes, 4)?;
        let is_v2 = match message.len.unwrap_or(bytes.len()) {
            V1_LEN => false,
            V2_LEN.. => true,
            _ => return None,
        };
        Some(Self {
            max_response_ms: if is_v2 { float(code, 12) } else { code.into() },
            group: ipv6(bytes, 8)?,
            v2: if is_v2 { QueryV2::decode(bytes) } else { None },
        })
    }
}

const V1_LEN: usize = 24;
const V2_LEN: usize = 28;

impl<'a> QueryV2<'a> {
    fn decode(bytes: &'a [u8]) -> Option<Self> {
        let [flags, interval] = *bytes.get(24..)?.first_chunk()?;
        let source_count = be16(bytes, 26)?;
        Some(Self {
            suppress: flags & 8 != 0,
            robustness: flags & 7,
            interval: float(interval.into(), 4),
            source_count,
            sources: first_addresses(bytes.get(V2_LEN..)?, source_count),
        })
    }

    /// The sources, as far as they are there.
    pub fn sources(&self) -> impl Iterator<Item = Ipv6Addr> + use<'a> {
        addresses(self.sources)
    }
}

/// A host tells what it listens to, in version 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report<'a> {
    /// How many records it says it has.
    pub count: u16,
    records: &'a [u8],
}

impl<'a> Report<'a> {
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        Some(Self {
            count: be16(bytes, 6)?,
            records: bytes.get(8..)?,
        })
    }

    /// The records, as far as they are there.
    #[must_use]
    pub fn records(&self) -> Records<'a> {
        Records {
            left: self.count,
            rest: self.records,
        }
    }
}

/// See [`Report::records`].
#[derive(Debug, Clone)]
pub struct Records<'a> {
    left: u16,
    rest: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        self.left = self.left.checked_sub(1)?;
        let [kind, aux_words] = *self.rest.first_chunk()?;
        let source_count = be16(self.rest, 2)?;
        let group = ipv6(self.rest, 4)?;
        let sources = &self.rest[RECORD_LEN..];
        let len = RECORD_LEN + usize::from(source_count) * 16 + usize::from(aux_words) * 4;
        self.rest = self.rest.get(len..).unwrap_or_default();
        Some(Record {
            kind: RecordType(kind),
            group,
            source_count,
            sources: first_addresses(sources, source_count),
        })
    }
}

const RECORD_LEN: usize = 20;

/// What is listened to in one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record<'a> {
    /// What is said of the sources.
    pub kind: RecordType,
    /// The group.
    pub group: Ipv6Addr,
    /// How many sources it says it has.
    pub source_count: u16,
    sources: &'a [u8],
}

impl<'a> Record<'a> {
    /// The sources, as far as they are there.
    pub fn sources(&self) -> impl Iterator<Item = Ipv6Addr> + use<'a> {
        addresses(self.sources)
    }
}

/// What a record says of its sources (RFC 3810 section 5.2.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordType(pub u8);

impl RecordType {
    /// The name as one word.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            1 => "mode-is-include",
            2 => "mode-is-exclude",
            3 => "change-to-include-mode",
            4 => "change-to-exclude-mode",
            5 => "allow-new-sources",
            6 => "block-old-sources",
            _ => return None,
        })
    }
}

/// The word, or `record-7` where there is none.
impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(word) => f.pad(word),
            None => write!(f, "record-{}", self.0),
        }
    }
}

fn first_addresses(bytes: &[u8], count: u16) -> &[u8] {
    &bytes[..bytes.len().min(usize::from(count) * 16)]
}

/// A number with a mantissa of so many bits below an exponent of 3, where the
/// bit above those is set (RFC 3810 sections 5.1.3 and 5.1.9).
fn float(code: u16, mantissa_bits: u32) -> u32 {
    let code = u32::from(code);
    let one = 1 << mantissa_bits;
    if code < one << 3 {
        return code;
    }
    (code & (one - 1) | one) << ((code >> mantissa_bits & 7) + 3)
}
