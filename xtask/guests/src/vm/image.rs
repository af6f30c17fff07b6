//! What the guest boots from: two archives, one after the other, as the kernel
//! allows. The first holds the tools and changes rarely; the second what is ours.
//!
//! The same inputs give the same bytes, and an image whose inputs have not changed
//! is not made again. Nothing is compressed: unpacking costs an emulated CPU more
//! than reading does (docs/testing.md has the figures).

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use xtask_archive::cache::Cache;

use super::cpio::Tree;
use super::run_directory::RunDirectory;
use crate::guest_packages::ImageFile;

const BUSYBOX: &str = "bin/busybox";

const USERS: &str = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n";
const GROUPS: &str = "root:x:0:\nnogroup:x:65534:\n";
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost ip6-localhost\n";

/// The archive of tools, and of what is in `tree` already, from the cache.
pub(crate) fn base(cache: &Cache, mut tree: Tree, tools: &[ImageFile]) -> Result<PathBuf> {
    for directory in ["proc", "sys", "dev", "tmp", "run", "root", "var"] {
        tree.directory(directory);
    }
    tree.device("dev/console", 0o600, 5, 1);
    tree.device("dev/null", 0o666, 1, 3);
    tree.symlink("var/run", "/run");
    tree.file("etc/passwd", 0o644, USERS);
    tree.file("etc/group", 0o644, GROUPS);
    tree.file("etc/hosts", 0o644, HOSTS);
    add(&mut tree, tools)?;

    let busybox = tools
        .iter()
        .find(|item| item.dst.trim_start_matches('/') == BUSYBOX);
    let inputs = tree.inputs()?;
    let hash: String = Sha256::digest(&inputs)[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    cache.entry(&format!("image/{hash}.cpio"), |path| {
        if let Some(busybox) = busybox {
            for applet in applets(&busybox.src)? {
                // A real tool is better than busybox's.
                let real = |dir: &str| tree.contains(&format!("{dir}/{applet}"));
                if !["bin", "sbin", "usr/bin", "usr/sbin"].into_iter().any(real) {
                    tree.symlink(&format!("bin/{applet}"), "busybox");
                }
            }
        }
        write(&tree, path, None)
    })
}

/// The whole image: the base, then `ours`.
pub(crate) fn build(run_directory: &RunDirectory, base: &Path, ours: &Tree) -> Result<PathBuf> {
    let image = run_directory.file("image.cpio");
    let list = run_directory.file("image.inputs");
    let inputs = format!("{}\n{}", base.display(), ours.inputs()?);
    if image.exists() && fs::read_to_string(&list).is_ok_and(|old| old == inputs) {
        return Ok(image);
    }
    // Gone first: an image without its list is made again.
    match fs::remove_file(&list) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("remove {}", list.display()));
        }
        _ => (),
    }
    write(ours, &image, Some(base))?;
    fs::write(&list, inputs).with_context(|| format!("write {}", list.display()))?;
    Ok(image)
}

/// Adds files of the host.
pub(crate) fn add(tree: &mut Tree, items: &[ImageFile]) -> Result<()> {
    for item in items {
        tree.copy(&item.dst, item.mode, &item.src)
            .with_context(|| format!("cannot put {} into the image", item.src.display()))?;
    }
    Ok(())
}

fn write(tree: &Tree, path: &Path, base: Option<&Path>) -> Result<()> {
    let result = (|| {
        let file = match base {
            Some(base) => {
                fs::copy(base, path)?;
                File::options().append(true).open(path)?
            }
            None => File::create(path)?,
        };
        let mut file = BufWriter::new(file);
        tree.write(&mut file)?;
        file.flush()
    })();
    result.with_context(|| format!("cannot write {}", path.display()))
}

