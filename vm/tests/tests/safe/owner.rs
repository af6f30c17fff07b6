//! A subscription is its socket's, and not a number's: it ends with it, once, whoever
//! has the port id by then.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use icmptap::reply::SubscriptionInfo;
use icmptap::{Client, FlushInterval, Hook, Subscription, Verdict};
use icmptap_proto::request::{self, SubscribeOptions};
use icmptap_vm_tests::fire::asker::family;
use icmptap_vm_tests::module::{self, Changed};
use icmptap_vm_tests::net::Namespace;
use icmptap_vm_tests::packet::in_a_flood;
use icmptap_vm_tests::process::{Process, output, patience, wait_until};
use icmptap_vm_tests::subscriber::Subscriber;
use rustix::io::Errno;
use rustix::process::Signal;

/// Nothing of a kernel's own: it chooses 1 to 4,194,304 (a process id), or what is
/// negative as a signed number.
const PORT: u32 = 1 << 30;

const ROUNDS: u32 = 30;

/// Everything that comes in, and nothing of it goes on.
fn deaf() -> SubscribeOptions {
    let mut options = SubscribeOptions::default();
    options.hooks = Some([Hook::Input].into());
    options.verdict = Some(Verdict::Drop);
    options
}

/// Binds a port id as soon as it is free.
fn bind(family: u16, port: u32) -> Subscriber {
    loop {
        match Subscriber::open_at(family, port) {
            Ok(subscriber) => return subscriber,
            Err(Errno::ADDRINUSE) => thread::yield_now(),
            Err(error) => panic!("bind: {error}"),
        }
    }
}

/// Binds a port id as soon as it is free, and subscribes.
fn subscribed(family: u16, port: u32) -> Subscriber {
    let mut subscriber = bind(family, port);
    let asked = subscriber.subscribe(&deaf());
    assert!(asked.is_done(), "{asked:?}");
    subscriber
}

/// How it was before anything was done to it.
struct Before {
    references: u32,
}

impl Before {
    fn note() -> Self {
        Self {
            references: module::references(),
        }
    }

    /// Nobody is left, and nothing of them.
    fn comes_back(self, namespace: &Namespace) {
        let client = || namespace.enter(Client::open).expect("open");
        let left = || client().subscriptions(false).expect("a list");
        let start = Instant::now();
        while !left().is_empty() {
            let waited = start.elapsed();
            assert!(waited < patience(), "without a socket: {:#?}", left());
            thread::sleep(Duration::from_millis(20));
        }
        let stats = client().stats().expect("stats");
        let counters = stats.counters;
        assert_eq!(stats.subscriptions, 0);
        assert_eq!(counters.queued, 0, "{counters:?}");
        assert_eq!(
            counters.matched,
            counters.delivered + counters.lost(),
            "{counters:?}"
        );
        wait_until("nobody holds the module more than before", || {
            module::references() == self.references
        });
        let ping = output(&mut namespace.command("ping -c 3 -i 0.05 -W 1 127.0.0.1"));
        assert!(ping.status.success(), "somebody still drops: {ping:?}");
        // What the limits have room for, they had room for before.
        let _netns = Changed::parameter("max_per_netns", "1");
        let _user = Changed::parameter("max_per_user", "1");
        let subscription = namespace.enter(|| Subscription::builder().subscribe());
        subscription
            .expect("room")
            .finish()
            .expect("finish")
            .audit()
            .expect("both sides agree");
    }
}

#[test]
fn a_port_id_is_taken_again_while_its_subscription_ends() {
    let family = family();
    let namespace = Namespace::new();
    let before = Before::note();
    for round in 0..ROUNDS {
        let port = PORT + round;
        namespace.enter(|| {
            let first = subscribed(family, port);
            thread::scope(|scope| {
                scope.spawn(move || drop(first));
                drop(subscribed(family, port));
            });
        });
    }
    before.comes_back(&namespace);
}

#[test]
fn many_threads_want_one_port_id() {
    let family = family();
    let namespace = Namespace::new();
    let before = Before::note();
    let taken = AtomicU32::new(0);
    namespace.enter(|| {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..ROUNDS / 2 {
                        drop(subscribed(family, PORT));
                        taken.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
    });
    assert_eq!(taken.into_inner(), 4 * (ROUNDS / 2));
    before.comes_back(&namespace);
}

/// The next one only has the port id, and no subscription; or a subscription that it
/// keeps, which the end of the first must not end.
#[test]
fn who_has_the_port_id_next_keeps_what_is_theirs() {
    let family = family();
    let namespace = Namespace::new();
    let before = Before::note();
    for round in 0..ROUNDS {
        let port = PORT + round;
        namespace.enter(|| {
            let first = subscribed(family, port);
            let mut second = thread::scope(|scope| {
                scope.spawn(move || drop(first));
                match round % 2 {
                    0 => bind(family, port),
                    _ => subscribed(family, port),
                }
            });
            let asked = second.ask(request::flush);
            match round % 2 {
                0 => assert_eq!(asked.errno(), Some(Errno::NOENT), "{asked:?}"),
                _ => assert!(asked.is_done(), "{asked:?}"),
            }
        });
    }
    before.comes_back(&namespace);
}

#[test]
fn a_killed_process_s_port_id_is_taken_by_another_process() {
    let family = family();
    let namespace = Namespace::new();
    let before = Before::note();
    for _ in 0..ROUNDS / 3 {
        let words = "icmptap listen --hook input --drop";
        let process = Process::start(namespace.command(words));
        process.wait_for("listening on");
        let mut client = namespace.enter(Client::open).expect("open");
        let list = client.subscriptions(false).expect("a list");
        let of_process = |it: &&SubscriptionInfo| it.pid.is_some_and(|pid| pid.0 == process.id());
        let port = list.iter().find(of_process).expect("it is there").port.0;
        namespace.enter(|| {
            thread::scope(|scope| {
                let next = scope.spawn(|| drop(subscribed(family, port)));
                process.end_by(Signal::KILL);
                next.join().expect("the next one");
            });
        });
    }
    before.comes_back(&namespace);
}

/// What holds a socket's file while it sends must let go of it although every CPU sends
/// all the time, as those do whose messages are dear. (By chance they did, on few CPUs:
/// `--smp 4` shows more.)
#[test]
fn a_closed_socket_is_released_while_every_cpu_sends() {
    let family = family();
    let namespace = Namespace::new();
    let before = Before::note();
    let mut options = SubscribeOptions::default();
    options.flush_interval = Some(FlushInterval { us: 0 });
    in_a_flood(&namespace, || {
        let mut reader = namespace.enter(|| Subscriber::open(family));
        let asked = reader.subscribe(&options);
        assert!(asked.is_done(), "{asked:?}");
        // The memory that a socket may have for its filter is the host's setting, or in
        // newer kernels each namespace's.
        let raise = || fs::write("/proc/sys/net/core/optmem_max", "1000000");
        assert!(raise().is_ok() | namespace.enter(raise).is_ok());
        reader.drop_at_length();
        thread::sleep(Duration::from_millis(500));
        drop(reader);
        let start = Instant::now();
        wait_until("nobody holds the module more than before", || {
            module::references() == before.references
        });
        println!("measured: it ended {:?} after its socket", start.elapsed());
    });
    before.comes_back(&namespace);
}
