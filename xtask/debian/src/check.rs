//! What can be said of packages without installing them.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use xtask_host::{ui, workspace};

use crate::build::{Builder, Built, Parts};

/// lintian has nothing to say of them.
pub(crate) fn lintian(built: &Built) -> Result<()> {
    let phase = ui::phase("check", "the packages, by lintian");
    let output = Command::new("lintian")
        .args(["--allow-root", "--tag-display-limit", "0", "--display-info"])
        .args(["--fail-on", "error,warning,info"])
        // Machine code looks like words, and after each change like others.
        .args(["--suppress-tags", "spelling-error-in-binary"])
        .arg(&built.changes)
        .output()
        .context("cannot run lintian")?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    if !output.status.success() || !said.trim().is_empty() {
        drop(phase);
        eprint!("{said}");
        bail!("lintian: {}: see above", output.status);
    }
    phase.done();
    Ok(())
}

/// Built again in another place, from nothing, they have the same bytes.
pub(crate) fn reproducible(built: &Built) -> Result<()> {
    let place = workspace::target().join("debian-again");
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    let again = Builder::at(&place.join("deeper"))?.build(Parts::All)?;
    for (first, second) in built.packages.iter().zip(&again.packages) {
        ensure!(
            read(first)? == read(second)?,
            "{} and {} differ: diffoscope tells in what",
            first.display(),
            second.display()
        );
    }
    fs::remove_dir_all(&place).with_context(|| format!("cannot remove {}", place.display()))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
