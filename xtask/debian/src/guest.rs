//! The packages on a system that is booted: the module is loaded, heard, replaced and
//! unloaded as its users do it.

use std::time::Duration;

use anyhow::{Result, ensure};
use xtask_guests::vm::installed::{self, Installed};
use xtask_host::ui;

use crate::machine::{Cast, Machine};

/// What is done in the guest.
const SCRIPT: &str = include_str!("guest.sh");

/// Boots the suite's older kernel with the packages, and upgrades them there.
pub(crate) fn run(machine: &Machine<'_>) -> Result<()> {
    let layer = machine.layer;
    let Cast {
        older,
        version,
        later,
        later_modules,
        ..
    } = machine.cast;
    machine.install_kernel(older)?;
    machine.install_ours()?;
    layer.must(&["update-initramfs", "-c", "-k", older])?;
    layer.must(&["cp", later_modules, "/root/later.deb"])?;
    layer.write("/root/trial", SCRIPT.as_bytes(), 0o644)?;
    let command = ["/bin/sh", "/root/trial", version, "/root/later.deb", later];
    for (path, bytes, mode) in installed::files(&command)? {
        layer.write(path, &bytes, mode)?;
    }
    let disk = layer.disk("4G")?;

    let guest = Installed {
        kernel: layer.file(&format!("/boot/vmlinuz-{older}")),
        initrd: layer.file(&format!("/boot/initrd.img-{older}")),
        disk,
        firmware: None,
        log: layer.place().with_extension("console.log"),
        // Emulated, the modules' compilation takes minutes.
        total: Duration::from_secs(1800),
    };
    let phase = ui::phase("boot", older);
    let said = guest.run()?;
    phase.done();
    let wanted = format!("icmptap/{later}, {older}, x86_64: installed");
    ensure!(
        said.contains(&wanted),
        "it does not end with {wanted:?}:\n{said}"
    );
    Ok(())
}
