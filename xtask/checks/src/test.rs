//! `test`: everything, in the order in which mistakes are cheapest to find.
//!
//! Every step runs, whatever became of the ones before it, and each counts: a
//! step that is not a test suite is one test. The last line is the sum.

use std::panic::resume_unwind;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use xtask_guests::vm::machine::Options;
use xtask_guests::{build_module, kernel};
use xtask_host::setup::{Tool, need, need_components};
use xtask_host::ui;
use xtask_oracle as oracle;

use crate::packages::{self, Versions};
use crate::suite::Choice;
use crate::tally::{self, Part, Tally};
use crate::{bench, cargo_test, parallel, self_check, static_check, vm_test, workflows};

/// Run the checks: formatting, lints, unit tests, packages, documentation, bindings, API,
/// specification, static checks, the guest's tests on the default kernel, the oracle
///
/// docs/testing.md lists the checks of each level. Exit status: 0 when all passed,
/// 1 when any failed.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// As for each push: also every kernel of vm/kernels.toml, the stress tests, the
    /// self-check, the headline figures, the harness
    #[arg(long)]
    full: bool,

    /// As each night and before a release: everything at full length, and all benchmarks
    #[arg(long)]
    long: bool,

    /// Boot this kernel of vm/kernels.toml instead of the level's; may be repeated
    #[arg(long, value_name = "NAME")]
    kernel: Vec<String>,

    #[command(flatten)]
    options: Options,
}

pub(crate) fn run(args: &Args, locked: bool) -> Result<ExitCode> {
    // All at once: who installs them by hand is to be told once.
    need(Tool::ALL)?;
    need_components(&["rustfmt", "clippy"])?;
    let is_full = args.full || args.long;
    let kernels = kernel::chosen(&args.kernel, is_full && args.kernel.is_empty())?;
    let options = &args.options;
    let choice = &Choice::all(args.long);

    let steps: Vec<Step<'_>> = vec![
        ("formatting", Box::new(|| cargo("fmt --all --check", &[]))),
        (
            "clippy",
            Box::new(|| {
                cargo(
                    "clippy --locked --workspace --all-targets -- -D warnings",
                    &[],
                )
            }),
        ),
        (
            "bindings",
            Box::new(|| cargo("xtask gen-bindings --check", &[])),
        ),
        (
            "public API",
            Box::new(|| cargo("xtask gen-api --check", &[])),
        ),
        (
            "netlink spec",
            Box::new(|| {
                cargo(
                    if locked {
                        "xtask --locked ynl"
                    } else {
                        "xtask ynl"
                    },
                    &[],
                )
            }),
        ),
        ("workflows", Box::new(workflows)),
        (
            "documentation",
            Box::new(|| {
                cargo(
                    "doc --locked --workspace --no-deps --quiet",
                    &[("RUSTDOCFLAGS", "-D warnings")],
                )
            }),
        ),
        (
            "unit tests",
            // The guest's tests run in the guest.
            Box::new(|| suite("test --locked --workspace --exclude icmptap-vm-tests")),
        ),
        ("packages", Box::new(|| packages::check(Versions::Locked))),
        ("kernels", Box::new(|| fetched(&kernels, locked))),
        ("module", Box::new(|| module(&kernels, locked))),
        ("static checks", Box::new(|| static_checks(locked))),
    ];
    // The guests of all of these run side by side, and begin about in this order.
    let in_guests: [(Level, Step<'_>); 6] = [
        // Most of its time is one guest that compiles.
        (
            Level::Long,
            ("Debian's packages", Box::new(|| debian_packages(locked))),
        ),
        // It has one guest after the other, and so would end last.
        (
            Level::Full,
            ("bench", Box::new(|| figures(options, args.long, locked))),
        ),
        (
            Level::Test,
            (
                "guest",
                Box::new(|| guest(&kernels, options, choice, args.long, locked)),
            ),
        ),
        (
            Level::Test,
            ("oracle", Box::new(|| agreement(options, locked))),
        ),
        (
            Level::Full,
            (
                "self-check",
                // The step "guest" runs the same tests with the module as it is.
                Box::new(|| self_check::run(&kernels, options, choice, false, locked)),
            ),
        ),
        (
            Level::Full,
            (
                "harness",
                Box::new(|| {
                    suite(
                        "test --locked --package xtask --test harness -- --ignored --test-threads=1",
                    )
                }),
            ),
        ),
    ];
    let in_guests: Vec<_> = in_guests
        .into_iter()
        .filter(|(level, _)| match level {
            Level::Test => true,
            Level::Full => is_full,
            Level::Long => args.long,
        })
        .map(|(_, step)| step)
        .collect();

    let mut times: Vec<_> = steps.iter().map(run_step).collect();
    let start = Instant::now();
    times.extend(side_by_side(&in_guests));
    let took = start.elapsed().as_secs_f64();

    print!("{}", tally::table(&times));
    let mut total = Tally::default();
    times.iter().for_each(|(_, _, tally)| total += *tally);
    println!("the last {} at once in {took:.1} s", in_guests.len());
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(ExitCode::from(u8::from(total.failed > 0)))
}

