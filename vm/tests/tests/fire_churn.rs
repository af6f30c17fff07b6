//! Everything at once, for five minutes: those who listen come and go and are killed
//! in floods, or take each other's port ids, or hear what their own messages cause;
//! namespaces and interfaces come and go, CPUs go off and on, the modules are unloaded and
//! loaded, and everybody asks. Then it is quiet, and nothing may be left. What the kernel
//! thinks of it is on the console.
//!
//! `--iterations N` makes it N seconds. Everybody has to get to do something: on a
//! fast kernel 20 are enough for that, on `debug` there should be 200.

use std::fs;
use std::net::SocketAddrV4;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use icmptap::{
    BatchSize, Builder, Client, Error, Family, FlushInterval, Hook, Instruction, Item, RateLimit,
    Received, Sampling, Snaplen, Subscription, Verdict,
};
use icmptap_proto::request::SubscribeOptions;
use icmptap_vm_tests::fire::asker;
use icmptap_vm_tests::module::{self, Changed};
use icmptap_vm_tests::net::{Namespace, Wire};
use icmptap_vm_tests::packet::{echo, slab_objects};
use icmptap_vm_tests::process::{Process, wait_until};
use icmptap_vm_tests::subscriber::Subscriber;
use icmptap_vm_tests::{fire, imp2, trap};
use rustix::io::Errno;
use rustix::process::Signal;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// How long at least, in seconds.
const USUALLY: u64 = 60;
const LONG: u64 = 300;
/// How much longer, on a busy machine, until each thing has happened.
const PATIENCE: Duration = Duration::from_secs(600);

#[test]
fn everything_at_once() {
    let mut random = fire::random();
    let seconds = fire::iterations(USUALLY, LONG);
    let began = Instant::now();
    let before = namespaces();
    // They change while we are at it.
    let _limits = [
        Changed::parameter("max_per_netns", "128"),
        Changed::parameter("max_per_user", "256"),
    ];

    let wire = Wire::new();
    let shaky = Wire::new();
    let scene = Scene::new();
    thread::scope(|scope| {
        let mut actors = Vec::new();
        let mut start = |actor: fn(&Scene, &Wire, Rng), wire| {
            let (scene, random) = (&scene, random.fork());
            actors.push(scope.spawn(move || actor(scene, wire, random)));
        };
        start(flood, &wire);
        start(flood, &shaky);
        start(listen, &wire);
        start(listen, &wire);
        start(listen, &shaky);
        start(hear_themselves, &wire);
        start(reuse_ports, &wire);
        start(kill, &wire);
        start(kill, &shaky);
        start(make_namespaces, &wire);
        start(shake, &shaky);
        start(switch_cpus, &wire);
        start(unload, &wire);
        start(ask, &wire);
        start(be_historical, &wire);
        start(change_parameters, &wire);
        thread::sleep(Duration::from_secs(seconds));
        let patience = Instant::now() + PATIENCE;
        // Who panics ends it too.
        while scene.missing().next().is_some()
            && Instant::now() < patience
            && !actors.iter().any(|actor| actor.is_finished())
        {
            thread::sleep(Duration::from_millis(200));
        }
        scene.is_over.store(true, Ordering::Relaxed);
    });
    println!("measured: {} seconds", began.elapsed().as_secs());
    scene.judge();

    wait_until("nobody holds the modules", module::are_free);
    let list = Client::open().and_then(|mut client| client.subscriptions(true));
    assert_eq!(list.expect("a list").len(), 0);
    drop((wire, shaky));
    module::reload("");
    assert_ended(before);
}

/// The namespaces are gone, all but the last: its memory the kernel keeps until the
/// next one ends. KASAN keeps what is freed for a while, and lets go of it as more is
/// freed.
fn assert_ended(before: u64) {
    let mut left = u64::MAX;
    for _ in 0..100 {
        drop(Namespace::new());
        // Of 16 MiB, each time.
        for _ in 0..4_000 {
            let (one, two) = UnixDatagram::pair().expect("sockets");
            one.send(&[0; 4_000]).expect("send");
            drop((one, two));
        }
        left = namespaces() - before;
        if left <= 1 {
            return;
        }
    }
    panic!("{left} network namespaces are left");
}

