//! Captures of other programs, made by hand from the drafts of both formats.

use crate::common::{events, ping, read};
use icmptap_capture::{Item, Reader};
use icmptap_proto::{IfIndex, event::Vlan};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

use Order::{Big, Little};

impl Order {
    fn u16(self, number: u16) -> [u8; 2] {
        match self {
            Little => number.to_le_bytes(),
            Big => number.to_be_bytes(),
        }
    }

    fn u32(self, number: u32) -> [u8; 4] {
        match self {
            Little => number.to_le_bytes(),
            Big => number.to_be_bytes(),
        }
    }

    fn u64(self, number: u64) -> [u8; 8] {
        match self {
            Little => number.to_le_bytes(),
            Big => number.to_be_bytes(),
        }
    }

    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        let len = self.u32(body.len() as u32 + 12);
        [&self.u32(kind)[..], &len, &body, &len].concat()
    }

    fn option(self, code: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = [&self.u16(code)[..], &self.u16(value.len() as u16), value].concat();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn section(self) -> Vec<u8> {
        let body = [
            &self.u32(0x1a2b_3c4d)[..],
            &self.u16(1),
            &self.u16(0),
            &[0xff; 8],
            &self.option(4, b"another program"),
        ];
        self.block(0x0a0d_0d0a, &body.concat())
    }

    fn interface(self, link_type: u16, snaplen: u32, options: &[Vec<u8>]) -> Vec<u8> {
        let body = [
            &self.u16(link_type)[..],
            &[0; 2],
            &self.u32(snaplen),
            &options.concat(),
        ];
        self.block(1, &body.concat())
    }

    fn packet(self, interface: u32, ticks: u64, frame: &[u8], options: &[Vec<u8>]) -> Vec<u8> {
        let len = self.u32(frame.len() as u32);
        let mut padded = frame.to_vec();
        padded.resize(padded.len().next_multiple_of(4), 0);
        let body = [
            &self.u32(interface)[..],
            &self.u32((ticks >> 32) as u32),
            &self.u32(ticks as u32),
            &len,
            &len,
            &padded,
            &options.concat(),
        ];
        self.block(6, &body.concat())
    }

    fn pcap(self, magic: u32, link_type: u32, frames: &[&[u8]]) -> Vec<u8> {
        let mut bytes = [
            &self.u32(magic)[..],
            &self.u16(2),
            &self.u16(4),
            &[0; 8],
            &self.u32(262_144),
            &self.u32(link_type),
        ]
        .concat();
        for (frame, seconds) in frames.iter().zip(1_700_000_000..) {
            bytes.extend(self.u32(seconds));
            bytes.extend(self.u32(5));
            bytes.extend(self.u32(frame.len() as u32));
            bytes.extend(self.u32(frame.len() as u32));
            bytes.extend(*frame);
        }
        bytes
    }
}

/// The ping behind headers of each link type that is read.
fn frames(order: Order) -> Vec<(u32, Vec<u8>)> {
    let ping = ping(1, 8);
    let behind = |header: &[u8]| [header, &ping].concat();
    let ethernet = |rest: &[u8]| behind(&[&[0xaa; 12], rest].concat());
    vec![
        (0, behind(&order.u32(2))),
        (1, ethernet(&[8, 0])),
        (12, ping.clone()),
        (101, ping.clone()),
        (108, behind(&[0, 0, 0, 2])),
        (
            113,
            behind(&[&[0, 0, 0, 1, 0, 6][..], &[0xaa; 8], &[8, 0]].concat()),
        ),
        (228, ping.clone()),
        (
            276,
            behind(&[&[8, 0, 0, 0, 0, 0, 0, 7, 0, 1, 0, 6][..], &[0xaa; 8]].concat()),
        ),
    ]
}

