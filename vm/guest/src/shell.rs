//! `Shell`: an interactive shell on the console.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};
use icmptap_guest::{CONSOLE, Report};
use rustix::fs::{Mode, OFlags};
use rustix::process::{ioctl_tiocsctty, setsid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::termios::{tcgetwinsize, tcsetwinsize};

use crate::processes::ending;
use crate::report::Reports;

/// What [`run`] calls the process that becomes the shell.
pub(crate) const ROLE: &str = "session";

pub(crate) fn run(size: Option<(u16, u16)>, term: Option<&str>, reports: &Reports) -> Result<()> {
    let (rows, columns) = size.unwrap_or((24, 80));
    let status = Command::new("/init")
        .args([ROLE, &rows.to_string(), &columns.to_string()])
        .env("TERM", term.unwrap_or("vt100"))
        // Which dash expands, and it knows no \w.
        .env("PS1", "guest $PWD # ")
        .current_dir("/root")
        .status()
        .context("start a session")?;
    reports.send(&Report::Exited {
        ending: ending(status),
    })
}

/// Makes the console this process's terminal (without one there is no job
/// control), and becomes the shell.
pub(crate) fn session() -> Result<()> {
    let number = |n| std::env::args().nth(n).and_then(|word| word.parse().ok());
    let (Some(rows), Some(columns)) = (number(2), number(3)) else {
        bail!("usage: {ROLE} ROWS COLUMNS");
    };
    setsid()?;
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let console = rustix::fs::open(CONSOLE, flags, Mode::empty())
        .with_context(|| format!("open {CONSOLE}"))?;
    // Opening it was enough, unless somebody else had it.
    let _ = ioctl_tiocsctty(&console);
    let mut size = tcgetwinsize(&console)?;
    (size.ws_row, size.ws_col) = (rows, columns);
    tcsetwinsize(&console, size)?;
    dup2_stdin(&console)?;
    dup2_stdout(&console)?;
    dup2_stderr(&console)?;
    Err(Command::new("/bin/sh").exec()).context("start /bin/sh")
}
