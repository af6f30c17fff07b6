//! The bytes that a message is read from.

/// An ICMP message from its header on, as far as it was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) bytes: &'a [u8],
    /// Bytes it had, if that is known.
    pub(super) len: Option<usize>,
    /// In how many quotes it lies.
    pub(super) depth: u8,
}

impl<'a> Message<'a> {
    /// One of which nothing was cut off.
    pub(super) fn whole(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            len: Some(bytes.len()),
            depth: 0,
        }
    }

    /// Nothing of it was cut off, as far as is known.
    pub(super) fn is_whole(&self) -> bool {
        self.len.is_some_and(|len| self.bytes.len() >= len)
    }
}
