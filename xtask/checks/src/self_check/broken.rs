//! A deliberate bug: a patch, and what its head says of it.

use anyhow::{Context, Result, bail, ensure};
use xtask_guests::vm::verdict::Verdict;

/// What the head of a patch says.
///
/// Free text, then lines `KEY: VALUE`: on which kernel (`Kernel`, once), which tests
/// run (`Tests`, filters as vm-test takes them), what the verdict has to be
/// (`Verdict`, once, in its own words) and what has to be seen (`Seen`). All of the
/// last are parts of one line that the kernel said or one test that failed. Each of the
/// tests begins with its binary, `BINARY::TEST`.
#[derive(Debug, PartialEq)]
pub(super) struct Broken {
    pub(super) name: String,
    pub(super) kernel: String,
    pub(super) tests: Vec<String>,
    verdict: Verdict,
    seen: Vec<String>,
}

impl Broken {
    pub(super) fn parse(name: &str, patch: &str) -> Result<Broken> {
        let (head, _) = patch
            .split_once("\n--- ")
            .context("there is no change in it")?;
        let values = |key: &str| -> Vec<String> {
            let values = head
                .lines()
                .filter_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
            values.map(|value| value.trim().to_owned()).collect()
        };
        let once = |key: &str| match &values(key)[..] {
            [value] => Ok(value.clone()),
            _ => bail!("its head has to have one line \"{key}: …\""),
        };
        let verdict = once("Verdict")?;
        let broken = Broken {
            name: name.to_owned(),
            kernel: once("Kernel")?,
            tests: values("Tests"),
            verdict: [Verdict::Splat, Verdict::TestFailure]
                .into_iter()
                .find(|known| known.to_string() == verdict)
                .with_context(|| format!("no bug is to end in the verdict {verdict:?}"))?,
            seen: values("Seen"),
        };
        ensure!(!broken.tests.is_empty(), "its head names no tests");
        ensure!(
            broken.tests.iter().all(|test| test.contains("::")),
            "its head names a test without its binary"
        );
        ensure!(
            !broken.seen.is_empty(),
            "its head says nothing of what is seen"
        );
        Ok(broken)
    }

    /// Whether the kernel has said what has to be seen, where that is its word.
    pub(super) fn is_seen_in(&self, splats: &[String]) -> bool {
        self.verdict == Verdict::Splat && splats.iter().any(|line| self.is_it(line))
    }

    /// Whether one line has all that has to be seen.
    fn is_it(&self, line: &str) -> bool {
        self.seen.iter().all(|part| line.contains(part))
    }

    /// Fails if the bug was not found, or not for what it is.
    pub(super) fn judge<'a>(
        &self,
        verdict: Verdict,
        mut said: impl Iterator<Item = &'a String>,
    ) -> Result<()> {
        // A kernel may panic of what it complained of, before anybody has looked.
        let is_worse = (self.verdict, verdict) == (Verdict::Splat, Verdict::Panic);
        ensure!(
            verdict == self.verdict || is_worse,
            "{verdict}, and not: {}",
            self.verdict
        );
        ensure!(
            said.any(|line| self.is_it(line)),
            "{verdict}, and nothing says {:?}",
            self.seen
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "\
Nobody waits.
Verdict: is not a key in the middle of a line, Kernel: neither.

Kernel: debug
Tests: law::
Tests: ping::one
Verdict: the kernel complained
Seen: use-after-free in
Seen: [icmptap]

--- a/kernel/a.c
+++ b/kernel/a.c
@@ -1 +1 @@
-Seen: nothing
+Kernel: none
";

    fn broken() -> Broken {
        let head = PATCH.replace("Verdict: is", "A verdict is");
        Broken::parse("uaf", &head).unwrap()
    }

    #[test]
    fn a_head_is_read() {
        let expected = Broken {
            name: "uaf".into(),
            kernel: "debug".into(),
            tests: vec!["law::".into(), "ping::one".into()],
            verdict: Verdict::Splat,
            seen: vec!["use-after-free in".into(), "[icmptap]".into()],
        };
        assert_eq!(broken(), expected);
    }

    #[test]
    fn a_head_that_lacks_something_says_what() {
        let good = PATCH.replace("Verdict: is", "A verdict is");
        for (from, to, words) in [
            ("\nKernel: debug", "", "one line \"Kernel: …\""),
            ("Nobody waits.", "Kernel: edge", "one line \"Kernel: …\""),
            ("Tests:", "Test:", "names no tests"),
            ("Tests: law::", "Tests: law", "without its binary"),
            ("Seen:", "seen:", "nothing of what is seen"),
            ("complained", "sang", "the verdict \"the kernel sang\""),
            ("the kernel complained", "passed", "the verdict \"passed\""),
            ("--- a", "-- a", "no change in it"),
        ] {
            let error = Broken::parse("x", &good.replace(from, to)).unwrap_err();
            assert!(error.to_string().contains(words), "{from}: {error}");
        }
        let twice = Broken::parse("x", PATCH).unwrap_err().to_string();
        assert!(twice.contains("one line \"Verdict: …\""), "{twice}");
    }

    #[test]
    fn the_right_verdict_for_the_right_reason() {
        let said =
            |lines: &[&str]| -> Vec<String> { lines.iter().map(ToString::to_string).collect() };
        let good = said(&["Call Trace:", "use-after-free in f+0x1/0x2 [icmptap]"]);
        let judge = |verdict, said: &[String]| broken().judge(verdict, said.iter());
        judge(Verdict::Splat, &good).unwrap();
        assert_eq!(
            judge(Verdict::Pass, &good).unwrap_err().to_string(),
            "passed, and not: the kernel complained"
        );
        judge(Verdict::Panic, &good).unwrap();
        assert!(judge(Verdict::Panic, &said(&["Call Trace:"])).is_err());
        assert!(judge(Verdict::TestFailure, &good).is_err());
        assert!(broken().is_seen_in(&good));
        // Not one of these is all of it.
        let other = said(&["use-after-free in f+0x1/0x2", "f+0x1/0x2 [icmptap]"]);
        assert!(!broken().is_seen_in(&other));
        let why = judge(Verdict::Splat, &other).unwrap_err().to_string();
        assert!(
            why.starts_with("the kernel complained, and nothing says"),
            "{why}"
        );
    }
}
