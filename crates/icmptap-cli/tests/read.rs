//! `icmptap read`, as people run it: on a machine without the module, by anybody.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::Duration,
};

use icmptap::{
    BootId, Cpu, Hook, IfIndex, Lost, Netns, SubscriptionId, Summary,
    event::{Event, Metadata, Tapped},
    reply::Counters,
};
use icmptap_capture::{PcapngWriter, Section, Session, Totals};
use icmptap_proto::testing::{icmpv4, icmpv6};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with a capture `x`: a ping that came in by eth0 on CPU 1, 3 that were lost
/// there, its reply that left, and an ICMPv6 message on its way through; 2 more are
/// lost at the end.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(TempDir::new().unwrap());
        fs::write(folder.path("x"), capture()).unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs the command in it.
    fn run(&self, words: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_icmptap"))
            .args(words.split(' '))
            .current_dir(self.0.path())
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs it to a good end: lines of stdout and of stderr.
    fn good(&self, words: &str) -> (Vec<String>, Vec<String>) {
        let output = self.run(words);
        let [out, err] = [&output.stdout, &output.stderr].map(|bytes| lines(bytes));
        assert!(output.status.success(), "{words}: {err:?}");
        (out, err)
    }

    /// Runs it to a bad end with this exit status: the last line of stderr.
    fn bad(&self, words: &str, status: i32) -> String {
        let output = self.run(words);
        assert_eq!(output.status.code(), Some(status), "{words}");
        lines(&output.stderr).pop().unwrap()
    }
}

fn lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn session() -> Session {
    Session {
        boot_id: BootId([0xab; 16]),
        subscription: Some(SubscriptionId(5)),
    }
}

fn event(packet: &[u8], nth: u64, seq: u64, hook: Hook, [iif, oif]: [u32; 2]) -> Event {
    let time_ns = 1_700_000_000_000_000_000 + nth * 1_000_000_000;
    let (metadata, packet) = Metadata::of_packet(time_ns, packet, packet.len() as u32).unwrap();
    let index = |index: u32| (index != 0).then_some(IfIndex(index));
    let metadata = Metadata {
        tapped: Some(Tapped {
            cpu: Cpu(1),
            seq,
            netns: Netns(4_026_531_840),
            hook,
            mark: 42,
        }),
        iif: index(iif),
        oif: index(oif),
        ..metadata
    };
    Event::new(&metadata, packet)
}

fn capture() -> Vec<u8> {
    let section = Section {
        application: "icmptap test".to_owned(),
        system: None,
        snaplen: 576,
        session: Some(session()),
    };
    let mut bytes = Vec::new();
    let mut writer = PcapngWriter::new(&mut bytes, section);
    let echo = |kind| icmpv4(kind, 0, [0, 7, 0, 1], &[0; 56]);
    let put = |writer: &mut PcapngWriter<_>, event: Event| {
        let mut name = |_, index: IfIndex| Some(format!("eth{}", index.0 - 2));
        writer
            .event(Some(&session()), &event.as_ref(), &mut name)
            .unwrap();
    };
    put(&mut writer, event(&echo(8), 0, 0, Hook::Prerouting, [2, 0]));
    let lost = Lost {
        cpu: Cpu(1),
        count: 3,
    };
    writer
        .lost(&session(), lost, 1_700_000_001_000_000_000)
        .unwrap();
    put(
        &mut writer,
        event(&echo(0), 1, 4, Hook::Postrouting, [0, 2]),
    );
    let solicitation = icmpv6(135, 0, [0; 4], &[0; 16]);
    put(
        &mut writer,
        event(&solicitation, 2, 5, Hook::Forward, [2, 3]),
    );
    let mut counters = Counters::default();
    counters.matched = 8;
    counters.delivered = 3;
    counters.lost_overrun = 5;
    let mut summary = Summary::default();
    (summary.counters, summary.received, summary.lost_in_gaps) = (counters, 3, 3);
    let totals = Totals {
        events: 3,
        lost: 3,
        summary,
    };
    writer
        .totals(&session(), &totals, 1_700_000_003_000_000_000)
        .unwrap();
    drop(writer);
    bytes
}

const PING: &str =
    "22:13:20.000000 eth0 prerouting 10.0.0.1 > 10.0.0.2 echo-request id 7 seq 1 len 84";
