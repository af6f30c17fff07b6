//! To subscribe while packets come in: first the answer, then what was asked for; and
//! what was not begun leaves nothing behind.

use std::thread;
use std::time::Duration;

use icmptap_proto::request::{self, SubscribeOptions};
use icmptap_vm_tests::fire::asker::family;
use icmptap_vm_tests::net::Namespace;
use icmptap_vm_tests::packet::in_a_flood;
use icmptap_vm_tests::process::{Process, times, wait_until};
use icmptap_vm_tests::subscriber::Subscriber;
use rustix::io::Errno;
use rustix::process::Signal;

/// Bytes, of which the kernel makes twice as many.
const SIZES: [usize; 4] = [2 << 10, 4 << 10, 16 << 10, 32 << 10];

#[test]
fn the_reply_comes_before_the_first_event() {
    let family = family();
    let namespace = Namespace::new();
    in_a_flood(&namespace, || {
        for size in SIZES {
            for round in 0..times(10, 2) {
                let mut reader = namespace.enter(|| Subscriber::open(family));
                reader.set_receive_buffer(size);
                // Twice: the second one begins anew.
                for _ in 0..2 {
                    let asked = reader.subscribe(&SubscribeOptions::default());
                    let what = format!("{size} bytes, round {round}: {asked:?}");
                    assert_eq!(asked.batches_before, 0, "{what}");
                    assert!(asked.is_done(), "{what}");
                    // There is a flood; it may be another's turn to run.
                    wait_until("an event came", || reader.read(20) > 0);
                    reader.end();
                }
            }
        }
    });
}

#[test]
fn what_has_not_begun_sends_nothing() {
    let family = family();
    let namespace = Namespace::new();
    let mut refused = 0;
    in_a_flood(&namespace, || {
        for size in SIZES {
            for round in 0..times(10, 3) {
                let mut reader = namespace.enter(|| Subscriber::open(family));
                reader.set_receive_buffer(size);
                // No room, or hardly any, or just enough.
                for _ in 0..size / 256 * (round % 3) / 2 {
                    reader.send(request::get_info);
                }
                let asked = reader.subscribe(&SubscribeOptions::default());
                let what = format!("{size} bytes, round {round}: {asked:?}");
                if !asked.is_done() {
                    refused += 1;
                    assert!(matches!(asked.errno(), None | Some(Errno::AGAIN)), "{what}");
                    assert_eq!(asked.batches_before, 0, "{what}");
                    thread::sleep(Duration::from_millis(20));
                    assert_eq!(reader.read(1), 0, "{what}");
                    let flushed = reader.ask(request::flush);
                    assert_eq!(flushed.errno(), Some(Errno::NOENT), "{what}");
                    let again = reader.subscribe(&SubscribeOptions::default());
                    assert_eq!(again.batches_before, 0, "{again:?}");
                    assert!(again.is_done(), "{again:?}");
                }
                reader.read(20);
                reader.end();
            }
        }
    });
    assert!(refused > 0, "there was always room");
}

/// Listens for a moment, again and again.
fn listen_in_a_flood(options: &str) {
    let namespace = Namespace::new();
    let words = format!("icmptap listen --duration 20ms -c 10 {options}");
    let rounds = times(20, 4);
    let failed: Vec<_> = in_a_flood(&namespace, || {
        let run = |_| Process::start(namespace.command(&words)).end();
        let ends = (0..rounds).map(run);
        ends.filter(|(status, ..)| !status.success())
            .map(|(status, _, stderr)| format!("{status}: {stderr:?}"))
            .collect()
    });
    assert!(
        failed.is_empty(),
        "{} of {rounds}: {failed:#?}",
        failed.len()
    );
}

#[test]
fn to_listen_in_a_flood_never_fails_to_begin() {
    listen_in_a_flood("");
}

#[test]
fn nor_with_a_small_receive_buffer() {
    listen_in_a_flood("--rcvbuf 64K");
}

#[test]
fn nor_with_room_for_one_batch() {
    listen_in_a_flood("--rcvbuf 4K");
}

/// A signal at any time: the library asks for its end until it is answered.
#[test]
fn to_stop_in_a_flood_never_fails() {
    let namespace = Namespace::new();
    in_a_flood(&namespace, || {
        for options in ["--rcvbuf 4K", "--rcvbuf 64K"] {
            let words = format!("icmptap listen {options} -o json");
            let process = Process::start(namespace.command(&words));
            process.wait_for("listening on");
            thread::sleep(Duration::from_millis(200));
            let (status, _, stderr) = process.end_by(Signal::INT);
            assert!(status.success(), "{options}: {status}, {stderr:?}");
        }
    });
}
