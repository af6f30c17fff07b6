//! Messages come out as they went in, whatever is in them.

use std::net::{Ipv4Addr, Ipv6Addr};

use icmptap_proto::{
    Mtu,
    event::{Batch, Checksum, EventRef},
    icmp::{
        Body, Echo, Transport,
        extension::{InterfaceId, ObjectBody},
        ndp::OptionBody,
        rpl::Control,
        v4, v6,
    },
    nlmsg,
    testing::{self, Record, extended, icmpv4, icmpv6, ipv4, ipv6, ndp_option},
};
use proptest::prelude::*;

fn with_event<R>(record: Record, check: impl FnOnce(EventRef<'_>) -> R) -> R {
    let bytes = testing::events(0, 0, 0, &[record]);
    let message = nlmsg::messages(&bytes).next().unwrap().unwrap();
    let batch = Batch::decode(&message.generic().unwrap()).unwrap();
    check(batch.events().next().unwrap().unwrap())
}

fn both(v4: v4::Type, v6: v6::Type, rest: [u8; 4], data: &[u8]) -> [Record; 2] {
    [
        Record::of_ipv4(icmpv4(v4.0, 0, rest, data)),
        Record::of_ipv6(icmpv6(v6.0, 0, rest, data), 40),
    ]
}

fn bytes(len: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), len)
}

