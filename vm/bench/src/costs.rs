//! What icmptap costs those who do not ask for an event, what it costs when more is
//! asked of it, what it takes of memory, and how long a lone packet needs.

use std::fs;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use icmptap::{BatchSize, Builder, FlushInterval, Item, Snaplen, Subscription, TypeSet};
use icmptap_vm_tests::module;
use icmptap_vm_tests::net::Namespace;
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::measure::{Bench, Figure};
use crate::traffic::{self, LENGTH, SNAPLEN, Sender};

/// A name to ask for, and what measures it.
type Cost = (&'static str, fn(&Bench) -> Result<Vec<Figure>>);

/// All of them, in the order in which they are shown.
pub(crate) const ALL: [Cost; 7] = [
    // First, as what others left would count.
    (MEMORY, memory),
    (OTHERS, others),
    (REJECTED, rejected),
    (SUBSCRIPTIONS, subscriptions),
    (SNAPLENS, snaplens),
    (HELD, held),
    (LATENCY, latency),
];

const OTHERS: &str = "other packets";
const REJECTED: &str = "rejected";
const SUBSCRIPTIONS: &str = "subscriptions";
const SNAPLENS: &str = "snaplen";
const HELD: &str = "held";
const MEMORY: &str = "memory";
const LATENCY: &str = "latency";

/// Holds all that is sent to who does not read, whatever the snaplen.
pub(crate) const LARGE_BUFFER: usize = 128 << 20;
/// The kernel's default.
const DEFAULT_BUFFER: usize = 212_992;

fn figure(name: &'static str, settings: String, unit: &'static str, value: f64) -> Figure {
    Figure {
        name,
        settings,
        unit,
        value,
        lost: 0,
        more_is_better: false,
    }
}

/// UDP packets through `lo`, when the module is not there, idle, or at work.
fn others(bench: &Bench) -> Result<Vec<Figure>> {
    let cost = |subscriptions| {
        let namespace = traffic::namespace()?;
        let _open = open(&namespace, &Subscription::builder(), subscriptions)?;
        bench.sent(&namespace, Sender::udp)
    };
    module::unload();
    let without = cost(0);
    module::load("");
    let without = without?;
    let mut figures = Vec::new();
    for count in [0, 1, 16] {
        let settings = format!("UDP, subscriptions: {count}");
        let unit = "instructions per packet of another protocol, above those without the module";
        figures.push(figure(OTHERS, settings, unit, cost(count)? - without));
    }
    Ok(figures)
}

/// Echo requests that no subscription's types have.
fn rejected(bench: &Bench) -> Result<Vec<Figure>> {
    const UNREACHABLE: u8 = 3;
    let unreachable = || Subscription::builder().icmp_types(TypeSet::from_iter([UNREACHABLE]));
    let cost = |subscriptions| {
        let namespace = traffic::namespace()?;
        let _open = open(&namespace, &unreachable(), subscriptions)?;
        bench.sent(&namespace, || Sender::new(LENGTH))
    };
    let nobody = cost(0)?;
    let mut figures = Vec::new();
    for count in [1, 16] {
        let settings = format!("by its types, subscriptions: {count}");
        let unit = "instructions per ICMP packet that nobody wants";
        figures.push(figure(REJECTED, settings, unit, cost(count)? - nobody));
    }
    Ok(figures)
}

/// What the kernel does for one more subscription.
fn subscriptions(bench: &Bench) -> Result<Vec<Figure>> {
    let builder = Subscription::builder().snaplen(Snaplen(SNAPLEN));
    let counts = [1, 2, 4, 8, 16, 32, 64];
    let costs = counts.map(|count| delivered(bench, &builder, count, LENGTH));
    let unit = "instructions per packet, delivered to subscriptions that nobody reads";
    let figures = counts.iter().zip(costs).map(|(count, cost)| {
        let settings = format!("so many: {count}");
        Ok(figure(SUBSCRIPTIONS, settings, unit, cost?))
    });
    figures.collect()
}

/// What the kernel does for more bytes.
fn snaplens(bench: &Bench) -> Result<Vec<Figure>> {
    const LONG: u32 = 1500;
    let unit =
        "instructions per packet of 1,500 bytes, delivered to a subscription that nobody reads";
    let figures = [0, 64, 128, 256, 576, 1024, 1500].map(|snaplen| {
        let builder = Subscription::builder().snaplen(Snaplen(snaplen));
        let cost = delivered(bench, &builder, 1, LONG)?;
        Ok(figure(SNAPLENS, format!("snaplen {snaplen}"), unit, cost))
    });
    figures.into_iter().collect()
}

/// Events that a buffer takes before one is lost.
fn held(_: &Bench) -> Result<Vec<Figure>> {
    const ENOUGH: u64 = 20_000;
    let figures = [3776, 16_064].map(|batch| {
        let namespace = traffic::namespace()?;
        let builder = Subscription::builder()
            .snaplen(Snaplen(SNAPLEN))
            .batch(BatchSize(batch))
            .receive_buffer(DEFAULT_BUFFER);
        let subscription = namespace.enter(|| builder.subscribe())?;
        namespace.enter(|| Sender::new(LENGTH)?.send(ENOUGH))?;
        let counters = subscription.finish()?.counters;
        ensure!(counters.lost_overrun > 0, "it held all");
        let settings = format!("batches of {batch} bytes, nobody reads");
        let unit = "events held by a receive buffer of 212,992 bytes";
        Ok(Figure {
            more_is_better: true,
            ..figure(HELD, settings, unit, counters.delivered as f64)
        })
    });
    figures.into_iter().collect()
}

/// Of the kernel's, with its socket.
fn memory(bench: &Bench) -> Result<Vec<Figure>> {
    // Memory comes in pages: of many, each has its part.
    const COUNT: usize = 1000;
    // A few descriptors each.
    let files = Rlimit {
        current: Some(8 * COUNT as u64),
        maximum: Some(8 * COUNT as u64),
    };
    setrlimit(Resource::Nofile, files)?;
    let _allowed = [
        ("max_per_netns", "2000"),
        ("max_per_user", "2000"),
        ("max_bytes", "1000000000"),
    ]
    .map(|(limit, value)| module::Changed::parameter(limit, value));
    let namespace = traffic::namespace()?;
    // Hooks and what else the first one brings.
    let _first = open(&namespace, &Subscription::builder(), 1)?;
    bench.clock.settle()?;
    let before = kernel_memory()?;
    let _open = open(&namespace, &Subscription::builder(), COUNT)?;
    bench.clock.settle()?;
    let bytes = (kernel_memory()? - before) / COUNT as f64;
    let settings = format!("slab and per-CPU memory, mean of {COUNT}");
    Ok(vec![figure(
        MEMORY,
        settings,
        "bytes per subscription, its socket included",
        bytes,
    )])
}

fn kernel_memory() -> Result<f64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let kib = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|number| number.parse::<f64>().ok())
    };
    let sum = kib("Slab:").zip(kib("Percpu:"));
    let (slab, percpu) = sum.context("/proc/meminfo")?;
    Ok((slab + percpu) * 1024.0)
}

