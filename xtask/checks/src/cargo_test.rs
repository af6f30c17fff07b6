//! A command of cargo's that runs tests: shown as it runs, and counted.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::tally::Tally;

/// Tests that fail are counted; that nothing could be run is an error.
pub(crate) fn run(mut command: Command) -> Result<Tally> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {command:?}"))?;
    let mut tally = Tally::default();
    for line in BufReader::new(child.stdout.take().expect("a pipe")).lines() {
        let line = line.with_context(|| format!("cannot read from {command:?}"))?;
        println!("{line}");
        if let Some(one) = result(&line) {
            tally += one;
        }
    }
    let status = child.wait()?;
    if !status.success() && tally.failed == 0 {
        bail!("{command:?}: {status}");
    }
    Ok(tally)
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
}
