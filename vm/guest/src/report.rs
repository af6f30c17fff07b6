//! The one writer of reports, for all the threads that have something to say.

use std::fs::File;
use std::io::Write;
use std::sync::Mutex;

use anyhow::{Context, Result};
use icmptap_guest::{REPORTS, Report};
use rustix::fs::{Mode, OFlags};
use rustix::termios::{OptionalActions, tcdrain, tcgetattr, tcsetattr};

pub(crate) struct Reports(Mutex<File>);

impl Reports {
    /// Opens the serial port, and stops the line discipline from changing bytes.
    pub(crate) fn open() -> Result<Reports> {
        let flags = OFlags::WRONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
        let port = rustix::fs::open(REPORTS, flags, Mode::empty())
            .with_context(|| format!("open {REPORTS}"))?;
        let mut settings = tcgetattr(&port)?;
        settings.make_raw();
        tcsetattr(&port, OptionalActions::Now, &settings)?;
        Ok(Reports(Mutex::new(port.into())))
    }

    /// Sends one report, whole.
    pub(crate) fn send(&self, report: &Report) -> Result<()> {
        let mut line = serde_json::to_vec(report)?;
        line.push(b'\n');
        let mut port = self.0.lock().unwrap_or_else(|poison| poison.into_inner());
        port.write_all(&line)
            .with_context(|| format!("write to {REPORTS}"))
    }

    /// Reports what went wrong and goes on.
    pub(crate) fn problem(&self, error: &anyhow::Error) -> Result<()> {
        let what = format!("{error:#}");
        self.send(&Report::Problem { what })
    }

    /// Waits until the last byte is out: powering off would lose it.
    pub(crate) fn flush(&self) -> Result<()> {
        let port = self.0.lock().unwrap_or_else(|poison| poison.into_inner());
        tcdrain(&*port).with_context(|| format!("drain {REPORTS}"))
    }
}
