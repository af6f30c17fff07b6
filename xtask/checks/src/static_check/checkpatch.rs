//! checkpatch: the kernel's style, and what its reviewers are tired of saying.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};
use xtask_archive::linux_source::CHECKPATCH;
use xtask_host::ui;

use super::findings::{Checker, Finding, parse};
use super::{MODULE, UAPI, in_kernel};

/// All that it says of the files that are laid out here.
pub(super) fn check(tree: &Path, laid_out: &Path) -> Result<Vec<Finding>> {
    let phase = ui::phase("check", "with checkpatch");
    let script = tree.join(CHECKPATCH);
    let mut files = Vec::new();
    for dir in [MODULE, UAPI] {
        find(laid_out, Path::new(dir), &mut files)?;
    }
    files.sort();

    let sh = Shell::new()?;
    sh.change_dir(laid_out);
    // It reads its settings from there, and those of this machine's owner are not ours.
    sh.set_var("HOME", laid_out);
    let output = cmd!(
        sh,
        "perl {script} --no-tree --strict --terse --show-types --color=never --file {files...}"
    )
    .quiet()
    .ignore_status()
    .output()
    .context("cannot run checkpatch")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    // With 1 it says that it found something; what it complains of itself, that it
    // did not look for everything.
    if !matches!(output.status.code(), Some(0 | 1)) || !failed.is_empty() {
        drop(phase);
        bail!(
            "checkpatch did not do its work ({}): {}",
            output.status,
            failed.trim_end()
        );
    }
    phase.done();
    Ok(findings(&said))
}

/// The files in `dir` and below it, by their path from `root`.
fn find(root: &Path, dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(root.join(dir))? {
        let entry = entry?;
        let path = dir.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            find(root, &path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// After the findings of each file, terse as it is, it gives their sum.
fn findings(said: &str) -> Vec<Finding> {
    said.lines()
        .filter(|line| !line.is_empty() && !line.starts_with("total: "))
        .map(|line| parse(Checker::Checkpatch, line, in_kernel))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_at_any_depth() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["icmptap/a.c", "icmptap/imp2/b.c", "c.h"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let mut files = Vec::new();
        find(dir.path(), Path::new("icmptap"), &mut files).unwrap();
        files.sort();
        assert_eq!(
            files,
            ["icmptap/a.c", "icmptap/imp2/b.c"].map(PathBuf::from)
        );
    }

    #[test]
    fn sums_are_not_findings() {
        let said = "\
icmptap/a.c:19: ERROR:SPACING: space required before the open brace '{'
total: 1 errors, 0 warnings, 0 checks, 31 lines checked
include/uapi/linux/b.h:27: CHECK:TYPO_SPELLING: 'x' may be misspelled - perhaps 'y'?
total: 0 errors, 0 warnings, 1 checks, 199 lines checked
something else
";
        let texts: Vec<_> = findings(said).iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "kernel/a.c:19: checkpatch: ERROR:SPACING: space required before the open brace '{'",
                "kernel/uapi/linux/b.h:27: checkpatch: CHECK:TYPO_SPELLING: 'x' may be misspelled - perhaps 'y'?",
                "checkpatch: something else",
            ]
        );
    }
}
