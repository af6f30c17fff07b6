//! A directory for one run: its image, its console log.

use std::fs::{self, File, TryLockError};
use std::path::PathBuf;

use anyhow::{Context, Result};
use xtask_host::workspace;

/// `target/vm/KERNEL`, ours until dropped; a run beside another gets
/// `target/vm/KERNEL.2`, and so on.
pub(crate) struct RunDirectory {
    dir: PathBuf,
    _lock: File,
}

impl RunDirectory {
    /// The first that nobody has.
    pub(crate) fn take(kernel: &str) -> Result<RunDirectory> {
        let mut number = 1;
        loop {
            let name = match number {
                1 => kernel.to_owned(),
                _ => format!("{kernel}.{number}"),
            };
            match RunDirectory::at(workspace::target().join("vm").join(name)) {
                Err(error) if is_taken(&error) => number += 1,
                other => return other,
            }
        }
    }

    /// This directory.
    pub(crate) fn at(dir: PathBuf) -> Result<RunDirectory> {
        fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
        let path = dir.join("lock");
        let lock = File::create(&path).with_context(|| format!("create {}", path.display()))?;
        lock.try_lock()
            .with_context(|| format!("lock {}", path.display()))?;
        Ok(RunDirectory { dir, _lock: lock })
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

fn is_taken(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(TryLockError::WouldBlock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_directory_is_for_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run_directory");
        let first = RunDirectory::at(path.clone()).unwrap();
        let error = RunDirectory::at(path.clone()).err().unwrap();
        assert!(is_taken(&error), "{error:#}");
        drop(first);
        RunDirectory::at(path).unwrap();
    }
}
