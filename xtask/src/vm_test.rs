//! `vm-test`: the tests of vm/tests, in guests.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use icmptap_guest::{Outcome, Report, Task, TestBinary};

use crate::coverage::{self, Counts, Lines};
use crate::kernel::{self, Kernel};
use crate::tally::{self, Part, Tally};
use crate::vm::artifacts::Wanted;
use crate::vm::machine::{self, Errand, Guest, Options, Share};
use crate::{lanes, self_check, ui};

/// Run the tests of vm/tests in a guest
///
/// Exit status: 0 when all passed, 1 when one failed or was not run, 120 when the
/// kernel complained, 121 when it panicked, 122 when the guest was lost, 123 when it
/// took too long, 125 when there was no guest. Of several kernels, the worst counts.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The kernels to boot, of vm/kernels.toml
    #[arg(long, value_name = "NAME")]
    kernel: Vec<String>,

    /// Boot every kernel of vm/kernels.toml
    #[arg(long, conflicts_with = "kernel")]
    all: bool,

    /// Put known bugs into the module, and see that the tests find each; a FILTER is
    /// for the bugs
    #[arg(long, conflicts_with_all = ["kernel", "all", "ignored"])]
    self_check: bool,

    #[command(flatten)]
    options: Options,

    #[command(flatten)]
    choice: Choice,
}

/// Which tests, and how patiently.
#[derive(clap::Args)]
pub(crate) struct Choice {
    /// Run the tests that are marked `#[ignore]`, and no others
    #[arg(long)]
    ignored: bool,

    /// How long one test may take, instead of 30 seconds, or 300 under fire; an
    /// emulated guest gets three times that, and a slow kernel more
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,

    /// What the tests under fire draw their random numbers from; they print it
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,

    /// How many requests and packets the tests under fire make, each of them, and for
    /// how many seconds they churn
    #[arg(long, value_name = "COUNT")]
    iterations: Option<u64>,

    /// The tests under fire at full length, as before a release
    #[arg(long, conflicts_with = "iterations")]
    long: bool,

    /// Only tests whose BINARY::TEST contains one of these
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
}

impl Choice {
    const TIMEOUT: u64 = 30;

    /// Those under fire do the same many times.
    const TIMEOUT_OF_FIRE: u64 = 10 * Self::TIMEOUT;

    /// What a user gets who chooses nothing.
    const ALL: Choice = Choice {
        ignored: false,
        timeout: None,
        seed: None,
        iterations: None,
        long: false,
        filters: Vec::new(),
    };

    /// All tests, those under fire at full length or not.
    pub(crate) fn all(long: bool) -> Choice {
        Choice { long, ..Self::ALL }
    }

    /// Are these all tests that there are?
    fn is_whole(&self) -> bool {
        self.filters.is_empty() && !self.ignored
    }

    /// Does one of the filters let this name through?
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|part| name.contains(part))
    }

    /// Of this binary's tests, each.
    fn timeout(&self, binary: &str) -> Duration {
        let usual = match machine::is_fire(binary) {
            true => Self::TIMEOUT_OF_FIRE,
            false => Self::TIMEOUT,
        };
        Duration::from_secs(self.timeout.unwrap_or(usual))
    }

    /// What the tests find in their environment: `vm/tests/src/{fire,process}.rs`.
    fn env(&self, guest: &Guest<'_>) -> Vec<(String, String)> {
        let patience = guest.scaled(Duration::from_secs(10)).as_secs();
        [
            ("ICMPTAP_PATIENCE_S", Some(patience)),
            ("ICMPTAP_SEED", self.seed),
            ("ICMPTAP_ITERATIONS", self.iterations),
            ("ICMPTAP_LONG", self.long.then_some(1)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_string())))
        .collect()
    }
}

/// What became of the tests, in all guests together.
#[derive(Default)]
pub(crate) struct Summary {
    pub(crate) tally: Tally,
    /// Of the worst verdict.
    pub(crate) code: u8,
    /// What each guest took, building included.
    pub(crate) parts: Vec<Part>,
}

impl Summary {
    fn add(&mut self, title: String, took: Duration, ran: &Ran) {
        self.tally += ran.tally;
        // The worst is the highest.
        self.code = self.code.max(ran.code);
        self.parts.push((title, took, ran.tally));
    }
}

pub(crate) fn run(args: &Args, locked: bool) -> Result<ExitCode> {
    if args.self_check {
        let Tally { passed, failed } = self_check::run(
            &kernel::chosen(&[], true)?,
            &args.options,
            &args.choice,
            true,
            locked,
        )?;
        println!("{passed} passed, {failed} failed");
        return Ok(ExitCode::from(u8::from(failed > 0)));
    }
    let kernels = kernel::chosen(&args.kernel, args.all)?;
    let summary = in_guests(&kernels, &args.options, &args.choice, locked);
    if summary.parts.len() > 1 {
        print!("{}", tally::table(&summary.parts));
    }
    let Tally { passed, failed } = summary.tally;
    println!("{passed} passed, {failed} failed");
    Ok(summary.code.into())
}

