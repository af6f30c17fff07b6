//! What is wrong with a capture, and where.

use std::io;

/// A capture that cannot be read on. What stood before it was handed out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It is no capture of a known kind.
    #[error("this is neither pcapng nor pcap: it starts with {}", Hex(.start))]
    NotACapture {
        /// Its first bytes, four at most.
        start: Vec<u8>,
    },
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// It ends where something is not whole.
    #[error("it ends in {what} at byte {offset}: {missing} more bytes should follow")]
    Cut {
        /// What is not whole.
        what: &'static str,
        /// Where that starts, in bytes from the start of the file.
        offset: u64,
        /// Bytes that are missing.
        missing: u64,
    },
    /// A value that cannot be.
    #[error("{what} at byte {offset}: {problem}")]
    Damaged {
        /// What is damaged.
        what: &'static str,
        /// Where that starts, in bytes from the start of the file.
        offset: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// Its packets begin with headers that are not known here.
    #[error(
        "its packets have headers of link type {link_type}, which is not one of those read here: Ethernet (1), \
         Linux cooked (113, 276), raw IP (101, 228, 229) and loopback (0, 108)"
    )]
    LinkType {
        /// The number of the link type.
        link_type: u32,
    },
    /// It cannot be read from where it is.
    #[error("it cannot be read at byte {offset}: {source}")]
    Io {
        /// Up to where it was read, in bytes from the start of the file.
        offset: u64,
        /// Why.
        source: io::Error,
    },
}

struct Hex<'a>(&'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (nth, byte) in self.0.iter().enumerate() {
            let space = if nth == 0 { "" } else { " " };
            write!(f, "{space}{byte:02x}")?;
        }
        Ok(())
    }
}