/// The names that busybox answers to. It is asked here: in the guest it would cost
/// time at each boot.
fn applets(busybox: &Path) -> Result<Vec<String>> {
    let output = Command::new(busybox)
        .arg("--list")
        .output()
        .with_context(|| format!("run {}", busybox.display()))?;
    if !output.status.success() {
        bail!("{} --list: {}", busybox.display(), output.status);
    }
    let text = String::from_utf8(output.stdout).context("busybox --list")?;
    let names = text.lines().filter(|name| *name != "busybox");
    Ok(names.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::script;

    fn busybox(dir: &Path) -> ImageFile {
        let source = dir.join("busybox");
        script::write(&source, "printf 'busybox\\nls\\nping\\n'");
        ImageFile {
            dst: "/bin/busybox".into(),
            mode: 0o755,
            src: source,
        }
    }

    fn count(archive: &[u8], name: &str) -> usize {
        let text = String::from_utf8_lossy(archive);
        text.matches(&format!("{name}\0")).count()
    }

    #[test]
    fn applets_give_way_to_real_tools() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path().join("cache")).unwrap();
        let ping = dir.path().join("ping");
        fs::write(&ping, "real").unwrap();
        let mut tools = vec![busybox(dir.path())];
        let without = fs::read(base(&cache, Tree::default(), &tools).unwrap()).unwrap();
        assert_eq!(count(&without, "bin/ls"), 1);
        assert_eq!(count(&without, "bin/ping"), 1);
        tools.push(ImageFile {
            dst: "usr/bin/ping".into(),
            mode: 0o755,
            src: ping,
        });
        let with = fs::read(base(&cache, Tree::default(), &tools).unwrap()).unwrap();
        assert_eq!(count(&with, "bin/ls"), 1);
        assert_eq!(count(&with, "usr/bin/ping"), 1);
        assert_eq!(count(&with, "bin/ping"), 1, "only the real one");
    }

    #[test]
    fn the_same_inputs_give_the_same_bytes_anywhere() {
        let bytes = || {
            let dir = tempfile::tempdir().unwrap();
            let cache = Cache::at(dir.path().join("cache")).unwrap();
            let base = base(&cache, Tree::default(), &[busybox(dir.path())]).unwrap();
            let run_directory = RunDirectory::at(dir.path().join("run_directory")).unwrap();
            let mut ours = Tree::default();
            ours.file("job.json", 0o644, "{}");
            fs::read(build(&run_directory, &base, &ours).unwrap()).unwrap()
        };
        let first = bytes();
        // Neither another directory nor another second shows in it.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        assert!(first == bytes());
    }

    #[test]
    fn a_tool_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path().join("cache")).unwrap();
        let mut tools = [busybox(dir.path())];
        tools[0].src = dir.path().join("gone");
        let error = format!("{:#}", base(&cache, Tree::default(), &tools).unwrap_err());
        assert!(error.contains("gone"), "{error}");
    }

    #[test]
    fn an_image_is_made_again_only_when_an_input_changed() {
        let dir = tempfile::tempdir().unwrap();
        let first = dir.path().join("base.cpio");
        fs::write(&first, [0; 512]).unwrap();
        let run_directory = RunDirectory::at(dir.path().join("run_directory")).unwrap();
        let tree = |text: &str| {
            let mut tree = Tree::default();
            tree.file("job.json", 0o644, text);
            tree
        };
        let image = build(&run_directory, &first, &tree("1")).unwrap();
        let bytes = fs::read(&image).unwrap();
        assert_eq!(bytes.len() % 512, 0);
        let made = |image: &Path| fs::metadata(image).unwrap().modified().unwrap();
        let time = made(&image);
        build(&run_directory, &first, &tree("1")).unwrap();
        assert_eq!(made(&image), time, "made again for nothing");
        build(&run_directory, &first, &tree("2")).unwrap();
        assert_ne!(fs::read(&image).unwrap(), bytes);
        build(&run_directory, &first, &tree("1")).unwrap();
        assert_eq!(fs::read(&image).unwrap(), bytes, "same inputs, other bytes");
    }
}
