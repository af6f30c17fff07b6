//! What ICMPv4 messages say, whole and cut short.

use std::net::Ipv4Addr;

use icmptap_proto::{
    Mtu,
    icmp::{Body, Echo, Icmpv4, Quote, Times, Transport, Type, code_word},
    testing::ipv4,
};

fn decode(icmp_type: u8, code: u8, rest: [u8; 4], data: &[u8]) -> Icmpv4 {
    let mut bytes = vec![icmp_type, code, 0, 0];
    bytes.extend(rest);
    bytes.extend(data);
    Icmpv4::decode(icmp_type, code, &bytes)
}

fn udp() -> Vec<u8> {
    // Ports 5000 and 33434, length and checksum.
    ipv4(
        [10, 0, 0, 1],
        [10, 0, 0, 2],
        17,
        &[0x13, 0x88, 0x82, 0x9a, 0, 8, 0, 0],
    )
}

fn quote_of(packet: &[u8]) -> Option<Quote> {
    decode(11, 0, [0; 4], packet).quote().copied()
}

#[test]
fn echo() {
    let expected = Body::Echo(Echo { id: 7, seq: 258 });
    assert_eq!(decode(8, 0, [0, 7, 1, 2], b"abc").body, expected);
    assert_eq!(decode(0, 0, [0, 7, 1, 2], b"").body, expected);
}

#[test]
fn unreachable() {
    let message = decode(3, 3, [0, 0, 5, 20], &udp());
    let Body::Unreachable {
        next_hop_mtu: None,
        quote: Some(quote),
    } = message.body
    else {
        panic!("{message:?}: only code 4 has an MTU")
    };
    assert_eq!(
        (quote.src, quote.dst),
        (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2))
    );
    assert_eq!(
        (quote.protocol, quote.len, quote.fragment_offset),
        (17, 28, 0)
    );
    assert_eq!(
        quote.transport,
        Transport::Ports {
            src: 5000,
            dst: 33434
        }
    );
}

#[test]
fn fragmentation_needed() {
    let mtu = |rest| match decode(3, 4, rest, &udp()).body {
        Body::Unreachable { next_hop_mtu, .. } => next_hop_mtu,
        other => panic!("{other:?}"),
    };
    assert_eq!(mtu([0, 0, 5, 20]), Some(Mtu(1300)));
    assert_eq!(mtu([0, 0, 0, 0]), None, "a router that does not say");
}

#[test]
fn redirect_and_parameter_problem() {
    let Body::Redirect {
        gateway,
        quote: Some(_),
    } = decode(5, 1, [10, 0, 0, 254], &udp()).body
    else {
        panic!()
    };
    assert_eq!(gateway, Ipv4Addr::new(10, 0, 0, 254));
    let Body::ParameterProblem {
        pointer: 21,
        quote: Some(_),
    } = decode(12, 0, [21, 0, 0, 0], &udp()).body
    else {
        panic!()
    };
}

#[test]
fn timestamp() {
    let data = [0, 0, 0, 1, 0, 0, 0, 2, 0x80, 0, 0, 3];
    let Body::Timestamp { echo, times } = decode(14, 0, [0, 7, 0, 1], &data).body else {
        panic!()
    };
    assert_eq!(echo, Echo { id: 7, seq: 1 });
    assert_eq!(
        times,
        Some(Times {
            originate: 1,
            receive: 2,
            transmit: 0x8000_0003
        })
    );
    let Body::Timestamp { times: None, .. } = decode(13, 0, [0, 7, 0, 1], &data[..11]).body else {
        panic!()
    };
}

#[test]
fn quotes_however_short() {
    let udp = udp();
    assert_eq!(quote_of(&udp[..19]), None);
    let bare = quote_of(&udp[..20]).unwrap();
    assert_eq!((bare.len, bare.transport), (28, Transport::None));
    assert_eq!(quote_of(&udp[..23]).unwrap().transport, Transport::None);
    let ports = Transport::Ports {
        src: 5000,
        dst: 33434,
    };
    assert_eq!(quote_of(&udp[..24]).unwrap().transport, ports);

    // Options, all there and cut off.
    let mut options = udp.clone();
    options[0] = 0x46;
    options.splice(20..20, [1, 1, 1, 0]);
    assert_eq!(quote_of(&options).unwrap().transport, ports);
    assert_eq!(quote_of(&options[..22]).unwrap().transport, Transport::None);

    // A later fragment has no ports, whatever its bytes look like.
    let mut later = udp.clone();
    later[6..8].copy_from_slice(&[0, 185]);
    let later = quote_of(&later).unwrap();
    assert_eq!(
        (later.fragment_offset, later.transport),
        (1480, Transport::None)
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
        Transport::Icmp {
            icmp_type: Type::ECHO_REQUEST,
            code: 0,
            echo,
        } => echo,
        other => panic!("{other:?}"),
    };
    assert_eq!(echo(&ping), Some(Echo { id: 7, seq: 9 }));
    assert_eq!(echo(&ping[..25]), None);
}

#[test]
fn a_message_that_ends_early_is_data() {
    for len in 0..8 {
        let message = Icmpv4::decode(3, 4, &[3, 4, 0, 0, 0, 0, 5][..len.min(7)]);
        assert_eq!(
            (message.icmp_type, message.code, message.body),
            (Type(3), 4, Body::None)
        );
    }
}

#[test]
fn names() {
    assert_eq!(Type(8).iana_name(), Some("Echo"));
    assert_eq!(
        (Type(8).to_string(), Type(77).to_string()),
        ("echo-request".into(), "type-77".into())
    );
    assert_eq!(code_word(Type(3), 3), Some("port-unreachable"));
    assert_eq!(code_word(Type(3), 16), None);
    assert_eq!(code_word(Type(8), 0), None);
    assert_eq!(Type::NAMED.len(), 32);
}
