//! Requests at random and hostile ones, right and wrong, over both protocols: the
//! kernel answers each as it has to, nothing is left over, and the module still
//! works. Which of them go on to be changed follows from the code that they reach.

use std::panic::resume_unwind;
use std::thread;

use fastrand::Rng;
use icmptap::{Client, Hook, Subscription};
use icmptap_vm_tests::fire::asker::{Asker, Desk, Kind, Protocol};
use icmptap_vm_tests::fire::coverage::{Coverage, Map};
use icmptap_vm_tests::fire::mutate::mutate;
use icmptap_vm_tests::fire::requests::imp2;
use icmptap_vm_tests::fire::tally::Tally;
use icmptap_vm_tests::fire::{iterations, quick_grace_periods, random};
use icmptap_vm_tests::listen::{Listener, subscribe};
use icmptap_vm_tests::module::{self, Changed};
use icmptap_vm_tests::net::{Namespace, Wire};
use icmptap_vm_tests::packet::{Pinger, flood, message};
use icmptap_vm_tests::process::wait_until;

/// Enough for limits to be met, now and then.
const SOCKETS: usize = 24;
const MAX_PER_NETNS: usize = 5;

/// What is kept for having reached new code.
#[derive(Default)]
struct Corpus {
    generic: Vec<Vec<u8>>,
    imp2: Vec<Vec<u8>>,
}

impl Corpus {
    fn of(&mut self, protocol: Protocol) -> &mut Vec<Vec<u8>> {
        match protocol {
            Protocol::Generic => &mut self.generic,
            Protocol::Imp2 => &mut self.imp2,
        }
    }

    /// A datagram, of those that are kept or a new one.
    fn draw(&mut self, rng: &mut Rng, desk: &Desk, protocol: Protocol) -> Vec<u8> {
        let new = match protocol {
            // One, or some in a row: a datagram costs more than a request.
            Protocol::Generic => {
                let count = [1, rng.u32(2..8), rng.u32(8..24)][rng.usize(..3)];
                (0..count)
                    .flat_map(|_| desk.requests.generate(rng))
                    .collect()
            }
            Protocol::Imp2 => imp2(rng),
        };
        let kept = self.of(protocol);
        if kept.is_empty() || rng.bool() {
            // As it is, or with something of a kept one.
            return match rng.choice(&*kept) {
                Some(other) if rng.u32(..4) == 0 => mutated(rng, new, other),
                _ => new,
            };
        }
        let old = kept[rng.usize(..kept.len())].clone();
        let mut datagram = mutated(rng, old, &new);
        // Netlink gets to these if it makes sense of what stands before them.
        if protocol == Protocol::Generic && datagram.len().is_multiple_of(4) && rng.bool() {
            datagram.extend(new);
        }
        datagram
    }
}

fn mutated(rng: &mut Rng, mut datagram: Vec<u8>, other: &[u8]) -> Vec<u8> {
    mutate(rng, &mut datagram, other);
    datagram
}

fn any_kind(rng: &mut Rng) -> Kind {
    Kind {
        protocol: match rng.u32(..4) {
            0 => Protocol::Imp2,
            _ => Protocol::Generic,
        },
        privileged: rng.u32(..5) > 0,
        hears_reasons: rng.bool(),
        cramped: rng.u32(..12) == 0,
    }
}

/// What one thread has done.
struct Done {
    tally: Tally,
    passed: Map,
    requests: u64,
    packets: u64,
    programs: u64,
    kept: usize,
}

