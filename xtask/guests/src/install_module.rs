//! `build-module --install` and `--uninstall`: the modules where `modprobe` finds them, on
//! systems for which there are no packages.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use xshell::{Shell, cmd};
use xtask_host::setup::{self, Tool};
use xtask_host::ui;

/// Where modules that are not the kernel's own lie, below a kernel's directory: depmod prefers
/// those in `updates`.
const PLACE: &str = "updates/icmptap";

/// Where DKMS puts modules.
const OF_DKMS: &str = "updates/dkms";

/// A kernel that is installed.
pub(crate) struct Installed {
    /// What holds `lib/modules`: `/`.
    base: PathBuf,
    release: String,
    /// Whether what is there is root's, and we are not.
    sudo: bool,
}

impl Installed {
    /// The one that runs.
    pub(crate) fn running() -> Installed {
        Installed {
            base: "/".into(),
            release: rustix::system::uname().release().to_string_lossy().into(),
            sudo: !rustix::process::geteuid().is_root(),
        }
    }

    /// For `make -C`.
    pub(crate) fn kdir(&self) -> PathBuf {
        self.directory().join("build")
    }

    /// Copies the modules there, and lets depmod know them.
    pub(crate) fn install(&self, modules: &[PathBuf]) -> Result<()> {
        setup::need(&[Tool::Depmod])?;
        let dkms = self.directory().join(OF_DKMS);
        let is_ours = |name: &str| name.starts_with("icmptap.ko");
        ensure!(
            !names(&dkms).iter().any(|name| is_ours(name)),
            "{} has icmptap from the package icmptap-dkms, which builds it for each kernel: \
             keep that, or remove it first (`sudo apt-get remove icmptap-dkms`)",
            dkms.display()
        );
        let place = self.place();
        let directory = self.directory();
        ensure!(
            directory.join("modules.dep").exists(),
            "{} has no modules.dep: it is not where this kernel's modules are",
            directory.display()
        );
        self.run("install", |command| {
            command
                .args(["-D", "-m", "644", "-t"])
                .arg(&place)
                .args(modules)
        })?;
        self.depmod()?;
        ui::say("installed", place.display());
        ui::say("load", "sudo modprobe icmptap");
        Ok(())
    }

    /// Undoes that.
    pub(crate) fn uninstall(&self) -> Result<()> {
        let place = self.place();
        if !place.exists() {
            bail!("{} does not exist: nothing is installed", place.display());
        }
        self.run("rm", |command| command.arg("-r").arg(&place))?;
        // It was made for ours, if nobody else has anything there.
        let updates = self.directory().join("updates");
        if names(&updates).is_empty() {
            self.run("rmdir", |command| command.arg(&updates))?;
        }
        self.depmod()?;
        ui::say("removed", place.display());
        Ok(())
    }

    fn directory(&self) -> PathBuf {
        self.base.join("lib/modules").join(&self.release)
    }

    fn place(&self) -> PathBuf {
        self.directory().join(PLACE)
    }

    fn depmod(&self) -> Result<()> {
        self.run("depmod", |command| {
            command.arg("-b").arg(&self.base).arg(&self.release)
        })
    }

    fn run(
        &self,
        program: &str,
        arguments: impl FnOnce(xshell::Cmd<'_>) -> xshell::Cmd<'_>,
    ) -> Result<()> {
        let sh = Shell::new()?;
        // Where root's programs are is not in everybody's PATH.
        let path = std::env::var("PATH").unwrap_or_default();
        sh.set_var("PATH", format!("{path}:/usr/sbin:/sbin"));
        let command = match self.sudo {
            true => cmd!(sh, "sudo {program}"),
            false => cmd!(sh, "{program}"),
        };
        arguments(command)
            .quiet()
            .run()
            .with_context(|| format!("cannot change {}", self.directory().display()))
    }
}

/// What is in a directory; nothing, if there is none.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use xtask_host::files::read_tree;

    use super::*;

    /// A kernel with a module of its own, in a directory, and an object that could be one.
    fn kernel() -> (tempfile::TempDir, Installed, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let kernel = Installed {
            base: dir.path().join("root"),
            release: "6.1.0-1".into(),
            sudo: false,
        };
        setup::need(&[Tool::Depmod, Tool::Gcc]).unwrap();
        let module = dir.path().join("icmptap.ko");
        let sh = Shell::new().unwrap();
        let source = "int one = 1;";
        cmd!(sh, "gcc -x c -c -o {module} -")
            .stdin(source)
            .quiet()
            .run()
            .unwrap();
        let own = kernel.directory().join("kernel");
        fs::create_dir_all(&own).unwrap();
        fs::copy(&module, own.join("own.ko")).unwrap();
        kernel.depmod().unwrap();
        (dir, kernel, module)
    }

    #[test]
    fn what_is_installed_is_known_to_depmod_and_undone_without_a_trace() {
        let (_dir, kernel, module) = kernel();
        let before = read_tree(&kernel.base).unwrap();
        kernel.install(&[module]).unwrap();
        let index = fs::read_to_string(kernel.directory().join("modules.dep")).unwrap();
        assert!(index.contains("updates/icmptap/icmptap.ko:"), "{index}");
        kernel.uninstall().unwrap();
        assert_eq!(read_tree(&kernel.base).unwrap(), before);
        assert!(!kernel.directory().join("updates").exists());
        let error = kernel.uninstall().unwrap_err().to_string();
        assert!(error.contains("nothing is installed"), "{error}");
    }

    #[test]
    fn what_others_have_in_updates_stays() {
        let (_dir, kernel, module) = kernel();
        let other = kernel.directory().join("updates/other.ko");
        fs::create_dir_all(other.parent().unwrap()).unwrap();
        fs::copy(&module, &other).unwrap();
        kernel.install(&[module]).unwrap();
        kernel.uninstall().unwrap();
        assert!(other.exists());
    }

    #[test]
    fn nothing_is_installed_beside_the_package_or_where_no_kernel_is() {
        let (_dir, kernel, module) = kernel();
        let packaged = kernel.directory().join(OF_DKMS).join("icmptap.ko.xz");
        fs::create_dir_all(packaged.parent().unwrap()).unwrap();
        fs::write(&packaged, "").unwrap();
        let error = kernel.install(std::slice::from_ref(&module)).unwrap_err();
        assert!(
            error.to_string().contains("apt-get remove icmptap-dkms"),
            "{error}"
        );

        fs::remove_file(packaged).unwrap();
        fs::remove_file(kernel.directory().join("modules.dep")).unwrap();
        let error = kernel.install(&[module]).unwrap_err();
        assert!(error.to_string().contains("has no modules.dep"), "{error}");
    }
}
