//! The bytes that a message is read from.

/// An ICMP message from its header on, as far as it was kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) bytes: &'a [u8],
    /// Bytes it had, if that is known.
    pub(super) len: Option<usize>,
}

impl Message<'_> {
    pub(super) fn is_whole(&self) -> bool {
        self.len.is_some_and(|len| self.bytes.len() >= len)
    }
}
