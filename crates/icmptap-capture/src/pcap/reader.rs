//! Reads pcap of anybody.

use std::io::Read;

use super::{FILE_HEADER, MICROSECONDS, NANOSECONDS, PACKET_HEADER, SECOND};
use crate::{
    ReadError,
    input::{Input, Order},
    link,
    reader::Frame,
};

/// Bytes that a packet may have at most: libpcap's `MAXIMUM_SNAPLEN`. More is damage.
const MAX_PACKET: u32 = 262_144;

/// What a file's header says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pcap {
    order: Order,
    /// Nanoseconds in a unit of the times' second word.
    unit: u64,
    link_type: u32,
}

impl Pcap {
    /// Whether a file starts so.
    pub(crate) fn recognize(start: &[u8]) -> Option<(Order, u64)> {
        [Order::Little, Order::Big]
            .into_iter()
            .find_map(|order| match order.u32(start, 0)? {
                MICROSECONDS => Some((order, 1_000)),
                NANOSECONDS => Some((order, 1)),
                _ => None,
            })
    }

    /// Reads the file's header, of which the first bytes are there.
    pub(crate) fn open(
        input: &mut Input<impl Read>,
        (order, unit): (Order, u64),
    ) -> Result<Self, ReadError> {
        input.need(FILE_HEADER, "the file's header")?;
        // What stands above it says how long a frame's check sequence is.
        let link_type = order.u32(input.piece(), 20).unwrap_or_default() & 0x03ff_ffff;
        if !link::is_known(link_type) {
            return Err(ReadError::LinkType { link_type });
        }
        Ok(Self {
            order,
            unit,
            link_type,
        })
    }

    /// The next packet. `None`: the file ends as it should.
    pub(crate) fn next<'a>(
        &self,
        input: &'a mut Input<impl Read>,
    ) -> Result<Option<Frame<'a>>, ReadError> {
        let offset = input.offset();
        if !input.begin(PACKET_HEADER)? {
            return Ok(None);
        }
        input.need(PACKET_HEADER, "a packet's header")?;
        let word = |at| self.order.u32(input.piece(), at).unwrap_or_default();
        let (seconds, fraction, caplen, original_len) = (word(0), word(4), word(8), word(12));
        if caplen > MAX_PACKET {
            return Err(ReadError::Damaged {
                what: "a packet",
                offset,
                problem: format!(
                    "it has {caplen} bytes, and no program keeps more than {MAX_PACKET}"
                ),
            });
        }
        input.need(PACKET_HEADER + caplen as usize, "a packet")?;
        let time_ns = u64::from(seconds) * SECOND + u64::from(fraction) * self.unit;
        Ok(Some(Frame {
            link_type: self.link_type,
            time_ns,
            // What is here was there.
            original_len: original_len.max(caplen),
            bytes: &input.piece()[PACKET_HEADER..],
        }))
    }
}
