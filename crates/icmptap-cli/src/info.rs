//! `icmptap info`: what the kernel module is and can do.

use std::io::{self, Write};

use icmptap::{
    Client,
    reply::{self, Age},
};
use serde::Serialize;

use crate::{
    args::{Format, Info as Args},
    output::{NOT_TOLD, json_lines, print},
};

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let info = Client::open()?.info()?;
    print(|out| match args.output {
        Format::Text => text(out, &info),
        Format::Json => json_lines(out, [Line::from(&info)]),
    })
    .map(drop)
}

/// What it means that the module is older or newer than this program; `None` if
/// it is neither.
pub(crate) fn difference(info: &reply::Info) -> Option<String> {
    let (age, meaning) = match info.age() {
        Age::Same => return None,
        Age::Older => (
            "older",
            "what it has works, and what it lacks is refused by name",
        ),
        Age::Newer => (
            "newer",
            "all that this icmptap knows works, and what the module adds is not shown",
        ),
    };
    Some(format!(
        "the module (version {}, schema {}) is {age} than this icmptap (version {VERSION}, schema \
         {}): {meaning}",
        info.module_version,
        info.schema_version,
        reply::Info::SCHEMA_KNOWN,
    ))
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The line of `icmptap info -o json`.
#[derive(Debug, Serialize)]
struct Line {
    module_version: String,
    /// Counts additions to the wire format: those that the module knows.
    schema_version: u32,
    icmptap_version: &'static str,
    /// Those that this program knows.
    schema_known: u32,
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
    /// Instructions.
    filter_max: u32,
    /// Bytes of memory for all subscriptions together; missing: the module is too old
    /// to tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_bytes: Option<u64>,
}

impl From<&reply::Info> for Line {
    fn from(info: &reply::Info) -> Self {
        Self {
            module_version: info.module_version.clone(),
            schema_version: info.schema_version,
            icmptap_version: VERSION,
            schema_known: reply::Info::SCHEMA_KNOWN,
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
            filter_max: info.filter_max,
            max_bytes: info.max_bytes,
        }
    }
}

fn text(out: &mut dyn Write, info: &reply::Info) -> io::Result<()> {
    writeln!(out, "module version   {}", info.module_version)?;
    writeln!(out, "schema version   {}", info.schema_version)?;
    writeln!(
        out,
        "icmptap version  {VERSION}, which knows schema {}",
        reply::Info::SCHEMA_KNOWN
    )?;
    writeln!(out, "boot id          {}", info.boot_id)?;
    writeln!(out, "hooks            {}", info.hooks)?;
    writeln!(out, "families         {}", info.families)?;
    writeln!(out, "snaplen          up to {} bytes", info.snaplen_max)?;
    writeln!(
        out,
        "batch            {} to {} bytes",
        info.batch_min, info.batch_max
    )?;
    writeln!(out, "flush interval   up to {}", info.flush_max)?;
    match info.filter_max {
        0 => writeln!(out, "filter           none")?,
        max => writeln!(out, "filter           up to {max} instructions")?,
    }
    match info.max_bytes {
        None => writeln!(out, "memory           {NOT_TOLD}")?,
        Some(max) => writeln!(out, "memory           up to {max} bytes for all together")?,
    }
    match difference(info) {
        Some(sentence) => writeln!(out, "{sentence}"),
        None => writeln!(out, "the module and this icmptap know the same"),
    }
}

#[cfg(test)]
mod tests {
    use icmptap::BootId;
    use icmptap_proto::{nlmsg, testing};

    use super::*;

    fn info(schema: u32) -> reply::Info {
        let bytes = testing::info_of_schema(1, BootId([0xa5; 16]), schema);
        let message = nlmsg::messages(&bytes).next().unwrap().unwrap();
        reply::Info::decode(&message.generic().unwrap()).unwrap()
    }

    #[test]
    fn as_text() {
        let mut out = Vec::new();
        text(&mut out, &info(3)).unwrap();
        let expected = format!(
            "module version   0.1.0\nschema version   3\n\
             icmptap version  {VERSION}, which knows schema 3\nboot id          {}\n\
             hooks            prerouting\nfamilies         ipv4\n\
             snaplen          up to 65535 bytes\nbatch            512 to 65536 bytes\n\
             flush interval   up to 1000000 µs\nfilter           up to 4096 instructions\n\
             memory           up to 15728640 bytes for all together\n\
             the module and this icmptap know the same\n",
            "a5".repeat(16)
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn an_older_or_newer_module_is_said_to_be_one() {
        let mut out = Vec::new();
        text(&mut out, &info(1)).unwrap();
        let last = format!(
            "\nthe module (version 0.1.0, schema 1) is older than this icmptap (version {VERSION}, \
             schema 3): what it has works, and what it lacks is refused by name\n"
        );
        let out = String::from_utf8(out).unwrap();
        assert!(out.ends_with(&last), "{out}");
        assert!(out.contains("\nfilter           none\n"), "{out}");
        assert!(out.contains("\nmemory           not told\n"), "{out}");
        assert_eq!(
            difference(&info(4)).unwrap(),
            format!(
                "the module (version 0.1.0, schema 4) is newer than this icmptap (version \
                 {VERSION}, schema 3): all that this icmptap knows works, and what the module adds \
                 is not shown"
            )
        );
    }

    #[test]
    fn as_json() {
        let mut out = Vec::new();
        json_lines(&mut out, [Line::from(&info(3))]).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["hooks"], serde_json::json!(["prerouting"]));
        assert_eq!(value["flush_max_us"], 1_000_000);
        assert_eq!(value["filter_max"], 4096);
        assert_eq!(value["max_bytes"], 15 << 20);
        assert_eq!(
            (&value["schema_version"], &value["schema_known"]),
            (&3.into(), &3.into())
        );
    }
}
