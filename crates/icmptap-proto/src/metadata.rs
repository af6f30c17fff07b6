//! What is known of a packet beside its bytes, and events made of that: for captures,
//! which have no record of the module's to borrow from.

use std::mem::offset_of;

use icmptap_sys as sys;

use crate::{
    Cpu, Family, Hook, IfIndex, Netns,
    event::{Event, EventRef, Vlan},
    ip::{Ip, protocol},
    record::{HDRLEN, NO_HOOK},
};

/// Bytes of the smallest header of either ICMP (`struct icmphdr`, `struct icmp6hdr`).
const ICMP_HEADER: usize = 8;

/// What is known of a packet beside its bytes: the fields of `struct icmptap_record`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// What only the module knows. `None` if another program captured the packet.
    pub tapped: Option<Tapped>,
    /// When it was seen: nanoseconds since 1970; 0: not known.
    pub time_ns: u64,
    /// Bytes the packet had, from its network header on.
    pub original_len: u32,
    /// The interface it came in by.
    pub iif: Option<IfIndex>,
    /// The interface it leaves by.
    pub oif: Option<IfIndex>,
    /// `ICMPTAP_F_*` and `ICMPTAP_CSUM_*` of `linux/icmptap.h`.
    pub flags: u16,
    /// The VLAN tag, if `ICMPTAP_F_VLAN` is among the flags.
    pub vlan_tci: u16,
    /// The protocol family.
    pub family: Family,
    /// Where the ICMP header starts in the packet, unless `ICMPTAP_F_NO_ICMP` is among
    /// the flags; so too for the next two.
    pub icmp_offset: u16,
    /// The ICMP type.
    pub icmp_type: u8,
    /// The ICMP code.
    pub icmp_code: u8,
}

/// What only the module knows of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tapped {
    /// The CPU that saw it.
    pub cpu: Cpu,
    /// Its sequence number in the stream of its CPU.
    pub seq: u64,
    /// The network namespace.
    pub netns: Netns,
    /// The hook that saw it; its number is not 255.
    pub hook: Hook,
    /// Its mark; 0 if none was set.
    pub mark: u32,
}

impl Metadata {
    /// Looks for ICMP in a packet that another program captured. `packet` starts with
    /// its IP header and may be cut; `original_len` bytes is what it had. The hook
    /// of the module takes the same packets and says the same of them. Gives the packet
    /// as well, without what a device put behind it, as the kernel does. `None`: it is
    /// not ICMP, or too little is left to tell.
    #[must_use]
    pub fn of_packet(time_ns: u64, packet: &[u8], original_len: u32) -> Option<(Self, &[u8])> {
        let ip = Ip::decode(packet)?;
        let header_len = match ip {
            Ip::V4(header) => header.header_len() as u32,
            Ip::V6(_) => 40,
        };
        // 0 where a device was to cut it into several packets.
        let told = ip.total_len().filter(|total| *total >= header_len);
        let original_len = told.map_or(original_len, |told| told.min(original_len));
        let packet = &packet[..packet.len().min(original_len as usize)];
        let (family, offset, is_fragment, has_icmp) = match ip {
            Ip::V4(header) => (header.protocol() == protocol::ICMP).then_some((
                Family::Ipv4,
                header.header_len(),
                header.is_fragment(),
                header.fragment_offset() == 0,
            ))?,
            Ip::V6(header) => {
                let chain = header.extensions(packet);
                let offset = chain.fragment_offset.unwrap_or(0);
                (chain.is_whole && chain.next_header == protocol::ICMPV6).then_some((
                    Family::Ipv6,
                    chain.end,
                    offset != 0 || chain.more_fragments,
                    offset == 0,
                ))?
            }
        };
        let mut metadata = Self {
            tapped: None,
            time_ns,
            original_len,
            iif: None,
            oif: None,
            flags: 0,
            vlan_tci: 0,
            family,
            icmp_offset: 0,
            icmp_type: 0,
            icmp_code: 0,
        };
        if packet.len() < original_len as usize {
            metadata.flag(sys::ICMPTAP_F_TRUNCATED);
        }
        if is_fragment {
            metadata.flag(sys::ICMPTAP_F_FRAGMENT);
        }
        if has_icmp && offset.saturating_add(ICMP_HEADER) > original_len as usize {
            metadata.flag(sys::ICMPTAP_F_MALFORMED);
        }
        match (packet.get(offset..), u16::try_from(offset)) {
            (Some([icmp_type, icmp_code, ..]), Ok(offset)) if has_icmp => {
                metadata.icmp_offset = offset;
                metadata.icmp_type = *icmp_type;
                metadata.icmp_code = *icmp_code;
            }
            _ => metadata.flag(sys::ICMPTAP_F_NO_ICMP),
        }
        Some((metadata, packet))
    }

    fn flag(&mut self, bit: u32) {
        self.flags |= bit as u16;
    }

    /// Adds a VLAN tag.
    #[must_use]
    pub fn with_vlan(mut self, vlan: Vlan) -> Self {
        self.flag(sys::ICMPTAP_F_VLAN);
        if vlan.provider {
            self.flag(sys::ICMPTAP_F_VLAN_AD);
        }
        self.vlan_tci = vlan.tci;
        self
    }

