//! Reads pcapng files of any program, block by block.

use std::{io::Read, sync::Arc};

use super::blocks::{self, code};
use crate::{
    ReadError, SessionLost,
    input::{Input, MAX_PIECE, Order},
    journal, link,
    note::{self, Note},
    options::{CUSTOM_TEXT, Options},
    reader::Frame,
};

/// Bytes of the smallest block: its type, and its length twice.
const SMALLEST: usize = 12;

/// Maximum number of remembered interfaces in a section. Real files have fewer; without a
/// limit, a malicious file would exhaust memory.
const MAX_INTERFACES: usize = 1 << 20;

/// Maximum remembered bytes of an interface's name.
const MAX_NAME: usize = 256;

/// The contents of a block.
#[derive(Debug)]
pub(crate) enum Block<'a> {
    Packet {
        frame: Frame<'a>,
        /// Packets lost before this one, according to the file.
        dropped: u64,
        /// Our metadata, if icmptap wrote it.
        note: Option<Note>,
        /// The interface's name.
        interface: Option<Arc<str>>,
    },
    Lost(SessionLost),
    /// Metadata of a section, an interface and its network namespace, or the counters.
    Notes(Vec<Note>),
    /// Packets that another program reports as lost, on one interface.
    Dropped(u64),
    /// An interface with an unsupported link type.
    UnknownLink(u32),
    /// Nothing of interest.
    Other,
}

#[derive(Debug, Clone)]
struct Interface {
    link_type: u32,
    snaplen: u32,
    clock: Clock,
    name: Option<Arc<str>>,
    /// Packets lost according to its statistics, counted from the beginning.
    dropped: u64,
}

/// The format of an interface's timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Clock {
    /// `if_tsresol`: the negative power of 10, or of 2 if the highest bit is set.
    resolution: u8,
    /// Seconds to add.
    offset: i64,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            resolution: 6,
            offset: 0,
        }
    }
}

impl Clock {
    /// Nanoseconds since 1970, clamped to the valid range.
    fn nanoseconds(self, ticks: u64) -> u64 {
        let ticks = u128::from(ticks);
        let power = u32::from(self.resolution & 0x7f);
        let since = if self.resolution & 0x80 != 0 {
            // 64 + 30 bits.
            (ticks * 1_000_000_000) >> power
        } else if power <= 9 {
            ticks * 10u128.pow(9 - power)
        } else {
            10u128.checked_pow(power - 9).map_or(0, |unit| ticks / unit)
        };
        let since = i128::try_from(since).unwrap_or(i128::MAX);
        let since = since.saturating_add(i128::from(self.offset) * 1_000_000_000);
        u64::try_from(since.max(0)).unwrap_or(u64::MAX)
    }
}

/// A file of sections.
#[derive(Debug)]
pub(crate) struct Pcapng {
    order: Order,
    interfaces: Vec<Interface>,
}

/// An error in a block.
type Problem = String;

impl Pcapng {
    /// Whether a file starts like pcapng.
    pub(crate) fn recognize(start: &[u8]) -> bool {
        // The same in either order.
        Order::Big.u32(start, 0) == Some(blocks::SECTION_HEADER)
    }

    /// A file whose first word was already read.
    pub(crate) fn new() -> Self {
        Self {
            order: Order::Little,
            interfaces: Vec::new(),
        }
    }

