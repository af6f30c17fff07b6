//! Batches and losses: when events leave, and that each is accounted for.

use std::fs;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use icmptap::event::EventRef;
use icmptap::{
    BatchSize, Cpu, FlushInterval, Item, Items, OwnedItem, Received, Snaplen, Subscription,
};
use icmptap_proto::{
    FamilyId,
    request::{self, SubscribeOptions},
};
use icmptap_sys as sys;
use icmptap_vm_tests::fire::asker;
use icmptap_vm_tests::listen::{Listener, subscribe};
use icmptap_vm_tests::net::{Namespace, Wire, settle};
use icmptap_vm_tests::netlink;
use icmptap_vm_tests::packet::{Ipv4, Sender, echo, flood};
use icmptap_vm_tests::process::{patience, run, stay_on_one_cpu, wait_until};

const COUNT: u32 = 5_000;

/// Longer than the test: nothing leaves because its time has come.
const NEVER: FlushInterval = FlushInterval { us: 1_000_000 };

/// The sequence number of the next echo request, or `None` if none comes soon.
fn next(subscription: &mut Subscription, patience: Duration) -> Option<u16> {
    match subscription
        .recv_before(Instant::now() + patience)
        .expect("receive")
    {
        Received::Item(Item::Event(event)) => Some(seq(&event)),
        Received::TimedOut => None,
        other => panic!("{other:?}"),
    }
}

/// Of an echo request.
fn seq(event: &EventRef<'_>) -> u16 {
    let packet = event.packet();
    u16::from_be_bytes([packet[26], packet[27]])
}

fn ping(sender: &Sender, seq: u16) {
    sender.send(&Ipv4::icmp(echo(1, seq, &[0; 56])).bytes());
}

#[test]
fn a_lone_event_leaves_at_once_and_the_next_ones_wait() {
    // One CPU, one stream.
    stay_on_one_cpu();
    let wire = Wire::new();
    let sender = Sender::new(&wire);
    let builder = Subscription::builder().flush_interval(NEVER);
    let mut subscription = subscribe(&wire.right, &builder);

    ping(&sender, 1);
    assert_eq!(next(&mut subscription, patience()), Some(1));
    let start = Instant::now();
    ping(&sender, 2);
    ping(&sender, 3);
    let waited = next(&mut subscription, Duration::from_millis(200));
    // On a machine that stood still for that long there is nothing to see.
    if start.elapsed() < Duration::from_millis(900) {
        assert_eq!(waited, None);
    }
    // Their time comes without a further packet.
    assert_eq!(
        waited.or_else(|| next(&mut subscription, patience())),
        Some(2)
    );
    assert_eq!(next(&mut subscription, patience()), Some(3));
    subscription
        .finish()
        .expect("finish")
        .audit()
        .expect("agree");
}

#[test]
fn flush_sends_what_waits() {
    // One CPU, one stream.
    stay_on_one_cpu();
    let wire = Wire::new();
    let sender = Sender::new(&wire);
    let builder = Subscription::builder().flush_interval(NEVER);
    let mut subscription = subscribe(&wire.right, &builder);
    for seq in 1..=3 {
        ping(&sender, seq);
    }
    settle();
    subscription.flush().expect("flush");
    for seq in 1..=3 {
        // What flush() sent is there: no wait.
        assert_eq!(next(&mut subscription, Duration::ZERO), Some(seq));
    }
}

#[test]
fn events_that_come_at_once_are_lent_at_once() {
    // One CPU, one stream.
    stay_on_one_cpu();
    let wire = Wire::new();
    let sender = Sender::new(&wire);
    let builder = Subscription::builder().flush_interval(NEVER);
    let mut subscription = subscribe(&wire.right, &builder);
    for seq in 1..=7 {
        ping(&sender, seq);
    }
    settle();
    subscription.flush().expect("flush");

    // The first one left alone.
    assert_eq!(many(&mut subscription, 9), [1]);
    assert_eq!(many(&mut subscription, 2), [2, 3]);
    // What was not taken comes next, one by one or not.
    assert_eq!(next(&mut subscription, Duration::ZERO), Some(4));
    assert_eq!(many(&mut subscription, 9), [5, 6, 7]);

    subscription.stop().expect("stop");
    assert!(subscription.recv_many().expect("receive").is_none());
    let summary = subscription.finish().expect("finish");
    summary.audit().expect("both sides agree");
    assert_eq!(summary.received, 7);
}

