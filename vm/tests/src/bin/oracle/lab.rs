//! The network in which it happens:
//!
//! ```text
//! host 10.0.0.2 --- 10.0.0.1 router 10.0.1.254 --- 10.0.1.2 far
//!      fd00::2      fd00::1         fd00:1::fe     fd00:1::2
//! ```
//!
//! The tap is at the host's `eth0`, for what comes in. The link to `far` has an
//! MTU of 1,300.

use std::fs;
use std::net::Ipv4Addr;

use icmptap_vm_tests::net::{Namespace, Wire, connect};
use icmptap_vm_tests::packet::Sender;
use icmptap_vm_tests::process::{output, run};

pub(crate) struct Lab {
    wire: Wire,
    /// Behind the router; held so that it lives.
    _far: Namespace,
    /// From the router to the host.
    pub(crate) sender: Sender,
    /// From the host to the router.
    pub(crate) back: Sender,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let online = fs::read_to_string("/sys/devices/system/cpu/online").expect("sysfs");
        assert_eq!(online.trim(), "0", "one CPU, or the order is not known");

        let (wire, far) = (Wire::new(), Namespace::new());
        connect(
            (&wire.left, "eth1", Ipv4Addr::new(10, 0, 1, 254)),
            (&far, "eth0", Ipv4Addr::new(10, 0, 1, 2)),
        );
        // Of all network namespaces: an error for every packet without a route.
        run("sysctl -q -w net.ipv4.route.error_cost=0");
        // The router's own start is the first thing to be seen.
        wire.right.enable_ipv6();
        far.enable_ipv6();
        // What is sent to the host must not change how it answers.
        for name in ["accept_ra", "accept_redirects", "router_solicitations"] {
            wire.right
                .run(&format!("sysctl -q -w net.ipv6.conf.eth0.{name}=0"));
        }
        for name in ["all", "eth0"] {
            wire.right.run(&format!(
                "sysctl -q -w net.ipv4.conf.{name}.accept_redirects=0"
            ));
        }
        for setting in [
            "net.ipv4.icmp_ratelimit=0",
            "net.ipv6.icmp.ratelimit=0",
            "net.ipv4.ipfrag_time=1",
            "net.ipv6.ip6frag_time=1",
            "net.ipv4.neigh.eth1.mcast_solicit=1",
            "net.ipv6.neigh.eth1.mcast_solicit=1",
            "net.ipv4.neigh.eth1.retrans_time_ms=100",
            "net.ipv6.neigh.eth1.retrans_time_ms=100",
            "net.ipv6.conf.eth0.mldv1_unsolicited_report_interval=10",
            "net.ipv6.conf.eth0.mldv2_unsolicited_report_interval=10",
            "net.ipv6.conf.eth0.router_solicitation_delay=0",
        ] {
            wire.left.run(&format!("sysctl -q -w {setting}"));
        }
        wire.left.ip("link set eth1 mtu 1300\n");
        wire.right.ip(concat!(
            "addr add fd00::2/64 dev eth0 nodad\n",
            "route add default via 10.0.0.1\n",
            "route add default via fd00::1\n",
        ));
        far.ip(concat!(
            "addr add fd00:1::2/64 dev eth0 nodad\n",
            "link set eth0 mtu 1300\n",
            "route add default via 10.0.1.254\n",
            "route add default via fd00:1::fe\n",
        ));
        Self {
            sender: Sender::new(&wire),
            back: Sender::between(&wire.right, &wire.left),
            wire,
            _far: far,
        }
    }

    /// Where the tap is.
    pub(crate) fn host(&self) -> &Namespace {
        &self.wire.right
    }

    /// Whose messages the tap sees.
    pub(crate) fn router(&self) -> &Namespace {
        &self.wire.left
    }

    /// Runs something on the host. That it fails is what errors are for; the
    /// messages that come of it are looked for.
    pub(crate) fn host_tries(&self, words: &str) {
        output(&mut self.host().command(words));
    }

    /// The same on the router.
    pub(crate) fn router_tries(&self, words: &str) {
        output(&mut self.router().command(words));
    }
}
