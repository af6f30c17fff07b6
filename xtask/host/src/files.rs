//! Trees of files, for what is built outside the source tree.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Their contents, by their path in the tree.
pub type Files = BTreeMap<PathBuf, Vec<u8>>;

/// The files below `root`, by their path from there.
pub fn read_tree(root: &Path) -> Result<Files> {
    fn walk(root: &Path, below: &Path, files: &mut Files) -> Result<()> {
        for entry in fs::read_dir(root.join(below))? {
            let entry = entry?;
            let path = below.join(entry.file_name());
            if entry.path().is_dir() {
                walk(root, &path, files)?;
            } else {
                files.insert(path, fs::read(entry.path())?);
            }
        }
        Ok(())
    }
    let mut files = BTreeMap::new();
    walk(root, Path::new(""), &mut files)
        .with_context(|| format!("cannot read {}", root.display()))?;
    Ok(files)
}

/// Makes `out` hold these files. What is the same is not touched, so that make sees
/// what changed; what was copied before and is gone goes here too.
pub fn lay_down(files: &Files, out: &Path) -> Result<()> {
    let manifest = out.join(".xtask-sources");
    for copied in fs::read_to_string(&manifest).unwrap_or_default().lines() {
        if !files.contains_key(Path::new(copied)) {
            let _ = fs::remove_file(out.join(copied));
        }
    }
    let names: Vec<_> = files
        .keys()
        .map(|path| path.display().to_string())
        .collect();
    fs::write(&manifest, names.join("\n"))?;
    for (path, text) in files {
        let to = out.join(path);
        if fs::read(&to).is_ok_and(|old| old == *text) {
            continue;
        }
        fs::create_dir_all(to.parent().unwrap_or(out))?;
        fs::write(&to, text).with_context(|| format!("cannot write {}", to.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_copied_and_what_vanished_goes() {
        let [source, out] = [(), ()].map(|()| tempfile::tempdir().unwrap());
        let names = ["Kbuild", "uapi/linux/a.h", "old.c"];
        let files = names.map(|name| (PathBuf::from(name), Vec::new()));
        lay_down(&files.into(), source.path()).unwrap();
        fs::remove_file(source.path().join(".xtask-sources")).unwrap();
        fs::write(out.path().join("old.o"), "").unwrap();
        lay_down(&read_tree(source.path()).unwrap(), out.path()).unwrap();
        let modified = |name: &str| {
            fs::metadata(out.path().join(name))
                .unwrap()
                .modified()
                .unwrap()
        };
        let before = (modified("Kbuild"), modified("uapi/linux/a.h"));
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::remove_file(source.path().join("old.c")).unwrap();
        fs::write(source.path().join("Kbuild"), "new").unwrap();
        lay_down(&read_tree(source.path()).unwrap(), out.path()).unwrap();
        assert!(modified("Kbuild") > before.0);
        assert_eq!(modified("uapi/linux/a.h"), before.1);
        assert!(!out.path().join("old.c").exists());
        assert!(out.path().join("old.o").exists());
    }
}
