//! How a line says when its packet was seen.

use std::io::{self, Write};

use clap::ValueEnum;
use jiff::{Timestamp, tz::TimeZone};

/// What of the time is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TimeStyle {
    /// The time of day
    Clock,
    /// Date and time of day
    Date,
    /// Seconds since the previous line; negative if events of CPUs are out of order
    Delta,
    /// Seconds since 1970, in UTC
    Epoch,
}

/// Says times, with microseconds.
#[derive(Debug)]
pub(super) struct Times {
    style: TimeStyle,
    zone: TimeZone,
    /// That of the line before.
    last_ns: Option<u64>,
}

impl Times {
    pub(super) fn new(style: TimeStyle, zone: TimeZone) -> Self {
        Self {
            style,
            zone,
            last_ns: None,
        }
    }

    pub(super) fn write(&mut self, out: &mut dyn Write, time_ns: u64) -> io::Result<()> {
        let last_ns = self.last_ns.replace(time_ns).unwrap_or(time_ns);
        let zoned = || {
            let time = Timestamp::from_nanosecond(time_ns.into()).unwrap_or_default();
            time.to_zoned_datetime(self.zone.clone())
        };
        match self.style {
            TimeStyle::Clock => write!(out, "{}", zoned().strftime("%H:%M:%S%.6f")),
            TimeStyle::Date => write!(out, "{}", zoned().strftime("%Y-%m-%d %H:%M:%S%.6f")),
            TimeStyle::Delta => {
                let sign = if time_ns < last_ns { '-' } else { '+' };
                write!(out, "{sign}{}", Seconds(time_ns.abs_diff(last_ns)))
            }
            TimeStyle::Epoch => write!(out, "{}", Seconds(time_ns)),
        }
    }
}

/// Nanoseconds as seconds with microseconds.
struct Seconds(u64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (seconds, ns) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        write!(f, "{seconds}.{:06}", ns / 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_style_says_the_time_its_way() {
        // 2026-11-28 20:34:19.429887654 UTC
        const THEN: u64 = 1_795_898_059_429_887_654;
        let said = |style, times: &[u64]| {
            let mut said = Times::new(style, TimeZone::UTC);
            let words = times.iter().map(|time_ns| {
                let mut out = Vec::new();
                said.write(&mut out, *time_ns).unwrap();
                String::from_utf8(out).unwrap()
            });
            words.collect::<Vec<_>>()
        };
        assert_eq!(said(TimeStyle::Clock, &[THEN]), ["20:34:19.429887"]);
        assert_eq!(
            said(TimeStyle::Date, &[THEN]),
            ["2026-11-28 20:34:19.429887"]
        );
        assert_eq!(said(TimeStyle::Epoch, &[THEN]), ["1795898059.429887"]);
        assert_eq!(
            said(TimeStyle::Delta, &[THEN, THEN + 1_500_000_000, THEN]),
            ["+0.000000", "+1.500000", "-1.500000"]
        );
    }
}
