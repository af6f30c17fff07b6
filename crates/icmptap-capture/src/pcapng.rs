//! pcapng (draft-ietf-opsawg-pcapng): blocks, and what stands in ours.

pub(crate) mod blocks;
pub(crate) mod reader;
pub(crate) mod writer;