/// From before a lone packet is sent until a reader has it.
fn latency(_: &Bench) -> Result<Vec<Figure>> {
    let unit = "instructions from send to reader, a lone packet";
    let figures = [("1,000", 1000), ("0", 0)].map(|(text, us)| {
        let builder = Subscription::builder()
            .snaplen(Snaplen(SNAPLEN))
            .flush_interval(FlushInterval { us });
        let value = lone_packet(&builder)?;
        Ok(figure(
            LATENCY,
            format!("flush interval {text} µs"),
            unit,
            value,
        ))
    });
    figures.into_iter().collect()
}

/// The median of some.
fn lone_packet(builder: &Builder) -> Result<f64> {
    const TIMES: usize = 51;
    let namespace = traffic::namespace()?;
    let mut subscription = namespace.enter(|| builder.subscribe())?;
    let (seen, when) = channel();
    let mut latencies = Vec::new();
    thread::scope(|scope| {
        let reader = scope.spawn(move || {
            for _ in 0..TIMES {
                let Some(Item::Event(_)) = subscription.recv()? else {
                    bail!("no event");
                };
                seen.send(Instant::now())?;
            }
            Ok(())
        });
        let sender = namespace.enter(|| Sender::new(LENGTH))?;
        for _ in 0..TIMES {
            thread::sleep(Duration::from_millis(20));
            let sent = Instant::now();
            sender.send(1)?;
            latencies.push(when.recv()?.duration_since(sent).as_nanos());
        }
        reader.join().expect("the reader does not panic")
    })?;
    latencies.sort_unstable();
    Ok(latencies[TIMES / 2] as f64)
}

/// Instructions per packet of so many bytes that so many subscriptions get, above
/// those of the packets alone.
fn delivered(bench: &Bench, builder: &Builder, count: usize, length: u32) -> Result<f64> {
    // All has to find room, of short packets for many or of long ones for one.
    let bench = Bench {
        packets: 4 * bench.packets / count.max(8) as u64,
        ..*bench
    };
    let namespace = traffic::namespace()?;
    let alone = bench.sent(&namespace, || Sender::new(length))?;
    let builder = builder.clone().receive_buffer(LARGE_BUFFER);
    let open = open(&namespace, &builder, count)?;
    let with = bench.sent(&namespace, || Sender::new(length))?;
    for subscription in open {
        let counters = subscription.finish()?.counters;
        ensure!(counters.matched == 3 * bench.packets && counters.lost() == 0);
    }
    Ok(with - alone)
}

fn open(namespace: &Namespace, builder: &Builder, count: usize) -> Result<Vec<Subscription>> {
    namespace.enter(|| {
        let all = (0..count).map(|_| builder.subscribe());
        let all: Result<_, _> = all.collect();
        all.context("subscribe")
    })
}
