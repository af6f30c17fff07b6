//! What is around the subscriptions: others' hooks, namespaces, the module itself.

use std::fs;
use std::ops::RangeInclusive;
use std::thread;
use std::time::{Duration, Instant};

use icmptap::{Client, Family, Hook, Subscription};
use icmptap_proto::request::{self, SubscribeOptions};
use icmptap_sys as abi;
use icmptap_vm_tests::fault::{self, Quiet, Stack, Watch, Which, nth};
use icmptap_vm_tests::listen::Listener;
use icmptap_vm_tests::module::{self, Changed, Module};
use icmptap_vm_tests::net::{Namespace, Wire, try_new_namespace};
use icmptap_vm_tests::netlink::Socket;
use icmptap_vm_tests::probe;
use icmptap_vm_tests::process::wait_until;
use rustix::io::Errno;

use crate::asker::{Asker, Ending};
use crate::tally::{self, Tally};
use crate::{assert_living, assert_sound};

/// Has somebody else's hook where ours are.
fn add_hook(namespace: &Namespace) {
    namespace.run("nft add table ip t");
    namespace.run("nft add chain ip t c { type filter hook prerouting priority 0 ; }");
}

/// A subscription ends, and the others' hooks would have to move.
pub(crate) fn hooks_of_others(watch: &Watch, tally: &mut Tally) {
    let wire = Wire::new();
    add_hook(&wire.right);
    wire.right.enter(|| {
        let mut asker = Asker::new(abi::NETLINK_GENERIC);
        let family = asker.family();
        let subscribe = request::subscribe(family, 2, &SubscribeOptions::default());
        let unsubscribe = request::unsubscribe(family, 3);
        asker.each(
            (watch, tally),
            "UNSUBSCRIBE beside another's hook",
            &unsubscribe,
            |asker| assert_eq!(asker.ask(&subscribe), Ending::Done),
            |asker, ending| {
                if ending.is_refused() {
                    assert_eq!(asker.ask(&unsubscribe), Ending::Done);
                }
                assert_living(0, 0);
            },
        );
    });
    assert_sound(&wire);
}

/// The numbers, from 1, of those of `stacks` that `are_meant`, and of all between
/// them. A few more at each end: what the kernel watches itself with takes memory
/// now and then only.
fn span(stacks: &[Stack], are_meant: impl Fn(&Stack) -> bool) -> RangeInclusive<u32> {
    const MORE: u32 = 3;
    let first = stacks.iter().position(&are_meant).expect("one");
    let last = stacks.iter().rposition(&are_meant).expect("one");
    (first as u32 + 1).saturating_sub(MORE).max(1)..=(last as u32 + 1) + MORE
}

/// Hooks that the only subscription there is has nowhere to see by.
fn taps_missing() -> u32 {
    let list = Client::open().and_then(|mut client| client.subscriptions(true));
    let [subscription] = &list.expect("a list")[..] else {
        panic!("one subscription");
    };
    subscription.taps_missing
}

