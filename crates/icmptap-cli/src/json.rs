//! Answers as JSON, one object per line. Keys may be added; those that are here
//! stay. What an event looks like is the library's business.

use std::io::{self, Write};

use icmptap::{Lost, event::EventRef, json::Line, reply};
use serde::Serialize;

use crate::interfaces::Names;

/// The line of `icmptap info -o json`.
#[derive(Debug, Serialize)]
struct Info {
    module_version: String,
    schema_version: u32,
    /// 32 hexadecimal digits, fresh for each load of the module.
    boot_id: String,
    /// The hooks that can be tapped.
    hooks: Vec<String>,
    /// The families that can be tapped.
    families: Vec<String>,
    /// Bytes.
    snaplen_max: u32,
    /// Bytes.
    batch_min: u32,
    /// Bytes.
    batch_max: u32,
    /// Microseconds.
    flush_max_us: u32,
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
        line(out, &Line::event(event, |index| self.names.name(index)))
    }

    pub(crate) fn lost(&mut self, out: &mut dyn Write, lost: Lost) -> io::Result<()> {
        line(out, &Line::lost(lost))
    }
}

pub(crate) fn info(out: &mut dyn Write, info: &reply::Info) -> io::Result<()> {
    line(
        out,
        &Info {
            module_version: info.module_version.clone(),
            schema_version: info.schema_version,
            boot_id: info.boot_id.to_string(),
            hooks: info.hooks.iter().map(|hook| hook.to_string()).collect(),
            families: info
                .families
                .iter()
                .map(|family| family.to_string())
                .collect(),
            snaplen_max: info.snaplen_max.0,
            batch_min: info.batch_min.0,
            batch_max: info.batch_max.0,
            flush_max_us: info.flush_max.us,
        },
    )
}

fn line(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
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