proptest! {
    #[test]
    fn echoes(id: u16, seq: u16, data in bytes(0..200)) {
        let rest = (u32::from(id) << 16 | u32::from(seq)).to_be_bytes();
        for record in both(v4::Type::ECHO_REQUEST, v6::Type::ECHO_REQUEST, rest, &data) {
            with_event(record, |event| {
                prop_assert_eq!(event.icmp().unwrap().body, Body::Echo(Echo { id, seq }));
                prop_assert_eq!(event.checksum(), Checksum::Good);
                Ok(())
            })?;
        }
    }

    #[test]
    fn quotes(
        addresses: [u128; 2],
        ports: [u16; 2],
        tcp_seq: u32,
        mtu: u32,
        protocol in prop::sample::select(vec![6u8, 17, 33, 132, 136]),
        more in bytes(0..40),
    ) {
        let transport = [
            &ports[0].to_be_bytes()[..],
            &ports[1].to_be_bytes(),
            &tcp_seq.to_be_bytes(),
            &more,
        ].concat();
        let expected = Transport::Ports {
            src: ports[0],
            dst: ports[1],
            tcp_seq: (protocol == 6).then_some(tcp_seq),
        };
        let [src, dst] = addresses.map(Ipv6Addr::from);
        let quoted = ipv6(src, dst, protocol, &transport);
        let packet = icmpv6(2, 0, mtu.to_be_bytes(), &quoted);
        with_event(Record::of_ipv6(packet, 40), |event| {
            let icmp = event.icmp().unwrap();
            let quote = icmp.quote.unwrap();
            prop_assert_eq!(icmp.mtu(), Some(Mtu(mtu)));
            prop_assert_eq!((quote.src, quote.dst), (src.into(), dst.into()));
            prop_assert_eq!(quote.len, Some(quoted.len() as u32));
            prop_assert_eq!((quote.protocol, quote.transport), (protocol, expected));
            Ok(())
        })?;

        let [src, dst] = addresses.map(|address| Ipv4Addr::from(address as u32));
        let quoted = ipv4(src.octets(), dst.octets(), protocol, &transport);
        with_event(Record::of_ipv4(icmpv4(11, 0, [0; 4], &quoted)), |event| {
            let quote = event.icmp().unwrap().quote.unwrap();
            prop_assert_eq!((quote.src, quote.dst), (src.into(), dst.into()));
            prop_assert_eq!(quote.len, Some(quoted.len() as u32));
            prop_assert_eq!((quote.protocol, quote.transport), (protocol, expected));
            Ok(())
        })?;
    }

    #[test]
    fn extension_objects(
        objects in prop::collection::vec((4u8.., any::<u8>(), bytes(0..30)), 0..6),
        labels in prop::collection::vec(any::<u32>(), 1..6),
        name in "[a-z]{1,15}",
    ) {
        let stack: Vec<u8> = labels.iter().flat_map(|word| word.to_be_bytes()).collect();
        let mut all: Vec<(u8, u8, &[u8])> = vec![(1, 1, &stack), (3, 1, name.as_bytes())];
        all.extend(objects.iter().map(|(class, ctype, data)| (*class, *ctype, &data[..])));
        let data = extended(&[], &all);
        let [one, _] = both(v4::Type::TIME_EXCEEDED, v6::Type::TIME_EXCEEDED, [0, 32, 0, 0], &data);
        let [_, two] = both(v4::Type::TIME_EXCEEDED, v6::Type::TIME_EXCEEDED, [16, 0, 0, 0], &data);
        for record in [one, two] {
            with_event(record, |event| {
                let extensions = event.icmp().unwrap().extensions.unwrap();
                prop_assert_eq!(extensions.checksum, Checksum::Good);
                let found: Vec<_> = extensions.objects().collect();
                prop_assert_eq!(found.len(), all.len());
                let ObjectBody::Mpls(stack) = found[0].body else { panic!() };
                let words = stack.iter().map(|label| {
                    label.label << 12
                        | u32::from(label.traffic_class) << 9
                        | u32::from(label.is_bottom) << 8
                        | u32::from(label.ttl)
                });
                prop_assert_eq!(words.collect::<Vec<_>>(), labels.clone());
                let ObjectBody::InterfaceId(InterfaceId::Name(found_name)) = found[1].body else {
                    panic!()
                };
                prop_assert_eq!(found_name.to_string(), name.clone());
                for (found, object) in found.iter().zip(&all).skip(2) {
                    prop_assert_eq!((found.class.0, found.ctype), (object.0, object.1));
                    prop_assert_eq!(found.body, ObjectBody::Data(object.2));
                }
                Ok(())
            })?;
        }
    }

    /// Whatever the length says: with a right checksum, or with none and a
    /// structure that fits, they are found at byte 128.
    #[test]
    fn extensions_of_old_routers(
        length in prop_oneof![0u8..16, 128u8..],
        objects in prop::collection::vec((4u8.., any::<u8>(), 0usize..8), 1..6),
        unsummed: bool,
    ) {
        let payload = [0x55; 32];
        let all: Vec<(u8, u8, &[u8])> = objects
            .iter()
            .map(|(class, ctype, words)| (*class, *ctype, &payload[..words * 4]))
            .collect();
        let mut data = extended(&ipv4([10, 0, 0, 1], [10, 0, 0, 2], 99, &[]), &all);
        if unsummed {
            data[130..132].fill(0);
        }
        // Once in 65,536 times a right checksum is 0, which says that there is none.
        let is_summed = data[130..132] != [0; 2];
        for record in both(
            v4::Type::TIME_EXCEEDED,
            v6::Type::TIME_EXCEEDED,
            // Each family has a byte of its own.
            [length, length, 0, 0],
            &data,
        ) {
            with_event(record, |event| {
                let icmp = event.icmp().unwrap();
                let extensions = icmp.extensions.unwrap();
                let expected = if is_summed { Checksum::Good } else { Checksum::Unknown };
                prop_assert_eq!(extensions.checksum, expected);
                let found: Vec<_> = extensions
                    .objects()
                    .map(|object| (object.class.0, object.ctype, object.body))
                    .collect();
                let expected: Vec<_> = all
                    .iter()
                    .map(|(class, ctype, data)| (*class, *ctype, ObjectBody::Data(data)))
                    .collect();
                prop_assert_eq!(found, expected);
                prop_assert!(icmp.trailing().is_empty());
                Ok(())
            })?;
        }
    }

    #[test]
    fn rpl_options(options in prop::collection::vec((2u8.., bytes(0..20)), 0..6), padding in 0usize..3) {
        let mut data = Vec::new();
        for (kind, payload) in &options {
            data.extend(vec![0; padding]);
            data.extend([1, padding as u8]);
            data.extend(vec![0; padding]);
            data.extend([*kind, payload.len() as u8]);
            data.extend(payload);
        }
        let record = Record::of_ipv6(icmpv6(155, 2, [30, 0, 0, 9], &data), 40);
        with_event(record, |event| {
            let Body::Rpl(Control::Advertisement(message)) = event.icmp().unwrap().body else {
                panic!()
            };
            prop_assert_eq!((message.instance, message.sequence, message.dodag), (30, 9, None));
            let found: Vec<_> = message
                .options
                .iter()
                .map(|option| (option.kind.0, option.data.to_vec(), option.is_malformed))
                .collect();
            let expected: Vec<_> =
                options.iter().map(|(kind, data)| (*kind, data.clone(), false)).collect();
            prop_assert_eq!(found, expected);
            Ok(())
        })?;
    }

    #[test]
    fn ndp_options(
        unknown in prop::collection::vec((150u8.., 0usize..4), 0..6),
        servers in prop::collection::vec(any::<u128>(), 1..6),
        lifetime: u32,
        domains in prop::collection::vec("[a-z]{1,63}(\\.[a-z]{1,20}){0,3}", 1..5),
    ) {
        let head = [&[0; 2][..], &lifetime.to_be_bytes()].concat();
        let listed: Vec<u8> = servers.iter().flat_map(|server| server.to_be_bytes()).collect();
        let mut names = Vec::new();
        for domain in &domains {
            for label in domain.split('.') {
                names.push(label.len() as u8);
                names.extend(label.bytes());
            }
            names.push(0);
        }
        let mut data = vec![0; 16];
        data.extend(ndp_option(25, &[&head[..], &listed].concat()));
        data.extend(ndp_option(31, &[&head[..], &names].concat()));
        for (kind, units) in &unknown {
            data.extend(ndp_option(*kind, &vec![*kind; units * 8 + 6]));
        }
        let record = Record::of_ipv6(icmpv6(135, 0, [0; 4], &data), 40);
        with_event(record, |event| {
            let options: Vec<_> = event.icmp().unwrap().options().unwrap().iter().collect();
            prop_assert_eq!(options.len(), 2 + unknown.len());
            let OptionBody::Rdnss(rdnss) = options[0].body else { panic!() };
            prop_assert_eq!(rdnss.lifetime, lifetime);
            prop_assert_eq!(rdnss.servers().map(u128::from).collect::<Vec<_>>(), servers.clone());
            let OptionBody::Dnssl(dnssl) = options[1].body else { panic!() };
            let found: Vec<_> = dnssl.domains().map(|domain| domain.to_string()).collect();
            prop_assert_eq!(found, domains.clone());
            for (option, (kind, units)) in options.iter().skip(2).zip(&unknown) {
                prop_assert_eq!(option.kind.0, *kind);
                let data = vec![*kind; units * 8 + 6];
                prop_assert_eq!(option.body, OptionBody::Data(&data));
            }
            Ok(())
        })?;
    }

    #[test]
    fn multicast_records(
        records in prop::collection::vec(
            (any::<u8>(), any::<u128>(), prop::collection::vec(any::<u128>(), 0..5), 0u8..3),
            0..6,
        ),
    ) {
        let mut data = Vec::new();
        for (kind, group, sources, aux) in &records {
            data.extend([*kind, *aux, 0, sources.len() as u8]);
            data.extend(group.to_be_bytes());
            data.extend(sources.iter().flat_map(|source| source.to_be_bytes()));
            data.extend(vec![0xff; usize::from(*aux) * 4]);
        }
        let rest = [0, 0, 0, records.len() as u8];
        with_event(Record::of_ipv6(icmpv6(143, 0, rest, &data), 40), |event| {
            let Body::MulticastReport(report) = event.icmp().unwrap().body else { panic!() };
            let found: Vec<_> = report
                .records()
                .map(|record| {
                    let sources: Vec<_> = record.sources().map(u128::from).collect();
                    (record.kind.0, u128::from(record.group), sources)
                })
                .collect();
            let expected: Vec<_> = records
                .iter()
                .map(|(kind, group, sources, _)| (*kind, *group, sources.clone()))
                .collect();
            prop_assert_eq!(found, expected);
            Ok(())
        })?;
    }
}
