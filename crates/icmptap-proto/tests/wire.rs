//! The format, byte by byte, against values: requests, replies, events, loss.

use std::net::{IpAddr, Ipv4Addr};

use icmptap_proto::{
    BatchSize, BootId, Cpu, DecodeError, Families, Family, FlushInterval, Hook, Hooks, IfIndex,
    Netns, Snaplen,
    event::{Batch, Checksum, ChecksumState, EventRef},
    imp2, nlmsg,
    nlmsg::{Generic, Message},
    reply::{Counters, Info, Parameters, Refusal, Status},
    request::{self, SubscribeOption, SubscribeOptions},
    sequence::{Lost, SequenceError, Tracker},
    testing::{self, FAMILY, Record},
};

fn only(datagram: &[u8]) -> Message<'_> {
    let mut messages = nlmsg::messages(datagram);
    let message = messages.next().expect("a message").expect("well formed");
    assert!(messages.next().is_none(), "one message only");
    message
}

fn generic(datagram: &[u8]) -> Generic<'_> {
    only(datagram).generic().expect("a generic netlink message")
}

fn batch(datagram: &[u8]) -> Batch<'_> {
    Batch::decode(&generic(datagram)).expect("a batch")
}

fn ping() -> Record {
    Record::of_ipv4(testing::icmpv4(8, 0, [0, 7, 0, 1], &[0xab; 56]))
}

