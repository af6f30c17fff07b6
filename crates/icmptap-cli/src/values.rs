//! What the user may write for a value, and what is said of a wrong one.

use std::{fmt, time::Duration};

use anyhow::{Context, bail};

/// A value that clap cannot know to be wrong: exit status 2, as for those that it does.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WrongValue(pub(crate) String);

impl fmt::Display for WrongValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongValue {}

/// A time: a number of seconds, or with a unit.
pub(crate) fn duration(text: &str) -> anyhow::Result<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds)
            .ok()
            .context("a time is not negative, and not endless");
    }
    let parsed: jiff::SignedDuration = text
        .parse()
        .ok()
        .context("a time is a number of seconds, or has a unit: 10, 10s, 500ms, 2m")?;
    Duration::try_from(parsed)
        .ok()
        .context("a time is not negative")
}

/// As [`duration`], and not nothing.
pub(crate) fn interval(text: &str) -> anyhow::Result<Duration> {
    let interval = duration(text)?;
    anyhow::ensure!(!interval.is_zero(), "it is longer than nothing");
    Ok(interval)
}

/// A number of bytes, or of K, M or G.
pub(crate) fn size(text: &str) -> anyhow::Result<usize> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        _ => bail!("a size is a number of bytes, or of K, M or G, such as 512K"),
    };
    let number: usize = digits.parse().ok().context("a size starts with a number")?;
    number
        .checked_mul(1 << shift)
        .filter(|size| *size > 0 && *size <= i32::MAX as usize)
        .context("a size is at least 1 byte and less than 2G")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_or_is_in_seconds() {
        for (text, milliseconds) in [
            ("1", 1_000),
            ("0.5", 500),
            ("0", 0),
            ("10s", 10_000),
            ("500ms", 500),
            ("2m", 120_000),
            ("1h30m", 5_400_000),
        ] {
            let expected = Duration::from_millis(milliseconds);
            assert_eq!(duration(text).unwrap(), expected, "{text}");
        }
        assert_eq!(duration("7us").unwrap(), Duration::from_micros(7));
        assert_eq!(duration("7µs").unwrap(), Duration::from_micros(7));
        for bad in [
            "", "-1", "-1s", "soon", "inf", "NaN", "1e300", "ms", "1 parsec",
        ] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
        assert!(interval("0").is_err() && interval("0ms").is_err());
        assert_eq!(interval("2").unwrap(), Duration::from_secs(2));
    }

    #[test]
    fn sizes() {
        assert_eq!(size("4M").unwrap(), 4 << 20);
        assert_eq!(size("512KiB").unwrap(), 512 << 10);
        assert_eq!(size("1000").unwrap(), 1000);
        for bad in ["", "M", "-1", "0", "4T", "9999999999G", "2G", "1 M x"] {
            assert!(size(bad).is_err(), "{bad:?}");
        }
    }
}
