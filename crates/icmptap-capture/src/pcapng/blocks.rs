//! Encodes blocks, little-endian. Each function appends a whole block to `out`, which
//! contains only whole blocks.

use crate::options::{self, Writer};

pub(crate) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
pub(crate) const BYTE_ORDER: u32 = 0x1a2b_3c4d;
pub(crate) const INTERFACE: u32 = 1;
pub(crate) const OLD_PACKET: u32 = 2;
pub(crate) const SIMPLE_PACKET: u32 = 3;
pub(crate) const STATISTICS: u32 = 5;
pub(crate) const ENHANCED_PACKET: u32 = 6;
pub(crate) const JOURNAL: u32 = 9;

/// Option codes. The same number has a different meaning in each kind of block.
pub(crate) mod code {
    pub(crate) const SHB_OS: u16 = 3;
    pub(crate) const SHB_USERAPPL: u16 = 4;
    pub(crate) const IF_NAME: u16 = 2;
    pub(crate) const IF_DESCRIPTION: u16 = 3;
    pub(crate) const IF_TSRESOL: u16 = 9;
    pub(crate) const IF_TSOFFSET: u16 = 14;
    pub(crate) const EPB_FLAGS: u16 = 2;
    pub(crate) const EPB_DROPCOUNT: u16 = 4;
    pub(crate) const EPB_QUEUE: u16 = 6;
    pub(crate) const ISB_IFDROP: u16 = 5;
    pub(crate) const ISB_FILTERACCEPT: u16 = 6;
    pub(crate) const ISB_OSDROP: u16 = 7;
    pub(crate) const ISB_USRDELIV: u16 = 8;
}

/// A block of this type: `body` appends what is between its two lengths, and ends at a
/// multiple of 4.
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend(kind.to_le_bytes());
    out.extend([0; 4]);
    body(out);
    let len = (out.len() - start + 4) as u32;
    out[start + 4..start + 8].copy_from_slice(&len.to_le_bytes());
    out.extend(len.to_le_bytes());
}

/// A time in nanoseconds: the upper half first, in either byte order.
fn time(out: &mut Vec<u8>, time_ns: u64) {
    out.extend(((time_ns >> 32) as u32).to_le_bytes());
    out.extend((time_ns as u32).to_le_bytes());
}

/// `options` appends them; the end-of-options option is added here.
fn with_options(out: &mut Vec<u8>, options: impl FnOnce(&mut Writer<'_>)) {
    let mut writer = Writer::new(out);
    options(&mut writer);
    writer.finish();
}

/// Version 1.0, of unspecified length: more blocks may follow.
pub(crate) fn section_header(out: &mut Vec<u8>, options: impl FnOnce(&mut Writer<'_>)) {
    block(out, SECTION_HEADER, |out| {
        out.extend(BYTE_ORDER.to_le_bytes());
        out.extend(1u16.to_le_bytes());
        out.extend(0u16.to_le_bytes());
        out.extend((-1i64).to_le_bytes());
        with_options(out, options);
    });
}

/// An interface with timestamps in nanoseconds.
pub(crate) fn interface(
    out: &mut Vec<u8>,
    link_type: u16,
    snaplen: u32,
    options: impl FnOnce(&mut Writer<'_>),
) {
    block(out, INTERFACE, |out| {
        out.extend(link_type.to_le_bytes());
        out.extend([0; 2]);
        out.extend(snaplen.to_le_bytes());
        with_options(out, |writer| {
            writer.add(code::IF_TSRESOL, &[9]);
            options(writer);
        });
    });
}

/// A packet of `original_len` bytes, of which `packet` was captured.
pub(crate) fn packet(
    out: &mut Vec<u8>,
    interface: u32,
    time_ns: u64,
    original_len: u32,
    packet: &[u8],
    options: impl FnOnce(&mut Writer<'_>),
) {
    block(out, ENHANCED_PACKET, |out| {
        out.extend(interface.to_le_bytes());
        time(out, time_ns);
        out.extend((packet.len() as u32).to_le_bytes());
        out.extend(original_len.to_le_bytes());
        out.extend(packet);
        options::pad(out);
        with_options(out, options);
    });
}

pub(crate) fn journal(out: &mut Vec<u8>, entry: &str) {
    block(out, JOURNAL, |out| {
        out.extend(entry.as_bytes());
        options::pad(out);
    });
}

pub(crate) fn statistics(
    out: &mut Vec<u8>,
    interface: u32,
    time_ns: u64,
    options: impl FnOnce(&mut Writer<'_>),
) {
    block(out, STATISTICS, |out| {
        out.extend(interface.to_le_bytes());
        time(out, time_ns);
        with_options(out, options);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_its_length_at_both_ends() {
        let mut out = vec![0; 4];
        packet(&mut out, 3, 0x0000_0001_0000_0002, 84, &[7; 5], |_| {});
        let expected: Vec<u8> = [6, 40, 3, 1, 2, 5, 84]
            .iter()
            .flat_map(|word: &u32| word.to_le_bytes())
            .chain([7, 7, 7, 7, 7, 0, 0, 0, 40, 0, 0, 0])
            .collect();
        assert_eq!(out[4..], expected);
    }
}