const REPLY: &str =
    "22:13:21.000000 eth0 postrouting 10.0.0.1 > 10.0.0.2 echo-reply id 7 seq 1 len 84";
const SOLICITATION: &str = "22:13:22.000000 eth0>eth1 forward 2001:db8::1 > 2001:db8::2 \
                            neighbor-solicitation target :: len 64";

#[test]
fn our_captures_come_back_as_they_were_seen() {
    let folder = Folder::new();
    let (out, err) = folder.good("read x");
    assert_eq!(out, [PING, REPLY, SOLICITATION]);
    assert_eq!(
        err,
        [
            "-- lost 3 on cpu 1 --",
            "-- lost 2 at the end --",
            "3 shown, 3 read, 3 received, 8 matched, 5 lost (5 receive buffer full)",
        ]
    );
    let (out, _) = folder.good("read -q -o json x");
    let values: Vec<Value> = out
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: Vec<&str> = values
        .iter()
        .map(|value| value["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["event", "lost", "event", "event", "lost", "summary"]
    );
    assert_eq!(values[1], json!({"kind": "lost", "cpu": 1, "count": 3}));
    let reply = &values[2];
    assert_eq!((&reply["cpu"], &reply["seq"]), (&json!(1), &json!(4)));
    assert_eq!(reply["netns"], 4_026_531_840_u32);
    assert_eq!(
        (&reply["hook"], &reply["mark"]),
        (&json!("postrouting"), &json!(42))
    );
    assert_eq!(reply["oif"], json!({"index": 2, "name": "eth0"}));
    assert_eq!(values[3]["oif"], json!({"index": 3, "name": "eth1"}));
    assert_eq!(values[5]["counters"]["matched"], 8);
    let (out, _) = folder.good("read -n x");
    assert!(out[2].contains(" if2>if3 forward "), "{}", out[2]);
}

#[test]
fn what_is_wanted_is_chosen_as_the_module_would() {
    let folder = Folder::new();
    for (options, expected) in [
        ("--hook prerouting,forward", &[PING, SOLICITATION][..]),
        ("--family ipv6", &[SOLICITATION]),
        ("--type echo-reply", &[REPLY]),
        ("--type 8,135", &[PING, SOLICITATION]),
        ("-i eth1", &[SOLICITATION]),
        ("-i eth0 -c 1", &[PING]),
        ("-i eth9", &[]),
        ("--filter icmp[icmptype]==8", &[PING]),
    ] {
        let (out, err) = folder.good(&format!("read {options} x"));
        assert_eq!(out, expected, "{options}");
        // The audit is about what is in the file.
        assert!(
            err.last()
                .unwrap()
                .starts_with(&format!("{} shown, ", expected.len())),
            "{err:?}"
        );
    }
    let (out, _) = folder.good("read x -- icmp and outbound");
    assert_eq!(out, [REPLY]);
    let (out, _) = folder.good("read x -- inbound");
    assert_eq!(out, [PING], "of one on its way through it cannot be told");
    assert!(
        folder
            .bad("read x -- ether nonsense", 2)
            .contains("is not understood")
    );
    assert!(
        folder
            .bad("read --type packet-too-big --family ipv4 x", 2)
            .contains("no --type")
    );
}

#[test]
fn a_capture_is_written_again_with_all_that_is_in_it() {
    let folder = Folder::new();
    let (out, err) = folder.good("read -w y.pcapng x");
    assert!(out.is_empty());
    assert!(
        err.last().unwrap().starts_with("3 written, 3 read, "),
        "{err:?}"
    );
    assert_eq!(
        folder.good("read -o json y.pcapng"),
        folder.good("read -o json x")
    );
    // With less in it, it is still what was written.
    folder.good("read --type 8 -w z.pcapng x");
    let (out, err) = folder.good("read z.pcapng");
    assert_eq!(out, [PING]);
    assert_eq!(err[0], "-- lost 3 on cpu 1 --");

    folder.good("read -w y.pcap x");
    let (out, err) = folder.good("read y.pcap");
    assert_eq!(out[0], PING.replace("eth0 prerouting", "- -"));
    assert_eq!(err, ["3 shown, 3 read"]);
    let (out, _) = folder.good("read -o json y.pcap");
    let value: Value = serde_json::from_str(&out[0]).unwrap();
    for absent in [
        "cpu",
        "seq",
        "hook",
        "netns",
        "mark",
        "checksum_state",
        "iif",
    ] {
        assert_eq!(value.get(absent), None, "{absent}");
    }
    assert!(folder.good("read --hook input y.pcap").0.is_empty());
}

#[test]
fn what_is_whole_is_shown_and_the_rest_is_an_error() {
    let folder = Folder::new();
    let bytes = capture();
    fs::write(folder.path("cut"), &bytes[..bytes.len() - 300]).unwrap();
    let output = folder.run("read cut");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lines(&output.stdout)[0], PING);
    let last = lines(&output.stderr).pop().unwrap();
    assert!(
        last.starts_with("icmptap: cannot read `cut` further: it ends in a ")
            && last.contains(" at byte ")
            && last.ends_with(" more bytes should follow"),
        "{last}"
    );
    fs::write(folder.path("none"), "hello").unwrap();
    assert_eq!(
        folder.bad("read none", 1),
        "icmptap: cannot read `none` further: this is neither pcapng nor pcap: it starts with 68 65 6c 6c"
    );
    assert!(
        folder
            .bad("read nowhere", 1)
            .starts_with("icmptap: cannot open `nowhere`: ")
    );
}

