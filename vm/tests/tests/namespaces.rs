//! Who listens in every network namespace, and who may not.

use std::process::Command;

use icmptap::{Subscription, TypeSet, Verdict};
use icmptap_vm_tests::listen::Listener;
use icmptap_vm_tests::net::{Namespace, Wire};
use icmptap_vm_tests::process::output;

fn echo_requests() -> TypeSet {
    [8].into_iter().collect()
}

/// Inodes by the order in which their packets came.
fn inodes(listener: Listener) -> Vec<u64> {
    let heard = listener.stop();
    assert_eq!(heard.lost + heard.summary.trailing_lost(), 0);
    heard
        .events
        .iter()
        .map(|event| event.as_ref().netns().expect("tapped").0.into())
        .collect()
}

fn ping_itself(namespace: &Namespace) {
    namespace.run("ping -c 1 127.0.0.1");
}

#[test]
fn ten_namespaces_two_of_them_new_and_one_gone() {
    let here = Namespace::new();
    let mut others: Vec<Namespace> = (0..8).map(|_| Namespace::new()).collect();
    let builder = Subscription::builder()
        .icmp_types(echo_requests())
        .all_netns(true);
    let listener = Listener::with(&here, builder);
    others.extend([Namespace::new(), Namespace::new()]);

    let mut expected = Vec::new();
    for namespace in &others {
        ping_itself(namespace);
        expected.push(namespace.inode());
    }
    let gone = others.remove(3);
    let inode = gone.inode();
    drop(gone);
    for namespace in &others {
        ping_itself(namespace);
        expected.push(namespace.inode());
    }
    assert_eq!(expected.iter().filter(|seen| **seen == inode).count(), 1);
    assert_eq!(inodes(listener), expected);

    // And when it has ended, nobody listens anywhere.
    let own = Listener::with(&here, Subscription::builder());
    ping_itself(&others[0]);
    assert_eq!(own.stop().events.len(), 0);
}

#[test]
fn a_verdict_holds_wherever_its_subscription_listens() {
    let (here, there) = (Namespace::new(), Wire::new());
    let builder = Subscription::builder()
        .icmp_types(echo_requests())
        .all_netns(true)
        .verdict(Verdict::Drop);
    let listener = Listener::with(&here, builder);
    let ping = || {
        let result = output(&mut there.left.command("ping -c 1 -W 1 10.0.0.2"));
        result.status.success()
    };
    assert!(!ping(), "it is dropped");
    assert_eq!(inodes(listener), [there.right.inode()]);
    assert!(ping(), "it is dropped no more");
}

/// In a user namespace of its own, with all capabilities there.
fn in_own_user_namespace(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "sh", "-c", script]);
    command
}

#[test]
fn with_rights_over_its_own_namespace_only_one_hears_that() {
    let outside = Wire::new();
    let script = "ip link set lo up && icmptap listen -o json --type echo-request -c 2 & \
                  sleep 1; ping -c 3 -i 0.3 127.0.0.1 > /dev/null; wait; \
                  stat -L -c %i /proc/self/ns/net";
    let inside = std::thread::spawn(move || output(&mut in_own_user_namespace(script)));
    for _ in 0..10 {
        outside.left.run("ping -c 1 10.0.0.2");
    }
    let result = inside.join().expect("inside");
    let stdout = String::from_utf8(result.stdout).expect("text");
    let stderr = String::from_utf8(result.stderr).expect("text");
    assert!(result.status.success(), "{stdout}{stderr}");
    let lines: Vec<&str> = stdout.lines().collect();
    let [events @ .., summary, inode] = &lines[..] else {
        panic!("{stdout}{stderr}");
    };
    assert_eq!(events.len(), 2, "{stdout}{stderr}");
    assert!(summary.contains(r#""kind":"summary""#), "{summary}");
    for event in events {
        let event: serde_json::Value = serde_json::from_str(event).expect("JSON");
        assert_eq!(event["dst"], "127.0.0.1");
        assert_eq!(event["netns"].to_string(), **inode);
    }
}

#[test]
fn every_namespace_is_for_the_initial_user_namespace() {
    for words in [
        "icmptap listen --all-netns",
        "icmptap subscriptions --all-netns",
    ] {
        let result = output(&mut in_own_user_namespace(words));
        let stderr = String::from_utf8_lossy(&result.stderr);
        assert_eq!(result.status.code(), Some(4), "{words}: {stderr}");
        assert!(stderr.contains("CAP_NET_ADMIN"), "{words}: {stderr}");
    }
    for words in ["icmptap subscriptions", "icmptap stats"] {
        let result = output(&mut in_own_user_namespace(words));
        let stderr = String::from_utf8_lossy(&result.stderr);
        assert!(result.status.success(), "{words}: {stderr}");
    }
}
