//! Framing, against an independent implementation and against random values.

use icmptap_proto::{
    BatchSize, Cpu, Families, FamilyId, FlushInterval, Hooks, IfIndex, Instruction, Netns, Pid,
    PortId, Program, Protocol, RateLimit, Sampling, Snaplen, SubscriptionId, TypeSet, Verdict,
    event::Batch,
    nlmsg,
    reply::{Age, Counters, CpuStats, Done, Info, Parameters, Stats, Status, SubscriptionInfo},
    request::{self, SubscribeOption, SubscribeOptions},
    testing::{self, FAMILY, Record},
};
use netlink_packet_core::{
    NetlinkMessage, NetlinkPayload, NlaBuffer, NlasIterator, ParseableParametrized,
};
use netlink_packet_generic::{
    GenlHeader, GenlMessage,
    ctrl::{GenlCtrl, GenlCtrlCmd, nlas::GenlCtrlAttrs},
};
use proptest::prelude::*;

/// A payload the oracle leaves alone.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Raw(Vec<u8>);

impl ParseableParametrized<[u8], GenlHeader> for Raw {
    fn parse_with_param(
        bytes: &[u8],
        _: GenlHeader,
    ) -> Result<Self, netlink_packet_core::DecodeError> {
        Ok(Self(bytes.to_vec()))
    }
}

/// kind, flags, seq, command, version, attributes: as the oracle reads them.
type Seen = (u16, u16, u32, u8, u8, Vec<(u16, Vec<u8>)>);

fn oracle(bytes: &[u8]) -> Seen {
    let message =
        NetlinkMessage::<GenlMessage<Raw>>::deserialize(bytes).expect("the oracle reads it");
    let header = message.header;
    assert_eq!(header.length as usize, bytes.len());
    let NetlinkPayload::InnerMessage(inner) = message.payload else {
        panic!("no inner message")
    };
    let attributes = NlasIterator::new(&inner.payload.0[..])
        .map(|nla: Result<NlaBuffer<&[u8]>, _>| nla.expect("an attribute"))
        .map(|nla| (nla.kind(), nla.value().to_vec()))
        .collect();
    (
        header.message_type,
        header.flags,
        header.sequence_number,
        inner.header.cmd,
        inner.header.version,
        attributes,
    )
}

fn ours(bytes: &[u8]) -> Seen {
    let message = nlmsg::messages(bytes).next().unwrap().unwrap();
    let generic = message.generic().unwrap();
    let attributes = nlmsg::attributes(generic.body, generic.at)
        .map(|attr| attr.map(|attr| (attr.kind, attr.payload.to_vec())).unwrap())
        .collect();
    (
        message.kind,
        message.flags,
        message.seq,
        generic.command,
        generic.version,
        attributes,
    )
}

#[test]
fn the_oracle_reads_our_requests() {
    let mut options = SubscribeOptions::default();
    options.hooks = Some(Hooks::ALL);
    options.snaplen = Some(Snaplen(96));
    let expected = (
        FAMILY.0,
        1,
        77,
        2,
        1,
        vec![
            (1, 0x1fu32.to_ne_bytes().to_vec()),
            (3, 96u32.to_ne_bytes().to_vec()),
        ],
    );
    assert_eq!(oracle(&request::subscribe(FAMILY, 77, &options)), expected);
    assert_eq!(
        oracle(&request::get_info(FAMILY, 5)),
        (FAMILY.0, 1, 5, 1, 1, vec![])
    );
    assert_eq!(
        oracle(&request::unsubscribe(FAMILY, 5)),
        (FAMILY.0, 1, 5, 3, 1, vec![])
    );
    assert_eq!(
        oracle(&request::flush(FAMILY, 5)),
        (FAMILY.0, 5, 5, 4, 1, vec![])
    );
    // NLM_F_REQUEST and, of a dump, NLM_F_DUMP.
    let (single, dump) = (1, 0x301);
    assert_eq!(
        oracle(&request::get_stats(FAMILY, 5)),
        (FAMILY.0, single, 5, 7, 1, vec![])
    );
    assert_eq!(
        oracle(&request::get_stats_per_cpu(FAMILY, 5)),
        (FAMILY.0, dump, 5, 7, 1, vec![])
    );
    assert_eq!(
        oracle(&request::get_subscriptions(FAMILY, 5, false)),
        (FAMILY.0, dump, 5, 6, 1, vec![])
    );
    assert_eq!(
        oracle(&request::get_subscriptions(FAMILY, 5, true)),
        (FAMILY.0, dump, 5, 6, 1, vec![(15, vec![])])
    );
}

