//! What `icmptap listen` calls things, and how its lines can look.

use std::process::Command;

use icmptap_vm_tests::cli::{json, listen};
use icmptap_vm_tests::net::{Namespace, Wire, connect};
use icmptap_vm_tests::process::Process;
use rustix::process::Signal;

#[test]
fn events_of_every_netns_have_the_names_of_where_they_are() {
    let (here, there) = (Wire::new(), Wire::new());
    // The interface of the same number is another one here.
    let number = there.right.interface("eth0");
    here.right
        .ip(&format!("link add decoy index {} type dummy", number + 100));
    there
        .right
        .ip("link set eth0 down\nlink set eth0 name far\nlink set far up");
    there.left.ip("link set eth0 down\nlink set eth0 up");
    let process = listen(&here.right, "--all-netns --type echo-request");
    for (wire, name) in [(&here, "eth0"), (&there, "far")] {
        wire.left.run("ping -c 1 10.0.0.2");
        let line = process.take(1).remove(0);
        assert_eq!(line.split(' ').nth(1), Some(name), "{line}");
        let end = format!(" netns {}", wire.right.name());
        assert!(line.ends_with(&end), "{line}");
    }
    drop(process);

    let process = listen(&here.right, "--all-netns --type ping -c 1 -o json");
    there.left.run("ping -c 1 10.0.0.2");
    let (_, lines, _) = process.end();
    let event = &json(&lines)[0];
    assert_eq!(event["netns"], there.right.inode());
    assert_eq!(event["netns_name"], there.right.name());
    assert_eq!(event["iif"]["name"], "far");

    let process = listen(&here.right, "--all-netns -n -c 1");
    there.left.run("ping -c 1 10.0.0.2");
    let (_, lines, _) = process.end();
    assert!(lines[0].ends_with(&format!(" netns {}", there.right.inode())));

    let process = listen(&here.right, "");
    let list = here.left.run("icmptap subscriptions --all-netns");
    assert!(list.contains(here.right.name()), "{list}");
    drop(process);
}

#[test]
fn an_interface_cannot_speak_to_the_terminal() {
    let (left, right) = (Namespace::new(), Namespace::new());
    connect((&left, "eth0", Wire::LEFT), (&right, "eth0", Wire::RIGHT));
    let ip = |words: &[&str]| {
        let mut command: Command = right.command("ip");
        command.args(words);
        icmptap_vm_tests::process::succeed(&mut command);
    };
    let name = "a\u{1b}[31m\u{202e}b";
    ip(&["link", "set", "eth0", "down"]);
    ip(&["link", "set", "eth0", "name", name]);
    ip(&["link", "set", name, "up"]);
    let mut command = right.command("icmptap listen --type echo-request -i");
    command.arg(name);
    let process = Process::start(command);
    let first = process.wait_for("listening on ");
    left.run("ping -c 1 10.0.0.2");
    let line = process.take(1).remove(0);
    for text in [&first, &line] {
        assert!(
            text.contains("a\\u{1b}[31m\\u{202e}b") && !text.contains(['\u{1b}', '\u{202e}']),
            "{text}"
        );
    }
    let list = right.run("icmptap subscriptions");
    assert!(!list.contains('\u{1b}'), "{list}");
}

#[test]
fn lines_look_as_they_are_asked_to() {
    let wire = Wire::new();
    let line = |arguments: &str| {
        let process = listen(&wire.right, &format!("-c 1 {arguments}"));
        wire.left.run("ping -c 1 10.0.0.2");
        process.take(1).remove(0)
    };
    let shape = |text: &str| -> String {
        text.chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect()
    };
    let start = |text: &str| shape(text.split(" eth0 ").next().expect("a time"));
    assert_eq!(start(&line("--time clock")), "00:00:00.000000");
    assert_eq!(start(&line("--time date")), "0000-00-00 00:00:00.000000");
    assert_eq!(start(&line("--time delta")), "+0.000000");
    assert!(start(&line("--time epoch")).ends_with("00000.000000"));
    let verbose = line("-v");
    assert!(
        verbose.contains(" len 84 caplen 84 ttl 64 mark 0x0 checksum good kernel "),
        "{verbose}"
    );
    assert!(!verbose.contains('\u{1b}'));

    // An error, which is what is coloured.
    let process = listen(
        &wire.right,
        "--color always --hook prerouting --type unreachable",
    );
    wire.right.enter(|| {
        let socket = std::net::UdpSocket::bind("10.0.0.2:5000").expect("bind");
        socket.send_to(b"anybody?", "10.0.0.1:33434").expect("send");
    });
    let line = process.take(1).remove(0);
    assert!(line.contains("\u{1b}[33mdestination-unreachable"), "{line}");
    process.end_by(Signal::INT);
}
