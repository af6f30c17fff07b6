//! What all CPUs worked, by what the kernel says of their idle time.
//!
//! It counts ticks of work, but of idle time what a clock said when it began and ended,
//! of which it shows hundredths of a second. So work is what idle time leaves of the
//! time that passed.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::{sys, traffic};

/// What `/proc/stat` counts in (`USER_HZ`).
const NS_PER_UNIT: u64 = 10_000_000;

/// A time at which to look.
#[derive(Clone, Copy)]
pub(super) struct Busy {
    /// Of all CPUs, since the guest started.
    passed_ns: u64,
    idle_ns: u64,
}

impl Busy {
    pub(super) fn now() -> Result<Busy> {
        let text = fs::read_to_string("/proc/stat").context("read /proc/stat")?;
        let idle = idle(&text).with_context(|| format!("/proc/stat says:\n{text}"))?;
        let passed = sys::clock(libc::CLOCK_MONOTONIC)?;
        Ok(Busy {
            passed_ns: passed * traffic::cpus()? as u64,
            idle_ns: idle * NS_PER_UNIT,
        })
    }

    /// Nanoseconds of work of all CPUs since another time.
    pub(super) fn since(self, before: Busy) -> u64 {
        let passed = self.passed_ns - before.passed_ns;
        // The clock of idle time may be a little ahead.
        passed.saturating_sub(self.idle_ns - before.idle_ns)
    }
}

/// Waits until nothing is done any more for those that are gone.
pub(super) fn settle() -> Result<()> {
    const MOMENT: Duration = Duration::from_millis(100);
    // What the kernel's units do not show is no work.
    const LITTLE: u64 = 2 * NS_PER_UNIT;
    for _ in 0..100 {
        let before = Busy::now()?;
        sleep(MOMENT);
        if Busy::now()?.since(before) <= LITTLE {
            return Ok(());
        }
    }
    bail!("the guest does not come to rest")
}

/// Units in which a CPU did not work: had nothing to do, waited for a disk, or was taken
/// away by the host.
fn idle(stat: &str) -> Option<u64> {
    const IDLE: usize = 3;
    const IOWAIT: usize = 4;
    const STEAL: usize = 7;
    let all = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let numbers = all.split_whitespace().map(|number| number.parse().ok());
    let numbers: Vec<u64> = numbers.collect::<Option<_>>()?;
    let part = |nth| numbers.get(nth).copied();
    Some(part(IDLE)? + part(IOWAIT)? + part(STEAL)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_is_what_is_no_work() {
        let stat = "cpu  1 2 4 100 3000 8 16 20000 32 64\n\
                    cpu0 1 2 4 1 1 8 16 1 32 64\n";
        assert_eq!(idle(stat), Some(23_100));
        for damaged in [
            "",
            "cpu0 1 2 4 1 1 8 16 1\n",
            "cpu  1 2 4 1 1 8 16\n",
            "cpu  a\n",
        ] {
            assert_eq!(idle(damaged), None, "{damaged:?}");
        }
    }

    #[test]
    fn work_is_what_idle_time_leaves() {
        let at = |passed_ns, idle_ns| Busy { passed_ns, idle_ns };
        assert_eq!(at(250, 150).since(at(50, 50)), 100);
        assert_eq!(at(150, 151).since(at(50, 50)), 0);
    }
}
