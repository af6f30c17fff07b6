//! `Test`: every test of every binary in a process of its own, so that one that
//! dies or hangs takes no other with it.

use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use icmptap_guest::{Outcome, Report, TESTS, TestBinary};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use crate::report::Reports;

/// Of what a failed test wrote, the end: the serial port is slow.
const OUTPUT_MAX: usize = 64 * 1024;

/// A file and not a pipe: what a test leaves running would keep a pipe open.
const OUTPUT: &str = "/tmp/.test-output";

/// Which tests are wanted.
#[derive(Clone, Copy)]
pub(crate) struct Choice<'a> {
    pub(crate) filters: &'a [String],
    pub(crate) ignored: bool,
}

struct Test<'a> {
    binary: &'a TestBinary,
    test: String,
    ignored: bool,
}

impl Test<'_> {
    fn name(&self) -> String {
        format!("{}::{}", self.binary.name, self.test)
    }
}

pub(crate) fn run(
    binaries: &[TestBinary],
    env: &[(String, String)],
    choice: Choice<'_>,
    reports: &Reports,
) -> Result<()> {
    let mut plan = Vec::new();
    for binary in binaries {
        let all = list(&binary.name, &[])?;
        let ignored = list(&binary.name, &["--ignored"])?;
        plan.extend(chosen(binary, &all, &ignored, choice));
    }
    reports.send(&Report::Plan { tests: plan.len() })?;
    for test in &plan {
        let name = test.name();
        reports.send(&Report::Start { name: name.clone() })?;
        let start = Instant::now();
        let outcome = if test.ignored && !choice.ignored {
            Outcome::Ignored
        } else {
            run_one(test, env)?
        };
        let output = match outcome {
            Outcome::Ok => measured(&String::from_utf8_lossy(&output()?)).into(),
            Outcome::Ignored => Vec::new(),
            _ => output()?,
        };
        reports.send(&Report::Test {
            name,
            outcome,
            ms: start.elapsed().as_millis() as u64,
            output: output.into(),
        })?;
    }
    Ok(())
}

/// What is to be reported: with `--ignored` only the ignored tests, else all of
/// them, the ignored ones as ignored.
fn chosen<'a>(
    binary: &'a TestBinary,
    all: &[String],
    ignored: &[String],
    choice: Choice<'_>,
) -> Vec<Test<'a>> {
    all.iter()
        .map(|test| Test {
            binary,
            test: test.clone(),
            ignored: ignored.contains(test),
        })
        .filter(|test| test.ignored || !choice.ignored)
        .filter(|test| is_among(&test.name(), choice.filters))
        .collect()
}

fn is_among(name: &str, filters: &[String]) -> bool {
    filters.is_empty() || filters.iter().any(|part| name.contains(part))
}

