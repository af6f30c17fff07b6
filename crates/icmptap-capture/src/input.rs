//! Reads a capture in pieces: memory use depends on the bytes that are there, not on the
//! lengths that a file claims.

use std::io::{self, BufReader, Read};

use crate::ReadError;

/// Maximum bytes of a block or a packet, the same as libpcap's limit.
pub(crate) const MAX_PIECE: usize = 16 << 20;

/// Bytes requested at once while a long piece is read.
const STEP: usize = 64 << 10;

/// The byte order of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Little,
    Big,
}

macro_rules! number {
    ($name:ident: $type:ident) => {
        pub(crate) fn $name(self, bytes: &[u8], at: usize) -> Option<$type> {
            let bytes = *bytes.get(at..)?.first_chunk()?;
            Some(match self {
                Self::Little => $type::from_le_bytes(bytes),
                Self::Big => $type::from_be_bytes(bytes),
            })
        }
    };
}

impl Order {
    number!(u16: u16);
    number!(u32: u32);
    number!(u64: u64);
}

#[derive(Debug)]
pub(crate) struct Input<R> {
    read: BufReader<R>,
    /// Bytes consumed so far.
    offset: u64,
    piece: Vec<u8>,
}

impl<R: Read> Input<R> {
    pub(crate) fn new(read: R) -> Self {
        Self {
            read: BufReader::with_capacity(STEP, read),
            offset: 0,
            piece: Vec::new(),
        }
    }

    /// Offset of the next byte.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The current piece.
    pub(crate) fn piece(&self) -> &[u8] {
        &self.piece
    }

    /// Starts a piece with its first `len` bytes. `false`: end of file. The file may also
    /// end inside the piece, which is then shorter.
    pub(crate) fn begin(&mut self, len: usize) -> Result<bool, ReadError> {
        self.piece.clear();
        self.more(len)?;
        Ok(!self.piece.is_empty())
    }

    /// Extends the piece to `len` bytes, or to the end of the file.
    pub(crate) fn more(&mut self, len: usize) -> Result<(), ReadError> {
        debug_assert!(len <= MAX_PIECE, "checked by who asks");
        while self.piece.len() < len {
            let step = (len - self.piece.len()).min(STEP);
            let before = self.piece.len();
            let got = (&mut self.read)
                .take(step as u64)
                .read_to_end(&mut self.piece);
            self.offset += (self.piece.len() - before) as u64;
            match got {
                Ok(0) => break,
                Ok(_) => {}
                Err(source) => return Err(self.failed(source)),
            }
        }
        Ok(())
    }

    /// As [`more`](Self::more), but the end of the file is an error with the piece's offset
    /// and name.
    pub(crate) fn need(&mut self, len: usize, what: &'static str) -> Result<(), ReadError> {
        self.more(len)?;
        let have = self.piece.len();
        if have < len {
            return Err(ReadError::Cut {
                what,
                offset: self.offset - have as u64,
                missing: (len - have) as u64,
            });
        }
        Ok(())
    }

    /// Skips bytes behind the piece. Returns how many there were.
    pub(crate) fn skip(&mut self, len: u64) -> Result<u64, ReadError> {
        let skipped = io::copy(&mut (&mut self.read).take(len), &mut io::sink());
        let skipped = skipped.map_err(|source| self.failed(source))?;
        self.offset += skipped;
        Ok(skipped)
    }

    fn failed(&self, source: io::Error) -> ReadError {
        ReadError::Io {
            offset: self.offset,
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_either_order() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        assert_eq!(Order::Big.u16(&bytes, 1), Some(0x0203));
        assert_eq!(Order::Little.u32(&bytes, 0), Some(0x0403_0201));
        assert_eq!(Order::Big.u64(&bytes, 1), Some(0x0203_0405_0607_0809));
        assert_eq!(Order::Big.u64(&bytes, 2), None);
        assert_eq!(Order::Big.u16(&bytes, usize::MAX), None);
    }

    /// Memory use is limited by the size of the file, not by the length it claims.
    #[test]
    fn memory_follows_what_is_there() {
        let mut input = Input::new(&[7; 100][..]);
        assert!(input.begin(4).unwrap());
        let error = input.need(MAX_PIECE, "a block").unwrap_err();
        assert!(
            matches!(
                error,
                ReadError::Cut { offset: 0, missing, .. } if missing == MAX_PIECE as u64 - 100
            ),
            "{error}"
        );
        assert!(
            input.piece.capacity() <= 2 * STEP,
            "{}",
            input.piece.capacity()
        );
        assert!(!input.begin(4).unwrap());
        assert_eq!(input.offset(), 100);
    }

    #[test]
    fn what_is_passed_over_counts() {
        let mut input = Input::new(&[7; 100][..]);
        assert!(input.begin(4).unwrap());
        assert_eq!(input.skip(50).unwrap(), 50);
        assert_eq!(input.offset(), 54);
        assert_eq!(input.skip(u64::MAX).unwrap(), 46);
    }
}
