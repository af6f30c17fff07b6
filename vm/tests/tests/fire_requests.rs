//! Requests at random and hostile ones, right and wrong, over both protocols: the
//! kernel answers each as it has to, nothing is left over, and the module still
//! works. Which of them go on to be changed follows from the code that they reach.

use fastrand::Rng;
use icmptap::{Client, Hook, Subscription};
use icmptap_vm_tests::fire::asker::{Asker, Desk, Kind, Protocol};
use icmptap_vm_tests::fire::coverage::Coverage;
use icmptap_vm_tests::fire::mutate::mutate;
use icmptap_vm_tests::fire::requests::imp2;
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
            // Mostly one, else several in a row.
            Protocol::Generic => {
                let count = [1, 1, rng.u32(2..8)][rng.usize(..3)];
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
        mutated(rng, old, &new)
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

#[test]
fn every_request_is_answered_and_nothing_is_left_over() {
    let mut rng = random();
    let wanted = iterations(200_000);
    let _quick = quick_grace_periods();
    let limit = Changed::parameter("max_per_netns", &MAX_PER_NETNS.to_string());
    let namespaces: Vec<_> = (0..3).map(|_| Namespace::new()).collect();
    namespaces[0].enable_ipv6();
    let pingers: Vec<_> = namespaces.iter().map(Pinger::new).collect();
    let verdict = Changed::parameter("imp2_verdict", "accept");
    // Somebody listens at every hook all the time, elsewhere: where nobody did, the
    // kernel would patch its code each time that somebody begins.
    let elsewhere = Namespace::new();
    let steady = subscribe(
        &elsewhere,
        &Subscription::builder().hooks(Hook::ALL.into_iter().collect()),
    );
    let held = module::references();

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
        if rng.u32(..100) == 0 {
            let mut data = vec![0; rng.usize(..200)];
            rng.fill(&mut data);
            let kinds = [rng.u8(..), [0, 3, 8][rng.usize(..3)]];
            let v4 = message(kinds[rng.usize(..2)], 0, [0; 4], &data);
            let v6 = message([128, 129, 1, kinds[0]][rng.usize(..4)], 0, [0; 4], &data);
            rng.choice(&pingers).expect("some").send(&v4, &v6);
            packets += 1;
            let verdict = ["accept", "drop", "neither"][rng.usize(..3)];
            let known = module::set_parameter("imp2_verdict", verdict).is_ok();
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

    drop((askers, pingers));
    drop((limit, verdict));
    wait_until("no socket holds the module", || {
        module::references() == held
    });
    let left = Client::open().and_then(|mut client| client.subscriptions(true));
    let left = left.expect("a dump");
    assert_eq!(left.len(), 1, "{left:?}");
    steady.finish().expect("finish").audit().expect("agree");

    print!("{}", desk.tally);
    println!("measured: {requests} requests, {packets} packets between them");
    let kept = (corpus.generic.len(), corpus.imp2.len());
    println!(
        "measured: kept for the code they reached: {} genl, {} IMP2",
        kept.0, kept.1
    );
    println!("measured: {} subscriptions with a program", desk.programs);
    let (passed, points) = coverage.passed();
    let percent = passed * 100 / points;
    println!("measured: KCOV, the sending thread: {passed} of {points} points ({percent}%)");
    let names = coverage.functions_not_reached().join(", ");
    println!("measured: functions not reached: {names}");

    the_module_counts_right();
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
