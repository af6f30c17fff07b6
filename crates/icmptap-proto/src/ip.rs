//! As much of a network header as an event needs, even when little of it is
//! left.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{IpNumber, Ipv4Header, Ipv4HeaderSlice, Ipv6HeaderSlice};

use crate::bytes::be16;

const IPV4_MIN: usize = Ipv4Header::MIN_LEN;
const IPV6_LEN: usize = etherparse::Ipv6Header::LEN;

/// A network header of either family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ip {
    V4(Ipv4),
    V6(Ipv6),
}

impl Ip {
    /// `None` if it is neither, or its fixed part is not all there.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => Ipv4::decode(bytes).map(Self::V4),
            6 => Ipv6::decode(bytes).map(Self::V6),
            _ => None,
        }
    }

    pub(crate) fn addresses(&self) -> (IpAddr, IpAddr) {
        match self {
            Self::V4(header) => (header.src.into(), header.dst.into()),
            Self::V6(header) => (header.src.into(), header.dst.into()),
        }
    }

    /// Headers included; of the packet that was sent, not of what is left here.
    /// `None` for a jumbogram (RFC 2675).
    pub(crate) fn total_len(&self) -> Option<u32> {
        match self {
            Self::V4(header) => Some(header.total_len.into()),
            // Without hop-by-hop options, which would say its length, it is none.
            Self::V6(header) => {
                let jumbo = header.payload_len == 0
                    && IpNumber(header.next_header) == IpNumber::IPV6_HEADER_HOP_BY_HOP;
                (!jumbo).then_some(IPV6_LEN as u32 + u32::from(header.payload_len))
            }
        }
    }
}

/// What is used of an IPv4 header (RFC 791).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ipv4 {
    pub(crate) src: Ipv4Addr,
    pub(crate) dst: Ipv4Addr,
    pub(crate) protocol: u8,
    pub(crate) ttl: u8,
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
        let mut fixed: [u8; IPV4_MIN] = *bytes.first_chunk()?;
        let header_len = usize::from(fixed[0] & 0x0f) * 4;
        if header_len < IPV4_MIN {
            return None;
        }
        // Read as a header without options: those may be cut off.
        fixed[0] = fixed[0] & 0xf0 | (IPV4_MIN / 4) as u8;
        let header = Ipv4HeaderSlice::from_slice(&fixed).ok()?;
        Some(Self {
            src: header.source_addr(),
            dst: header.destination_addr(),
            protocol: header.protocol().0,
            ttl: header.ttl(),
            header_len,
            total_len: header.total_len(),
            fragment_offset: header.fragments_offset().byte_offset(),
        })
    }
}

/// What is used of an IPv6 header (RFC 8200).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ipv6 {
    pub(crate) src: Ipv6Addr,
    pub(crate) dst: Ipv6Addr,
    pub(crate) next_header: u8,
    pub(crate) hop_limit: u8,
    /// Without this header; 0 in a jumbogram too.
    pub(crate) payload_len: u16,
}

impl Ipv6 {
    /// `None` if it is not IPv6 or not all there.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let header = Ipv6HeaderSlice::from_slice(bytes).ok()?;
        Some(Self {
            src: header.source_addr(),
            dst: header.destination_addr(),
            next_header: header.next_header().0,
            hop_limit: header.hop_limit(),
            payload_len: header.payload_length(),
        })
    }

    /// What goes into the ICMPv6 checksum in front of a message of `len` bytes
    /// (RFC 8200 section 8.1).
    pub(crate) fn pseudo_header(&self, len: u32) -> [u8; 40] {
        let mut bytes = [0; 40];
        bytes[..16].copy_from_slice(&self.src.octets());
        bytes[16..32].copy_from_slice(&self.dst.octets());
        bytes[32..36].copy_from_slice(&len.to_be_bytes());
        bytes[39] = IpNumber::IPV6_ICMP.0;
        bytes
    }

    /// What lies between this header, with which `packet` starts, and its
    /// payload.
    pub(crate) fn extensions(&self, packet: &[u8]) -> Ipv6Extensions {
        let mut chain = Ipv6Extensions {
            next_header: self.next_header,
            end: IPV6_LEN,
            is_whole: true,
            fragment_offset: None,
            is_routed: false,
        };
        // Each step goes on by 8 bytes at least.
        while is_extension(chain.next_header) {
            if !chain.step(packet) {
                chain.is_whole = false;
                break;
            }
            if chain.fragment_offset.is_some_and(|offset| offset != 0) {
                break;
            }
        }
        chain
    }
}

/// The extension headers of an IPv6 packet, as far as they are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ipv6Extensions {
    /// What follows the last of them; if `is_whole` is not so, that is the
    /// header in which the bytes end.
    pub(crate) next_header: u8,
    /// Where that starts.
    pub(crate) end: usize,
    /// None of them was cut off.
    pub(crate) is_whole: bool,
    /// Of a fragment header: in bytes. The headers behind one that is not 0
    /// are not there: what looks like them is payload.
    pub(crate) fragment_offset: Option<u16>,
    /// A routing header says that the packet still has to go elsewhere: its
    /// destination is not the last one.
    pub(crate) is_routed: bool,
}

impl Ipv6Extensions {
    /// Where in the whole packet's payload this one's starts; 0 if it is not
    /// fragmented, `None` if that is not known.
    pub(crate) fn fragment_offset(&self) -> Option<u16> {
        self.fragment_offset.or(self.is_whole.then_some(0))
    }

    fn step(&mut self, packet: &[u8]) -> bool {
        let Some(header) = packet.get(self.end..).filter(|header| header.len() >= 8) else {
            return false;
        };
        let units = usize::from(header[1]);
        let len = match IpNumber(self.next_header) {
            IpNumber::IPV6_FRAGMENTATION_HEADER => 8,
            IpNumber::AUTHENTICATION_HEADER => (units + 2) * 4,
            _ => (units + 1) * 8,
        };
        match IpNumber(self.next_header) {
            IpNumber::IPV6_FRAGMENTATION_HEADER => {
                self.fragment_offset = be16(header, 2).map(|word| word & !7);
            }
            IpNumber::IPV6_ROUTE_HEADER => self.is_routed |= header[3] != 0,
            _ => {}
        }
        if header.len() < len {
            return false;
        }
        self.next_header = header[0];
        self.end += len;
        true
    }
}

/// Those that Linux steps over on the way to the ICMPv6 header
/// (`ipv6_ext_hdr()`).
fn is_extension(next_header: u8) -> bool {
    matches!(
        IpNumber(next_header),
        IpNumber::IPV6_HEADER_HOP_BY_HOP
            | IpNumber::IPV6_ROUTE_HEADER
            | IpNumber::IPV6_FRAGMENTATION_HEADER
            | IpNumber::AUTHENTICATION_HEADER
            | IpNumber::IPV6_DESTINATION_OPTIONS
    )
}
