//! What is seen at which hook and by which interface where interfaces depend on each
//! other: the table in docs/command.md, measured.

use std::net::Ipv4Addr;

use icmptap_vm_tests::cli::listen;
use icmptap_vm_tests::net::{Namespace, connect, load_modules};
use icmptap_vm_tests::process::{stay_on_one_cpu, wait_until};
use rustix::process::Signal;

const DOCUMENTATION: &str = include_str!("../../../docs/command.md");

const HOOKS: [&str; 5] = ["prerouting", "input", "forward", "output", "postrouting"];
const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// A host whose `eth0` leads to a peer.
struct Lab {
    host: Namespace,
    peer: Namespace,
}

impl Lab {
    fn new() -> Self {
        let lab = Self {
            host: Namespace::new(),
            peer: Namespace::new(),
        };
        connect((&lab.host, "eth0", HOST), (&lab.peer, "eth0", PEER));
        lab
    }

    /// Makes `eth0` the port of a bridge that has the address.
    fn bridge(self, netfilter: bool) -> Self {
        self.host.ip("addr flush dev eth0");
        self.host.bridge(&["eth0"]);
        self.host.ip("addr add 10.0.0.2/24 dev br0");
        self.call_iptables(netfilter);
        self
    }

    fn call_iptables(&self, on: bool) {
        let on = u8::from(on);
        self.host.run(&format!(
            "sysctl -q -w net.bridge.bridge-nf-call-iptables={on}"
        ));
    }

    fn row(&self, name: &str, other: &str) -> String {
        row(name, &self.host, (&self.peer, HOST), other)
    }
}

/// One row: a ping from `from` to `to`, as it is seen in `host`.
fn row(name: &str, host: &Namespace, (from, to): (&Namespace, Ipv4Addr), other: &str) -> String {
    let hooks = HOOKS.join(",");
    let arguments = format!("--hook {hooks} --family ipv4 --type ping");
    // ARP first, which is not what is measured.
    from.run(&format!("ping -c 1 {to}"));
    let all = listen(host, &arguments);
    let by = [Some("eth0"), (other != "-").then_some(other)].map(|interface| {
        interface.map(|interface| listen(host, &format!("{arguments} -i {interface}")))
    });
    from.run(&format!("ping -c 1 {to}"));
    let lines = all.end_by(Signal::INT).1;
    let word = |line: &str, nth| line.split(' ').nth(nth).expect("a word").to_owned();
    let mut cells = vec![name.to_owned()];
    for hook in HOOKS {
        let there = lines.iter().filter(|line| word(line, 2) == hook);
        let interfaces: Vec<String> = there.map(|line| word(line, 1)).collect();
        cells.push(said(&interfaces));
    }
    for listener in by {
        let lines = listener.map(|listener| listener.end_by(Signal::INT).1);
        let mut hooks: Vec<String> = lines.iter().flatten().map(|line| word(line, 2)).collect();
        hooks.dedup();
        cells.push(said(&hooks));
    }
    format!("| {} |", cells.join(" | "))
}

fn said(words: &[String]) -> String {
    if words.is_empty() {
        "-".to_owned()
    } else {
        words.join(", ")
    }
}

fn vlan() -> Lab {
    load_modules(&["8021q"]);
    let lab = Lab::new();
    for (namespace, address) in [(&lab.host, HOST), (&lab.peer, PEER)] {
        namespace.ip(&format!(
            "addr flush dev eth0\nlink add link eth0 name eth0.5 type vlan id 5\n\
             addr add {address}/24 dev eth0.5\nlink set eth0.5 up"
        ));
    }
    lab
}

fn vrf() -> Lab {
    load_modules(&["vrf"]);
    let lab = Lab::new();
    lab.host
        .ip("link add red type vrf table 10\nlink set red up\nlink set eth0 master red");
    lab
}

/// A ping that a bridge of the host passes on, and that is not for the host.
fn across(netfilter: bool) -> String {
    let (lab, other) = (Lab::new(), Namespace::new());
    let far = Ipv4Addr::new(10, 0, 0, 3);
    connect(
        (&lab.host, "eth1", Ipv4Addr::new(10, 0, 9, 2)),
        (&other, "eth0", far),
    );
    lab.host.ip("addr flush dev eth0\naddr flush dev eth1");
    lab.host.bridge(&["eth0", "eth1"]);
    lab.call_iptables(netfilter);
    let name = if netfilter {
        "`eth0`, and leaves by `eth1` of the same bridge, with `br_netfilter`"
    } else {
        "`eth0`, and leaves by `eth1` of the same bridge"
    };
    row(name, &lab.host, (&lab.peer, far), "br0")
}

#[test]
fn the_table_of_what_is_seen_where_is_what_is_seen() {
    stay_on_one_cpu();
    let plain = Lab::new();
    let (bridged, filtered) = (Lab::new().bridge(false), Lab::new().bridge(true));
    let (vlan, vrf) = (vlan(), vrf());
    wait_until("the VRF passes packets", || {
        let mut ping = vrf.peer.command("ping -c 1 -W 1 10.0.0.2");
        icmptap_vm_tests::process::output(&mut ping)
            .status
            .success()
    });
    let rows = [
        plain.row("`eth0`, nothing special", "-"),
        vlan.row("`eth0.5`, a VLAN device on `eth0`", "eth0.5"),
        bridged.row("`eth0`, a port of the bridge `br0`", "br0"),
        filtered.row(
            "`eth0`, a port of the bridge `br0`, with `br_netfilter`",
            "br0",
        ),
        across(false),
        across(true),
        vrf.row("`eth0`, in the VRF `red`", "red"),
    ];
    let measured = rows.join("\n");
    assert!(
        DOCUMENTATION.contains(&measured),
        "docs/command.md has another table than what is seen:\n{measured}"
    );
}
