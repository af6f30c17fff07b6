//! What to think of a guest, from what it reported, what its kernel said, and
//! whether we had to kill it. QEMU's exit status has no say: it is 0 after a
//! panic too.

use std::fmt;
use std::time::Duration;

use icmptap_guest::{Ending, Outcome, Report};

use super::console::Findings;

/// The verdict on a guest. The exit codes are for scripts, and documented in
/// `docs/testing.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All is well.
    Pass,
    /// A test failed or was not run, or the guest could not do its job.
    TestFailure,
    /// The kernel complained.
    Splat,
    /// The kernel panicked.
    Panic,
    /// The guest ended without saying that it was done.
    Lost,
    /// The guest took too long and was killed.
    Timeout,
}

impl Verdict {
    /// What `vm-test` exits with.
    pub fn code(self) -> u8 {
        match self {
            Verdict::Pass => 0,
            Verdict::TestFailure => 1,
            Verdict::Splat => 120,
            Verdict::Panic => 121,
            Verdict::Lost => 122,
            Verdict::Timeout => 123,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Pass => "passed",
            Verdict::TestFailure => "failed",
            Verdict::Splat => "the kernel complained",
            Verdict::Panic => "the kernel panicked",
            Verdict::Lost => "the guest was lost",
            Verdict::Timeout => "the guest took too long",
        })
    }
}

/// How QEMU ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Of itself.
    Itself,
    /// We killed it because this was not over in that time.
    Killed(&'static str, Duration),
    /// We killed it because its kernel had said all that somebody waited for.
    Enough,
}

/// The reports so far, as much of them as a verdict needs.
#[derive(Debug, Default)]
pub struct Tally {
    plan: Option<usize>,
    reported: usize,
    running: Option<String>,
    problems: Vec<String>,
    done: bool,
    garbled: usize,
    /// How many tests passed.
    pub passed: usize,
    /// How many tests failed.
    pub failed: usize,
    pub(crate) ignored: usize,
    /// How the command ended, if there was one and it did.
    pub(crate) command: Option<Ending>,
}

impl Tally {
    /// One more report.
    pub(crate) fn add(&mut self, report: &Report) {
        if self.done {
            self.garbled += 1;
        }
        match report {
            Report::Ready { .. } | Report::Output { .. } | Report::Coverage { .. } => (),
            Report::Exited { ending } => self.command = Some(*ending),
            Report::Plan { tests } => self.plan = Some(self.plan.unwrap_or(0) + tests),
            Report::Start { name } => self.running = Some(name.clone()),
            Report::Test { outcome, .. } => {
                self.running = None;
                self.reported += 1;
                match outcome {
                    Outcome::Ok => self.passed += 1,
                    Outcome::Ignored => self.ignored += 1,
                    Outcome::Failed(_) | Outcome::Signal(_) | Outcome::Timeout => self.failed += 1,
                }
            }
            Report::Problem { what } => self.problems.push(what.clone()),
            Report::Done => self.done = true,
        }
    }

    /// A line that is no report.
    pub(crate) fn add_garbled(&mut self) {
        self.garbled += 1;
    }

    /// Whether the guest said that it was done.
    pub fn is_done(&self) -> bool {
        self.done
    }
}

/// What the guest was to do, as far as a verdict needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// To get there.
    Boot,
    /// To run a command and tell its status.
    Command,
    /// To run tests.
    Tests,
}

