//! gcov, in kernels that have it: how often each piece of the module was reached.
//!
//! Read when the module is gone: the kernel keeps the sum of all the times that it
//! was loaded.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use icmptap_guest::Report;

use crate::report::Reports;

/// Below it is each file's path on the machine that compiled.
const ROOT: &str = "/sys/kernel/debug/gcov";

/// Reports the counts of every file that was compiled to count.
pub(crate) fn report(reports: &Reports) -> Result<()> {
    let root = Path::new(ROOT);
    if root.exists() {
        walk(root, reports).context("read how often the module's code was reached")?;
    }
    Ok(())
}

fn walk(dir: &Path, reports: &Reports) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            walk(&path, reports)?;
        } else if path.extension().is_some_and(|is| is == "gcda") {
            let data = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
            let file = Path::new("/").join(path.strip_prefix(ROOT)?);
            reports.send(&Report::Coverage {
                file: file.to_string_lossy().into_owned(),
                data: data.into(),
            })?;
        }
    }
    Ok(())
}
