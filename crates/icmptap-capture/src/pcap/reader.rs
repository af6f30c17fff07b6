//! Reads pcap files of any program.

use std::io::Read;

use super::{FILE_HEADER, MICROSECONDS, NANOSECONDS, PACKET_HEADER, SECOND};
use crate::{
    ReadError,
    input::{Input, Order},
    link,
    reader::Frame,
};

/// Maximum bytes of a packet: libpcap's `MAXIMUM_SNAPLEN`. More is damage.
const MAX_PACKET: u32 = 262_144;

/// The contents of the file header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pcap {
    order: Order,
    /// Nanoseconds per unit of a timestamp's second word.
    unit: u64,
    link_type: u32,
}

impl Pcap {
    /// Whether this is the magic number of pcap.
    pub(crate) fn recognize(start: &[u8]) -> Option<(Order, u64)> {
        [Order::Little, Order::Big]
            .into_iter()
            .find_map(|order| match order.u32(start, 0)? {
                MICROSECONDS => Some((order, 1_000)),
                NANOSECONDS => Some((order, 1)),
                _ => None,
            })
    }

    /// Reads the file header, whose first bytes were already read.
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

    /// The next packet. `None`: regular end of file.
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
