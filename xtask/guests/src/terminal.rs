//! The user's terminal, which QEMU makes raw, and which must not stay so whatever
//! ends us.

use std::io::stdin;
use std::thread;

use anyhow::{Context, Result};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

/// The terminal as it was, put back when dropped and when a signal ends us.
pub(crate) struct Terminal {
    before: Termios,
    signals: Handle,
}

impl Terminal {
    /// Remembers how it is.
    pub(crate) fn hold() -> Result<Terminal> {
        let before = tcgetattr(stdin()).context("standard input is not a terminal")?;
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("catch signals")?;
        let handle = signals.handle();
        let put_back = before.clone();
        thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                restore(&put_back);
                // As the shell would see it. QEMU goes with us.
                std::process::exit(128 + signal);
            }
        });
        Ok(Terminal {
            before,
            signals: handle,
        })
    }

    /// Rows and columns.
    pub(crate) fn size(&self) -> Option<(u16, u16)> {
        let size = tcgetwinsize(stdin()).ok()?;
        (size.ws_row > 0).then_some((size.ws_row, size.ws_col))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.signals.close();
        restore(&self.before);
    }
}

fn restore(before: &Termios) {
    // Without a terminal there is nothing to restore.
    let _ = tcsetattr(stdin(), OptionalActions::Now, before);
}
