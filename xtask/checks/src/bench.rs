//! `bench`: what it costs to carry an ICMP packet from a hook to a program.
//!
//! A program of vm/bench measures in a guest that counts instructions, us and what
//! else there is, and prints its figures, which are made a table of here.

mod chart;
mod figures;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use icmptap_guest::Task;
use serde::{Deserialize, Serialize};
use xtask_guests::vm::artifacts::Wanted;
use xtask_guests::vm::machine::{Guest, GuestTask, Options};
use xtask_guests::vm_run;
use xtask_host::ui;

use crate::tally::Tally;

use figures::{Comparison, Conditions, Record};

/// What the chart shows, as vm/bench calls it.
const EVENT: &str = "instructions per event";
/// What is not a capture among that.
const BASELINE: &str = "baseline";
/// What is measured in guests with several CPUs as well, as vm/bench calls it.
const CPUS: &str = "cpus";
/// How many they have. A guest that has but one measures everything.
const SEVERAL: [u32; 2] = [2, 4];
/// How our own names begin.
const US: &str = "icmptap";
/// What our own changes change, at little cost: not what others' captures take, and not
/// `subscriptions`, which is `cpus` many times.
const OURS: [&str; 9] = [
    US,
    "imp2",
    "memory",
    "other packets",
    "rejected",
    "snaplen",
    "held",
    "latency",
    CPUS,
];

/// What each change is judged by: what an event costs, what the tutorial's protocol, a
/// subscription's memory, and how late a lone event is.
const HEADLINES: [&str; 4] = [US, "imp2", "memory", "latency"];

/// Measure the cost of an event, of icmptap and other tools, in guest instructions
///
/// The guest is emulated, has one CPU (2 and 4 where that is what is measured) and
/// counts instructions: a figure is the same on any machine, whatever its load. Exits
/// with 1 when --check finds a figure that is worse than the recorded one.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Measure only what has one of these in its name
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// Boot this kernel of vm/kernels.toml
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,

    /// Fail if a figure is more than 3 % worse than the one in vm/bench/figures.json
    #[arg(long)]
    check: bool,

    /// Write the figures to vm/bench/figures.json
    #[arg(long, conflicts_with_all = ["check", "names"])]
    record: bool,

    /// Write the figures and their environment to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Draw a chart of the cost of an event in this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,

    #[command(flatten)]
    options: Options,
}

pub(crate) fn run(args: &Args, locked: bool) -> Result<ExitCode> {
    if args.options.says_cpus() {
        bail!("the figures are those of guests with 1, 2 and 4 CPUs: leave out --smp");
    }
    let record = count_instructions(&args.names, args.kernel.as_deref(), &args.options, locked)?;
    print!("{}", table::text(&record.figures));
    if let Some(path) = &args.json {
        put(path, &(serde_json::to_string_pretty(&record)? + "\n"))?;
    }
    if let Some(path) = &args.svg {
        put(path, &chart::svg(&record.figures, EVENT, US, BASELINE))?;
    }
    if args.check {
        let (Comparison::SameCompiler(wrong) | Comparison::OtherCompiler(wrong)) =
            figures::compare(&figures::read()?, &record, &args.names);
        for line in &wrong {
            ui::warn(line);
        }
        return Ok(ExitCode::from(u8::from(!wrong.is_empty())));
    }
    if args.record {
        figures::write(record)?;
        ui::say("record", figures::file().display());
    }
    Ok(ExitCode::SUCCESS)
}

/// What is ours, all of it or the headlines, costs no more than what is recorded of the
/// default kernel. What other compilers make of it is said and not judged: the repository
/// does not choose them.
pub(crate) fn check_ours(options: &Options, all: bool, locked: bool) -> Result<Tally> {
    let names: &[&str] = if all { &OURS } else { &HEADLINES };
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let record = count_instructions(&names, None, &options.emulated(), locked)?;
    print!("{}", table::text(&record.figures));
    let comparison = figures::compare(&figures::read()?, &record, &names);
    let (Comparison::SameCompiler(lines) | Comparison::OtherCompiler(lines)) = &comparison;
    for line in lines {
        ui::warn(line);
    }
    let is_comparable = matches!(comparison, Comparison::SameCompiler(_));
    Ok(Tally::of(!is_comparable || lines.is_empty()))
}

