//! How much one may have.

use icmptap::{Error, Subscription};
use icmptap_sys::{IMP2_U_PID, NL_IMP2, NLM_F_ACK, NLM_F_REQUEST};
use icmptap_vm_tests::module::{self, Changed};
use icmptap_vm_tests::net::Namespace;
use icmptap_vm_tests::netlink::{Socket, errno, header};
use icmptap_vm_tests::process::{command, output};
use rustix::io::Errno;

fn subscribe(namespace: &Namespace) -> Result<Subscription, Error> {
    namespace.enter(|| Subscription::builder().subscribe())
}

fn refused(namespace: &Namespace) -> String {
    subscribe(namespace).expect_err("a refusal").to_string()
}

#[test]
fn a_namespace_has_so_many_subscriptions() {
    let (one, other) = (Namespace::new(), Namespace::new());
    let _limit = Changed::parameter("max_per_netns", "3");
    let mut held: Vec<_> = (0..3).map(|_| subscribe(&one).expect("room")).collect();
    let error = refused(&one);
    assert!(error.contains("max_per_netns"), "{error}");
    // Which is no other namespace's.
    drop(subscribe(&other).expect("room"));
    held.pop().expect("three").finish().expect("finish");
    held.push(subscribe(&one).expect("room again"));
    refused(&one);
    // One that listens everywhere counts where it lives.
    let everywhere = Subscription::builder().all_netns(true);
    let _everywhere = other.enter(|| everywhere.subscribe()).expect("room");
    let _second = subscribe(&other).expect("room");
    let _third = subscribe(&other).expect("room");
    refused(&other);
}

#[test]
fn a_user_has_so_many_subscriptions_wherever() {
    let namespaces: Vec<_> = (0..3).map(|_| Namespace::new()).collect();
    let _limit = Changed::parameter("max_per_user", "2");
    let _held = [&namespaces[0], &namespaces[1]].map(|one| subscribe(one).expect("room"));
    let error = refused(&namespaces[2]);
    assert!(error.contains("max_per_user"), "{error}");
    // Another user, with rights over a namespace of its own.
    let words = "setpriv --reuid 1000 --regid 1000 --clear-groups \
                 unshare --user --map-root-user --net icmptap listen --duration 100ms";
    let result = output(&mut command(words));
    let stderr = String::from_utf8_lossy(&result.stderr);
    assert!(result.status.success(), "{stderr}");
}

#[test]
fn clients_of_imp2_count_too() {
    let namespace = Namespace::new();
    let _limit = Changed::parameter("max_per_netns", "1");
    let client = namespace.enter(|| Socket::open(NL_IMP2));
    let register = || {
        let (kind, flags) = (IMP2_U_PID as u16, (NLM_F_REQUEST | NLM_F_ACK) as u16);
        client.send(&header(16, kind, flags, 0)).expect("send");
        errno(&client.receive().expect("an answer"))
    };
    let held = subscribe(&namespace).expect("room");
    assert_eq!(register(), Errno::USERS.raw_os_error());
    held.finish().expect("finish");
    assert_eq!(register(), 0);
    let error = refused(&namespace);
    assert!(error.contains("max_per_netns"), "{error}");
}

#[test]
fn the_limits_are_those_of_the_description() {
    assert_eq!(module::parameter("max_per_netns"), "128");
    assert_eq!(module::parameter("max_per_user"), "256");
}
