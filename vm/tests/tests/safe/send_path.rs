//! What the module sends comes back to it, as ICMP (`trap` says how): on the stack of the
//! call that sends it, and with each event's message again. The loop never ends by itself.
//!
//! A hook that sends hangs here, on a lock of its own or on a qdisc's. Whoever ends a
//! subscription ends its loop.

use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use icmptap::reply::Counters;
use icmptap::{
    BatchSize, Builder, Client, FlushInterval, Hook, Hooks, Item, Received, Subscription, TypeSet,
    Verdict,
};
use icmptap_vm_tests::listen::subscribe;
use icmptap_vm_tests::module;
use icmptap_vm_tests::net::{Namespace, Wire, as_foreigner, load_modules};
use icmptap_vm_tests::packet::{Pinger, echo};
use icmptap_vm_tests::process::{
    Process, SetWhenDropped, command, is_slow, on_each_cpu, output, patience, times, wait_until,
};
use icmptap_vm_tests::trap::{self, INTO_TUNNEL, NLMON, TUNNEL, copies};
use rustix::process::Signal;

/// As many of its own messages as come back before we believe that it does no harm.
const ENOUGH: u64 = 300;

fn hooks(hooks: &[Hook]) -> Hooks {
    hooks.iter().copied().collect()
}

/// Each event leaves by itself.
fn at_once() -> Builder {
    Subscription::builder().flush_interval(FlushInterval { us: 0 })
}

/// Pings itself, again and again, until `work` is done: what feeds a loop again if a
/// message that finds no room has ended it.
fn with_pings<T: Send>(here: &Namespace, size: usize, work: impl FnOnce() -> T + Send) -> T {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let pinger = Pinger::new(here);
            let message = echo(1, 1, &vec![0; size]);
            while !is_over.load(Ordering::Relaxed) {
                pinger.send(&message, &[]);
                thread::sleep(Duration::from_millis(1));
            }
        });
        // Or the scope would wait for the pings forever.
        let _end = SetWhenDropped(&is_over);
        work()
    })
}

/// Listens until it has heard `enough` ICMP errors, which are what its own messages
/// cause, or until it is told that it is over; then ends the subscription, in the middle
/// of it, and checks that nothing is missing. With `flush`, it asks for one all the time.
fn hear(mut subscription: Subscription, enough: u64, flush: bool) -> Counters {
    let start = Instant::now();
    let (mut errors, mut lost) = (0, 0);
    while errors < enough {
        assert!(
            start.elapsed() < patience(),
            "{errors} of {enough} came back"
        );
        if flush {
            // Its answer may find no room.
            let _ = subscription.flush();
        }
        loop {
            let until = match flush {
                true => Instant::now(),
                false => Instant::now() + Duration::from_millis(100),
            };
            match subscription.recv_before(until).expect("receive") {
                Received::Item(Item::Event(event)) => {
                    let is_error = event
                        .icmp_type_and_code()
                        .is_some_and(|(icmp, _)| icmp == 3);
                    errors += u64::from(is_error);
                }
                Received::Item(Item::Lost(gap)) => lost += gap.count,
                Received::TimedOut => break,
                Received::Ended => panic!("nobody ended it"),
            }
            if errors >= enough {
                break;
            }
        }
    }
    lawful(subscription, lost)
}

/// Ends a subscription, and checks that both sides agree to the last event.
fn lawful(subscription: Subscription, lost: u64) -> Counters {
    let summary = subscription.finish().expect("finish");
    summary.audit().expect("both sides agree");
    let counters = summary.counters;
    assert_eq!(counters.queued, 0, "{summary}");
    assert_eq!(counters.lost_nomem, 0, "{summary}");
    assert!(lost <= counters.lost(), "{summary}");
    counters
}

/// And when nobody listens any more, nobody holds the module.
fn all_ended() {
    wait_until("nobody holds the module", || module::references() == 0);
}

fn stdout_of(status: ExitStatus, out: &[String], err: &[String]) -> String {
    format!("{status}\n{}\n{}", out.join("\n"), err.join("\n"))
}

