//! Each option of a subscription does what it says, and what the kernel tells
//! about subscriptions is so.

use std::fs;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use futures_core::Stream;
use icmptap::event::Event;
use icmptap::reply::Counters;
use icmptap::{
    Client, Error, Families, Family, FlushInterval, Hook, Hooks, IfIndex, Instruction, Item, Items,
    OwnedItem, Pid, Protocol, RateLimit, Sampling, Snaplen, Stopper, SubscribeOption, Subscription,
    TypeSet, Verdict,
};
use icmptap_vm_tests::listen::{Listener, subscribe};
use icmptap_vm_tests::module::Changed;
use icmptap_vm_tests::net::{Namespace, Wire};
use icmptap_vm_tests::packet::{Ipv4, Sender, echo, flood};
use icmptap_vm_tests::process::{output, stay_on_one_cpu, times, wait_until};

fn types(types: &[u8]) -> TypeSet {
    types.iter().copied().collect()
}

/// Type and sequence number of echo messages.
fn echoes(events: &[Event]) -> Vec<(u8, u16)> {
    let echo = |event: &Event| {
        let event = event.as_ref();
        let (icmp_type, _) = event.icmp_type_and_code()?;
        let icmp = &event.packet()[usize::from(event.packet()[0] & 15) * 4..];
        Some((icmp_type, u16::from_be_bytes([icmp[6], icmp[7]])))
    };
    events.iter().filter_map(echo).collect()
}

/// The index of an interface, from its own network namespace.
fn index(namespace: &Namespace, name: &str) -> IfIndex {
    let line = namespace.run(&format!("ip -oneline link show {name}"));
    let number = line.split(':').next().expect("a number").parse();
    IfIndex(number.expect("a number"))
}

#[test]
fn types_are_those_asked_for() {
    let wire = Wire::new();
    let start = |set| Listener::with(&wire.right, Subscription::builder().icmp_types(set));
    let (requests, replies) = (start(types(&[8])), start(types(&[0, 3])));
    let (all, none) = (start(TypeSet::ALL), start(TypeSet::NONE));

    let sender = Sender::new(&wire);
    sender.send(&Ipv4::icmp(echo(1, 1, b"x")).bytes());
    // A later fragment, which has no type.
    let mut later = Ipv4::icmp(vec![8; 64]);
    later.fragment_offset = 64;
    sender.send(&later.bytes());
    wire.right.run("ping -c 1 10.0.0.1");

    assert_eq!(echoes(&requests.stop().events), [(8, 1)]);
    let replies = replies.stop().events;
    assert_eq!(echoes(&replies), [(0, 1)]);
    assert_eq!(replies.len(), 1, "what has no type is not of type 0");
    assert_eq!(all.stop().events.len(), 3);
    assert_eq!(none.stop().summary.counters.matched, 0);
}

#[test]
fn types_of_icmpv6_are_others() {
    let wire = Wire::new();
    wire.left.enable_ipv6();
    wire.right.enable_ipv6();
    wire.left.ip("addr add fd00::1/64 dev eth0 nodad");
    wire.right.ip("addr add fd00::2/64 dev eth0 nodad");
    let ipv6 = Families::from([Family::Ipv6]);
    let start = |set| {
        let builder = Subscription::builder().families(ipv6);
        Listener::with(&wire.right, builder.icmpv6_types(set))
    };
    let (pings, solicitations) = (start(types(&[128])), start(types(&[135])));
    wire.left.run("ping -6 -c 2 -i 0.1 fd00::2");
    let of = |listener: Listener| -> Vec<_> {
        let events = listener.stop().events.into_iter();
        events
            .map(|event| event.as_ref().icmp_type_and_code().expect("ICMPv6").0)
            .collect()
    };
    assert_eq!(of(pings), [128, 128]);
    let solicitations = of(solicitations);
    assert!(!solicitations.is_empty(), "who has fd00::2?");
    assert!(solicitations.iter().all(|t| *t == 135), "{solicitations:?}");
}

