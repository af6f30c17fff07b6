//! `icmptap info`: what the kernel module is and can do.

use std::io::{self, Write};

use anyhow::Context;
use icmptap::{Client, reply};

use crate::{
    args::{Format, Info as Args},
    json,
};

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let info = Client::open()?.info()?;
    let mut out = io::stdout().lock();
    let written = match args.output {
        Format::Text => text(&mut out, &info),
        Format::Json => json::info(&mut out, &info),
    };
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to stdout")
        }
        _ => Ok(()),
    }
}

fn text(out: &mut dyn Write, info: &reply::Info) -> io::Result<()> {
    writeln!(out, "module version  {}", info.module_version)?;
    writeln!(out, "schema version  {}", info.schema_version)?;
    writeln!(out, "boot id         {}", info.boot_id)?;
    writeln!(out, "hooks           {}", info.hooks)?;
    writeln!(out, "families        {}", info.families)?;
    writeln!(out, "snaplen         up to {} bytes", info.snaplen_max)?;
    writeln!(
        out,
        "batch           {} to {} bytes",
        info.batch_min, info.batch_max
    )?;
    writeln!(out, "flush interval  up to {}", info.flush_max)
}

#[cfg(test)]
mod tests {
    use icmptap::BootId;
    use icmptap_proto::{nlmsg, testing};

    use super::*;

    fn info() -> reply::Info {
        let bytes = testing::info(1, BootId([0xa5; 16]));
        let message = nlmsg::messages(&bytes).next().unwrap().unwrap();
        reply::Info::decode(&message.generic().unwrap()).unwrap()
    }

    #[test]
    fn as_text() {
        let mut out = Vec::new();
        text(&mut out, &info()).unwrap();
        let expected = format!(
            "module version  0.1.0\nschema version  1\nboot id         {}\n\
             hooks           prerouting\nfamilies        ipv4\n\
             snaplen         up to 65535 bytes\nbatch           512 to 65536 bytes\n\
             flush interval  up to 1000000 µs\n",
            "a5".repeat(16)
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn as_json() {
        let mut out = Vec::new();
        json::info(&mut out, &info()).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["hooks"], serde_json::json!(["prerouting"]));
        assert_eq!(value["flush_max_us"], 1_000_000);
    }
}
