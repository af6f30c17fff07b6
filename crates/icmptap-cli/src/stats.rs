//! `icmptap stats`: what became of the packets of all subscriptions.

use std::io::{self, Write};

use icmptap::{
    Client, json,
    reply::{CpuStats, Stats},
};
use serde::Serialize;

use crate::{
    args::{Format, Stats as Args},
    counters,
    output::{bytes, json_lines, print, table},
};

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut client = Client::open()?;
    if args.per_cpu {
        let stats = client.stats_per_cpu()?;
        print(|out| match args.output {
            Format::Text => per_cpu_text(out, &stats),
            Format::Json => json_lines(out, stats.iter().map(Line::of_cpu)),
        })
    } else {
        let stats = client.stats()?;
        print(|out| match args.output {
            Format::Text => text(out, &stats),
            Format::Json => json_lines(out, [Line::of_all(&stats)]),
        })
    }
}

/// A line of `icmptap stats -o json`.
#[derive(Debug, Serialize)]
struct Line {
    /// With `--per-cpu`.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<u32>,
    /// Inode number of the network namespace.
    netns: u32,
    /// How many live; without `--per-cpu`.
    #[serde(skip_serializing_if = "Option::is_none")]
    subscriptions: Option<u32>,
    /// Of memory kept for them; without `--per-cpu`, and if the module tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// The same for those of every network namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_total: Option<u64>,
    counters: json::Counters,
}

impl Line {
    fn of_all(stats: &Stats) -> Self {
        Self {
            cpu: None,
            netns: stats.netns.0,
            subscriptions: Some(stats.subscriptions),
            bytes: stats.bytes,
            bytes_total: stats.bytes_total,
            counters: (&stats.counters).into(),
        }
    }

    fn of_cpu(stats: &CpuStats) -> Self {
        Self {
            cpu: Some(stats.cpu.0),
            netns: stats.netns.0,
            subscriptions: None,
            bytes: None,
            bytes_total: None,
            counters: (&stats.counters).into(),
        }
    }
}

fn text(out: &mut dyn Write, stats: &Stats) -> io::Result<()> {
    let headings = [
        &["netns", "subscriptions"][..],
        &counters::HEADINGS,
        &["bytes", "bytes-total"],
    ]
    .concat();
    let mut row = vec![stats.netns.to_string(), stats.subscriptions.to_string()];
    row.extend(counters::cells(&stats.counters));
    row.extend([bytes(stats.bytes), bytes(stats.bytes_total)]);
    table(out, &headings, &[row])
}

fn per_cpu_text(out: &mut dyn Write, stats: &[CpuStats]) -> io::Result<()> {
    let headings = [&["netns", "cpu"][..], &counters::HEADINGS].concat();
    let row = |stats: &CpuStats| {
        let mut row = vec![stats.netns.to_string(), stats.cpu.to_string()];
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
    use crate::counters::tests::some;

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
        text(&mut out, &stats()).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "     netns  subscriptions  matched  delivered  overrun  nomem  ratelimit  queued  sampled-out  bytes  bytes-total\n\
             4026531840              2       21          6        1      2          4       8          100  66000        99000\n"
        );
        let mut old = stats();
        (old.bytes, old.bytes_total) = (None, None);
        let mut out = Vec::new();
        text(&mut out, &old).unwrap();
        assert!(out.ends_with(b"  not told  not told\n"), "{out:?}");
        let mut out = Vec::new();
        per_cpu_text(&mut out, &[cpu_stats(0), cpu_stats(11)]).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "     netns  cpu  matched  delivered  overrun  nomem  ratelimit  queued  sampled-out\n\
             4026531840    0       21          6        1      2          4       8          100\n\
             4026531840   11       21          6        1      2          4       8          100\n"
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
            [Line::of_all(&stats()), Line::of_cpu(&cpu_stats(3))],
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