#[test]
fn what_is_missing_is_noticed() {
    let folder = Folder::new();
    let blocks = blocks(&capture());
    let without = |kind: u32| -> Vec<u8> {
        let mut is_first = true;
        let kept = blocks.iter().filter(|block| {
            let found = block[..4] == kind.to_le_bytes();
            !found || !std::mem::take(&mut is_first)
        });
        kept.flatten().copied().collect()
    };
    // A packet.
    fs::write(folder.path("y"), without(6)).unwrap();
    assert_eq!(
        folder.bad("read y", 1),
        "icmptap: the capture is not complete: 3 events and 3 losses were written, and 2 and 3 \
         are there"
    );
    // A loss, of which the next packet tells as well.
    fs::write(folder.path("y"), without(9)).unwrap();
    assert_eq!(folder.good("read y"), folder.good("read x"));
    // The counters, as if it had been killed.
    fs::write(folder.path("y"), without(5)).unwrap();
    let (out, err) = folder.good("read y");
    assert_eq!(out.len(), 3);
    assert_eq!(
        err.last().unwrap(),
        "the capture has no end: it still goes on, was killed, or goes on in another file"
    );
}

fn blocks(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut blocks = Vec::new();
    while !bytes.is_empty() {
        let len = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
        let (block, rest) = bytes.split_at(len);
        blocks.push(block.to_vec());
        bytes = rest;
    }
    blocks
}

#[test]
fn files_take_turns_and_are_one_capture() {
    let folder = Folder::new();
    folder.good("read -w r.pcapng -C 1k x");
    let names: Vec<PathBuf> = ["r.pcapng", "r.pcapng1"]
        .map(|name| folder.path(name))
        .into();
    assert!(names.iter().all(|name| name.exists()), "{names:?}");
    let (out, err) = folder.good("read r.pcapng r.pcapng1");
    assert_eq!(out, [PING, REPLY, SOLICITATION]);
    assert!(
        err.last().unwrap().starts_with("3 shown, 3 read, "),
        "{err:?}"
    );
    let (_, err) = folder.good("read r.pcapng1");
    assert!(
        err.last()
            .unwrap()
            .starts_with("the capture began in another file"),
        "{err:?}"
    );
}

/// With one file that takes turns with itself, the end of the file before does not get
/// into it.
#[test]
fn one_file_is_overwritten_as_a_whole() {
    let folder = Folder::new();
    folder.good("read -w r.pcapng -C 1k -W 1 x");
    let (out, err) = folder.good("read r.pcapng");
    assert_eq!(out, [SOLICITATION]);
    assert!(
        err.last()
            .unwrap()
            .starts_with("the capture began in another file"),
        "{err:?}"
    );
}

/// As many pings.
fn pings(count: u64) -> Vec<u8> {
    let section = Section {
        application: "icmptap test".to_owned(),
        system: None,
        snaplen: 576,
        session: Some(session()),
    };
    let mut writer = PcapngWriter::new(Vec::new(), section);
    let ping = icmpv4(8, 0, [0, 7, 0, 1], &[0; 56]);
    for seq in 0..count {
        let event = event(&ping, 0, seq, Hook::Prerouting, [2, 0]);
        let mut name = |_, _| None;
        writer
            .event(Some(&session()), &event.as_ref(), &mut name)
            .unwrap();
    }
    writer.rotate(Vec::new()).unwrap()
}

