//! What a suite of the archive holds now, believed because Debian signed it.
//!
//! A chain, each link checked by the one before: the archive keyring on this
//! machine, the signature in `InRelease`, the hash of `Packages.xz` in that, the
//! hash of each package in that. Needed only to pin; a pin then stands by itself.

use std::fs;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use liblzma::read::XzDecoder;
use xshell::{Shell, cmd};

use super::deb822;
use super::download::{Downloader, Wanted};
use super::lock::Package;
use super::version;
use crate::cache::Cache;

const PACKAGES: &str = "main/binary-amd64/Packages";

/// What a suite holds: of each package its name, where it is, and what it needs.
pub struct Index {
    suite: String,
    entries: Vec<Entry>,
}

/// A package in the index.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What would be pinned.
    pub package: Package,
    /// For each dependency, the names of which one is enough.
    pub depends: Vec<Vec<String>>,
}

impl Index {
    /// Fetches the suite's index and believes it only if its signature is by a key in `keyring`.
    pub(crate) fn fetch(
        downloader: &Downloader,
        cache: &Cache,
        keyring: &Path,
        suite: &str,
        date: &str,
    ) -> Result<Index> {
        let release = downloader.text(&format!("dists/{suite}/InRelease"), date, |signed| {
            let release = verify(signed, keyring)?;
            check_suite(&release, suite)?;
            Ok(release)
        })?;
        let (sha256, size) = listed(&release, &format!("{PACKAGES}.xz"))?;
        let path = format!("dists/{suite}/{PACKAGES}.xz");
        let packed = downloader.file(
            cache,
            &Wanted {
                path: &path,
                size,
                sha256: &sha256,
            },
            date,
        )?;
        let mut text = String::new();
        XzDecoder::new(fs::File::open(packed)?)
            .read_to_string(&mut text)
            .with_context(|| format!("cannot unpack {path}"))?;
        Ok(Index {
            suite: suite.to_owned(),
            entries: parse_packages(&text)?,
        })
    }

    /// The newest package of this name.
    pub fn get(&self, name: &str) -> Result<&Entry> {
        self.newest(name)
            .with_context(|| format!("{} has no package {name}", self.suite))
    }

    /// The newest package whose name matches a pattern with `*`s.
    pub fn newest(&self, pattern: &str) -> Option<&Entry> {
        self.entries
            .iter()
            .filter(|entry| matches(pattern, &entry.package.name))
            .max_by(|a, b| version::compare(&a.package.version, &b.package.version))
    }
}

/// What was signed. gpgv gives that and no more, so text outside of it is not read.
fn verify(signed: &[u8], keyring: &Path) -> Result<String> {
    let dir = tempfile::tempdir()?;
    let [from, to] = ["InRelease", "Release"].map(|name| dir.path().join(name));
    fs::write(&from, signed)?;
    let sh = Shell::new()?;
    let output = cmd!(sh, "gpgv --quiet --keyring {keyring} --output {to} {from}")
        .quiet()
        .ignore_status()
        .output()
        .context("cannot check the archive's signature")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said: Vec<_> = said
            .lines()
            .filter_map(|line| line.strip_prefix("gpgv: "))
            .map(str::trim)
            .collect();
        bail!("its signature is not Debian's ({})", said.join("; "));
    }
    fs::read_to_string(to).context("nothing was signed")
}

/// A mirror must not pass off one suite as another.
fn check_suite(release: &str, suite: &str) -> Result<()> {
    let release = deb822::paragraphs(release)
        .next()
        .context("the release file is empty")?;
    let is = ["Suite", "Codename"].map(|field| release.get(field).unwrap_or_default());
    ensure!(
        is.contains(&suite),
        "it is the index of {}, not of {suite}",
        is.join("/")
    );
    Ok(())
}

/// Hash and size of a file, as the release lists them.
fn listed(release: &str, file: &str) -> Result<(String, u64)> {
    let release = deb822::paragraphs(release)
        .next()
        .context("the release file is empty")?;
    let files = release.get("SHA256").unwrap_or_default();
    files
        .lines()
        .find_map(
            |line| match line.split_whitespace().collect::<Vec<_>>()[..] {
                [sha256, size, name] if name == file => {
                    Some((sha256.to_owned(), size.parse().ok()?))
                }
                _ => None,
            },
        )
        .with_context(|| format!("the release does not list {file}"))
}

fn parse_packages(text: &str) -> Result<Vec<Entry>> {
    deb822::paragraphs(text)
        .map(|paragraph| {
            let name = paragraph
                .get("Package")
                .context("a package in the index has no name")?;
            let field = |field| {
                let value = paragraph
                    .get(field)
                    .with_context(|| format!("{name} has no {field} in the index"))?;
                anyhow::Ok(value.to_owned())
            };
            let package = Package {
                name: name.to_owned(),
                version: field("Version")?,
                architecture: field("Architecture")?,
                path: field("Filename")?,
                size: field("Size")?.parse()?,
                sha256: field("SHA256")?,
            };
            let depends = ["Pre-Depends", "Depends"]
                .iter()
                .flat_map(|field| parse_depends(paragraph.get(field).unwrap_or_default()));
            Ok(Entry {
                package,
                depends: depends.collect(),
            })
        })
        .collect()
}

