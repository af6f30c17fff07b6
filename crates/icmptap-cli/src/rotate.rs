//! Several files one after another, with the names that tcpdump(1) gives them.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use jiff::ZonedDateTime;

/// A size as tcpdump's -C takes it: in millions of bytes, or with a unit of 1,024.
pub(crate) fn size(text: &str) -> anyhow::Result<u64> {
    let number = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit: u64 = match text[number.len()..].to_ascii_lowercase().as_str() {
        "" => 1_000_000,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        _ => anyhow::bail!("a size is a number of millions of bytes, or of K, M or G"),
    };
    let number: u64 = number.parse().ok().context("a size starts with a number")?;
    number
        .checked_mul(unit)
        .filter(|size| *size > 0)
        .context("a size is at least 1, and less than 2^64 bytes")
}

/// When the next file begins, and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// As the user wrote it: with strftime's signs, if files take turns by time.
    pub(crate) name: String,
    /// Bytes after which a file is full.
    pub(crate) size: Option<u64>,
    /// How long a file is written to.
    pub(crate) interval: Option<Duration>,
    /// How many files.
    pub(crate) files: Option<u32>,
}

/// A plan that is under way. Times are since whenever the caller began.
#[derive(Debug)]
pub(crate) struct Rotation {
    plan: Plan,
    /// Since when this file is written to.
    since: Duration,
    /// Files of this interval before this one.
    by_size: u32,
    /// Intervals before this one.
    by_time: u32,
}

/// What comes after a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The same file goes on.
    Stay,
    /// Another one, which is made anew if it is there.
    File(PathBuf),
    /// Nothing: there were enough.
    End,
}

impl Rotation {
    /// Begins, with the first file's name.
    pub(crate) fn begin(plan: Plan, clock: &ZonedDateTime) -> anyhow::Result<(Self, PathBuf)> {
        let rotation = Self {
            plan,
            since: Duration::ZERO,
            by_size: 0,
            by_time: 0,
        };
        let path = rotation.path(clock)?;
        Ok((rotation, path))
    }

    /// Asked before an event is written to a file that has `len` bytes.
    pub(crate) fn next(
        &mut self,
        len: u64,
        now: Duration,
        clock: impl FnOnce() -> ZonedDateTime,
    ) -> anyhow::Result<Next> {
        let Plan {
            size,
            interval,
            files,
            ..
        } = self.plan;
        if interval.is_some_and(|interval| now.saturating_sub(self.since) >= interval) {
            self.by_time += 1;
            // With -C, -W is about the files of an interval.
            if size.is_none() && files.is_some_and(|files| self.by_time >= files) {
                return Ok(Next::End);
            }
            self.since = now;
            self.by_size = 0;
        } else if size.is_some_and(|size| len > size) {
            self.by_size += 1;
            if files.is_some_and(|files| self.by_size >= files) {
                self.by_size = 0;
            }
        } else {
            return Ok(Next::Stay);
        }
        Ok(Next::File(self.path(&clock())?))
    }

    fn path(&self, clock: &ZonedDateTime) -> anyhow::Result<PathBuf> {
        let Plan {
            name,
            size,
            interval,
            files,
        } = &self.plan;
        let mut name = name.clone();
        if interval.is_some() {
            name = jiff::fmt::strtime::format(&name, clock)
                .with_context(|| format!("`{name}` has signs that are not strftime's"))?;
        }
        // So that the files sort.
        let digits = match (size, files) {
            (Some(_), Some(files)) => digits(files - 1),
            _ => 0,
        };
        if self.by_size > 0 || digits > 0 {
            name += &format!("{:0digits$}", self.by_size);
        }
        Ok(name.into())
    }
}

/// 0 for 0.
fn digits(number: u32) -> usize {
    number.checked_ilog10().map_or(0, |log| log as usize + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(size: Option<u64>, seconds: Option<u64>, files: Option<u32>) -> Plan {
        Plan {
            name: "x%S".to_owned(),
            size,
            interval: seconds.map(Duration::from_secs),
            files,
        }
    }

    /// The names that come of files of so many bytes, seconds after the start.
    fn names(plan: Plan, steps: &[(u64, u64)]) -> Vec<String> {
        let clock = |seconds: u64| -> ZonedDateTime {
            format!("2026-11-28T12:00:{seconds:02}[UTC]")
                .parse()
                .unwrap()
        };
        let (mut rotation, path) = Rotation::begin(plan, &clock(0)).unwrap();
        let mut names = vec![path.display().to_string()];
        for (len, seconds) in steps {
            let now = Duration::from_secs(*seconds);
            match rotation.next(*len, now, || clock(*seconds)).unwrap() {
                Next::Stay => names.push("=".to_owned()),
                Next::File(path) => names.push(path.display().to_string()),
                Next::End => names.push("end".to_owned()),
            }
        }
        names
    }

    #[test]
    fn names_are_those_of_tcpdump() {
        let full = [(11, 1), (10, 2), (11, 3), (11, 4)];
        assert_eq!(
            names(plan(None, None, None), &full),
            ["x%S", "=", "=", "=", "="]
        );
        assert_eq!(
            names(plan(Some(10), None, None), &full),
            ["x%S", "x%S1", "=", "x%S2", "x%S3"]
        );
        assert_eq!(
            names(plan(Some(10), None, Some(2)), &full),
            ["x%S0", "x%S1", "=", "x%S0", "x%S1"]
        );
        let many = names(plan(Some(10), None, Some(12)), &full);
        assert_eq!(many, ["x%S00", "x%S01", "=", "x%S02", "x%S03"]);
        assert_eq!(
            names(plan(Some(10), None, Some(1)), &full),
            ["x%S", "x%S", "=", "x%S", "x%S"]
        );
        assert_eq!(
            names(plan(None, Some(2), None), &full),
            ["x00", "=", "x02", "=", "x04"]
        );
        assert_eq!(
            names(plan(None, Some(2), Some(2)), &full),
            ["x00", "=", "x02", "=", "end"]
        );
        assert_eq!(
            names(plan(Some(10), Some(3), None), &full),
            ["x00", "x011", "=", "x03", "x041"],
            "a new interval counts its files anew"
        );
        let bad = Plan {
            name: "x%!".to_owned(),
            ..plan(None, Some(1), None)
        };
        let clock = "2026-11-28T12:00:00[UTC]".parse().unwrap();
        assert!(Rotation::begin(bad, &clock).is_err());
    }

    #[test]
    fn sizes_are_those_of_tcpdump() {
        assert_eq!(size("10").unwrap(), 10_000_000);
        assert_eq!(size("10k").unwrap(), 10_240);
        assert_eq!(size("1G").unwrap(), 1 << 30);
        for bad in [
            "",
            "0",
            "k",
            "-1",
            "10x",
            "99999999999999999999",
            "18446744073709551615",
        ] {
            assert!(size(bad).is_err(), "{bad:?}");
        }
    }
}