    /// The record's header. `len` and `caplen` say nothing here, where the packet is
    /// beside it.
    fn header(&self) -> [u8; HDRLEN] {
        let mut bytes = [0; HDRLEN];
        let mut put = |at: usize, field: &[u8]| bytes[at..][..field.len()].copy_from_slice(field);
        let index = |index: Option<IfIndex>| index.map_or(0, |index| index.0).to_ne_bytes();
        let hook = self.tapped.map_or(NO_HOOK, |tapped| tapped.hook.number());
        macro_rules! fields {
            ($($field:ident: $value:expr;)*) => {
                $(put(offset_of!(sys::icmptap_record, $field), &$value);)*
            };
        }
        fields! {
            hdrlen: (HDRLEN as u16).to_ne_bytes();
            flags: self.flags.to_ne_bytes();
            time_ns: self.time_ns.to_ne_bytes();
            origlen: self.original_len.to_ne_bytes();
            netns: self.tapped.map_or(0, |tapped| tapped.netns.0).to_ne_bytes();
            iif: index(self.iif);
            oif: index(self.oif);
            mark: self.tapped.map_or(0, |tapped| tapped.mark).to_ne_bytes();
            vlan_tci: self.vlan_tci.to_ne_bytes();
            icmp_offset: self.icmp_offset.to_ne_bytes();
            family: [self.family.number()];
            hook: [hook];
            icmp_type: [self.icmp_type];
            icmp_code: [self.icmp_code];
        }
        bytes
    }
}

impl Event {
    /// The event of a packet, from its IP header on, of which this is known.
    pub fn new(metadata: &Metadata, packet: impl Into<Box<[u8]>>) -> Self {
        let (cpu, seq) = match metadata.tapped {
            Some(tapped) => (tapped.cpu, tapped.seq),
            None => (Cpu(0), 0),
        };
        Self {
            cpu,
            seq,
            header: metadata.header(),
            packet: packet.into(),
        }
    }
}

/// Of the same packet, with the same said of it. Bytes of a record's header that are
/// not for the reader (its length, and that of the packet) do not count.
impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        let (this, other) = (self.as_ref(), other.as_ref());
        this.metadata() == other.metadata() && this.packet() == other.packet()
    }
}

impl Eq for Event {}