fn with_event<R>(record: Record, check: impl FnOnce(EventRef<'_>) -> R) -> R {
    let bytes = testing::events(0, 0, 0, &[record]);
    check(batch(&bytes).events().next().unwrap().unwrap())
}

fn options() -> SubscribeOptions {
    let mut options = SubscribeOptions::default();
    options.hooks = Some(Hooks::from_iter([Hook::Input, Hook::Output]));
    options.families = Some(Families::from_iter(Family::ALL));
    options.snaplen = Some(Snaplen(128));
    options.batch = Some(BatchSize(4000));
    options.flush_interval = Some(FlushInterval { us: 500 });
    options
}

#[test]
fn a_subscribe_request_is_what_a_subscribe_reply_is() {
    let bytes = request::subscribe(FAMILY, 9, &options());
    let message = only(&bytes);
    assert_eq!((message.kind, message.flags, message.seq), (FAMILY.0, 1, 9));
    let parameters = Parameters::decode(&generic(&bytes)).unwrap();
    assert_eq!(parameters.hooks.to_string(), "input+output");
    assert_eq!(parameters.families.to_string(), "ipv4+ipv6");
    assert_eq!(parameters.snaplen, Snaplen(128));
    assert_eq!(parameters.batch, BatchSize(4000));
    assert_eq!(parameters.flush_interval, FlushInterval { us: 500 });
}

#[test]
fn what_is_not_wished_for_is_not_sent() {
    assert_eq!(
        request::subscribe(FAMILY, 9, &SubscribeOptions::default()).len(),
        20
    );
}

#[test]
fn an_offset_names_the_option() {
    let bytes = request::subscribe(FAMILY, 9, &options());
    assert_eq!(request::option_at(&bytes, 20), Some(SubscribeOption::Hooks));
    assert_eq!(
        request::option_at(&bytes, 36),
        Some(SubscribeOption::Snaplen)
    );
    assert_eq!(request::option_at(&bytes, 37), None);
    assert_eq!(request::option_at(&bytes, 4000), None);
}

#[test]
fn only_flush_asks_for_an_acknowledgement() {
    let flags = |bytes: &[u8]| only(bytes).flags;
    assert_eq!(flags(&request::flush(FAMILY, 1)), 5);
    assert_eq!(flags(&request::get_info(FAMILY, 1)), 1);
    assert_eq!(flags(&request::unsubscribe(FAMILY, 1)), 1);
    assert_eq!(flags(&request::get_family(1)), 1);
}

#[test]
fn info_is_decoded_and_news_are_skipped() {
    let bytes = testing::info(3, BootId([0xa5; 16]));
    let info = Info::decode(&generic(&bytes)).unwrap();
    assert_eq!(info.module_version, "0.1.0");
    assert_eq!(info.boot_id.to_string(), "a5".repeat(16));
    assert_eq!(
        (info.snaplen_max, info.batch_min),
        (Snaplen(65535), BatchSize(512))
    );
    assert_eq!(info.flush_max, FlushInterval { us: 1_000_000 });
}

#[test]
fn counters_are_decoded_out_of_their_nest() {
    let bytes = testing::unsubscribed(3, [10, 6, 3, 1, 0]);
    let counters = Counters::decode(&generic(&bytes)).unwrap();
    assert_eq!(
        (counters.matched, counters.delivered, counters.lost()),
        (10, 6, 4)
    );
    assert_eq!(
        (counters.lost_overrun, counters.lost_nomem, counters.queued),
        (3, 1, 0)
    );
}

#[test]
fn a_reply_without_something_says_what() {
    let bytes = testing::subscribed(3);
    let error = Counters::decode(&generic(&bytes)).unwrap_err();
    assert_eq!(
        error,
        DecodeError::Missing {
            what: "counters",
            at: 20
        }
    );
    assert_eq!(error.to_string(), "byte 20: a reply without counters");
}

#[test]
fn a_refusal_carries_the_kernels_words() {
    let bytes = testing::refusal(4, 34, Some(("snaplen is too large", 36)));
    let Status::Refused(Refusal {
        errno,
        message,
        offset,
        ..
    }) = Status::decode(&only(&bytes)).unwrap()
    else {
        panic!("not refused")
    };
    assert_eq!(
        (errno, message.as_deref(), offset),
        (34, Some("snaplen is too large"), Some(36))
    );
}

#[test]
fn a_refusal_that_brings_the_request_back_is_read_past_it() {
    // Without NLM_F_CAPPED, the whole request follows the errno.
    let request = request::subscribe(FAMILY, 4, &options());
    let capped = testing::refusal(4, 34, Some(("no", 20)));
    let mut bytes = capped[..20].to_vec();
    bytes.extend(&request);
    bytes.extend(&capped[16 + 20..]);
    let len = (bytes.len() as u32).to_ne_bytes();
    bytes[..4].copy_from_slice(&len);
    bytes[6..8].copy_from_slice(&0x200u16.to_ne_bytes());
    let Status::Refused(refusal) = Status::decode(&only(&bytes)).unwrap() else {
        panic!()
    };
    assert_eq!(
        (refusal.message.as_deref(), refusal.offset),
        (Some("no"), Some(20))
    );
}

#[test]
fn an_acknowledgement_is_not_a_refusal() {
    assert_eq!(
        Status::decode(&only(&testing::status(4, 0))).unwrap(),
        Status::Ack
    );
}

#[test]
fn every_field_of_an_event_arrives() {
    let record = Record {
        mark: 77,
        oif: 3,
        vlan_tci: 0x6007,
        flags: 0x30,
        netns: 42,
        ..ping()
    };
    with_event(record, |event| {
        assert_eq!(event.time_ns(), 43_201_123_456_789);
        assert_eq!(
            (event.cpu(), event.seq(), event.netns()),
            (Some(Cpu(0)), Some(0), Some(Netns(42)))
        );
        assert_eq!(
            (event.iif(), event.oif()),
            (Some(IfIndex(2)), Some(IfIndex(3)))
        );
        assert_eq!(
            (event.mark(), event.family(), event.hook()),
            (Some(77), Family::Ipv4, Some(Hook::Prerouting))
        );
        let vlan = event.vlan().unwrap();
        assert_eq!((vlan.id(), vlan.priority(), vlan.provider), (7, 3, true));
        assert_eq!((event.original_len(), event.packet().len()), (84, 84));
        assert_eq!(event.icmp_type_and_code(), Some((8, 0)));
        assert_eq!(event.src(), Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1))));
        assert_eq!(event.dst(), Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2))));
        assert!(!event.is_fragment() && !event.is_truncated() && !event.is_malformed());
        assert_eq!(event.to_owned().as_ref(), event);
    });
    with_event(Record { iif: 0, ..ping() }, |event| {
        assert_eq!((event.iif(), event.oif(), event.vlan()), (None, None, None));
    });
}

