//! `vm-test`: the tests of vm/tests, in guests.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use icmptap_guest::{Outcome, Report, Task};

use crate::kernel;
use crate::vm::artifacts::Wanted;
use crate::vm::machine::{Errand, Guest, Options};

/// Run the tests of vm/tests in a guest
///
/// Exit status: 0 when all passed, 1 when one failed or was not run, 120 when the
/// kernel complained, 121 when it panicked, 122 when the guest was lost, 123 when it
/// took too long, 125 when there was no guest.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The kernels to boot, of vm/kernels.toml
    #[arg(long, value_name = "NAME")]
    kernel: Vec<String>,

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

    /// How long one test may take; an emulated guest gets three times that
    #[arg(long, value_name = "SECONDS", default_value_t = Self::TIMEOUT)]
    timeout: u64,

    /// Only tests whose BINARY::TEST contains this
    filter: Option<String>,
}

impl Choice {
    const TIMEOUT: u64 = 30;

    /// What a user gets who chooses nothing.
    pub(crate) const ALL: Choice = Choice {
        ignored: false,
        timeout: Self::TIMEOUT,
        filter: None,
    };
}

/// What became of the tests, in all guests together.
pub(crate) struct Summary {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    /// Of the worst verdict.
    pub(crate) code: u8,
}

pub(crate) fn run(args: &Args, locked: bool) -> Result<ExitCode> {
    let summary = in_guests(&args.kernel, &args.options, &args.choice, locked)?;
    println!("{} passed, {} failed", summary.passed, summary.failed);
    Ok(summary.code.into())
}

/// Runs tests in a guest of each kernel, and prints what becomes of each.
pub(crate) fn in_guests(
    kernels: &[String],
    options: &Options,
    choice: &Choice,
    locked: bool,
) -> Result<Summary> {
    let mut summary = Summary {
        passed: 0,
        failed: 0,
        code: 0,
    };
    for kernel in kernel::named(kernels) {
        let guest = Guest::prepare(options, kernel, true, Wanted::Tests, locked)?;
        let one = guest.scaled(Duration::from_secs(choice.timeout));
        let errand = Errand {
            task: Task::Test {
                binaries: guest.tests(),
                filter: choice.filter.clone(),
                ignored: choice.ignored,
                timeout_s: one.as_secs(),
            },
            copies: &[],
            total: None,
            // The guest ends a slow test itself; this is for when it cannot.
            silence: Some(one + Duration::from_secs(20)),
        };
        let end = guest.run(errand, &mut |report| {
            if let Some(text) = line(report)? {
                println!("{text}");
            }
            Ok(())
        })?;
        summary.passed += end.tally.passed;
        summary.failed += end.tally.failed;
        // The worst is the highest.
        summary.code = summary.code.max(end.verdict.code());
    }
    Ok(summary)
}

/// One line a test as it ends, a failure's output below.
fn line(report: &Report) -> Result<Option<String>> {
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