/// In a guest with one CPU, and in those with several if they have something to measure.
fn count_instructions(
    names: &[String],
    kernel: Option<&str>,
    options: &Options,
    locked: bool,
) -> Result<Record> {
    let several = SEVERAL.iter().filter(|_| wants_cpus(names));
    let several: Vec<_> = several.map(|cpus| options.with_icount(*cpus)).collect();
    let one = options.with_icount(1);
    let mut guest = prepare(kernel, &one, locked)?;
    let mut record = Record {
        conditions: conditions(&guest)?,
        figures: measure(&guest, names)?,
    };
    for options in &several {
        guest = guest.with_machine(options);
        record.figures.extend(measure(&guest, &[CPUS.to_owned()])?);
    }
    Ok(record)
}

fn prepare<'a>(kernel: Option<&str>, options: &'a Options, locked: bool) -> Result<Guest<'a>> {
    Guest::prepare(options, kernel, true, Wanted::Bench, locked)
}

fn wants_cpus(names: &[String]) -> bool {
    is_wanted(names, CPUS)
}

/// As vm/bench understands names.
fn is_wanted(names: &[String], name: &str) -> bool {
    names.is_empty() || names.iter().any(|part| name.contains(part.as_str()))
}

fn put(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

fn conditions(guest: &Guest<'_>) -> Result<Conditions> {
    let kernel = guest.kernel();
    Ok(Conditions {
        kernel: kernel.name.clone(),
        release: kernel.release.clone(),
        cc: version(Path::new("gcc"))?,
        rustc: version(Path::new("rustc"))?,
        qemu: version(guest.qemu())?,
    })
}

/// The first line that a program says of its version.
fn version(program: &Path) -> Result<String> {
    let output = Command::new(program).arg("--version").output();
    let output = output.with_context(|| format!("run {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next().context("it says no version")?;
    Ok(line.to_owned())
}

/// What was measured, as the guest's program prints it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Figure {
    name: String,
    settings: String,
    /// Of what: figures of one unit can be compared.
    unit: String,
    value: f64,
    /// Events that were lost meanwhile.
    lost: u64,
    more_is_better: bool,
}

impl Figure {
    fn title(&self) -> String {
        format!("{}, {} ({})", self.name, self.settings, self.unit)
    }

    /// Whether both measure the same.
    fn is_of(&self, other: &Figure) -> bool {
        (&self.name, &self.settings, &self.unit) == (&other.name, &other.settings, &other.unit)
    }
}

/// What the guest's program measures of these. Each figure is shown when it comes.
fn measure(guest: &Guest<'_>, names: &[String]) -> Result<Vec<Figure>> {
    let argv = [&["bench".to_owned()], names].concat();
    let guest_task = GuestTask {
        // A program of vm/bench.
        task: Task::Run {
            argv,
            env: Vec::new(),
        },
        copies: &[],
        total: None,
        silence: Some(guest.scaled(Duration::from_secs(30))),
    };
    let mut lines = Lines::default();
    vm_run::program(guest, guest_task, &mut |bytes| lines.add(bytes))?;
    Ok(lines.figures)
}

/// Makes figures of what comes in pieces.
#[derive(Default)]
struct Lines {
    rest: Vec<u8>,
    figures: Vec<Figure>,
}

impl Lines {
    fn add(&mut self, bytes: &[u8]) -> Result<()> {
        self.rest.extend(bytes);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let figure: Figure = serde_json::from_slice(&line)
                .with_context(|| format!("no figure: {}", String::from_utf8_lossy(&line)))?;
            ui::say(
                "figure",
                format!("{}, {}: {:.1}", figure.name, figure.settings, figure.value),
            );
            self.figures.push(figure);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_cpus_are_booted_for_their_figure_only() {
        let wants = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            wants_cpus(&names)
        };
        assert!(wants(&[]));
        assert!(wants(&["NFLOG", "cpu"]));
        assert!(!wants(&["NFLOG", "cpus of it"]));
    }

    #[test]
    fn a_line_may_come_in_pieces_and_two_at_once() {
        let line = br#"{"name":"a","settings":"b","unit":"c","value":1.5,"lost":0,"more_is_better":false}"#;
        let text = [&line[..], b"\n", line, b"\n"].concat();
        let mut lines = Lines::default();
        lines.add(&text[..20]).unwrap();
        assert_eq!(lines.figures.len(), 0);
        lines.add(&text[20..]).unwrap();
        assert_eq!(lines.figures.len(), 2);
        assert!(lines.add(b"no figure\n").is_err());
    }
}