/// How many the kernel has memory for, without what it only keeps at hand.
fn namespaces() -> u64 {
    const SHRINK: &str = "/sys/kernel/slab/net_namespace/shrink";
    fs::write(SHRINK, "1").expect(SHRINK);
    slab_objects("net_namespace")
}

/// What all see, and what they did.
struct Scene {
    is_over: AtomicBool,
    /// Held by whoever needs the module, and wholly by who wants it to be free.
    calm: RwLock<()>,
    /// Odd while a module is away, which can happen at any moment.
    absence: AtomicU64,
    counts: [(&'static str, AtomicU64); Count::Parameters as usize + 1],
}

/// What is counted, in the order of the words in [`Scene::new`].
#[derive(Clone, Copy, Debug)]
enum Count {
    Packets,
    Begun,
    TurnedAway,
    CameBack,
    PortsReused,
    Ended,
    Delivered,
    Lost,
    Flushes,
    Killed,
    Namespaces,
    Flaps,
    CpusOff,
    Loads,
    Refused,
    Dumps,
    Imp2,
    Parameters,
}

impl Scene {
    fn new() -> Self {
        let words = [
            "packets sent",
            "subscriptions begun",
            "subscriptions turned away, over a limit or without room for the reply",
            "of them where each message causes a packet",
            "subscriptions closed while others wanted their port ids",
            "ended properly, and both sides agree",
            "events delivered to those",
            "events lost by those, and counted",
            "flushes",
            "listeners killed while they listened",
            "namespaces made, and ended with traffic and a listener in them",
            "interfaces taken down and up, or deleted",
            "times that a CPU was off",
            "loads of the modules",
            "unloads refused",
            "dumps and statistics",
            "IMP2 clients killed after they registered",
            "parameters changed",
        ];
        Self {
            is_over: AtomicBool::new(false),
            calm: RwLock::new(()),
            absence: AtomicU64::new(0),
            counts: words.map(|words| (words, AtomicU64::new(0))),
        }
    }

    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    fn add(&self, count: Count, by: u64) {
        self.counts[count as usize]
            .1
            .fetch_add(by, Ordering::Relaxed);
    }

    fn did(&self, count: Count) {
        self.add(count, 1);
    }

    /// There is no calm until this is dropped. Whoever holds the module has it.
    fn busy(&self) -> RwLockReadGuard<'_, ()> {
        // Somebody's panic is one, not everybody's.
        self.calm.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something that needs the module: if it was away meanwhile, no error
    /// counts, and there is no result.
    fn with_module<T, E: std::fmt::Debug>(&self, act: impl FnOnce() -> Result<T, E>) -> Option<T> {
        let before = self.absence.load(Ordering::SeqCst);
        match act() {
            Ok(value) => Some(value),
            Err(error) => {
                let after = self.absence.load(Ordering::SeqCst);
                let was_away = before != after || before % 2 == 1;
                assert!(was_away, "{error:?}");
                None
            }
        }
    }

    /// Unloads the modules, if they can be, and loads them again.
    fn try_reload(&self) -> bool {
        self.absence.fetch_add(1, Ordering::SeqCst);
        let result = module::try_unload();
        if result.is_ok() {
            module::load("");
            self.did(Count::Loads);
        } else {
            assert_eq!(result, Err(Errno::AGAIN));
            self.did(Count::Refused);
        }
        // Where icmptap had to stay, icmptap_imp2 may have been away.
        self.absence.fetch_add(1, Ordering::SeqCst);
        result.is_ok()
    }

    fn judge(&self) {
        for (words, count) in &self.counts {
            println!("measured: {}: {words}", count.load(Ordering::Relaxed));
        }
        let missing: Vec<_> = self.missing().collect();
        assert_eq!(missing, [""; 0], "none of these");
    }

    /// What has not happened yet.
    fn missing(&self) -> impl Iterator<Item = &'static str> {
        // Nobody has to be turned away.
        let counts = self.counts.iter().enumerate();
        let counts = counts.filter(|(nth, _)| *nth != Count::TurnedAway as usize);
        let missing = counts.filter(|(_, (_, count))| count.load(Ordering::Relaxed) == 0);
        missing.map(|(_, (words, _))| *words)
    }
}

fn rest(random: &mut Rng, at_most_ms: u64) {
    thread::sleep(Duration::from_millis(random.u64(0..at_most_ms)));
}

/// Packets, whether they arrive or not.
fn flood(scene: &Scene, wire: &Wire, mut random: Rng) {
    let socket = wire
        .left
        .enter(|| Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)))
        .expect("socket");
    let to = SockAddr::from(SocketAddrV4::new(Wire::RIGHT, 0));
    while scene.goes_on() {
        for seq in 0..random.u16(1..400) {
            // There may be no interface, no room, or a listener who drops it.
            let sent = socket.send_to(&echo(1, seq, &[0; 56]), &to);
            scene.add(Count::Packets, u64::from(sent.is_ok()));
        }
        // Or nobody else does anything where a packet takes a millisecond.
        rest(&mut random, 500);
    }
}

