//! Time that the CPU worked.
//!
//! Under `-icount shift=0` a nanosecond of guest time is one instruction, as long
//! as the CPU is busy; an idle CPU's clock jumps to the next timer. So it never
//! idles: a process of the lowest class takes what nobody else wants, and the time
//! that it took is taken off again.

use std::env;
use std::hint::black_box;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::sys;

/// The argument that makes this program the process that takes idle time.
pub(crate) const SPIN: &str = "spin";

/// Some ticks of the slowest kernel.
pub(crate) const MOMENT: Duration = Duration::from_millis(40);
/// Instructions in a moment that are a few ticks, and no work.
const QUIET: u64 = 100_000;

/// Takes the idle time, until dropped.
pub(crate) struct Spinner(Child);

impl Spinner {
    pub(crate) fn start() -> Result<Spinner> {
        let child = Command::new(env::current_exe()?)
            .arg(SPIN)
            .stdin(Stdio::null())
            .spawn()
            .context("start what takes idle time")?;
        Ok(Spinner(child))
    }

    pub(crate) fn clock(&self) -> Clock {
        Clock {
            spinner: self.0.id(),
        }
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The spinner's own work.
pub(crate) fn spin() -> Result<()> {
    sys::become_idle_class().context("SCHED_IDLE")?;
    loop {
        black_box(());
    }
}

/// Counts instructions.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    /// Its process id.
    pub(crate) spinner: u32,
}

impl Clock {
    /// Instructions since the guest started, but for idle ones.
    pub(crate) fn now(self) -> Result<u64> {
        let all = sys::clock(libc::CLOCK_MONOTONIC).context("read the clock")?;
        let idle = sys::clock(sys::cpu_clock_of(self.spinner)).context("read the idle time")?;
        Ok(all - idle)
    }

    /// Waits until nothing is done any more, by the kernel for those that are gone
    /// (it takes its time with namespaces and sockets) or by others; gives the time
    /// since which nothing was.
    pub(crate) fn settle(self) -> Result<u64> {
        loop {
            let before = self.now()?;
            sleep(MOMENT);
            if self.now()? - before < QUIET {
                return Ok(before);
            }
        }
    }
}
