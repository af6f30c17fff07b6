//! Messages that real programs and the kernel make.

use std::thread;
use std::time::Duration;

use icmptap_vm_tests::net::Wire;
use icmptap_vm_tests::packet::{Ipv4, Ipv6, echo, message};
use socket2::{Domain, Socket, Type};

use super::lab::Lab;
use super::{Expected, Family, How, Kind};

pub(crate) fn kinds() -> Vec<Kind> {
    // The first has to be: the router is none yet.
    let mut kinds = vec![Kind {
        name: "kernel: IPv6 starts on an interface".into(),
        expected: vec![v6(135, 0), v6(143, 0), v6(133, 0)],
        how: How::Do(starts),
    }];
    for (name, expected, act) in list() {
        kinds.push(Kind {
            name: name.into(),
            expected,
            how: How::Do(act),
        });
    }
    kinds
}

fn v4(number: u8, code: u8) -> Expected {
    (Family::V4, Some((number, code)))
}

fn v6(number: u8, code: u8) -> Expected {
    (Family::V6, Some((number, code)))
}

type Row = (&'static str, Vec<Expected>, fn(&Lab));

#[rustfmt::skip]
fn list() -> Vec<Row> {
    vec![
        ("ping: request", vec![v4(8, 0)], |lab| lab.router_tries("ping -c 1 -W 1 10.0.0.2")),
        ("ping: reply", vec![v4(0, 0)], |lab| lab.host_tries("ping -c 1 -W 1 10.0.0.1")),
        ("ping: request with a route to record", vec![v4(8, 0)], |lab| lab.router_tries("ping -c 1 -W 1 -R 10.0.0.2")),
        ("ping: request with timestamps", vec![v4(8, 0)], |lab| lab.router_tries("ping -c 1 -W 1 -T tsandaddr 10.0.0.2")),
        ("ping: request in fragments", vec![v4(8, 0), (Family::V4, None)], |lab| lab.router_tries("ping -c 1 -W 1 -s 3000 10.0.0.2")),
        ("ping: request to a group", vec![v4(8, 0)], |lab| lab.router_tries("ping -c 1 -W 1 -I eth0 224.0.0.1")),
        ("ping -6: request", vec![v6(128, 0)], |lab| lab.router_tries("ping -6 -c 1 -W 1 fd00::2")),
        ("ping -6: reply", vec![v6(129, 0)], |lab| lab.host_tries("ping -6 -c 1 -W 1 fd00::1")),
        ("ping -6: request in fragments", vec![v6(128, 0), (Family::V6, None)], |lab| lab.router_tries("ping -6 -c 1 -W 1 -s 3000 fd00::2")),
        ("ping -6: request to a group", vec![v6(128, 0)], |lab| lab.router_tries("ping -6 -c 1 -W 1 -I eth0 ff02::1")),
        ("ping -6: neighbours to be found", vec![v6(136, 0)], |lab| {
            lab.host().ip("neigh flush dev eth0\n");
            lab.host_tries("ping -6 -c 1 -W 1 fd00::1");
        }),
        ("kernel: a neighbour is asked for", vec![v6(135, 0)], |lab| {
            lab.router().ip("neigh flush dev eth0\n");
            lab.router_tries("ping -6 -c 1 -W 1 fd00::2");
        }),
        // Before the host learns what fits.
        ("ping: too big", vec![v4(3, 4)], |lab| lab.host_tries("ping -c 1 -W 1 -M do -s 1400 10.0.1.2")),
        ("ping -6: too big", vec![v6(2, 0)], |lab| lab.host_tries("ping -6 -c 1 -W 1 -M do -s 1400 fd00:1::2")),
        ("tracepath", vec![v4(11, 0), v4(3, 3)], |lab| lab.host_tries("tracepath -n -m 3 10.0.1.2")),
        ("tracepath -6", vec![v6(3, 0), v6(1, 4)], |lab| lab.host_tries("tracepath -6 -n -m 3 fd00:1::2")),
        ("ping: its TTL ends", vec![v4(11, 0)], |lab| lab.host_tries("ping -c 1 -W 1 -t 1 10.0.1.2")),
        ("ping -6: its hop limit ends", vec![v6(3, 0)], |lab| lab.host_tries("ping -6 -c 1 -W 1 -t 1 fd00:1::2")),
        ("ip route: none", vec![v4(3, 0)], |lab| lab.host_tries("ping -c 1 -W 1 192.0.2.1")),
        ("ip -6 route: none", vec![v6(1, 0)], |lab| lab.host_tries("ping -6 -c 1 -W 1 2001:db8::1")),
        ("ip route: unreachable", vec![v4(3, 1)], |lab| routed(lab, "unreachable", "ping -c 1 -W 1 198.51.100.1")),
        ("ip route: prohibit", vec![v4(3, 13)], |lab| routed(lab, "prohibit", "ping -c 1 -W 1 198.51.100.1")),
        ("ip -6 route: prohibit", vec![v6(1, 1)], |lab| routed(lab, "prohibit", "ping -6 -c 1 -W 1 fd00:66::1")),
        ("kernel: nobody has this address", vec![v4(3, 1)], |lab| lab.host_tries("ping -c 1 -W 2 10.0.1.99")),
        ("kernel: nobody has this IPv6 address", vec![v6(1, 3)], |lab| lab.host_tries("ping -6 -c 1 -W 2 fd00:1::99")),
        ("kernel: unknown protocol", vec![v4(3, 2)], |lab| {
            let packet = Ipv4 { src: Wire::RIGHT, dst: Wire::LEFT, protocol: 253, ..Ipv4::icmp([0; 16]) };
            lab.back.send(&packet.bytes());
        }),
        ("kernel: unknown next header", vec![v6(4, 1)], |lab| {
            lab.back.send(&Ipv6 { protocol: 253, ..to_router() }.bytes());
        }),
        ("kernel: unknown destination option", vec![v6(4, 2)], |lab| {
            let extensions = vec![(60, vec![0, 0, 0x9e, 4, 0, 0, 0, 0])];
            lab.back.send(&Ipv6 { extensions, ..to_router() }.bytes());
        }),
        ("kernel: bad IP option", vec![v4(12, 0)], |lab| {
            let options = vec![7, 7, 2, 0, 0, 0, 0, 0];
            let packet = Ipv4 { src: Wire::RIGHT, dst: Wire::LEFT, options, ..Ipv4::icmp(echo(1, 1, b"")) };
            lab.back.send(&packet.bytes());
        }),
        ("kernel: fragments that never come", vec![v4(11, 1)], |lab| {
            let packet = Ipv4 { src: Wire::RIGHT, dst: Wire::LEFT, more_fragments: true, ..Ipv4::icmp(echo(1, 1, &[0; 24])) };
            lab.back.send(&packet.bytes());
            thread::sleep(Duration::from_millis(2500));
        }),
        ("kernel: IPv6 fragments that never come", vec![v6(3, 1)], |lab| {
            let extensions = vec![(44, vec![0, 0, 0, 1, 0, 0, 0, 7])];
            lab.back.send(&Ipv6 { extensions, ..to_router() }.bytes());
            thread::sleep(Duration::from_millis(2500));
        }),
        ("kernel: a better router", vec![v4(5, 1)], |lab| {
            lab.router().ip("route replace 10.0.9.0/24 via 10.0.0.7 dev eth0\n");
            lab.host_tries("ping -c 1 -W 1 10.0.9.1");
        }),
        ("kernel: a better IPv6 router", vec![v6(137, 0)], |lab| {
            lab.router().ip("route replace fd00:9::/64 via fe80::7 dev eth0\n");
            lab.host_tries("ping -6 -c 1 -W 1 fd00:9::1");
        }),
        ("kernel: a group is joined", vec![v6(143, 0)], |lab| join(lab, 0)),
        ("kernel: a group is joined and left, MLDv1", vec![v6(131, 0), v6(132, 0)], |lab| join(lab, 1)),
        ("nft: reject, net-unreachable", vec![v4(3, 0)], |lab| reject(lab, "ip", "icmp type net-unreachable")),
        ("nft: reject, host-unreachable", vec![v4(3, 1)], |lab| reject(lab, "ip", "icmp type host-unreachable")),
        ("nft: reject, prot-unreachable", vec![v4(3, 2)], |lab| reject(lab, "ip", "icmp type prot-unreachable")),
        ("nft: reject, port-unreachable", vec![v4(3, 3)], |lab| reject(lab, "ip", "icmp type port-unreachable")),
        ("nft: reject, net-prohibited", vec![v4(3, 9)], |lab| reject(lab, "ip", "icmp type net-prohibited")),
        ("nft: reject, host-prohibited", vec![v4(3, 10)], |lab| reject(lab, "ip", "icmp type host-prohibited")),
        ("nft: reject, admin-prohibited", vec![v4(3, 13)], |lab| reject(lab, "ip", "icmp type admin-prohibited")),
        ("nft: reject, IPv6 no-route", vec![v6(1, 0)], |lab| reject(lab, "ip6", "icmpv6 type no-route")),
        ("nft: reject, IPv6 admin-prohibited", vec![v6(1, 1)], |lab| reject(lab, "ip6", "icmpv6 type admin-prohibited")),
        ("nft: reject, IPv6 addr-unreachable", vec![v6(1, 3)], |lab| reject(lab, "ip6", "icmpv6 type addr-unreachable")),
        ("nft: reject, IPv6 port-unreachable", vec![v6(1, 4)], |lab| reject(lab, "ip6", "icmpv6 type port-unreachable")),
    ]
}

/// The router becomes one only after its interface has started as a host's does.
fn starts(lab: &Lab) {
    lab.router().enable_ipv6();
    // Is the address free, what groups, are there routers: a second or two.
    thread::sleep(Duration::from_secs(3));
    lab.router().ip(concat!(
        "addr add fd00::1/64 dev eth0 nodad\n",
        "addr add fd00:1::fe/64 dev eth1 nodad\n",
    ));
    for setting in ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"] {
        lab.router().run(&format!("sysctl -q -w {setting}"));
    }
}

