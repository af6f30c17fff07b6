//! What `cargo xtask demo` shows: a client, a router and a server, each in a
//! network namespace; what the client does, and the ICMP messages that come of
//! it, as `icmptap listen` prints them at the client and at the server.

use std::process::ExitCode;
use std::time::Duration;

use icmptap_vm_tests::net::{Namespace, connect};
use icmptap_vm_tests::process::{Process, output};
use rustix::process::Signal;

/// After this long nothing more comes of what the client did.
const QUIET: Duration = Duration::from_millis(400);

/// What the client does, why, and how many messages come of it at least.
const SCENES: [(&str, &str, usize); 5] = [
    (
        "Echo through the router, there and back",
        "ping -c 2 -i 0.2 10.0.1.2",
        4,
    ),
    (
        "A port where nobody listens",
        "traceroute -n -q 1 -f 2 -m 2 10.0.1.2",
        1,
    ),
    (
        "A TTL that ends at the router",
        "ping -c 1 -W 1 -t 1 10.0.1.2",
        1,
    ),
    (
        "A packet too big for the server's link",
        "ping -c 1 -W 1 -M do -s 1400 10.0.1.2",
        1,
    ),
    ("A network that nobody knows", "ping -c 1 -W 1 192.0.2.1", 1),
];

fn main() -> ExitCode {
    let (client, router, server) = (Namespace::new(), Namespace::new(), Namespace::new());
    connect(
        (&client, "eth0", [10, 0, 0, 1].into()),
        (&router, "eth0", [10, 0, 0, 254].into()),
    );
    connect(
        (&router, "eth1", [10, 0, 1, 254].into()),
        (&server, "eth0", [10, 0, 1, 2].into()),
    );
    client.run("ip route add default via 10.0.0.254");
    server.run("ip route add default via 10.0.1.254");
    router.run("sysctl -q -w net.ipv4.ip_forward=1");
    router.run("ip link set eth1 mtu 1300");

    println!("client 10.0.0.1  <->  router, mtu 1300 behind it  <->  10.0.1.2 server");
    let listeners = [("client", listen(&client)), ("server", listen(&server))];

    let mut silent = 0;
    for (what, words, expected) in SCENES {
        println!("\n{what}\n$ {words}");
        // That it fails is what most of them are for.
        output(&mut client.command(words));
        let mut lines: Vec<String> = Vec::new();
        for (at, listener) in &listeners {
            while let Some(line) = listener.line(QUIET) {
                lines.push(format!("{line}   <- seen by the {at}"));
            }
        }
        // Each begins with its time.
        lines.sort();
        for line in &lines {
            println!("  {line}");
        }
        let shown = lines.len();
        if shown < expected {
            println!("  {shown} messages, at least {expected} were expected");
            silent += 1;
        }
    }

    println!();
    for (at, listener) in listeners {
        let (_, _, stderr) = listener.end_by(Signal::INT);
        println!(
            "{at}: {}",
            stderr.last().map_or("no counters", String::as_str)
        );
    }
    ExitCode::from(silent)
}

fn listen(namespace: &Namespace) -> Process {
    let process = Process::start(namespace.command("icmptap listen"));
    process.wait_for("listening on");
    process
}
