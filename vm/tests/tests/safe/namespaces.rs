//! `ALL_NETNS` and whose network namespace it is: what a host's root hears everywhere
//! must not come to where others can read it, others must not be able to keep the host
//! from hearing, and an interface is one of the namespace that names it.

use icmptap::{Client, Error, Hook, Hooks, IfIndex, Subscription, TypeSet, Verdict};
use icmptap_vm_tests::listen::{Listener, subscribe};
use icmptap_vm_tests::net::{Foreign, Namespace, Wire, try_new_namespace};
use icmptap_vm_tests::process::{output, succeed_with};
use rustix::io::Errno;

fn everywhere() -> icmptap::Builder {
    Subscription::builder().all_netns(true)
}

fn echo_requests() -> TypeSet {
    [8].into_iter().collect()
}

/// Asserts `EPERM`, with a sentence that says why. Of a dump, some kernels lose it
/// (`genl_family_rcv_msg_dumpit()` before 6.2).
#[track_caller]
fn assert_is_for_others<T>(result: Result<T, Error>, is_dump: bool) {
    match result {
        Err(Error::NotPermitted { message: None, .. }) if is_dump => {}
        Err(Error::NotPermitted {
            message: Some(sentence),
            ..
        }) => assert!(sentence.contains("initial user namespace"), "{sentence}"),
        Err(other) => panic!("another error, or without a sentence: {other}"),
        Ok(_) => panic!("it is permitted"),
    }
}

/// What a socket in a container's network namespace is sent, its `nlmon` shows to all
/// in there.
#[test]
fn not_from_within_a_foreign_network_namespace() {
    let foreign = Foreign::new();
    let inside = &foreign.namespace;
    let subscribed = inside.enter(|| everywhere().subscribe());
    assert_is_for_others(subscribed, false);
    let listed = inside.enter(|| Client::open()?.subscriptions(true));
    assert_is_for_others(listed, true);

    // Of itself it hears, asked by the same root, and the rest it may ask.
    let own = Listener::with(inside, Subscription::builder().icmp_types(echo_requests()));
    let listed = inside.enter(|| Client::open()?.subscriptions(false));
    assert_eq!(listed.expect("a list").len(), 1);
    inside.run("ping -c 1 127.0.0.1");
    assert_eq!(own.stop().events.len(), 1);
}

/// What a namespace of the host's own hears of, is all the same foreign ones as well.
#[test]
fn from_a_namespace_of_the_hosts_own() {
    let (own, foreign) = (Namespace::new(), Foreign::new());
    let listener = Listener::with(&own, everywhere().icmp_types(echo_requests()));
    let listed = own.enter(|| Client::open()?.subscriptions(true));
    assert_eq!(listed.expect("a list").len(), 1);
    foreign.namespace.run("ping -c 1 127.0.0.1");
    let later = Foreign::new();
    later.namespace.run("ping -c 1 127.0.0.1");
    let heard = listener.stop();
    let inodes: Vec<u64> = heard
        .events
        .iter()
        .map(|event| event.as_ref().netns().expect("tapped").0.into())
        .collect();
    assert_eq!(inodes, [foreign.namespace.inode(), later.namespace.inode()]);
}

/// The number of `mine` is that of an interface elsewhere, too.
#[test]
fn an_interface_is_not_one_of_every_namespace() {
    let (here, there) = (Namespace::new(), Wire::new());
    let lo = there.right.interface("lo");
    assert_eq!(lo, here.interface("lo"));
    for verdict in [Verdict::Accept, Verdict::Drop] {
        let builder = everywhere().interface(IfIndex(lo)).verdict(verdict);
        let result = here.enter(|| builder.subscribe());
        match result {
            Err(Error::Refused {
                source,
                message: Some(_),
                ..
            }) if source.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {}
            Err(other) => panic!("another error, or without a sentence: {other}"),
            Ok(_) => panic!("it is taken"),
        }
    }
    // Neither by itself is wrong.
    for builder in [
        everywhere(),
        Subscription::builder().interface(IfIndex(lo)),
        everywhere().interface(IfIndex(0)),
    ] {
        subscribe(&here, &builder).finish().expect("finish");
    }
    // Nor does the command line ask for both.
    let words = "icmptap listen -i lo --all-netns --drop";
    let result = output(&mut here.command(words));
    let stderr = String::from_utf8_lossy(&result.stderr);
    assert_eq!(result.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("--all-netns"), "{stderr}");
    // And in the other namespace nothing was dropped.
    there.right.run("ping -c 1 127.0.0.1");
}

/// As many hooks as the kernel has room for at one place.
const FULL: usize = 1024;

/// Takes every place that there is at PRE_ROUTING and LOCAL_IN.
fn fill(namespace: &Namespace) {
    let mut rules = String::from("add table ip full\n");
    for hook in ["prerouting", "input"] {
        for nth in 0..FULL {
            rules.push_str(&format!(
                "add chain ip full {hook}{nth} {{ type filter hook {hook} priority 0; }}\n"
            ));
        }
    }
    let mut nft = namespace.command("nft -f -");
    succeed_with(&mut nft, &rules);
}

/// Whoever has a user namespace can leave no room for our hooks in a network namespace
/// of his own. That is his affair.
#[test]
fn a_foreign_namespace_has_no_room_for_our_hooks() {
    let (own, foreign) = (Namespace::new(), Foreign::new());
    fill(&foreign.namespace);
    // He sees himself that there is none.
    let inside = foreign
        .namespace
        .enter(|| Subscription::builder().subscribe());
    match inside {
        Err(Error::Refused { source, .. }) => {
            assert_eq!(source.raw_os_error(), Some(Errno::TOOBIG.raw_os_error()));
        }
        other => panic!("{other:?}"),
    }

    let all = Hooks::ALL;
    for hooks in [[Hook::Input].into_iter().collect(), all] {
        let builder = everywhere().hooks(hooks).icmp_types(echo_requests());
        let listener = Listener::with(&own, builder);
        // Others make namespaces, and are heard in them.
        std::thread::scope(|scope| {
            let made = scope.spawn(try_new_namespace).join();
            made.expect("no panic").expect("a new namespace");
        });
        let next = Foreign::new();
        next.namespace.run("ping -c 1 127.0.0.1");
        own.run("ping -c 1 127.0.0.1");
        let heard = listener.stop();
        heard.lawful("everywhere but in the full one");
        let mut inodes: Vec<u64> = heard
            .events
            .iter()
            .map(|event| event.as_ref().netns().expect("tapped").0.into())
            .collect();
        inodes.dedup();
        assert_eq!(inodes, [next.namespace.inode(), own.inode()]);
    }

    // What was refused there is not missed when it ends.
    drop(foreign);
    subscribe(&own, &everywhere()).finish().expect("finish");
}
