//! `vm-test`: the tests of vm/tests, in guests.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use xtask_guests::kernel::{self, Kernel};
use xtask_guests::vm::artifacts::Wanted;
use xtask_guests::vm::machine::{Guest, Options, Share};
use xtask_host::ui;

use crate::coverage::{self, Counts, Lines};
use crate::suite::{self, Choice, guest_task, line};
use crate::tally::{self, Part, Tally};
use crate::{parallel, self_check};

/// Run the tests of vm/tests in a guest
///
/// Exit status: 0 when all passed, 1 when one failed or was not run, 120 when the
/// kernel complained, 121 when it panicked, 122 when the guest was lost, 123 when it
/// took too long, 125 when there was no guest. With several kernels, the worst counts.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Boot this kernel of vm/kernels.toml; may be repeated
    #[arg(long, value_name = "NAME")]
    kernel: Vec<String>,

    /// Boot every kernel of vm/kernels.toml
    #[arg(long, conflicts_with = "kernel")]
    all: bool,

    /// Put known bugs into the module, and check that the tests find each; FILTER
    /// selects bugs
    #[arg(long, conflicts_with_all = ["kernel", "all", "ignored"])]
    self_check: bool,

    #[command(flatten)]
    options: Options,

    #[command(flatten)]
    choice: Choice,
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
    let summary = in_guests(&kernels, &args.options, &args.choice, true, locked);
    if summary.parts.len() > 1 {
        print!("{}", tally::table(&summary.parts));
    }
    let Tally { passed, failed } = summary.tally;
    println!("{passed} passed, {failed} failed");
    Ok(summary.code.into())
}

/// Runs tests in guests of each kernel, and prints what becomes of each. A kernel
/// for which there is no guest is one failure, and does not keep the others back. Not
/// `everywhere`, those of [`suite::OF_NO_VERSION`] are left out where only the version
/// of the kernel differs.
pub(crate) fn in_guests(
    kernels: &[String],
    options: &Options,
    choice: &Choice,
    everywhere: bool,
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
    let runs = runs(&kernels, choice, everywhere);
    let names = runs.len() > 1;
    let results = parallel::map(&runs, |run| {
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
    /// Of no test is known that it would show the same on another kernel.
    has_all: bool,
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
/// the others would wait for it. A kernel that is alone has as many as may run at once.
fn runs<'a>(kernels: &'a [Kernel], choice: &Choice, everywhere: bool) -> Vec<Run<'a>> {
    let alone = kernels.len() == 1;
    let mut kernels: Vec<_> = kernels.iter().collect();
    kernels.sort_by_key(|kernel| std::cmp::Reverse(kernel.slowness));
    let shares = |kernel: &'a Kernel| {
        // A share without any test would be a failure.
        let of = match choice.filters[..] {
            [] if alone && choice.is_whole() => parallel::at_once().max(kernel.slowness as usize),
            [] => kernel.slowness as usize,
            [..] => 1,
        };
        (0..of).map(move |nth| Run {
            kernel,
            share: Share { nth, of },
            has_all: everywhere || kernel.is_default || kernel.fire,
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
    let is_run = |name: &&str| run.has_all || !suite::OF_NO_VERSION.contains(name);
    let binaries = guest.tests(run.share).filter(is_run);
    let guest_task = guest_task(&guest, binaries, choice, &choice.filters);
    let mut counts = Counts::default();
    let end = guest.run(guest_task, &mut |report| {
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

#[cfg(test)]
mod tests {
    use super::*;

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
            is_default: name == "quick",
        };
        let kernels = [kernel("quick", 1), kernel("slow", 2)];
        let titles = |choice: &Choice| -> Vec<_> {
            let runs = runs(&kernels, choice, true);
            runs.iter().map(Run::title).collect()
        };
        assert_eq!(titles(&Choice::ALL), ["slow 1/2", "slow 2/2", "quick"]);
        let one = Choice {
            filters: vec!["imp2::".into()],
            ..Choice::ALL
        };
        assert_eq!(titles(&one), ["slow", "quick"]);
        let alone = runs(&kernels[..1], &Choice::ALL, true);
        assert_eq!(alone.len(), parallel::at_once());

        let has_all = |everywhere| -> Vec<_> {
            let runs = runs(&kernels, &one, everywhere);
            runs.iter().map(|run| run.has_all).collect()
        };
        assert_eq!(has_all(false), [false, true]);
        assert_eq!(has_all(true), [true, true]);
    }
}
