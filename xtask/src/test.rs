//! `test`: everything, in the order in which mistakes are cheapest to find.
//!
//! Every step runs, whatever became of the ones before it, and each counts: a
//! step that is not a test suite is one test. The last line is the sum.

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::setup::{Tool, need, need_components};
use crate::vm::machine::Options;
use crate::vm_test::Choice;
use crate::{
    build_module, gen_api, gen_bindings, kernel, oracle, static_check, ui, vm_test, workspace, ynl,
};

/// Run everything: formatting, lints, unit tests, bindings, module, static checks, guest, oracle
///
/// Exit status: 0 when all passed, 1 when anything did not.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The kernels to boot, of vm/kernels.toml
    #[arg(long, value_name = "NAME")]
    kernel: Vec<String>,

    #[command(flatten)]
    options: Options,
}

pub(crate) fn run(args: &Args, locked: bool) -> Result<ExitCode> {
    need(&[
        Tool::Make,
        Tool::Gcc,
        Tool::Gpgv,
        Tool::Libclang,
        Tool::Libpcap,
        Tool::Tshark,
    ])?;
    need(&static_check::TOOLS)?;
    need_components(&["rustfmt", "clippy"])?;

    let steps: [Step<'_>; 12] = [
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
        ("bindings", Box::new(bindings)),
        ("public API", Box::new(public_api)),
        ("netlink spec", Box::new(|| netlink_spec(locked))),
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
        ("module", Box::new(|| module(args, locked))),
        ("static checks", Box::new(|| static_checks(locked))),
        ("guest", Box::new(|| guest(args, locked))),
        ("oracle", Box::new(|| agreement(args, locked))),
        (
            "harness",
            Box::new(|| {
                suite("test --locked --package xtask --test harness -- --ignored --test-threads=1")
            }),
        ),
    ];

    let mut total = Tally::default();
    let mut times = Vec::new();
    for (name, step) in &steps {
        ui::say("test", name);
        let start = Instant::now();
        let tally = step().and_then(|tally| {
            ensure!(tally.passed + tally.failed > 0, "no test was run");
            Ok(tally)
        });
        let tally = tally.unwrap_or_else(|error| {
            ui::error(&error.context(*name));
            Tally {
                passed: 0,
                failed: 1,
            }
        });
        total.passed += tally.passed;
        total.failed += tally.failed;
        times.push((*name, start.elapsed(), tally));
    }

    print!("{}", table(&times));
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(ExitCode::from(u8::from(total.failed > 0)))
}

/// How many tests did what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    passed: usize,
    failed: usize,
}

const ONE: Tally = Tally {
    passed: 1,
    failed: 0,
};

type Step<'a> = (&'static str, Box<dyn Fn() -> Result<Tally> + 'a>);

/// Where the time went.
fn table(times: &[(&str, Duration, Tally)]) -> String {
    let mut text = String::new();
    for (name, took, Tally { passed, failed }) in times {
        let took = took.as_secs_f64();
        text.push_str(&format!(
            "{name:14} {took:7.1} s  {passed:4} passed, {failed} failed\n"
        ));
    }
    text
}

/// The checked-in bindings are what the headers give.
fn bindings() -> Result<Tally> {
    gen_bindings::run(&gen_bindings::Args { check: true })?;
    Ok(ONE)
}

/// The checked-in listing of the API is what the crates offer.
fn public_api() -> Result<Tally> {
    gen_api::run(&gen_api::Args { check: true })?;
    Ok(ONE)
}

/// The kernel's own tools take the specification, and make our header of it.
fn netlink_spec(locked: bool) -> Result<Tally> {
    ynl::check(locked)?;
    Ok(ONE)
}

/// The module is built for each kernel, and the compiler has nothing to say.
fn module(args: &Args, locked: bool) -> Result<Tally> {
    let mut tally = Tally::default();
    for name in kernel::named(&args.kernel) {
        build_module::for_kernel(&kernel::ensure(name, locked)?, true)?;
        tally.passed += 1;
    }
    Ok(tally)
}

/// The kernel's checkers have nothing to say of the module's source.
fn static_checks(locked: bool) -> Result<Tally> {
    static_check::check(locked)?;
    Ok(ONE)
}

/// The tests of vm/tests in guests. A guest that was not well is a failure, even
/// if every test in it passed.
fn guest(args: &Args, locked: bool) -> Result<Tally> {
    let summary = vm_test::in_guests(&args.kernel, &args.options, &Choice::ALL, locked)?;
    let unwell = summary.code != 0 && summary.failed == 0;
    Ok(Tally {
        passed: summary.passed,
        failed: summary.failed + usize::from(unwell),
    })
}

/// icmptap and tshark read the same packets alike, of each kernel.
fn agreement(args: &Args, locked: bool) -> Result<Tally> {
    let mut tally = Tally::default();
    for name in kernel::named(&args.kernel) {
        match oracle::in_guest(name, &args.options, locked)? {
            true => tally.passed += 1,
            false => tally.failed += 1,
        }
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
    Ok(ONE)
}

/// A command of cargo's that runs tests: shown as it runs, and counted.
fn suite(words: &str) -> Result<Tally> {
    let mut child = command(words)
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run cargo {words}"))?;
    let mut tally = Tally::default();
    for line in BufReader::new(child.stdout.take().expect("a pipe")).lines() {
        let line = line.with_context(|| format!("cannot read from cargo {words}"))?;
        println!("{line}");
        if let Some(one) = result(&line) {
            tally.passed += one.passed;
            tally.failed += one.failed;
        }
    }
    let status = child.wait()?;
    if !status.success() && tally.failed == 0 {
        bail!("cargo {words}: {status}");
    }
    Ok(tally)
}

fn command(words: &str) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(words.split_whitespace())
        .current_dir(workspace::root())
        .stdin(Stdio::null());
    command
}

/// `test result: ok. 3 passed; 1 failed; …`
fn result(line: &str) -> Option<Tally> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |unit: &str| {
        let mut words = counts.split("; ").filter_map(|part| part.split_once(' '));
        words.find(|(_, what)| *what == unit)?.0.parse().ok()
    };
    Some(Tally {
        passed: count("passed")?,
        failed: count("failed")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suites_result_is_read() {
        let line = "test result: FAILED. 12 passed; 3 failed; 4 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        let tally = Tally {
            passed: 12,
            failed: 3,
        };
        assert_eq!(result(line), Some(tally));
        assert_eq!(result("test a::result ... ok"), None);
        assert_eq!(result("test result: strange"), None);
    }

    #[test]
    fn the_table_says_where_the_time_went() {
        let times = [("clippy", Duration::from_millis(12_340), ONE)];
        assert_eq!(
            table(&times),
            "clippy            12.3 s     1 passed, 0 failed\n"
        );
    }
}
