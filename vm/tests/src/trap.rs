//! A trap for who sends from a hook. `nlmon` gives a copy of each netlink message to tc,
//! within the call that sends it; tc leads it into a tunnel, the tunnel into a path that
//! is too narrow, and that answers with ICMP, on the same stack.

use crate::net::{Namespace, load_modules};

/// For `ip`: the device that sees every netlink message of its namespace.
pub const NLMON: &str = "link add nlmon0 type nlmon\n\
                         link set nlmon0 up\n";

/// For `ip`: a tunnel over a path of 100 bytes, with "don't fragment" in its outer
/// header, so that whatever enters it makes ICMP to ourselves.
pub const TUNNEL: &str = "link add under type dummy\n\
                          link set under mtu 100 up\n\
                          addr add 192.0.2.1/24 dev under\n\
                          link add trap type gre local 192.0.2.1 remote 192.0.2.2 ttl 64\n\
                          link set trap up\n";

/// For [`copies`].
pub const INTO_TUNNEL: &str = "mirred egress redirect dev trap";

/// For `tc`: each copy goes where this action says, under no lock.
pub fn copies(action: &str) -> String {
    format!(
        "qdisc add dev nlmon0 clsact\n\
         filter add dev nlmon0 egress matchall action {action}\n"
    )
}

/// Has the kernel load what it takes.
pub fn load() {
    load_modules(&[
        "nlmon",
        "dummy",
        "ip_gre",
        "sch_ingress",
        "cls_matchall",
        "act_mirred",
    ]);
}

/// A namespace where every netlink message makes ICMP.
pub fn set() -> Namespace {
    load();
    let here = Namespace::new();
    here.ip(&format!("{NLMON}{TUNNEL}"));
    here.tc(&copies(INTO_TUNNEL));
    here
}
