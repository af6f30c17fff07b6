//! What the words of a filter find, where libpcap's own meaning would mislead.

use icmptap_vm_tests::cli::{last, listen};
use icmptap_vm_tests::net::Wire;
use icmptap_vm_tests::process::{Process, output};
use rustix::process::Signal;

#[test]
fn outbound_is_what_leaves() {
    let wire = Wire::new();
    for (hook, outbound, inbound) in [
        // A ping's request leaves and its reply comes in.
        ("output", 2, 0),
        ("postrouting", 2, 0),
        ("output,postrouting", 4, 0),
        ("prerouting", 0, 2),
        ("input", 0, 2),
    ] {
        let listeners = ["outbound", "inbound", "not inbound"]
            .map(|word| listen(&wire.right, &format!("--hook {hook} {word}")));
        wire.right.run("ping -c 2 -i 0.1 10.0.0.1");
        let seen = listeners.map(|listener| listener.end_by(Signal::INT).1.len());
        assert_eq!(seen, [outbound, inbound, outbound], "{hook}");
    }
    for hooks in ["prerouting,output", "forward"] {
        let words = format!("icmptap listen --hook {hooks} icmp and outbound");
        let result = output(&mut wire.right.command(&words));
        let stderr = String::from_utf8_lossy(&result.stderr);
        assert_eq!(result.status.code(), Some(2), "{stderr}");
        assert!(
            stderr.contains("`inbound` and `outbound` cannot be told at"),
            "{stderr}"
        );
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

#[test]
fn icmp6_finds_multicast_listeners() {
    let wire = Wire::new();
    wire.right.enable_ipv6();
    let [icmp6, all] = ["icmp6", "--family ipv6"].map(|words| listen(&wire.right, words));
    let by_byte = Process::start(wire.right.command("icmptap listen icmp6[0] == 143"));
    by_byte.wait_for("misses what is behind an extension header");
    wire.left.enable_ipv6();
    wire.left.ip("link set eth0 down\nlink set eth0 up");
    let reports = |process: &Process| {
        let mut line = String::new();
        while !line.contains("multicast-listener-report") {
            line = process.take(1).remove(0);
        }
        line
    };
    assert_eq!(reports(&icmp6), reports(&all));
    let (status, _, stderr) = icmp6.end_by(Signal::INT);
    assert!(status.success(), "{status}");
    assert!(
        stderr.iter().all(|line| !line.contains("misses")),
        "{}",
        last(&stderr)
    );
}
