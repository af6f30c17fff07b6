//! pcapng (draft-ietf-opsawg-pcapng): blocks, and the contents of ours.

pub(crate) mod blocks;
pub(crate) mod reader;
pub(crate) mod writer;