/// A namespace is made while somebody listens everywhere. It is made without our hooks,
/// too: that is told.
pub(crate) fn a_namespace_is_made(watch: &Watch, tally: &mut Tally) {
    let namespace = Namespace::new();
    let everywhere = Subscription::builder()
        .all_netns(true)
        .hooks(Hook::ALL)
        .families(Family::ALL);
    let listener = Listener::with(&namespace, everywhere);
    let on_a_thread = |nth_one: u32| {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let (result, left) = nth(nth_one, try_new_namespace);
                (result, left, taps_missing())
            });
            thread.join().expect("a thread")
        })
    };

    let (made, stacks) = thread::scope(|scope| {
        let thread = scope.spawn(|| watch.dry(try_new_namespace));
        thread.join().expect("a thread")
    });
    made.expect("a namespace");
    let span = span(&stacks, |stack| stack.in_module().is_some());
    println!(
        "measured: a namespace is made: {} allocations, {span:?} are the module's",
        stacks.len()
    );

    let mut told = 0;
    // How many allocations the kernel makes before ours is not always the same: so from a
    // little earlier on, and until each of the ten hooks was met.
    for count in span.start().saturating_sub(10).max(1).. {
        if told >= 10 && count > *span.end() {
            break;
        }
        assert!(count < span.end() + 100, "{told} of ten hooks were met");
        // Or it would be told of once more.
        wait_until("the namespace before has ended", || taps_missing() == 0);
        let ((result, left, missing), stacks) = watch.during(|| on_a_thread(count));
        tally.add(&stacks);
        let is_refused =
            |stack: &&Stack| stack.has("nf_register_net_hook") && !tally::watches_itself(stack);
        let refused = stacks.iter().filter(is_refused).count() as u32;
        match result {
            // Its other hooks are there.
            Ok(()) => assert_eq!(missing, refused, "{stacks:?}"),
            Err(Errno::NOMEM) => assert_eq!((left, missing), (0, 0), "without a reason"),
            Err(error) => panic!("{error}"),
        }
        // Never two at once.
        assert!(missing <= 1, "{missing}");
        told += missing;
        assert_living(1, 0);
    }
    wait_until("those namespaces have ended", || taps_missing() == 0);

    let other = Namespace::new();
    other.run("ping -c 1 127.0.0.1");
    let heard = listener.stop();
    let there = |netns: u32| u64::from(netns) == other.inode();
    let events = heard
        .events
        .iter()
        .map(|event| event.as_ref().netns().expect("tapped").0);
    // Out and in, request and reply, at two hooks each.
    assert_eq!(events.filter(|netns| there(*netns)).count(), 8);
    assert_living(0, 0);
}

/// A namespace ends in which others' hooks are, while somebody listens everywhere.
/// The kernel ends it in a thread of its own.
pub(crate) fn a_namespace_ends(watch: &Watch, tally: &mut Tally) {
    const OURS: &str = "exit_taps";
    /// Then another thread has done it, and we try again.
    const PATIENCE: Duration = Duration::from_secs(3);
    const NO_SLABS: Which = Which {
        slab: 100,
        ..Which::NONE
    };
    let wire = Wire::new();
    // After nf_tables, whose hooks would be gone before ours otherwise.
    add_hook(&wire.left);
    module::reload("");
    let everywhere = Subscription::builder().all_netns(true);
    let listener = Listener::with(&wire.right, everywhere);
    for _ in 0..20 {
        let other = Namespace::new();
        add_hook(&other);
        let ((), stacks) = watch.during(|| {
            without_memory(&workers("kworker/u"), NO_SLABS, || {
                drop(other);
                let start = Instant::now();
                while !probe::reports().contains(OURS) && start.elapsed() < PATIENCE {
                    thread::sleep(Duration::from_millis(50));
                }
            });
        });
        tally.add(&stacks);
        if stacks.iter().any(|stack| stack.has(OURS)) {
            break;
        }
    }
    listener.stop();
    assert_sound(&wire);
}

/// Has allocations of these tasks fail while `act` does something.
fn without_memory(tasks: &[String], which: Which, act: impl FnOnce()) {
    let all = |fail| {
        for task in tasks {
            // Who has ended meanwhile cannot be told.
            let _ = fault::make_it_fail(task, fail);
        }
    };
    which.set();
    all(true);
    act();
    all(false);
    Which::NONE.set();
}

/// The kernel's threads whose name begins so.
fn workers(beginning: &str) -> Vec<String> {
    let tasks = fs::read_dir("/proc").expect("/proc");
    tasks
        .map(|task| task.expect("a task").file_name())
        .filter_map(|task| task.into_string().ok())
        .filter(|task| {
            fs::read_to_string(format!("/proc/{task}/comm"))
                .is_ok_and(|name| name.starts_with(beginning))
        })
        .collect()
}

