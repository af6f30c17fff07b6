//! What is written is read: every field of every event, every loss at its place, the
//! counters, whatever the values.

use crate::common::{capture, events, lost, name, read, section, session, tapped, totals};
use icmptap_capture::{Audit, Item, PcapWriter, PcapngWriter, Session, SessionLost, Verdict};
use icmptap_proto::{
    BootId, Cpu, Family, Hook, IfIndex, Netns, SubscriptionId,
    event::{Event, Metadata, Tapped},
    sequence::Lost,
};
use proptest::{collection::vec, option, prelude::*};

#[test]
fn a_capture_has_everything_in_its_order() {
    let (items, error) = read(&capture());
    assert!(error.is_none(), "{error:?}");
    let words: Vec<String> = items
        .iter()
        .map(|item| match item {
            Item::Section { part, .. } => format!("section {part}"),
            Item::Interface(name) => format!("{} is {}", name.index, name.name),
            Item::Event(captured) => {
                let event = captured.event.as_ref();
                assert_eq!(captured.session, Some(session()));
                assert_eq!(
                    captured.interface.as_deref(),
                    Some("eth0@4026531840:prerouting")
                );
                format!(
                    "{}:{} after {}",
                    event.cpu().unwrap(),
                    event.seq().unwrap(),
                    captured.dropped
                )
            }
            Item::Lost(lost) => format!("{} lost on {}", lost.lost.count, lost.lost.cpu),
            Item::Totals { totals, .. } => format!("{}", totals.summary),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        words,
        [
            "section 0",
            "2 is eth0",
            "0:0 after 0",
            "0:1 after 0",
            "4 lost on 1",
            "1:4 after 4",
            "3 lost on 0",
            "0:5 after 3",
            "1:5 after 0",
            "5 received, 12 matched, 7 lost (7 receive buffer full)",
        ]
    );
    let expected = [(0, 0), (0, 1), (1, 4), (0, 5), (1, 5)].map(|(cpu, seq)| tapped(cpu, seq));
    assert_eq!(events(&items), expected);

    let mut audit = Audit::new();
    for item in &items {
        let _ = audit.observe(item);
    }
    let reports: Vec<_> = audit.reports().collect();
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].verdict, Verdict::Complete);
}

#[test]
fn files_of_a_rotation_go_on_where_the_last_one_ended() {
    let mut writer = PcapngWriter::new(Vec::new(), section());
    let event = |writer: &mut PcapngWriter<Vec<u8>>, seq| {
        let event = tapped(0, seq);
        writer
            .event(Some(&session()), &event.as_ref(), &mut name)
            .unwrap();
    };
    event(&mut writer, 0);
    writer.lost(&session(), lost(0, 2), 5).unwrap();
    let size = writer.file_size();
    let first = writer.rotate(Vec::new()).unwrap();
    assert_eq!(size, first.len() as u64);
    event(&mut writer, 3);
    writer.totals(&session(), &totals(2, 2), 9).unwrap();
    let second = writer.rotate(Vec::new()).unwrap();

    let mut audit = Audit::new();
    let verdict = |audit: &Audit| audit.reports().next().unwrap().verdict;
    for file in [&first, &second] {
        let (items, error) = read(file);
        assert!(error.is_none(), "{error:?}");
        for item in &items {
            let gap = audit.observe(item);
            assert_eq!((gap.lost, gap.missing), (None, 0), "{item:?}");
        }
    }
    assert_eq!(verdict(&audit), Verdict::Complete);
    let mut alone = Audit::new();
    for item in &read(&second).0 {
        let _ = alone.observe(item);
    }
    assert_eq!(verdict(&alone), Verdict::NoBeginning);
}

#[test]
fn pcap_has_packets_and_times() {
    let written: Vec<_> = (0..3).map(|seq| tapped(0, seq)).collect();
    let mut bytes = Vec::new();
    let mut writer = PcapWriter::new(&mut bytes, 576);
    for event in &written {
        writer.event(&event.as_ref()).unwrap();
    }
    writer.flush().unwrap();
    drop(writer);
    let (items, error) = read(&bytes);
    assert!(error.is_none(), "{error:?}");
    let found = events(&items);
    assert_eq!(found.len(), 3);
    for (found, written) in found.iter().zip(&written) {
        let (found, written) = (found.as_ref(), written.as_ref());
        assert_eq!(found.packet(), written.packet());
        assert_eq!(found.time_ns(), written.time_ns());
        assert_eq!(found.original_len(), written.original_len());
        assert!(!found.is_tapped() && written.is_tapped());
    }
}

#[test]
fn only_whole_blocks_are_handed_over() {
    /// Remembers how much came at once.
    struct Pieces<'a>(&'a mut Vec<Vec<u8>>);
    impl std::io::Write for Pieces<'_> {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.push(bytes.to_vec());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut pieces = Vec::new();
    let mut writer = PcapngWriter::new(Pieces(&mut pieces), section());
    for seq in 0..2_000 {
        let event = tapped(0, seq);
        writer
            .event(Some(&session()), &event.as_ref(), &mut name)
            .unwrap();
    }
    assert!(writer.has_waiting());
    drop(writer);
    assert!(pieces.len() > 3, "it does not wait for ever");
    let mut bytes = Vec::new();
    for piece in pieces {
        bytes.extend(piece);
        let (_, error) = read(&bytes);
        assert!(error.is_none(), "{error:?}");
    }
}