impl EventRef<'_> {
    /// What is known of the packet beside its bytes.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        let header = self.header;
        Metadata {
            tapped: match (
                self.cpu(),
                self.seq(),
                self.netns(),
                self.hook(),
                self.mark(),
            ) {
                (Some(cpu), Some(seq), Some(netns), Some(hook), Some(mark)) => Some(Tapped {
                    cpu,
                    seq,
                    netns,
                    hook,
                    mark,
                }),
                _ => None,
            },
            time_ns: self.time_ns(),
            original_len: self.original_len(),
            iif: self.iif(),
            oif: self.oif(),
            flags: header.flags(),
            vlan_tci: header.vlan_tci(),
            family: self.family(),
            icmp_offset: header.icmp_offset(),
            icmp_type: header.icmp_type(),
            icmp_code: header.icmp_code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUNCATED: u16 = sys::ICMPTAP_F_TRUNCATED as u16;
    const FRAGMENT: u16 = sys::ICMPTAP_F_FRAGMENT as u16;
    const NO_ICMP: u16 = sys::ICMPTAP_F_NO_ICMP as u16;
    const MALFORMED: u16 = sys::ICMPTAP_F_MALFORMED as u16;

    fn ipv4(protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 20 + payload.len() as u8, 0, 1];
        packet.extend(fragment.to_be_bytes());
        packet.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        packet.extend(payload);
        packet
    }

    fn ipv6(next_header: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, payload.len() as u8, next_header, 64];
        packet.extend([0x20; 32]);
        packet.extend(payload);
        packet
    }

    /// Flags; type, code and offset if there are any.
    type Found = (u16, Option<(u8, u8, u16)>);

    fn found(packet: &[u8], original_len: usize) -> Option<Found> {
        let (metadata, kept) = Metadata::of_packet(5, packet, original_len as u32)?;
        assert_eq!(kept, packet);
        assert_eq!((metadata.time_ns, metadata.tapped), (5, None));
        let icmp = (metadata.icmp_type, metadata.icmp_code, metadata.icmp_offset);
        let has_icmp = metadata.flags & NO_ICMP == 0;
        Some((metadata.flags, has_icmp.then_some(icmp)))
    }

    fn whole(packet: &[u8]) -> Option<Found> {
        found(packet, packet.len())
    }

    #[test]
    fn icmp_is_found_as_the_module_finds_it() {
        let ping = [8, 1, 0, 0, 0, 1, 0, 1];
        assert_eq!(whole(&ipv4(1, 0, &ping)), Some((0, Some((8, 1, 20)))));
        assert_eq!(whole(&ipv4(1, 0x4000, &ping)), Some((0, Some((8, 1, 20)))));
        assert_eq!(
            whole(&ipv4(1, 0x2000, &ping)),
            Some((FRAGMENT, Some((8, 1, 20))))
        );
        assert_eq!(whole(&ipv4(1, 7, &ping)), Some((FRAGMENT | NO_ICMP, None)));
        assert_eq!(
            whole(&ipv4(1, 0, &ping[..4])),
            Some((MALFORMED, Some((8, 1, 20))))
        );
        assert_eq!(
            whole(&ipv4(1, 0, &ping[..1])),
            Some((MALFORMED | NO_ICMP, None))
        );
        assert_eq!(
            found(&ipv4(1, 0, &ping)[..24], 28),
            Some((TRUNCATED, Some((8, 1, 20))))
        );
        assert_eq!(
            found(&ipv4(1, 0, &ping)[..20], 28),
            Some((TRUNCATED | NO_ICMP, None))
        );
        assert_eq!(whole(&ipv4(17, 0, &ping)), None);
        assert_eq!(whole(&ipv4(58, 0, &ping)), None, "ICMPv6 is not for IPv4");
        assert_eq!(whole(&[]), None);
        assert_eq!(whole(&[0x45; 10]), None);

        assert_eq!(whole(&ipv6(58, &ping)), Some((0, Some((8, 1, 40)))));
        assert_eq!(whole(&ipv6(1, &ping)), None);
        let hop_by_hop = [&[58, 0, 5, 2, 0, 0, 1, 0][..], &ping].concat();
        assert_eq!(whole(&ipv6(0, &hop_by_hop)), Some((0, Some((8, 1, 48)))));
        let fragment = |word: u16| {
            let [high, low] = word.to_be_bytes();
            ipv6(44, &[&[58, 0, high, low, 0, 0, 0, 9][..], &ping].concat())
        };
        assert_eq!(
            whole(&fragment(1)),
            Some((FRAGMENT, Some((8, 1, 48)))),
            "the first"
        );
        assert_eq!(whole(&fragment(0)), Some((0, Some((8, 1, 48)))), "atomic");
        assert_eq!(whole(&fragment(80)), Some((FRAGMENT | NO_ICMP, None)));
    }

    /// A short packet is padded to Ethernet's least length.
    #[test]
    fn what_is_behind_the_packet_is_left_out() {
        let ping = [8, 0, 0, 0, 0, 1, 0, 1];
        for packet in [ipv4(1, 0, &ping), ipv6(58, &ping)] {
            let padded = [&packet[..], &[0; 18]].concat();
            let (metadata, kept) = Metadata::of_packet(5, &padded, padded.len() as u32).unwrap();
            assert_eq!((kept, metadata.flags), (&packet[..], 0));
            assert_eq!(metadata.original_len as usize, packet.len());
        }
        // Of a packet that a device was to cut, the header tells no length.
        let mut uncut = ipv4(1, 0, &ping);
        uncut[2..4].fill(0);
        let (metadata, kept) = Metadata::of_packet(5, &uncut, 28).unwrap();
        assert_eq!((kept, metadata.original_len), (&uncut[..], 28));
    }

    #[test]
    fn what_another_program_captured_has_no_hook() {
        let packet = ipv4(1, 0, &[8, 0, 0, 0, 0, 1, 0, 1]);
        let vlan = Vlan {
            tci: 0x6007,
            provider: true,
        };
        let (metadata, kept) = Metadata::of_packet(5, &packet, packet.len() as u32).unwrap();
        let metadata = metadata.with_vlan(vlan);
        let event = Event::new(&metadata, kept);
        let event = event.as_ref();
        assert!(!event.is_tapped());
        assert_eq!((event.cpu(), event.seq(), event.mark()), (None, None, None));
        assert_eq!((event.netns(), event.hook()), (None, None));
        assert_eq!((event.iif(), event.oif()), (None, None));
        assert_eq!((event.vlan(), event.time_ns()), (Some(vlan), 5));
        assert_eq!(event.icmp_type_and_code(), Some((8, 0)));
        assert_eq!(event.metadata(), metadata);
    }

    #[test]
    fn what_is_known_of_a_packet_makes_the_same_event_again() {
        let metadata = Metadata {
            tapped: Some(Tapped {
                cpu: Cpu(3),
                seq: u64::MAX,
                netns: Netns(4_026_531_840),
                hook: Hook::Forward,
                mark: 0x8000_0001,
            }),
            time_ns: 1_700_000_000_123_456_789,
            original_len: 1500,
            iif: Some(IfIndex(2)),
            oif: Some(IfIndex(3)),
            flags: 0xffff,
            vlan_tci: 0x0fff,
            family: Family::Ipv6,
            icmp_offset: 48,
            icmp_type: 128,
            icmp_code: 7,
        };
        let event = Event::new(&metadata, &[1, 2, 3][..]);
        assert_eq!(event.as_ref().metadata(), metadata);
        assert_eq!(event.as_ref().packet(), [1, 2, 3]);
        assert_eq!(event.as_ref().to_owned(), event);
        let other = Metadata {
            icmp_code: 8,
            ..metadata
        };
        assert_ne!(Event::new(&other, &[1, 2, 3][..]), event);
        assert_ne!(Event::new(&metadata, &[1, 2][..]), event);
    }
}