#[test]
fn pcap_of_both_orders_with_both_units_and_each_link_type() {
    for order in [Little, Big] {
        for (magic, unit) in [(0xa1b2_c3d4, 1_000), (0xa1b2_3c4d, 1)] {
            for (link_type, frame) in frames(order) {
                // Four bits above say how long the check sequence is.
                for high in [0, 0x5400_0000] {
                    let bytes = order.pcap(magic, link_type | high, &[&frame, &frame]);
                    let (items, error) = read(&bytes);
                    assert!(error.is_none(), "{link_type}: {error:?}");
                    let found = events(&items);
                    assert_eq!(found.len(), 2, "{link_type} {order:?}");
                    for (event, seconds) in found.iter().zip(1_700_000_000..) {
                        let event = event.as_ref();
                        assert_eq!(event.packet(), ping(1, 8));
                        assert_eq!(event.time_ns(), seconds * 1_000_000_000 + 5 * unit);
                        assert!(!event.is_tapped());
                        let index = (link_type == 276).then_some(IfIndex(7));
                        assert_eq!((event.iif(), event.oif()), (index, None));
                    }
                }
            }
        }
    }
}

/// Another order in each of two sections.
fn in_section(order: Order) -> Vec<(u32, Vec<u8>)> {
    let mut frames = frames(order);
    if order == Big {
        frames.reverse();
    }
    frames
}

#[test]
fn pcapng_of_both_orders_in_several_sections() {
    let mut bytes = Vec::new();
    for order in [Little, Big, Little] {
        bytes.extend(order.section());
        // A block that nobody here needs: names.
        bytes.extend(order.block(4, &[0; 8]));
        // The numbers of interfaces begin anew in each section.
        for (nth, (link_type, frame)) in in_section(order).into_iter().enumerate() {
            let options = [
                order.option(2, format!("if-{link_type}").as_bytes()),
                order.option(9, &[9]),
                order.option(0, &[]),
            ];
            bytes.extend(order.interface(link_type as u16, 0, &options));
            let options = [order.option(1, b"a comment"), order.option(0, &[])];
            bytes.extend(order.packet(nth as u32, 77, &frame, &options));
        }
    }
    let (items, error) = read(&bytes);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(items.len(), 3 * frames(Little).len());
    let names = [Little, Big, Little].into_iter().flat_map(in_section);
    for (item, (link_type, _)) in items.iter().zip(names) {
        let Item::Event(captured) = item else {
            panic!("{item:?}")
        };
        assert_eq!(captured.interface, Some(format!("if-{link_type}").into()));
        assert_eq!((captured.session, captured.dropped), (None, 0));
        let event = captured.event.as_ref();
        assert_eq!((event.packet(), event.time_ns()), (&ping(1, 8)[..], 77));
    }
}

#[test]
fn times_are_in_each_interfaces_unit() {
    let bytes = [
        Big.section(),
        Big.interface(101, 0, &[]),
        Big.interface(101, 0, &[Big.option(9, &[3]), Big.option(14, &Big.u64(10))]),
        Big.packet(0, 1_500_000, &ping(1, 8), &[]),
        Big.packet(1, 1_500, &ping(1, 8), &[]),
    ]
    .concat();
    let (items, error) = read(&bytes);
    assert!(error.is_none(), "{error:?}");
    let times = events(&items)
        .into_iter()
        .map(|event| event.as_ref().time_ns());
    assert_eq!(times.collect::<Vec<_>>(), [1_500_000_000, 11_500_000_000]);
}

#[test]
fn old_and_simple_packets_are_packets() {
    let ping = ping(1, 8);
    let len = ping.len() as u32;
    let old = [
        &Little.u16(0)[..],
        &Little.u16(3),
        &Little.u32(0),
        &Little.u32(1_000),
        &Little.u32(len),
        &Little.u32(len),
        &ping,
    ]
    .concat();
    let simple = [&Little.u32(len)[..], &ping].concat();
    let bytes = [
        Little.section(),
        Little.interface(101, 28, &[]),
        Little.block(2, &old),
        Little.block(3, &simple),
    ]
    .concat();
    let (items, error) = read(&bytes);
    assert!(error.is_none(), "{error:?}");
    let [Item::Event(old), Item::Event(simple)] = &items[..] else {
        panic!("{items:?}")
    };
    assert_eq!((old.dropped, old.event.as_ref().time_ns()), (3, 1_000_000));
    assert_eq!(old.event.as_ref().packet(), ping);
    let simple = simple.event.as_ref();
    assert_eq!(simple.time_ns(), 0, "it has none");
    // Cut at the interface's snaplen.
    assert_eq!((simple.packet(), simple.original_len()), (&ping[..28], len));
    assert!(simple.is_truncated());
}

