//! ICMPv6 packets made by hand: found behind extension headers, never a wrong
//! field.

use icmptap::event::Checksum;
use icmptap::{Family, Snaplen, Subscription};
use icmptap_vm_tests::listen::Listener;
use icmptap_vm_tests::net::Wire;
use icmptap_vm_tests::packet::number::{
    AUTH, DESTINATION, FRAGMENT, HOP_BY_HOP, NO_NEXT, ROUTING, UDP,
};
use icmptap_vm_tests::packet::{Ipv6, Sender, message};
use icmptap_vm_tests::process::stay_on_one_cpu;

/// What an event has to say of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Facts {
    type_and_code: Option<(u8, u8)>,
    fragment: bool,
    malformed: bool,
    checksum: Checksum,
}

const GOOD: Facts = Facts {
    type_and_code: Some((128, 0)),
    fragment: false,
    malformed: false,
    checksum: Checksum::Good,
};

const SHORT: Facts = Facts {
    malformed: true,
    checksum: Checksum::Unknown,
    ..GOOD
};

fn echo() -> Ipv6 {
    Ipv6::icmp(message(128, 0, [0, 7, 0, 1], b"with six")).summed()
}

fn behind(extensions: &[(u8, &[u8])]) -> Vec<u8> {
    Ipv6 {
        extensions: extensions
            .iter()
            .map(|(number, bytes)| (*number, bytes.to_vec()))
            .collect(),
        ..echo()
    }
    .bytes()
}

/// A fragment header: offset in units of 8, more fragments to come.
fn fragment(offset: u16, more: bool) -> [u8; 8] {
    let [a, b] = (offset << 3 | u16::from(more)).to_be_bytes();
    [0, 0, a, b, 1, 2, 3, 4]
}

