//! kmemleak, in kernels that have it: memory that nothing leads to any more.
//!
//! What it finds goes to the console, where the host takes it for the kernel's
//! complaint that it is.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};

const FILE: &str = "/sys/kernel/debug/kmemleak";

/// Younger memory may be on its way from one place to another, and is not reported.
const AGE: Duration = Duration::from_secs(6);

/// Of what it found, the beginning: the console is slow.
const LINES_MAX: usize = 300;

/// Forgets what was lost so far.
pub(crate) fn clear() -> Result<()> {
    if Path::new(FILE).exists() {
        scan_all()?;
        tell("clear")?;
    }
    Ok(())
}

/// Looks for what was lost since, and shows it.
pub(crate) fn show() -> Result<()> {
    if !Path::new(FILE).exists() {
        return Ok(());
    }
    sleep(AGE);
    scan_all()?;
    let found = fs::read_to_string(FILE).with_context(|| format!("read {FILE}"))?;
    // The kernel would drop lines after the first ten.
    const LIMIT: &str = "/proc/sys/kernel/printk_devkmsg";
    fs::write(LIMIT, "on\n").with_context(|| format!("write to {LIMIT}"))?;
    for line in found.lines().take(LINES_MAX) {
        fs::write("/dev/kmsg", format!("<4>{line}\n")).context("write to /dev/kmsg")?;
    }
    Ok(())
}

/// What changed since it was last looked at is spared, so once is not enough.
///
/// Fails too when kmemleak has turned itself off, for want of memory.
fn scan_all() -> Result<()> {
    tell("scan")?;
    tell("scan")
}

fn tell(command: &str) -> Result<()> {
    fs::write(FILE, command).with_context(|| format!("write \"{command}\" to {FILE}"))
}
