//! The tests of vm/tests as one guest runs them: which tests, how long each may take, and
//! the line that is shown when one ends. `vm_test` and `self_check` both run the suite.

use std::time::Duration;

use anyhow::{Context, Result};
use icmptap_guest::{Outcome, Report, Task, TestBinary};
use xtask_guests::vm::machine::{self, Guest, GuestTask};

/// The binaries whose tests show the same whatever the kernel's version is: what the
/// command prints, and refuses.
pub(crate) const OF_NO_VERSION: [&str; 5] = [
    "capture",
    "listen",
    "listen_ends",
    "listen_filter",
    "listen_names",
];

/// Which tests, and how patiently.
#[derive(clap::Args)]
pub(crate) struct Choice {
    /// Run the tests that are marked `#[ignore]`, and no others
    #[arg(long)]
    pub(crate) ignored: bool,

    /// Time limit of one test, instead of 30 seconds, or 300 for a stress test; an
    /// emulated guest gets three times that, and a slow kernel more
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u64>,

    /// Random seed of the stress tests (fire_*); they print it
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,

    /// Number of requests, and of packets, in the stress tests, and seconds of
    /// fire_churn
    #[arg(long, value_name = "COUNT")]
    pub(crate) iterations: Option<u64>,

    /// Run the stress tests at full length, as before a release
    #[arg(long, conflicts_with = "iterations")]
    pub(crate) long: bool,

    /// Only tests whose BINARY::TEST contains one of these
    #[arg(value_name = "FILTER")]
    pub(crate) filters: Vec<String>,
}

impl Choice {
    const TIMEOUT: u64 = 30;

    /// Those under fire do the same many times.
    const TIMEOUT_OF_FIRE: u64 = 10 * Self::TIMEOUT;

    /// What a user gets who chooses nothing.
    pub(crate) const ALL: Choice = Choice {
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
    pub(crate) fn is_whole(&self) -> bool {
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

/// What a guest does that runs the tests of these binaries that the filters let through.
pub(crate) fn guest_task<'b>(
    guest: &Guest<'_>,
    binaries: impl Iterator<Item = &'b str>,
    choice: &Choice,
    filters: &[String],
) -> GuestTask<'static> {
    let binaries: Vec<_> = binaries
        .map(|name| TestBinary {
            name: name.to_owned(),
            timeout_s: guest.scaled(choice.timeout(name)).as_secs(),
        })
        .collect();
    let longest = binaries.iter().map(|binary| binary.timeout_s).max();
    GuestTask {
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
