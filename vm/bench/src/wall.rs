//! What no count of instructions tells: how many packets all CPUs send while somebody
//! captures, what the guest works for each, and how many events are lost. Of use on CPUs
//! that are real, and as ratios to the same packets without capture, sent at about the
//! same time: the peers take turns.
//!
//! Nobody takes idle time here: the kernel's own count of it is that of a clock.

mod busy;

use std::env;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use icmptap_vm_tests::process::Process;
use serde::Serialize;

use self::busy::Busy;
use crate::fold::Fold;
use crate::measure::{Read, check_sums};
use crate::peer::{self, Patience, Peer, Reader};
use crate::traffic::{self, DESTINATIONS, Flood};
use crate::{is_wanted, sys};

/// The argument that asks for this.
pub(crate) const WALL: &str = "wall";
/// The argument that makes this program a reader that knows when to give up.
pub(crate) const READ: &str = "read-patiently";

/// How often each has its turn.
const ROUNDS: u32 = 5;
/// Packets of each CPU that show how many it sends in a second.
const TRIAL: u64 = 5_000;
/// Sent at most by each CPU.
const MOST: u64 = 2_000_000;

/// Of what is lost, a reader knows after so long.
const QUIET: Duration = Duration::from_secs(1);
/// A reader that has not ended by then has hung.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is printed, as a line of JSON.
#[derive(Serialize)]
struct Sample<'a> {
    /// Of a peer. Without one, nobody captured.
    name: Option<&'static str>,
    settings: &'a str,
    round: u32,
    /// By all CPUs.
    packets: u64,
    /// Of those, not seen.
    lost: u64,
    /// From the first packet to the last.
    sending_ns: u64,
    /// What all CPUs worked, until the reader had seen the last event.
    busy_ns: u64,
}

/// Measures those whose name contains one of these; but not whole programs, which do
/// not say what they lost.
pub(crate) fn measure(names: &[&str]) -> Result<()> {
    let all = peer::all();
    let is_ours = |peer: &Peer| !matches!(peer.reader, Reader::Foreign(_));
    let peers = all.iter().enumerate();
    let peers = peers.filter(|(_, peer)| is_ours(peer) && is_wanted(names, peer.name));
    let peers: Vec<_> = peers.collect();
    if peers.is_empty() {
        bail!("no reader of ours is called {}", names.join(" or "));
    }
    let count = in_a_second()?;
    for round in 1..=ROUNDS {
        print(&alone(round, count)?)?;
        for (index, peer) in &peers {
            let sample = captured(*index, peer, round, count);
            print(&sample.with_context(|| format!("{}, {}", peer.name, peer.settings))?)?;
        }
    }
    Ok(())
}

fn print(sample: &Sample<'_>) -> Result<()> {
    println!("{}", serde_json::to_string(sample)?);
    Ok(())
}

/// Packets that each CPU sends in about a second, if nobody captures.
fn in_a_second() -> Result<u64> {
    let namespace = traffic::namespace()?;
    // What is done once is not timed.
    traffic::flood(&namespace, TRIAL, || ())?;
    let flood = traffic::flood(&namespace, TRIAL, || ())?;
    let count = u128::from(TRIAL) * 1_000_000_000 / u128::from(flood.end - flood.start);
    let count = u64::try_from(count)?.clamp(TRIAL, MOST);
    // All packets together are then whole rows of addresses.
    Ok(count.next_multiple_of(DESTINATIONS as u64))
}

fn alone(round: u32, count: u64) -> Result<Sample<'static>> {
    let namespace = traffic::namespace()?;
    busy::settle()?;
    let before = Busy::now()?;
    let flood = traffic::flood(&namespace, count, || ())?;
    let busy_ns = Busy::now()?.since(before);
    Ok(sample(None, round, &flood, 0, busy_ns))
}

fn captured(index: usize, peer: &Peer, round: u32, count: u64) -> Result<Sample<'_>> {
    let namespace = traffic::namespace()?;
    (peer.prepare)(&namespace);
    // Of several CPUs' packets all are awaited.
    let all = count * traffic::cpus()? as u64;
    let words = match &peer.reader {
        Reader::Program(program) => format!("{program} {all} 0"),
        _ => format!("{} {READ} {index} {all}", env::current_exe()?.display()),
    };
    let reader = Process::start(namespace.command(&words));
    reader.wait_for("ready");
    busy::settle()?;
    let before = Busy::now()?;
    let flood = traffic::flood(&namespace, count, || ())?;
    let line = reader.line(PATIENCE).context("it does not end")?;
    let busy_ns = Busy::now()?.since(before);
    let read: Read = serde_json::from_str(&line).context(line)?;
    let lost = lost(peer, &flood, &read)?;
    Ok(sample(Some(peer), round, &flood, lost, busy_ns))
}

fn sample<'a>(
    peer: Option<&'a Peer>,
    round: u32,
    flood: &Flood,
    lost: u64,
    busy_ns: u64,
) -> Sample<'a> {
    Sample {
        name: peer.map(|peer| peer.name),
        settings: peer.map_or("", |peer| &peer.settings),
        round,
        packets: flood.packets,
        lost,
        sending_ns: flood.end - flood.start,
        busy_ns,
    }
}

/// Of what was sent, that which was not seen, whatever the reader knows of it.
fn lost(peer: &Peer, flood: &Flood, read: &Read) -> Result<u64> {
    let lost = flood.packets.checked_sub(read.fold.count);
    let lost = lost.with_context(|| format!("more than {} events", flood.packets))?;
    if lost == 0 {
        check_sums(peer, &read.fold).with_context(|| format!("{:?}", read.fold))?;
    } else {
        ensure!(
            read.end > flood.end,
            "it gave up while packets were sent: it did not run for {QUIET:?}"
        );
    }
    Ok(lost)
}

/// The reader's own work.
pub(crate) fn read(peer: &Peer, count: u64) -> Result<()> {
    let mut fold = Fold::default();
    let mut source = peer.open()?;
    source.read(&mut fold, count, Some(&mut Patience::new(QUIET)))?;
    let end = sys::clock(libc::CLOCK_MONOTONIC)?;
    println!("{}", serde_json::to_string(&Read { end, fold })?);
    Ok(())
}
