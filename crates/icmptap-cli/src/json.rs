//! Events as JSON, one object per line. What an event looks like is the
//! library's business; here it gets the names of interfaces.

use std::io::{self, Write};

use icmptap::{Lost, event::EventRef, json::Line, reply::Counters};

use crate::{interfaces::Names, output::json_lines};

/// What a stream ends with.
pub(crate) struct End<'a> {
    /// Events that have a line.
    pub(crate) shown: u64,
    /// Losses that lines tell of.
    pub(crate) told: u64,
    /// Events that were received.
    pub(crate) received: u64,
    /// What the kernel counted.
    pub(crate) counters: &'a Counters,
}

/// Prints events as JSON.
pub(crate) struct Json<N> {
    names: N,
}

impl<N: Names> Json<N> {
    pub(crate) fn new(names: N) -> Self {
        Self { names }
    }

    pub(crate) fn event(&mut self, out: &mut dyn Write, event: &EventRef<'_>) -> io::Result<()> {
        let netns = event.netns();
        let line = Line::event(event, |index| self.names.name(netns?, index));
        let netns_name = netns.and_then(|netns| self.names.netns(netns));
        json_lines(out, [line.with_netns_name(netns_name)])
    }

    pub(crate) fn lost(&self, out: &mut dyn Write, lost: Lost) -> io::Result<()> {
        json_lines(out, [Line::lost(lost)])
    }

    /// The lines of the end.
    pub(crate) fn end(&self, out: &mut dyn Write, end: &End<'_>) -> io::Result<()> {
        let untold = end.counters.lost().saturating_sub(end.told);
        if untold > 0 {
            json_lines(out, [Line::lost_at_the_end(untold)])?;
        }
        let line = Line::summary(end.shown, end.received, end.counters);
        json_lines(out, [line])
    }
}

#[cfg(test)]
mod tests {
    use icmptap::Cpu;
    use icmptap_proto::testing::{Record, icmpv4};
    use serde_json::Value;

    use super::*;
    use crate::text::tests::{Fixed, with_event};

    #[test]
    fn interfaces_have_names_where_they_are_known() {
        let record = Record {
            oif: 9,
            netns: 7,
            ..Record::of_ipv4(icmpv4(8, 0, [0, 7, 0, 1], &[0; 56]))
        };
        let mut out = Vec::new();
        with_event(record, |event| Json::new(Fixed).event(&mut out, event)).unwrap();
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert_eq!(out.last(), Some(&b'\n'));
        let event: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(event["kind"], "event");
        assert_eq!(event["iif"]["name"], "eth0");
        assert_eq!(event["oif"], serde_json::json!({"index": 9}));
        assert_eq!(
            (&event["netns"], &event["netns_name"]),
            (&7.into(), &"blue".into())
        );

        let record = Record {
            oif: 4,
            ..Record::of_ipv4(icmpv4(8, 0, [0, 7, 0, 1], &[0; 56]))
        };
        let mut out = Vec::new();
        with_event(record, |event| Json::new(Fixed).event(&mut out, event)).unwrap();
        let event: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(event["oif"]["name"], r"a\u{1b}[31m\u{202e}b");
    }

    #[test]
    fn losses_are_lines_of_their_own() {
        let mut out = Vec::new();
        Json::new(Fixed)
            .lost(
                &mut out,
                Lost {
                    cpu: Cpu(3),
                    count: 12,
                },
            )
            .unwrap();
        assert_eq!(out, b"{\"kind\":\"lost\",\"cpu\":3,\"count\":12}\n");
    }

    #[test]
    fn the_end_tells_the_losses_that_no_line_has() {
        let mut counters = Counters::default();
        (counters.matched, counters.delivered) = (13, 6);
        (counters.lost_overrun, counters.lost_nomem) = (1, 2);
        counters.lost_ratelimit = 4;
        let end = |told| {
            let mut out = Vec::new();
            let end = End {
                shown: 5,
                told,
                received: 6,
                counters: &counters,
            };
            Json::new(Fixed).end(&mut out, &end).unwrap();
            let lines = String::from_utf8(out).unwrap();
            let lines: Vec<Value> = lines
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            lines
        };
        let lines = end(4);
        assert_eq!(lines[0], serde_json::json!({"kind": "lost", "count": 3}));
        assert_eq!(lines[1]["kind"], "summary");
        assert_eq!(
            (&lines[1]["shown"], &lines[1]["received"]),
            (&5.into(), &6.into())
        );
        assert_eq!(lines[1]["counters"]["lost_ratelimit"], 4);
        assert_eq!(end(7).len(), 1, "all were told");
    }
}