/// An echo request, whose errors are answered.
fn to_router() -> Ipv6 {
    Ipv6 {
        src: Wire::RIGHT6,
        dst: Wire::LEFT6,
        hop_limit: 64,
        ..Ipv6::icmp(message(128, 0, [0, 1, 0, 1], &[0; 8]))
    }
    .summed()
}

/// What the router says when a route has this type.
fn routed(lab: &Lab, kind: &str, words: &str) {
    lab.router().ip(&format!(
        "route replace {kind} 198.51.100.0/24\nroute replace {kind} fd00:66::/64\n"
    ));
    lab.host_tries(words);
}

/// What the router says when its firewall rejects what should go to `far`.
fn reject(lab: &Lab, family: &str, with: &str) {
    let (ping, far) = match family {
        "ip" => ("ping", "10.0.1.2"),
        _ => ("ping -6", "fd00:1::2"),
    };
    for line in [
        format!("add table {family} oracle"),
        format!("add chain {family} oracle forward {{ type filter hook forward priority 0 ; }}"),
        format!("add rule {family} oracle forward {family} daddr {far} reject with {with}"),
    ] {
        lab.router().run(&format!("nft {line}"));
    }
    lab.host_tries(&format!("{ping} -c 1 -W 1 {far}"));
    lab.router()
        .run(&format!("nft delete table {family} oracle"));
}

/// The router joins a group and leaves it.
fn join(lab: &Lab, version: u8) {
    lab.router().run(&format!(
        "sysctl -q -w net.ipv6.conf.eth0.force_mld_version={version}"
    ));
    lab.router().enter(|| {
        let index = rustix::net::netdevice::name_to_index(
            Socket::new(Domain::IPV6, Type::DGRAM, None).expect("socket"),
            "eth0",
        );
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, None).expect("socket");
        let group = "ff02::4:5:6".parse().expect("an address");
        socket
            .join_multicast_v6(&group, index.expect("eth0"))
            .expect("join");
        thread::sleep(Duration::from_millis(300));
    });
    thread::sleep(Duration::from_millis(300));
}
