//! Whether the guest's CPU is run by KVM or emulated.
//!
//! A `/dev/kvm` that opens is not a KVM that works: QEMU may abort, or the guest
//! hang after its firmware. So the real kernel is booted once under KVM, to its
//! end, and the verdict remembered until the host boots again, or QEMU or the
//! kernel is another.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use xtask_archive::cache::Cache;

use super::boot::End;
use super::qemu::Accel;
use super::verdict::Verdict;

/// What the user wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Wanted {
    /// KVM if it works, otherwise TCG
    #[default]
    Auto,
    /// KVM, or fail
    Kvm,
    /// Emulation
    Tcg,
}

/// What was decided.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) accel: Accel,
    /// Why not KVM, when that was found out just now.
    pub(crate) note: Option<String>,
}

/// What came of a boot under KVM.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Probed {
    /// The guest got there.
    Works,
    /// The guest hung, or QEMU aborted, for this reason: so it will the next time.
    Broken(String),
    /// QEMU declined, for this reason, which may have gone the next time: another
    /// hypervisor may have the CPU, or QEMU lack a library.
    Declined(String),
}

impl Probed {
    /// What to think of a guest that had nothing to do but get there.
    pub(crate) fn from(end: &End) -> Probed {
        let why = || format!("{}: {}", end.verdict, end.reasons.join("; "));
        match end.verdict {
            Verdict::Pass => Probed::Works,
            _ if end.declined => Probed::Declined(why()),
            _ => Probed::Broken(why()),
        }
    }
}

/// What the decision rests on.
pub(crate) struct Probe<'a> {
    pub(crate) cache: &'a Cache,
    /// `/dev/kvm`
    pub(crate) device: &'a Path,
    /// What the remembered verdict is for; see [`key`].
    pub(crate) key: &'a str,
    /// Boots the kernel under KVM. Fails when QEMU cannot be started at all.
    pub(crate) boot: &'a dyn Fn() -> Result<Probed>,
}

/// Decides. Fails when KVM is wanted and does not work.
pub(crate) fn choose(wanted: Wanted, probe: &Probe<'_>) -> Result<Choice> {
    let (accel, why, new) = match wanted {
        Wanted::Tcg => (Accel::Tcg, None, false),
        Wanted::Auto | Wanted::Kvm => match unusable(probe, wanted == Wanted::Kvm)? {
            (None, new) => (Accel::Kvm, None, new),
            (why, new) => (Accel::Tcg, why, new),
        },
    };
    match why {
        Some(why) if wanted == Wanted::Kvm => bail!("KVM does not work here: {why}"),
        Some(why) => Ok(Choice {
            accel,
            note: new.then(|| format!("emulating the CPU, because KVM does not work here: {why}")),
        }),
        None => Ok(Choice { accel, note: None }),
    }
}

/// Why KVM cannot be used, if so, and whether that is news.
///
/// Who insists on KVM is answered from a boot, as they may just have mended it.
fn unusable(probe: &Probe<'_>, insists: bool) -> Result<(Option<String>, bool)> {
    let opened = fs::File::options()
        .read(true)
        .write(true)
        .open(probe.device);
    if let Err(error) = opened {
        return Ok((Some(not_opened(probe.device, &error)), false));
    }
    if let Some(path) = probe.cache.get(probe.key) {
        let remembered = fs::read_to_string(&path).context("read the remembered KVM verdict")?;
        if remembered.is_empty() || !insists {
            let why = (!remembered.is_empty()).then_some(remembered);
            return Ok((why, false));
        }
        fs::remove_file(&path).context("forget the KVM verdict")?;
    }
    let why = match (probe.boot)()? {
        Probed::Works => None,
        Probed::Broken(why) => Some(why),
        Probed::Declined(why) => return Ok((Some(why), true)),
    };
    let text = why.as_deref().unwrap_or_default();
    probe
        .cache
        .entry(probe.key, |path| Ok(fs::write(path, text)?))?;
    Ok((why, true))
}

