//! Tests that must not pass, each in its own way. `xtask/tests/harness.rs` runs them
//! to see that the harness says so; nobody else does.

use std::process::{abort, exit};
use std::thread::sleep;
use std::time::Duration;

#[test]
#[ignore = "dies on purpose"]
fn aborts() {
    abort();
}

#[test]
#[ignore = "fails on purpose"]
fn fails() {
    panic!("on purpose");
}

#[test]
#[ignore = "never ends on purpose"]
fn hangs() {
    loop {
        sleep(Duration::from_secs(60));
    }
}

#[test]
#[ignore = "ends its process on purpose, with a status that looks well"]
fn vanishes() {
    exit(0);
}