/// A wish for everything of schema version 2.
fn newer_options() -> SubscribeOptions {
    let mut options = SubscribeOptions::default();
    options.icmp_types = Some([0, 8].into_iter().collect());
    options.icmpv6_types = Some(TypeSet::ALL);
    options.interface = Some(IfIndex(3));
    // tcpdump -ddd -y RAW icmp
    let program = [(0x30, 0, 0, 0), (0x54, 0, 0, 0xf0), (6, 1, 2, 0x1_0203)];
    let program = program.map(|(code, jt, jf, k)| Instruction { code, jt, jf, k });
    options.filter = Some(Program::try_from(program.to_vec()).unwrap());
    options.sampling = Some(Sampling { one_in: 10 });
    options.rate_limit = Some(RateLimit { per_second: 1000 });
    options.verdict = Some(Verdict::Drop);
    options.all_netns = true;
    options
}

#[test]
fn the_oracle_reads_every_option() {
    let number = |value: u32| value.to_ne_bytes().to_vec();
    let mut types = vec![0; 32];
    (types[0], types[1]) = (1, 1);
    let mut program = Vec::new();
    for (code, jt, jf, k) in [
        (0x30u16, 0, 0, 0u32),
        (0x54, 0, 0, 0xf0),
        (6, 1, 2, 0x1_0203),
    ] {
        program.extend(code.to_ne_bytes());
        program.extend([jt, jf]);
        program.extend(k.to_ne_bytes());
    }
    let (.., attributes) = oracle(&request::subscribe(FAMILY, 1, &newer_options()));
    let expected = [
        (7, types),
        (8, vec![0xff; 32]),
        (9, number(3)),
        (10, program),
        (12, number(10)),
        (13, number(1000)),
        (14, number(1)),
        (15, vec![]),
    ];
    assert_eq!(attributes, expected);
}

#[test]
fn the_longest_filter_fits_into_its_attribute() {
    let instruction = Instruction {
        code: 6,
        jt: 0,
        jf: 0,
        k: 7,
    };
    let mut options = SubscribeOptions::default();
    options.filter = Some(vec![instruction; Program::MAX].try_into().unwrap());
    options.verdict = Some(Verdict::Drop);
    let bytes = request::subscribe(FAMILY, 1, &options);
    assert_eq!(oracle(&bytes), ours(&bytes));
    let (.., attributes) = ours(&bytes);
    assert_eq!(attributes[0].1.len(), 4096 * 8);
    assert_eq!(attributes[1], (14, 1u32.to_ne_bytes().to_vec()));
}

#[test]
fn every_option_is_known_by_its_attribute() {
    let bytes = request::subscribe(FAMILY, 1, &newer_options());
    let generic = first(&bytes);
    let options: Vec<_> = nlmsg::attributes(generic.body, generic.at)
        // The kernel points at the attribute's header.
        .map(|attr| request::option_at(&bytes, attr.unwrap().at as u32 - 4).unwrap())
        .collect();
    let expected = [
        SubscribeOption::IcmpTypes,
        SubscribeOption::Icmpv6Types,
        SubscribeOption::Interface,
        SubscribeOption::Filter,
        SubscribeOption::Sampling,
        SubscribeOption::RateLimit,
        SubscribeOption::Verdict,
        SubscribeOption::AllNetns,
    ];
    assert_eq!(options, expected);
    assert_eq!(request::option_at(&bytes, 21), None);
    assert_eq!(request::option_at(&bytes, 70_000), None);
}

#[test]
fn what_an_older_module_does_not_know_is_named() {
    let mut options = SubscribeOptions::default();
    options.snaplen = Some(Snaplen(1));
    assert_eq!(options.unknown_to(1), None);
    options.all_netns = true;
    assert_eq!(options.unknown_to(1), Some(SubscribeOption::AllNetns));
    assert_eq!(options.unknown_to(2), None);
    let newer = newer_options().unknown_to(1);
    assert_eq!(newer, Some(SubscribeOption::IcmpTypes));
    assert_eq!(SubscribeOption::IcmpTypes.since(), 2);
}

fn first(bytes: &[u8]) -> nlmsg::Generic<'_> {
    let message = nlmsg::messages(bytes).next().unwrap().unwrap();
    message.generic().unwrap()
}