/// Takes some packets, or all.
fn program(random: &mut Rng) -> Vec<Instruction> {
    let insn = |code, jt, jf, k| Instruction { code, jt, jf, k };
    // ldh [26]; jset #k, odd; ret #1; odd: ret #0
    vec![
        insn(0x28, 0, 0, 26),
        insn(0x45, 1, 0, random.u32(0..4)),
        insn(0x06, 0, 0, 1),
        insn(0x06, 0, 0, 0),
    ]
}

/// Any options.
fn builder(random: &mut Rng) -> Builder {
    let mut builder = Subscription::builder()
        .snaplen(Snaplen(random.choice([0, 64, 576, 65_535]).expect("one")))
        .batch(BatchSize(
            random.choice([1_000, 3_776, 65_000]).expect("one"),
        ))
        .flush_interval(FlushInterval {
            us: random.choice([0, 100, 1_000, 1_000_000]).expect("one"),
        })
        .receive_buffer(random.choice([4_096, 65_536, 4 << 20]).expect("one"))
        .all_netns(random.u8(0..4) == 0);
    if random.bool() {
        builder = builder
            .hooks(
                Hook::ALL
                    .into_iter()
                    .filter(|_| random.bool())
                    .chain([Hook::Input])
                    .collect::<icmptap::Hooks>(),
            )
            .families(Family::ALL);
    }
    if random.bool() {
        builder = builder.sampling(Sampling {
            one_in: random.u32(1..5),
        });
    }
    if random.bool() {
        builder = builder.rate_limit(RateLimit {
            per_second: random.u32(1..10_000),
        });
    }
    if random.u8(0..4) == 0 {
        builder = builder.verdict(Verdict::Drop);
    }
    if random.bool() {
        builder = builder.filter_program(program(random)).expect("short");
    }
    builder
}

/// Subscriptions that end as they should.
fn listen(scene: &Scene, wire: &Wire, mut random: Rng) {
    while scene.goes_on() {
        let _busy = scene.busy();
        match begin(scene, &wire.right, &builder(&mut random)) {
            Some(subscription) => hear(scene, subscription, &mut random),
            None => rest(&mut random, 100),
        }
    }
}

/// Subscribes, if the module is there and lets us.
fn begin(scene: &Scene, namespace: &Namespace, builder: &Builder) -> Option<Subscription> {
    let begun = scene.with_module(|| match namespace.enter(|| builder.subscribe()) {
        Err(Error::Refused { source, .. }) if is_over_limit(&source) => Ok(None),
        // Events were faster, and have filled a small receive buffer.
        Err(Error::NoReply { .. }) => Ok(None),
        result => result.map(Some),
    })?;
    let what = match begun {
        Some(_) => Count::Begun,
        None => Count::TurnedAway,
    };
    scene.did(what);
    begun
}

/// The same where each message that is sent comes back as a packet.
fn hear_themselves(scene: &Scene, _: &Wire, mut random: Rng) {
    while scene.goes_on() {
        let _busy = scene.busy();
        let here = trap::set();
        for _ in 0..random.u8(1..6) {
            let builder = builder(&mut random);
            let Some(subscription) = begin(scene, &here, &builder) else {
                rest(&mut random, 100);
                continue;
            };
            let ping = Process::start(here.command("ping -i 0.05 127.0.0.1"));
            hear(scene, subscription, &mut random);
            scene.did(Count::CameBack);
            drop(ping);
        }
        rest(&mut random, 1_000);
    }
}

/// Port ids that the kernel chooses for nobody.
const PORT: u32 = 1 << 30;