#[test]
fn events_of_a_batch_are_numbered_in_order() {
    let bytes = testing::events(3, 100, 5, &[ping(), ping(), ping()]);
    let batch = batch(&bytes);
    assert_eq!(
        (batch.cpu, batch.seq, batch.count, batch.lost),
        (Cpu(3), 100, 3, 5)
    );
    let numbers: Vec<u64> = batch
        .events()
        .map(|event| event.unwrap().seq().unwrap())
        .collect();
    assert_eq!(numbers, [100, 101, 102]);
}

#[test]
fn headers_from_the_future_are_longer() {
    let record = Record {
        longer_by: 16,
        ..ping()
    };
    let bytes = testing::events_longer(12, 3, 100, 5, &[record.clone(), record]);
    let events: Vec<_> = batch(&bytes).events().map(Result::unwrap).collect();
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|event| event.packet() == ping().packet));
}

/// Offsets in a datagram with one batch: nlmsghdr 0, genlmsghdr 16, batch 20,
/// record 48.
#[test]
fn a_damaged_batch_says_what_is_wrong_and_where() {
    let good = testing::events(0, 1, 0, &[ping()]);
    let damaged = |at: usize, bytes: &[u8]| {
        let mut datagram = good.clone();
        datagram[at..at + bytes.len()].copy_from_slice(bytes);
        match Batch::decode(&generic(&datagram)) {
            Err(error) => error.to_string(),
            Ok(batch) => {
                let error = batch.events().find_map(Result::err).expect("an error");
                // The cursor stops at the same place, and says the same when asked.
                let mut cursor = batch.cursor();
                while cursor.next_whole_in(&datagram).is_some() {}
                assert_eq!(cursor.next_in(&datagram).unwrap().unwrap_err(), error);
                assert!(cursor.next_in(&datagram).is_none(), "and it ends");
                let mut events = batch.events();
                while events.next_whole().is_some() {}
                assert_eq!(events.next().unwrap().unwrap_err(), error);
                assert!(events.next().is_none(), "and it ends");
                error.to_string()
            }
        }
    };
    let short = "less than this version of the format needs";
    assert_eq!(
        damaged(20, &20u16.to_ne_bytes()),
        format!("byte 20: a batch's hdrlen is 20, {short}")
    );
    assert_eq!(
        damaged(20, &900u16.to_ne_bytes()),
        "byte 20: a batch header needs 900 bytes, 164 are left"
    );
    assert_eq!(
        damaged(28, &2u32.to_ne_bytes()),
        "byte 184: a record's header needs 48 bytes, 0 are left"
    );
    assert_eq!(
        damaged(28, &0u32.to_ne_bytes()),
        "byte 48: the batch's count is 0, and bytes follow the last record"
    );
    assert_eq!(
        damaged(48, &999u32.to_ne_bytes()),
        "byte 48: a record needs 999 bytes, 136 are left"
    );
    assert_eq!(
        damaged(48, &135u32.to_ne_bytes()),
        "byte 48: a record's len is 135, not a multiple of 8"
    );
    assert_eq!(
        damaged(52, &40u16.to_ne_bytes()),
        format!("byte 48: a record's hdrlen is 40, {short}")
    );
    assert_eq!(
        damaged(64, &89u32.to_ne_bytes()),
        "byte 48: a record's caplen is 89, more than the record holds"
    );
    assert_eq!(
        damaged(64, &u32::MAX.to_ne_bytes()),
        "byte 48: a record's caplen is 4294967295, more than the record holds"
    );
}