/// A file that cannot grow further, as on a full disk, is whole, and has what the last
/// line says.
#[test]
fn a_full_disk_leaves_a_whole_capture_and_is_an_error() {
    let folder = Folder::new();
    fs::write(folder.path("pings"), pings(2_000)).unwrap();
    for name in ["y.pcapng", "y.pcap"] {
        let script = format!(
            "trap '' XFSZ; ulimit -f 220; exec {} read -w {name} pings",
            env!("CARGO_BIN_EXE_icmptap")
        );
        let output = Command::new("sh")
            .args(["-c", &script])
            .current_dir(folder.0.path())
            .output()
            .unwrap();
        let err = lines(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{err:?}");
        let [written, failed] = &err[..] else {
            panic!("{err:?}")
        };
        assert!(
            failed.starts_with("icmptap: cannot write to the capture: File too large"),
            "{failed}"
        );
        let (count, _) = written.split_once(" written, ").unwrap();
        let count: usize = count.parse().unwrap();
        assert!((100..2_000).contains(&count), "{written}");
        let (out, _) = folder.good(&format!("read {name}"));
        assert_eq!(out.len(), count, "{name}");
    }
}

#[test]
fn what_is_read_is_not_written_to() {
    let folder = Folder::new();
    fs::hard_link(folder.path("x"), folder.path("y")).unwrap();
    assert_eq!(
        folder.bad("read -w y x", 2),
        "icmptap: `y` is read: it cannot be written to as well"
    );
    assert_eq!(fs::read(folder.path("x")).unwrap(), capture());
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    let folder = Folder::new();
    for (words, expected) in [
        ("read -o json -w y x", "--write writes pcapng or pcap"),
        ("read -w - -C 1 x", "are for --write with a file"),
        ("read -w y -W 3 x", "-C or -G when the next begins"),
    ] {
        let error = folder.bad(words, 2);
        assert!(error.contains(expected), "{words}: {error}");
    }
    assert_eq!(folder.run("read -C 1 x").status.code(), Some(2));
    assert_eq!(folder.run("read").status.code(), Some(2));
    assert_eq!(folder.run("read -w no/where x").status.code(), Some(1));
}

#[test]
fn a_pipe_goes_in_and_out() {
    let folder = Folder::new();
    let run = |words: &[&str], input: Stdio| {
        Command::new(env!("CARGO_BIN_EXE_icmptap"))
            .args(words)
            .current_dir(folder.0.path())
            .env("TZ", "UTC")
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut first = run(&["read", "-w", "-", "x"], Stdio::null());
    let second = run(&["read", "-"], first.stdout.take().unwrap().into());
    let output = second.wait_with_output().unwrap();
    assert!(first.wait().unwrap().success());
    assert_eq!(lines(&output.stdout), [PING, REPLY, SOLICITATION]);
}

/// Ctrl-C reaches both programs of a pipeline, and what the first one writes then is read.
#[test]
fn ctrl_c_is_left_to_who_writes_into_the_pipe() {
    let start = || {
        Command::new(env!("CARGO_BIN_EXE_icmptap"))
            .args(["read", "-"])
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let interrupt = |child: &Child| {
        let pid = Pid::from_child(child);
        kill_process(pid, Signal::INT).unwrap();
    };
    let bytes = capture();
    let (first, rest) = bytes.split_at(bytes.len() - 300);

    let mut child = start();
    let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut lines = BufReader::new(output).lines();
    input.write_all(first).unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), PING);
    interrupt(&child);
    input.write_all(rest).unwrap();
    drop(input);
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(rest.last().unwrap(), SOLICITATION);
    assert!(child.wait().unwrap().success());

    let mut child = start();
    let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    input.write_all(first).unwrap();
    let mut lines = BufReader::new(output).lines();
    assert_eq!(lines.next().unwrap().unwrap(), PING);
    interrupt(&child);
    // Two that wait at once would be one.
    sleep(Duration::from_millis(100));
    interrupt(&child);
    assert_eq!(child.wait().unwrap().signal(), Some(Signal::INT.as_raw()));
}
