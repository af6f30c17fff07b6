//! Events as JSON, one object per line. What an event looks like is the
//! library's business; here it gets the names of interfaces.

use std::io::{self, Write};

use icmptap::{Lost, event::EventRef, json::Line};

use crate::{interfaces::Names, output::json_lines};

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
        let line = Line::event(event, |index| self.names.name(netns, index));
        json_lines(out, [line])
    }

    pub(crate) fn lost(&mut self, out: &mut dyn Write, lost: Lost) -> io::Result<()> {
        json_lines(out, [Line::lost(lost)])
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
}
