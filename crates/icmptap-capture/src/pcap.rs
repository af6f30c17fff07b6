//! pcap (draft-ietf-opsawg-pcap): a file header, and packets with timestamps.

pub(crate) mod reader;
pub(crate) mod writer;

/// The magic number of a file with timestamps in microseconds.
pub(crate) const MICROSECONDS: u32 = 0xa1b2_c3d4;
/// The magic number of a file with timestamps in nanoseconds.
pub(crate) const NANOSECONDS: u32 = 0xa1b2_3c4d;
/// Bytes of the file header.
pub(crate) const FILE_HEADER: usize = 24;
/// Bytes of a packet header.
pub(crate) const PACKET_HEADER: usize = 16;
/// Nanoseconds per second.
pub(crate) const SECOND: u64 = 1_000_000_000;