fn some_counters() -> Counters {
    let mut counters = Counters::default();
    counters.matched = 21;
    counters.delivered = 6;
    counters.lost_overrun = 1;
    counters.lost_nomem = 2;
    counters.lost_ratelimit = 4;
    counters.queued = 8;
    counters.sampled_out = 100;
    counters
}

#[test]
fn what_an_older_module_does_not_tell_is_what_it_does() {
    let bytes = testing::subscribed(1);
    let parameters = Parameters::decode(&first(&bytes)).unwrap();
    assert_eq!(parameters.icmp_types, TypeSet::ALL);
    assert_eq!(parameters.icmpv6_types, TypeSet::ALL);
    assert_eq!((parameters.interface, parameters.filter_len), (None, 0));
    assert_eq!(parameters.sampling, Sampling::ALL);
    assert_eq!(parameters.rate_limit, RateLimit::NONE);
    assert_eq!(parameters.verdict, Verdict::Accept);
    assert!(!parameters.all_netns);
    let bytes = testing::unsubscribed(1, [1, 2, 3, 4, 5]);
    let counters = Counters::decode(&first(&bytes)).unwrap();
    assert_eq!((counters.lost_ratelimit, counters.sampled_out), (0, 0));
    assert_eq!(counters.lost(), 7);
    let max = Some(15 << 20);
    for (schema, filter_max, max_bytes, age) in [
        (1, 0, None, Age::Older),
        (2, 4096, None, Age::Older),
        (3, 4096, max, Age::Same),
        (4, 4096, max, Age::Newer),
    ] {
        let bytes = testing::info_of_schema(1, icmptap_proto::BootId([0; 16]), schema);
        let info = Info::decode(&first(&bytes)).unwrap();
        assert_eq!((info.filter_max, info.age()), (filter_max, age));
        assert_eq!(info.max_bytes, max_bytes);
    }
}

#[test]
fn what_an_older_module_does_not_tell_is_not_known() {
    let counters = some_counters();
    for (schema, id, bytes, taps_missing) in [
        (2, None, None, 0),
        (3, Some(SubscriptionId(7)), Some(33_000), 3),
    ] {
        let message = testing::subscription_of_schema(1, &counters, schema);
        let subscription = SubscriptionInfo::decode(&first(&message)).unwrap();
        assert_eq!((subscription.id, subscription.bytes), (id, bytes));
        assert_eq!(subscription.taps_missing, taps_missing);
        let message = testing::stats_of_schema(1, &counters, schema);
        let stats = Stats::decode(&first(&message)).unwrap();
        assert_eq!(stats.bytes, bytes.map(|bytes| 2 * bytes));
        assert_eq!(stats.bytes_total, bytes.map(|bytes| 3 * bytes));
        assert_eq!(stats.counters, counters);
    }
}

#[test]
fn counters_come_out_as_they_went_in() {
    let counters = some_counters();
    assert_eq!(counters.lost(), 7);
    let bytes = testing::counted(1, &counters);
    assert_eq!(Counters::decode(&first(&bytes)), Ok(counters));
    let bytes = testing::stats(1, &counters);
    let stats = Stats::decode(&first(&bytes)).unwrap();
    assert_eq!(
        (stats.subscriptions, stats.netns),
        (2, Netns(4_026_531_840))
    );
    assert_eq!(stats.counters, counters);
    let error = CpuStats::decode(&first(&bytes)).unwrap_err().to_string();
    assert_eq!(error, "byte 20: a reply without a CPU");
    let bytes = testing::cpu_stats(1, 3, &counters);
    let stats = CpuStats::decode(&first(&bytes)).unwrap();
    assert_eq!((stats.cpu, stats.counters), (Cpu(3), counters));
    let bytes = testing::subscription(1, &counters);
    let subscription = SubscriptionInfo::decode(&first(&bytes)).unwrap();
    assert_eq!(subscription.counters, counters);
    assert_eq!(subscription.parameters.snaplen, Snaplen(576));
    assert_eq!(
        (subscription.port, subscription.pid),
        (PortId(4200), Some(Pid(42)))
    );
    assert_eq!(subscription.protocol, Protocol::Generic);
    assert_eq!(subscription.command, "icmptap");
}