#[test]
fn an_interface_is_that_of_input_or_of_output() {
    let wire = Wire::new();
    let hooks = Hooks::from([Hook::Prerouting, Hook::Output]);
    let start = |name: &str| {
        let builder = Subscription::builder().hooks(hooks);
        let builder = builder.interface(index(&wire.right, name));
        Listener::with(&wire.right, builder.icmp_types(types(&[8])))
    };
    let (wired, local) = (start("eth0"), start("lo"));
    wire.left.run("ping -c 1 10.0.0.2");
    wire.right.run("ping -c 1 10.0.0.1");
    wire.right.run("ping -c 2 -i 0.1 10.0.0.2");

    let seen = |listener: Listener| -> Vec<Hook> {
        let events = listener.stop().events.into_iter();
        events
            .map(|event| event.as_ref().hook().expect("tapped"))
            .collect()
    };
    assert_eq!(seen(wired), [Hook::Prerouting, Hook::Output]);
    let both = [Hook::Output, Hook::Prerouting];
    assert_eq!(seen(local), [both, both].concat());
}

#[test]
fn a_filter_in_tcpdumps_language_picks_packets() {
    let wire = Wire::new();
    let filter = |expression| {
        let builder = Subscription::builder().filter(expression);
        builder.expect("it compiles")
    };
    let second = Listener::with(&wire.right, filter("icmp[icmptype] == 8 and icmp[7] == 2"));
    let elsewhere = Listener::with(&wire.right, filter("host 10.9.9.9"));
    let parameters = *subscribe(&wire.right, &filter("icmp")).parameters();
    assert!(parameters.filter_len > 1, "{parameters:?}");

    let sender = Sender::new(&wire);
    for seq in 1..=3 {
        sender.send(&Ipv4::icmp(echo(1, seq, &[7; 56])).bytes());
    }
    let heard = second.stop();
    assert_eq!(echoes(&heard.events), [(8, 2)]);
    assert_eq!(heard.events[0].as_ref().packet().len(), 84);
    assert_eq!(heard.summary.counters.matched, 1, "the rest is no loss");
    assert_eq!(elsewhere.stop().summary.counters.matched, 0);
    let error = Subscription::builder().filter("icmp an").unwrap_err();
    assert!(error.to_string().contains("syntax error"), "{error}");
}

/// `ret #k`
fn ret(k: u32) -> Instruction {
    Instruction {
        code: 6,
        jt: 0,
        jf: 0,
        k,
    }
}

#[test]
fn a_program_takes_or_leaves_a_packet_and_does_not_cut_it() {
    let wire = Wire::new();
    let program = |instructions| {
        let builder = Subscription::builder().filter_program(instructions);
        builder.expect("short enough")
    };
    let one = Listener::with(&wire.right, program(vec![ret(1)]));
    let none = Listener::with(&wire.right, program(vec![ret(0)]));
    Sender::new(&wire).send(&Ipv4::icmp(echo(1, 1, &[7; 56])).bytes());
    let heard = one.stop();
    assert_eq!(heard.events.len(), 1);
    assert_eq!(heard.events[0].as_ref().packet().len(), 84);
    assert_eq!(none.stop().summary.counters.matched, 0);
}

#[test]
fn a_program_ends_with_its_subscription() {
    const COUNT: usize = 20;
    let namespace = Namespace::new();
    // Each lies in pages of its own.
    let programs = || {
        let areas = fs::read_to_string("/proc/vmallocinfo").expect("vmallocinfo");
        areas.matches("bpf_prog_alloc").count()
    };
    let builder = Subscription::builder().filter_program(vec![ret(1)]);
    let builder = builder.expect("short enough");
    let before = programs();
    let subscriptions: Vec<_> = (0..COUNT)
        .map(|_| subscribe(&namespace, &builder))
        .collect();
    assert!(programs() >= before + COUNT);
    drop(subscriptions);
    wait_until("their programs are gone", || {
        programs() < before + COUNT / 2
    });
}

#[test]
fn sampling_takes_the_first_and_then_each_nth() {
    let wire = Wire::new();
    // One CPU, one stream, one count.
    stay_on_one_cpu();
    let sampling = Sampling { one_in: 3 };
    let builder = Subscription::builder().icmp_types(types(&[8]));
    let listener = Listener::with(&wire.right, builder.sampling(sampling));
    flood(&wire.left, Wire::RIGHT, 10);
    let heard = listener.stop();
    assert_eq!(echoes(&heard.events), [(8, 0), (8, 3), (8, 6), (8, 9)]);
    let Counters {
        matched,
        sampled_out,
        ..
    } = heard.summary.counters;
    assert_eq!((matched, sampled_out), (4, 6));
}