/// `None`: it makes no event.
type Case = (&'static str, Vec<u8>, Option<Facts>);

/// Options that say nothing, so that a header has `length` bytes.
fn padded(length: usize) -> Vec<u8> {
    let mut bytes = vec![0, (length / 8 - 1) as u8];
    while bytes.len() < length {
        let rest = (length - bytes.len() - 2).min(253);
        bytes.extend([1, rest as u8]);
        bytes.resize(bytes.len() + rest, 0);
    }
    bytes
}

fn cases() -> Vec<Case> {
    let alert = [0, 0, 5, 2, 0, 0, 1, 0];
    let mut authentication = vec![0, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1];
    authentication.resize(24, 0xaa);
    // Type 253, of which this many addresses are left.
    let routing = |left| [0, 0, 253, left, 0, 0, 0, 0];
    let long = padded(1400);

    let whole = echo().bytes();
    let cut = |length: usize| {
        let mut packet = whole.clone();
        packet.truncate(length);
        packet[4..6].copy_from_slice(&((length - 40) as u16).to_be_bytes());
        packet
    };
    let mut bad = whole.clone();
    bad[44] ^= 1;
    let other = |protocol, extensions: &[(u8, &[u8])]| {
        Ipv6 {
            protocol,
            extensions: extensions
                .iter()
                .map(|(number, bytes)| (*number, bytes.to_vec()))
                .collect(),
            ..echo()
        }
        .bytes()
    };
    let later = Facts {
        type_and_code: None,
        fragment: true,
        malformed: false,
        checksum: Checksum::Unknown,
    };
    let first = Facts {
        type_and_code: Some((128, 0)),
        ..later
    };
    vec![
        ("plain", whole.clone(), Some(GOOD)),
        ("hop-by-hop", behind(&[(HOP_BY_HOP, &alert)]), Some(GOOD)),
        (
            "destination",
            behind(&[(DESTINATION, &padded(16))]),
            Some(GOOD),
        ),
        (
            "three of them",
            behind(&[
                (HOP_BY_HOP, &alert),
                (DESTINATION, &padded(8)),
                (DESTINATION, &padded(24)),
            ]),
            Some(GOOD),
        ),
        (
            "as many options as fit",
            behind(&[(DESTINATION, &long)]),
            Some(GOOD),
        ),
        (
            "authentication",
            behind(&[(AUTH, &authentication)]),
            Some(GOOD),
        ),
        (
            "routing, arrived",
            behind(&[(ROUTING, &routing(0))]),
            Some(GOOD),
        ),
        (
            // The checksum is for the last address, which is not here.
            "routing, on its way",
            behind(&[(ROUTING, &routing(1))]),
            Some(Facts {
                checksum: Checksum::Unknown,
                ..GOOD
            }),
        ),
        (
            "an atomic fragment",
            behind(&[(FRAGMENT, &fragment(0, false))]),
            Some(GOOD),
        ),
        (
            "a first fragment",
            behind(&[(FRAGMENT, &fragment(0, true))]),
            Some(first),
        ),
        (
            "a first fragment with options on both sides",
            behind(&[
                (HOP_BY_HOP, &alert),
                (FRAGMENT, &fragment(0, true)),
                (DESTINATION, &padded(8)),
            ]),
            Some(first),
        ),
        (
            "a first fragment that was fragmented again",
            behind(&[
                (FRAGMENT, &fragment(0, true)),
                (FRAGMENT, &fragment(0, false)),
            ]),
            Some(first),
        ),
        (
            "as many headers as are looked at",
            behind(&[(DESTINATION, &padded(8)[..]); 32]),
            Some(GOOD),
        ),
        (
            "one header more",
            behind(&[(DESTINATION, &padded(8)[..]); 33]),
            None,
        ),
        (
            "a later fragment",
            behind(&[(FRAGMENT, &fragment(185, false))]),
            Some(later),
        ),
        (
            "a later fragment of what begins with options",
            behind(&[(FRAGMENT, &fragment(185, true)), (DESTINATION, &padded(8))]),
            None,
        ),
        (
            "a bad checksum",
            bad,
            Some(Facts {
                checksum: Checksum::Bad,
                ..GOOD
            }),
        ),
        ("seven bytes", cut(47), Some(SHORT)),
        ("two bytes", cut(42), Some(SHORT)),
        (
            "one byte",
            cut(41),
            Some(Facts {
                type_and_code: None,
                ..SHORT
            }),
        ),
        (
            "no byte",
            cut(40),
            Some(Facts {
                type_and_code: None,
                ..SHORT
            }),
        ),
        ("UDP", other(UDP, &[]), None),
        (
            "UDP behind options",
            other(UDP, &[(DESTINATION, &padded(8))]),
            None,
        ),
        ("nothing follows", other(NO_NEXT, &[]), None),
        (
            "a fragment of UDP",
            other(UDP, &[(FRAGMENT, &fragment(3, true))]),
            None,
        ),
        (
            // A header's length leads out of the packet: what is there is
            // nobody's ICMP.
            "options longer than the packet",
            behind(&[(DESTINATION, &[0, 200, 1, 4, 0, 0, 0, 0])]),
            Some(Facts {
                type_and_code: None,
                ..SHORT
            }),
        ),
        (
            "options that end within a header",
            {
                let mut packet = other(DESTINATION, &[]);
                packet.truncate(44);
                packet[4..6].copy_from_slice(&4_u16.to_be_bytes());
                packet
            },
            None,
        ),
    ]
}

#[test]
fn icmpv6_is_found_and_nothing_else() {
    let wire = Wire::with_ipv6();
    let sender = Sender::new(&wire);
    // Of two streams, the events would come in two orders.
    stay_on_one_cpu();
    let builder = Subscription::builder()
        .families([Family::Ipv6])
        .snaplen(Snaplen(65_535));
    let listener = Listener::with(&wire.right, builder);
    let cases = cases();
    for (_, packet, _) in &cases {
        sender.send(packet);
    }
    let heard = listener.stop();
    let mut events = heard
        .events
        .iter()
        .map(|event| event.as_ref())
        .filter(|event| {
            let ours = event.src() == Some(Wire::LEFT6.into());
            // Those of the kernel about ours.
            ours && !matches!(event.icmp_type_and_code(), Some((133..=137 | 143, _)))
        });
    for (what, packet, facts) in &cases {
        let Some(facts) = facts else { continue };
        let event = events.next().unwrap_or_else(|| panic!("{what}: no event"));
        assert_eq!(event.packet(), packet, "{what}");
        assert_eq!(event.family(), Family::Ipv6, "{what}");
        assert_eq!(event.dst(), Some(Wire::RIGHT6.into()), "{what}");
        assert_eq!(event.original_len() as usize, packet.len(), "{what}");
        let found = Facts {
            type_and_code: event.icmp_type_and_code(),
            fragment: event.is_fragment(),
            malformed: event.is_malformed(),
            checksum: event.checksum(),
        };
        assert_eq!(found, *facts, "{what}");
        if facts.type_and_code.is_some() {
            assert!(
                event.icmp_bytes().expect("ICMP").starts_with(&[128, 0]),
                "{what}"
            );
        }
    }
    assert!(events.next().is_none(), "more events than expected");
}
