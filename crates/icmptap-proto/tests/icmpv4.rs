//! What ICMPv4 messages say, whole and cut short.

use std::net::{IpAddr, Ipv4Addr};

use icmptap_proto::{
    Mtu,
    event::Checksum,
    icmp::{
        Body, Echo, Icmp, Quote, Transport,
        extension::{Class, ObjectBody, OtherAddress, Role},
        v4::{Times, Type},
    },
    testing::{self, TCP, UDP, extended, extensions, ipv4},
};

/// The message, to be decoded where it lies.
struct Message(Vec<u8>);

impl Message {
    fn new(icmp_type: u8, code: u8, rest: [u8; 4], data: &[u8]) -> Self {
        Self(testing::icmp(icmp_type, code, rest, data))
    }

    fn decode(&self) -> Icmp<'_> {
        let [icmp_type, code, ..] = self.0[..] else {
            panic!()
        };
        Icmp::decode(Type(icmp_type).into(), code, &self.0, Some(self.0.len()))
    }
}

fn body(icmp_type: u8, code: u8, rest: [u8; 4], data: &[u8], check: impl FnOnce(Body<'_>)) {
    check(Message::new(icmp_type, code, rest, data).decode().body);
}

fn udp() -> Vec<u8> {
    ipv4([10, 0, 0, 1], [10, 0, 0, 2], 17, &UDP)
}

/// What is quoted; the bytes live for ever, as the test is short.
fn quote_of(packet: &[u8]) -> Option<Quote<'static>> {
    let message = Box::leak(Box::new(Message::new(11, 0, [0; 4], packet)));
    message.decode().quote
}

const PORTS: Transport<'_> = Transport::Ports {
    src: 5000,
    dst: 33434,
    tcp_seq: None,
};

#[test]
fn echo() {
    let expected = Body::Echo(Echo { id: 7, seq: 258 });
    body(8, 0, [0, 7, 1, 2], b"abc", |body| {
        assert_eq!(body, expected)
    });
    for other in [0, 15, 16] {
        body(other, 0, [0, 7, 1, 2], b"", |body| {
            assert_eq!(body, expected)
        });
    }
}

#[test]
fn unreachable() {
    let message = Message::new(3, 3, [0, 0, 5, 20], &udp());
    let message = message.decode();
    assert_eq!(message.mtu(), None, "only code 4 has an MTU");
    let quote = message.quote.unwrap();
    assert_eq!(
        (quote.src, quote.dst),
        (
            IpAddr::from(Ipv4Addr::new(10, 0, 0, 1)),
            IpAddr::from(Ipv4Addr::new(10, 0, 0, 2))
        )
    );
    assert_eq!(
        (quote.protocol, quote.len, quote.ttl, quote.fragment_offset),
        (17, Some(28), 64, Some(0))
    );
    assert_eq!(quote.transport, PORTS);
}

#[test]
fn fragmentation_needed() {
    let mtu = |rest| Message::new(3, 4, rest, &udp()).decode().mtu();
    assert_eq!(mtu([0, 0, 5, 20]), Some(Mtu(1300)));
    assert_eq!(mtu([0, 0, 0, 0]), None, "a router that does not say");
}

#[test]
fn redirect_and_parameter_problem() {
    let message = Message::new(5, 1, [10, 0, 0, 254], &udp());
    let gateway = Ipv4Addr::new(10, 0, 0, 254);
    assert_eq!(message.decode().body, Body::Redirect { gateway });
    assert!(message.decode().quote.is_some());
    let message = Message::new(12, 0, [21, 0, 0, 0], &udp());
    assert_eq!(
        message.decode().body,
        Body::ParameterProblem { pointer: 21 }
    );
    assert!(message.decode().quote.is_some());
}

