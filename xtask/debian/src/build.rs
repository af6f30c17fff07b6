//! The packages, by debhelper, from a copy of the repository's files with
//! `packaging/debian` as its `debian/`.
//!
//! What Debian's tools leave behind stays out of the repository, and what they see is what git
//! tracks or would track.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use xtask_host::files::{Files, lay_down, read_tree};
use xtask_host::setup::{self, Tool};
use xtask_host::{ui, workspace};

use crate::crates;

/// Where the repository has what becomes `debian/`.
const PACKAGING: &str = "packaging/debian";

/// Which packages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Parts {
    /// `icmptap` and `icmptap-dkms`.
    All,
    /// `icmptap-dkms`, which takes no compiler.
    Modules,
}

/// What was built.
pub(crate) struct Built {
    /// Of all of them.
    pub(crate) version: String,
    /// The packages, sorted.
    pub(crate) packages: Vec<PathBuf>,
    /// The file that names them, for lintian.
    pub(crate) changes: PathBuf,
}

/// Where packages are built.
pub(crate) struct Builder {
    place: PathBuf,
    files: Files,
}

impl Builder {
    /// In this directory, which is made if need be.
    pub(crate) fn at(place: &Path) -> Result<Builder> {
        let os_release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        ensure!(
            is_bookworm(&os_release),
            "the packages are built on Debian 12, and this is another system: \
             run this in a container of it, such as rust:1.95-bookworm"
        );
        setup::need(&[
            Tool::Gcc,
            Tool::StaticLibc,
            Tool::Debhelper,
            Tool::DhDkms,
            Tool::Lintian,
        ])?;
        fs::create_dir_all(place).with_context(|| format!("cannot create {}", place.display()))?;
        Ok(Builder {
            place: place.to_owned(),
            files: sources()?,
        })
    }

    /// The same packages of a later version, whose modules differ.
    pub(crate) fn later(mut self) -> Result<Builder> {
        let version = env!("CARGO_PKG_VERSION");
        let later = format!("{version}+later");
        for (file, from, to) in [
            (
                "debian/changelog",
                format!("({version})"),
                format!("({later})"),
            ),
            (
                "kernel/version.h",
                format!("\"{version}\""),
                format!("\"{later}\""),
            ),
        ] {
            let text = self.files.get_mut(Path::new(file)).context(file)?;
            let changed = String::from_utf8_lossy(text).replacen(&from, &to, 1);
            ensure!(changed.as_bytes() != text, "{file} does not say {from}");
            *text = changed.into();
        }
        Ok(self)
    }

    /// Builds them.
    pub(crate) fn build(&self, parts: Parts) -> Result<Built> {
        let tree = self.place.join("build/icmptap");
        fs::create_dir_all(&tree).with_context(|| format!("cannot create {}", tree.display()))?;
        lay_down(&self.files, &tree)?;
        fs::set_permissions(tree.join("debian/rules"), Permissions::from_mode(0o755))?;
        if parts == Parts::All {
            fs::write(tree.join("debian/crates.txt"), crates::list()?)?;
            fetch_crates()?;
        }
        let phase = ui::phase("build", "the packages");
        let log = self.place.join("build.log");
        let output = fs::File::create(&log)?;
        let mut command = Command::new("dpkg-buildpackage");
        command
            .args(["--unsigned-source", "--unsigned-changes"])
            .arg(match parts {
                Parts::All => "--build=binary",
                Parts::Modules => "--build=all",
            })
            .current_dir(&tree)
            .env("CARGO", xtask_host::cargo().get_program())
            .env("CARGO_HOME", cargo_home()?)
            .env("CARGO_TARGET_DIR", self.place.join("cargo"))
            .stdin(Stdio::null())
            .stderr(output.try_clone()?)
            .stdout(output);
        let status = command.status().context("cannot run dpkg-buildpackage")?;
        if !status.success() {
            drop(phase);
            eprint!("{}", fs::read_to_string(&log).unwrap_or_default());
            bail!("dpkg-buildpackage: {status}: see above");
        }
        phase.done();
        self.collect(parts)
    }

