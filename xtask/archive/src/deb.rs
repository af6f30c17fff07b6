//! Unpacking a package without root: its files only, none of its scripts.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use liblzma::read::XzDecoder;

/// Unpacks the files of `deb` below `to`, where others may lie already. Modes and
/// symbolic links are kept; owners, and rights beyond a user's, are not.
pub fn unpack(deb: &Path, to: &Path) -> Result<()> {
    let unpack = || {
        let mut archive = ar::Archive::new(BufReader::new(File::open(deb)?));
        while let Some(member) = archive.next_entry() {
            let member = member.context("not a Debian package")?;
            match member.header().identifier() {
                b"data.tar.xz" => return unpack_tar(XzDecoder::new_multi_decoder(member), to),
                b"data.tar" => return unpack_tar(member, to),
                other => {
                    let name = String::from_utf8_lossy(other);
                    ensure!(
                        !name.starts_with("data.tar"),
                        "its files are packed as {name}, and only .xz is understood here"
                    );
                }
            }
        }
        bail!("not a Debian package: it has no data.tar")
    };
    unpack().with_context(|| format!("cannot unpack {}", deb.display()))
}

fn unpack_tar(tar: impl Read, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let mut tar = tar::Archive::new(tar);
    for entry in tar.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let inside = entry
            .unpack_in(to)
            .map_err(root_cause)
            .with_context(|| format!("at {}", path.display()))?;
        ensure!(
            inside,
            "it has a file outside of itself: {}",
            path.display()
        );
    }
    Ok(())
}

/// `tar` says what it was doing in words of its own; we have said that already.
fn root_cause(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::test_deb::{Deb, archive};

    fn unpacked(bytes: &[u8]) -> (tempfile::TempDir, Result<()>) {
        let dir = tempfile::tempdir().unwrap();
        let deb = dir.path().join("x.deb");
        fs::write(&deb, bytes).unwrap();
        let result = unpack(&deb, &dir.path().join("to"));
        (dir, result)
    }

    #[test]
    fn files_modes_and_links_are_kept() {
        let (dir, result) = unpacked(
            &Deb::new()
                .file("./usr/bin/tool", 0o4755, b"run")
                .file("./etc/plain", 0o644, b"read")
                .link("./usr/bin/name", "tool")
                .bytes(),
        );
        result.unwrap();
        let to = dir.path().join("to");
        assert_eq!(fs::read(to.join("usr/bin/name")).unwrap(), b"run");
        let mode = |path: &str| fs::metadata(to.join(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("usr/bin/tool"), mode("etc/plain")), (0o755, 0o644));
    }

    #[test]
    fn nothing_is_written_outside() {
        let (dir, result) = unpacked(&Deb::new().file("../escaped", 0o644, b"").bytes());
        let error = format!("{:#}", result.unwrap_err());
        assert!(
            error.contains("a file outside of itself: ../escaped"),
            "{error}"
        );
        assert!(!dir.path().join("escaped").exists());

        let outside = tempfile::tempdir().unwrap();
        let target = outside.path().to_str().unwrap();
        let (_dir, result) = unpacked(
            &Deb::new()
                .link("./door", target)
                .file("./door/escaped", 0o644, b"")
                .bytes(),
        );
        assert!(result.is_err());
        assert!(!outside.path().join("escaped").exists());
    }

    #[test]
    fn what_is_no_package_is_called_that() {
        for (bytes, words) in [
            (b"<html>".to_vec(), "not a Debian package"),
            (
                archive(&[("debian-binary", b"2.0\n")]),
                "it has no data.tar",
            ),
            (
                archive(&[("data.tar.zst", b"")]),
                "packed as data.tar.zst, and only .xz is understood here",
            ),
            (archive(&[("data.tar.xz", b"not xz")]), "cannot unpack"),
        ] {
            let error = format!("{:#}", unpacked(&bytes).1.unwrap_err());
            assert!(error.contains(words) && error.contains("x.deb"), "{error}");
        }
    }
}