#[test]
fn what_is_beyond_the_rate_is_counted_as_lost() {
    const COUNT: u64 = 5_000;
    let wire = Wire::new();
    // One CPU, one stream, one count.
    stay_on_one_cpu();
    // Streams take one token at a time at a low rate, and several at a higher one.
    for rate in [100, 500] {
        let limit = RateLimit {
            per_second: rate as u32,
        };
        // Batches would stay open for longer than it takes to lose some.
        let builder = Subscription::builder()
            .icmp_types(types(&[8]))
            .flush_interval(FlushInterval { us: 50_000 });
        let listener = Listener::with(&wire.right, builder.rate_limit(limit));
        let start = Instant::now();
        flood(&wire.left, Wire::RIGHT, COUNT as u32);
        // A second's worth is there at first.
        let most = (rate as f64 * (1.0 + start.elapsed().as_secs_f64())).ceil() as u64;
        let heard = listener.stop();

        let counters = heard.summary.counters;
        assert_eq!(counters.matched, COUNT);
        assert_eq!(
            counters.matched,
            counters.delivered + counters.lost_ratelimit
        );
        // The stream may have kept some of what it took.
        let least = rate * 9 / 10;
        assert!(
            (least..=most).contains(&counters.delivered),
            "{least} to {most}: {counters:?}"
        );
        // A slow kernel may take its time for a flood.
        assert!(counters.delivered < COUNT || rate > 100, "{counters:?}");
        assert_eq!(heard.events.len() as u64, counters.delivered);
        let numbers = heard.events.iter().filter_map(|event| event.as_ref().seq());
        let pings = echoes(&heard.events);
        assert!(
            numbers.eq(pings.iter().map(|(_, seq)| u64::from(*seq))),
            "an event has another one's number"
        );
    }
}

#[test]
fn what_is_dropped_does_not_arrive() {
    let wire = Wire::new();
    let ping = || {
        let mut command = wire.left.command("ping -c 1 -W 1 10.0.0.2");
        output(&mut command).status.success()
    };
    let builder = Subscription::builder().icmp_types(types(&[8]));
    let listener = Listener::with(&wire.right, builder.verdict(Verdict::Drop));
    assert!(!ping(), "it is dropped");
    assert_eq!(listener.stop().events.len(), 1, "and seen");
    assert!(ping(), "it is dropped no more");
}

#[test]
fn every_netns_is_heard_from_one() {
    let (here, there) = (Wire::new(), Wire::new());
    let builder = Subscription::builder().icmp_types(types(&[8]));
    let own = Listener::with(&here.right, builder.clone());
    let all = Listener::with(&here.right, builder.all_netns(true));
    let later = Wire::new();
    for wire in [&here, &there, &later] {
        wire.left.run("ping -c 1 10.0.0.2");
    }
    let seen = |listener: Listener| -> Vec<u64> {
        let events = listener.stop().events.into_iter();
        events
            .map(|event| event.as_ref().netns().expect("tapped").0.into())
            .collect()
    };
    let right = [&here, &there, &later].map(|wire| wire.right.inode());
    assert_eq!(seen(own), right[..1]);
    assert_eq!(seen(all), right);
}

