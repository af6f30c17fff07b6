//! Captures: `icmptap listen -w` in the guest, `icmptap read`, and what tcpdump makes of
//! them.

use std::collections::HashMap;
use std::fs;

use icmptap_vm_tests::cli::{audited, json, last, listen};
use icmptap_vm_tests::net::{Namespace, Wire, connect};
use icmptap_vm_tests::packet::flood;
use icmptap_vm_tests::process::{Process, command, on_each_cpu, output, run, times, wait_until};
use rustix::process::Signal;
use serde_json::Value;

/// A folder of this test's, without what it had before.
fn folder(name: &str) -> String {
    let path = format!("/tmp/capture-{name}");
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).expect("a folder");
    path
}

/// `icmptap read` to a good end: lines of stdout, and of stderr.
fn read(arguments: &str) -> (Vec<String>, Vec<String>) {
    let output = output(&mut command(&format!("icmptap read {arguments}")));
    let [out, err] = [output.stdout, output.stderr].map(|bytes| {
        let text = String::from_utf8(bytes).expect("text");
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    });
    assert!(output.status.success(), "{arguments}: {err:?}");
    (out, err)
}

/// How many packets tcpdump finds.
fn tcpdump(file: &str) -> usize {
    run(&format!("tcpdump -Z root -n -r {file}"))
        .lines()
        .count()
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

/// Checks that the numbers of each CPU's events go on where losses are not told, and that
/// each loss is told just before the event behind it.
fn in_place(lines: &[Value]) {
    let mut due: HashMap<u64, u64> = HashMap::new();
    for line in lines {
        let Some(cpu) = line["cpu"].as_u64() else {
            continue;
        };
        let due = due.entry(cpu).or_default();
        if line["kind"] == "lost" {
            *due += number(&line["count"]);
        } else {
            assert_eq!(number(&line["seq"]), *due, "{line}");
            *due += 1;
        }
    }
}

/// The law of conservation through a file and back: what the kernel matched is in the
/// file, or the file tells it to be lost, to the last packet.
#[test]
fn losses_are_exact_through_a_file_and_back() {
    let wire = Wire::new();
    let folder = folder("law");
    let file = format!("{folder}/x.pcapng");
    let process = listen(
        &wire.right,
        &format!("-w {file} --rcvbuf 16K --flush-interval 0"),
    );
    let mut sent = 0;
    for _ in 0..3 {
        process.signal(Signal::STOP);
        let count = times(4_000, 1_500);
        let cpus = on_each_cpu(|| flood(&wire.left, Wire::RIGHT, count));
        sent += u64::from(count) * cpus as u64;
        process.signal(Signal::CONT);
        // What comes when there is room again has a gap before it.
        let before = fs::metadata(&file).expect("the file").len();
        wait_until("it is written", || {
            flood(&wire.left, Wire::RIGHT, 1);
            sent += 1;
            fs::metadata(&file).expect("the file").len() > before
        });
    }
    let (status, out, err) = process.end_by(Signal::INT);
    assert!(status.success() && out.is_empty(), "{err:?}");
    let written = last(&err).to_owned();

    let (out, err) = read(&format!("-o json {file}"));
    let summary = audited(&out);
    let counters = &summary["counters"];
    assert_eq!(number(&counters["matched"]), sent, "{summary}");
    assert_eq!(summary["shown"], counters["delivered"], "{summary}");
    assert!(number(&counters["lost_overrun"]) > 500, "{summary}");
    let lines = json(&out);
    in_place(&lines);
    let gaps = lines
        .iter()
        .filter(|line| line["kind"] == "lost" && line["cpu"].is_u64());
    assert!(gaps.count() >= 2, "there are losses in the middle");
    // And in the words that `listen` ended with.
    let (count, rest) = written.split_once(" written, ").expect("its last line");
    assert_eq!(last(&err), format!("{count} shown, {count} read, {rest}"));

    // The same, by who has no rights, and without the gaps' blocks written again as pcap.
    let words = format!("setpriv --reuid 1000 --clear-groups icmptap read -q -o json {file}");
    assert_eq!(run(&words).lines().collect::<Vec<_>>(), out);
    read(&format!("-w {folder}/x.pcap {file}"));
    assert_eq!(
        tcpdump(&format!("{folder}/x.pcap")) as u64,
        number(&summary["shown"])
    );
    // All are of one interface and hook, and so libpcap takes the pcapng too, and passes
    // over the losses.
    assert_eq!(tcpdump(&file) as u64, number(&summary["shown"]));
}

/// Two listeners, one of which prints and one of which writes: `read` prints the same.
#[test]
fn what_is_read_is_what_was_seen() {
    let wire = Wire::new();
    let far = Namespace::new();
    connect(
        (&wire.right, "eth1", [10, 0, 1, 1].into()),
        (&far, "eth0", [10, 0, 1, 2].into()),
    );
    wire.right.run("sysctl -w net.ipv4.ip_forward=1");
    wire.left.run("ip route add default via 10.0.0.2");
    far.run("ip route add default via 10.0.1.1");
    let folder = folder("same");
    let file = format!("{folder}/x.pcapng");
    let hooks = "--hook prerouting,input,forward,output,postrouting";
    let printing = listen(&wire.right, &format!("{hooks} -o json"));
    let writing = listen(&wire.right, &format!("{hooks} -w {file}"));
    wire.left.run("ping -c 2 -i 0.1 10.0.0.2");
    wire.left.run("ping -c 2 -i 0.1 10.0.1.2");
    let ttl = output(&mut wire.left.command("ping -c 1 -W 1 -t 1 10.0.1.2"));
    assert!(!ttl.status.success());
    let (status, mut printed, _) = printing.end_by(Signal::INT);
    assert!(status.success());
    let (status, ..) = writing.end_by(Signal::INT);
    assert!(status.success());
    let (mut found, _) = read(&format!("-o json {file}"));
    in_place(&json(&found));
    assert!(printed.len() > 20, "{printed:?}");
    assert!(
        printed
            .iter()
            .any(|line| line.contains("\"hook\":\"forward\""))
    );
    // Which CPU's batch comes first is not the same for both.
    found.sort();
    printed.sort();
    assert_eq!(found, printed);
}

#[test]
fn who_is_killed_leaves_all_that_was_written() {
    let wire = Wire::new();
    let file = format!("{}/x.pcapng", folder("killed"));
    let process = listen(&wire.right, &format!("-w {file}"));
    wire.left.run("ping -c 3 -i 0.1 10.0.0.2");
    // Somebody who follows sees them while it goes on.
    wait_until("they are in the file", || read(&file).0.len() == 3);
    process.end_by(Signal::KILL);
    let (out, err) = read(&file);
    assert_eq!(out.len(), 3);
    assert!(
        last(&err).starts_with("the capture has no end: "),
        "{err:?}"
    );
}

#[test]
fn a_full_disk_ends_it_with_a_whole_capture() {
    let wire = Wire::new();
    let folder = folder("full");
    run(&format!("mount -t tmpfs -o size=64k full {folder}"));
    for name in ["x.pcapng", "x.pcap"] {
        let file = format!("{folder}/{name}");
        let process = listen(&wire.right, &format!("-w {file} --rcvbuf 4M"));
        flood(&wire.left, Wire::RIGHT, 3_000);
        let (status, _, err) = process.end();
        assert_eq!(status.code(), Some(1), "{err:?}");
        let [counters, error] = &err[err.len() - 2..] else {
            panic!("{err:?}")
        };
        assert!(
            error.contains("cannot write to the capture: No space left"),
            "{err:?}"
        );
        // To the last packet, what was received and is not in the file shows.
        let (written, rest) = counters.split_once(" written, ").expect("the counters");
        let written: usize = written.parse().expect("a number");
        let received = rest.split(' ').next().expect("a word");
        assert!((1..3_000).contains(&written), "{counters}");
        assert!(received.parse::<usize>().expect("a number") > written);
        let (out, _) = read(&file);
        assert_eq!(out.len(), written, "{counters}");
        assert_eq!(tcpdump(&file), written, "{counters}");
        fs::remove_file(file).expect("the file");
    }
    run(&format!("umount {folder}"));
}

#[test]
fn a_pipe_that_nobody_reads_any_more_ends_it() {
    let wire = Wire::new();
    let mut shell = wire.right.command("sh -c");
    shell.arg("{ icmptap listen -w -; echo ended $? >&2; } | icmptap read -q -c 2 -");
    let process = Process::start(shell);
    process.wait_for("listening on ");
    for _ in 0..2 {
        wire.left.run("ping -c 1 10.0.0.2");
        process.take(1);
    }
    let (status, _, err) = process.end();
    assert!(status.success());
    assert_eq!(last(&err), "ended 0", "{err:?}");
}

#[test]
fn a_pipe_gives_events_as_they_come() {
    let wire = Wire::new();
    let mut shell = wire.right.command("sh -c");
    shell.arg("icmptap listen -w - | icmptap read -");
    let process = Process::start(shell);
    process.wait_for("listening on ");
    for _ in 0..3 {
        wire.left.run("ping -c 1 10.0.0.2");
        let line = process.take(1).remove(0);
        assert!(
            line.contains(" eth0 prerouting 10.0.0.1 > 10.0.0.2 echo-request "),
            "{line}"
        );
    }
}

#[test]
fn files_take_turns() {
    let wire = Wire::new();
    let folder = folder("turns");
    let sizes = listen(&wire.right, &format!("-w {folder}/s.pcapng -C 2k"));
    let ring = listen(&wire.right, &format!("-w {folder}/r.pcapng -C 2k -W 2"));
    wire.left.run("ping -c 30 -i 0.01 10.0.0.2");
    for process in [sizes, ring] {
        let (status, ..) = process.end_by(Signal::TERM);
        assert!(status.success());
    }
    let files = |prefix: &str| -> Vec<String> {
        let entries = fs::read_dir(&folder).expect("a folder");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let paths = paths.map(|path| path.display().to_string());
        let prefix = format!("{folder}{prefix}");
        let mut names: Vec<_> = paths.filter(|path| path.starts_with(&prefix)).collect();
        // s.pcapng10 comes behind s.pcapng9.
        names.sort_by_key(|name| (name.len(), name.clone()));
        names
    };
    let all = files("/s.");
    assert!(all.len() > 3, "{all:?}");
    let (out, err) = read(&all.join(" "));
    assert_eq!(out.len(), 30);
    assert_eq!(
        last(&err),
        "30 shown, 30 read, 30 received, 30 matched, 0 lost"
    );
    assert_eq!(
        files("/r."),
        [format!("{folder}/r.pcapng0"), format!("{folder}/r.pcapng1")]
    );

    let process = listen(&wire.right, &format!("-w {folder}/t%s.pcap -G 1 -W 2"));
    let mut pings = 0;
    wait_until("there were two files", || {
        wire.left.run("ping -c 1 10.0.0.2");
        pings += 1;
        let list = run("icmptap subscriptions --all-netns");
        !list.contains("icmptap")
    });
    let (status, _, err) = process.end();
    assert!(status.success(), "{err:?}");
    let all = files("/t");
    assert_eq!(all.len(), 2, "{all:?}");
    let found: usize = all.iter().map(|file| tcpdump(file)).sum();
    assert!(
        last(&err).starts_with(&format!("{found} written, ")),
        "{err:?}"
    );
    assert!((1..pings).contains(&found), "{found} of {pings}");
}
