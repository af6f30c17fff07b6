//! Link-layer headers in captures of other programs
//! (<https://www.tcpdump.org/linktypes.html>).

use icmptap_proto::{IfIndex, event::Vlan};

use crate::input::Order::Big;

/// Raw IP, which our captures use.
pub(crate) const RAW: u32 = 101;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// IEEE 802.1Q, 802.1ad, and the value used before 802.1ad.
const VLAN: u16 = 0x8100;
const PROVIDER_VLAN: u16 = 0x88a8;
const OLD_PROVIDER_VLAN: u16 = 0x9100;

/// `PACKET_OUTGOING` of `linux/if_packet.h`.
const OUTGOING: u8 = 4;

/// The fields of a link-layer header, and the offset of the IP packet behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Link {
    pub(crate) ip: usize,
    pub(crate) vlan: Option<Vlan>,
    pub(crate) iif: Option<IfIndex>,
    pub(crate) oif: Option<IfIndex>,
}

/// Whether this link type is supported.
pub(crate) fn is_known(link_type: u32) -> bool {
    matches!(
        link_type,
        0 | 1 | 12 | 14 | RAW | 108 | 113 | 228 | 229 | 276
    )
}

/// `None`: no IP packet follows, or the header is truncated.
pub(crate) fn header(link_type: u32, frame: &[u8]) -> Option<Link> {
    match link_type {
        // The address family, in the byte order of the machine that captured it; of
        // `LINKTYPE_LOOP` it is the network's. No family is another one's reverse.
        0 | 108 => {
            let family = Big.u32(frame, 0)?;
            is_ip_family(family.min(family.swap_bytes())).then_some(Link {
                ip: 4,
                ..Link::default()
            })
        }
        1 => ethertype(frame, 12, Link::default()),
        // BSD's numbers of raw IP stand in some files.
        12 | 14 | RAW | 228 | 229 => Some(Link::default()),
        // struct sll_header: packet type, hardware, length and address, protocol.
        113 => ethertype(frame, 14, Link::default()),
        // struct sll2_header: protocol, reserved, interface, hardware, packet type, length
        // and address.
        276 => {
            let index = Some(IfIndex(Big.u32(frame, 4)?)).filter(|index| index.0 != 0);
            let mut link = Link::default();
            match *frame.get(10)? {
                OUTGOING => link.oif = index,
                _ => link.iif = index,
            }
            behind(Big.u16(frame, 0)?, frame, 20, link)
        }
        _ => None,
    }
}

/// `AF_INET`, and `AF_INET6` of Linux, the BSDs and macOS.
fn is_ip_family(family: u32) -> bool {
    matches!(family, 2 | 10 | 24 | 28 | 30)
}

/// An Ethernet type at `at`, and what follows.
fn ethertype(frame: &[u8], at: usize, link: Link) -> Option<Link> {
    behind(Big.u16(frame, at)?, frame, at + 2, link)
}

/// Parses what follows an Ethernet type, at `at`: IP, or tags and then IP. The outer tag
/// is the one that the kernel reports.
fn behind(mut kind: u16, frame: &[u8], mut at: usize, mut link: Link) -> Option<Link> {
    while let VLAN | PROVIDER_VLAN | OLD_PROVIDER_VLAN = kind {
        link.vlan = link.vlan.or(Some(Vlan {
            tci: Big.u16(frame, at)?,
            provider: kind != VLAN,
        }));
        kind = Big.u16(frame, at + 2)?;
        at += 4;
    }
    link.ip = at;
    matches!(kind, ETHERTYPE_IPV4 | ETHERTYPE_IPV6).then_some(link)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(link_type: u32, header: &[u8]) -> Option<usize> {
        assert!(is_known(link_type));
        let found = super::header(link_type, &[header, &[0x45; 20]].concat())?;
        assert_eq!((found.vlan, found.iif, found.oif), (None, None, None));
        Some(found.ip)
    }

    #[test]
    fn ip_is_found_behind_each_header() {
        let ethernet = |kind: u16| [&[0xaa; 12][..], &kind.to_be_bytes()].concat();
        assert_eq!(at(1, &ethernet(0x0800)), Some(14));
        assert_eq!(at(1, &ethernet(0x86dd)), Some(14));
        assert_eq!(at(1, &ethernet(0x0806)), None, "ARP");
        assert_eq!(at(113, &[&[0; 14][..], &[0x86, 0xdd]].concat()), Some(16));
        assert_eq!(at(113, &[&[0; 14][..], &[0, 4]].concat()), None);
        for raw in [12, 14, 101, 228, 229] {
            assert_eq!(at(raw, &[]), Some(0));
        }
        for (family, is_ip) in [
            (2, true),
            (10, true),
            (24, true),
            (28, true),
            (30, true),
            (7, false),
        ] {
            let family: u32 = family;
            let found = is_ip.then_some(4);
            assert_eq!(at(0, &family.to_le_bytes()), found);
            assert_eq!(at(0, &family.to_be_bytes()), found);
            assert_eq!(at(108, &family.to_be_bytes()), found);
        }
        assert!(!is_known(127));
        assert_eq!(header(127, &[0; 64]), None);
    }

    #[test]
    fn the_outer_tag_is_told() {
        let frame = [
            &[0xaa; 12][..],
            &[0x88, 0xa8, 0x60, 7, 0x81, 0, 0, 9, 8, 0],
            &[0x45; 20],
        ]
        .concat();
        let link = header(1, &frame).unwrap();
        let vlan = Vlan {
            tci: 0x6007,
            provider: true,
        };
        assert_eq!((link.ip, link.vlan), (22, Some(vlan)));
        for end in 0..22 {
            assert_eq!(header(1, &frame[..end]), None, "cut at {end}");
        }
    }

    #[test]
    fn linux_cooked_2_knows_the_interface() {
        let frame = |packet_type| {
            let start = [0x08, 0, 0, 0, 0, 0, 0, 7, 0, 1, packet_type, 6];
            header(276, &[&start[..], &[0; 8], &[0x45; 20]].concat()).unwrap()
        };
        let index = Some(IfIndex(7));
        assert_eq!((frame(0).ip, frame(0).iif, frame(0).oif), (20, index, None));
        assert_eq!((frame(4).iif, frame(4).oif), (None, index));
    }
}
