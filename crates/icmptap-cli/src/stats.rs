//! `icmptap stats`: what became of the packets of all subscriptions.

use std::{
    io::{self, Write},
    thread,
    time::{Duration, Instant},
};

use icmptap::{
    Client,
    reply::{Counters, CpuStats, Stats},
};
use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;

use crate::{
    args::{Format, Stats as Args},
    counters,
    interfaces::{Interfaces, Names, escaped, netns_word},
    output::{bytes, json_lines, print, table},
};

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut client = Client::open()?;
    let mut names = Interfaces::new(false);
    if let Some(interval) = args.watch {
        return watch(&mut client, interval, args);
    }
    if args.per_cpu {
        let stats = client.stats_per_cpu()?;
        print(|out| match args.output {
            Format::Text => per_cpu_text(out, &stats, &mut names),
            Format::Json => json_lines(
                out,
                stats.iter().map(|stats| Line::of_cpu(stats, &mut names)),
            ),
        })
        .map(drop)
    } else {
        let stats = client.stats()?;
        print(|out| match args.output {
            Format::Text => text(out, &stats, &mut names),
            Format::Json => json_lines(out, [Line::of_all(&stats, &mut names)]),
        })
        .map(drop)
    }
}

/// Rows under one line of headings.
const PAGE: u64 = 20;

/// Prints a row at each interval, until stdout is closed or Ctrl-C comes.
fn watch(client: &mut Client, interval: Duration, args: &Args) -> anyhow::Result<()> {
    let mut names = Interfaces::new(false);
    let mut last: Option<(Instant, Counters)> = None;
    for nth in 0..args.count.unwrap_or(u64::MAX) {
        if let Some((before, _)) = last {
            thread::sleep((before + interval).saturating_duration_since(Instant::now()));
        }
        let (now, stats) = (Instant::now(), client.stats()?);
        let rates =
            last.map(|(before, counters)| Rates::between(&counters, &stats.counters, now - before));
        last = Some((now, stats.counters));
        let time = Timestamp::now();
        let is_read = print(|out| match args.output {
            Format::Text => {
                if nth % PAGE == 0 {
                    writeln!(out, "{WATCH_HEADINGS}")?;
                }
                let clock = time.to_zoned_datetime(TimeZone::system());
                watch_row(out, &clock.strftime("%H:%M:%S").to_string(), rates, &stats)
            }
            Format::Json => {
                let line = WatchLine {
                    time: format!("{time:.9}"),
                    rates,
                    line: Line::of_all(&stats, &mut names),
                };
                json_lines(out, [line])
            }
        })?;
        if !is_read {
            break;
        }
    }
    Ok(())
}

/// What came in a time, per second.
#[derive(Debug, Clone, Copy, Serialize)]
struct Rates {
    matched_per_s: u64,
    delivered_per_s: u64,
    lost_per_s: u64,
}

impl Rates {
    fn between(before: &Counters, now: &Counters, time: Duration) -> Self {
        let per_second = |before: u64, now: u64| {
            let rate = now.saturating_sub(before) as f64 / time.as_secs_f64();
            rate.round() as u64
        };
        Self {
            matched_per_s: per_second(before.matched, now.matched),
            delivered_per_s: per_second(before.delivered, now.delivered),
            lost_per_s: per_second(before.lost(), now.lost()),
        }
    }
}

/// A line of `icmptap stats --watch -o json`.
#[derive(Debug, Serialize)]
struct WatchLine {
    /// RFC 3339, UTC, nanoseconds.
    time: String,
    /// Since the line before; missing in the first.
    #[serde(flatten)]
    rates: Option<Rates>,
    #[serde(flatten)]
    line: Line,
}

const WATCH_HEADINGS: &str =
    "time      matched/s  delivered/s     lost/s      matched         lost  subscriptions";

/// Rates and sums; columns of a width that rows to come will have too.
fn watch_row(
    out: &mut dyn Write,
    time: &str,
    rates: Option<Rates>,
    stats: &Stats,
) -> io::Result<()> {
    let rates = rates.map_or_else(
        || ["-"; 3].map(str::to_owned),
        |rates| {
            [rates.matched_per_s, rates.delivered_per_s, rates.lost_per_s]
                .map(|rate| rate.to_string())
        },
    );
    let [matched, delivered, lost] = rates;
    writeln!(
        out,
        "{time} {matched:>10} {delivered:>12} {lost:>10} {:>12} {:>12} {:>14}",
        stats.counters.matched,
        stats.counters.lost(),
        stats.subscriptions,
    )
}

/// A line of `icmptap stats -o json`.
#[derive(Debug, Serialize)]
struct Line {
    /// With `--per-cpu`.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<u32>,
    /// Inode number of the network namespace.
    netns: u32,
    /// Its name among those of `ip netns`.
    #[serde(skip_serializing_if = "Option::is_none")]
    netns_name: Option<String>,
    /// How many live; without `--per-cpu`.
    #[serde(skip_serializing_if = "Option::is_none")]
    subscriptions: Option<u32>,
    /// Of memory kept for them; without `--per-cpu`, and if the module tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// The same for those of every network namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_total: Option<u64>,
    counters: Counters,
}

impl Line {
    fn of_all(stats: &Stats, names: &mut dyn Names) -> Self {
        Self {
            cpu: None,
            netns: stats.netns.0,
            netns_name: names.netns(stats.netns).map(|name| escaped(&name)),
            subscriptions: Some(stats.subscriptions),
            bytes: stats.bytes,
            bytes_total: stats.bytes_total,
            counters: stats.counters,
        }
    }