#[test]
fn what_is_in_force_is_told() {
    let namespace = Namespace::new();
    let builder = Subscription::builder()
        .icmp_types(types(&[0, 8]))
        .icmpv6_types(types(&[128]))
        .interface(IfIndex(1))
        .filter_program(vec![ret(1)])
        .expect("short enough")
        .sampling(Sampling { one_in: 7 })
        .rate_limit(RateLimit { per_second: 9 })
        .verdict(Verdict::Drop)
        .snaplen(Snaplen(0));
    let subscription = subscribe(&namespace, &builder);
    let parameters = subscription.parameters();
    assert_eq!(parameters.icmp_types, types(&[0, 8]));
    assert_eq!(parameters.icmpv6_types, types(&[128]));
    assert_eq!(parameters.interface, Some(IfIndex(1)));
    assert_eq!(parameters.filter_len, 1);
    assert_eq!(parameters.sampling, Sampling { one_in: 7 });
    assert_eq!(parameters.rate_limit, RateLimit { per_second: 9 });
    assert_eq!(parameters.verdict, Verdict::Drop);
    assert_eq!(parameters.snaplen, Snaplen(0));
    assert!(!parameters.all_netns);
    drop(subscription);

    let everywhere = subscribe(&namespace, &Subscription::builder().all_netns(true));
    assert!(everywhere.parameters().all_netns);
    drop(everywhere);

    let subscription = subscribe(&namespace, &Subscription::builder());
    let parameters = subscription.parameters();
    assert_eq!(parameters.icmp_types, TypeSet::ALL);
    assert_eq!(parameters.icmpv6_types, TypeSet::ALL);
    assert_eq!((parameters.interface, parameters.filter_len), (None, 0));
    assert_eq!(parameters.sampling, Sampling::ALL);
    assert_eq!(parameters.rate_limit, RateLimit::NONE);
    assert_eq!(parameters.verdict, Verdict::Accept);
    assert!(!parameters.all_netns);
}

#[test]
fn a_refused_option_is_named() {
    let namespace = Namespace::new();
    let refused = |builder: icmptap::Builder| {
        let error = namespace.enter(|| builder.subscribe()).map(drop);
        match error.unwrap_err() {
            Error::Refused { option, .. } => option.expect("an option"),
            other => panic!("{other}"),
        }
    };
    let builder = Subscription::builder;
    let zero = Sampling { one_in: 0 };
    assert_eq!(refused(builder().sampling(zero)), SubscribeOption::Sampling);
    assert_eq!(
        refused(builder().verdict(Verdict::Other(2))),
        SubscribeOption::Verdict
    );
    assert_eq!(
        refused(builder().snaplen(Snaplen(65_536))),
        SubscribeOption::Snaplen
    );
}

#[test]
fn subscriptions_are_listed_with_their_owners() {
    let (here, there) = (Namespace::new(), Namespace::new());
    let builder = Subscription::builder().snaplen(Snaplen(99));
    let _one = subscribe(&here, &builder.verdict(Verdict::Drop));
    let _two = subscribe(&here, &Subscription::builder());
    let _far = subscribe(&there, &Subscription::builder());
    let list = |all_netns| {
        here.enter(|| Client::open().expect("open").subscriptions(all_netns))
            .expect("a list")
    };
    let own = list(false);
    assert_eq!(own.len(), 2, "{own:?}");
    for subscription in &own {
        assert_eq!(u64::from(subscription.netns.0), here.inode());
        assert_eq!(subscription.pid, Some(Pid(std::process::id())));
        assert_eq!(subscription.protocol, Protocol::Generic);
        // Of the thread, or of the process: the kernel cuts it to 15 bytes.
        assert!(!subscription.command.is_empty());
    }
    assert_ne!(own[0].port, own[1].port);
    let with = |snaplen| {
        own.iter()
            .find(|s| s.parameters.snaplen == Snaplen(snaplen))
    };
    let one = with(99).expect("the first one");
    assert_eq!(one.parameters.verdict, Verdict::Drop);
    assert!(with(576).is_some(), "the second one");
    let inodes: Vec<u64> = list(true).iter().map(|s| s.netns.0.into()).collect();
    assert!(inodes.contains(&there.inode()), "{inodes:?}");
    assert_eq!(inodes.iter().filter(|i| **i == here.inode()).count(), 2);
}

/// As many as there may be: what is listed of 100 goes into one message of 32 KiB.
const MANY: usize = 128;

#[test]
fn a_long_list_comes_in_parts_and_whole() {
    let namespace = Namespace::new();
    let subscriptions: Vec<_> = (0..MANY)
        .map(|_| subscribe(&namespace, &Subscription::builder().receive_buffer(4096)))
        .collect();
    let list = namespace
        .enter(|| Client::open().expect("open").subscriptions(false))
        .expect("a list");
    let mut ports: Vec<u32> = list
        .iter()
        .map(|subscription| subscription.port.0)
        .collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), subscriptions.len());
}