/// `a (>= 1) | b:any, c [amd64]`: the names only, `a` or `b`, and `c`.
fn parse_depends(text: &str) -> Vec<Vec<String>> {
    let name = |text: &str| {
        let name = text.trim().split([' ', '(', '[', ':', '\n']).next()?;
        (!name.is_empty()).then(|| name.to_owned())
    };
    text.split(',')
        .map(|group| group.split('|').filter_map(name).collect::<Vec<_>>())
        .filter(|group| !group.is_empty())
        .collect()
}

/// `*` stands for digits: an ABI's number, not another flavour's name.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            digits > 0 && matches(after, &rest[digits..])
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_server::{Answer, Server};
    use super::*;

    /// An archive that `xtask/fixtures/archive/make.sh` made and signed once.
    macro_rules! fixture {
        ($path:literal) => {
            include_bytes!(concat!("../fixtures/", $path)).to_vec()
        };
    }

    fn fetch(suite: &str, in_release: Vec<u8>, packages: Vec<u8>) -> Result<Index> {
        let server = Server::start();
        server.put(
            &format!("dists/{suite}/InRelease"),
            Answer::Body(in_release),
        );
        server.put(
            &format!("dists/{suite}/main/binary-amd64/Packages.xz"),
            Answer::Body(packages),
        );
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path()).unwrap();
        let keyring = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/keyring.gpg");
        Index::fetch(
            &Downloader::from(&[&server.base]),
            &cache,
            &keyring,
            suite,
            "now",
        )
    }

    fn refused(suite: &str, in_release: Vec<u8>, packages: Vec<u8>) -> String {
        format!(
            "{:#}",
            fetch(suite, in_release, packages)
                .err()
                .expect("it was believed")
        )
    }

    fn replaced(bytes: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains(from));
        text.replacen(from, to, 1).into_bytes()
    }

    #[test]
    fn a_signed_index_is_read() {
        let index = fetch("testing", fixture!("InRelease"), fixture!("Packages.xz")).unwrap();
        let image = index.newest("linux-image-6.1.0-*-cloud-amd64").unwrap();
        assert_eq!(image.package.name, "linux-image-6.1.0-10-cloud-amd64");
        let headers = index.get("linux-headers-6.1.0-10-cloud-amd64").unwrap();
        assert_eq!(
            headers.depends,
            [["linux-headers-6.1.0-10-common"], ["linux-kbuild-6.1"]]
        );
        assert!(
            index
                .get("absent")
                .err()
                .unwrap()
                .to_string()
                .contains("testing has no package absent")
        );
    }

    #[test]
    fn a_changed_release_is_refused() {
        let changed = replaced(fixture!("InRelease"), "Label: Test", "Label: Evil");
        let error = refused("testing", changed, fixture!("Packages.xz"));
        assert!(
            error.contains("its signature is not Debian's (") && error.contains("BAD signature"),
            "{error}"
        );
    }

    #[test]
    fn a_release_without_a_signature_is_refused() {
        let error = refused(
            "testing",
            b"Suite: testing\nCodename: testing\n".to_vec(),
            fixture!("Packages.xz"),
        );
        assert!(error.contains("its signature is not Debian's ("), "{error}");
    }

    #[test]
    fn a_release_signed_by_someone_else_is_refused() {
        let error = refused(
            "testing",
            fixture!("InRelease.stranger"),
            fixture!("Packages.xz"),
        );
        assert!(
            error.contains("its signature is not Debian's (") && error.contains("No public key"),
            "{error}"
        );
    }

    #[test]
    fn text_around_what_was_signed_is_not_read() {
        let around = [
            b"Suite: other\nCodename: other\n\n".to_vec(),
            fixture!("InRelease"),
        ]
        .concat();
        let error = refused("other", around, fixture!("Packages.xz"));
        assert!(
            error.contains("it is the index of testing/testing, not of other"),
            "{error}"
        );
    }

    #[test]
    fn another_suites_index_is_refused() {
        let error = refused("bookworm", fixture!("InRelease"), fixture!("Packages.xz"));
        assert!(
            error.contains("it is the index of testing/testing, not of bookworm"),
            "{error}"
        );
    }

    #[test]
    fn a_changed_index_is_refused() {
        let mut packages = fixture!("Packages.xz");
        packages[40] ^= 1;
        let error = refused("testing", fixture!("InRelease"), packages);
        assert!(
            error.contains("Packages.xz") && error.contains("not the file that was pinned"),
            "{error}"
        );
    }

    #[test]
    fn dependencies_are_groups_of_names() {
        assert_eq!(
            parse_depends("a (>= 1) | b:any,\n c [amd64], d"),
            [vec!["a", "b"], vec!["c"], vec!["d"]]
                .map(|group| group.into_iter().map(str::to_owned).collect::<Vec<_>>())
        );
        assert_eq!(parse_depends(""), Vec::<Vec<String>>::new());
    }

    #[test]
    fn a_star_stands_for_an_abi_number() {
        for (name, expected) in [
            ("linux-image-6.1.0-50-cloud-amd64", true),
            ("linux-image-6.1.0-9-cloud-amd64", true),
            ("linux-image-6.1.0-50-cloud-amd64-unsigned", false),
            ("linux-image-6.1.0-50-rt-cloud-amd64", false),
            ("linux-image-6.1.0--cloud-amd64", false),
        ] {
            assert_eq!(
                matches("linux-image-6.1.0-*-cloud-amd64", name),
                expected,
                "{name}"
            );
        }
    }
}
