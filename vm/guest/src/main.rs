//! The first process of the test guest.
//!
//! The kernel starts it as `/init`. It does three things, each in a process of
//! its own, all from this one binary: process 1 makes a usable machine, starts the
//! worker, reaps whatever is orphaned, and ends the machine; the worker does the job and
//! reports; a session gives the worker's shell a terminal.

mod coverage;
mod init;
mod leaks;
mod module;
mod processes;
mod report;
mod run;
mod shell;
mod suite;
mod worker;

use std::process::ExitCode;

use anyhow::{Result, bail};

fn main() -> ExitCode {
    let role = std::env::args().nth(1);
    let result = match role.as_deref() {
        None if std::process::id() == 1 => init::run(),
        Some(worker::ROLE) => worker::run(),
        Some(shell::ROLE) => shell::session(),
        _ => not_init(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // On the console, where process 1's standard error goes.
            eprintln!("icmptap-guest: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn not_init() -> Result<()> {
    bail!("this is the first process of a test guest; `cargo xtask vm-run` boots one")
}
