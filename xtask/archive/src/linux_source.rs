//! The kernel's source, for the tools in it that no smaller package has: pinned in
//! `vm/linux-source.lock`, and unpacked only as far as somebody here uses it.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use liblzma::read::XzDecoder;
use sha2::{Digest, Sha256};
use xtask_host::{ui, workspace};

use crate::download::hex;
use crate::lock::{Lock, Package};
use crate::{Archive, deb, read_pins};

/// The tools that read specifications of netlink families.
pub const YNL: &str = "tools/net/ynl";
/// The schemas that such a specification has to match.
pub const NETLINK_SCHEMAS: &str = "Documentation/netlink";
/// The checker of style.
pub const CHECKPATCH: &str = "scripts/checkpatch.pl";
/// What checkpatch reads, beside itself.
const SPELLING: &str = "scripts/spelling.txt";
const CONST_STRUCTS: &str = "scripts/const_structs.checkpatch";
/// Coccinelle's rules.
pub const COCCINELLE: &str = "scripts/coccinelle";

/// Files and directories that are unpacked.
const PARTS: &[&str] = &[
    YNL,
    NETLINK_SCHEMAS,
    CHECKPATCH,
    SPELLING,
    CONST_STRUCTS,
    COCCINELLE,
];

/// Of a suite that changes no more, so that the pin lasts.
const SUITE: &str = "bookworm-backports";
const PACKAGE: &str = "linux-source-6.12";

/// The set in the lock file.
const SET: &str = "linux-source";

/// The root of the source, of which only the parts above are there.
pub fn tree(locked: bool) -> Result<PathBuf> {
    let archive = Archive::of_this_machine()?;
    let pins = read_pins(&lock_file(), SET)?;
    if let Some(cached) = archive.cache.get(&entry(&pins.packages)) {
        return Ok(cached.join(PACKAGE));
    }
    let (pins, debs) = archive.pinned(&lock_file(), SET, locked, || resolve(&archive))?;
    let made = archive.cache.entry(&entry(&pins.packages), |to| {
        let phase = ui::phase("unpack", PACKAGE);
        let whole = tempfile::tempdir()?;
        for deb in &debs {
            deb::unpack(deb, whole.path())?;
        }
        let tar = whole.path().join(format!("usr/src/{PACKAGE}.tar.xz"));
        unpack(&tar, PARTS, to).with_context(|| format!("cannot unpack {PACKAGE}"))?;
        phase.done();
        Ok(())
    })?;
    Ok(made.join(PACKAGE))
}

/// Pins the newest package.
pub fn update(archive: &Archive) -> Result<()> {
    let lock_file = lock_file();
    let mut lock = Lock::read(&lock_file)?;
    let changed = lock.pin(SET, resolve(archive)?);
    lock.write(&lock_file)?;
    ui::say(
        if changed { "pin" } else { "keep" },
        format!("{SET}  {PACKAGE}"),
    );
    Ok(())
}

fn lock_file() -> PathBuf {
    workspace::root().join("vm/linux-source.lock")
}

fn resolve(archive: &Archive) -> Result<Vec<Package>> {
    Ok(vec![archive.index(SUITE)?.get(PACKAGE)?.package.clone()])
}

/// The cache's name for these parts of these packages.
fn entry(packages: &[Package]) -> String {
    let mut hash = Sha256::new();
    for package in packages {
        hash.update(&package.sha256);
    }
    hash.update(PARTS.join("\n"));
    format!("linux-source/{}", &hex(&hash.finalize())[..16])
}

/// Unpacks the parts; every one of them has to be there.
fn unpack(tar: &Path, parts: &[&str], to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let file = BufReader::new(File::open(tar)?);
    for entry in tar::Archive::new(XzDecoder::new_multi_decoder(file)).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let inside = path.strip_prefix(PACKAGE).unwrap_or(&path);
        if parts.iter().any(|part| inside.starts_with(part)) {
            entry.unpack_in(to)?;
        }
    }
    for part in parts {
        ensure!(to.join(PACKAGE).join(part).exists(), "there is no {part}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use liblzma::write::XzEncoder;

    use super::*;

    #[test]
    fn the_parts_are_unpacked_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let tar = dir.path().join("source.tar.xz");
        let mut builder = tar::Builder::new(XzEncoder::new(File::create(&tar).unwrap(), 0));
        for name in [
            "scripts/one",
            "scripts/two",
            "tools/net/a/b",
            "tools/netter",
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_size(0);
            let path = format!("{PACKAGE}/{name}");
            builder.append_data(&mut header, path, &b""[..]).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap();

        let to = dir.path().join("to");
        unpack(&tar, &["scripts/two", "tools/net"], &to).unwrap();
        let root = to.join(PACKAGE);
        let has = |name: &str| root.join(name).exists();
        assert!(has("scripts/two") && has("tools/net/a/b"));
        assert!(!has("scripts/one") && !has("tools/netter"));

        let error = unpack(&tar, &["scripts/three"], &to).unwrap_err();
        assert_eq!(error.to_string(), "there is no scripts/three");
    }
}