#[test]
fn a_dump_ends_well_or_not() {
    let done = |bytes: &[u8]| {
        let message = nlmsg::messages(bytes).next().unwrap().unwrap();
        assert_eq!(message.kind, nlmsg::DONE);
        (Done::decode(&message).unwrap(), message.is_interrupted())
    };
    assert_eq!(done(&testing::done(1, 0, false)), (Done::Complete, false));
    assert_eq!(done(&testing::done(1, 0, true)), (Done::Complete, true));
    let (Done::Failed(refusal), false) = done(&testing::done(1, 12, false)) else {
        panic!("it failed")
    };
    assert_eq!(refusal.errno, 12);
    // As the kernel writes it: behind the errno, without the request.
    let mut bytes = testing::done(1, 1, false);
    bytes.extend([12, 0, 1, 0]);
    bytes.extend(b"because\0");
    bytes[0] = bytes.len() as u8;
    bytes[7] |= 2;
    let (Done::Failed(refusal), _) = done(&bytes) else {
        panic!("it failed")
    };
    assert_eq!(refusal.message.as_deref(), Some("because"));
}

#[test]
fn the_oracle_understands_our_question_for_the_family() {
    let bytes = request::get_family(6);
    let message = NetlinkMessage::<GenlMessage<GenlCtrl>>::deserialize(&bytes).unwrap();
    let NetlinkPayload::InnerMessage(inner) = message.payload else {
        panic!()
    };
    assert_eq!(inner.payload.cmd, GenlCtrlCmd::GetFamily);
    assert_eq!(
        inner.payload.nlas,
        [GenlCtrlAttrs::FamilyName("icmptap".to_owned())]
    );
}

#[test]
fn both_read_the_same_in_replies() {
    for bytes in [
        testing::info(1, icmptap_proto::BootId([3; 16])),
        testing::subscribed(2),
        testing::family(4),
        testing::unsubscribed(3, [1, 2, 3, 4, 5]),
        testing::counted(5, &some_counters()),
        testing::subscription(6, &some_counters()),
        testing::stats(7, &some_counters()),
        testing::cpu_stats(8, 1, &some_counters()),
    ] {
        assert_eq!(ours(&bytes), oracle(&bytes));
    }
}

#[test]
fn both_read_the_same_errno() {
    let bytes = testing::status(9, 1);
    let message = NetlinkMessage::<GenlMessage<Raw>>::deserialize(&bytes).unwrap();
    let NetlinkPayload::Error(error) = message.payload else {
        panic!("not an error")
    };
    assert_eq!(error.raw_code(), -1);
    let message = nlmsg::messages(&bytes).next().unwrap().unwrap();
    let Status::Refused(refusal) = Status::decode(&message).unwrap() else {
        panic!()
    };
    assert_eq!(refusal.errno, 1);
}

#[test]
fn messages_lie_on_four_byte_boundaries() {
    let mut datagram = testing::status(1, 0);
    let padded = {
        let mut odd = testing::refusal(2, 1, Some(("odd", 1)));
        let len = odd.len() as u32 - 3;
        odd[..4].copy_from_slice(&len.to_ne_bytes());
        odd
    };
    datagram.extend(&padded);
    datagram.extend(testing::status(3, 0));
    let seqs: Vec<u32> = nlmsg::messages(&datagram)
        .map(|message| message.unwrap().seq)
        .collect();
    assert_eq!(seqs, [1, 2, 3]);
}

fn any_record() -> impl Strategy<Value = Record> {
    let numbers = (
        any::<[u32; 5]>(),
        any::<[u16; 3]>(),
        any::<[u8; 4]>(),
        any::<u64>(),
    );
    let packet = prop::collection::vec(any::<u8>(), 0..200);
    (numbers, packet, 0u16..4).prop_map(|((words, halves, bytes, time_ns), packet, longer)| {
        Record {
            flags: halves[0],
            time_ns,
            origlen: Some(words[0]),
            netns: words[1],
            iif: words[2],
            oif: words[3],
            mark: words[4],
            vlan_tci: halves[1],
            icmp_offset: halves[2] % 300,
            family: bytes[0],
            hook: bytes[1],
            icmp_type: bytes[2],
            icmp_code: bytes[3],
            packet,
            longer_by: longer * 8,
        }
    })
}