/// Subscriptions, until memory for each CPU needs new pages. The allocator of that
/// has no fault injection of its own.
pub(crate) fn per_cpu_memory(watch: &Watch, tally: &mut Tally) {
    const MANY: usize = 4_000;
    const NO_PAGES: Which = Which {
        pages: 100,
        order: 0,
        ..Which::NONE
    };
    let _limits = [
        Changed::parameter("max_per_netns", "1000000"),
        Changed::parameter("max_per_user", "1000000"),
    ];
    let wire = Wire::new();
    wire.right.enter(|| {
        let family = Asker::new(abi::NETLINK_GENERIC).family();
        let subscribe = request::subscribe(family, 2, &SubscribeOptions::default());
        let mut sockets = Vec::with_capacity(MANY + 32);
        let mut failed = false;
        // See fault::all().
        let first = Socket::open(abi::NETLINK_GENERIC);
        fault::all(|| first.send(&subscribe)).expect("send");
        sockets.push(first);
        while !failed && sockets.len() < MANY {
            // Which would have new pages there before they are needed.
            let ((), stacks) = watch.during(|| {
                without_memory(&workers("kworker/"), NO_PAGES, || {
                    for _ in 0..16 {
                        let before = module::references();
                        let socket = Socket::open(abi::NETLINK_GENERIC);
                        fault::all(|| socket.send(&subscribe)).ok();
                        // Most have failed for other memory, which would never
                        // be there if it always failed.
                        if module::references() == before {
                            socket.send(&subscribe).expect("send");
                        }
                        sockets.push(socket);
                    }
                });
            });
            tally.add(&stacks);
            failed = stacks
                .iter()
                .any(|stack| stack.has("icmptap_streams_init") && stack.has("pcpu_alloc"));
        }
        println!(
            "measured: per-CPU memory needed new pages after {} subscriptions",
            sockets.len()
        );
        // Those that were refused were not at the second try.
        assert_living(sockets.len(), 0);
    });
    wait_until("all are gone", || module::references() == 0);
    assert_sound(&wire);
}

/// A module is loaded, and unloaded. Beside icmptap, icmptap_imp2 is not there: it would
/// hold it.
pub(crate) fn in_and_out(module: Module, watch: &Watch, quiet: &mut Quiet, tally: &mut Tally) {
    let wire = Wire::new();
    module::unload();
    if module == module::IMP2 {
        module::ICMPTAP.load("");
    }
    let (loaded, stacks) = watch.dry(|| module.try_load(""));
    loaded.expect("load");
    let span = span(&stacks, |stack| stack.has("do_one_initcall"));
    println!(
        "measured: load {}: {} allocations, {span:?} are the module's",
        module.name,
        stacks.len()
    );

    // The module's functions have no names any more when it is gone.
    quiet.stacks();
    fault::say_what_fails(true);
    let mut refused = 0;
    module.unload();
    for count in span {
        let (result, left) = nth(count, || module.try_load(""));
        tally.add(&quiet.stacks());
        if let Err(error) = result {
            assert_eq!((error, left), (Errno::NOMEM, 0));
            assert!(!module.is_loaded());
            refused += 1;
        } else {
            assert_living(0, 0);
            module.unload();
        }
    }
    assert!(refused > 3, "{refused}");
    module.load("");
    assert_sound(&wire);

    for count in 1.. {
        let (result, left) = nth(count, || module.try_unload());
        tally.add(&quiet.stacks());
        // There is no way to refuse any more.
        result.expect("unload");
        assert!(!module.is_loaded());
        module.load("");
        if left > 0 {
            println!(
                "measured: unload {}: {} allocations",
                module.name,
                count - 1
            );
            break;
        }
    }
    fault::say_what_fails(false);
    assert_sound(&wire);
    if module == module::ICMPTAP {
        module::IMP2.load("");
    }
}
