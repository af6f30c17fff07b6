//! What `cargo xtask oracle` runs in the guest: makes ICMP messages of many
//! kinds, captures them with `tcpdump`, with `icmptap listen -o json` and with `icmptap
//! listen -w` at once, on the same interface, and prints the three captures as one JSON
//! object. The host compares the first and the last with the second. Here it is seen that
//! `icmptap read` prints of the last what the second printed, and that tcpdump reads it.
//!
//! Before each kind a marker passes, an echo request that says which kind
//! follows: what lies between two markers in one capture pairs with what lies
//! between them in the other. One CPU makes that true, so there must be only one.

mod discovery;
mod lab;
mod quote;
mod real;
mod v4;
mod v6;

use std::fs;
use std::thread;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use icmptap::event::Vlan;
use icmptap_vm_tests::net::settle;
use icmptap_vm_tests::packet::{Ipv4, echo};
use icmptap_vm_tests::process::{Process, run, wait_until};
use rustix::process::Signal;
use serde_json::{Value, json};

use lab::Lab;

const CAPTURE: &str = "/tmp/oracle.pcap";
const OURS: &str = "/tmp/oracle.pcapng";
const OURS_AS_PCAP: &str = "/tmp/ours.pcap";

/// What a marker carries; the last one [`END`].
const MARK: &[u8] = b"icmptap oracle mark";
const END: &[u8] = b"icmptap oracle end";
/// Its id. Its sequence number is the number of the kind that follows.
const MARK_ID: u16 = 0xfffe;

/// A kind of message, and how to make one.
struct Kind {
    name: String,
    /// What the tap has to see of it at least.
    expected: Vec<Expected>,
    how: How,
}

/// An 802.1Q tag with a priority and no VLAN: the kernel takes it off and goes on.
fn priority(priority: u16) -> Vlan {
    Vlan {
        tci: priority << 13,
        provider: false,
    }
}

/// Family and, if the packet has them, type and code.
type Expected = (Family, Option<(u8, u8)>);

#[derive(Clone, Copy)]
enum Family {
    V4,
    V6,
}

enum How {
    /// By putting it onto the wire, with a tag if there is one.
    Packet(Option<Vlan>, Vec<u8>),
    /// By doing something that the kernel answers.
    Do(fn(&Lab)),
}

fn main() {
    let lab = Lab::new();
    fs::create_dir_all("/tmp").expect("mkdir");
    let tcpdump = Process::start(lab.host().command(&format!(
        "tcpdump -Z root -n -i eth0 -Q in -s 0 --immediate-mode -U -w {CAPTURE}"
    )));
    tcpdump.wait_for("listening on eth0");
    let listen = |output: &str| {
        let listener = Process::start(lab.host().command(&format!(
            "icmptap listen {output} -n --hook prerouting --snaplen 65535 --rcvbuf 16M"
        )));
        listener.wait_for("listening on");
        listener
    };
    let listener = listen("-o json");
    let writer = listen(&format!("-w {OURS}"));

    let kinds: Vec<Kind> = [real::kinds(), v4::kinds(), v6::kinds(), discovery::kinds()]
        .into_iter()
        .flatten()
        .collect();
    for (nth, kind) in kinds.iter().enumerate() {
        mark(&lab, nth, MARK);
        match &kind.how {
            How::Packet(None, packet) => lab.sender.send(packet),
            How::Packet(Some(tag), packet) => lab.sender.send_tagged(*tag, packet),
            How::Do(act) => act(&lab),
        }
        settle();
    }
    mark(&lab, kinds.len(), END);
    settle();

    wait_until("tcpdump has written the end", || {
        let capture = fs::read(CAPTURE).expect("the capture");
        capture.windows(END.len()).any(|bytes| bytes == END)
    });
    // Both are asked to end only when nothing is on its way.
    thread::sleep(Duration::from_millis(200));
    let (status, events, said) = listener.end_by(Signal::INT);
    assert!(status.success(), "icmptap: {status}: {said:?}");
    eprintln!("{}", said.last().map_or("no counters", String::as_str));
    let (status, _, said) = writer.end_by(Signal::INT);
    assert!(status.success(), "icmptap -w: {status}: {said:?}");
    let (status, _, said) = tcpdump.end_by(Signal::INT);
    assert!(status.success(), "tcpdump: {status}: {said:?}");

    assert_read(&events);

    let events: Vec<Value> = events
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .filter(|line: &Value| line["kind"] != "summary")
        .collect();
    let capture = fs::read(CAPTURE).expect("the capture");
    println!(
        "{}",
        json!({
            "mark_id": MARK_ID,
            "kinds": kinds.iter().map(described).collect::<Vec<_>>(),
            "events": events,
            "pcap": BASE64_STANDARD.encode(capture),
            "pcapng": BASE64_STANDARD.encode(fs::read(OURS).expect("our capture")),
        })
    );
}

/// Reads our capture back, and has tcpdump read it.
fn assert_read(printed: &[String]) {
    let read = run(&format!("icmptap read -q -n -o json {OURS}"));
    let read: Vec<&str> = read.lines().collect();
    for (read, printed) in read.iter().zip(printed) {
        assert_eq!(read, printed);
    }
    assert_eq!(read.len(), printed.len());
    run(&format!("icmptap read -q -w {OURS_AS_PCAP} {OURS}"));
    for capture in [OURS, OURS_AS_PCAP] {
        let lines = run(&format!("tcpdump -Z root -n -q --count -r {capture}"));
        // The last line of JSON has the counters.
        let expected = format!("{} packets", printed.len() - 1);
        assert_eq!(lines.trim(), expected, "{capture}");
    }
}

fn mark(lab: &Lab, nth: usize, text: &[u8]) {
    let seq = nth.try_into().expect("fewer than 65,536 kinds");
    lab.sender
        .send(&Ipv4::icmp(echo(MARK_ID, seq, text)).bytes());
}

fn described(kind: &Kind) -> Value {
    let expected: Vec<Value> = kind
        .expected
        .iter()
        .map(|(family, icmp)| {
            let family = match family {
                Family::V4 => "ipv4",
                Family::V6 => "ipv6",
            };
            json!({"family": family, "icmp": icmp.map(|(number, code)| [number, code])})
        })
        .collect();
    json!({"name": kind.name, "expected": expected})
}
