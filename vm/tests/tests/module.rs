//! The modules' own lives: in, out, and not out while somebody listens.

use icmptap::reply::Info;
use icmptap::{Client, Imp2};
use icmptap_sys::NL_IMP2;
use icmptap_vm_tests::listen::Listener;
use icmptap_vm_tests::module;
use icmptap_vm_tests::net::{Namespace, Wire};
use icmptap_vm_tests::netlink::Socket;
use icmptap_vm_tests::probe::Probe;
use icmptap_vm_tests::process::{output, run, times};
use rustix::io::Errno;

fn info() -> Info {
    let mut client = Client::open().expect("the module is loaded");
    client.info().expect("info")
}

#[test]
fn the_module_stays_while_somebody_listens() {
    let namespace = Namespace::new();
    let listener = Listener::start(&namespace);
    // icmptap_imp2 is not what holds it.
    module::IMP2.try_unload().expect("nobody speaks IMP2");
    assert_eq!(module::ICMPTAP.try_unload(), Err(Errno::AGAIN));
    assert!(module::ICMPTAP.is_loaded());
    listener.stop();
    let unloaded = module::ICMPTAP.try_unload();
    unloaded.expect("nobody listens any more");
    assert!(!module::ICMPTAP.is_loaded());
    module::load("");
}

#[test]
fn both_modules_stay_while_an_imp2_socket_is_open() {
    let socket = Socket::open(NL_IMP2);
    for module in module::BOTH {
        assert_eq!(module.try_unload(), Err(Errno::AGAIN), "{}", module.name);
    }
    assert_eq!(module::IMP2.references(), 1);
    drop(socket);
    module::reload("");
}

#[test]
fn the_module_stays_while_imp2_needs_it() {
    assert!(module::are_free());
    assert_eq!(module::ICMPTAP.try_unload(), Err(Errno::AGAIN));
    module::IMP2.unload();
    module::ICMPTAP.unload();
    assert_eq!(module::IMP2.try_load(""), Err(Errno::NOENT));
    module::load("");
}

#[test]
fn whoever_does_not_speak_imp2_does_not_need_its_module() {
    module::IMP2.unload();
    let wire = Wire::new();
    let listener = Listener::start(&wire.right);
    wire.left.run("ping -c 1 10.0.0.2");
    assert_eq!(listener.stop().events.len(), 1);
    let result = output(&mut wire.right.command("icmptap imp2"));
    let stderr = String::from_utf8_lossy(&result.stderr);
    assert_eq!(result.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("sudo modprobe icmptap_imp2"), "{stderr}");
    module::IMP2.load("");
}

#[test]
fn modprobe_brings_what_imp2_needs() {
    module::unload();
    run("modprobe icmptap_imp2");
    assert!(module::BOTH.iter().all(|module| module.is_loaded()));
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
fn many_times_in_and_out() {
    let wire = Wire::new();
    let mut boot_ids = Vec::new();
    let times = times(50, 10);
    for _ in 0..times {
        module::reload("");
        let listener = Listener::start(&wire.right);
        wire.left.run("ping -c 1 10.0.0.2");
        assert_eq!(listener.stop().events.len(), 1);
        boot_ids.push(info().boot_id);
    }
    boot_ids.sort_by_key(|id| id.0);
    boot_ids.dedup();
    assert_eq!(boot_ids.len(), times, "each load has its own boot id");
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
    let of_imp2 = Imp2::register().expect_err("no module").to_string();
    module::load("");
    assert!(error.ends_with("sudo modprobe icmptap"), "{error}");
    assert!(of_imp2.ends_with("sudo modprobe icmptap_imp2"), "{of_imp2}");
}
