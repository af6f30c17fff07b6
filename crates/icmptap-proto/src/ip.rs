//! As much of a network header as an event needs, even when little of it is
//! left.

use std::net::{IpAddr, Ipv4Addr};

use etherparse::{Ipv4Header, Ipv4HeaderSlice, Ipv6HeaderSlice};

const IPV4_MIN: usize = Ipv4Header::MIN_LEN;

/// What is used of an IPv4 header (RFC 791).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ipv4 {
    pub(crate) src: Ipv4Addr,
    pub(crate) dst: Ipv4Addr,
    pub(crate) protocol: u8,
    /// Options included.
    pub(crate) header_len: usize,
    /// Header included; of the packet that was sent, not of what is left here.
    pub(crate) total_len: u16,
    /// In bytes.
    pub(crate) fragment_offset: u16,
}

impl Ipv4 {
    /// `None` if it is not IPv4 or its fixed part is not all there. Options may
    /// be missing.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fixed: [u8; IPV4_MIN] = std::array::from_fn(|i| bytes.get(i).copied().unwrap_or(0));
        let header_len = usize::from(fixed[0] & 0x0f) * 4;
        if bytes.len() < IPV4_MIN || header_len < IPV4_MIN {
            return None;
        }
        // Read as a header without options: those may be cut off.
        fixed[0] = fixed[0] & 0xf0 | (IPV4_MIN / 4) as u8;
        let header = Ipv4HeaderSlice::from_slice(&fixed).ok()?;
        Some(Self {
            src: header.source_addr(),
            dst: header.destination_addr(),
            protocol: header.protocol().0,
            header_len,
            total_len: header.total_len(),
            fragment_offset: header.fragments_offset().byte_offset(),
        })
    }
}

/// Source and destination, of either family.
pub(crate) fn addresses(packet: &[u8]) -> Option<(IpAddr, IpAddr)> {
    match packet.first()? >> 4 {
        4 => Ipv4::decode(packet).map(|header| (header.src.into(), header.dst.into())),
        6 => {
            let header = Ipv6HeaderSlice::from_slice(packet).ok()?;
            Some((
                header.source_addr().into(),
                header.destination_addr().into(),
            ))
        }
        _ => None,
    }
}
