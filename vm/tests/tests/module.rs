//! The module's own life: in, out, and not out while somebody listens.

use icmptap::Client;
use icmptap::reply::Info;
use icmptap_sys::NL_IMP2;
use icmptap_vm_tests::listen::Listener;
use icmptap_vm_tests::module;
use icmptap_vm_tests::net::{Namespace, Wire};
use icmptap_vm_tests::netlink::Socket;
use icmptap_vm_tests::probe::Probe;
use icmptap_vm_tests::process::run;
use rustix::io::Errno;

fn info() -> Info {
    let mut client = Client::open().expect("the module is loaded");
    client.info().expect("info")
}

#[test]
fn the_module_stays_while_somebody_listens() {
    let namespace = Namespace::new();
    let listener = Listener::start(&namespace);
    assert_eq!(module::try_unload(), Err(Errno::AGAIN));
    assert!(module::is_loaded());
    listener.stop();
    module::try_unload().expect("nobody listens any more");
    assert!(!module::is_loaded());
    module::load("");
}

#[test]
fn the_module_stays_while_an_imp2_socket_is_open() {
    let socket = Socket::open(NL_IMP2);
    assert_eq!(module::try_unload(), Err(Errno::AGAIN));
    drop(socket);
    module::reload("");
}

#[test]
fn a_hook_is_there_only_while_somebody_listens() {
    let wire = Wire::new();
    let calls = Probe::new("icmptap_hook", "p:icmptap_hook icmptap:on_ipv4");
    let ping = || {
        wire.left.run("ping -c 3 -i 0.05 10.0.0.2");
    };
    // Three requests arrive at the right end, three replies at the left one.
    assert_eq!(calls.during(ping), 0, "nobody listens");
    let one = Listener::start(&wire.left);
    assert_eq!(calls.during(ping), 3, "one listens at the left end");
    let two = Listener::start(&wire.left);
    assert_eq!(calls.during(ping), 3, "one hook serves both");
    let three = Listener::start(&wire.right);
    assert_eq!(calls.during(ping), 6, "now at the right end too");
    one.stop();
    assert_eq!(calls.during(ping), 6);
    two.stop();
    assert_eq!(calls.during(ping), 3);
    three.stop();
    assert_eq!(calls.during(ping), 0, "nobody listens any more");
}

#[test]
fn fifty_times_in_and_out() {
    let wire = Wire::new();
    let mut boot_ids = Vec::new();
    for _ in 0..50 {
        module::reload("");
        let listener = Listener::start(&wire.right);
        wire.left.run("ping -c 1 10.0.0.2");
        assert_eq!(listener.stop().events.len(), 1);
        boot_ids.push(info().boot_id);
    }
    boot_ids.sort_by_key(|id| id.0);
    boot_ids.dedup();
    assert_eq!(boot_ids.len(), 50, "each load has its own boot id");
}

#[test]
fn the_module_tells_its_version() {
    let info = info();
    assert_eq!(info.module_version, env!("CARGO_PKG_VERSION"));
    assert_eq!(info.schema_version, icmptap_sys::ICMPTAP_SCHEMA_VERSION);
    assert_eq!(
        run("cat /sys/module/icmptap/version").trim(),
        info.module_version
    );
}

#[test]
fn without_the_module_the_error_says_what_to_do() {
    module::unload();
    let error = Client::open().expect_err("no module").to_string();
    module::load("");
    assert!(error.contains("sudo modprobe icmptap"), "{error}");
}
