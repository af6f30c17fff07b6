//! The law of conservation, where it is hard to keep: for each subscription
//! `matched == delivered + lost by cause`, `received == delivered`, and the gaps
//! in the sequence numbers are the losses, to the last event.

use std::thread;
use std::time::Duration;

use icmptap::{
    BatchSize, Builder, Client, FlushInterval, Hook, Hooks, Instruction, RateLimit, Sampling,
    Snaplen, Subscription, TypeSet, reply::Counters,
};
use icmptap_vm_tests::listen::{Listener, subscribe};
use icmptap_vm_tests::net::{Namespace, Wire};
use icmptap_vm_tests::packet::flood;
use icmptap_vm_tests::process::{Process, on_each_cpu, times, wait_until};
use rustix::process::Signal;

/// Floods from every CPU at once; returns how many packets that were.
fn flood_from_everywhere(wire: &Wire) -> u64 {
    let count = times(4_000, 1_500);
    let cpus = on_each_cpu(|| flood(&wire.left, Wire::RIGHT, count));
    u64::from(count) * cpus as u64
}

/// Takes packets whose sequence number is even.
fn even() -> Vec<Instruction> {
    let insn = |code, jt, jf, k| Instruction { code, jt, jf, k };
    vec![
        // ldh [26]; jset #1, odd; ret #1; odd: ret #0
        insn(0x28, 0, 0, 26),
        insn(0x45, 1, 0, 1),
        insn(0x06, 0, 0, 1),
        insn(0x06, 0, 0, 0),
    ]
}

/// Sixteen that want different things, each with the share of the packets that
/// pass a hook once that it has to match or to pass over by sampling.
fn sixteen(smallest: BatchSize) -> Vec<(Builder, u64, u64)> {
    let new = Subscription::builder;
    let types = |types: &[u8]| types.iter().copied().collect::<TypeSet>();
    let hooks = |hooks: &[Hook]| hooks.iter().copied().collect::<Hooks>();
    let both = hooks(&[Hook::Prerouting, Hook::Input]);
    let program = |builder: Builder| builder.filter_program(even()).expect("short");
    vec![
        (new(), 1, 1),
        (new().snaplen(Snaplen(0)), 1, 1),
        (new().snaplen(Snaplen(65_535)), 1, 1),
        (new().flush_interval(FlushInterval { us: 0 }), 1, 1),
        (new().receive_buffer(4096), 1, 1),
        (new().batch(BatchSize(65_000)), 1, 1),
        (new().batch(smallest), 1, 1),
        (new().icmp_types(types(&[8])), 1, 1),
        (new().icmp_types(types(&[0, 3, 11])), 0, 1),
        (new().hooks(both), 2, 1),
        (new().sampling(Sampling { one_in: 7 }), 1, 1),
        (new().rate_limit(RateLimit { per_second: 50 }), 1, 1),
        (
            new()
                .rate_limit(RateLimit { per_second: 20_000 })
                .hooks(both),
            2,
            1,
        ),
        (program(new()), 1, 2),
        (program(new().sampling(Sampling { one_in: 3 })), 1, 2),
        (
            program(new().hooks(both))
                .receive_buffer(8192)
                .sampling(Sampling { one_in: 2 })
                .rate_limit(RateLimit { per_second: 100 }),
            1,
            1,
        ),
    ]
}

#[test]
fn sixteen_filters_at_once_on_every_cpu() {
    let wire = Wire::new();
    let info = wire.right.enter(|| Client::open()?.info()).expect("info");
    let listeners: Vec<_> = sixteen(info.batch_min)
        .into_iter()
        .map(|(builder, times, of)| (Listener::with(&wire.right, builder), times, of))
        .collect();
    let sent = flood_from_everywhere(&wire);
    let mut causes = [0; 3];
    for (nth, (listener, times, of)) in listeners.into_iter().enumerate() {
        let counters = listener.stop().lawful(&format!("subscription {nth}"));
        let seen = counters.matched + counters.sampled_out;
        assert_eq!(seen * of, sent * times, "subscription {nth}: {counters:?}");
        causes[0] += counters.lost_overrun;
        causes[1] += counters.lost_ratelimit;
        causes[2] += counters.sampled_out;
    }
    assert!(causes.iter().all(|count| *count > 0), "{causes:?}");
}