/// As anybody may who has a user namespace: the attack as it was found.
#[test]
fn a_user_leads_what_we_send_into_a_tunnel() {
    trap::load();
    let script = format!(
        "set -e\n\
         ip link set lo up\n\
         ip -batch - <<.\n{NLMON}{TUNNEL}.\n\
         tc -batch - <<.\n{}.\n\
         echo ready >&2\n\
         exec icmptap listen --hook output --flush-interval 0 -n -c {ENOUGH}\n",
        copies(INTO_TUNNEL)
    );
    let mut command = as_foreigner();
    // Not busybox's shell, which has an `ip` of its own.
    command.args(["/bin/sh", "-c", &script]);
    let listener = Process::start(command);
    listener.wait_for("listening on");
    // It may be lost: its socket hears all the errors, too, and has no room for them.
    let enter = format!("nsenter --net=/proc/{}/ns/net", listener.id());
    output(&mut self::command(&format!(
        "{enter} ping -c 1 -W 1 127.0.0.1"
    )));
    let (status, out, err) = listener.end();
    let said = stdout_of(status, &out, &err);
    assert!(status.success(), "{said}");
    assert_eq!(out.len() as u64, ENOUGH, "{said}");
    let errors = out.iter().filter(|line| line.contains("192.0.2.1")).count();
    assert!(errors as u64 > ENOUGH / 2, "{said}");
    all_ended();
}

