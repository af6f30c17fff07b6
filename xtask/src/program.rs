//! Commands that lie in a crate of their own: compiled when they are first asked for.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use xtask_host::{cargo, ui};

/// Compiles this package's program, and becomes it, with the same arguments: so its exit
/// status, and what a signal does, are the command's own. Returns only if that fails.
pub(crate) fn become_one(package: &str) -> Result<ExitCode> {
    let phase = ui::phase("compile", package);
    let status = cargo()
        .args(["build", "--quiet", "--package", package])
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "{package} does not compile");
    phase.done();
    // Cargo puts all programs of a profile beside each other.
    let program = env::current_exe()?.with_file_name(package);
    let error = Command::new(&program).args(env::args_os().skip(1)).exec();
    Err(error).with_context(|| format!("cannot run {}", program.display()))
}
