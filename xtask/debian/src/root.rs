//! A Debian in a directory, in which packages are installed for real.
//!
//! A root is made once for a suite. Each trial works on a layer of its own above it, which is
//! thrown away, and every command has its own mounts and processes: nothing is left behind on
//! this machine, whatever ends us.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};
use xtask_archive::mirrors;
use xtask_host::setup::{self, KEYRING, Tool};
use xtask_host::{ui, workspace};

/// What is in each root besides a minimal system: what our packages and the kernels depend
/// on or recommend, so that a trial installs only these, and what tries them.
const INCLUDED: &str = "dkms,initramfs-tools,iputils-ping,libpcap0.8,openssl";

/// Where our packages are, seen from inside.
pub(crate) const PACKAGES: &str = "/packages";

/// The layer $2 over the root $1.
const MOUNT: &str = r#"set -e
m="$2/root"
mkdir -p "$2/upper" "$2/work" "$m"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$m"
"#;

/// What is mounted there for a command: $3 is where apt keeps what it fetched, $4 where our
/// packages are. The rest is the command.
const ENTER: &str = r#"mount -t proc proc "$m/proc"
mount -t tmpfs tmpfs "$m/tmp"
mkdir -p "$m/packages" "$m/var/cache/apt/archives"
mount --bind "$3" "$m/var/cache/apt/archives"
mount --bind "$4" "$m/packages"
shift 4
exec chroot "$m" "$@""#;

/// What commands in a root have in their environment besides what is said of the network.
const ENVIRONMENT: [(&str, &str); 5] = [
    (
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ),
    ("HOME", "/root"),
    ("LC_ALL", "C.UTF-8"),
    ("DEBIAN_FRONTEND", "noninteractive"),
    // No initial RAM disk for a kernel that is not booted: the hook of initramfs-tools asks.
    ("INITRD", "No"),
];

/// A suite's root. It is removed when this is dropped.
pub(crate) struct Root {
    place: PathBuf,
    packages: PathBuf,
}

impl Root {
    /// Makes the root of this suite; `packages` is the directory that holds ours.
    pub(crate) fn make(suite: &str, packages: &Path) -> Result<Root> {
        setup::need(&[Tool::Mmdebstrap, Tool::DebianKeyring])?;
        let place = workspace::target().join("debian-roots").join(suite);
        let root = Root {
            packages: packages.to_owned(),
            place,
        };
        remove(&root.base())?;
        fs::create_dir_all(root.fetched())
            .with_context(|| format!("cannot create {}", root.place.display()))?;
        let phase = ui::phase("make", format!("a root of {suite}"));
        // It mounts what goes with it, whatever ends it.
        let output = Command::new("unshare")
            .args(["--mount", "--propagation=private", "mmdebstrap"])
            .args(["--mode=root", "--variant=minbase", "--quiet"])
            .arg(format!("--include={INCLUDED}"))
            .arg(format!("--keyring={KEYRING}"))
            .args(["--dpkgopt=force-unsafe-io", suite])
            .arg(root.base())
            .args(sources(suite, &mirrors()?)?)
            .stdin(Stdio::null())
            .output()
            .context("cannot run mmdebstrap")?;
        ensure!(
            output.status.success(),
            "mmdebstrap, which has to be run by root (in a container: --privileged): {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
        phase.done();
        Ok(root)
    }

    /// A layer for a trial.
    pub(crate) fn layer(&self, name: &str) -> Result<Layer<'_>> {
        let place = self.place.join(name);
        remove(&place)?;
        fs::create_dir_all(&place)?;
        Ok(Layer { root: self, place })
    }

    fn base(&self) -> PathBuf {
        self.place.join("base")
    }

    /// Kept for the next time: kernels are large.
    fn fetched(&self) -> PathBuf {
        self.place.join("fetched")
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.base()) {
            ui::warn(format_args!("{error:#}"));
        }
    }
}

/// What a trial changes of a root. It is removed when this is dropped.
pub(crate) struct Layer<'a> {
    root: &'a Root,
    place: PathBuf,
}