#[test]
fn too_many_interfaces_share_a_block_and_keep_their_numbers() {
    let mut bytes = Vec::new();
    let mut writer = PcapngWriter::new(&mut bytes, section());
    let count = (16 << 10) + 10;
    for index in 1..=count {
        let metadata = Metadata {
            iif: Some(IfIndex(index)),
            ..tapped(0, 0).as_ref().metadata()
        };
        let event = Event::new(&metadata, &ping_bytes()[..]);
        let mut name = |_, index: IfIndex| Some(format!("eth{index}"));
        writer
            .event(Some(&session()), &event.as_ref(), &mut name)
            .unwrap();
    }
    writer.flush().unwrap();
    drop(writer);
    let (items, error) = read(&bytes);
    assert!(error.is_none(), "{error:?}");
    let names = items
        .iter()
        .filter(|item| matches!(item, Item::Interface(_)));
    assert_eq!(names.count(), 16 << 10);
    let indices = events(&items)
        .into_iter()
        .map(|event| event.as_ref().iif().unwrap().0);
    assert!(indices.eq(1..=count));
}

fn ping_bytes() -> Vec<u8> {
    crate::common::ping(1, 8)
}

fn sessions() -> impl Strategy<Value = Session> {
    (any::<[u8; 16]>(), option::of(any::<u64>())).prop_map(|(boot_id, subscription)| Session {
        boot_id: BootId(boot_id),
        subscription: subscription.map(SubscriptionId),
    })
}

fn anything() -> impl Strategy<Value = Event> {
    let tapped = (
        any::<u32>(),
        any::<u64>(),
        any::<u32>(),
        0..255u8,
        any::<u32>(),
    )
        .prop_map(|(cpu, seq, netns, hook, mark)| Tapped {
            cpu: Cpu(cpu),
            seq,
            netns: Netns(netns),
            hook: Hook::from_number(hook),
            mark,
        });
    let index = || option::of(1..u32::MAX).prop_map(|index| index.map(IfIndex));
    let numbers = (any::<u64>(), any::<u32>(), any::<u16>(), any::<u16>());
    let icmp = (any::<u8>(), any::<u16>(), any::<u8>(), any::<u8>());
    let packet = vec(any::<u8>(), 0..200);
    (tapped, index(), index(), numbers, icmp, packet).prop_map(
        |(tapped, iif, oif, (time_ns, longer, flags, vlan_tci), icmp, packet)| {
            let (family, icmp_offset, icmp_type, icmp_code) = icmp;
            let metadata = Metadata {
                tapped: Some(tapped),
                time_ns,
                original_len: (packet.len() as u32).saturating_add(longer),
                iif,
                oif,
                flags,
                vlan_tci,
                family: Family::from_number(family),
                icmp_offset,
                icmp_type,
                icmp_code,
            };
            Event::new(&metadata, packet)
        },
    )
}

#[derive(Debug, Clone)]
enum Step {
    Event(Event),
    Lost(Lost),
    Rotate,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lost = (any::<u32>(), any::<u64>()).prop_map(|(cpu, count)| Lost {
        cpu: Cpu(cpu),
        count,
    });
    let step = prop_oneof![
        8 => anything().prop_map(Step::Event),
        2 => lost.prop_map(Step::Lost),
        1 => Just(Step::Rotate),
    ];
    vec(step, 0..30)
}

proptest! {
    #[test]
    fn whatever_is_written_is_read(
        session in sessions(), steps in steps(), names in any::<[Option<String>; 3]>(),
    ) {
        let mut section = section();
        section.session = Some(session);
        let mut writer = PcapngWriter::new(Vec::new(), section);
        let mut files = Vec::new();
        // Names may be anything but hold no line ends, as the kernel's do not.
        let mut name = |_: Option<Netns>, index: IfIndex| {
            let name = names[index.0 as usize % 3].clone();
            name.map(|name| name.replace(['\n', '\r', '\0'], ""))
        };
        for step in &steps {
            match step {
                Step::Event(event) => writer.event(Some(&session), &event.as_ref(), &mut name).unwrap(),
                Step::Lost(lost) => writer.lost(&session, *lost, 77_000).unwrap(),
                Step::Rotate => files.push(writer.rotate(Vec::new()).unwrap()),
            }
        }
        files.push(writer.rotate(Vec::new()).unwrap());
        let mut found = Vec::new();
        for (nth, file) in files.iter().enumerate() {
            let (items, error) = read(file);
            prop_assert!(error.is_none(), "{:?}", error);
            prop_assert_eq!(&items[0], &Item::Section { session, part: nth as u32 });
            found.extend(items);
        }
        let mut found = found.into_iter().filter(|item| {
            if let Item::Interface(interface) = item {
                assert_eq!(name(None, interface.index), Some(interface.name.clone()));
            }
            matches!(item, Item::Event(_) | Item::Lost(_))
        });
        for step in steps {
            match (step, &mut found) {
                (Step::Event(event), found) => {
                    let Some(Item::Event(captured)) = found.next() else {
                        panic!("an event is missing");
                    };
                    prop_assert_eq!(captured.session, Some(session));
                    prop_assert_eq!(captured.event.as_ref().metadata(), event.as_ref().metadata());
                    prop_assert_eq!(captured.event, event);
                }
                (Step::Lost(lost), found) => {
                    prop_assert_eq!(found.next(), Some(Item::Lost(SessionLost { session, lost })));
                }
                (Step::Rotate, _) => {}
            }
        }
        prop_assert_eq!(found.next(), None);
    }
}