    /// The next block; its first word may already be in `input`. `None`: regular end of
    /// file.
    pub(crate) fn next<'a>(
        &mut self,
        input: &'a mut Input<impl Read>,
        has_start: bool,
    ) -> Result<Option<Block<'a>>, ReadError> {
        if !has_start && !input.begin(8)? {
            return Ok(None);
        }
        let offset = input.offset() - input.piece().len() as u64;
        input.need(8, "a block")?;
        let kind = self.order.u32(input.piece(), 0).unwrap_or_default();
        if kind == blocks::SECTION_HEADER {
            input.need(12, "a section header")?;
            self.begin_section(input.piece(), offset)?;
        }
        let what = name(kind);
        let damaged = |problem| ReadError::Damaged {
            what,
            offset,
            problem,
        };
        let len = self.order.u32(input.piece(), 4).unwrap_or_default();
        if (len as usize) < SMALLEST || !len.is_multiple_of(4) {
            return Err(damaged(format!(
                "its length is {len}, and should be a multiple of 4 and 12 at least"
            )));
        }
        if is_read(kind) {
            if len as usize > MAX_PIECE {
                return Err(damaged(format!(
                    "its length is {len}, and no program writes more than {MAX_PIECE}"
                )));
            }
            input.need(len as usize, what)?;
        } else {
            let left = u64::from(len) - input.piece().len() as u64 - 4;
            let skipped = input.skip(left)?;
            // The length at the end is the piece now.
            if skipped < left || !input.begin(4)? || input.piece().len() < 4 {
                let end = input.offset();
                return Err(ReadError::Cut {
                    what,
                    offset,
                    missing: offset + u64::from(len) - end,
                });
            }
        }
        let piece = input.piece();
        let again = self.order.u32(piece, piece.len() - 4).unwrap_or_default();
        if again != len {
            return Err(damaged(format!(
                "its length is {len} at its start and {again} at its end"
            )));
        }
        if !is_read(kind) {
            return Ok(Some(Block::Other));
        }
        let body = &piece[8..piece.len() - 4];
        self.block(kind, body).map(Some).map_err(damaged)
    }

    /// A section header, whose first 12 bytes were already read.
    fn begin_section(&mut self, start: &[u8], offset: u64) -> Result<(), ReadError> {
        let order = [Order::Little, Order::Big]
            .into_iter()
            .find(|order| order.u32(start, 8) == Some(blocks::BYTE_ORDER));
        self.order = order.ok_or_else(|| ReadError::Damaged {
            what: "a section header",
            offset,
            problem: "it does not say in which order the bytes are".to_owned(),
        })?;
        self.interfaces.clear();
        Ok(())
    }

    fn block<'a>(&mut self, kind: u32, body: &'a [u8]) -> Result<Block<'a>, Problem> {
        match kind {
            blocks::SECTION_HEADER => self.section(body),
            blocks::INTERFACE => self.interface(body),
            blocks::ENHANCED_PACKET => {
                let number = self.word(body, 0)?;
                self.packet(number, body, 0)
            }
            blocks::OLD_PACKET => {
                let half = |at| self.order.u16(body, at).ok_or_else(too_short);
                let (number, dropped) = (half(0)?, half(2)?);
                // 65535: not known.
                let dropped = u64::from(dropped) * u64::from(dropped != u16::MAX);
                self.packet(number.into(), body, dropped)
            }
            blocks::SIMPLE_PACKET => self.simple_packet(body),
            blocks::STATISTICS => self.statistics(body),
            blocks::JOURNAL => match journal::loss(body) {
                Some(loss) => loss.map(Block::Lost).map_err(|error| error.to_string()),
                None => Ok(Block::Other),
            },
            _ => Ok(Block::Other),
        }
    }

    fn word(&self, body: &[u8], at: usize) -> Result<u32, Problem> {
        self.order.u32(body, at).ok_or_else(too_short)
    }

    fn options<'a>(
        &self,
        body: &'a [u8],
        at: usize,
    ) -> impl Iterator<Item = Result<(u16, &'a [u8]), Problem>> + use<'a> {
        Options::new(body.get(at..).unwrap_or_default(), self.order).map(|option| {
            option.map_err(|error| {
                format!(
                    "its option {} has {} bytes, and {} are left",
                    error.code, error.len, error.left
                )
            })
        })
    }

    /// The contents of a custom option, if it is ours.
    fn note(&self, value: &[u8]) -> Result<Option<Note>, Problem> {
        if self.order.u32(value, 0) != Some(note::ENTERPRISE) {
            return Ok(None);
        }
        let note = note::read(value.get(4..).unwrap_or_default()).transpose();
        note.map_err(|error| format!("what icmptap says in it cannot be read: {error}"))
    }

    fn section<'a>(&self, body: &[u8]) -> Result<Block<'a>, Problem> {
        let major = self.order.u16(body, 4).ok_or_else(too_short)?;
        if major != 1 {
            return Err(format!("its version is {major}, and only 1 is known"));
        }
        if body.len() < 16 {
            return Err(too_short());
        }
        let mut found = None;
        for option in self.options(body, 16) {
            if let (CUSTOM_TEXT, value) = option? {
                found = self.note(value)?.or(found);
            }
        }
        Ok(found.map_or(Block::Other, |note| Block::Notes(vec![note])))
    }

    fn interface<'a>(&mut self, body: &[u8]) -> Result<Block<'a>, Problem> {
        if self.interfaces.len() == MAX_INTERFACES {
            return Err(format!("there were {MAX_INTERFACES} interfaces before it"));
        }
        let link_type = u32::from(self.order.u16(body, 0).ok_or_else(too_short)?);
        let mut interface = Interface {
            link_type,
            snaplen: self.word(body, 4)?,
            clock: Clock::default(),
            name: None,
            dropped: 0,
        };
        let mut notes = Vec::new();
        for option in self.options(body, 8) {
            match option? {
                (code::IF_NAME, name) => {
                    let name = String::from_utf8_lossy(&name[..name.len().min(MAX_NAME)]);
                    interface.name = Some(name.into());
                }
                (code::IF_TSRESOL, [resolution, ..]) => interface.clock.resolution = *resolution,
                (code::IF_TSOFFSET, value) => {
                    let offset = self.order.u64(value, 0).unwrap_or_default();
                    interface.clock.offset = offset as i64;
                }
                (CUSTOM_TEXT, value) => notes.extend(self.note(value)?),
                _ => {}
            }
        }
        self.interfaces.push(interface);
        Ok(match link::is_known(link_type) {
            true => Block::Notes(notes),
            false => Block::UnknownLink(link_type),
        })
    }

    fn of_number(&self, number: u32) -> Result<&Interface, Problem> {
        self.interfaces
            .get(number as usize)
            .ok_or_else(|| format!("it is of interface {number}, which has no block"))
    }

    fn packet<'a>(&self, number: u32, body: &'a [u8], dropped: u64) -> Result<Block<'a>, Problem> {
        let interface = self.of_number(number)?;
        let ticks = (u64::from(self.word(body, 4)?) << 32) | u64::from(self.word(body, 8)?);
        let (caplen, original_len) = (self.word(body, 12)?, self.word(body, 16)?);
        let data = &body[20..];
        let bytes = data.get(..caplen as usize).ok_or_else(|| {
            format!(
                "it says to have {caplen} bytes of a packet, and {} are left",
                data.len()
            )
        })?;
        let mut found = None;
        let mut dropped = dropped;
        for option in self.options(data, bytes.len().next_multiple_of(4)) {
            match option? {
                (code::EPB_DROPCOUNT, value) => {
                    dropped = self.order.u64(value, 0).unwrap_or_default();
                }
                (CUSTOM_TEXT, value) => found = self.note(value)?.or(found),
                _ => {}
            }
        }
        Ok(Block::Packet {
            frame: Frame {
                link_type: interface.link_type,
                time_ns: interface.clock.nanoseconds(ticks),
                original_len: original_len.max(caplen),
                bytes,
            },
            dropped,
            note: found,
            interface: interface.name.clone(),
        })
    }

    /// On the first interface, without a timestamp.
    fn simple_packet<'a>(&self, body: &'a [u8]) -> Result<Block<'a>, Problem> {
        let interface = self.of_number(0)?;
        let original_len = self.word(body, 0)?;
        let data = &body[4..];
        let mut kept = (original_len as usize).min(data.len());
        if interface.snaplen != 0 {
            kept = kept.min(interface.snaplen as usize);
        }
        Ok(Block::Packet {
            frame: Frame {
                link_type: interface.link_type,
                time_ns: 0,
                original_len,
                bytes: &data[..kept],
            },
            dropped: 0,
            note: None,
            interface: interface.name.clone(),
        })
    }

    fn statistics<'a>(&mut self, body: &[u8]) -> Result<Block<'a>, Problem> {
        if body.len() < 12 {
            return Err(too_short());
        }
        let (mut dropped, mut found) = (0u64, None);
        for option in self.options(body, 12) {
            match option? {
                (code::ISB_IFDROP | code::ISB_OSDROP, value) => {
                    let count = self.order.u64(value, 0).unwrap_or_default();
                    dropped = dropped.saturating_add(count);
                }
                (CUSTOM_TEXT, value) => found = self.note(value)?.or(found),
                _ => {}
            }
        }
        if let Some(note) = found {
            return Ok(Block::Notes(vec![note]));
        }
        // One of no interface is passed over: there is nothing to add it up with.
        let number = self.word(body, 0)?;
        let Some(interface) = self.interfaces.get_mut(number as usize) else {
            return Ok(Block::Other);
        };
        let more = dropped.saturating_sub(interface.dropped);
        interface.dropped = interface.dropped.max(dropped);
        Ok(match more {
            0 => Block::Other,
            more => Block::Dropped(more),
        })
    }
}

