//! Options of pcapng's blocks (draft-ietf-opsawg-pcapng section 3.5), all in the same
//! format: code, length, value, padding.

use crate::input::Order;

/// `opt_endofopt`: the last, without a value.
const END: u16 = 0;

/// `opt_custom` with text that may be copied to other files: a private enterprise number,
/// then the owner's text.
pub(crate) const CUSTOM_TEXT: u16 = 2988;

/// Longest value that is written: the largest length that is a multiple of 4.
const LONGEST: usize = 0xfffc;

/// Writes options; [`finish`](Self::finish) writes the end-of-options option.
pub(crate) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    is_empty: bool,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        Self {
            out,
            is_empty: true,
        }
    }

    /// Longer values are truncated.
    pub(crate) fn add(&mut self, code: u16, value: &[u8]) {
        let value = &value[..value.len().min(LONGEST)];
        self.out.extend(code.to_le_bytes());
        self.out.extend((value.len() as u16).to_le_bytes());
        self.out.extend(value);
        pad(self.out);
        self.is_empty = false;
    }

    /// One of our custom options.
    pub(crate) fn note(&mut self, enterprise: u32, text: &str) {
        let value = [&enterprise.to_le_bytes()[..], text.as_bytes()].concat();
        self.add(CUSTOM_TEXT, &value);
    }

    pub(crate) fn finish(self) {
        if !self.is_empty {
            self.out.extend(END.to_le_bytes());
            self.out.extend([0; 2]);
        }
    }
}

/// Pads to a multiple of 4. Blocks start at such an offset, so the buffer's length counts.
pub(crate) fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

/// Reads options. Missing padding after the last one is accepted.
pub(crate) struct Options<'a> {
    rest: &'a [u8],
    order: Order,
}

/// An option extends beyond its block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong {
    pub(crate) code: u16,
    pub(crate) len: usize,
    pub(crate) left: usize,
}

impl<'a> Options<'a> {
    pub(crate) fn new(bytes: &'a [u8], order: Order) -> Self {
        Self { rest: bytes, order }
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = Result<(u16, &'a [u8]), TooLong>;

    fn next(&mut self) -> Option<Self::Item> {
        let code = self.order.u16(self.rest, 0)?;
        let len = usize::from(self.order.u16(self.rest, 2)?);
        let behind = &self.rest[4..];
        if code == END {
            self.rest = &[];
            return None;
        }
        let Some(value) = behind.get(..len) else {
            self.rest = &[];
            return Some(Err(TooLong {
                code,
                len,
                left: behind.len(),
            }));
        };
        self.rest = behind.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some(Ok((code, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes);
        writer.add(2, b"eth0@1");
        writer.add(9, &[9]);
        writer.note(7, "text");
        writer.finish();
        assert_eq!(bytes.len() % 4, 0);
        bytes.extend([2, 0, 4, 0, 1, 2, 3, 4]);
        let options: Vec<_> = Options::new(&bytes, Order::Little)
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(
            options,
            [
                (2, &b"eth0@1"[..]),
                (9, &[9]),
                (CUSTOM_TEXT, b"\x07\0\0\0text")
            ],
            "and nothing behind the last"
        );
    }

    #[test]
    fn no_options_are_no_bytes() {
        let mut bytes = Vec::new();
        Writer::new(&mut bytes).finish();
        assert!(bytes.is_empty());
        assert!(Options::new(&[], Order::Big).next().is_none());
    }

    #[test]
    fn an_option_that_is_too_long_is_an_error() {
        let bytes = [0, 2, 0, 9, 1, 2, 3, 4];
        let mut options = Options::new(&bytes, Order::Big);
        assert_eq!(
            options.next(),
            Some(Err(TooLong {
                code: 2,
                len: 9,
                left: 4
            }))
        );
        assert!(options.next().is_none());
    }
}