#[test]
fn timestamp() {
    let echo = Echo { id: 7, seq: 1 };
    let data = [0, 0, 0, 1, 0, 0, 0, 2, 0x80, 0, 0, 3];
    let times = Times {
        originate: 1,
        receive: 2,
        transmit: 0x8000_0003,
    };
    let timestamp = |times| Body::Timestamp { echo, times };
    body(14, 0, [0, 7, 0, 1], &data, |body| {
        assert_eq!(body, timestamp(Some(times)));
    });
    body(13, 0, [0, 7, 0, 1], &data[..11], |body| {
        assert_eq!(body, timestamp(None));
    });
}

#[test]
fn address_mask() {
    let echo = Echo { id: 7, seq: 1 };
    let mask = Some(Ipv4Addr::new(255, 255, 0, 0));
    body(18, 0, [0, 7, 0, 1], &[255, 255, 0, 0], |body| {
        assert_eq!(body, Body::AddressMask { echo, mask });
    });
    body(17, 0, [0, 7, 0, 1], &[0; 3], |body| {
        assert_eq!(body, Body::AddressMask { echo, mask: None });
    });
}

#[test]
fn routers_as_far_as_they_are_there() {
    let count = |rest: [u8; 4], data: &[u8]| {
        let message = Message::new(9, 0, rest, data);
        match message.decode().body {
            Body::Routers(routers) => routers.iter().count(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(count([2, 2, 0, 1], &[0; 16]), 2);
    assert_eq!(count([2, 2, 0, 1], &[0; 24]), 2, "no more than it says");
    assert_eq!(count([3, 2, 0, 1], &[0; 20]), 2, "no more than there are");
    assert_eq!(count([2, 3, 0, 1], &[0; 24]), 2, "longer entries");
    assert_eq!(count([2, 1, 0, 1], &[0; 16]), 0, "too short to be entries");
    assert_eq!(count([2, 0, 0, 1], &[0; 16]), 0);
}

/// Class, ctype and whether it was understood, of each object.
fn objects(icmp: &Icmp<'_>) -> Vec<(u8, u8, bool)> {
    let objects = icmp.extensions.into_iter().flat_map(|e| e.objects());
    objects
        .map(|object| {
            let is_known = !matches!(object.body, ObjectBody::Data(_) | ObjectBody::Malformed(_));
            (object.class.0, object.ctype, is_known)
        })
        .collect()
}

#[test]
fn where_extensions_start() {
    const LABEL: (u8, u8, &[u8]) = (1, 1, &[0, 0x4d, 0x21, 0x40]);
    let found = |rest, data: &[u8]| {
        let message = Message::new(11, 0, rest, data);
        let icmp = message.decode();
        assert_eq!(icmp.quote.unwrap().transport, PORTS);
        icmp.extensions.map(|e| (e.checksum, objects(&icmp)))
    };
    let good = Some((Checksum::Good, vec![(1, 1, true)]));
    // Where the length says.
    let mut far = extended(&udp(), &[]);
    far.truncate(128);
    far.resize(136, 0);
    far.extend(extensions(&[LABEL]));
    assert_eq!(found([0, 34, 0, 0], &far), good);
    // Behind 128 bytes, where it says nothing.
    let near = extended(&udp(), &[LABEL]);
    assert_eq!(found([0, 32, 0, 0], &near), good);
    assert_eq!(found([0; 4], &near), good);
    // Without a good checksum, that was a guess.
    let mut damaged = near.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(found([0; 4], &damaged), None);
    assert_eq!(
        found([0, 32, 0, 0], &damaged),
        Some((Checksum::Bad, vec![(1, 1, true)]))
    );
    // So it is with a length that may not be.
    let mut short = udp();
    short.extend(extensions(&[LABEL]));
    assert_eq!(found([0, 7, 0, 0], &short), good);
    *short.last_mut().unwrap() ^= 1;
    assert_eq!(found([0, 7, 0, 0], &short), None);
    // A checksum that was not computed, another version, and nothing there.
    let mut unsummed = near.clone();
    unsummed[130..132].fill(0);
    assert_eq!(
        found([0, 32, 0, 0], &unsummed),
        Some((Checksum::Unknown, vec![(1, 1, true)]))
    );
    let mut version = near.clone();
    version[128] = 0x10;
    assert_eq!(found([0, 32, 0, 0], &version), None);
    assert_eq!(found([0, 32, 0, 0], &udp()), None);
    // A length in other units, or of the quote without its padding: they are at
    // byte 128 all the same, if they can prove it.
    for words in [7, 17, 128, 255] {
        assert_eq!(found([0, words, 0, 0], &near), good, "{words}");
        assert_eq!(found([0, words, 0, 0], &damaged), None, "{words}");
    }
    // Without a checksum, the structure has to fit to the end.
    let unknown = Some((Checksum::Unknown, vec![(1, 1, true)]));
    assert_eq!(found([0, 128, 0, 0], &unsummed), unknown);
    assert_eq!(found([0; 4], &unsummed), unknown);
    let mut longer = unsummed.clone();
    longer.push(0);
    let changed = |at: usize, value: u8| {
        let mut other = unsummed.clone();
        other[at] = value;
        other
    };
    // Objects that fit, but not of whole words.
    let mut halves = unsummed[..132].to_vec();
    halves.extend([0, 6, 9, 1, 0, 0].repeat(2));
    for other in [
        longer,
        halves,
        changed(133, 4),
        changed(133, 7),
        changed(133, 12),
        changed(129, 1),
        changed(128, 0x21),
        unsummed[..132].to_vec(),
    ] {
        assert_eq!(found([0, 128, 0, 0], &other), None, "{:?}", &other[128..]);
    }
    // Nor is that proof at another place.
    let mut short = udp();
    short.extend(&unsummed[128..]);
    assert_eq!(found([0, 7, 0, 0], &short), None);
}

const NOTHING: &[u8] = &[];

#[test]
fn what_is_left_over_is_told() {
    let left = |rest, data: &[u8]| Message::new(11, 0, rest, data).decode().trailing().to_vec();
    let near = extended(&udp(), &[(9, 9, b"news")]);
    assert_eq!(
        left([0, 32, 0, 0], &near),
        NOTHING,
        "padding and extensions"
    );
    // Behind the quoted packet: what can be no extension, or is no padding.
    let mut version = near.clone();
    version[128] = 0x10;
    assert_eq!(left([0, 32, 0, 0], &version), version[28..]);
    let mut padded = near.clone();
    padded[127] = 1;
    assert_eq!(left([0, 32, 0, 0], &padded), padded[28..128]);
    assert_eq!(left([0; 4], &[&udp()[..], b"more"].concat()), b"more");
    assert_eq!(left([0; 4], &udp()), NOTHING);
    // All of it, where no packet can be read.
    assert_eq!(left([0; 4], &udp()[..19]), udp()[..19]);
    // Nothing, where the packet was longer, or its length cannot be.
    let mut long = udp();
    long[3] = 99;
    assert_eq!(left([0; 4], &long), NOTHING);
    long[3] = 19;
    assert_eq!(left([0; 4], &long), NOTHING);
    // An extended echo request has nothing but extensions.
    let message = Message::new(42, 0, [0; 4], b"none");
    assert_eq!(message.decode().trailing(), b"none");
    let message = Message::new(8, 0, [0; 4], b"data");
    assert_eq!(message.decode().trailing(), NOTHING);
}

#[test]
fn the_length_of_a_quote_limits_it() {
    // A header of 60 bytes, and a quote that has 128: 17 words of them said.
    let mut packet = ipv4([10, 0, 0, 1], [10, 0, 0, 2], 6, &[0; 108]);
    packet[0] = 0x4f;
    packet[60..68].copy_from_slice(&TCP);
    let ports = |data: &[u8]| {
        let message = Message::new(11, 0, [0, 32, 0, 0], data);
        match message.decode().quote.unwrap().transport {
            Transport::Ports { src, dst, tcp_seq } => Some((src, dst, tcp_seq)),
            _ => None,
        }
    };
    assert_eq!(ports(&packet), Some((5000, 443, Some(12345))));
    assert_eq!(ports(&packet[..60]), None);
}

#[test]
fn a_message_that_was_cut_has_no_checksum_of_extensions() {
    let bytes = testing::icmp(11, 0, [0, 32, 0, 0], &extended(&udp(), &[(9, 1, b"more")]));
    let checksum = |bytes: &[u8], len| {
        let icmp = Icmp::decode(Type(11).into(), 0, bytes, len);
        icmp.extensions.unwrap().checksum
    };
    let len = bytes.len();
    assert_eq!(checksum(&bytes, Some(len)), Checksum::Good);
    assert_eq!(checksum(&bytes, Some(len + 1)), Checksum::Unknown);
    assert_eq!(checksum(&bytes, None), Checksum::Unknown);
    assert_eq!(checksum(&bytes[..len - 4], Some(len)), Checksum::Unknown);
}

#[test]
fn objects_that_are_not_well_formed_are_data() {
    let found = |objects_: &[(u8, u8, &[u8])]| {
        let message = Message::new(42, 0, [0; 4], &extensions(objects_));
        objects(&message.decode())
    };
    assert_eq!(found(&[(1, 1, &[0; 3]), (1, 1, &[])]), [(1, 1, false); 2]);
    assert_eq!(found(&[(1, 2, &[0; 4])]), [(1, 2, false)]);
    for payload in [&[0; 3][..], &[0; 5], &[]] {
        assert_eq!(found(&[(2, 8, payload)]), [(2, 8, false)], "an index");
    }
    // An address and a name that are not all there.
    assert_eq!(found(&[(2, 4, &[0, 1, 0, 0, 1, 2, 3])]), [(2, 4, false)]);
    assert_eq!(found(&[(2, 2, &[8, b'e', b't', b'h'])]), [(2, 2, false)]);
    assert_eq!(found(&[(2, 2, &[0, 0, 0, 0])]), [(2, 2, false)]);
    assert_eq!(found(&[(3, 3, &[0, 1, 4, 0, 10, 0])]), [(3, 3, false)]);
    assert_eq!(found(&[(3, 4, &[0; 4])]), [(3, 4, false)]);

    // A length that cannot be ends the list, and what is there is not lost.
    let mut bytes = testing::icmp(42, 0, [0; 4], &extensions(&[(9, 1, b"more"), (9, 2, b"")]));
    for len in [0, 3, 13] {
        bytes[13] = len;
        let rest = b"more\0\x04\x09\x02";
        for (total, expected) in [
            (Some(bytes.len()), ObjectBody::Malformed(rest)),
            // Of what was cut off, nothing can be said.
            (Some(bytes.len() + 1), ObjectBody::Data(rest)),
            (None, ObjectBody::Data(rest)),
        ] {
            let icmp = Icmp::decode(Type(42).into(), 0, &bytes, total);
            let objects: Vec<_> = icmp.extensions.unwrap().objects().collect();
            assert_eq!(objects.len(), 1, "{len}");
            assert_eq!(objects[0].class, Class(9));
            assert_eq!(objects[0].body, expected);
        }
    }
    // So is what is left behind the last one.
    let mut data = extensions(&[(9, 1, b"more")]);
    data.extend([1, 2, 3]);
    let message = Message::new(42, 0, [0; 4], &data);
    let extensions = message.decode().extensions.unwrap();
    assert_eq!(
        (extensions.objects().count(), extensions.trailing()),
        (1, &[1, 2, 3][..])
    );
}

#[test]
fn an_interface_keeps_what_is_known_of_it() {
    // Role, index and an address of a family of no known length.
    let data = extensions(&[(2, 0x8f, &[0, 0, 0, 7, 0x40, 5, 0, 0, 2, 0, 0, 0, 0, 1])]);
    let message = Message::new(42, 0, [0; 4], &data);
    let object = message
        .decode()
        .extensions
        .unwrap()
        .objects()
        .next()
        .unwrap();
    let ObjectBody::InterfaceInfo(info) = object.body else {
        panic!("{object:?}")
    };
    let other = OtherAddress {
        afi: 0x4005,
        bytes: &[2, 0, 0, 0, 0, 1],
    };
    assert_eq!(
        (info.role, info.index, info.other_address, info.address),
        (Role(2), Some(7), Some(other), None)
    );
}

#[test]
fn quotes_however_short() {
    let udp = udp();
    assert_eq!(quote_of(&udp[..19]), None);
    let bare = quote_of(&udp[..20]).unwrap();
    assert_eq!((bare.len, bare.transport), (Some(28), Transport::None));
    assert_eq!(quote_of(&udp[..23]).unwrap().transport, Transport::None);
    assert_eq!(quote_of(&udp[..24]).unwrap().transport, PORTS);
    let tcp = ipv4([10, 0, 0, 1], [10, 0, 0, 2], 6, &TCP);
    let tcp_seq = |len: usize| match quote_of(&tcp[..len]).unwrap().transport {
        Transport::Ports { tcp_seq, .. } => tcp_seq,
        other => panic!("{other:?}"),
    };
    assert_eq!((tcp_seq(27), tcp_seq(28)), (None, Some(12345)));

    // What fills up the quote is not of the packet.
    let mut short = udp.clone();
    short[3] = 23;
    assert_eq!(quote_of(&short).unwrap().transport, Transport::None);
    // A length that cannot be says nothing.
    short[3] = 8;
    assert_eq!(quote_of(&short).unwrap().transport, PORTS);

    // Behind authentication headers, of 12 and of 24 bytes.
    let mut data = vec![51, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 17, 4];
    data.resize(36, 0);
    data.extend(UDP);
    let ah = ipv4([10, 0, 0, 1], [10, 0, 0, 2], 51, &data);
    let quote = quote_of(&ah).unwrap();
    assert_eq!((quote.protocol, quote.transport), (17, PORTS));
    for (len, protocol) in [(31, 51), (32, 51), (55, 51), (56, 17)] {
        let quote = quote_of(&ah[..len]).unwrap();
        assert_eq!(
            (quote.protocol, quote.transport),
            (protocol, Transport::None),
            "{len}"
        );
        assert_eq!(quote.fragment_offset, Some(0));
    }
    let mut later = ah;
    later[7] = 1;
    assert_eq!(quote_of(&later).unwrap().protocol, 51, "no header is in it");

    // Options, all there and cut off.
    let mut options = udp.clone();
    options[0] = 0x46;
    options.splice(20..20, [1, 1, 1, 0]);
    assert_eq!(quote_of(&options).unwrap().transport, PORTS);
    assert_eq!(quote_of(&options[..22]).unwrap().transport, Transport::None);

    // A later fragment has no ports, whatever its bytes look like.
    let mut later = udp.clone();
    later[6..8].copy_from_slice(&[0, 185]);
    let later = quote_of(&later).unwrap();
    assert_eq!(
        (later.fragment_offset, later.transport),
        (Some(1480), Transport::None)
    );

    // Not IPv4; a header length that cannot be.
    for first in [0x65, 0x44, 0x00] {
        let mut odd = udp.clone();
        odd[0] = first;
        assert_eq!(quote_of(&odd), None, "{first:#x}");
    }
}

#[test]
fn a_quoted_ping_keeps_its_id() {
    let ping = ipv4([10, 0, 0, 1], [10, 0, 0, 2], 1, &[8, 0, 0, 0, 0, 7, 0, 9]);
    let echo = |packet: &[u8]| match quote_of(packet).unwrap().transport {
        Transport::Icmp(quoted) => {
            assert_eq!(
                (quoted.icmp_type, quoted.code),
                (Type::ECHO_REQUEST.into(), 0)
            );
            quoted.message().echo()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(echo(&ping), Some(Echo { id: 7, seq: 9 }));
    assert_eq!(echo(&ping[..25]), None);
}

#[test]
fn a_message_that_ends_early_is_data() {
    for len in 0..8 {
        let bytes = &[3, 4, 0, 0, 0, 0, 5][..len.min(7)];
        let message = Icmp::decode(Type(3).into(), 4, bytes, Some(36));
        assert_eq!(
            (message.icmp_type, message.code, message.body),
            (Type(3).into(), 4, Body::None)
        );
        assert_eq!((message.quote, message.extensions), (None, None));
    }
}

#[test]
fn names() {
    assert_eq!(Type(8).iana_name(), Some("Echo"));
    assert_eq!(
        (Type(8).to_string(), Type(77).to_string()),
        ("echo-request".into(), "type-77".into())
    );
    assert_eq!(Type(3).code_name(3), Some("port-unreachable"));
    assert_eq!(Type(3).code_name(16), None);
    assert_eq!(Type(8).code_name(0), None);
    assert_eq!(Type::NAMED.len(), 32);
}

#[test]
fn a_quoted_message_is_read_like_any_other() {
    let quoted = |icmp: &[u8]| {
        let packet = ipv4([10, 0, 0, 1], [10, 0, 0, 2], 1, icmp);
        match quote_of(&packet).unwrap().transport {
            Transport::Icmp(quoted) => quoted.message(),
            other => panic!("{other:?}"),
        }
    };
    let times = [0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
    let timestamp = quoted(&testing::icmp(14, 0, [0, 7, 0, 9], &times));
    let Body::Timestamp {
        times: Some(times), ..
    } = timestamp.body
    else {
        panic!("{timestamp:?}")
    };
    assert_eq!((times.originate, times.transmit), (1, 3));
    // An error about an error: two quotes.
    let error = quoted(&testing::icmp(3, 3, [0; 4], &udp()));
    assert_eq!(error.quote.unwrap().transport, PORTS);
    // Of a fragment, and where the quote ends early, what is missing is not wrong.
    let mut fragment = ipv4(
        [10, 0, 0, 1],
        [10, 0, 0, 2],
        1,
        &testing::icmp(42, 0, [0; 4], &[0x20, 0, 0, 0, 0, 9, 1, 1]),
    );
    let body = |packet: &[u8]| match quote_of(packet).unwrap().transport {
        Transport::Icmp(quoted) => {
            let message = quoted.message();
            let object = message.extensions.unwrap().objects().next().unwrap();
            matches!(object.body, ObjectBody::Malformed(_))
        }
        other => panic!("{other:?}"),
    };
    assert!(body(&fragment));
    fragment[6] = 0x20;
    assert!(!body(&fragment));
    fragment[6] = 0;
    fragment[3] += 1;
    assert!(!body(&fragment));
}

#[test]
fn quotes_within_quotes_come_to_an_end() {
    let mut packet = udp();
    for _ in 0..2000 {
        let error = testing::icmp(3, 3, [0; 4], &packet);
        packet = ipv4([10, 0, 0, 1], [10, 0, 0, 2], 1, &error);
    }
    let message = Message::new(11, 0, [0; 4], &packet);
    let mut icmp = message.decode();
    let mut quotes = 0;
    while let Some(quote) = icmp.quote {
        quotes += 1;
        let Transport::Icmp(quoted) = quote.transport else {
            panic!("{quote:?}")
        };
        icmp = quoted.message();
    }
    assert_eq!(quotes, 4);
    assert!(!icmp.trailing().is_empty(), "the fifth is not lost");
}