fn not_opened(device: &Path, error: &io::Error) -> String {
    let device = device.display();
    match error.kind() {
        io::ErrorKind::NotFound => format!("there is no {device}"),
        io::ErrorKind::PermissionDenied => {
            format!("no permission to open {device} (is this user in its group?)")
        }
        _ => format!("cannot open {device}: {error}"),
    }
}

/// What a verdict holds for: this boot of this host, this QEMU, this kernel.
pub(crate) fn key(program: &Path, release: &str) -> Result<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let mut key = format!("accel/{}-{release}", boot.trim());
    // Its version, without the time that asking for it takes.
    let metadata =
        fs::metadata(program).with_context(|| format!("look at {}", program.display()))?;
    write!(key, "-{}-{}", metadata.mtime(), metadata.len())?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::os::unix::fs::PermissionsExt;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::vm::boot::{Patience, boot};
    use crate::vm::qemu::{Console, Machine};
    use crate::vm::script;
    use crate::vm::verdict::Expected;

    struct Host {
        dir: tempfile::TempDir,
        cache: Cache,
        boots: Cell<u32>,
    }

    impl Host {
        /// A host whose `/dev/kvm` opens, and whose QEMU is this script.
        fn new(script: &str) -> Host {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join("kvm"), "").unwrap();
            let qemu = dir.path().join("qemu");
            script::write(&qemu, script);
            let cache = Cache::at(dir.path().join("cache")).unwrap();
            Host {
                dir,
                cache,
                boots: Cell::new(0),
            }
        }

        fn choose(&self, wanted: Wanted) -> Result<Choice> {
            self.choose_with(wanted, "kvm")
        }

        fn choose_with(&self, wanted: Wanted, device: &str) -> Result<Choice> {
            let start = || {
                self.boots.set(self.boots.get() + 1);
                let machine = Machine {
                    accel: Accel::Kvm,
                    one_thread: false,
                    icount: false,
                    smp: 1,
                    memory_mib: 64,
                    kernel: "/none".into(),
                    image: "/none".into(),
                    console: Console::Log(self.dir.path().join("console.log")),
                    disk: None,
                    firmware: None,
                };
                let patience = Patience {
                    boot: Duration::from_millis(500),
                    total: None,
                    silence: None,
                };
                let qemu = self.dir.path().join("qemu");
                Ok(Probed::from(&boot(
                    &qemu,
                    &machine,
                    Expected::Boot,
                    patience,
                    None,
                    &mut |_| Ok(()),
                )?))
            };
            choose(
                wanted,
                &Probe {
                    cache: &self.cache,
                    device: &self.dir.path().join(device),
                    key: KEY,
                    boot: &start,
                },
            )
        }
    }

    const KEY: &str = "accel/test";
    const WORKS: &str = r#"echo '{"report":"done"}'"#;
    const ABORTS: &str = "echo 'error: failed to set MSR 0x122' >&2; kill -ABRT $$";

    #[test]
    fn a_kvm_that_works_is_used_and_remembered() {
        let host = Host::new(WORKS);
        for _ in 0..2 {
            let choice = host.choose(Wanted::Auto).unwrap();
            let accel = Accel::Kvm;
            assert_eq!(choice, Choice { accel, note: None });
        }
        host.choose(Wanted::Kvm).unwrap();
        assert_eq!(host.boots.get(), 1);
    }

    #[test]
    fn a_qemu_that_aborts_is_told_about_once() {
        let host = Host::new(ABORTS);
        let choice = host.choose(Wanted::Auto).unwrap();
        assert_eq!(choice.accel, Accel::Tcg);
        let note = choice.note.unwrap();
        assert!(note.contains("failed to set MSR 0x122"), "{note}");
        assert_eq!(note.lines().count(), 1);
        let choice = host.choose(Wanted::Auto).unwrap();
        let accel = Accel::Tcg;
        assert_eq!(choice, Choice { accel, note: None });
        assert_eq!(host.boots.get(), 1);
    }

    #[test]
    fn a_guest_that_hangs_is_killed() {
        let host = Host::new("exec sleep 60");
        let start = Instant::now();
        let choice = host.choose(Wanted::Auto).unwrap();
        assert!(start.elapsed() < Duration::from_secs(10));
        assert_eq!(choice.accel, Accel::Tcg);
        assert!(choice.note.unwrap().contains("not over in 0.5 s"));
    }

    #[test]
    fn a_qemu_that_declines_is_asked_again() {
        let host =
            Host::new("echo 'failed to initialize kvm: Device or resource busy' >&2; exit 1");
        for boots in 1..=2 {
            let choice = host.choose(Wanted::Auto).unwrap();
            assert_eq!(choice.accel, Accel::Tcg);
            let note = choice.note.unwrap();
            assert!(note.contains("resource busy"), "{note}");
            assert_eq!(host.boots.get(), boots);
        }
        assert_eq!(host.cache.get(KEY), None);
    }

    #[test]
    fn a_qemu_that_cannot_start_says_nothing_of_kvm() {
        let host = Host::new(WORKS);
        let qemu = host.dir.path().join("qemu");
        fs::set_permissions(&qemu, fs::Permissions::from_mode(0o644)).unwrap();
        let error = format!("{:#}", host.choose(Wanted::Auto).unwrap_err());
        assert!(error.starts_with("cannot start "), "{error}");
        assert_eq!(host.cache.get(KEY), None);
        fs::set_permissions(&qemu, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(host.choose(Wanted::Auto).unwrap().accel, Accel::Kvm);
    }

    #[test]
    fn who_insists_gets_a_failure_and_another_try() {
        let host = Host::new(ABORTS);
        for _ in 0..2 {
            let error = host.choose(Wanted::Kvm).unwrap_err().to_string();
            assert!(error.starts_with("KVM does not work here: "), "{error}");
        }
        assert_eq!(host.boots.get(), 2);
    }

    #[test]
    fn without_the_device_nothing_is_booted_or_remembered() {
        let host = Host::new(WORKS);
        let choice = host.choose_with(Wanted::Auto, "none").unwrap();
        assert_eq!(choice.accel, Accel::Tcg);
        let error = host.choose_with(Wanted::Kvm, "none").unwrap_err();
        assert!(error.to_string().contains("there is no "), "{error}");
        assert_eq!(host.boots.get(), 0);
        assert_eq!(host.choose(Wanted::Auto).unwrap().accel, Accel::Kvm);
    }

    #[test]
    fn emulation_asks_nobody() {
        let host = Host::new(WORKS);
        assert_eq!(host.choose(Wanted::Tcg).unwrap().accel, Accel::Tcg);
        assert_eq!(host.boots.get(), 0);
    }

    #[test]
    fn why_a_device_does_not_open() {
        let device = Path::new("/dev/kvm");
        for (kind, part) in [
            (io::ErrorKind::NotFound, "there is no /dev/kvm"),
            (io::ErrorKind::PermissionDenied, "no permission to open"),
            (io::ErrorKind::Other, "cannot open /dev/kvm: "),
        ] {
            let why = not_opened(device, &kind.into());
            assert!(why.contains(part), "{why}");
        }
    }

    #[test]
    fn another_qemu_or_kernel_is_another_verdict() {
        let host = Host::new(WORKS);
        let qemu = host.dir.path().join("qemu");
        let before = key(&qemu, "6.1").unwrap();
        assert_eq!(key(&qemu, "6.1").unwrap(), before);
        assert_ne!(key(&qemu, "6.12").unwrap(), before);
        fs::write(&qemu, "another").unwrap();
        assert_ne!(key(&qemu, "6.1").unwrap(), before);
    }
}