proptest! {
    #[test]
    fn events_come_out_as_they_went_in(
        cpu: u32, seq: u64, lost: u64,
        records in prop::collection::vec(any_record(), 0..5),
    ) {
        let bytes = testing::events(cpu, seq, lost, &records);
        let generic = nlmsg::messages(&bytes).next().unwrap().unwrap().generic().unwrap();
        let batch = Batch::decode(&generic).unwrap();
        prop_assert_eq!((batch.cpu.0, batch.seq, batch.lost), (cpu, seq, lost));
        let events: Vec<_> = batch.events().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(events.len(), records.len());
        for (i, (event, record)) in events.iter().zip(&records).enumerate() {
            let tapped = record.hook != u8::MAX;
            prop_assert_eq!(event.is_tapped(), tapped);
            prop_assert_eq!(event.seq(), tapped.then_some(seq.wrapping_add(i as u64)));
            prop_assert_eq!(event.time_ns(), record.time_ns);
            prop_assert_eq!(Some(event.original_len()), record.origlen);
            prop_assert_eq!((event.netns().map(|netns| netns.0), event.mark()),
                (tapped.then_some(record.netns), tapped.then_some(record.mark)));
            prop_assert_eq!(event.iif().map_or(0, |i| i.0), record.iif);
            prop_assert_eq!(event.oif().map_or(0, |i| i.0), record.oif);
            prop_assert_eq!(event.hook().map(|hook| hook.number()), tapped.then_some(record.hook));
            prop_assert_eq!(event.packet(), &record.packet[..]);
            let known = (record.flags & 4 == 0).then_some((record.icmp_type, record.icmp_code));
            prop_assert_eq!(event.icmp_type_and_code(), known);
        }
        // The cursor, which borrows nothing, finds the same.
        let mut cursor = batch.cursor();
        let mut found = 0;
        while let Some(step) = cursor.next_in(&bytes) {
            prop_assert_eq!(step.unwrap().event(&bytes), events[found]);
            found += 1;
        }
        prop_assert_eq!(found, records.len());
        // And from wherever one of them is, the other goes on.
        let mut cursor = batch.cursor();
        for left in (0..events.len()).rev() {
            prop_assert_eq!(cursor.left() as usize, left + 1);
            let mut rest = cursor.events_in(&bytes);
            prop_assert!(rest.clone().map(Result::unwrap).eq(events[events.len() - left - 1..].iter().copied()));
            rest.next_whole();
            cursor = rest.cursor();
        }
        prop_assert_eq!(cursor.left(), 0);
        prop_assert!(cursor.next_in(&bytes).is_none());
    }

    #[test]
    fn parameters_come_out_as_they_went_in(
        // Below NLMSG_MIN_TYPE are netlink's own kinds of message.
        family in 0x10..=u16::MAX,
        seq: u32,
        n: [u32; 9],
        types: [Vec<u8>; 2],
        all_netns: bool,
    ) {
        let mut options = SubscribeOptions::default();
        options.hooks = Some(Hooks::from_bits(n[0]));
        options.families = Some(Families::from_bits(n[1]));
        options.snaplen = Some(Snaplen(n[2]));
        options.batch = Some(BatchSize(n[3]));
        options.flush_interval = Some(FlushInterval { us: n[4] });
        let types = types.map(|types| types.into_iter().collect::<TypeSet>());
        options.icmp_types = Some(types[0]);
        options.icmpv6_types = Some(types[1]);
        options.interface = Some(IfIndex(n[5]));
        options.sampling = Some(Sampling { one_in: n[6] });
        options.rate_limit = Some(RateLimit { per_second: n[7] });
        options.verdict = Some(Verdict::from_number(n[8]));
        options.all_netns = all_netns;
        let bytes = request::subscribe(FamilyId(family), seq, &options);
        prop_assert_eq!(oracle(&bytes), ours(&bytes));
        let generic = nlmsg::messages(&bytes).next().unwrap().unwrap().generic().unwrap();
        let parameters = Parameters::decode(&generic).unwrap();
        prop_assert_eq!(parameters.hooks, Hooks::from_bits(n[0]));
        prop_assert_eq!(parameters.families, Families::from_bits(n[1]));
        prop_assert_eq!(parameters.snaplen, Snaplen(n[2]));
        prop_assert_eq!(parameters.batch, BatchSize(n[3]));
        prop_assert_eq!(parameters.flush_interval, FlushInterval { us: n[4] });
        prop_assert_eq!(parameters.icmp_types, types[0]);
        prop_assert_eq!(parameters.icmpv6_types, types[1]);
        prop_assert_eq!(parameters.interface, (n[5] != 0).then_some(IfIndex(n[5])));
        prop_assert_eq!(parameters.sampling, Sampling { one_in: n[6] });
        prop_assert_eq!(parameters.rate_limit, RateLimit { per_second: n[7] });
        prop_assert_eq!(parameters.verdict.number(), n[8]);
        prop_assert_eq!(parameters.all_netns, all_netns);
    }
}
