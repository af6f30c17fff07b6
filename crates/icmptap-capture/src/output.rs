//! Where blocks and packets wait to be written, many at a time and never a part of one.

use std::io::{self, Write};

/// Bytes that are written at once while more come.
const FULL: usize = 64 << 10;

#[derive(Debug)]
pub(crate) struct Output<W> {
    out: W,
    waiting: Vec<u8>,
    /// Bytes of this file that were handed over, up to the last piece that was taken whole.
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

    /// Goes on in another file. Gives the finished one.
    pub(crate) fn rotate(&mut self, out: W) -> io::Result<W> {
        self.flush()?;
        self.written = 0;
        Ok(std::mem::replace(&mut self.out, out))
    }

    /// Where to add what is whole.
    pub(crate) fn waiting(&mut self) -> &mut Vec<u8> {
        &mut self.waiting
    }

    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Bytes of this file, those that wait included.
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
