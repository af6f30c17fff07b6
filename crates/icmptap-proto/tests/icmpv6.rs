//! What ICMPv6 messages say, whole and cut short, and where they lie in a
//! packet.

use std::net::Ipv6Addr;

use icmptap_proto::{
    Mtu,
    event::{Batch, Checksum, EventRef},
    icmp::{
        Body, Echo, Icmp, Quote, Transport,
        ndp::{OptionBody, OptionType},
        v6::Type,
    },
    nlmsg,
    testing::{self, Record, TCP, UDP, address, extended, icmpv6, icmpv6_behind, ipv6, ndp_option},
};

fn with_event<R>(record: Record, check: impl FnOnce(EventRef<'_>) -> R) -> R {
    let bytes = testing::events(0, 0, 0, &[record]);
    let message = nlmsg::messages(&bytes).next().unwrap().unwrap();
    let batch = Batch::decode(&message.generic().unwrap()).unwrap();
    check(batch.events().next().unwrap().unwrap())
}

fn with_icmp<R>(
    icmp_type: Type,
    rest: [u8; 4],
    data: &[u8],
    check: impl FnOnce(Icmp<'_>) -> R,
) -> R {
    let record = Record::of_ipv6(icmpv6(icmp_type.0, 0, rest, data), 40);
    with_event(record, |event| check(event.icmp().unwrap()))
}

/// What is quoted; the bytes live for ever, as the test is short.
fn quote_of(packet: &[u8]) -> Option<Quote<'static>> {
    let bytes = testing::icmp(Type::TIME_EXCEEDED.0, 0, [0; 4], packet).leak();
    let len = bytes.len();
    Icmp::decode(Type::TIME_EXCEEDED.into(), 0, bytes, Some(len)).quote
}

const PORTS: Transport<'_> = Transport::Ports {
    src: 5000,
    dst: 33434,
    tcp_seq: None,
};

#[test]
fn errors() {
    let tcp = ipv6(address(1), address(2), 6, &TCP);
    with_icmp(Type::PACKET_TOO_BIG, [0, 1, 0, 0], &tcp, |icmp| {
        assert_eq!(icmp.mtu(), Some(Mtu(65536)), "of 32 bits");
        let quote = icmp.quote.unwrap();
        assert_eq!(
            (quote.src, quote.dst),
            (address(1).into(), address(2).into())
        );
        assert_eq!((quote.len, quote.ttl, quote.protocol), (Some(48), 64, 6));
        let tcp = Transport::Ports {
            src: 5000,
            dst: 443,
            tcp_seq: Some(12345),
        };
        assert_eq!(quote.transport, tcp);
    });
    with_icmp(Type::PARAMETER_PROBLEM, [1, 0, 0, 2], &tcp, |icmp| {
        let pointer = 0x0100_0002;
        assert_eq!(icmp.body, Body::ParameterProblem { pointer });
    });
    // Only these two may be extended, and the length counts 8 bytes each.
    let udp = ipv6(address(1), address(2), 17, &UDP);
    let data = extended(&udp, &[(9, 9, b"news")]);
    for (icmp_type, expected) in [
        (Type::DESTINATION_UNREACHABLE, true),
        (Type::TIME_EXCEEDED, true),
        (Type::PACKET_TOO_BIG, false),
        (Type::PARAMETER_PROBLEM, false),
    ] {
        let found = |rest| with_icmp(icmp_type, rest, &data, |icmp| icmp.extensions.is_some());
        assert_eq!(found([16, 0, 0, 0]), expected, "{icmp_type}");
        assert_eq!(found([0; 4]), expected, "{icmp_type}");
        assert_eq!(
            found([32, 0, 0, 0]),
            expected,
            "of 4 bytes each: {icmp_type}"
        );
    }
}

#[test]
fn quotes_however_short() {
    let udp = ipv6(address(1), address(2), 17, &UDP);
    assert_eq!(quote_of(&udp[..39]), None);
    let bare = quote_of(&udp[..40]).unwrap();
    assert_eq!(
        (bare.protocol, bare.fragment_offset, bare.transport),
        (17, Some(0), Transport::None)
    );
    assert_eq!(quote_of(&udp[..43]).unwrap().transport, Transport::None);
    assert_eq!(quote_of(&udp[..44]).unwrap().transport, PORTS);
    let mut jumbogram = udp;
    jumbogram[4..6].fill(0);
    assert_eq!(quote_of(&jumbogram).unwrap().len, Some(40), "not yet");
    jumbogram[6] = 0;
    assert_eq!(quote_of(&jumbogram).unwrap().len, None);
}