/// Each subscription that listens everywhere is 4 bytes longer: so the first message
/// is full at another attribute each time, and after an entry's length at all of them.
#[test]
fn a_list_is_whole_wherever_a_message_is_full() {
    let namespace = Namespace::new();
    let subscribe = |everywhere| {
        let builder = Subscription::builder().receive_buffer(4096);
        subscribe(&namespace, &builder.all_netns(everywhere))
    };
    let mut long: Vec<_> = Vec::new();
    let mut short: Vec<_> = (0..MANY).map(|_| subscribe(false)).collect();
    let mut client = namespace.enter(Client::open).expect("open");
    loop {
        let list = client.subscriptions(false).expect("a list");
        let mut ports: Vec<u32> = list.iter().map(|one| one.port.0).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), MANY, "{} are long", long.len());
        // The first in the list: a new one is its last.
        if short.is_empty() {
            break;
        }
        drop(short.remove(0));
        long.push(subscribe(true));
    }
}

/// Who ends while a list is read moves those behind it forward in the list.
#[test]
fn a_list_that_changes_is_read_until_it_is_whole() {
    const COUNT: usize = 100;
    let _limit = Changed::parameter("max_per_netns", "200");
    let namespace = Namespace::new();
    let some = |snaplen| -> Vec<_> {
        let builder = Subscription::builder().receive_buffer(4096);
        let builder = builder.snaplen(Snaplen(snaplen));
        (0..COUNT)
            .map(|_| subscribe(&namespace, &builder))
            .collect()
    };
    let (going, _staying) = (some(1), some(2));
    let going = thread::spawn(|| going.into_iter().for_each(drop));
    while !going.is_finished() {
        let list = namespace.enter(|| Client::open().expect("open").subscriptions(false));
        let list = match list {
            Ok(list) => list,
            Err(Error::Changing { .. }) => continue,
            Err(other) => panic!("{other}"),
        };
        let mut ports: Vec<u32> = list
            .iter()
            .filter(|subscription| subscription.parameters.snaplen == Snaplen(2))
            .map(|subscription| subscription.port.0)
            .collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), COUNT);
    }
    going.join().expect("they end");
}

#[test]
fn statistics_are_the_sums_of_living_and_ended() {
    let wire = Wire::new();
    let stats = || {
        wire.right.enter(|| {
            let mut client = Client::open().expect("open");
            let stats = client.stats().expect("statistics");
            (stats, client.stats_per_cpu().expect("statistics"))
        })
    };
    let (before, cpus) = stats();
    assert_eq!(before.counters, Counters::default());
    assert_eq!(u64::from(before.netns.0), wire.right.inode());
    assert_eq!(
        cpus.len(),
        thread::available_parallelism().expect("CPUs").get()
    );

    let limited = Subscription::builder().rate_limit(RateLimit { per_second: 10 });
    let (one, two) = (
        Listener::start(&wire.right),
        Listener::with(&wire.right, limited),
    );
    // Of another namespace, whose own packets these are not.
    let elsewhere = Listener::with(&wire.left, Subscription::builder().all_netns(true));
    flood(&wire.left, Wire::RIGHT, 500);
    assert_eq!(stats().0.subscriptions, 2);
    let ended = one.stop().summary.counters;
    let (while_one_lives, _) = stats();
    assert_eq!(while_one_lives.subscriptions, 1);
    let other = two.stop().summary.counters;
    assert!(other.lost_ratelimit > 0, "{other:?}");

    let (after, cpus) = stats();
    assert_eq!(after.subscriptions, 0);
    assert_eq!(after.counters.matched, ended.matched + other.matched);
    assert_eq!(after.counters.delivered, ended.delivered + other.delivered);
    assert_eq!(after.counters.lost_ratelimit, other.lost_ratelimit);
    assert!(elsewhere.stop().summary.counters.matched >= 500);
    assert_eq!(after.counters.queued, 0);
    assert_eq!(
        after.counters.matched,
        after.counters.delivered + after.counters.lost()
    );
    let sum = |of: fn(&Counters) -> u64| cpus.iter().map(|cpu| of(&cpu.counters)).sum::<u64>();
    assert_eq!(sum(|counters| counters.matched), after.counters.matched);
    assert_eq!(sum(|counters| counters.delivered), after.counters.delivered);
    let numbers: Vec<u32> = cpus.iter().map(|cpu| cpu.cpu.0).collect();
    assert_eq!(numbers, (0..cpus.len() as u32).collect::<Vec<_>>());
}