type Step<'a> = (
    &'static str,
    Box<dyn Fn() -> Result<Tally> + Send + Sync + 'a>,
);

/// From which level on a step is run.
enum Level {
    Test,
    Full,
    Long,
}

/// Runs all of them at once.
fn side_by_side(steps: &[Step<'_>]) -> Vec<Part> {
    thread::scope(|scope| {
        let threads = steps.iter().map(|step| scope.spawn(|| run_step(step)));
        let threads: Vec<_> = threads.collect();
        let parts = threads.into_iter().map(|thread| thread.join());
        parts
            .map(|part| part.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}

/// One that fails counts as one failure, and so does one that has checked nothing.
fn run_step((name, step): &Step<'_>) -> Part {
    ui::say("test", name);
    let start = Instant::now();
    let tally = step().and_then(|tally| {
        ensure!(tally.passed + tally.failed > 0, "no test was run");
        Ok(tally)
    });
    let tally = tally.unwrap_or_else(|error| {
        ui::error(&error.context(*name));
        Tally::FAILED
    });
    ((*name).to_owned(), start.elapsed(), tally)
}

/// A linter for workflows has nothing to say of GitHub's.
fn workflows() -> Result<Tally> {
    workflows::check()?;
    Ok(Tally::PASSED)
}

/// The kernel's checkers have nothing to say of the module's source.
fn static_checks(locked: bool) -> Result<Tally> {
    static_check::check(locked)?;
    Ok(Tally::PASSED)
}

/// Each kernel is in the cache, and those that we build are built.
fn fetched(kernels: &[String], locked: bool) -> Result<Tally> {
    each(kernels, |name| {
        kernel::ensure(Some(name), locked)?;
        Ok(true)
    })
}

/// The module is built for each kernel, and the compiler has nothing to say.
fn module(kernels: &[String], locked: bool) -> Result<Tally> {
    each(kernels, |name| {
        build_module::for_kernel(&kernel::ensure(Some(name), locked)?, true)?;
        Ok(true)
    })
}

/// The tests of vm/tests in guests; with `everywhere`, each of them on each kernel.
fn guest(
    kernels: &[String],
    options: &Options,
    choice: &Choice,
    everywhere: bool,
    locked: bool,
) -> Result<Tally> {
    let summary = vm_test::in_guests(kernels, options, choice, everywhere, locked);
    if summary.parts.len() > 1 {
        print!("{}", tally::table(&summary.parts));
    }
    Ok(summary.tally)
}

/// Our own figures are no worse than those that are recorded.
fn figures(options: &Options, all: bool, locked: bool) -> Result<Tally> {
    let _slot = parallel::slot();
    bench::check_ours(options, all, locked)
}

/// The packages are right, and what happens to a machine that has them.
fn debian_packages(locked: bool) -> Result<Tally> {
    let _slot = parallel::slot();
    let locked = if locked { " --locked" } else { "" };
    let what = "package --check --root bookworm --root trixie";
    cargo(&format!("xtask{locked} {what}"), &[])
}

/// icmptap and tshark read the same packets alike. Of one kernel: what is read is the
/// packets, and those are the same in all.
fn agreement(options: &Options, locked: bool) -> Result<Tally> {
    let _slot = parallel::slot();
    match oracle::in_guest(None, options, locked)? {
        true => Ok(Tally::PASSED),
        false => Ok(Tally::FAILED),
    }
}

/// Checks each kernel; one that fails does not keep the others back.
fn each(kernels: &[String], check: impl Fn(&str) -> Result<bool>) -> Result<Tally> {
    let mut tally = Tally::default();
    for name in kernels {
        tally += match check(name) {
            Ok(true) => Tally::PASSED,
            Ok(false) => Tally::FAILED,
            Err(error) => {
                ui::error(&error.context(name.clone()));
                Tally::FAILED
            }
        };
    }
    Ok(tally)
}

/// A command of cargo's that is one check. Its words speak for themselves.
fn cargo(words: &str, environment: &[(&str, &str)]) -> Result<Tally> {
    let status = command(words)
        .envs(environment.iter().copied())
        .status()
        .with_context(|| format!("cannot run cargo {words}"))?;
    ensure!(status.success(), "cargo {words}: {status}");
    Ok(Tally::PASSED)
}

/// A command of cargo's that runs tests: shown as it runs, and counted.
fn suite(words: &str) -> Result<Tally> {
    cargo_test::run(command(words))
}

fn command(words: &str) -> Command {
    let mut command = xtask_host::cargo();
    command.args(words.split_whitespace()).stdin(Stdio::null());
    // A test that would pass without a program that it asks has it here.
    command.env("ICMPTAP_ALL_TOOLS", "1");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_fails_does_not_keep_the_others_back() {
        let kernels = ["bad", "worse", "good"].map(str::to_owned);
        let tally = each(&kernels, |name| match name {
            "bad" => anyhow::bail!("it does not build"),
            name => Ok(name == "good"),
        });
        let expected = Tally {
            passed: 1,
            failed: 2,
        };
        assert_eq!(tally.unwrap(), expected);
    }
}