#[test]
fn checksums_are_verified_where_they_can_be() {
    let checksum = |record: Record| with_event(record, |event| event.checksum());
    let bad = |mut record: Record| {
        record.packet[30] ^= 1;
        record
    };
    assert_eq!(checksum(ping()), Checksum::Good);
    assert_eq!(checksum(bad(ping())), Checksum::Bad);
    // An odd number of bytes.
    let odd = Record::of_ipv4(testing::icmpv4(8, 0, [0, 7, 0, 1], &[0xab; 55]));
    assert_eq!(checksum(odd.clone()), Checksum::Good);
    assert_eq!(checksum(bad(odd)), Checksum::Bad);
    // The device vouches for it, and is wrong.
    assert_eq!(
        checksum(bad(Record {
            flags: 1 << 8,
            ..ping()
        })),
        Checksum::Bad
    );
    // Padding behind the IP packet is not in the sum.
    let mut padded = ping();
    padded.packet.extend([1, 2, 3, 4]);
    assert_eq!(checksum(padded), Checksum::Good);
    // Not to be known: partial, a fragment, malformed, cut short, no ICMP in it.
    for flags in [3 << 8, 2, 8, 2 | 4] {
        assert_eq!(
            checksum(Record { flags, ..ping() }),
            Checksum::Unknown,
            "{flags:#x}"
        );
    }
    let mut cut = Record {
        flags: 1,
        origlen: Some(84),
        ..ping()
    };
    cut.packet.truncate(80);
    assert_eq!(checksum(cut), Checksum::Unknown);
    with_event(
        Record {
            flags: 2 << 8,
            ..ping()
        },
        |event| {
            assert_eq!(event.checksum_state(), ChecksumState::Complete);
        },
    );
}

#[test]
fn an_empty_capture_still_has_its_type() {
    let record = Record {
        packet: vec![],
        origlen: Some(84),
        flags: 1,
        ..ping()
    };
    with_event(record, |event| {
        assert_eq!(event.icmp().unwrap().icmp_type.to_string(), "echo-request");
        assert_eq!((event.src(), event.fragment_offset()), (None, None));
    });
}

#[test]
fn gaps_are_losses() {
    let mut tracker = Tracker::default();
    let mut observe = |cpu, seq, lost, count| {
        let bytes = testing::events(cpu, seq, lost, &vec![ping(); count]);
        tracker.observe(&batch(&bytes))
    };
    assert_eq!(observe(0, 0, 0, 3), Ok(None));
    assert_eq!(
        observe(1, 4, 4, 1),
        Ok(Some(Lost {
            cpu: Cpu(1),
            count: 4
        })),
        "lost before the first"
    );
    assert_eq!(observe(0, 3, 0, 2), Ok(None));
    assert_eq!(
        observe(0, 9, 4, 1),
        Ok(Some(Lost {
            cpu: Cpu(0),
            count: 4
        }))
    );
    assert_eq!(observe(1, 5, 4, 1), Ok(None));
    assert_eq!(
        observe(0, 12, 4, 1),
        Err(SequenceError::Disagree {
            cpu: Cpu(0),
            gap: 2,
            counted: 0
        })
    );
    assert_eq!(
        observe(0, 13, 4, 1),
        Ok(None),
        "compared with the last one that came"
    );
    assert_eq!(
        observe(0, 2, 4, 1),
        Err(SequenceError::Backwards {
            cpu: Cpu(0),
            expected: 14,
            found: 2
        })
    );
}

#[test]
fn imp2_messages_are_the_original_programs() {
    let bytes = imp2::register(1);
    assert_eq!(bytes.len(), 24);
    assert_eq!((only(&bytes).kind, only(&bytes).flags), (0, 5));
    assert_eq!(only(&imp2::close(2)).kind, 2);
    // A K_MSG as the kernel makes it: type 1, addresses in network order.
    let mut bytes = 24u32.to_ne_bytes().to_vec();
    bytes.extend(1u16.to_ne_bytes());
    bytes.extend([0; 10]);
    bytes.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    let message = only(&bytes);
    assert!(imp2::is_packet(&message));
    let packet = imp2::Packet::decode(&message).unwrap();
    assert_eq!(
        (packet.src.to_string(), packet.dst.to_string()),
        ("10.0.0.1".into(), "10.0.0.2".into())
    );
    let mut short = bytes[..20].to_vec();
    short[0] = 20;
    assert!(imp2::Packet::decode(&only(&short)).is_err());
}