/// Runs tests in guests of each kernel, and prints what becomes of each. A kernel
/// for which there is no guest is one failure, and does not keep the others back.
pub(crate) fn in_guests(
    kernels: &[String],
    options: &Options,
    choice: &Choice,
    locked: bool,
) -> Summary {
    let mut summary = Summary::default();
    let (ready, missing): (Vec<_>, Vec<_>) = kernels
        .iter()
        .map(|name| (name, kernel::ensure(Some(name), locked)))
        .partition(|(_, kernel)| kernel.is_ok());
    for (name, kernel) in missing {
        let error = kernel.expect_err("it is one of those");
        ui::error(&error.context(name.clone()));
        summary.add(name.clone(), Duration::ZERO, &Ran::NOT);
    }
    let kernels: Vec<_> = ready
        .into_iter()
        .filter_map(|(_, kernel)| kernel.ok())
        .collect();
    let runs = runs(&kernels, choice);
    let names = runs.len() > 1;
    let results = lanes::each(&runs, |run| {
        let start = Instant::now();
        let prefix = names.then(|| run.title());
        let result = in_guest(run, prefix.as_deref(), options, choice, locked);
        (result, start.elapsed())
    });
    let mut reached = BTreeMap::<_, Vec<_>>::new();
    for (run, (result, took)) in runs.iter().zip(results) {
        let mut ran = result.unwrap_or_else(|error| {
            ui::error(&error.context(run.title()));
            Ran::NOT
        });
        let lines = ran.lines.take();
        reached.entry(&run.kernel.name).or_default().push(lines);
        summary.add(run.title(), took, &ran);
    }
    for (kernel, lines) in reached {
        let start = Instant::now();
        if let Some(ran) = cover(kernel, lines, choice) {
            summary.add(format!("{kernel} lines"), start.elapsed(), &ran);
        }
    }
    summary
}

/// The exit status of an error of our own.
const NO_GUEST: u8 = 125;

/// One guest, and the tests that it runs.
#[derive(Debug, PartialEq)]
struct Run<'a> {
    kernel: &'a Kernel,
    share: Share,
}

impl Run<'_> {
    fn title(&self) -> String {
        match self.share {
            Share { of: 1, .. } => self.kernel.name.clone(),
            Share { nth, of } => format!("{} {}/{of}", self.kernel.name, nth + 1),
        }
    }
}

/// All guests: the slowest kernel's first, and of it as many as it is slow, or else
/// the others would wait for it.
fn runs<'a>(kernels: &'a [Kernel], choice: &Choice) -> Vec<Run<'a>> {
    let mut kernels: Vec<_> = kernels.iter().collect();
    kernels.sort_by_key(|kernel| std::cmp::Reverse(kernel.slowness));
    let shares = |kernel: &'a Kernel| {
        // A share without any test would be a failure.
        let of = match choice.filters[..] {
            [] => kernel.slowness as usize,
            [..] => 1,
        };
        (0..of).map(move |nth| Run {
            kernel,
            share: Share { nth, of },
        })
    };
    kernels.into_iter().flat_map(shares).collect()
}

/// Runs the tests of one guest. Lines begin with the prefix.
fn in_guest(
    run: &Run<'_>,
    prefix: Option<&str>,
    options: &Options,
    choice: &Choice,
    locked: bool,
) -> Result<Ran> {
    let kernel = Some(run.kernel.name.as_str());
    let guest = Guest::prepare(options, kernel, true, Wanted::Tests, locked)?;
    let binaries = guest.tests(run.share);
    let errand = errand(&guest, binaries, choice, &choice.filters);
    let mut counts = Counts::default();
    let end = guest.run(errand, &mut |report| {
        match (line(report)?, prefix) {
            (Some(text), Some(prefix)) => println!("{prefix:14}  {text}"),
            (Some(text), None) => println!("{text}"),
            (None, _) => (),
        }
        counts.add(report)
    })?;
    let mut tally = Tally {
        passed: end.tally.passed,
        failed: end.tally.failed,
    };
    let code = end.verdict.code();
    // A guest that was not well is a failure, even if every test in it passed.
    if code != 0 && tally.failed == 0 {
        tally += Tally::FAILED;
    }
    // Without its last words there is nothing to read, and it failed anyway.
    let lines = match guest.counted() {
        Some(counted) if end.tally.is_done() => Some(coverage::read(&counted, &counts)?),
        _ => None,
    };
    Ok(Ran { tally, code, lines })
}

