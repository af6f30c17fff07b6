//! Where packets are seen: five hooks in two families, and what the firewall
//! has to do with it.

use std::collections::BTreeMap;

use icmptap::event::EventRef;
use icmptap::{
    Builder, Family, Hook, Hooks, RateLimit, Sampling, Snaplen, Subscription, TypeSet, Verdict,
};
use icmptap_vm_tests::listen::{Heard, Listener};
use icmptap_vm_tests::net::{Namespace, Wire, connect};
use icmptap_vm_tests::process::{output, stay_on_one_cpu};

/// Echo requests and replies of both families, and nothing of what IPv6 says
/// by itself.
fn echoes(hooks: impl IntoIterator<Item = Hook>) -> Builder {
    Subscription::builder()
        .hooks(hooks.into_iter().collect::<Hooks>())
        .icmp_types([0, 8])
        .icmpv6_types([128, 129])
}

fn is_request(event: &EventRef<'_>) -> bool {
    matches!(event.icmp_type_and_code(), Some((8 | 128, 0)))
}

/// Per family: which hook saw what, in order. The two ends of an interface are
/// there where the hook knows them.
fn seen(heard: &Heard) -> BTreeMap<String, Vec<(Hook, bool)>> {
    let mut seen: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for event in &heard.events {
        let event = event.as_ref();
        let (iif, oif) = match event.hook().expect("tapped") {
            Hook::Prerouting | Hook::Input => (true, false),
            Hook::Forward => (true, true),
            _ => (false, true),
        };
        // Since 5.7, POST_ROUTING knows where a forwarded packet came from.
        if event.hook() != Some(Hook::Postrouting) {
            assert_eq!(event.iif().is_some(), iif, "{event:?}");
        }
        assert_eq!(event.oif().is_some(), oif, "{event:?}");
        seen.entry(event.family().to_string())
            .or_default()
            .push((event.hook().expect("tapped"), is_request(&event)));
    }
    seen
}

/// One request and one reply of each family.
fn ping_both(from: &Namespace) {
    from.run("ping -c 1 -W 5 10.0.0.2");
    from.run("ping -6 -c 1 -W 5 fd00::2");
}

#[test]
fn a_host_sees_what_arrives_and_what_it_answers() {
    let wire = Wire::with_ipv6();
    let listener = Listener::with(&wire.right, echoes(Hook::ALL));
    ping_both(&wire.left);
    let seen = seen(&listener.stop());
    let expected = vec![
        (Hook::Prerouting, true),
        (Hook::Input, true),
        (Hook::Output, false),
        (Hook::Postrouting, false),
    ];
    assert_eq!(seen["ipv4"], expected);
    assert_eq!(seen["ipv6"], expected);
}

/// left - router - right, each a namespace with both families.
struct Routed {
    left: Namespace,
    router: Namespace,
    _right: Namespace,
}