/// Threads that take port ids from each other: one closes its subscribed socket while
/// another binds, subscribes, and closes.
fn reuse_ports(scene: &Scene, wire: &Wire, mut random: Rng) {
    while scene.goes_on() {
        let busy = scene.busy();
        let port = PORT + random.u32(0..2);
        thread::scope(|scope| {
            for _ in 0..3 {
                let mut random = random.fork();
                let take = move || {
                    for _ in 0..random.u8(1..20) {
                        take_port(scene, port, &mut random);
                    }
                };
                scope.spawn(|| wire.right.enter(take));
            }
        });
        drop(busy);
        rest(&mut random, 500);
    }
}

/// Subscribes with this port id when it is free, in the thread's namespace, and closes.
fn take_port(scene: &Scene, port: u32, random: &mut Rng) {
    let mut options = SubscribeOptions::default();
    options.hooks = Some([Hook::Input].into_iter().collect());
    options.verdict = random.bool().then_some(Verdict::Drop);
    options.all_netns = random.u8(0..4) == 0;
    let begun = scene.with_module(|| {
        // Each load of the module has another number for its family.
        let family = asker::try_family().ok_or(Errno::NOENT)?;
        let mut subscriber = loop {
            match Subscriber::open_at(family, port) {
                Ok(subscriber) => break subscriber,
                Err(error) => assert_eq!(error, Errno::ADDRINUSE),
            }
            thread::yield_now();
        };
        let asked = subscriber.subscribe(&options);
        match asked.errno() {
            None => Ok(asked.is_done()),
            Some(Errno::USERS) => Ok(false),
            Some(errno) => Err(errno),
        }
    });
    match begun {
        Some(true) => scene.did(Count::PortsReused),
        Some(false) => scene.did(Count::TurnedAway),
        None => rest(random, 100),
    }
}

fn is_over_limit(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(Errno::USERS.raw_os_error())
}

fn hear(scene: &Scene, mut subscription: Subscription, random: &mut Rng) {
    let end = Instant::now() + Duration::from_millis(random.u64(0..1_000));
    let mut lost = 0;
    if random.bool() {
        flush(scene, &mut subscription);
    }
    loop {
        match subscription.recv_before(end).expect("receive") {
            Received::Item(Item::Lost(gap)) => lost += gap.count,
            Received::Item(Item::Event(_)) => (),
            Received::TimedOut | Received::Ended => break,
        }
        if Instant::now() > end {
            break;
        }
        if random.u8(..) == 0 {
            flush(scene, &mut subscription);
        }
    }
    let summary = subscription.finish().expect("finish");
    summary.audit().expect("both sides agree");
    let counters = summary.counters;
    assert_eq!(counters.queued, 0);
    assert_eq!(counters.lost_nomem, 0, "memory is there");
    assert_eq!(
        counters.matched,
        counters.delivered + counters.lost_overrun + counters.lost_ratelimit
    );
    assert!(lost <= counters.lost());
    scene.did(Count::Ended);
    scene.add(Count::Delivered, counters.delivered);
    scene.add(Count::Lost, counters.lost());
}

fn flush(scene: &Scene, subscription: &mut Subscription) {
    // Its answer may find no room.
    let _ = subscription.flush();
    scene.did(Count::Flushes);
}

/// Kills a program after a while; returns whether it had said so before. On a slow
/// kernel it takes seconds to begin.
fn kill_after(command: Command, random: &mut Rng, said: &str) -> bool {
    let process = Process::start(command);
    let at_most_ms = random.choice([100, 1_000, 5_000, 5_000]).expect("one");
    rest(random, at_most_ms);
    let (_, _, stderr) = process.end_by(Signal::KILL);
    stderr.iter().any(|line| line.contains(said))
}

const LISTENING: &str = "listening on";

fn options(random: &mut Rng) -> &'static str {
    let options = [
        "",
        "--rcvbuf 4K",
        "--rate 10 -o json",
        "--sample 3 --flush-interval 1000000",
        "--all-netns --hook prerouting,input,output",
        "--drop",
    ];
    options[random.usize(..options.len())]
}

/// Listeners that are killed.
fn kill(scene: &Scene, wire: &Wire, mut random: Rng) {
    while scene.goes_on() {
        let _busy = scene.busy();
        let words = format!("icmptap listen {}", options(&mut random));
        if kill_after(wire.right.command(&words), &mut random, LISTENING) {
            scene.did(Count::Killed);
        }
    }
}