/// What became of the tests in one guest.
struct Ran {
    tally: Tally,
    /// The verdict's exit status.
    code: u8,
    /// What they reached of the module, if that is known.
    lines: Option<Lines>,
}

impl Ran {
    /// There was no guest.
    const NOT: Ran = Ran {
        tally: Tally::FAILED,
        code: NO_GUEST,
        lines: None,
    };
}

/// What the guests of one kernel together reached of the module. The whole suite is
/// judged by it, and that is one check more; parts of it can only be looked at.
fn cover(kernel: &str, guests: Vec<Option<Lines>>, choice: &Choice) -> Option<Ran> {
    // One that is missing has been told of.
    let lines = coverage::together(guests.into_iter().collect::<Option<_>>()?);
    ui::say("reached", format!("by the tests on {kernel}"));
    print!("{}", coverage::table(&lines));
    if !choice.is_whole() {
        return None;
    }
    let is_enough = coverage::check(&lines).unwrap_or_else(|error| {
        ui::error(&error);
        false
    });
    Some(Ran {
        tally: Tally::of(is_enough),
        code: u8::from(!is_enough),
        lines: None,
    })
}

/// The errand of running the tests of these binaries that the filters let through.
pub(crate) fn errand<'b>(
    guest: &Guest<'_>,
    binaries: impl Iterator<Item = &'b str>,
    choice: &Choice,
    filters: &[String],
) -> Errand<'static> {
    let binaries: Vec<_> = binaries
        .map(|name| TestBinary {
            name: name.to_owned(),
            timeout_s: guest.scaled(choice.timeout(name)).as_secs(),
        })
        .collect();
    let longest = binaries.iter().map(|binary| binary.timeout_s).max();
    Errand {
        task: Task::Test {
            binaries,
            env: choice.env(guest),
            filters: filters.to_vec(),
            ignored: choice.ignored,
        },
        copies: &[],
        total: None,
        // The guest ends a slow test itself; this is for when it cannot.
        silence: longest.map(|seconds| Duration::from_secs(seconds + 20)),
    }
}

/// One line a test as it ends, a failure's output below.
pub(crate) fn line(report: &Report) -> Result<Option<String>> {
    let Report::Test {
        name,
        outcome,
        ms,
        output,
    } = report
    else {
        return Ok(None);
    };
    let (word, why) = match outcome {
        Outcome::Ok => ("ok", String::new()),
        Outcome::Ignored => return Ok(Some(format!("ignored  {name}"))),
        Outcome::Failed(why) => ("FAILED", format!("  {why}")),
        Outcome::Signal(signal) => ("FAILED", format!("  killed by signal {signal}")),
        Outcome::Timeout => ("FAILED", "  took too long".to_owned()),
    };
    let mut text = format!("{word:7}  {name}  {:.1}s{why}", *ms as f64 / 1000.0);
    let output: Vec<u8> = output.clone().try_into().context("read a test's output")?;
    for line in String::from_utf8_lossy(&output).lines() {
        text.push_str("\n         | ");
        text.push_str(line);
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(outcome: Outcome, output: &str) -> String {
        let report = Report::Test {
            name: "imp2::two_clients".into(),
            outcome,
            ms: 340,
            output: output.as_bytes().to_vec().into(),
        };
        line(&report).unwrap().unwrap()
    }

    #[test]
    fn a_slow_kernel_has_several_guests_and_goes_first() {
        let kernel = |name: &str, slowness| Kernel {
            name: name.into(),
            release: String::new(),
            vmlinuz: "/".into(),
            modules: "/".into(),
            kdir: "/".into(),
            slowness,
            fire: false,
            memory_mib: 512,
            one_thread: false,
        };
        let kernels = [kernel("quick", 1), kernel("slow", 2)];
        let titles = |choice: &Choice| -> Vec<_> {
            let runs = runs(&kernels, choice);
            runs.iter().map(Run::title).collect()
        };
        assert_eq!(titles(&Choice::ALL), ["slow 1/2", "slow 2/2", "quick"]);
        let one = Choice {
            filters: vec!["imp2::".into()],
            ..Choice::ALL
        };
        assert_eq!(titles(&one), ["slow", "quick"]);
    }

    #[test]
    fn a_line_a_test() {
        assert_eq!(shown(Outcome::Ok, ""), "ok       imp2::two_clients  0.3s");
        assert_eq!(shown(Outcome::Ignored, ""), "ignored  imp2::two_clients");
        assert_eq!(
            shown(Outcome::Signal(6), "one\ntwo\n"),
            "FAILED   imp2::two_clients  0.3s  killed by signal 6\n         | one\n         | two"
        );
        assert_eq!(line(&Report::Done).unwrap(), None);
    }
}