/// The verdict, and why it is no better: each reason a line for the user.
///
/// The worst thing that was seen is the verdict, and every thing seen a reason.
pub(crate) fn judge(
    expected: Expected,
    tally: &Tally,
    console: &Findings,
    ended: &Ended,
) -> (Verdict, Vec<String>) {
    let mut seen: Vec<(Verdict, String)> = Vec::new();
    if let Some(panic) = &console.panic {
        seen.push((Verdict::Panic, panic.clone()));
    }
    for splat in &console.splats {
        seen.push((Verdict::Splat, splat.clone()));
    }
    if let Ended::Killed(what, limit) = ended {
        let limit = limit.as_secs_f64();
        seen.push((
            Verdict::Timeout,
            format!("{what} was not over in {limit} s"),
        ));
    }
    let running = match &tally.running {
        Some(test) => format!(" while it ran {test}"),
        None => String::new(),
    };
    if tally.garbled > 0 {
        let why = format!("{} of its reports were garbled", tally.garbled);
        seen.push((Verdict::Lost, why));
    }
    if !tally.done && *ended != Ended::Enough {
        seen.push((
            Verdict::Lost,
            format!("the guest ended without saying that it was done{running}"),
        ));
    }
    for problem in &tally.problems {
        seen.push((Verdict::TestFailure, problem.clone()));
    }
    // What is missing needs no telling when the reason is known.
    if seen.is_empty() {
        seen.extend(missing(expected, tally).map(|why| (Verdict::TestFailure, why)));
    }
    if tally.failed > 0 {
        let why = format!("{} of {} tests failed", tally.failed, tally.reported);
        seen.push((Verdict::TestFailure, why));
    }
    let verdict = [
        Verdict::Panic,
        Verdict::Splat,
        Verdict::Timeout,
        Verdict::Lost,
        Verdict::TestFailure,
    ]
    .into_iter()
    .find(|verdict| seen.iter().any(|(seen, _)| seen == verdict));
    let reasons = seen.into_iter().map(|(_, why)| why).collect();
    (verdict.unwrap_or(Verdict::Pass), reasons)
}

