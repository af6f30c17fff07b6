//! How `icmptap listen` ends, and whether what it printed until then adds up.

use std::fs;

use icmptap_vm_tests::cli::{audited, last, listen};
use icmptap_vm_tests::net::{Namespace, Wire};
use icmptap_vm_tests::packet::flood;
use icmptap_vm_tests::process::{Process, run, stay_on_one_cpu, wait_until};
use rustix::process::Signal;

#[test]
fn json_adds_up_whatever_was_lost_last() {
    let wire = Wire::new();
    stay_on_one_cpu();
    // Nothing comes behind what the rate limit takes.
    let process = listen(&wire.right, "-o json --rate 5");
    flood(&wire.left, Wire::RIGHT, 50);
    let (status, lines, _) = process.end_by(Signal::INT);
    assert!(status.success(), "{status}");
    let summary = audited(&lines);
    assert_eq!(summary["counters"]["matched"], 50);
    assert_eq!(summary["shown"], summary["received"]);
    assert!(summary["counters"]["lost_ratelimit"].as_u64() > Some(20));

    // Nor behind what finds the receive buffer full.
    let process = listen(&wire.right, "-o json --rcvbuf 8K");
    process.signal(Signal::STOP);
    flood(&wire.left, Wire::RIGHT, 3_000);
    process.signal(Signal::INT);
    process.signal(Signal::CONT);
    let (status, lines, _) = process.end();
    assert!(status.success(), "{status}");
    let summary = audited(&lines);
    assert_eq!(summary["counters"]["matched"], 3_000);
    assert!(summary["counters"]["lost_overrun"].as_u64() > Some(1_000));

    // In text, too, it is said, however quiet the rest is.
    let process = Process::start(wire.right.command("icmptap listen -q --rate 5"));
    wait_until("it listens", || {
        wire.right.run("icmptap subscriptions").lines().count() == 2
    });
    flood(&wire.left, Wire::RIGHT, 50);
    let (_, lines, stderr) = process.end_by(Signal::INT);
    let lost = |line: &String| -> Option<usize> {
        let words = line.strip_prefix("-- lost ")?;
        words.split(' ').next()?.parse().ok()
    };
    let told: Vec<Option<usize>> = stderr.iter().map(lost).collect();
    assert!(told.iter().all(Option::is_some), "{stderr:?}");
    let told: usize = told.into_iter().flatten().sum();
    assert_eq!(told + lines.len(), 50, "{stderr:?}");

    // What is received and not wanted any more is neither.
    let process = listen(&wire.right, "-o json -c 3");
    flood(&wire.left, Wire::RIGHT, 100);
    let (_, lines, _) = process.end();
    assert_eq!(audited(&lines)["shown"], 3);
}

#[test]
fn a_full_disk_has_what_is_said_to_be_shown() {
    let wire = Wire::new();
    let start = |output: &str| {
        let mut command = wire.right.command("sh -c");
        command.arg(format!("exec icmptap listen -o json >{output}"));
        let process = Process::start(command);
        process.wait_for("listening on ");
        process
    };
    fs::create_dir_all("/run/full").expect("mkdir");
    run("mount -t tmpfs -o size=16k full /run/full");
    let process = start("/run/full/events");
    flood(&wire.left, Wire::RIGHT, 200);
    let (status, _, stderr) = process.end();
    let written = fs::read_to_string("/run/full/events").expect("events");
    run("umount /run/full");
    let lines = written.matches('\n').count();
    assert!((1..200).contains(&lines), "{lines}");
    let [counters, error] = &stderr[stderr.len() - 2..] else {
        panic!("{stderr:?}")
    };
    assert!(
        counters.starts_with(&format!("{lines} shown, ")),
        "{lines} lines: {stderr:?}"
    );
    assert!(error.contains("cannot write to stdout"), "{error}");
    assert_eq!(status.code(), Some(1));

    let process = start("/dev/full");
    wire.left.run("ping -c 1 10.0.0.2");
    let (status, _, stderr) = process.end();
    assert_eq!(status.code(), Some(1));
    assert!(
        stderr
            .iter()
            .any(|line| line == "0 shown, 1 received, 1 matched, 0 lost"),
        "{stderr:?}"
    );
}

#[test]
fn a_lost_terminal_ends_it_as_sigterm_does_unless_that_is_ignored() {
    let wire = Wire::new();
    let process = listen(&wire.right, "");
    wire.left.run("ping -c 1 10.0.0.2");
    process.take(1);
    let (status, _, stderr) = process.end_by(Signal::HUP);
    assert!(status.success(), "{status}");
    assert_eq!(last(&stderr), "1 shown, 1 received, 1 matched, 0 lost");

    // As under nohup.
    let mut command = wire.right.command("sh -c");
    command.arg("trap '' HUP; exec icmptap listen");
    let process = Process::start(command);
    process.wait_for("listening on ");
    process.signal(Signal::HUP);
    wire.left.run("ping -c 1 10.0.0.2");
    process.take(1);
    let (status, ..) = process.end_by(Signal::TERM);
    assert!(status.success(), "{status}");
}

#[test]
fn an_interface_that_is_gone_ends_it_with_a_sentence() {
    let namespace = Namespace::new();
    namespace.ip("link add vb type dummy\nlink set vb up");
    let process = listen(&namespace, "-i vb");
    // It is the same one by another name.
    namespace.ip("link set vb down\nlink set vb name vc\nlink set vc up");
    std::thread::sleep(std::time::Duration::from_millis(300));
    let list = namespace.run("icmptap subscriptions");
    assert!(list.contains("interface vc"), "{list}");
    namespace.ip("link del vc\nlink add vb type dummy\nlink set vb up");
    let (status, _, stderr) = process.end();
    assert_eq!(status.code(), Some(1), "{stderr:?}");
    let said = last(&stderr);
    assert!(
        said.contains("the interface `vb` (number ") && said.contains(") is gone"),
        "{said}"
    );
    assert!(stderr.contains(&"0 shown, 0 received, 0 matched, 0 lost".to_owned()));
}

#[test]
fn quiet_is_quiet() {
    let wire = Wire::new();
    let process = Process::start(wire.right.command("icmptap listen -q --duration 2"));
    wait_until("it listens", || {
        wire.right.run("icmptap subscriptions").lines().count() == 2
    });
    wire.left.run("ping -c 1 10.0.0.2");
    let (status, lines, stderr) = process.end();
    assert!(status.success(), "{status}");
    assert_eq!((lines.len(), stderr.len()), (1, 0), "{stderr:?}");
}