/// Blocks of which more than the length is read.
fn is_read(kind: u32) -> bool {
    matches!(
        kind,
        blocks::SECTION_HEADER
            | blocks::INTERFACE
            | blocks::OLD_PACKET
            | blocks::SIMPLE_PACKET
            | blocks::STATISTICS
            | blocks::ENHANCED_PACKET
            | blocks::JOURNAL
    )
}

fn name(kind: u32) -> &'static str {
    match kind {
        blocks::SECTION_HEADER => "a section header",
        blocks::INTERFACE => "an interface block",
        blocks::OLD_PACKET | blocks::SIMPLE_PACKET | blocks::ENHANCED_PACKET => "a packet block",
        blocks::STATISTICS => "a statistics block",
        blocks::JOURNAL => "a journal block",
        _ => "a block",
    }
}

fn too_short() -> Problem {
    "it is too short for what it has to say".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_every_resolution() {
        let time = |resolution, offset, ticks| Clock { resolution, offset }.nanoseconds(ticks);
        assert_eq!(Clock::default().nanoseconds(1_500_000), 1_500_000_000);
        assert_eq!(time(9, 0, 7), 7);
        assert_eq!(time(0, 0, 7), 7_000_000_000);
        assert_eq!(time(12, 0, 7_999), 7);
        assert_eq!(time(127, 0, u64::MAX), 0);
        assert_eq!(time(0x80 | 10, 0, 1_024 + 512), 1_500_000_000);
        assert_eq!(time(0xff, 0, u64::MAX), 0);
        assert_eq!(time(0, 0, u64::MAX), u64::MAX, "the nearest there is");
        assert_eq!(time(9, 2, 7), 2_000_000_007);
        assert_eq!(time(9, -1, 7), 0);
        assert_eq!(time(9, i64::MIN, 7), 0);
        assert_eq!(time(0, i64::MAX, u64::MAX), u64::MAX);
    }
}
