//! Secure Boot: a firmware that boots signed kernels only, and a kernel that takes signed
//! modules only. DKMS signs ours with a key that the firmware knows.
//!
//! The key is the one for tests that OVMF comes with, whose firmware has it enrolled. A user
//! enrols DKMS's own by shim (`mokutil --import`), which asks at the next boot: nobody is there
//! to answer here. The kernel trusts both kinds alike.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use xshell::{Shell, cmd};
use xtask_guests::vm::installed::{self, Installed};
use xtask_guests::vm::qemu::Firmware;
use xtask_host::setup::{self, Tool};
use xtask_host::ui;

use crate::machine::Machine;

/// What is done in the guest.
const SCRIPT: &str = include_str!("secure_boot.sh");

/// Where Debian has OVMF's files.
const CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd";
const VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd";
const KEY: &str = "/usr/share/ovmf/PkKek-1-snakeoil.key";
const CERTIFICATE: &str = "/usr/share/ovmf/PkKek-1-snakeoil.pem";

/// Made in a root of the installed module: without its signature, and with one by a key that
/// nobody knows.
const BAD_MODULES: &str = r#"set -e
cd /root
module=$(modinfo -k "$1" -F filename icmptap)
case "$module" in
*.xz) xz -dc "$module" > unsigned.ko ;;
*) cp "$module" unsigned.ko ;;
esac
strip --strip-debug unsigned.ko
cp unsigned.ko otherwise-signed.ko
openssl req -new -x509 -newkey rsa:2048 -nodes -days 36500 -subj /CN=nobody/ \
	-keyout other.key -outform DER -out other.der 2>/dev/null
"/lib/modules/$1/build/scripts/sign-file" sha256 other.key other.der otherwise-signed.ko"#;

/// Boots the suite's older kernel so, with the packages.
pub(crate) fn run(machine: &Machine<'_>) -> Result<()> {
    setup::need(&[Tool::Ovmf, Tool::Sbsign, Tool::Openssl])?;
    let layer = machine.layer;
    let older = &machine.cast.older;
    let here = layer.place();
    let sh = Shell::new()?;

    // Where DKMS looks for its key before it makes one.
    let [key, certificate] = ["key", "certificate"].map(|name| here.join(name));
    cmd!(sh, "openssl rsa -in {KEY} -passin pass:snakeoil -out {key}")
        .quiet()
        .ignore_stderr()
        .run()?;
    cmd!(
        sh,
        "openssl x509 -in {CERTIFICATE} -outform DER -out {certificate}"
    )
    .quiet()
    .run()?;
    layer.write("/var/lib/dkms/mok.key", &read(&key)?, 0o600)?;
    layer.write("/var/lib/dkms/mok.pub", &read(&certificate)?, 0o644)?;

    machine.install_kernel(older)?;
    machine.install_ours()?;
    layer.must(&["update-initramfs", "-c", "-k", older])?;
    layer.must(&["sh", "-c", BAD_MODULES, "sh", older])?;
    layer.write("/root/trial", SCRIPT.as_bytes(), 0o644)?;
    for (path, bytes, mode) in installed::files(&["/bin/sh", "/root/trial"])? {
        layer.write(path, &bytes, mode)?;
    }

    let kernel = here.join("vmlinuz");
    let debians = layer.file(&format!("/boot/vmlinuz-{older}"));
    cmd!(
        sh,
        "sbsign --key {key} --cert {CERTIFICATE} --output {kernel} {debians}"
    )
    .quiet()
    .ignore_stderr()
    .run()?;
    let variables = here.join("variables");
    fs::copy(VARIABLES, &variables).context("cannot copy the firmware's variables")?;
    let guest = Installed {
        kernel,
        initrd: layer.file(&format!("/boot/initrd.img-{older}")),
        disk: layer.disk("4G")?,
        firmware: Some(Firmware {
            code: CODE.into(),
            variables,
        }),
        log: here.with_extension("console.log"),
        total: Duration::from_secs(300),
    };
    let phase = ui::phase("boot", format!("{older}, with Secure Boot"));
    guest.run()?;
    phase.done();
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}
