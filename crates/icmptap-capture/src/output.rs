//! Buffers whole blocks and packets, so that many are written at once and none in part.

use std::io::{self, Write};

/// Buffered bytes that trigger a write.
const FULL: usize = 64 << 10;

#[derive(Debug)]
pub(crate) struct Output<W> {
    out: W,
    waiting: Vec<u8>,
    /// Bytes of this file that were written, up to the last complete write.
    written: u64,
}

impl<W: Write> Output<W> {
    pub(crate) fn new(out: W) -> Self {
        Self {
            out,
            waiting: Vec::new(),
            written: 0,
        }
    }

    /// Continues in another file. Returns the finished one.
    pub(crate) fn rotate(&mut self, out: W) -> io::Result<W> {
        self.flush()?;
        self.written = 0;
        Ok(std::mem::replace(&mut self.out, out))
    }

    /// The buffer for further whole blocks.
    pub(crate) fn waiting(&mut self) -> &mut Vec<u8> {
        &mut self.waiting
    }

    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Bytes of this file, including buffered ones.
    pub(crate) fn len(&self) -> u64 {
        self.written + self.waiting.len() as u64
    }

    pub(crate) fn flush_if_full(&mut self) -> io::Result<()> {
        match self.waiting.len() >= FULL {
            true => self.hand_over(),
            false => Ok(()),
        }
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.hand_over()?;
        self.out.flush()
    }

    pub(crate) fn get_ref(&self) -> &W {
        &self.out
    }

    fn hand_over(&mut self) -> io::Result<()> {
        let result = self.out.write_all(&self.waiting);
        if result.is_ok() {
            self.written += self.waiting.len() as u64;
        }
        self.waiting.clear();
        result
    }
}