    /// Moves what was built to where it is looked for.
    fn collect(&self, parts: Parts) -> Result<Built> {
        let version = self.version()?;
        let (architecture, names) = match parts {
            Parts::All => (
                "amd64",
                &[("icmptap-dkms", "all"), ("icmptap", "amd64")][..],
            ),
            Parts::Modules => ("all", &[("icmptap-dkms", "all")][..]),
        };
        let build = self.place.join("build");
        let take = |name: String| {
            let to = self.place.join(&name);
            fs::rename(build.join(&name), &to).with_context(|| format!("{name} was not built"))?;
            anyhow::Ok(to)
        };
        let packages = names
            .iter()
            .map(|(name, architecture)| take(format!("{name}_{version}_{architecture}.deb")))
            .collect::<Result<_>>()?;
        take(format!("icmptap_{version}_{architecture}.buildinfo"))?;
        let changes = take(format!("icmptap_{version}_{architecture}.changes"))?;
        Ok(Built {
            version,
            packages,
            changes,
        })
    }

    /// Of the packages, as the changelog says.
    fn version(&self) -> Result<String> {
        let changelog = &self.files[Path::new("debian/changelog")];
        let changelog = String::from_utf8_lossy(changelog);
        let version = changelog.split(['(', ')']).nth(1);
        Ok(version
            .context("the changelog names no version")?
            .to_owned())
    }
}

/// The repository's files, with the packaging where Debian's tools look for it.
fn sources() -> Result<Files> {
    let root = workspace::root();
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(&root)
        .output()
        .context("cannot run git")?;
    ensure!(
        output.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    let mut files = BTreeMap::new();
    for name in String::from_utf8_lossy(&output.stdout).split_terminator('\0') {
        let from = root.join(name);
        let to = match Path::new(name).strip_prefix(PACKAGING) {
            Ok(below) => Path::new("debian").join(below),
            Err(_) => PathBuf::from(name),
        };
        if from.is_dir() {
            // A link to a directory.
            let below = read_tree(&from)?;
            files.extend(below.into_iter().map(|(path, text)| (to.join(path), text)));
        } else if from.exists() {
            files.insert(
                to,
                fs::read(&from).with_context(|| format!("cannot read {name}"))?,
            );
        }
    }
    Ok(files)
}

/// What debian/rules compiles without a network.
fn fetch_crates() -> Result<()> {
    let mut command = xtask_host::cargo();
    command.args([
        "fetch",
        "--quiet",
        "--locked",
        "--target",
        "x86_64-unknown-linux-gnu",
    ]);
    let status = command.status().context("cannot run cargo")?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}

/// debhelper gives the build a HOME of its own.
fn cargo_home() -> Result<PathBuf> {
    let named = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let usual = || Some(std::env::home_dir()?.join(".cargo"));
    named
        .or_else(usual)
        .context("neither CARGO_HOME nor HOME is set")
}

fn is_bookworm(os_release: &str) -> bool {
    os_release
        .lines()
        .any(|line| line == "VERSION_CODENAME=bookworm")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> Builder {
        Builder {
            place: PathBuf::from("/none"),
            files: sources().unwrap(),
        }
    }

    #[test]
    fn the_packages_have_the_version_of_the_workspace() {
        assert_eq!(builder().version().unwrap(), env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn a_later_version_is_later_for_the_package_and_for_the_module() {
        let later = builder().later().unwrap();
        let version = later.version().unwrap();
        assert!(version.starts_with(env!("CARGO_PKG_VERSION")));
        let header = String::from_utf8_lossy(&later.files[Path::new("kernel/version.h")]);
        assert!(header.contains(&format!("\"{version}\"")), "{header}");
    }

    #[test]
    fn the_tree_has_the_packaging_where_debian_looks_and_no_links() {
        let files = sources().unwrap();
        for path in ["debian/rules", "crates/icmptap-sys/uapi/linux/icmptap.h"] {
            assert!(files.contains_key(Path::new(path)), "{path}");
        }
        assert!(!files.keys().any(|path| path.starts_with("packaging")));
        assert!(!files.keys().any(|path| path.starts_with("target")));
    }

    #[test]
    fn only_debian_12_has_the_right_libc() {
        assert!(is_bookworm("ID=debian\nVERSION_CODENAME=bookworm\n"));
        assert!(!is_bookworm("ID=debian\nVERSION_CODENAME=trixie\n"));
        assert!(!is_bookworm(""));
    }
}