#[test]
fn a_reader_that_takes_its_time_loses_and_knows_what() {
    let wire = Wire::new();
    let builder = Subscription::builder()
        .receive_buffer(16 * 1024)
        .flush_interval(FlushInterval { us: 0 });
    let listener = Listener::slow(&wire.right, builder, Duration::from_millis(1));
    let sent = flood_from_everywhere(&wire);
    let counters = listener.stop().lawful("a slow reader");
    assert_eq!(counters.matched, sent);
    assert!(
        counters.lost_overrun > 0 && counters.delivered > 0,
        "{counters:?}"
    );
}

fn stats(namespace: &Namespace) -> (u32, Counters) {
    let stats = namespace.enter(|| Client::open()?.stats()).expect("stats");
    (stats.subscriptions, stats.counters)
}

/// Nobody is left to ask those that were killed; the namespace remembers.
#[test]
fn who_is_killed_in_a_flood_is_accounted_for() {
    let wire = Wire::new();
    let steady = Listener::start(&wire.right);
    thread::scope(|scope| {
        let flood = scope.spawn(|| flood_from_everywhere(&wire));
        while !flood.is_finished() {
            let victims: Vec<_> = ["", "--rcvbuf 4K", "--rate 10 -o json", "--sample 3"]
                .iter()
                .map(|options| {
                    let words = format!("icmptap listen {options}");
                    Process::start(wire.right.command(&words))
                })
                .collect();
            victims.iter().for_each(|victim| {
                victim.wait_for("listening on");
            });
            for victim in victims {
                victim.end_by(Signal::KILL);
            }
        }
        let sent = flood.join().expect("the flood");
        let counters = steady.stop().lawful("the steady one");
        assert_eq!(counters.matched, sent);
    });
    wait_until("nobody is left", || stats(&wire.right).0 == 0);
    let (_, counters) = stats(&wire.right);
    assert_eq!(counters.queued, 0);
    assert_eq!(
        counters.matched,
        counters.delivered + counters.lost_overrun + counters.lost_nomem + counters.lost_ratelimit,
        "{counters:?}"
    );
}

#[test]
fn namespaces_come_and_go_in_a_flood() {
    let wire = Wire::new();
    let builder = Subscription::builder().all_netns(true);
    let everywhere = Listener::with(&wire.right, builder);
    let sent = thread::scope(|scope| {
        let flood = scope.spawn(|| flood_from_everywhere(&wire));
        while !flood.is_finished() {
            let other = Wire::new();
            // A request may be lost in the flood, before a hook: then the next counts.
            other.left.run("ping -c 1 -w 60 10.0.0.2");
        }
        flood.join().expect("the flood")
    });
    let heard = everywhere.stop();
    let counters = heard.lawful("everywhere");
    // And the replies of the left end's kernel to nobody, and the pings.
    assert!(counters.matched > sent, "{counters:?}");
    let in_right = heard
        .events
        .iter()
        .filter(|event| {
            event
                .as_ref()
                .netns()
                .is_some_and(|netns| u64::from(netns.0) == wire.right.inode())
        })
        .count() as u64;
    assert!(in_right <= sent);
    assert!(in_right + counters.lost() >= sent, "{counters:?}");
}

#[test]
fn what_is_batched_when_the_reader_dies_is_lost_and_counted() {
    let wire = Wire::new();
    let builder = Subscription::builder().flush_interval(FlushInterval { us: 1_000_000 });
    let subscription = subscribe(&wire.right, &builder);
    flood(&wire.left, Wire::RIGHT, 10);
    let (living, before) = stats(&wire.right);
    assert_eq!(living, 1);
    assert!(before.queued > 0, "{before:?}");
    drop(subscription);
    wait_until("it is gone", || stats(&wire.right).0 == 0);
    let (_, after) = stats(&wire.right);
    assert_eq!(after.matched, 10);
    assert_eq!(after.queued, 0);
    assert_eq!(after.lost_overrun, before.queued, "the batch is lost");
    assert_eq!(after.delivered, before.delivered);
}
