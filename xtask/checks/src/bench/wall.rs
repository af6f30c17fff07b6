//! `bench --wall`: what no count of instructions tells, on CPUs that are real.
//!
//! A number of packets or seconds is this machine's at this time; so there are only
//! ratios to the same packets without capture, of the same round.

use std::fmt::Write;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use xtask_host::ui;

use super::{Args, Conditions, conditions, lines, prepare, put, table};
use crate::median::median;

/// The argument of vm/bench that asks for it.
const WALL: &str = "wall";

/// What a guest's program measured once.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Sample {
    /// Of a peer. Without one, nobody captured.
    name: Option<String>,
    settings: String,
    round: u32,
    packets: u64,
    lost: u64,
    sending_ns: u64,
    busy_ns: u64,
}

impl Sample {
    fn title(&self) -> String {
        match &self.name {
            Some(name) => format!("round {}: {name}, {}", self.round, self.settings),
            None => format!("round {}: no capture", self.round),
        }
    }
}

/// A peer, beside no capture. Each is the median of all rounds.
#[derive(Debug, PartialEq, Serialize)]
struct Ratios {
    name: String,
    settings: String,
    /// Packets sent in a second.
    speed: f64,
    /// CPU seconds of the whole guest for each packet sent.
    work: f64,
    /// The part of all events that was lost.
    lost: f64,
}

#[derive(Serialize)]
struct Report {
    conditions: Conditions,
    /// How the guest's CPU was run.
    accel: &'static str,
    cpus: u32,
    ratios: Vec<Ratios>,
}

pub(super) fn run(args: &Args, locked: bool) -> Result<()> {
    let guest = prepare(args.kernel.as_deref(), &args.options, locked)?;
    if guest.is_emulated() {
        ui::warn(
            "the CPU is emulated: these are the ratios of QEMU's translator, and no machine's",
        );
    }
    let argv = [&[WALL.to_owned()], &args.names[..]].concat();
    let samples = lines(&guest, argv, Sample::title)?;
    let report = Report {
        conditions: conditions(&guest)?,
        accel: if guest.is_emulated() { "tcg" } else { "kvm" },
        cpus: guest.cpus(),
        ratios: ratios(&samples)?,
    };
    print!("{}", text(&report.ratios));
    match &args.json {
        Some(path) => put(path, &(serde_json::to_string_pretty(&report)? + "\n")),
        None => Ok(()),
    }
}

/// In the order in which the peers come.
fn ratios(samples: &[Sample]) -> Result<Vec<Ratios>> {
    let mut peers: Vec<(&str, &str)> = Vec::new();
    for sample in samples {
        if let Some(name) = &sample.name
            && !peers.contains(&(name, &sample.settings))
        {
            peers.push((name, &sample.settings));
        }
    }
    let of = |(name, settings): (&str, &str)| {
        let own = samples
            .iter()
            .filter(|sample| sample.name.as_deref() == Some(name) && sample.settings == settings);
        let pairs: Vec<_> = own
            .map(|sample| Ok((sample, alone(samples, sample.round)?)))
            .collect::<Result<_>>()?;
        let median_of = |value: fn(&Sample) -> f64| {
            median(pairs.iter().map(|(own, alone)| value(own) / value(alone)))
        };
        Ok(Ratios {
            name: name.to_owned(),
            settings: settings.to_owned(),
            speed: median_of(|sample| sample.packets as f64 / sample.sending_ns as f64),
            work: median_of(|sample| sample.busy_ns as f64 / sample.packets as f64),
            lost: median(
                pairs
                    .iter()
                    .map(|(own, _)| own.lost as f64 / own.packets as f64),
            ),
        })
    };
    peers.into_iter().map(of).collect()
}

/// The same packets without capture.
fn alone(samples: &[Sample], round: u32) -> Result<&Sample> {
    let mut alone = samples
        .iter()
        .filter(|sample| sample.name.is_none() && sample.round == round);
    let alone = alone
        .next()
        .with_context(|| format!("round {round} has no run without capture"))?;
    ensure!(
        alone.packets > 0 && alone.sending_ns > 0 && alone.busy_ns > 0,
        "round {round} measured nothing without capture"
    );
    Ok(alone)
}