/// The sequence numbers of the next echo requests: so many of those that come at once.
fn many(subscription: &mut Subscription, count: usize) -> Vec<u16> {
    match subscription.recv_many().expect("receive") {
        Some(Items::Events(events)) => events.take(count).map(|event| seq(&event)).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_full_batch_leaves_before_its_time() {
    // One CPU, one stream.
    stay_on_one_cpu();
    let wire = Wire::new();
    let sender = Sender::new(&wire);
    let builder = Subscription::builder().flush_interval(NEVER);
    let mut subscription = subscribe(&wire.right, &builder);
    let room = subscription.parameters().batch.0 as usize;

    // 136 bytes each, behind a header of 48; the first one leaves alone.
    let full = ((room - 48) / 136) as u16;
    let start = Instant::now();
    for seq in 0..=full {
        ping(&sender, seq);
    }
    let mut seqs = Vec::new();
    while let Some(seq) = next(&mut subscription, Duration::from_millis(200)) {
        seqs.push(seq);
    }
    if start.elapsed() < Duration::from_millis(900) {
        assert_eq!(seqs, (0..=full).collect::<Vec<_>>());
    }
}

#[test]
fn nothing_waits_without_a_flush_interval() {
    let wire = Wire::new();
    let sender = Sender::new(&wire);
    let builder = Subscription::builder().flush_interval(FlushInterval { us: 0 });
    let mut subscription = subscribe(&wire.right, &builder);
    for seq in 1..=10 {
        ping(&sender, seq);
    }
    for seq in 1..=10 {
        assert_eq!(next(&mut subscription, patience()), Some(seq));
    }
}

#[test]
fn a_flood_arrives_whole_and_in_order() {
    let wire = Wire::new();
    let listener = Listener::start(&wire.right);
    flood(&wire.left, Wire::RIGHT, COUNT);
    let heard = listener.stop();
    assert_eq!(heard.lost, 0);
    assert_eq!(heard.events.len(), COUNT as usize);
    let mut times: Vec<_> = heard
        .events
        .iter()
        .map(|event| event.as_ref().time_ns())
        .collect();
    let sorted = times.is_sorted();
    times.sort_unstable();
    assert!(
        sorted
            || heard
                .events
                .iter()
                .any(|event| event.as_ref().cpu() != Some(Cpu(0)))
    );
}

/// A reader that sleeps while `COUNT` packets come in, then reads all that is
/// there.
fn overrun(wire: &Wire, builder: icmptap::Builder) -> (u64, u64) {
    let mut subscription = subscribe(&wire.right, &builder);
    flood(&wire.left, Wire::RIGHT, COUNT);
    let (mut received, mut gaps) = (0, 0);
    subscription.stop().expect("stop");
    for item in subscription.iter() {
        match item.expect("receive") {
            OwnedItem::Event(_) => received += 1,
            OwnedItem::Lost(lost) => gaps += lost.count,
        }
    }
    let summary = subscription.finish().expect("finish");
    summary.audit().expect("both sides agree");
    assert_eq!(summary.counters.matched, u64::from(COUNT));
    assert_eq!(summary.counters.queued, 0);
    assert_eq!(received, summary.counters.delivered);
    assert_eq!(
        gaps + summary.trailing_lost(),
        summary.counters.lost_overrun
    );
    (received, summary.counters.lost_overrun)
}

#[test]
fn what_a_reader_misses_is_counted_to_the_last_event() {
    let wire = Wire::new();
    let small = Subscription::builder().receive_buffer(16 * 1024);
    let (received, lost) = overrun(&wire, small.clone());
    assert!(received > 0 && lost > 0, "{received} received, {lost} lost");
    assert_eq!(received + lost, u64::from(COUNT));

    // One message per packet.
    let (_, lost) = overrun(&wire, small.flush_interval(FlushInterval { us: 0 }));
    assert!(lost > 0);
}

#[test]
fn a_reader_that_falls_behind_for_a_while_sees_where() {
    let wire = Wire::new();
    let sender = Sender::new(&wire);
    let builder = Subscription::builder().receive_buffer(16 * 1024);
    let mut subscription = subscribe(&wire.right, &builder);
    // One CPU, one stream: the gap shows with what comes after it.
    let cpu = stay_on_one_cpu();
    let request = |seq: u32| sender.send(&Ipv4::icmp(echo(1, seq as u16, &[0; 56])).bytes());
    (0..COUNT).for_each(request);

    let (mut events, mut lost, mut last) = (0, 0, 0);
    let mut take = |item: Item<'_>| match item {
        Item::Event(event) => {
            events += 1;
            last = u16::from_be_bytes([event.packet()[26], event.packet()[27]]);
            (events, lost, last)
        }
        Item::Lost(gap) => {
            assert_eq!(gap.cpu.0 as usize, cpu);
            lost += gap.count;
            (events, lost, last)
        }
    };
    // Makes room, and shows only the gaps that have something behind them.
    let shortly = || Instant::now() + Duration::from_millis(100);
    while let Received::Item(item) = subscription.recv_before(shortly()).expect("receive") {
        take(item);
    }
    request(COUNT);
    loop {
        let item = subscription.recv().expect("receive").expect("an item");
        let (events, lost, last) = take(item);
        if u32::from(last) == COUNT {
            assert!(lost > 0);
            assert_eq!(events + lost, u64::from(COUNT) + 1);
            break;
        }
    }
    subscription
        .finish()
        .expect("finish")
        .audit()
        .expect("agree");
}

#[test]
fn a_record_longer_than_its_batch_has_a_message_of_its_own() {
    stay_on_one_cpu();
    let wire = Wire::new();
    let sender = Sender::new(&wire);
    let info = icmptap::Client::open().and_then(|mut client| client.info());
    let builder = Subscription::builder()
        .batch(BatchSize(info.expect("info").batch_min.0))
        .snaplen(Snaplen(65_535))
        .flush_interval(NEVER);
    let listener = Listener::with(&wire.right, builder);
    let sizes = [56, 56, 1400, 56, 1400, 1400, 56];
    for size in sizes {
        sender.send(&Ipv4::icmp(echo(1, 1, &vec![0; size])).bytes());
    }
    let heard = listener.stop();
    let found: Vec<usize> = heard
        .events
        .iter()
        .map(|event| event.as_ref().packet().len())
        .collect();
    assert_eq!(found, sizes.map(|size| size + 28));
}

#[test]
fn memory_that_is_used_again_tells_nothing() {
    stay_on_one_cpu();
    let wire = Wire::new();
    let sender = Sender::new(&wire);
    // As it is on the wire: the library does not show padding.
    let reader = wire
        .right
        .enter(|| netlink::Socket::open(sys::NETLINK_GENERIC));
    let family = FamilyId(asker::family());
    let mut options = SubscribeOptions::default();
    options.flush_interval = Some(NEVER);
    reader
        .send(&request::subscribe(family, 1, &options))
        .expect("send");
    reader.receive().expect("an answer");
    let fill = |data: &[u8]| {
        for seq in 0..300 {
            sender.send(&Ipv4::icmp(echo(1, seq, data)).bytes());
        }
        settle();
        let mut batches = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        while let Some(batch) = reader.receive_now(&mut buffer).expect("receive") {
            batches.push(batch.to_vec());
        }
        batches
    };
    // Records of one length, the first without padding.
    fill(&[0xff; 60]);
    let mut padded = 0;
    for batch in fill(&[0xff; 57]) {
        let mut rest = &batch[48..];
        while let [a, b, c, d, ..] = rest {
            let length = u32::from_ne_bytes([*a, *b, *c, *d]) as usize;
            let captured = u32::from_ne_bytes(rest[16..20].try_into().expect("four")) as usize;
            let padding = &rest[48 + captured..length];
            assert!(padding.iter().all(|byte| *byte == 0), "{padding:x?}");
            padded += usize::from(padding.len() == 3);
            rest = &rest[length..];
        }
    }
    assert!(padded > 100, "{padded}");
}

#[test]
fn a_batch_leaves_although_the_clock_is_set() {
    let set = |forward: i64| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("now");
        run(&format!("date -s @{}", now.as_secs() as i64 + forward));
    };
    stay_on_one_cpu();
    let wire = Wire::new();
    let sender = Sender::new(&wire);
    let interval = FlushInterval { us: 200_000 };
    let builder = Subscription::builder().flush_interval(interval);
    let mut subscription = subscribe(&wire.right, &builder);
    for (seq, step) in [(1, -36_000), (3, 36_000)] {
        ping(&sender, seq);
        assert_eq!(next(&mut subscription, patience()), Some(seq));
        set(step);
        ping(&sender, seq + 1);
        assert_eq!(next(&mut subscription, patience()), Some(seq + 1));
    }
}

