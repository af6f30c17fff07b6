//! Captures to write and to read, made of values.

use icmptap::{Summary, reply::Counters};
use icmptap_capture::{
    Item, PcapWriter, PcapngWriter, ReadError, Reader, Section, Session, Totals,
};
use icmptap_proto::{
    BootId, Cpu, Hook, IfIndex, Netns, SubscriptionId,
    event::{Event, Metadata, Tapped},
    sequence::Lost,
};

pub(crate) fn session() -> Session {
    Session {
        boot_id: BootId(*b"0123456789abcdef"),
        subscription: Some(SubscriptionId(5)),
    }
}

pub(crate) fn section() -> Section {
    Section {
        application: "icmptap test".to_owned(),
        system: Some("Linux 6.1".to_owned()),
        snaplen: 576,
        session: Some(session()),
    }
}

/// An IPv4 packet: an echo request with this number and some data.
pub(crate) fn ping(seq: u16, data: usize) -> Vec<u8> {
    let [high, low] = seq.to_be_bytes();
    icmptap_proto::testing::icmpv4(8, 0, [0, 7, high, low], &vec![0x5a; data])
}

/// What the module would say of a ping at prerouting of interface 2.
pub(crate) fn tapped(cpu: u32, seq: u64) -> Event {
    let packet = ping(seq as u16, 8 + seq as usize % 5);
    let (metadata, packet) =
        Metadata::of_packet(1_700_000_000_000_000_000 + seq, &packet, 576).expect("it is ICMP");
    let metadata = Metadata {
        tapped: Some(Tapped {
            cpu: Cpu(cpu),
            seq,
            netns: Netns(4_026_531_840),
            hook: Hook::Prerouting,
            mark: 7,
        }),
        iif: Some(IfIndex(2)),
        ..metadata
    };
    Event::new(&metadata, packet)
}

pub(crate) fn lost(cpu: u32, count: u64) -> Lost {
    Lost {
        cpu: Cpu(cpu),
        count,
    }
}

pub(crate) fn name(netns: Option<Netns>, index: IfIndex) -> Option<String> {
    let names = ["lo", "eth0", "eth1"];
    netns?;
    names
        .get(index.0 as usize - 1)
        .map(|name| (*name).to_owned())
}

pub(crate) fn totals(events: u64, lost: u64) -> Totals {
    let mut counters = Counters::default();
    counters.matched = events + lost;
    counters.delivered = events;
    counters.lost_overrun = lost;
    let mut summary = Summary::default();
    (summary.counters, summary.received) = (counters, events);
    summary.lost_in_gaps = lost;
    Totals {
        events,
        lost,
        summary,
    }
}

/// A capture of ours with a bit of everything: 5 events on two CPUs, two losses, totals.
pub(crate) fn capture() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = PcapngWriter::new(&mut bytes, section());
    let session = session();
    let event = |writer: &mut PcapngWriter<_>, cpu, seq| {
        let event = tapped(cpu, seq);
        writer
            .event(Some(&session), &event.as_ref(), &mut name)
            .unwrap();
    };
    event(&mut writer, 0, 0);
    event(&mut writer, 0, 1);
    writer
        .lost(&session, lost(1, 4), 1_700_000_000_000_000_000)
        .unwrap();
    event(&mut writer, 1, 4);
    writer
        .lost(&session, lost(0, 3), 1_700_000_000_000_000_000)
        .unwrap();
    event(&mut writer, 0, 5);
    event(&mut writer, 1, 5);
    writer
        .totals(&session, &totals(5, 7), 1_700_000_001_000_000_000)
        .unwrap();
    drop(writer);
    bytes
}

/// Three of these events as pcap.
pub(crate) fn pcap() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = PcapWriter::new(&mut bytes, 576);
    for seq in 0..3 {
        writer.event(&tapped(0, seq).as_ref()).unwrap();
    }
    writer.flush().unwrap();
    drop(writer);
    bytes
}

/// What can be read, and what ends it.
pub(crate) fn read(bytes: &[u8]) -> (Vec<Item>, Option<ReadError>) {
    let mut items = Vec::new();
    for item in Reader::new(bytes) {
        match item {
            Ok(item) => items.push(item),
            Err(error) => return (items, Some(error)),
        }
    }
    (items, None)
}

pub(crate) fn events(items: &[Item]) -> Vec<Event> {
    let events = items.iter().filter_map(|item| match item {
        Item::Event(captured) => Some(captured.event.clone()),
        _ => None,
    });
    events.collect()
}