fn list(binary: &str, more: &[&str]) -> Result<Vec<String>> {
    let output = Command::new(format!("{TESTS}/{binary}"))
        .args(["--list", "--format", "terse"])
        .args(more)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("list the tests of {binary}"))?;
    if !output.status.success() {
        bail!(
            "{binary} --list: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(listed(&String::from_utf8_lossy(&output.stdout)))
}

/// libtest's terse list has one `NAME: test` a line.
fn listed(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .map(str::to_owned)
        .collect()
}

fn run_one(test: &Test<'_>, env: &[(String, String)]) -> Result<Outcome> {
    let output = File::create(OUTPUT).context("create the test's output file")?;
    let mut child = Command::new(format!("{TESTS}/{}", test.binary.name))
        .args(["--exact", &test.test, "--nocapture", "--test-threads=1"])
        .args(test.ignored.then_some("--ignored"))
        .envs(env.iter().map(|(name, value)| (name, value)))
        .env("RUST_BACKTRACE", "1")
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .current_dir("/root")
        .process_group(0)
        .spawn()
        .with_context(|| format!("start {}", test.name()))?;
    let in_time = wait(&child, Duration::from_secs(test.binary.timeout_s))?;
    // Also when it ended: what it left running must not meet the next test.
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    let status = child.wait()?;
    if !in_time {
        return Ok(Outcome::Timeout);
    }
    let text = self::output()?;
    Ok(outcome(status, &String::from_utf8_lossy(&text)))
}

/// Whether the child ended in time. It is not reaped.
fn wait(child: &Child, timeout: Duration) -> Result<bool> {
    let process = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let mut fds = [PollFd::new(&process, PollFlags::IN)];
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match poll(&mut fds, Some(&Timespec::try_from(left)?)) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => (),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The harness must say that one test passed: a test that calls `exit(0)`, or a
/// name that matches none, ends with status 0 too.
fn outcome(status: ExitStatus, output: &str) -> Outcome {
    if let Some(signal) = status.signal() {
        return Outcome::Signal(signal as u8);
    }
    if !status.success() {
        return Outcome::Failed(status.to_string());
    }
    let passed = output
        .lines()
        .any(|line| line.starts_with("test result: ok. 1 passed; 0 failed;"));
    match passed {
        true => Outcome::Ok,
        false => Outcome::Failed("it ended without a test result".into()),
    }
}

/// Of what a test wrote that passed: what it says it measured.
fn measured(output: &str) -> String {
    output
        .lines()
        .filter(|line| line.starts_with("measured: "))
        .map(|line| format!("{line}\n"))
        .collect()
}

fn output() -> Result<Vec<u8>> {
    let mut bytes = fs::read(OUTPUT).context("read the test's output")?;
    let cut = bytes.len().saturating_sub(OUTPUT_MAX);
    bytes.drain(..cut);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(choice: Choice<'_>) -> Vec<(String, bool)> {
        let all = ["one", "deep::two", "three"].map(String::from);
        let ignored = ["three"].map(String::from);
        let binary = TestBinary {
            name: "imp2".into(),
            timeout_s: 1,
        };
        chosen(&binary, &all, &ignored, choice)
            .iter()
            .map(|test| (test.name(), test.ignored))
            .collect()
    }

    #[test]
    fn the_choice() {
        let none = Choice {
            filters: &[],
            ignored: false,
        };
        let three = ("imp2::three".to_owned(), true);
        assert_eq!(names(none).len(), 3);
        assert_eq!(names(none)[2], three);
        let ignored = Choice {
            ignored: true,
            ..none
        };
        assert_eq!(names(ignored), [three]);
        for (filters, count) in [
            (&["imp2::"][..], 3),
            (&["two"], 1),
            (&["2::deep"], 1),
            (&["four"], 0),
            (&["four", "two", "one"], 2),
        ] {
            let filters: Vec<_> = filters.iter().map(ToString::to_string).collect();
            let choice = Choice {
                filters: &filters,
                ..none
            };
            assert_eq!(names(choice).len(), count, "{filters:?}");
        }
    }

    #[test]
    fn a_list_is_read() {
        let text = "a: test\nb::c: test\nbench: benchmark\n\n2 tests, 1 benchmark\n";
        assert_eq!(listed(text), ["a", "b::c"]);
    }

    #[test]
    fn what_a_test_measured_is_shown() {
        let output = "running 1 test\nmeasured: 3 of this\n measured: no\nmeasured: 4\nok\n";
        assert_eq!(measured(output), "measured: 3 of this\nmeasured: 4\n");
    }

    #[test]
    fn only_the_harness_can_say_that_a_test_passed() {
        let status = ExitStatus::from_raw;
        let passed = "noise\ntest result: ok. 1 passed; 0 failed; 0 ignored";
        let none = "test result: ok. 0 passed; 0 failed; 0 ignored";
        assert_eq!(outcome(status(0), passed), Outcome::Ok);
        for (status, output) in [(0, ""), (0, none), (101 << 8, passed)] {
            assert!(matches!(
                outcome(ExitStatus::from_raw(status), output),
                Outcome::Failed(_)
            ));
        }
        assert_eq!(outcome(status(6), passed), Outcome::Signal(6));
    }
}