impl Layer<'_> {
    /// Runs a command inside. What it said is in the output, whatever became of it.
    pub(crate) fn run(&self, words: &[&str]) -> Result<Said> {
        let mut command = self.mounted(ENTER);
        command
            .arg(self.root.fetched())
            .arg(&self.root.packages)
            .args(words)
            .env_clear()
            .envs(ENVIRONMENT)
            .envs(
                std::env::vars_os()
                    .filter(|(name, _)| name.to_string_lossy().to_lowercase().ends_with("_proxy")),
            )
            .stdin(Stdio::null());
        let output = command.output().context("cannot run unshare")?;
        Ok(Said::new(words, &output))
    }

    /// Runs a command that has to end with 0.
    pub(crate) fn must(&self, words: &[&str]) -> Result<Said> {
        let said = self.run(words)?;
        if !said.is_success() {
            bail!("{said}");
        }
        Ok(said)
    }

    /// Runs a shell's commands where the layer is mounted on `$m`, for this command alone.
    fn mounted(&self, script: &str) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation=private", "--pid", "--fork"])
            .args(["--kill-child", "sh", "-c"])
            .arg(format!("{MOUNT}{script}"))
            .arg("sh")
            .args([self.root.base(), self.place.clone()]);
        command
    }

    /// Puts a file there.
    pub(crate) fn write(&self, path: &str, bytes: &[u8], mode: u32) -> Result<()> {
        let file = self.file(path);
        fs::create_dir_all(file.parent().unwrap_or(&self.place))?;
        fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(fs::set_permissions(&file, Permissions::from_mode(mode))?)
    }

    /// Where a file lies on this machine that a command of this layer has made.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.place.join("upper").join(path.trim_start_matches('/'))
    }

    /// Where files are kept for as long as the layer.
    pub(crate) fn place(&self) -> &Path {
        &self.place
    }

    /// Makes a disk of the root and the layer, with a file system that takes `size`.
    pub(crate) fn disk(&self, size: &str) -> Result<PathBuf> {
        let disk = self.place.join("disk");
        let mut command = self.mounted(r#"exec mke2fs -q -t ext4 -d "$m" "$3" "$4""#);
        let output = command.arg(&disk).arg(size).output();
        let output = output.context("cannot run unshare")?;
        ensure!(
            output.status.success(),
            "mke2fs: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
        Ok(disk)
    }
}

impl Drop for Layer<'_> {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.place) {
            ui::warn(format_args!("{error:#}"));
        }
    }
}

/// What a command said, on both of its streams, and how it ended.
pub(crate) struct Said {
    command: String,
    status: Option<i32>,
    /// What it wrote to its standard output.
    pub(crate) out: String,
    /// What it wrote, to the one and then to the other.
    pub(crate) text: String,
}

impl Said {
    pub(crate) fn is_success(&self) -> bool {
        self.status == Some(0)
    }

    fn new(words: &[&str], output: &Output) -> Said {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        Said {
            command: words.join(" "),
            status: output.status.code(),
            out: text(&output.stdout),
            text: text(&[&output.stdout[..], &output.stderr].concat()),
        }
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let status = self
            .status
            .map_or("a signal".into(), |code| code.to_string());
        write!(f, "`{}` ended with {status}:\n{}", self.command, self.text)
    }
}

/// apt's sources for this suite: of its first version, its updates and its security fixes.
fn sources(suite: &str, mirrors: &[String]) -> Result<Vec<String>> {
    let is_security = |base: &&String| base.contains("debian-security");
    let security = mirrors.iter().find(is_security);
    let archive = mirrors.iter().find(|base| !is_security(base));
    let archive = archive.context("no mirror of Debian's archive is known")?;
    let mut sources = vec![
        format!("deb {archive} {suite} main"),
        format!("deb {archive} {suite}-updates main"),
    ];
    sources.extend(security.map(|base| format!("deb {base} {suite}-security main")));
    Ok(sources)
}

fn remove(place: &Path) -> Result<()> {
    if place.exists() {
        fs::remove_dir_all(place).with_context(|| format!("cannot remove {}", place.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_fixes_come_from_where_they_are() {
        let mirrors = ["http://a/debian-security", "http://a/debian"].map(str::to_owned);
        assert_eq!(
            sources("bookworm", &mirrors).unwrap(),
            [
                "deb http://a/debian bookworm main",
                "deb http://a/debian bookworm-updates main",
                "deb http://a/debian-security bookworm-security main",
            ]
        );
        assert_eq!(sources("trixie", &mirrors[1..]).unwrap().len(), 2);
        assert!(sources("trixie", &mirrors[..1]).is_err());
    }
}