/// A check that did not run is a failure.
fn missing(expected: Expected, tally: &Tally) -> Option<String> {
    match (expected, tally.plan, tally.command) {
        (Expected::Command, _, None) => Some("the command's status was not reported".into()),
        (Expected::Tests, None, _) => Some("the guest did not say which tests there are".into()),
        (Expected::Tests, Some(0), _) => Some("there is no such test".into()),
        (Expected::Tests, Some(plan), _) if plan != tally.reported => {
            Some(format!("{} of {plan} tests were reported", tally.reported))
        }
        (Expected::Tests, ..) if tally.passed + tally.failed == 0 => {
            Some("no test was run: all are marked #[ignore]".into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(outcome: Outcome) -> Report {
        Report::Test {
            name: "imp2::test".into(),
            outcome,
            ms: 1,
            output: Vec::new().into(),
        }
    }

    fn plan(tests: usize) -> Report {
        Report::Plan { tests }
    }

    fn exited(status: u8) -> Report {
        Report::Exited {
            ending: Ending::Status(status),
        }
    }

    fn problem() -> Report {
        Report::Problem {
            what: "unload icmptap: busy".into(),
        }
    }

    fn tally(reports: &[Report]) -> Tally {
        let mut tally = Tally::default();
        reports.iter().for_each(|report| tally.add(report));
        tally
    }

    fn splat() -> Findings {
        Findings {
            panic: None,
            splats: vec!["BUG: x".into()],
        }
    }

    fn panic() -> Findings {
        Findings {
            panic: Some("Kernel panic - not syncing: x".into()),
            splats: vec!["BUG: x".into()],
        }
    }

    const LATE: Ended = Ended::Killed("the command", Duration::from_secs(5));

    #[test]
    fn every_way_to_end_has_its_verdict() {
        use Expected::{Boot, Command, Tests};
        use Report::Done;
        use Verdict::{Lost, Panic, Pass, Splat, TestFailure, Timeout};
        let none = Findings::default;
        let start = Report::Start {
            name: "imp2::hangs".into(),
        };
        let failed = || test(Outcome::Failed("exit status: 101".into()));
        let table: &[(Expected, &[Report], Findings, Ended, Verdict)] = &[
            (Boot, &[Done], none(), Ended::Itself, Pass),
            (Boot, &[], none(), Ended::Itself, Lost),
            (Boot, &[], none(), LATE, Timeout),
            (Command, &[exited(0), Done], none(), Ended::Itself, Pass),
            (Command, &[exited(42), Done], none(), Ended::Itself, Pass),
            (Command, &[exited(0)], none(), Ended::Itself, Lost),
            (Command, &[Done], none(), Ended::Itself, TestFailure),
            (Command, &[exited(0), Done], splat(), Ended::Itself, Splat),
            (Command, &[exited(0), Done], panic(), Ended::Itself, Panic),
            (Command, &[], panic(), Ended::Itself, Panic),
            (Command, &[], none(), LATE, Timeout),
            (Command, &[], splat(), LATE, Splat),
            (Tests, &[plan(1)], splat(), Ended::Enough, Splat),
            (Command, &[exited(0), Done], none(), LATE, Timeout),
            (
                Command,
                &[exited(0), problem(), Done],
                none(),
                Ended::Itself,
                TestFailure,
            ),
            (
                Command,
                &[exited(0), Done, Done],
                none(),
                Ended::Itself,
                Lost,
            ),
            (
                Tests,
                &[plan(1), test(Outcome::Ok), Done],
                none(),
                Ended::Itself,
                Pass,
            ),
            (
                Tests,
                &[plan(2), test(Outcome::Ok), test(Outcome::Ignored), Done],
                none(),
                Ended::Itself,
                Pass,
            ),
            (
                Tests,
                &[plan(1), failed(), Done],
                none(),
                Ended::Itself,
                TestFailure,
            ),
            (
                Tests,
                &[plan(1), test(Outcome::Signal(6)), Done],
                none(),
                Ended::Itself,
                TestFailure,
            ),
            (
                Tests,
                &[plan(1), test(Outcome::Timeout), Done],
                none(),
                Ended::Itself,
                TestFailure,
            ),
            (
                Tests,
                &[plan(2), test(Outcome::Ok), Done],
                none(),
                Ended::Itself,
                TestFailure,
            ),
            (Tests, &[plan(0), Done], none(), Ended::Itself, TestFailure),
            (
                Tests,
                &[plan(1), test(Outcome::Ignored), Done],
                none(),
                Ended::Itself,
                TestFailure,
            ),
            (Tests, &[Done], none(), Ended::Itself, TestFailure),
            (
                Tests,
                &[plan(1), start.clone()],
                none(),
                Ended::Itself,
                Lost,
            ),
            (
                Tests,
                &[plan(1), failed(), Done],
                splat(),
                Ended::Itself,
                Splat,
            ),
            (
                Tests,
                &[plan(1), test(Outcome::Ok), problem(), Done],
                none(),
                Ended::Itself,
                TestFailure,
            ),
        ];
        for (expected, reports, console, ended, verdict) in table {
            let (got, reasons) = judge(*expected, &tally(reports), console, ended);
            assert_eq!(got, *verdict, "{expected:?} {reports:?} {console:?}");
            assert_eq!(reasons.is_empty(), got == Pass, "{reasons:?}");
        }
    }

    #[test]
    fn a_garbled_report_is_a_lost_one() {
        let mut tally = tally(&[exited(0), Report::Done]);
        tally.add_garbled();
        let (verdict, _) = judge(
            Expected::Command,
            &tally,
            &Findings::default(),
            &Ended::Itself,
        );
        assert_eq!(verdict, Verdict::Lost);
    }

    #[test]
    fn a_lost_guest_tells_what_it_was_doing() {
        let start = Report::Start {
            name: "imp2::hangs".into(),
        };
        let tally = tally(&[plan(1), start]);
        let (_, reasons) = judge(
            Expected::Tests,
            &tally,
            &Findings::default(),
            &Ended::Itself,
        );
        assert!(reasons[0].contains("imp2::hangs"), "{reasons:?}");
    }

    #[test]
    fn exit_codes_are_distinct() {
        use Verdict::*;
        let mut codes = [Pass, TestFailure, Splat, Panic, Lost, Timeout].map(Verdict::code);
        assert_eq!(codes, [0, 1, 120, 121, 122, 123]);
        codes.sort_unstable();
        assert!(codes.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
