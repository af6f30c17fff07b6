//! `oracle`: does icmptap read packets as tshark does?
//!
//! A program in a guest makes ICMP messages of many kinds and captures them three times
//! at once, with tcpdump, with `icmptap listen -o json` and with `icmptap listen -w`. Here
//! tshark dissects the first and the last, and each of their fields is compared with the
//! second. What differs is a mistake, of one or of the other; those of the other are explained
//! (`known_differences.rs`) and have to occur.

mod compare;
mod event;
mod known_differences;
mod tree;
mod tshark;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use icmptap_guest::Task;
use serde::Deserialize;
use serde_json::Value;
use xtask_guests::vm::artifacts::Wanted;
use xtask_guests::vm::machine::{Guest, GuestTask, Options};
use xtask_guests::vm_run;
use xtask_host::setup::{self, Tool};
use xtask_host::{ui, workspace};

use compare::Findings;
use tree::Tree;

/// Fewer kinds of messages would prove little.
const KINDS_MIN: usize = 40;

/// Compare the decoding of many kinds of ICMP messages by icmptap and by tshark
///
/// The guest has one CPU, whatever --smp says, so that both captures have the same
/// order. Exit status: 0 when they agree, except for the differences listed in
/// docs/protocol.md, 1 when they do not.
#[derive(clap::Args)]
pub struct Args {
    /// Boot this kernel of vm/kernels.toml
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,

    #[command(flatten)]
    options: Options,
}

/// Runs the command. With `locked`, a pinned package is not replaced.
pub fn run(args: &Args, locked: bool) -> Result<ExitCode> {
    let agree = in_guest(args.kernel.as_deref(), &args.options, locked)?;
    Ok(ExitCode::from(u8::from(!agree)))
}

/// Captures in a guest, compares, and prints what came of it: whether the two
/// agree.
pub fn in_guest(kernel: Option<&str>, options: &Options, locked: bool) -> Result<bool> {
    setup::need(&[Tool::Tshark])?;
    let dir = workspace::target().join("oracle");
    fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    let captures = capture(kernel, options, locked, &dir.join("captures.json"))?;
    type Compare = fn(&Captures, &[Tree]) -> Findings;
    let pairs: [(&str, &str, Compare); 2] = [
        ("oracle.pcap", &captures.pcap, compare::all),
        ("oracle.pcapng", &captures.pcapng, compare::from_ip_on),
    ];
    let mut agree = true;
    for (file, capture, compare) in pairs {
        let packets = dissect(&decode(capture)?, &dir.join(file), &dir)?;
        let findings = compare(&captures, &packets);
        println!("of {file}:");
        print(&findings, &dir);
        agree &= findings.failures.is_empty();
    }
    Ok(agree)
}

/// What the guest's program prints.
#[derive(Debug, Clone, Deserialize)]
struct Captures {
    /// The id of the echo requests that stand between the kinds.
    mark_id: u16,
    kinds: Vec<Kind>,
    /// What `icmptap listen -o json` printed.
    events: Vec<Value>,
    /// What tcpdump wrote, in base64.
    pcap: String,
    /// What `icmptap listen -w` wrote, in base64.
    pcapng: String,
}

/// A kind of message that was made.
#[derive(Debug, Clone, Deserialize)]
struct Kind {
    name: String,
    expected: Vec<Expected>,
}

/// What has to come of it at least.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
struct Expected {
    family: Family,
    /// Type and code, if the packet has them.
    icmp: Option<(u8, u8)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Family {
    #[serde(rename = "ipv4")]
    V4,
    #[serde(rename = "ipv6")]
    V6,
}

impl Family {
    /// As an event has it.
    fn name(self) -> &'static str {
        match self {
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
        }
    }
}

/// What is said of a packet: the keys of an event, nested ones with dots, and
/// their values as text.
#[derive(Debug, Default, Clone, PartialEq)]
struct Fields(BTreeMap<String, String>);

impl Fields {
    fn put(&mut self, key: &str, value: impl ToString) {
        self.0.insert(key.to_owned(), value.to_string());
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
}

fn decode(capture: &str) -> Result<Vec<u8>> {
    BASE64_STANDARD
        .decode(capture)
        .context("the guest's capture is no base64")
}

/// Runs the guest's program; keeps what it printed in `file` too.
fn capture(kernel: Option<&str>, options: &Options, locked: bool, file: &Path) -> Result<Captures> {
    let options = options.with_one_cpu();
    let guest = Guest::prepare(&options, kernel, true, Wanted::Tests, locked)?;
    let guest_task = GuestTask {
        // A program of vm/tests.
        task: Task::Run {
            argv: vec!["oracle".into()],
            env: Vec::new(),
        },
        copies: &[],
        total: Some(guest.scaled(Duration::from_secs(120))),
        silence: None,
    };
    let mut printed = Vec::new();
    vm_run::program(&guest, guest_task, &mut |bytes| {
        printed.extend(bytes);
        Ok(())
    })
    .context("no captures")?;
    fs::write(file, &printed).with_context(|| format!("write {}", file.display()))?;
    let captures: Captures = serde_json::from_slice(&printed)
        .with_context(|| format!("{} is not what was expected", file.display()))?;
    ensure!(
        captures.kinds.len() >= KINDS_MIN,
        "only {} kinds of messages were made",
        captures.kinds.len()
    );
    Ok(captures)
}

/// What each packet is dissected as: the object of its layers. The capture stays
/// in `file`.
fn dissect(capture: &[u8], file: &Path, dir: &Path) -> Result<Vec<Tree>> {
    fs::write(file, capture).with_context(|| format!("write {}", file.display()))?;
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(["-n", "-T", "json"]);
    // Nobody's own preferences: none are kept there.
    command.env("WIRESHARK_CONFIG_DIR", dir);
    for preference in [
        // Each packet for itself, and the numbers that are in it.
        "ip.defragment:FALSE",
        "ipv6.defragment:FALSE",
        "tcp.relative_sequence_numbers:FALSE",
        "tcp.analyze_sequence_numbers:FALSE",
    ] {
        command.args(["-o", preference]);
    }
    let output = command.output().context("cannot run tshark")?;
    if !output.status.success() {
        bail!(
            "{command:?}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    parse(&output.stdout)
}

fn parse(json: &[u8]) -> Result<Vec<Tree>> {
    #[derive(Deserialize)]
    struct Packet {
        #[serde(rename = "_source")]
        source: Source,
    }

    #[derive(Deserialize)]
    struct Source {
        layers: Tree,
    }

    let packets: Vec<Packet> =
        serde_json::from_slice(json).context("tshark's JSON is not what was expected")?;
    Ok(packets
        .into_iter()
        .map(|packet| packet.source.layers)
        .collect())
}

fn print(findings: &Findings, dir: &Path) {
    for failure in &findings.failures {
        println!("{failure}");
    }
    println!("{findings}");
    if !findings.failures.is_empty() {
        ui::say("see", dir.display());
        ui::say(
            "tshark",
            format!("{}; the explanations are for 4.0", version()),
        );
    }
}

/// Which tshark this is, in its own words.
fn version() -> String {
    let output = Command::new("tshark").arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let line = text.unwrap_or_default().lines().next().map(str::to_owned);
    line.unwrap_or_else(|| "of an unknown version".to_owned())
}
