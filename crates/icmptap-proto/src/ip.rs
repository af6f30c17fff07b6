//! As much of a network header as an event needs, even when little of it is
//! left.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::bytes::be16;

/// Bytes of an IPv4 header without options (RFC 791).
pub(crate) const IPV4_MIN: usize = 20;
/// Bytes of an IPv6 header without extension headers (RFC 8200).
pub(crate) const IPV6_LEN: usize = 40;

/// Numbers of IANA's "Assigned Internet Protocol Numbers".
pub(crate) mod protocol {
    pub(crate) const HOP_BY_HOP: u8 = 0;
    pub(crate) const ICMP: u8 = 1;
    pub(crate) const TCP: u8 = 6;
    pub(crate) const UDP: u8 = 17;
    pub(crate) const DCCP: u8 = 33;
    pub(crate) const ROUTING: u8 = 43;
    pub(crate) const FRAGMENT: u8 = 44;
    pub(crate) const AUTHENTICATION: u8 = 51;
    pub(crate) const ICMPV6: u8 = 58;
    pub(crate) const DESTINATION_OPTIONS: u8 = 60;
    pub(crate) const SCTP: u8 = 132;
    pub(crate) const UDP_LITE: u8 = 136;
}

/// A network header of either family. Fields are read as they are asked for:
/// most who have an event want two or three.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ip<'a> {
    V4(Ipv4<'a>),
    V6(Ipv6<'a>),
}

impl<'a> Ip<'a> {
    /// `None` if it is neither, or its fixed part is not all there.
    #[inline]
    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => Ipv4::decode(bytes).map(Self::V4),
            6 => Ipv6::decode(bytes).map(Self::V6),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn src(self) -> IpAddr {
        match self {
            Self::V4(header) => header.src().into(),
            Self::V6(header) => header.src().into(),
        }
    }

    #[inline]
    pub(crate) fn dst(self) -> IpAddr {
        match self {
            Self::V4(header) => header.dst().into(),
            Self::V6(header) => header.dst().into(),
        }
    }

    /// Time to live or hop limit.
    #[inline]
    pub(crate) fn ttl(self) -> u8 {
        match self {
            Self::V4(header) => header.ttl(),
            Self::V6(header) => header.hop_limit(),
        }
    }

    /// Headers included; of the packet that was sent, not of what is left here.
    /// `None` for a jumbogram (RFC 2675).
    #[inline]
    pub(crate) fn total_len(self) -> Option<u32> {
        match self {
            Self::V4(header) => Some(header.total_len().into()),
            // Without hop-by-hop options, which would say its length, it is none.
            Self::V6(header) => {
                let jumbo =
                    header.payload_len() == 0 && header.next_header() == protocol::HOP_BY_HOP;
                (!jumbo).then_some(IPV6_LEN as u32 + u32::from(header.payload_len()))
            }
        }
    }
}

/// An IPv4 header (RFC 791): its fixed part. Options may be cut off.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ipv4<'a>(&'a [u8; IPV4_MIN]);

impl<'a> Ipv4<'a> {
    /// `None` if it is not IPv4 or its fixed part is not all there. Options may
    /// be missing.
    #[inline]
    fn decode(bytes: &'a [u8]) -> Option<Self> {
        let header = Self(bytes.first_chunk()?);
        (header.header_len() >= IPV4_MIN).then_some(header)
    }

    #[inline]
    fn src(self) -> Ipv4Addr {
        let [.., a, b, c, d, _, _, _, _] = *self.0;
        Ipv4Addr::new(a, b, c, d)
    }

    #[inline]
    fn dst(self) -> Ipv4Addr {
        let [.., a, b, c, d] = *self.0;
        Ipv4Addr::new(a, b, c, d)
    }

    #[inline]
    pub(crate) fn protocol(self) -> u8 {
        self.0[9]
    }

    #[inline]
    fn ttl(self) -> u8 {
        self.0[8]
    }

    /// Options included.
    #[inline]
    pub(crate) fn header_len(self) -> usize {
        usize::from(self.0[0] & 0x0f) * 4
    }

    #[inline]
    fn total_len(self) -> u16 {
        u16::from_be_bytes([self.0[2], self.0[3]])
    }

    /// In bytes.
    #[inline]
    pub(crate) fn fragment_offset(self) -> u16 {
        u16::from_be_bytes([self.0[6], self.0[7]]) << 3
    }

    /// It is a part of a packet, the first or a later one.
    #[inline]
    pub(crate) fn is_fragment(self) -> bool {
        const MORE_FRAGMENTS: u8 = 0x20;
        self.fragment_offset() != 0 || self.0[6] & MORE_FRAGMENTS != 0
    }

    /// What lies between this header, with which `packet` starts, and its
    /// payload: in IPv4, authentication headers (RFC 4302).
    #[inline]
    pub(crate) fn extensions(self, packet: &[u8]) -> ExtensionHeaders {
        let mut chain = ExtensionHeaders::new(self.protocol(), self.header_len());
        if self.fragment_offset() == 0 {
            while chain.next_header == protocol::AUTHENTICATION {
                if !chain.step(packet) {
                    chain.is_whole = false;
                    break;
                }
            }
        }
        chain
    }
}

/// An IPv6 header (RFC 8200).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ipv6<'a>(&'a [u8; IPV6_LEN]);

impl<'a> Ipv6<'a> {
    /// `None` if it is not all there.
    #[inline]
    fn decode(bytes: &'a [u8]) -> Option<Self> {
        bytes.first_chunk().map(Self)
    }

    #[inline]
    fn src(self) -> Ipv6Addr {
        let [_, _, _, _, _, _, _, _, src @ ..] = self.0;
        Ipv6Addr::from(*src.first_chunk().expect("two addresses are left"))
    }

    #[inline]
    fn dst(self) -> Ipv6Addr {
        Ipv6Addr::from(*self.0.last_chunk().expect("it has 40 bytes"))
    }

    #[inline]
    fn next_header(self) -> u8 {
        self.0[6]
    }

    #[inline]
    fn hop_limit(self) -> u8 {
        self.0[7]
    }

    /// Without this header; 0 in a jumbogram too.
    #[inline]
    fn payload_len(self) -> u16 {
        u16::from_be_bytes([self.0[4], self.0[5]])
    }

    /// What goes into the ICMPv6 checksum in front of a message of `len` bytes
    /// (RFC 8200 section 8.1). The sender is who it is at home (RFC 6275 section
    /// 11.3.1). `None` if the whole `packet` does not tell the addresses: it still
    /// has to go elsewhere, or names no home, or more than one.
    pub(crate) fn pseudo_header(self, packet: &[u8], len: u32) -> Option<[u8; 40]> {
        let mut chain = ExtensionHeaders::new(self.next_header(), IPV6_LEN);
        let mut home_address = None;
        while is_extension(chain.next_header) {
            let (header, start) = (chain.next_header, chain.end);
            if !chain.step(packet) {
                return None;
            }
            if header == protocol::DESTINATION_OPTIONS {
                let options = packet.get(start + 2..chain.end)?;
                for address in home_addresses(options) {
                    if home_address.replace(address?).is_some() {
                        return None;
                    }
                }
            }
        }
        if chain.is_routed {
            return None;
        }
        let mut bytes = [0; 40];
        bytes[..32].copy_from_slice(&self.0[8..]);
        if let Some(address) = home_address {
            bytes[..16].copy_from_slice(&address);
        }
        bytes[32..36].copy_from_slice(&len.to_be_bytes());
        bytes[39] = protocol::ICMPV6;
        Some(bytes)
    }

    /// What lies between this header, with which `packet` starts, and its
    /// payload.
    #[inline]
    pub(crate) fn extensions(self, packet: &[u8]) -> ExtensionHeaders {
        let mut chain = ExtensionHeaders::new(self.next_header(), IPV6_LEN);
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

/// The extension headers of a packet, as far as they are there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExtensionHeaders {
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
    /// A fragment header says that others follow.
    pub(crate) more_fragments: bool,
    /// A routing header says that the packet still has to go elsewhere: its
    /// destination is not the last one.
    pub(crate) is_routed: bool,
}

impl ExtensionHeaders {
    /// None yet.
    #[inline]
    fn new(next_header: u8, end: usize) -> Self {
        Self {
            next_header,
            end,
            is_whole: true,
            fragment_offset: None,
            more_fragments: false,
            is_routed: false,
        }
    }

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
        let len = match self.next_header {
            protocol::FRAGMENT => 8,
            protocol::AUTHENTICATION => (units + 2) * 4,
            _ => (units + 1) * 8,
        };
        match self.next_header {
            protocol::FRAGMENT => {
                self.fragment_offset = be16(header, 2).map(|word| word & !7);
                self.more_fragments |= header[3] & 1 != 0;
            }
            protocol::ROUTING => self.is_routed |= header[3] != 0,
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

/// The addresses in the Home Address options among these destination options
/// (RFC 6275 section 6.3). `None` for one that is not formed as it has to be.
fn home_addresses(options: &[u8]) -> impl Iterator<Item = Option<[u8; 16]>> {
    const PAD1: u8 = 0;
    const HOME_ADDRESS: u8 = 0xc9;
    let mut rest = options;
    std::iter::from_fn(move || {
        loop {
            let (kind, after) = rest.split_first()?;
            if *kind == PAD1 {
                rest = after;
                continue;
            }
            let end = after.first().map_or(1, |len| 1 + usize::from(*len));
            let data = after.get(1..end);
            rest = after.get(end..).unwrap_or_default();
            if *kind == HOME_ADDRESS {
                return Some(data.and_then(|data| data.try_into().ok()));
            }
        }
    })
}

/// Those that Linux steps over on the way to the ICMPv6 header
/// (`ipv6_ext_hdr()`).
#[inline]
fn is_extension(next_header: u8) -> bool {
    matches!(
        next_header,
        protocol::HOP_BY_HOP
            | protocol::ROUTING
            | protocol::FRAGMENT
            | protocol::AUTHENTICATION
            | protocol::DESTINATION_OPTIONS
    )
}
