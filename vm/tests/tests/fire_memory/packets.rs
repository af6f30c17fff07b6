//! Packets without memory: seen where they are sent, in a task, whose allocations
//! that may not sleep fail. Only the hook has such.

use std::net::SocketAddrV4;
use std::thread;

use icmptap::reply::Counters;
use icmptap::{Builder, Client, FlushInterval, Hook, Subscription};
use icmptap_vm_tests::fault::{self, Watch, Which};
use icmptap_vm_tests::fire;
use icmptap_vm_tests::listen::Listener;
use icmptap_vm_tests::net::Wire;
use icmptap_vm_tests::packet::echo;
use icmptap_vm_tests::process::stay_on_one_cpu;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::assert_sound;
use crate::tally::Tally;

/// How many packets, in each case.
const COUNT: u64 = 100;

/// Allocations of the hook.
const SMALL: Which = Which {
    slab: 100,
    sleeping: false,
    ..Which::NONE
};

const AT_ONCE: FlushInterval = FlushInterval { us: 0 };
const LATER: FlushInterval = FlushInterval { us: 1_000_000 };

/// Each of a packet's allocations, alone and with the others.
pub(crate) fn lost_and_counted(watch: &Watch, tally: &mut Tally) {
    let wire = Wire::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            // Each CPU has its own memory of the route.
            stay_on_one_cpu();
            cases(watch, tally, &wire);
        });
    });
    assert_sound(&wire);
}

fn cases(watch: &Watch, tally: &mut Tally, wire: &Wire) {
    let sender = Sender::new(wire);
    let new = || {
        Subscription::builder()
            .hooks([Hook::Output])
            .icmp_types([8])
    };
    let mut case = |what: &str, builder: Builder, act: &mut dyn FnMut() -> u64| {
        let mut lost = 0;
        let (counters, stacks) = watch.during(|| observe(wire, builder, || lost = act()));
        Which::NONE.set();
        assert!(!stacks.is_empty(), "{what}: nothing failed");
        tally.add(&stacks);
        println!("measured: {what}: {counters:?}");
        assert_eq!(counters.lost_nomem, lost, "{what}");
        assert_eq!(counters.delivered, counters.matched - lost, "{what}");
    };

    case(
        "made to measure, all fail, then none",
        new().flush_interval(AT_ONCE),
        &mut || {
            SMALL.set();
            fault::all(|| sender.send(COUNT));
            sender.send(COUNT);
            COUNT
        },
    );
    // Of less than a page: the others' memory is there from the beginning.
    let smallest = wire.left.enter(|| Client::open()?.info());
    let smallest = smallest.expect("info").batch_min;
    case(
        "a batch, where a record's room can be had",
        new().flush_interval(LATER).batch(smallest),
        &mut || {
            // The first does not wait.
            sender.send(1);
            SMALL.set();
            for _ in 0..COUNT {
                let ((), left) = fault::nth(1, || sender.send(1));
                assert_eq!(left, 0);
            }
            0
        },
    );
    case(
        "neither a batch nor a record's room",
        new().flush_interval(LATER),
        &mut || {
            sender.send(1);
            SMALL.set();
            fault::all(|| sender.send(COUNT));
            sender.send(COUNT);
            COUNT
        },
    );
    case(
        "a message in a stream's own pages, where others can be had",
        new().flush_interval(LATER),
        &mut || {
            sender.send(1);
            SMALL.set();
            let ((), left) = fault::nth(1, || sender.send(1));
            assert_eq!(left, 0);
            sender.send(COUNT);
            0
        },
    );
    let mut random = fire::random();
    case("now and then", new().flush_interval(AT_ONCE), &mut || {
        SMALL.set();
        let mut lost = 0;
        for _ in 0..fire::iterations(500, 500) {
            if random.bool() {
                fault::all(|| sender.send(1));
                lost += 1;
            } else {
                sender.send(1);
            }
        }
        lost
    });
}

/// Listens while `act` does something; returns the counters, which agree with what
/// was heard.
fn observe(wire: &Wire, builder: Builder, act: impl FnOnce()) -> Counters {
    let listener = Listener::with(&wire.left, builder);
    act();
    listener.stop().lawful("without memory")
}

/// Sends echo requests from the left end of a wire.
struct Sender(Socket);

impl Sender {
    /// One is sent already: the route is known, and takes no memory any more.
    fn new(wire: &Wire) -> Self {
        let socket = wire
            .left
            .enter(|| Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)))
            .expect("socket");
        let to = SockAddr::from(SocketAddrV4::new(Wire::RIGHT, 0));
        socket.connect(&to).expect("connect");
        let sender = Self(socket);
        sender.send(1);
        sender
    }

    fn send(&self, count: u64) {
        for seq in 0..count {
            let request = echo(1, seq as u16, &[0; 56]);
            self.0.send(&request).expect("send");
        }
    }
}
