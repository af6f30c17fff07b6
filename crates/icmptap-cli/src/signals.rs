//! Ctrl-C and SIGTERM end the stream, not the program; the second one does.

use std::{process, thread};

use anyhow::Context;
use icmptap::Stopper;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

pub(crate) fn stop_on_signals(stopper: Stopper) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot catch signals")?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for (count, signal) in signals.forever().enumerate() {
                if count > 0 {
                    // What a shell reports of a process that a signal killed.
                    process::exit(128 + signal);
                }
                stopper.stop();
            }
        })
        .context("cannot start a thread")?;
    Ok(())
}
