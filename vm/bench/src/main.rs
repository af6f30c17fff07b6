//! Measures in the guest, which counts instructions: what an event costs, from the
//! hook until a program has looked at it, for us and for what else there is. Each
//! figure is printed as a line of JSON. `cargo xtask bench` starts it.
//!
//! `bench [NAME]…` measures those whose name contains one of these; in a guest with
//! several CPUs, what there is to measure on them. The same program is also each reader
//! that is measured, and the process that takes idle time.

mod clock;
mod costs;
mod cpus;
mod fold;
mod measure;
mod peer;
mod sys;
mod traffic;

use std::env;

use anyhow::{Context, Result, bail, ensure};

use clock::{Clock, Spinner};
use measure::{Bench, EVENT, Figure};

/// Packets in the shorter of the two runs of a measurement.
const PACKETS: u64 = 20_000;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [clock::SPIN] => clock::spin(),
        [measure::READ, index, count, spinner] => {
            let spinner = spinner.parse()?;
            measure::read(&peer::nth(index)?, count.parse()?, Clock { spinner })
        }
        ref names => bench(names),
    }
}

fn bench(names: &[&str]) -> Result<()> {
    let peers = peer::all();
    let is_wanted = |name: &str| names.is_empty() || names.iter().any(|part| name.contains(part));
    let costs = costs::ALL.iter().filter(|(name, _)| is_wanted(name));
    let wanted = peers.iter().enumerate();
    let wanted: Vec<_> = wanted.filter(|(_, peer)| is_wanted(peer.name)).collect();
    let wants_cpus = is_wanted(cpus::NAME);
    if wanted.is_empty() && costs.clone().next().is_none() && !wants_cpus {
        bail!("nothing is called {}", names.join(" or "));
    }
    if cpus::count()? > 1 {
        // All else has one CPU for itself.
        ensure!(wants_cpus, "on several CPUs there is only {}", cpus::NAME);
        return print(&cpus::figure()?);
    }
    for name in peer::missing() {
        if is_wanted(name) {
            eprintln!("{name}: not on this kernel");
        }
    }
    let spinner = Spinner::start()?;
    let bench = Bench {
        clock: spinner.clock(),
        packets: PACKETS,
    };
    let baseline = bench.baseline()?;
    print(&Figure {
        name: "baseline",
        settings: "the packets alone".to_owned(),
        unit: EVENT,
        value: baseline,
        lost: 0,
        more_is_better: false,
    })?;
    for (index, peer) in wanted {
        let figure = bench.event(index, peer, baseline);
        print(&figure.with_context(|| format!("{}, {}", peer.name, peer.settings))?)?;
    }
    for (name, measure) in costs {
        for figure in measure(&bench).context(*name)? {
            print(&figure)?;
        }
    }
    drop(spinner);
    if wants_cpus {
        print(&cpus::figure()?)?;
    }
    Ok(())
}

fn print(figure: &Figure) -> Result<()> {
    println!("{}", serde_json::to_string(figure)?);
    Ok(())
}