fn text(ratios: &[Ratios]) -> String {
    let mut text = "\nagainst no capture: packets sent per second, CPU seconds per packet; and \
                    events lost\n"
        .to_owned();
    let name = table::width(ratios.iter().map(|row| row.name.as_str()));
    let settings = table::width(ratios.iter().map(|row| row.settings.as_str()));
    for row in ratios {
        let line = format!(
            "  {:name$}  {:settings$}  {:>5.2}  {:>6.2}  {:>5.1} %",
            row.name,
            row.settings,
            row.speed,
            row.work,
            row.lost * 100.0,
        );
        writeln!(text, "{line}").expect("a string takes all");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: Option<&str>, round: u32, lost: u64, sending_ns: u64, busy_ns: u64) -> Sample {
        Sample {
            name: name.map(str::to_owned),
            settings: "as it is".to_owned(),
            round,
            packets: 100,
            lost,
            sending_ns,
            busy_ns,
        }
    }

    #[test]
    fn a_ratio_is_of_its_own_round_and_the_middle_one_counts() {
        // The second round met a busy machine, the third lost much.
        let samples = [
            sample(None, 1, 0, 1_000, 2_000),
            sample(Some("a"), 1, 10, 2_000, 3_000),
            sample(None, 2, 0, 10_000, 20_000),
            sample(Some("a"), 2, 20, 20_000, 30_000),
            sample(None, 3, 0, 1_000, 2_000),
            sample(Some("a"), 3, 90, 9_000, 2_000),
        ];
        let expected = Ratios {
            name: "a".to_owned(),
            settings: "as it is".to_owned(),
            speed: 0.5,
            work: 1.5,
            lost: 0.2,
        };
        assert_eq!(ratios(&samples).unwrap(), [expected]);
    }

    #[test]
    fn peers_keep_their_order_and_settings_are_told_apart() {
        let other = Sample {
            settings: "otherwise".to_owned(),
            ..sample(Some("b"), 1, 0, 8, 4)
        };
        let samples = [
            sample(None, 1, 0, 4, 4),
            sample(Some("b"), 1, 0, 4, 4),
            other,
            sample(Some("a"), 1, 0, 4, 4),
        ];
        let found = ratios(&samples).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|row| (row.name.as_str(), row.settings.as_str(), row.speed))
            .collect();
        let expected = [
            ("b", "as it is", 1.0),
            ("b", "otherwise", 0.5),
            ("a", "as it is", 1.0),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn without_something_to_compare_with_there_is_no_ratio() {
        let captured = sample(Some("a"), 2, 0, 1, 1);
        let error = ratios(&[sample(None, 1, 0, 1, 1), captured.clone()]).unwrap_err();
        assert!(error.to_string().contains("round 2 has no"), "{error}");
        let error = ratios(&[sample(None, 2, 0, 1, 0), captured]).unwrap_err();
        assert!(error.to_string().contains("measured nothing"), "{error}");
    }

    #[test]
    fn a_line_of_the_guests_program_is_read() {
        let line = r#"{"name":null,"settings":"","round":1,"packets":9,"lost":0,"sending_ns":8,"busy_ns":7}"#;
        let sample: Sample = serde_json::from_str(line).unwrap();
        assert_eq!((sample.name, sample.packets), (None, 9));
    }

    #[test]
    fn the_table_shows_ratios() {
        let row = |name: &str, lost| Ratios {
            name: name.to_owned(),
            settings: "as it is".to_owned(),
            speed: 0.912,
            work: 12.5,
            lost,
        };
        let text = text(&[row("us", 0.0), row("other", 0.934)]);
        let lines: Vec<_> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "  us     as it is   0.91   12.50    0.0 %",
                "  other  as it is   0.91   12.50   93.4 %",
            ]
        );
    }
}