#[test]
fn quotes_behind_extension_headers() {
    // Hop-by-hop options, a routing header of 24 bytes, AH of 12, UDP.
    let mut headers = vec![43, 0, 1, 4, 0, 0, 0, 0];
    headers.extend([51, 2, 4, 0, 0, 0, 0, 0]);
    headers.extend([0; 16]);
    headers.extend([17, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
    let packet = ipv6(address(1), address(2), 0, &[&headers[..], &UDP].concat());
    let quote = quote_of(&packet).unwrap();
    assert_eq!((quote.protocol, quote.transport), (17, PORTS));
    // The last header that is known, wherever the quote ends.
    for (len, protocol) in [
        (40, 0),
        (47, 0),
        (48, 43),
        (71, 43),
        (72, 51),
        (83, 51),
        (84, 17),
    ] {
        let quote = quote_of(&packet[..len]).unwrap();
        assert_eq!(
            (quote.protocol, quote.transport),
            (protocol, Transport::None),
            "{len}"
        );
        let known = if protocol == 17 { Some(0) } else { None };
        assert_eq!(quote.fragment_offset, known, "{len}");
    }
    // A first fragment has ports, a later one has none.
    let fragment = |offset: u16| {
        let [high, low] = (offset | 1).to_be_bytes();
        let header = [17, 0, high, low, 0, 0, 0, 9];
        let packet = ipv6(address(1), address(2), 44, &[&header[..], &UDP].concat());
        let quote = quote_of(&packet).unwrap();
        (quote.protocol, quote.fragment_offset, quote.transport)
    };
    assert_eq!(fragment(0), (17, Some(0), PORTS));
    assert_eq!(fragment(1448), (17, Some(1448), Transport::None));
}

#[test]
fn a_quoted_ping_keeps_its_id() {
    let ping = ipv6(address(1), address(2), 58, &[128, 0, 0, 0, 0, 7, 0, 9]);
    let quoted = |packet: &[u8]| match quote_of(packet).unwrap().transport {
        Transport::Icmp(quoted) => quoted,
        other => panic!("{other:?}"),
    };
    let request = quoted(&ping);
    assert_eq!(
        (request.icmp_type, request.code, request.message().echo()),
        (Type::ECHO_REQUEST.into(), 0, Some(Echo { id: 7, seq: 9 }))
    );
    // What another type has there is not an id.
    let mut solicitation = ping;
    solicitation[40] = 135;
    assert_eq!(quoted(&solicitation).message().echo(), None);
}

#[test]
fn fixed_parts_are_there_or_not() {
    for (icmp_type, len_min) in [
        (Type::ROUTER_SOLICITATION, 8),
        (Type::ROUTER_ADVERTISEMENT, 16),
        (Type::NEIGHBOR_SOLICITATION, 24),
        (Type::NEIGHBOR_ADVERTISEMENT, 24),
        (Type::REDIRECT, 40),
        (Type::MULTICAST_LISTENER_QUERY, 24),
        (Type::MULTICAST_LISTENER_REPORT, 24),
        (Type::MULTICAST_LISTENER_DONE, 24),
        (Type::MULTICAST_LISTENER_REPORT_V2, 8),
        (Type::ECHO_REPLY, 8),
        (Type::DESTINATION_UNREACHABLE, 8),
        (Type::PACKET_TOO_BIG, 8),
        (Type::EXTENDED_ECHO_REPLY, 8),
        (Type::INVERSE_NEIGHBOR_SOLICITATION, 8),
        (Type::HOME_AGENT_DISCOVERY_REQUEST, 6),
        (Type::HOME_AGENT_DISCOVERY_REPLY, 8),
        (Type::MOBILE_PREFIX_ADVERTISEMENT, 8),
        (Type::CERTIFICATION_PATH_SOLICITATION, 8),
        (Type::CERTIFICATION_PATH_ADVERTISEMENT, 12),
        (Type::RPL_CONTROL, 6),
    ] {
        let is_known = |len: usize| {
            let bytes = vec![0; len];
            let of = |total| Icmp::decode(icmp_type.into(), 0, &bytes, Some(total)).body;
            // A message that is no longer is not one that was cut off.
            if (8..len_min).contains(&len) {
                assert_eq!(of(len), Body::Malformed(&bytes[4..]), "{icmp_type}");
            } else if len < len_min {
                assert_eq!(of(len), Body::None, "{icmp_type}");
            }
            of(100) != Body::None
        };
        assert!((0..len_min).all(|len| !is_known(len)), "{icmp_type}");
        assert!(is_known(len_min), "{icmp_type}");
    }
}

/// Kinds, and whether they were understood.
fn options(bytes: &[u8]) -> Vec<(u8, bool)> {
    with_icmp(Type::ROUTER_SOLICITATION, [0; 4], bytes, |icmp| {
        let options = icmp.options().unwrap();
        let seen = options.iter().map(|option| {
            (
                option.kind.0,
                !matches!(option.body, OptionBody::Malformed(_)),
            )
        });
        seen.collect()
    })
}

#[test]
fn options_that_are_not_well_formed_are_malformed() {
    let lladdr = ndp_option(1, &[2, 0, 0, 0, 0, 1]);
    assert_eq!(options(&lladdr), [(1, true)]);
    assert_eq!(options(&[&lladdr[..], &lladdr].concat()), [(1, true); 2]);
    // Cut off, a length of nothing, half of the next one's header.
    assert_eq!(options(&lladdr[..7]), [(1, false)]);
    assert_eq!(options(&[1, 0, 1, 1, 1, 1, 1, 1]), [(1, false)]);
    assert_eq!(
        options(&[&lladdr[..], &[5]].concat()),
        [(1, true), (5, false)]
    );
    // Not as long as they have to be.
    for (kind, len) in [(3, 30), (5, 6), (13, 14), (38, 14)] {
        for other in [6, 14, 22, 30, 38] {
            assert_eq!(
                options(&ndp_option(kind, &vec![0; other])),
                [(kind, other == len)],
                "{kind} of {other}"
            );
        }
    }
    for (kind, data) in [
        (3, vec![129; 30]),
        (9, vec![0; 6]),
        (9, vec![0; 14]),
        (11, vec![0; 22]),
        (11, [&[30][..], &[0; 29]].concat()),
        (12, vec![0; 14]),
        (15, vec![1, 15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (25, vec![0; 6]),
        (31, vec![0; 6]),
        (31, vec![0; 14]),
        (33, vec![0; 6]),
        (33, vec![0; 22]),
        (33, [&[0, 0, 1][..], &[0; 43]].concat()),
        (37, vec![0; 6]),
    ] {
        assert_eq!(
            options(&ndp_option(kind, &data)),
            [(kind, false)],
            "{data:?}"
        );
    }
    let quote = [&[0; 6][..], &[0x45; 24]].concat();
    assert_eq!(options(&ndp_option(4, &quote)), [(4, true)]);
    assert_eq!(options(&ndp_option(4, &quote[..22])), [(4, false)]);
    assert_eq!(
        options(&ndp_option(25, &[0; 14])),
        [(25, false)],
        "half a server"
    );
    assert_eq!(
        options(&ndp_option(24, &[64, 0, 0, 0, 0, 0, 1, 1])),
        [(24, true)]
    );
    assert_eq!(
        options(&ndp_option(24, &[65, 0, 0, 0, 0, 0])),
        [(24, false)]
    );
    assert_eq!(options(&ndp_option(38, &[0, 7].repeat(7))), [(38, false)]);
    assert_eq!(options(&ndp_option(99, &[0; 6])), [(99, true)], "not known");
    // Of what was cut off, nothing can be said.
    let bytes = testing::icmp(133, 0, [0; 4], &lladdr[..7]);
    let icmp = Icmp::decode(Type::ROUTER_SOLICITATION.into(), 0, &bytes, Some(16));
    let option = icmp.options().unwrap().iter().next().unwrap();
    assert_eq!(option.body, OptionBody::Data(&[2, 0, 0, 0, 0]));
}

#[test]
fn bits_behind_a_prefix_do_not_count() {
    let prefix = |option: &[u8]| {
        with_icmp(Type::ROUTER_SOLICITATION, [0; 4], option, |icmp| {
            let option = icmp.options().unwrap().iter().next().unwrap();
            match option.body {
                OptionBody::Prefix(prefix) => prefix.prefix,
                OptionBody::Route(route) => route.prefix,
                OptionBody::Pref64(pref64) => pref64.prefix,
                other => panic!("{other:?}"),
            }
        })
        .to_string()
    };
    let ones = [0xff; 16];
    let link = |len, flags| {
        prefix(&ndp_option(
            3,
            &[&[len, flags][..], &[0; 12], &ones].concat(),
        ))
    };
    assert_eq!(link(0, 0xc0), "::");
    assert_eq!(link(17, 0xc0), "ffff:8000::");
    assert_eq!(
        link(17, 0x20),
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "an address"
    );
    assert_eq!(link(128, 0xc0), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    let route = ndp_option(24, &[&[8, 0, 0, 0, 0, 0][..], &ones].concat());
    assert_eq!(prefix(&route), "ff00::");
    let pref64 = |code| prefix(&ndp_option(38, &[&[0, code][..], &ones[..12]].concat()));
    assert_eq!(pref64(0), "ffff:ffff:ffff:ffff:ffff:ffff::");
    assert_eq!(pref64(1), "ffff:ffff:ffff:ffff::");
    assert_eq!(pref64(5), "ffff:ffff::");
}

#[test]
fn domains_are_names_and_then_zeros() {
    let domains = |bytes: &[u8]| {
        let option = ndp_option(31, &[&[0; 6][..], bytes].concat());
        with_icmp(Type::ROUTER_SOLICITATION, [0; 4], &option, |icmp| {
            let option = icmp.options().unwrap().iter().next().unwrap();
            assert_eq!(option.kind, OptionType::DNSSL);
            match option.body {
                OptionBody::Dnssl(dnssl) => dnssl.domains().map(|d| d.to_string()).collect(),
                OptionBody::Malformed(_) => vec![],
                other => panic!("{other:?}"),
            }
        })
    };
    assert_eq!(domains(b"\x01a\x02bc\0\x01d\0"), ["a.bc", "d"]);
    let none: [&str; 0] = [];
    for bytes in [
        &b""[..],
        b"\x01a\0\x3fd",
        b"\x01a\0\xc0\x00",
        b"\x01a\0\0\x01b\0",
        b"\0\x01a\0",
    ] {
        assert_eq!(domains(bytes), none, "{bytes:?}");
    }
    let long = |len: u8| domains(&[&[len][..], &vec![b'a'; len.into()], &[0]].concat()).len();
    assert_eq!((long(63), long(64)), (1, 0));
    // 255 bytes with lengths and the zero.
    let name = |last: usize| {
        let label = [&[63][..], &[b'a'; 63]].concat();
        domains(&[&label.repeat(3)[..], &[last as u8], &vec![b'a'; last], &[0]].concat()).len()
    };
    assert_eq!((name(61), name(62)), (1, 0));
    assert_eq!(domains(b"\x02\x1b\n\0"), [r"\u{1b}\n"]);
    // One label each, whatever is in it.
    assert_eq!(domains(b"\x03a.b\0"), [r"a\.b"]);
    assert_eq!(domains(b"\x04a, b\0"), [r"a\,\u{20}b"]);
}

#[test]
fn multicast_lists_as_far_as_they_are_there() {
    let sources = |count: u8, bytes: usize| {
        let mut data = vec![0; 20 + bytes];
        data[19] = count;
        with_icmp(Type::MULTICAST_LISTENER_QUERY, [0; 4], &data, |icmp| {
            let Body::MulticastQuery(query) = icmp.body else {
                panic!()
            };
            query.v2.unwrap().sources().count()
        })
    };
    assert_eq!(sources(2, 32), 2);
    assert_eq!(sources(1, 32), 1);
    assert_eq!(sources(3, 47), 2);

    let records = |count: u8, data: &[u8]| {
        let rest = [0, 0, 0, count];
        with_icmp(Type::MULTICAST_LISTENER_REPORT_V2, rest, data, |icmp| {
            let Body::MulticastReport(report) = icmp.body else {
                panic!()
            };
            let records = report.records().map(|r| r.sources().count());
            records.collect::<Vec<_>>()
        })
    };
    let mut one = vec![0; 20 + 32 + 4];
    one[1] = 1;
    one[3] = 2;
    assert_eq!(records(2, &[&one[..], &one].concat()), [2, 2]);
    assert_eq!(records(1, &[&one[..], &one].concat()), [2]);
    assert_eq!(records(9, &[&one[..], &one[..36]].concat()), [2, 1]);
    assert!(records(9, &one[..19]).is_empty());
}

#[test]
fn a_query_of_neither_version_is_none() {
    for (len, expected) in [
        (23, false),
        (24, true),
        (25, false),
        (27, false),
        (28, true),
    ] {
        let bytes = vec![0; len];
        let of = |total| Icmp::decode(Type::MULTICAST_LISTENER_QUERY.into(), 0, &bytes, total).body;
        let is_query = |body| matches!(body, Body::MulticastQuery(_));
        assert_eq!(is_query(of(Some(len))), expected, "{len}");
        assert_eq!(is_query(of(None)), expected, "{len}");
        assert_eq!(
            of(Some(len)) == Body::Malformed(&bytes[4..]),
            !expected,
            "{len}"
        );
    }
}

#[test]
fn home_agents_are_whole_addresses() {
    for (len, total, expected) in [
        (8, 8, Some(0)),
        (24, 24, Some(1)),
        (30, 30, None),
        (30, 40, Some(1)),
    ] {
        let bytes = vec![0; len];
        let icmp = Icmp::decode(
            Type::HOME_AGENT_DISCOVERY_REPLY.into(),
            0,
            &bytes,
            Some(total),
        );
        let agents = match icmp.body {
            Body::HomeAgentDiscoveryReply(agents) => Some(agents.iter().count()),
            Body::Malformed(_) => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(agents, expected, "{len} of {total}");
    }
}

#[test]
fn numbers_with_exponents() {
    let query = |code: u16, interval: u8, len: usize| {
        let [high, low] = code.to_be_bytes();
        let mut data = vec![0; len - 8];
        if let Some(byte) = data.get_mut(17) {
            *byte = interval;
        }
        with_icmp(
            Type::MULTICAST_LISTENER_QUERY,
            [high, low, 0, 0],
            &data,
            |icmp| {
                let Body::MulticastQuery(query) = icmp.body else {
                    panic!()
                };
                (query.max_response_ms, query.v2.map(|v2| v2.interval))
            },
        )
    };
    assert_eq!(query(0xffff, 0, 24), (65535, None), "version 1 has none");
    assert_eq!(query(0x7fff, 127, 28), (32767, Some(127)));
    assert_eq!(query(0x8000, 128, 28), (32768, Some(128)));
    assert_eq!(query(0xffff, 255, 28), (8_387_584, Some(31744)));
}

#[test]
fn checksums_have_a_pseudo_header() {
    let checksum = |record: Record| with_event(record, |event| event.checksum());
    let ping = || icmpv6(128, 0, [0, 7, 0, 1], b"odd");
    assert_eq!(checksum(Record::of_ipv6(ping(), 40)), Checksum::Good);
    for at in [8, 30, 41, 50] {
        let mut bad = ping();
        bad[at] ^= 1;
        assert_eq!(checksum(Record::of_ipv6(bad, 40)), Checksum::Bad, "{at}");
    }
    // Padding behind the packet is not in the sum.
    let mut padded = ping();
    padded.extend([1, 2, 3]);
    assert_eq!(checksum(Record::of_ipv6(padded, 40)), Checksum::Good);

    // Behind extension headers; on a source route, the destination is another.
    let message = testing::icmp(128, 0, [0, 7, 0, 1], b"odd");
    let behind = |first, header: &[u8]| {
        let packet = icmpv6_behind(first, header, &message);
        checksum(Record::of_ipv6(packet, 40 + header.len()))
    };
    assert_eq!(behind(0, &[58, 0, 1, 4, 0, 0, 0, 0]), Checksum::Good);
    assert_eq!(behind(43, &[58, 0, 4, 0, 0, 0, 0, 0]), Checksum::Good);
    assert_eq!(behind(43, &[58, 0, 4, 1, 0, 0, 0, 0]), Checksum::Unknown);

    // A Home Address option: that address is in the sum, whatever is around it.
    let home = address(0x77);
    let at_home = |options: &[u8], address: Ipv6Addr| {
        let header = [&[58, (options.len() / 8) as u8][..], options].concat();
        assert_eq!(header.len() % 8, 0);
        // It is right for that sender, and then is sent by another.
        let mut packet = icmpv6_behind(60, &header, &message);
        let end = packet.len() - message.len();
        let mut plain = testing::icmpv6_of(address, testing::address(2), &message);
        packet.truncate(end);
        packet.extend(plain.split_off(40));
        checksum(Record::of_ipv6(packet, end))
    };
    let option = [&[0xc9, 16][..], &home.octets()].concat();
    let alone = [&[1, 2, 0, 0][..], &option].concat();
    let first = [&option[..], &[0, 1, 1, 0]].concat();
    for options in [&alone, &first] {
        assert_eq!(at_home(options, home), Checksum::Good);
        assert_eq!(at_home(options, address(1)), Checksum::Bad);
    }
    let twice = [&option[..], &option, &[0, 0]].concat();
    let mut long = alone.clone();
    long[5] = 17;
    let mut short = first.clone();
    short[1] = 15;
    for options in [twice, long, short] {
        for sender in [home, address(1)] {
            assert_eq!(at_home(&options, sender), Checksum::Unknown, "{options:?}");
        }
    }

    // Not to be known: cut, a jumbogram, a fragment, partial.
    let mut cut = Record::of_ipv6(ping(), 40);
    cut.packet.pop();
    assert_eq!(checksum(cut), Checksum::Unknown);
    let mut jumbogram = ping();
    jumbogram[4..6].fill(0);
    assert_eq!(checksum(Record::of_ipv6(jumbogram, 40)), Checksum::Unknown);
    for flags in [2, 3 << 8] {
        let record = Record {
            flags,
            ..Record::of_ipv6(ping(), 40)
        };
        assert_eq!(checksum(record), Checksum::Unknown);
    }
}

#[test]
fn fragments() {
    let offset = |packet: Vec<u8>| {
        let record = Record {
            flags: 2 | 4,
            icmp_offset: 0,
            ..Record::of_ipv6(packet, 40)
        };
        with_event(record, |event| {
            assert_eq!(event.icmp(), None);
            event.fragment_offset()
        })
    };
    let fragment = |header: [u8; 8]| ipv6(address(1), address(2), 44, &header);
    assert_eq!(offset(fragment([58, 0, 5, 169, 0, 0, 0, 9])), Some(1448));
    assert_eq!(offset(fragment([58, 0, 0, 1, 0, 0, 0, 9])), Some(0));
    assert_eq!(offset(icmpv6(128, 0, [0; 4], &[])), Some(0));
    let mut cut = fragment([58, 0, 5, 169, 0, 0, 0, 9]);
    cut.pop();
    assert_eq!(offset(cut), None);
}

#[test]
fn what_is_behind_the_packet_is_not_of_the_message() {
    // A neighbour solicitation, and what a device left behind it.
    let mut packet = icmpv6(135, 0, [0; 4], &address(2).octets());
    packet.extend(ndp_option(1, &[2, 0, 0, 0, 0, 1]));
    with_event(Record::of_ipv6(packet, 40), |event| {
        assert_eq!(event.icmp().unwrap().options().unwrap().iter().count(), 0);
        assert_eq!(event.ttl(), Some(64));
    });
}

#[test]
fn names() {
    assert_eq!(Type(137).iana_name(), Some("Redirect Message"));
    assert_eq!(
        (Type(128).to_string(), Type(77).to_string()),
        ("echo-request".into(), "type-77".into())
    );
    assert_eq!(Type(1).code_name(4), Some("port-unreachable"));
    assert_eq!(Type(1).code_name(9), None);
    assert_eq!(Type(128).code_name(0), None);
    assert_eq!(Type::NAMED.len(), 44);
    let mut words: Vec<_> = Type::NAMED.iter().map(|t| t.name().unwrap()).collect();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), Type::NAMED.len(), "a word is one type");
}
