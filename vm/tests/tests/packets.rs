//! Packets made by hand, right and wrong: never a wrong field.

use icmptap::event::{Checksum, Vlan};
use icmptap::{Hook, Snaplen, Subscription};
use icmptap_vm_tests::listen::{Heard, Listener};
use icmptap_vm_tests::net::{Namespace, Wire, connect};
use icmptap_vm_tests::packet::{Ipv4, Ipv6, Sender, checksum, echo, message};
use icmptap_vm_tests::process::stay_on_one_cpu;

/// What an event has to say of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Facts {
    type_and_code: Option<(u8, u8)>,
    fragment: bool,
    malformed: bool,
    good_checksum: Option<bool>,
}

/// Sends `packets` from left to right; checks that each makes exactly one event
/// with its bytes and the facts beside it.
fn check(packets: &[(&str, Vec<u8>, Facts)]) {
    let wire = Wire::new();
    let sender = Sender::new(&wire);
    // Of two streams, the events would come in two orders.
    stay_on_one_cpu();
    let listener = Listener::start(&wire.right);
    for (_, packet, _) in packets {
        sender.send(packet);
    }
    let events = listener.stop().events;

    for ((what, packet, facts), event) in packets.iter().zip(&events) {
        let event = event.as_ref();
        assert_eq!(event.packet(), packet, "{what}");
        assert_eq!(event.original_len() as usize, packet.len(), "{what}");
        assert!(!event.is_truncated(), "{what}");
        let found = Facts {
            type_and_code: event.icmp_type_and_code(),
            fragment: event.is_fragment(),
            malformed: event.is_malformed(),
            good_checksum: match event.checksum() {
                Checksum::Good => Some(true),
                Checksum::Bad => Some(false),
                _ => None,
            },
        };
        assert_eq!(found, *facts, "{what}");
    }
    assert_eq!(events.len(), packets.len());
}

const GOOD_ECHO: Facts = Facts {
    type_and_code: Some((8, 0)),
    fragment: false,
    malformed: false,
    good_checksum: Some(true),
};

#[test]
fn options_are_stepped_over() {
    let with = |options: &[u8]| Ipv4 {
        options: options.to_vec(),
        ..Ipv4::icmp(echo(1, 1, b"options"))
    };
    let mut record_route = vec![1, 7, 39, 4];
    record_route.resize(40, 0);
    check(&[
        ("none", with(&[]).bytes(), GOOD_ECHO),
        ("router alert", with(&[148, 4, 0, 0]).bytes(), GOOD_ECHO),
        (
            "record route, 40 bytes",
            with(&record_route).bytes(),
            GOOD_ECHO,
        ),
    ]);
}

#[test]
fn fragments_are_told_apart() {
    let whole = echo(2, 1, &[7; 40]);
    let part = |from: usize, to: usize| Ipv4 {
        fragment_offset: from as u16,
        more_fragments: to < whole.len(),
        ..Ipv4::icmp(&whole[from..to])
    };
    let first = Facts {
        fragment: true,
        good_checksum: None,
        ..GOOD_ECHO
    };
    let later = Facts {
        fragment: true,
        ..Facts::default()
    };
    check(&[
        ("first", part(0, 16).bytes(), first),
        ("middle", part(16, 32).bytes(), later),
        ("last", part(32, 48).bytes(), later),
    ]);
}

#[test]
fn a_packet_may_end_within_its_icmp_header() {
    let whole = echo(3, 1, &[]);
    let cut = |length: usize, type_and_code| {
        let facts = Facts {
            type_and_code,
            malformed: true,
            ..Facts::default()
        };
        (Ipv4::icmp(&whole[..length]).bytes(), facts)
    };
    let packets: Vec<_> = [
        ("nothing", cut(0, None)),
        ("the type only", cut(1, None)),
        ("type and code", cut(2, Some((8, 0)))),
        ("half", cut(4, Some((8, 0)))),
        ("all but one byte", cut(7, Some((8, 0)))),
    ]
    .into_iter()
    .map(|(what, (packet, facts))| (what, packet, facts))
    .collect();
    check(&packets);
}

#[test]
fn a_first_fragment_may_be_too_short_as_well() {
    let mut packet = Ipv4::icmp(&echo(3, 2, &[])[..4]);
    packet.more_fragments = true;
    let facts = Facts {
        type_and_code: Some((8, 0)),
        fragment: true,
        malformed: true,
        good_checksum: None,
    };
    check(&[("four bytes", packet.bytes(), facts)]);
}

#[test]
fn checksums_and_unknown_types_are_only_reported() {
    let mut bad = echo(4, 1, b"bad");
    bad[2] ^= 0xff;
    let unknown = Facts {
        type_and_code: Some((250, 9)),
        ..GOOD_ECHO
    };
    check(&[
        ("good", Ipv4::icmp(echo(4, 1, b"good")).bytes(), GOOD_ECHO),
        (
            "bad",
            Ipv4::icmp(bad).bytes(),
            Facts {
                good_checksum: Some(false),
                ..GOOD_ECHO
            },
        ),
        (
            "unknown",
            Ipv4::icmp(message(250, 9, [0; 4], b"what")).bytes(),
            unknown,
        ),
    ]);
}

/// Sends `packets` and then one echo request; what was heard before the echo.
fn heard_of(packets: &[Vec<u8>]) -> Heard {
    let wire = Wire::new();
    let sender = Sender::new(&wire);
    // Of two streams, the events would come in two orders.
    stay_on_one_cpu();
    let listener = Listener::start(&wire.right);
    for packet in packets {
        sender.send(packet);
    }
    sender.send(&Ipv4::icmp(echo(0xffff, 0, b"the end")).bytes());
    let mut heard = listener.stop();
    let end = heard.events.pop().expect("the end");
    assert!(end.as_ref().packet().ends_with(b"the end"));
    heard
}