    fn of_cpu(stats: &CpuStats, names: &mut dyn Names) -> Self {
        Self {
            cpu: Some(stats.cpu.0),
            netns: stats.netns.0,
            netns_name: names.netns(stats.netns).map(|name| escaped(&name)),
            subscriptions: None,
            bytes: None,
            bytes_total: None,
            counters: stats.counters,
        }
    }
}

fn text(out: &mut dyn Write, stats: &Stats, names: &mut dyn Names) -> io::Result<()> {
    let headings = [
        &["netns", "subscriptions"][..],
        &counters::HEADINGS,
        &["bytes", "bytes-total"],
    ]
    .concat();
    let mut row = vec![
        netns_word(names, stats.netns),
        stats.subscriptions.to_string(),
    ];
    row.extend(counters::cells(&stats.counters));
    row.extend([bytes(stats.bytes), bytes(stats.bytes_total)]);
    table(out, &headings, &[row])
}

fn per_cpu_text(out: &mut dyn Write, stats: &[CpuStats], names: &mut dyn Names) -> io::Result<()> {
    let headings = [&["netns", "cpu"][..], &counters::HEADINGS].concat();
    let row = |stats: &CpuStats| {
        let mut row = vec![netns_word(names, stats.netns), stats.cpu.to_string()];
        row.extend(counters::cells(&stats.counters));
        row
    };
    let rows: Vec<_> = stats.iter().map(row).collect();
    table(out, &headings, &rows)
}

#[cfg(test)]
mod tests {
    use icmptap_proto::{nlmsg, testing};
    use serde_json::{Value, json};

    use super::*;
    use crate::{counters::tests::some, text::tests::Fixed};

    fn stats() -> Stats {
        let bytes = testing::stats(1, &some());
        let message = nlmsg::messages(&bytes).next().unwrap().unwrap();
        Stats::decode(&message.generic().unwrap()).unwrap()
    }

    fn cpu_stats(cpu: u32) -> CpuStats {
        let bytes = testing::cpu_stats(1, cpu, &some());
        let message = nlmsg::messages(&bytes).next().unwrap().unwrap();
        CpuStats::decode(&message.generic().unwrap()).unwrap()
    }

    #[test]
    fn as_text() {
        let mut out = Vec::new();
        text(&mut out, &stats(), &mut Fixed).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "     netns  subscriptions  matched  delivered  overrun  nomem  ratelimit  queued  sampled-out  bytes  bytes-total\n\
             4026531840              2       21          6        1      2          4       8          100  66000        99000\n"
        );
        let mut old = stats();
        (old.bytes, old.bytes_total) = (None, None);
        let mut out = Vec::new();
        text(&mut out, &old, &mut Fixed).unwrap();
        assert!(out.ends_with(b"  not told  not told\n"), "{out:?}");
        let mut out = Vec::new();
        per_cpu_text(&mut out, &[cpu_stats(0), cpu_stats(11)], &mut Fixed).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "     netns  cpu  matched  delivered  overrun  nomem  ratelimit  queued  sampled-out\n\
             4026531840    0       21          6        1      2          4       8          100\n\
             4026531840   11       21          6        1      2          4       8          100\n"
        );
    }

    #[test]
    fn a_watched_row_has_rates_and_stands_under_its_heading() {
        let stats = stats();
        let mut before = stats.counters;
        (before.matched, before.delivered, before.lost_overrun) = (1, 4, 0);
        let rates = Rates::between(&before, &stats.counters, Duration::from_millis(500));
        let row = |rates| {
            let mut out = Vec::new();
            watch_row(&mut out, "12:00:01", rates, &stats).unwrap();
            String::from_utf8(out).unwrap()
        };
        let lines = [row(Some(rates)), row(None)];
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(&lines[0]), "12:00:01 40 4 2 21 7 2");
        assert_eq!(words(&lines[1]), "12:00:01 - - - 21 7 2");
        for line in &lines {
            assert_eq!(line.trim_end().len(), WATCH_HEADINGS.len(), "{line}");
        }
        let line = WatchLine {
            time: "then".to_owned(),
            rates: Some(rates),
            line: Line::of_all(&stats, &mut Fixed),
        };
        let line = serde_json::to_value(line).unwrap();
        assert_eq!(
            (&line["lost_per_s"], &line["subscriptions"]),
            (&2.into(), &2.into())
        );
        assert_eq!(
            (&line["time"], &line["counters"]["matched"]),
            (&"then".into(), &21.into())
        );
    }

    #[test]
    fn as_json() {
        let counters = json!({
            "matched": 21, "delivered": 6, "lost_overrun": 1, "lost_nomem": 2,
            "lost_ratelimit": 4, "queued": 8, "sampled_out": 100,
        });
        let mut out = Vec::new();
        json_lines(
            &mut out,
            [
                Line::of_all(&stats(), &mut Fixed),
                Line::of_cpu(&cpu_stats(3), &mut Fixed),
            ],
        )
        .unwrap();
        let lines: Vec<Value> = serde_json::Deserializer::from_slice(&out)
            .into_iter()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(
            lines,
            [
                json!({
                    "netns": 4_026_531_840u32, "subscriptions": 2, "bytes": 66_000,
                    "bytes_total": 99_000, "counters": counters,
                }),
                json!({"cpu": 3, "netns": 4_026_531_840u32, "counters": counters}),
            ]
        );
    }
}
