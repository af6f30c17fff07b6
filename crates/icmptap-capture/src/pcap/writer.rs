//! Writes pcap: packets from their IP header on, and their timestamps. The format has no
//! place for other metadata and losses.

use std::io::{self, Write};

use icmptap_proto::event::EventRef;

use super::{NANOSECONDS, SECOND};
use crate::{link, output::Output};

/// Writes events as pcap with timestamps in nanoseconds.
///
/// As with [`PcapngWriter`](crate::PcapngWriter), only whole packets are passed to the
/// [`Write`].
#[derive(Debug)]
pub struct PcapWriter<W> {
    out: Output<W>,
    snaplen: u32,
}

impl<W: Write> PcapWriter<W> {
    /// Starts a file whose packets have at most `snaplen` captured bytes; 0: no limit.
    /// The file header is buffered.
    pub fn new(out: W, snaplen: u32) -> Self {
        let mut writer = Self {
            out: Output::new(out),
            snaplen,
        };
        writer.begin();
        writer
    }

    /// Continues in another file. Returns the finished one.
    ///
    /// # Errors
    /// If buffered data cannot be written.
    pub fn rotate(&mut self, out: W) -> io::Result<W> {
        let finished = self.out.rotate(out)?;
        self.begin();
        Ok(finished)
    }

    fn begin(&mut self) {
        let out = self.out.waiting();
        out.extend(NANOSECONDS.to_le_bytes());
        out.extend(2u16.to_le_bytes());
        out.extend(4u16.to_le_bytes());
        // Two words that are not used.
        out.extend([0; 8]);
        out.extend(self.snaplen.to_le_bytes());
        out.extend(link::RAW.to_le_bytes());
    }

    /// Bytes of this file, including buffered ones. After an error, truncate the file to this
    /// length: the last write may have been incomplete, and its data is lost.
    pub fn file_size(&self) -> u64 {
        self.out.len()
    }

    /// The underlying writer.
    pub fn get_ref(&self) -> &W {
        self.out.get_ref()
    }

    /// Whether there is buffered data for [`flush`](Self::flush).
    pub fn has_waiting(&self) -> bool {
        self.out.has_waiting()
    }

    /// Writes an event's packet.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn event(&mut self, event: &EventRef<'_>) -> io::Result<()> {
        let (time, packet) = (event.time_ns(), event.packet());
        // Seconds are unsigned here, and last until 2106.
        let seconds = u32::try_from(time / SECOND).unwrap_or(u32::MAX);
        for word in [
            seconds,
            (time % SECOND) as u32,
            packet.len() as u32,
            event.original_len(),
        ] {
            self.out.waiting().extend(word.to_le_bytes());
        }
        self.out.waiting().extend(packet);
        self.out.flush_if_full()
    }

    /// Writes buffered data, and flushes the file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