/// Namespaces with a listener and traffic, which end before these do.
fn make_namespaces(scene: &Scene, _: &Wire, mut random: Rng) {
    while scene.goes_on() {
        let _busy = scene.busy();
        let namespace = Namespace::new();
        let words = format!("icmptap listen {}", options(&mut random));
        let listener = Process::start(namespace.command(&words));
        let ping = Process::start(namespace.command("ping -f 127.0.0.1"));
        rest(&mut random, 5_000);
        drop(namespace);
        rest(&mut random, 200);
        drop(ping);
        let (_, _, stderr) = listener.end_by(Signal::KILL);
        if stderr.iter().any(|line| line.contains(LISTENING)) {
            scene.did(Count::Namespaces);
        }
    }
}

/// A wire that is not to be relied on.
fn shake(scene: &Scene, wire: &Wire, mut random: Rng) {
    while scene.goes_on() {
        wire.right.ip("link set eth0 down");
        rest(&mut random, 200);
        wire.right.ip("link set eth0 up");
        scene.did(Count::Flaps);
        // And one that ends in the middle of it.
        if random.u8(0..8) == 0 {
            let other = Wire::new();
            let ping = Process::start(other.left.command("ping -f 10.0.0.2"));
            rest(&mut random, 500);
            other.right.ip("link del eth0");
            scene.did(Count::Flaps);
            drop(ping);
        }
        rest(&mut random, 500);
    }
}

/// The second CPU, off and on.
fn switch_cpus(scene: &Scene, _: &Wire, mut random: Rng) {
    const SWITCH: &str = "/sys/devices/system/cpu/cpu1/online";
    while scene.goes_on() {
        rest(&mut random, 8_000);
        fs::write(SWITCH, "0").expect(SWITCH);
        scene.did(Count::CpusOff);
        rest(&mut random, 500);
        fs::write(SWITCH, "1").expect(SWITCH);
    }
}

/// The module, in and out. For the most time it is there, for the others: both ways
/// wait for namespaces to end, and CPUs to come and go.
fn unload(scene: &Scene, _: &Wire, mut random: Rng) {
    while scene.goes_on() {
        rest(&mut random, 20_000);
        // Somebody listens, mostly.
        for _ in 0..random.u8(1..20) {
            if scene.try_reload() {
                break;
            }
            rest(&mut random, 500);
        }
        rest(&mut random, 20_000);
        let _calm = scene.calm.write().expect("no panic");
        wait_until("nobody holds the modules", module::are_free);
        wait_until("the module could be reloaded", || scene.try_reload());
    }
}

/// Everything that can be asked.
fn ask(scene: &Scene, wire: &Wire, mut random: Rng) {
    while scene.goes_on() {
        let busy = scene.busy();
        let asked = scene.with_module(|| {
            wire.right.enter(|| {
                let mut client = Client::open()?;
                client.info()?;
                client.stats()?;
                client.stats_per_cpu()?;
                for all in [false, true] {
                    match client.subscriptions(all) {
                        Ok(_) | Err(Error::Changing { .. }) => (),
                        Err(error) => return Err(error),
                    }
                }
                Ok(())
            })
        });
        if asked.is_some() {
            scene.did(Count::Dumps);
        }
        drop(busy);
        rest(&mut random, 200);
    }
}

/// The other door.
fn be_historical(scene: &Scene, wire: &Wire, mut random: Rng) {
    while scene.goes_on() {
        let _busy = scene.busy();
        let command = wire.right.command(imp2::install());
        if kill_after(command, &mut random, "registered") {
            scene.did(Count::Imp2);
        }
    }
}

/// Limits that are mostly high enough, and what IMP2 does to packets.
fn change_parameters(scene: &Scene, _: &Wire, mut random: Rng) {
    while scene.goes_on() {
        let limit = random
            .choice(["1", "64", "128", "128", "256", "256"])
            .expect("one");
        let verdict = random.choice(["accept", "drop"]).expect("one");
        let busy = scene.busy();
        let changed = scene.with_module(|| {
            module::set_parameter("max_per_user", limit)?;
            module::IMP2.set_parameter("verdict", verdict)
        });
        if changed.is_some() {
            scene.did(Count::Parameters);
        }
        drop(busy);
        rest(&mut random, 1_000);
    }
}
