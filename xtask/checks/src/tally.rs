//! How many tests did what, and where the time went.

use std::ops::AddAssign;
use std::time::Duration;

/// Tests that were run, or checks that are as much as one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

impl Tally {
    pub(crate) const PASSED: Tally = Tally {
        passed: 1,
        failed: 0,
    };
    pub(crate) const FAILED: Tally = Tally {
        passed: 0,
        failed: 1,
    };

    /// One check, passed or not.
    pub(crate) fn of(passed: bool) -> Tally {
        match passed {
            true => Tally::PASSED,
            false => Tally::FAILED,
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// One part of a run: its name, what it took, what came of it.
pub(crate) type Part = (String, Duration, Tally);

/// A line for each part.
pub(crate) fn table(parts: &[Part]) -> String {
    let mut text = String::new();
    for (name, took, Tally { passed, failed }) in parts {
        let took = took.as_secs_f64();
        text.push_str(&format!(
            "{name:14} {took:7.1} s  {passed:4} passed, {failed} failed\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_where_the_time_went() {
        let parts = [(
            "clippy".to_owned(),
            Duration::from_millis(12_340),
            Tally::PASSED,
        )];
        assert_eq!(
            table(&parts),
            "clippy            12.3 s     1 passed, 0 failed\n"
        );
    }
}