#[test]
fn tags_and_padding_are_told_from_the_packet() {
    let ping = ping(1, 0);
    let frame = [&[0xaa; 12][..], &[0x81, 0, 0x20, 7, 8, 0], &ping, &[0; 14]].concat();
    let (items, _) = read(&Big.pcap(0xa1b2_c3d4, 1, &[&frame]));
    let found = events(&items);
    let event = found[0].as_ref();
    let vlan = Vlan {
        tci: 0x2007,
        provider: false,
    };
    assert_eq!((event.packet(), event.vlan()), (&ping[..], Some(vlan)));
    assert_eq!(event.original_len() as usize, ping.len());
}

#[test]
fn what_is_no_icmp_is_counted_and_losses_are_told() {
    let arp = [&[0xaa; 12][..], &[8, 6], &[0; 28]].concat();
    let ping = [&[0xaa; 12][..], &[8, 0], &ping(1, 8)].concat();
    let mut udp = ping.clone();
    udp[14 + 9] = 17;
    let statistics = [
        &Little.u32(0)[..],
        &[0; 8],
        &Little.option(4, &Little.u64(100)),
        &Little.option(5, &Little.u64(7)),
        &Little.option(7, &Little.u64(2)),
    ]
    .concat();
    let bytes = [
        Little.section(),
        Little.interface(1, 0, &[]),
        Little.interface(127, 0, &[]),
        Little.packet(0, 0, &arp, &[]),
        Little.packet(0, 0, &ping, &[]),
        Little.packet(0, 0, &udp, &[]),
        Little.packet(1, 0, &ping, &[]),
        Little.block(5, &statistics),
    ]
    .concat();
    let mut reader = Reader::new(&bytes[..]);
    let items: Vec<_> = reader.by_ref().collect::<Result<_, _>>().unwrap();
    assert_eq!(events(&items).len(), 1);
    assert_eq!(items.last(), Some(&Item::Dropped { count: 9 }));
    let passed_over = reader.passed_over();
    assert_eq!(passed_over.other_packets, 3);
    assert_eq!(passed_over.unknown_link, Some(127));
}

/// Statistics count from the beginning of the capture, on each interface.
#[test]
fn what_was_dropped_is_not_counted_twice() {
    let statistics = |interface: u32, dropped: u64| {
        let options = Little.option(5, &Little.u64(dropped));
        Little.block(5, &[&Little.u32(interface)[..], &[0; 8], &options].concat())
    };
    let bytes = [
        Little.section(),
        Little.interface(1, 0, &[]),
        Little.interface(1, 0, &[]),
        statistics(0, 3),
        statistics(1, 4),
        statistics(0, 3),
        statistics(0, 5),
        statistics(9, 6),
    ]
    .concat();
    let (items, error) = read(&bytes);
    assert!(error.is_none(), "{error:?}");
    let dropped = [3, 4, 2].map(|count| Item::Dropped { count });
    assert_eq!(items, dropped);
}

#[test]
fn a_packet_of_an_interface_without_a_block_is_damage() {
    let bytes = [Little.section(), Little.packet(3, 0, &ping(1, 8), &[])].concat();
    let (items, error) = read(&bytes);
    assert!(items.is_empty());
    assert_eq!(
        error.unwrap().to_string(),
        format!(
            "a packet block at byte {}: it is of interface 3, which has no block",
            Little.section().len()
        )
    );
}
