//! From a `ping` in one network namespace to events in another.

use std::time::{Duration, SystemTime};

use icmptap::Hook;
use icmptap::event::Event;
use icmptap::icmp::{Body, Echo};
use icmptap_vm_tests::listen::Listener;
use icmptap_vm_tests::net::Wire;
use icmptap_vm_tests::process::Process;
use rustix::process::Signal;

const COUNT: u16 = 5;

/// What `ping -c 5` makes at one end: one event per packet that arrives there,
/// and nothing else.
fn check(events: &[Event], icmp_type: u8, from: std::net::Ipv4Addr, to: std::net::Ipv4Addr) {
    let echoes: Vec<Echo> = events
        .iter()
        .map(|event| {
            let event = event.as_ref();
            assert_eq!(event.src(), Some(from.into()));
            assert_eq!(event.dst(), Some(to.into()));
            assert_eq!(event.hook(), Some(Hook::Prerouting));
            assert_eq!(event.icmp_type_and_code(), Some((icmp_type, 0)));
            assert_eq!(event.original_len(), 84);
            assert_eq!(event.packet().len(), 84);
            assert!(!event.is_truncated() && !event.is_fragment() && !event.is_malformed());
            assert_eq!(event.mark(), Some(0));
            assert_eq!(event.vlan(), None);
            assert_eq!(event.oif(), None);
            match event.icmp().expect("ICMP").body {
                Body::Echo(echo) => echo,
                body => panic!("{body:?}"),
            }
        })
        .collect();

    let seqs: Vec<u16> = echoes.iter().map(|echo| echo.seq).collect();
    assert_eq!(seqs, (1..=COUNT).collect::<Vec<_>>());
    assert!(echoes.iter().all(|echo| echo.id == echoes[0].id));
}

#[test]
fn requests_and_replies_each_arrive_once() {
    let wire = Wire::new();
    let left = Listener::start(&wire.left);
    let right = Listener::start(&wire.right);
    let tcpdump = Process::start(
        wire.right
            .command("tcpdump -Z root -n -i eth0 -Q in --immediate-mode -l icmp"),
    );
    tcpdump.wait_for("listening on eth0");

    let before = SystemTime::now();
    wire.left.run("ping -c 5 -i 0.1 10.0.0.2");
    let after = SystemTime::now();

    let seen = tcpdump.take(usize::from(COUNT));
    let (_, mut more, _) = tcpdump.end_by(Signal::INT);
    // It ends with an empty line.
    more.retain(|line| !line.is_empty());
    assert!(more.is_empty(), "tcpdump saw more: {more:?}");
    let (left, right) = (left.stop(), right.stop());

    assert_eq!(right.events.len(), seen.len(), "tcpdump saw {seen:?}");
    check(&right.events, 8, Wire::LEFT, Wire::RIGHT);
    check(&left.events, 0, Wire::RIGHT, Wire::LEFT);

    for (heard, namespace) in [(&left, &wire.left), (&right, &wire.right)] {
        assert_eq!(heard.lost, 0);
        let index = namespace.interface("eth0");
        for event in &heard.events {
            let event = event.as_ref();
            assert_eq!(event.iif().map(|index| index.0), Some(index));
            assert_eq!(
                event.netns().map(|netns| netns.0.into()),
                Some(namespace.inode())
            );
            assert!(
                (before..=after).contains(&event.time()),
                "{:?}",
                event.time()
            );
        }
        let times: Vec<u64> = heard
            .events
            .iter()
            .map(|event| event.as_ref().time_ns())
            .collect();
        // The first request waits until its receiver's address is known.
        let gaps = times[1..]
            .windows(2)
            .map(|pair| Duration::from_nanos(pair[1] - pair[0]));
        assert!(
            gaps.clone().all(|gap| gap > Duration::from_millis(50)),
            "pings were 100 ms apart, events: {:?}",
            gaps.collect::<Vec<_>>()
        );
    }
}

#[test]
fn a_namespace_hears_only_its_own() {
    let (one, two) = (Wire::new(), Wire::new());
    let listener = Listener::start(&one.right);
    two.left.run("ping -c 2 -i 0.1 10.0.0.2");
    one.left.run("ping -c 1 10.0.0.2");
    assert_eq!(listener.stop().events.len(), 1);
}

#[test]
fn what_goes_out_is_not_seen_at_prerouting() {
    let wire = Wire::new();
    let listener = Listener::start(&wire.left);
    // Nobody answers there.
    let status = wire.left.command("ping -c 1 -W 1 10.0.0.99").status();
    assert!(!status.expect("ping").success());
    let events = listener.stop().events;
    assert!(
        events
            .iter()
            .all(|event| event.as_ref().src() == Some(Wire::LEFT.into())
                && event.as_ref().icmp_type_and_code() == Some((3, 1))),
        "only our own host-unreachable, over lo: {events:?}"
    );
}