#[test]
fn other_protocols_make_no_event() {
    let other = |protocol| {
        Ipv4 {
            protocol,
            ..Ipv4::icmp(echo(5, 1, b"not ICMP"))
        }
        .bytes()
    };
    // IGMP, TCP, UDP, ICMPv6 (not in IPv4), SCTP, reserved.
    let packets: Vec<_> = [2, 6, 17, 58, 132, 255].into_iter().map(other).collect();
    assert!(heard_of(&packets).events.is_empty());
}

#[test]
fn what_the_kernel_drops_as_broken_makes_no_event() {
    let whole = Ipv4::icmp(echo(6, 1, b"broken")).bytes();
    // After each change the header's checksum is made right again, but once.
    let broken = |change: fn(&mut Vec<u8>)| {
        let mut packet = whole.clone();
        change(&mut packet);
        packet[10..12].fill(0);
        let sum = checksum(&packet[..20]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet
    };
    let mut bad_checksum = whole.clone();
    bad_checksum[10] ^= 1;
    let packets = [
        bad_checksum,
        broken(|packet| packet[0] = 0x55),
        broken(|packet| packet[0] = 0x44),
        broken(|packet| packet[3] += 1),
        broken(|packet| packet[3] = 19),
        broken(|packet| packet.truncate(24)),
        whole[..12].to_vec(),
    ];
    assert!(heard_of(&packets).events.is_empty());
}

#[test]
fn the_link_layers_padding_is_no_part_of_the_packet() {
    let packet = Ipv4::icmp(echo(7, 1, &[])).bytes();
    let mut padded = packet.clone();
    padded.resize(46, 0x55);
    let events = heard_of(&[padded]).events;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].as_ref().packet(), packet);
    assert_eq!(events[0].as_ref().original_len() as usize, packet.len());
}

#[test]
fn the_snaplen_cuts_bytes_and_nothing_else() {
    let data: Vec<u8> = (0..1400).map(|index| index as u8).collect();
    let packet = Ipv4::icmp(echo(8, 1, &data)).bytes();
    let wire = Wire::new();
    let sender = Sender::new(&wire);
    for snaplen in [0, 1, 19, 20, 27, 28, 29, 100, 576, 1427, 1428, 1429, 65_535] {
        let builder = Subscription::builder().snaplen(Snaplen(snaplen));
        let listener = Listener::with(&wire.right, builder);
        sender.send(&packet);
        let events = listener.stop().events;
        assert_eq!(events.len(), 1);
        let event = events[0].as_ref();
        let kept = packet.len().min(snaplen as usize);
        assert_eq!(event.packet(), &packet[..kept], "snaplen {snaplen}");
        assert_eq!(
            event.is_truncated(),
            kept < packet.len(),
            "snaplen {snaplen}"
        );
        assert_eq!(event.original_len() as usize, packet.len());
        assert_eq!(
            event.icmp_type_and_code(),
            Some((8, 0)),
            "snaplen {snaplen}"
        );
    }
}

/// IP never sees a tag: a VLAN device takes it, or the packet is dropped, or it is of no
/// VLAN and goes (`__netif_receive_skb_core()`). A bridge leaves it where it is.
#[test]
fn a_tag_is_told_of_what_crosses_a_bridge() {
    let [left, middle, right] = [(); 3].map(|()| Namespace::new());
    for (nth, (end, port)) in [(&left, "port0"), (&right, "port1")]
        .into_iter()
        .enumerate()
    {
        let address = |host| [10, 0, nth as u8, host].into();
        connect((end, "eth0", address(1)), (&middle, port, address(2)));
    }
    middle.bridge(&["port0", "port1"]);
    let sender = Sender::between(&left, &right);
    stay_on_one_cpu();
    let all = Hook::ALL;
    let listener = Listener::with(&middle, Subscription::builder().hooks(all));
    let tag = |tci, provider| Some(Vlan { tci, provider });
    let tags = [
        None,
        tag(0xb064, false),
        tag(0xb064, true),
        tag(0x0fff, false),
        tag(0x0001, true),
        // Of priority 7 and no VLAN.
        tag(0xe000, false),
        None,
    ];
    // The right end has neither address, and answers nothing.
    let packets = [
        Ipv4::icmp(echo(1, 1, b"across")).bytes(),
        Ipv6::icmp(message(128, 0, [0, 7, 0, 1], b"across"))
            .summed()
            .bytes(),
    ];
    for packet in &packets {
        for tag in tags {
            match tag {
                None => sender.send(packet),
                Some(tag) => sender.send_tagged(tag, packet),
            }
        }
    }
    let events = listener.stop().events;
    let crossed = [Hook::Prerouting, Hook::Forward, Hook::Postrouting];
    let expected = packets.iter().flat_map(|packet| {
        tags.into_iter()
            .flat_map(move |tag| crossed.map(|hook| (packet, hook, tag)))
    });
    let count = packets.len() * tags.len() * crossed.len();
    assert_eq!(events.len(), count);
    for (event, (packet, hook, tag)) in events.iter().zip(expected) {
        let event = event.as_ref();
        assert_eq!((event.hook(), event.vlan()), (Some(hook), tag));
        assert_eq!(event.packet(), packet);
    }
}
