//! pcap (draft-ietf-opsawg-pcap): a header, and packets with their times.

pub(crate) mod reader;
pub(crate) mod writer;

/// The first word of a file whose times are in microseconds.
pub(crate) const MICROSECONDS: u32 = 0xa1b2_c3d4;
/// The first word of a file whose times are in nanoseconds.
pub(crate) const NANOSECONDS: u32 = 0xa1b2_3c4d;
/// Bytes of a file's header.
pub(crate) const FILE_HEADER: usize = 24;
/// Bytes of a packet's header.
pub(crate) const PACKET_HEADER: usize = 16;
/// Nanoseconds of a second.
pub(crate) const SECOND: u64 = 1_000_000_000;