#[test]
fn every_request_is_answered_and_nothing_is_left_over() {
    let mut rng = random();
    let each = iterations(20_000, 200_000).div_ceil(2);
    let _quick = quick_grace_periods();
    let limit = Changed::parameter("max_per_netns", &MAX_PER_NETNS.to_string());
    let verdict = Changed::parameter_of(module::IMP2, "verdict", "accept");
    // Somebody listens at every hook all the time, elsewhere: where nobody did, the
    // kernel would patch its code each time that somebody begins.
    let elsewhere = Namespace::new();
    let everywhere = Subscription::builder().hooks(Hook::ALL);
    let steady = subscribe(&elsewhere, &everywhere);
    let held = module::references();

    // Each has its own random numbers and network namespaces, so that what one does
    // follows from the seed; the module's locks they have in common.
    let (one, two) = thread::scope(|scope| {
        let [one, two] = [rng.fork(), rng.fork()].map(|rng| scope.spawn(|| fire(rng, each)));
        (one.join(), two.join())
    });
    let [mut all, two] = [one, two].map(|done| done.unwrap_or_else(|it| resume_unwind(it)));

    drop((limit, verdict));
    wait_until("no socket holds the modules", || {
        module::references() == held && module::IMP2.references() == 0
    });
    let left = Client::open().and_then(|mut client| client.subscriptions(true));
    let left = left.expect("a dump");
    assert_eq!(left.len(), 1, "{left:?}");
    steady.finish().expect("finish").audit().expect("agree");

    all.tally.merge(&two.tally);
    all.passed.merge(&two.passed);
    print!("{}", all.tally);
    let (requests, packets) = (all.requests + two.requests, all.packets + two.packets);
    println!("measured: {requests} requests, {packets} packets between them");
    let kept = all.kept + two.kept;
    println!("measured: {kept} datagrams kept for the code that they reached");
    let programs = all.programs + two.programs;
    println!("measured: {programs} subscriptions with a program");
    let (passed, points) = all.passed.passed();
    let percent = passed * 100 / points;
    println!("measured: KCOV, the sending threads: {passed} of {points} points ({percent}%)");
    // Loading and unloading, what softirqs and timers do, and failures of memory.
    let functions = all.passed.unfinished();
    let (never, in_part): (Vec<_>, Vec<_>) = functions
        .into_iter()
        .partition(|(_, passed, _)| *passed == 0);
    let names = Vec::from_iter(never.iter().map(|(name, _, _)| *name)).join(", ");
    let count: usize = never.iter().map(|(_, _, all)| all).sum();
    println!("measured: functions not reached, {count} points: {names}");
    let parts = in_part
        .iter()
        .map(|(name, passed, all)| format!("{name} {passed}/{all}"));
    let parts = Vec::from_iter(parts).join(", ");
    println!("measured: functions reached in part: {parts}");

    the_module_counts_right();
}

/// Sends `wanted` requests.
fn fire(mut rng: Rng, wanted: u64) -> Done {
    let namespaces: Vec<_> = (0..3).map(|_| Namespace::new()).collect();
    namespaces[0].enable_ipv6();
    let pingers: Vec<_> = namespaces.iter().map(Pinger::new).collect();
    let mut desk = Desk::open();
    let mut corpus = Corpus::default();
    let mut askers: Vec<(usize, Asker)> = Vec::new();
    let mut coverage = Coverage::start();
    let (mut requests, mut packets) = (0, 0);
    while requests < wanted {
        // They come and go.
        if askers.len() < SOCKETS {
            let place = rng.usize(..namespaces.len());
            let kind = any_kind(&mut rng);
            askers.push((place, Asker::open(&namespaces[place], kind)));
        } else if rng.u32(..150) == 0 {
            askers.swap_remove(rng.usize(..SOCKETS));
            continue;
        }
        // What was accepted has something to do.
        if rng.u32(..30) == 0 {
            let mut data = vec![0; rng.usize(..200)];
            rng.fill(&mut data);
            let kinds = [rng.u8(..), [0, 3, 8][rng.usize(..3)]];
            let v4 = message(kinds[rng.usize(..2)], 0, [0; 4], &data);
            let v6 = message([128, 129, 1, kinds[0]][rng.usize(..4)], 0, [0; 4], &data);
            rng.choice(&pingers).expect("some").send(&v4, &v6);
            packets += 1;
            let verdict = ["accept", "drop", "neither"][rng.usize(..3)];
            let known = module::IMP2.set_parameter("verdict", verdict).is_ok();
            assert_eq!(known, verdict != "neither");
            for (_, asker) in &mut askers {
                if !asker.kind().cramped {
                    asker.drain(&mut desk);
                }
            }
        }

        let nth = rng.usize(..askers.len());
        let (_, asker) = &mut askers[nth];
        let protocol = asker.kind().protocol;
        let mut datagram = corpus.draw(&mut rng, &desk, protocol);
        requests += asker.ask(&mut desk, &mut datagram);
        if coverage.take() && datagram.len() < 40_000 {
            corpus.of(protocol).push(datagram);
        }
        if asker.kind().cramped && rng.u32(..8) == 0 {
            asker.drain(&mut desk);
        }
        for place in 0..namespaces.len() {
            let here = askers
                .iter()
                .filter(|(at, asker)| *at == place && asker.subscribed);
            assert!(here.count() <= MAX_PER_NETNS);
        }
    }
    Done {
        tally: desk.tally,
        passed: coverage.finish(),
        requests,
        packets,
        programs: desk.programs,
        kept: corpus.generic.len() + corpus.imp2.len(),
    }
}

/// In a network namespace that nobody has used.
fn the_module_counts_right() {
    const COUNT: u32 = 1000;
    let wire = Wire::new();
    let listener = Listener::start(&wire.right);
    flood(&wire.left, Wire::RIGHT, COUNT);
    // Which compares both sides.
    let heard = listener.stop();
    assert_eq!(heard.summary.counters.matched, u64::from(COUNT));
    assert_eq!(heard.events.len() as u64 + heard.lost, u64::from(COUNT));
}