impl Routed {
    fn new() -> Self {
        let routed = Self {
            left: Namespace::new(),
            router: Namespace::new(),
            _right: Namespace::new(),
        };
        for namespace in [&routed.left, &routed.router, &routed._right] {
            namespace.enable_ipv6();
        }
        connect(
            (&routed.left, "eth0", [10, 0, 1, 1].into()),
            (&routed.router, "eth0", [10, 0, 1, 254].into()),
        );
        connect(
            (&routed._right, "eth0", [10, 0, 0, 2].into()),
            (&routed.router, "eth1", [10, 0, 0, 254].into()),
        );
        routed.left.ip("addr add fd00:1::1/64 dev eth0 nodad\n\
             route add default via 10.0.1.254\n\
             route add default via fd00:1::fe\n");
        routed.router.ip("addr add fd00:1::fe/64 dev eth0 nodad\n\
             addr add fd00::fe/64 dev eth1 nodad\n");
        routed._right.ip("addr add fd00::2/64 dev eth0 nodad\n\
             route add default via 10.0.0.254\n\
             route add default via fd00::fe\n");
        routed
            .router
            .run("sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
        routed
    }
}

#[test]
fn a_router_sees_what_it_forwards() {
    let routed = Routed::new();
    let listener = Listener::with(&routed.router, echoes(Hook::ALL));
    ping_both(&routed.left);
    let heard = listener.stop();
    let expected: Vec<_> = [true, false]
        .into_iter()
        .flat_map(|request| {
            [Hook::Prerouting, Hook::Forward, Hook::Postrouting].map(|hook| (hook, request))
        })
        .collect();
    let seen = seen(&heard);
    assert_eq!(seen["ipv4"], expected);
    assert_eq!(seen["ipv6"], expected);

    let [left, right] = ["eth0", "eth1"].map(|name| routed.router.interface(name));
    for event in &heard.events {
        let event = event.as_ref();
        if event.hook() == Some(Hook::Forward) && is_request(&event) {
            assert_eq!(event.iif().expect("in").0, left);
            assert_eq!(event.oif().expect("out").0, right);
        }
    }
}

/// What an operator asks first: did the firewall eat it?
#[test]
fn what_the_firewall_drops_is_seen_before_it_and_not_behind_it() {
    let wire = Wire::with_ipv6();
    // At the highest priority that a rule is likely to have.
    let drop_at = |hook: &str| {
        wire.right.run("nft flush ruleset");
        wire.right.run("nft add table inet t");
        wire.right.run(&format!(
            "nft add chain inet t c {{ type filter hook {hook} priority 300 ; policy drop ; }}"
        ));
        wire.right
            .run("nft add rule inet t c icmpv6 type != { echo-request, echo-reply } accept");
        let listener = Listener::with(&wire.right, echoes(Hook::ALL));
        output(&mut wire.left.command("ping -c 1 -W 1 10.0.0.2"));
        output(&mut wire.left.command("ping -6 -c 1 -W 1 fd00::2"));
        let seen = seen(&listener.stop());
        assert_eq!(seen["ipv4"], seen["ipv6"]);
        let hooks: Vec<Hook> = seen["ipv4"].iter().map(|(hook, _)| *hook).collect();
        hooks
    };
    use Hook::{Input, Output, Prerouting};
    assert_eq!(drop_at("prerouting"), [Prerouting]);
    assert_eq!(drop_at("input"), [Prerouting]);
    assert_eq!(drop_at("output"), [Prerouting, Input, Output]);
    assert_eq!(drop_at("postrouting"), [Prerouting, Input, Output]);
}

#[test]
fn what_a_routers_firewall_does_not_forward_is_seen_before_it() {
    let routed = Routed::new();
    routed.router.run("nft add table inet t");
    routed
        .router
        .run("nft add chain inet t c { type filter hook forward priority 300 ; policy drop ; }");
    let listener = Listener::with(&routed.router, echoes(Hook::ALL));
    for words in ["ping -c 1 -W 1 10.0.0.2", "ping -6 -c 1 -W 1 fd00::2"] {
        let result = output(&mut routed.left.command(words));
        assert_eq!(result.status.code(), Some(1), "{words}");
    }
    let seen = seen(&listener.stop());
    let expected = [(Hook::Prerouting, true), (Hook::Forward, true)];
    assert_eq!(seen["ipv4"], expected);
    assert_eq!(seen["ipv6"], expected);
}

/// What the rules of the receiving end do to a packet shows behind them.
#[test]
fn a_mark_is_that_of_the_moment_and_fragments_are_put_together_by_then() {
    let wire = Wire::new();
    wire.right.run("nft add table inet t");
    wire.right
        .run("nft add chain inet t c { type filter hook input priority 0 ; }");
    wire.right
        .run("nft add rule inet t c meta mark set 0x70000007");
    let builder = echoes([Hook::Prerouting, Hook::Input]).snaplen(Snaplen(65_535));
    let listener = Listener::with(&wire.right, builder);
    wire.left.run("ping -c 1 -W 5 -s 4000 -p a5 10.0.0.2");

    let heard = listener.stop();
    let (whole, parts): (Vec<_>, Vec<_>) = heard
        .events
        .iter()
        .map(|event| event.as_ref())
        .partition(|event| event.hook() == Some(Hook::Input));
    assert!(parts.iter().all(|part| part.mark() == Some(0)));
    // Only the first one has a type; not all types were asked for.
    assert_eq!(parts.len(), 1);
    assert!(parts[0].is_fragment());
    let [whole] = whole[..] else {
        panic!("{whole:?}")
    };
    assert_eq!(whole.mark(), Some(0x7000_0007));
    assert!(!whole.is_fragment() && !whole.is_truncated());
    assert_eq!(whole.original_len(), 4028);
    let data = &whole.packet()[44..];
    assert_eq!(data.len(), 4028 - 44);
    assert!(data.iter().all(|byte| *byte == 0xa5));
}

#[test]
fn the_verdict_drop_holds_at_each_hook_and_while_the_subscription_lives() {
    let wire = Wire::with_ipv6();
    for hook in [
        Hook::Prerouting,
        Hook::Input,
        Hook::Output,
        Hook::Postrouting,
    ] {
        let builder = echoes([hook]).verdict(Verdict::Drop);
        let listener = Listener::with(&wire.right, builder);
        for words in [
            "ping -c 2 -i 0.1 -W 1 10.0.0.2",
            "ping -6 -c 2 -i 0.1 -W 1 fd00::2",
        ] {
            let result = output(&mut wire.left.command(words));
            assert_eq!(result.status.code(), Some(1), "{hook}: {words}");
        }
        // Another protocol goes on.
        let receiver = wire
            .right
            .enter(|| std::net::UdpSocket::bind("10.0.0.2:7000").expect("bind"));
        let sender = wire
            .left
            .enter(|| std::net::UdpSocket::bind("10.0.0.1:7000").expect("bind"));
        sender.send_to(b"x", "10.0.0.2:7000").expect("send");
        assert_eq!(receiver.recv(&mut [0; 8]).expect("recv"), 1);

        assert_eq!(listener.stop().events.len(), 4, "{hook}");
        ping_both(&wire.left);
    }
}

#[test]
fn a_router_drops_what_it_should_forward() {
    let routed = Routed::new();
    let builder = echoes([Hook::Forward])
        .families([Family::Ipv6])
        .verdict(Verdict::Drop);
    let listener = Listener::with(&routed.router, builder);
    routed.left.run("ping -c 1 -W 5 10.0.0.2");
    let result = output(&mut routed.left.command("ping -6 -c 1 -W 1 fd00::2"));
    assert_eq!(result.status.code(), Some(1));
    assert_eq!(listener.stop().events.len(), 1);
    ping_both(&routed.left);
}

#[test]
fn a_verdict_is_for_what_matches() {
    let wire = Wire::with_ipv6();
    // Of IPv4 nothing, of IPv6 requests.
    let builder = echoes([Hook::Prerouting])
        .icmp_types(TypeSet::NONE)
        .verdict(Verdict::Drop);
    let listener = Listener::with(&wire.right, builder);
    wire.left.run("ping -c 1 -W 5 10.0.0.2");
    let result = output(&mut wire.left.command("ping -6 -c 1 -W 1 fd00::2"));
    assert_eq!(result.status.code(), Some(1));
    assert_eq!(listener.stop().events.len(), 1);
}

#[test]
fn a_verdict_is_for_what_is_lost_and_not_for_what_is_sampled_out() {
    let wire = Wire::new();
    // One CPU, one stream, one count.
    stay_on_one_cpu();
    let ping = || {
        let result = output(&mut wire.left.command("ping -c 1 -W 1 10.0.0.2"));
        result.status.success()
    };
    let builder = echoes([Hook::Prerouting]).verdict(Verdict::Drop);

    let sampling = Sampling { one_in: 2 };
    let listener = Listener::with(&wire.right, builder.clone().sampling(sampling));
    assert_eq!([ping(), ping(), ping()], [false, true, false]);
    let counters = listener.stop().summary.counters;
    assert_eq!((counters.matched, counters.sampled_out), (2, 1));

    let limit = RateLimit { per_second: 1 };
    let listener = Listener::with(&wire.right, builder.rate_limit(limit));
    let result = output(&mut wire.left.command("ping -c 20 -i 0.05 -W 1 10.0.0.2"));
    assert_eq!(result.status.code(), Some(1), "one of them came back");
    let counters = listener.stop().summary.counters;
    assert_eq!(counters.matched, 20);
    assert!(counters.lost_ratelimit > 0, "{counters:?}");
}
