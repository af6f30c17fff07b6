//! Errors in a capture, and their position.

use std::io;

/// The capture cannot be read further. Everything before the error was returned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Not a capture of a known format.
    #[error("this is neither pcapng nor pcap: it starts with {}", Hex(.start))]
    NotACapture {
        /// Its first bytes, at most four.
        start: Vec<u8>,
    },
    /// The file is empty.
    #[error("it is empty")]
    Empty,
    /// The file ends inside a structure.
    #[error("it ends in {what} at byte {offset}: {missing} more bytes should follow")]
    Cut {
        /// The incomplete structure.
        what: &'static str,
        /// Its offset in bytes from the start of the file.
        offset: u64,
        /// Number of missing bytes.
        missing: u64,
    },
    /// An invalid value.
    #[error("{what} at byte {offset}: {problem}")]
    Damaged {
        /// The damaged structure.
        what: &'static str,
        /// Its offset in bytes from the start of the file.
        offset: u64,
        /// The reason.
        problem: String,
    },
    /// The link type is not supported.
    #[error(
        "its packets have headers of link type {link_type}, which is not one of those read here: Ethernet (1), \
         Linux cooked (113, 276), raw IP (101, 228, 229) and loopback (0, 108)"
    )]
    LinkType {
        /// The number of the link type.
        link_type: u32,
    },
    /// Reading the input failed.
    #[error("it cannot be read at byte {offset}: {source}")]
    Io {
        /// Number of bytes read from the start of the file.
        offset: u64,
        /// The I/O error.
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