#[test]
fn only_who_may_is_told() {
    let namespace = Namespace::new();
    let refused = namespace.enter_unprivileged(|| {
        let mut client = Client::open().expect("open");
        [
            client.stats().map(drop),
            client.stats_per_cpu().map(drop),
            client.subscriptions(false).map(drop),
            client.subscriptions(true).map(drop),
            client.info().map(drop),
        ]
    });
    let [asks @ .., info] = refused;
    for result in asks {
        assert!(
            matches!(result, Err(Error::NotPermitted { .. })),
            "{result:?}"
        );
    }
    info.expect("anyone may ask for it");
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

#[test]
fn tokio_waits_and_is_woken_by_events_and_by_a_stop() {
    let wire = Wire::new();
    let sender = Sender::new(&wire);
    let summary = wire.right.enter(|| {
        runtime().block_on(async {
            let builder = Subscription::builder().icmp_types(types(&[8]));
            let mut subscription = builder.subscribe_async().expect("subscribe");
            let nothing = tokio::time::timeout(Duration::from_millis(50), subscription.recv());
            assert!(nothing.await.is_err(), "it waits");

            // Of two tasks on one thread, one waits for the kernel.
            let ping = tokio::spawn(async move {
                for seq in 1..=3 {
                    sender.send(&Ipv4::icmp(echo(1, seq, b"x")).bytes());
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            });
            match subscription.recv().await.expect("receive") {
                Some(Item::Event(event)) => assert_eq!(event.packet()[27], 1),
                other => panic!("{other:?}"),
            }
            match poll_fn(|cx| Pin::new(&mut subscription).poll_next(cx)).await {
                Some(Ok(OwnedItem::Event(event))) => assert_eq!(event.as_ref().packet()[27], 2),
                other => panic!("{other:?}"),
            }
            ping.await.expect("the other task");

            let stopper = subscription.stopper();
            let stop = thread::spawn(move || {
                thread::sleep(Duration::from_millis(100));
                stopper.stop();
            });
            let mut rest = 0;
            while let Some(items) = subscription.recv_many().await.expect("receive") {
                match items {
                    Items::Events(events) => rest += events.count(),
                    Items::Lost(lost) => panic!("{lost:?}"),
                }
            }
            stop.join().expect("the thread");
            assert_eq!(rest, 1);
            subscription.finish().await.expect("finish")
        })
    });
    summary.audit().expect("both sides agree");
    assert_eq!(summary.received, 3);
}

#[test]
fn tokio_keeps_up_with_a_flood_and_lets_others_run() {
    let count = times(5_000, 1_000);
    let wire = Wire::new();
    let (listening, wait) = channel();
    let (events, summary) = thread::scope(|scope| {
        let left = &wire.left;
        scope.spawn(move || {
            let stopper: Stopper = wait.recv().expect("it listens");
            flood(left, Wire::RIGHT, count);
            stopper.stop();
        });
        wire.right.enter(move || {
            runtime().block_on(async {
                let builder = Subscription::builder().icmp_types(types(&[8]));
                let mut subscription = builder.subscribe_async().expect("subscribe");
                listening.send(subscription.stopper()).expect("the flood");
                let task = tokio::spawn(async move {
                    let mut events = 0;
                    while let Some(item) = subscription.recv().await.expect("receive") {
                        events += u64::from(matches!(item, Item::Event(_)));
                    }
                    (events, subscription.finish().await.expect("finish"))
                });
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                task.await.expect("the task")
            })
        })
    });
    summary.audit().expect("both sides agree");
    assert_eq!(summary.counters.matched, u64::from(count));
    assert_eq!(events + summary.counters.lost(), u64::from(count));
}
