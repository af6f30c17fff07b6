//! What a packet costs the kernel when all CPUs send: whether the streams of a
//! subscription, one for each CPU, get in each other's way.
//!
//! CPUs that count instructions take turns, and guest time is those of all of them
//! together, as long as not all are idle. From the first packet to the last none of
//! this is idle time: at least one sends. So nobody has to take it, as
//! [`clock`](crate::clock) has it done, and the time of whoever did would count the
//! others' turns as well.
//!
//! A turn is a packet here, and ends where no lock is held. So this sees work that
//! grows with the CPUs; it does not see that one waits for another, and not what a
//! cache line costs that they share.

use std::fs;
use std::hint::spin_loop;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};

use anyhow::{Context, Result, ensure};
use icmptap::{FlushInterval, Snaplen, Subscription};
use icmptap_vm_tests::net::Namespace;

use crate::clock::MOMENT;
use crate::costs::LARGE_BUFFER;
use crate::measure::{Figure, Run, slope};
use crate::traffic::{self, SNAPLEN};

/// What to ask for.
pub(crate) const NAME: &str = "cpus";

/// Packets that each CPU sends in the shorter run.
const PACKETS: u64 = 10_000;

/// While one has its turn, time passes for all: with more CPUs a batch takes longer to
/// fill. With a shorter interval it would leave before it is full.
const FLUSH: FlushInterval = FlushInterval { us: 1_000_000 };

/// How many the guest has, whether they run already or not.
pub(crate) fn count() -> Result<u64> {
    Ok(files()?.len() as u64)
}

/// Where each is started, in order. The first runs, and may have no such file.
fn files() -> Result<Vec<PathBuf>> {
    let cpu = |nth| PathBuf::from(format!("/sys/devices/system/cpu/cpu{nth}"));
    let cpus = (0..).map(cpu).take_while(|path| path.exists());
    Ok(cpus.map(|path| path.join("online")).collect())
}

/// Starts those that do not run yet.
///
/// A turn ends with a `pause`. One that lasts until a timer is the first CPU's again
/// (QEMU before 8.1), and the kernel, while it waits for a CPU to start, never pauses.
/// But it gives way to processes; so one of them does. That there is one, a guest that
/// counts instructions comes up with one CPU (`maxcpus=1`).
fn start_all() -> Result<()> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                spin_loop();
            }
        });
        let started = files()?.iter().skip(1).try_for_each(|path| {
            fs::write(path, "1").with_context(|| format!("start {}", path.display()))
        });
        is_over.store(true, Ordering::Relaxed);
        started
    })
}

/// On as many CPUs as there are.
pub(crate) fn figure() -> Result<Figure> {
    start_all()?;
    let cpus = count()?;
    let namespace = traffic::namespace()?;
    // Routes, and memory that is kept: the first packets on a CPU cost more.
    traffic::flood(&namespace, PACKETS, spin_loop)?;
    let alone = sent(&namespace)?;
    let builder = Subscription::builder()
        .snaplen(Snaplen(SNAPLEN))
        .flush_interval(FLUSH)
        .receive_buffer(LARGE_BUFFER);
    let subscription = namespace.enter(|| builder.subscribe())?;
    let with = sent(&namespace)?;
    let counters = subscription.finish()?.counters;
    ensure!(counters.matched == 3 * PACKETS * cpus && counters.lost() == 0);
    Ok(Figure {
        name: NAME,
        settings: format!("on CPUs: {cpus}"),
        unit: "instructions per packet, sent by all CPUs, delivered to a subscription that \
               nobody reads",
        value: with - alone,
        lost: 0,
        more_is_better: false,
    })
}

/// Instructions of all CPUs for each packet.
fn sent(namespace: &Namespace) -> Result<f64> {
    let (value, _) = slope(PACKETS, |count| {
        // What others left is done by then. Idle time is over at once.
        sleep(10 * MOMENT);
        let flood = traffic::flood(namespace, count, spin_loop)?;
        Ok(Run::without_loss(flood.end - flood.start))
    })?;
    Ok(value / count()? as f64)
}