/// Each of hundreds of `nlmon` devices has its copy of each message: who ends, and waits
/// for what is queued, waits in a request, and so may others for them.
#[test]
fn who_makes_each_send_dear_ends_all_the_same() {
    trap::load();
    // On a slow kernel each costs more, also to make.
    let devices = times(500, if is_slow() { 100 } else { 300 });
    let script = format!(
        "set -e\n\
         ip link set lo up\n\
         for nth in $(seq {devices}); do\n\
           echo \"link add nlmon$nth type nlmon\"\n\
           echo \"link set nlmon$nth up\"\n\
         done | ip -batch -\n\
         exec icmptap listen --hook output --flush-interval 0 -n\n"
    );
    let mut command = as_foreigner();
    command.args(["/bin/sh", "-c", &script]);
    let listener = Process::start(command);
    listener.wait_for("listening on");
    let enter = format!("nsenter --net=/proc/{}/ns/net", listener.id());
    let flood = format!("{enter} ping -f -l 100 127.0.0.1");
    let floods = [(); 4].map(|()| Process::start(self::command(&flood)));
    let mut client = Client::open().expect("a client");
    let start = Instant::now();
    // As much as there is room for, on a slow CPU; a quick one sends it meanwhile.
    while start.elapsed() < Duration::from_secs(3) {
        let all = client.subscriptions(true).expect("a list");
        if all.iter().any(|it| it.counters.queued > 200) {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    let (status, out, err) = listener.end_by(Signal::INT);
    drop(floods);
    assert!(status.success(), "{}", stdout_of(status, &out, &err));
    println!("measured: {}", err.last().map_or("nothing", |line| line));
    all_ended();
}

#[test]
fn at_every_hook_and_in_batches_of_every_size() {
    let here = trap::set();
    for (builder, enough) in [
        (at_once().hooks(hooks(&[Hook::Output])), ENOUGH),
        (at_once().hooks(Hook::ALL), ENOUGH),
        (at_once().hooks(Hook::ALL).receive_buffer(4096), ENOUGH),
        // One message in an interval is what keeps the loop alive: fewer come back.
        (Subscription::builder().hooks(hooks(&[Hook::Output])), 30),
        (
            Subscription::builder()
                .hooks(Hook::ALL)
                .batch(BatchSize(65_000)),
            30,
        ),
        // What comes back is dropped, and heard all the same.
        (
            at_once()
                .hooks(hooks(&[Hook::Output]))
                .verdict(Verdict::Drop),
            ENOUGH,
        ),
    ] {
        let subscription = subscribe(&here, &builder);
        with_pings(&here, 56, || hear(subscription, enough, false));
    }
    drop(here);
    all_ended();
}

/// What comes back from one's messages is another's, who listens everywhere: their
/// streams are of one kind, but not one.
#[test]
fn one_hears_what_another_causes() {
    let here = trap::set();
    let outside = Namespace::new();
    // Not what its own messages cause: those are errors.
    let requests: TypeSet = [8].into_iter().collect();
    let causes = at_once().hooks(hooks(&[Hook::Input])).icmp_types(requests);
    let hears = at_once().hooks(hooks(&[Hook::Output])).all_netns(true);
    let causes = subscribe(&here, &causes);
    let hears = subscribe(&outside, &hears);
    with_pings(&here, 56, || hear(hears, ENOUGH / 10, false));
    let counters = lawful(causes, 0);
    assert!(counters.delivered > 0, "{counters:?}");
    drop(here);
    all_ended();
}

#[test]
fn several_hear_what_the_others_cause() {
    let here = trap::set();
    let subscriptions: Vec<_> = Hook::ALL
        .into_iter()
        .filter(|hook| *hook != Hook::Forward)
        .flat_map(|hook| {
            [
                at_once().hooks(hooks(&[hook])),
                Subscription::builder().hooks(hooks(&[hook, Hook::Output])),
            ]
        })
        .map(|builder| subscribe(&here, &builder))
        .collect();
    with_pings(&here, 56, || {
        thread::scope(|scope| {
            for subscription in subscriptions {
                scope.spawn(|| {
                    hear(
                        subscription,
                        times(ENOUGH / 4, if is_slow() { 4 } else { 10 }),
                        false,
                    )
                });
            }
        });
    });
    drop(here);
    all_ended();
}

/// Somebody asks something over netlink, on each CPU, until `work` is done: each answer
/// is one message more.
fn with_talk<T: Send>(here: &Namespace, work: impl FnOnce() -> T + Send) -> T {
    let is_over = AtomicBool::new(false);
    let talk = || {
        on_each_cpu(|| {
            let mut client = here.enter(Client::open).expect("a client");
            while !is_over.load(Ordering::Relaxed) {
                client.info().expect("info");
            }
        })
    };
    thread::scope(|scope| {
        scope.spawn(talk);
        let _end = SetWhenDropped(&is_over);
        work()
    })
}

/// FLUSH sends what other CPUs have batched. Whoever comes from `nlmon` to a hook of
/// ours may not wait for it: it waits for him.
#[test]
fn a_flush_meets_who_comes_back() {
    flush_among_those_who_come_back(&trap::set());
}

/// The same where who comes to a hook holds the lock of a qdisc, which is that of
/// `nlmon`: whoever sends needs it.
#[test]
fn a_flush_meets_who_comes_back_from_within_a_qdisc() {
    trap::load();
    let here = Namespace::new();
    here.ip(&format!("{NLMON}{TUNNEL}"));
    let add = "tc qdisc add dev nlmon0 root handle 1: fq_codel";
    if !output(&mut here.command(add)).status.success() {
        // Not every kernel has one that asks filters under its lock.
        println!("measured: there is no fq_codel here");
        return;
    }
    here.tc(&format!(
        "filter add dev nlmon0 parent 1: matchall action {INTO_TUNNEL}\n"
    ));
    let builder = at_once().hooks(hooks(&[Hook::Output]));
    let subscription = subscribe(&here, &builder);
    with_pings(&here, 56, || hear(subscription, ENOUGH, false));
    flush_among_those_who_come_back(&here);
}

fn flush_among_those_who_come_back(here: &Namespace) {
    // Nothing leaves by itself, but for what is full.
    let builder = Subscription::builder()
        .hooks(hooks(&[Hook::Output]))
        .flush_interval(FlushInterval { us: 1_000_000 })
        .batch(BatchSize(1_000));
    let subscription = subscribe(here, &builder);
    let counters = with_talk(here, || hear(subscription, 4 * ENOUGH, true));
    assert!(counters.delivered > 0, "{counters:?}");
    all_ended();
}

/// Whoever answers is another kernel, so to speak: it comes in from a wire, in a
/// softirq, some time later.
#[test]
fn a_peer_answers_to_each_message() {
    trap::load();
    for action in ["redirect", "mirror"] {
        let wire = Wire::new();
        // No one there takes GRE, and each packet is answered with an error.
        wire.right.run("sysctl -q -w net.ipv4.icmp_ratelimit=0");
        wire.left.ip(&format!(
            "{NLMON}\
             link add trap type gre local {} remote {} ttl 64\n\
             link set trap up\n",
            Wire::LEFT,
            Wire::RIGHT
        ));
        wire.left
            .tc(&copies(&format!("mirred egress {action} dev trap")));
        let builder = at_once().hooks(hooks(&[Hook::Prerouting, Hook::Input]));
        let subscription = subscribe(&wire.left, &builder);
        // The kernel as a whole sends no more than some hundred errors a second.
        with_pings(&wire.left, 56, || hear(subscription, 30, false));
    }
    all_ended();
}

/// What is no packet at all, where packets are taken: in `lo`, in a wire, out of them.
#[test]
fn it_is_led_where_it_makes_no_sense() {
    trap::load();
    for action in [
        "mirred egress redirect dev lo",
        "mirred egress mirror dev lo",
        "mirred ingress redirect dev lo",
        "mirred egress redirect dev eth0",
        "mirred egress mirror dev eth0",
        "mirred ingress redirect dev eth0",
        "mirred ingress mirror dev eth0",
    ] {
        let wire = Wire::new();
        wire.left.ip(NLMON);
        wire.left.tc(&copies(action));
        let all = Hooks::ALL;
        let subscription = subscribe(&wire.left, &at_once().hooks(all));
        wire.left.run("ping -c 20 -i 0.01 10.0.0.2");
        let counters = lawful(subscription, 0);
        // Request and reply, two hooks each.
        assert!(counters.matched >= 80, "{action}: {counters:?}");
    }
    all_ended();
}

/// A datagram in pieces comes to the hooks in pieces, and as a whole.
#[test]
fn what_comes_back_comes_among_fragments() {
    let here = trap::set();
    here.ip("link set lo mtu 1280");
    let all = Hooks::ALL;
    for builder in [at_once(), Subscription::builder()] {
        let subscription = subscribe(&here, &builder.hooks(all));
        with_pings(&here, 5_000, || hear(subscription, 30, false));
    }
    drop(here);
    all_ended();
}

/// The tunnel's packets, and the answers, cross a bridge, and netfilter's hooks on it.
#[test]
fn it_crosses_a_bridge() {
    trap::load();
    let wire = Wire::new();
    wire.right.run("sysctl -q -w net.ipv4.icmp_ratelimit=0");
    wire.left.bridge(&["eth0"]);
    wire.left.ip(&format!(
        "{NLMON}\
         addr flush dev eth0\n\
         addr add {left}/24 dev br0\n\
         link add trap type gre local {left} remote {} ttl 64\n\
         link set trap up\n",
        Wire::RIGHT,
        left = Wire::LEFT,
    ));
    // The right end knows the address of eth0 by heart.
    wire.right.ip("neigh flush all nud permanent");
    wire.left.tc(&copies(INTO_TUNNEL));
    let all = Hooks::ALL;
    let subscription = subscribe(&wire.left, &at_once().hooks(all));
    with_pings(&wire.left, 56, || hear(subscription, 30, false));
    all_ended();
}

/// In a VRF, what comes and what goes passes some hooks twice: once on its own device,
/// and once on the VRF's.
#[test]
fn it_takes_the_way_of_a_vrf() {
    trap::load();
    load_modules(&["vrf"]);
    let wire = Wire::new();
    wire.right.run("sysctl -q -w net.ipv4.icmp_ratelimit=0");
    wire.left.ip(&format!(
        "{NLMON}\
         link add blue type vrf table 100\n\
         link set blue up\n\
         link set eth0 master blue\n\
         link add trap type gre local {} remote {} ttl 64 dev blue\n\
         link set trap up\n",
        Wire::LEFT,
        Wire::RIGHT
    ));
    wire.left.tc(&copies(INTO_TUNNEL));
    let all = Hooks::ALL;
    let subscription = subscribe(&wire.left, &at_once().hooks(all));
    with_pings(&wire.left, 56, || hear(subscription, 30, false));
    all_ended();
}

/// The loop's own end is not asked for: its socket, its process, its namespace goes.
#[test]
fn an_end_in_the_middle_of_it() {
    let all = Hooks::ALL;
    for _ in 0..3 {
        // A socket is closed, with all that is under way.
        let here = trap::set();
        let mut subscription = subscribe(&here, &at_once().hooks(all));
        with_pings(&here, 56, || {
            for _ in 0..ENOUGH {
                subscription.recv().expect("receive");
            }
            drop(subscription);
        });

        // A process is killed that does not read.
        let words = "icmptap listen --hook input,output --flush-interval 0 --all-netns";
        let listener = Process::start(here.command(words));
        listener.wait_for("listening on");
        with_pings(&here, 56, || {
            listener.take(ENOUGH as usize);
            listener.end_by(Signal::KILL);
        });

        // A namespace ends before the one that hears it.
        let outside = Namespace::new();
        let builder = at_once().hooks(all).all_netns(true);
        let mut subscription = subscribe(&outside, &builder);
        with_pings(&here, 56, || {
            for _ in 0..ENOUGH {
                subscription.recv().expect("receive");
            }
        });
        let ended = here.inode();
        drop(here);
        lawful(subscription, 0);
        assert_ne!(outside.inode(), ended);
    }
    all_ended();
}
