//! Framing, against an independent implementation and against random values.

use icmptap_proto::{
    BatchSize, Families, FamilyId, FlushInterval, Hooks, Snaplen,
    event::Batch,
    nlmsg,
    reply::{Parameters, Status},
    request::{self, Wishes},
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
    let mut wishes = Wishes::default();
    wishes.hooks = Some(Hooks(0x1f));
    wishes.snaplen = Some(Snaplen(96));
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
    assert_eq!(oracle(&request::subscribe(FAMILY, 77, &wishes)), expected);
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
            prop_assert_eq!(event.seq(), seq.wrapping_add(i as u64));
            prop_assert_eq!(event.time_ns(), record.time_ns);
            prop_assert_eq!(Some(event.original_len()), record.origlen);
            prop_assert_eq!((event.netns().0, event.mark()), (record.netns, record.mark));
            prop_assert_eq!(event.iif().map_or(0, |i| i.0), record.iif);
            prop_assert_eq!(event.oif().map_or(0, |i| i.0), record.oif);
            prop_assert_eq!(event.hook().number(), record.hook);
            prop_assert_eq!(event.packet(), &record.packet[..]);
            let known = (record.flags & 4 == 0).then_some((record.icmp_type, record.icmp_code));
            prop_assert_eq!(event.icmp_type_and_code(), known);
        }
        // The cursor, which borrows nothing, finds the same.
        let mut cursor = batch.cursor();
        let mut found = 0;
        while let Some(step) = cursor.next_in(&bytes) {
            let (_, packet) = step.unwrap();
            prop_assert_eq!(&bytes[packet], &records[found].packet[..]);
            found += 1;
        }
        prop_assert_eq!(found, records.len());
    }

    #[test]
    fn parameters_come_out_as_they_went_in(family: u16, seq: u32, n: [u32; 5]) {
        let mut wishes = Wishes::default();
        wishes.hooks = Some(Hooks(n[0]));
        wishes.families = Some(Families(n[1]));
        wishes.snaplen = Some(Snaplen(n[2]));
        wishes.batch = Some(BatchSize(n[3]));
        wishes.flush_interval = Some(FlushInterval { us: n[4] });
        let bytes = request::subscribe(FamilyId(family), seq, &wishes);
        prop_assert_eq!(oracle(&bytes), ours(&bytes));
        let generic = nlmsg::messages(&bytes).next().unwrap().unwrap().generic().unwrap();
        let parameters = Parameters::decode(&generic).unwrap();
        prop_assert_eq!(parameters.hooks, Hooks(n[0]));
        prop_assert_eq!(parameters.families, Families(n[1]));
        prop_assert_eq!(parameters.snaplen, Snaplen(n[2]));
        prop_assert_eq!(parameters.batch, BatchSize(n[3]));
        prop_assert_eq!(parameters.flush_interval, FlushInterval { us: n[4] });
    }
}