/// Bytes of memory that nobody uses.
fn free_memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").expect("meminfo");
    let line = text.lines().find_map(|line| line.strip_prefix("MemFree:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<u64>().ok()).expect("a size") * 1024
}

#[test]
fn the_memory_of_batches_goes_back() {
    // As many as the module keeps memory for, in the guest with the least.
    const COUNT: usize = 20;
    const SLACK: u64 = 2 << 20;
    stay_on_one_cpu();
    let namespace = Namespace::new();
    let info = icmptap::Client::open().and_then(|mut client| client.info());
    // A batch is full with one of these, so that none waits for its time.
    let builder = Subscription::builder()
        .batch(BatchSize(info.expect("info").batch_max.0))
        .snaplen(Snaplen(65_535))
        .flush_interval(FlushInterval { us: 500_000 });
    let ping = || namespace.run("ping -q -c 4 -i 0.002 -s 60000 127.0.0.1");
    ping();
    let begun = free_memory();
    let subscribe = || -> Vec<_> {
        let each = (0..COUNT).map(|_| namespace.enter(|| builder.subscribe()));
        each.map(|it| it.expect("subscribe")).collect()
    };
    let mut subscriptions = subscribe();
    let held = free_memory();
    let fill = |subscriptions: &mut [Subscription]| {
        ping();
        for subscription in subscriptions {
            while let Received::Item(_) = subscription.recv_before(Instant::now()).expect("receive")
            {
            }
        }
    };

    fill(&mut subscriptions);
    wait_until("they keep no more than at their beginning", || {
        free_memory() + SLACK > held
    });
    fill(&mut subscriptions);
    drop(subscriptions);
    wait_until("those that have ended keep nothing", || {
        free_memory() + SLACK > begun
    });
}

#[test]
fn many_subscriptions_come_and_go_in_a_flood() {
    let wire = Wire::new();
    let steady = Listener::start(&wire.right);
    thread::scope(|scope| {
        scope.spawn(|| flood(&wire.left, Wire::RIGHT, COUNT));
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    // Audited by the listener.
                    let listener = Listener::start(&wire.right);
                    thread::sleep(Duration::from_millis(20));
                    listener.stop();
                }
            });
        }
    });
    let heard = steady.stop();
    assert_eq!(
        heard.events.len() as u64 + heard.lost + heard.summary.trailing_lost(),
        u64::from(COUNT)
    );
}
