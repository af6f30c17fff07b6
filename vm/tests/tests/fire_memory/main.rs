//! Allocations that fail. Every call by which the modules ask for memory, their own
//! or what the kernel's functions take for it, is made to fail, and shown: the list
//! of calls comes from the machine code, so that a new one cannot be forgotten.
//! What a failure may do to others is checked each time: a request is refused as a
//! whole or carried out as a whole, and a packet is counted.

mod asker;
mod packets;
mod requests;
mod surroundings;
mod tally;

use icmptap::Client;
use icmptap_vm_tests::fault::{Quiet, Watch, Which};
use icmptap_vm_tests::listen::Listener;
use icmptap_vm_tests::module::{self, Module};
use icmptap_vm_tests::net::Wire;
use icmptap_vm_tests::probe::Probe;

use crate::tally::Tally;

#[test]
fn every_symbol_from_the_kernel_is_known() {
    assert_eq!(
        tally::unknown(),
        [""; 0],
        "do these allocate? tally.rs has to know"
    );
}

/// In one test, because only all of them together can be complete.
#[test]
fn every_allocation_fails_and_nothing_else() {
    Which::NONE.set();
    let mut quiet = Quiet::new();
    let mut tally = Tally::new();
    let watch = Watch::new();

    requests::of_the_family(&watch, &mut tally);
    requests::of_imp2(&watch, &mut tally);
    packets::lost_and_counted(&watch, &mut tally);
    surroundings::hooks_of_others(&watch, &mut tally);
    surroundings::a_namespace_is_made(&watch, &mut tally);
    surroundings::a_namespace_ends(&watch, &mut tally);
    surroundings::per_cpu_memory(&watch, &mut tally);
    for module in module::BOTH {
        surroundings::in_and_out(module, &watch, &mut quiet, &mut tally);
    }
    tally.judge();
}

/// So many subscriptions live, and only they and so many IMP2 sockets hold the
/// modules. Where there is an IMP2 socket, the subscriptions are IMP2's.
fn assert_living(subscriptions: usize, imp2_sockets: usize) {
    let list = Client::open().and_then(|mut client| client.subscriptions(true));
    assert_eq!(list.expect("a list").len(), subscriptions);
    let of_imp2 = if imp2_sockets > 0 { subscriptions } else { 0 };
    let held = |module: Module| module.references() as usize;
    let by_family = subscriptions - of_imp2;
    assert_eq!(held(module::ICMPTAP), by_family, "references");
    if module::IMP2.is_loaded() {
        assert_eq!(held(module::IMP2), imp2_sockets + of_imp2, "references");
    }
}

/// A good subscription works, and when it has ended nothing of the module is in a
/// packet's way any more.
fn assert_sound(wire: &Wire) {
    let ping = || {
        wire.left.run("ping -c 1 10.0.0.2");
    };
    let listener = Listener::start(&wire.right);
    ping();
    assert_eq!(listener.stop().events.len(), 1);
    let hook = Probe::new("icmptap_hook", "p:icmptap_hook icmptap:on_ipv4");
    assert_eq!(hook.during(ping), 0, "a hook is left");
    drop(hook);
    assert_living(0, 0);
}
