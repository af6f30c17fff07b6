//! What happens to a machine that has the packages: they and kernels come, change and go, in
//! every order, and some of it fails. apt must never end with an error for it, and what DKMS
//! says, what is in the file system and what dpkg thinks must agree after each step.

use anyhow::{Result, ensure};
use xtask_host::ui;

use crate::machine::{Cast, Machine, Suite, common_headers, headers, image, says};
use crate::{guest, secure_boot};

/// A trial: its name, and what is done.
type Trial = (&'static str, fn(&Machine<'_>) -> Result<()>);

/// All that there are.
const TRIALS: [Trial; 5] = [
    ("life", life),
    ("late-headers", late_headers),
    ("failed-builds", failed_builds),
    ("guest", guest::run),
    ("secure-boot", secure_boot::run),
];

/// The trials' names.
pub(crate) fn names() -> [&'static str; TRIALS.len()] {
    TRIALS.map(|(name, _)| name)
}

/// Runs the trials of these names, or all if there is none; how many passed, and failed.
pub(crate) fn run(suite: &Suite, names: &[String]) -> Result<(usize, usize)> {
    let mut tally = (0, 0);
    let is_wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    for (name, trial) in TRIALS.into_iter().filter(|(name, _)| is_wanted(name)) {
        let phase = ui::phase("try", format!("{}: {name}", suite.name));
        let layer = suite.layer(name)?;
        match trial(&suite.machine(&layer)) {
            Ok(()) => {
                phase.done();
                tally.0 += 1;
            }
            Err(error) => {
                drop(phase);
                ui::error(&error.context(format!("{}: {name}", suite.name)));
                tally.1 += 1;
            }
        }
    }
    Ok(tally)
}

/// The packages come, two kernels come and one goes, the packages are replaced, removed and
/// purged, and come again.
fn life(machine: &Machine<'_>) -> Result<()> {
    let Cast {
        older,
        newer,
        version,
        later,
        ..
    } = machine.cast;
    let both = [older.as_str(), newer];

    machine.install_kernel(older)?;
    machine.install_ours()?;
    machine.has_modules(older, version)?;
    let said = machine.layer.must(&["icmptap", "--version"])?.text;
    ensure!(said.contains(version), "icmptap --version: {said}");
    machine.has_file("/usr/bin/icmptap", true)?;

    machine.install_kernel(newer)?;
    for kernel in both {
        machine.has_modules(kernel, version)?;
    }

    machine.apt(&["install", &machine.cast.later_modules])?;
    for kernel in both {
        machine.has_modules(kernel, later)?;
    }
    for trace in ["/usr/src/icmptap-", "/var/lib/dkms/icmptap/"] {
        machine.has_file(&format!("{trace}{version}"), false)?;
    }

    machine.apt(&["install", "--reinstall", &machine.cast.later_modules])?;
    for kernel in both {
        machine.has_modules(kernel, later)?;
    }

    machine.apt(&["remove", &image(older), &headers(older)])?;
    machine.has_no_modules(older)?;
    machine.has_modules(newer, later)?;

    machine.apt(&["remove", "icmptap", "icmptap-dkms"])?;
    machine.has_no_modules(newer)?;
    machine.has_file("/var/lib/dkms/icmptap", false)?;
    machine.has_file("/etc/kernel/postinst.d/icmptap-dkms", true)?;

    // Its hooks are still there, and do nothing.
    let said = machine.install_kernel(older)?;
    ensure!(
        !said.contains("icmptap"),
        "of a package that is gone: {said}"
    );

    machine.apt(&["purge", "icmptap", "icmptap-dkms"])?;
    let find = "find / -xdev -path /proc -prune -o -iname '*icmptap*' -print";
    let left = machine.layer.must(&["sh", "-c", find])?.text;
    ensure!(left.is_empty(), "left after a purge:\n{left}");

    machine.install_ours()?;
    for kernel in both {
        machine.has_modules(kernel, version)?;
    }
    Ok(())
}

/// A kernel is there before its headers, with the packages and without.
fn late_headers(machine: &Machine<'_>) -> Result<()> {
    let Cast {
        older,
        newer,
        version,
        ..
    } = machine.cast;

    machine.apt(&["install", &image(older)])?;
    let said = machine.install_ours()?;
    says(&said, &format!("with the package {}", headers(older)))?;
    machine.has_no_modules(older)?;

    machine.apt(&["install", &headers(older)])?;
    machine.has_modules(older, version)?;

    let said = machine.apt(&["install", &image(newer)])?;
    says(&said, &format!("with the package {}", headers(newer)))?;
    machine.has_no_modules(newer)?;

    machine.apt(&["install", &headers(newer)])?;
    machine.has_modules(newer, version)
}

/// The modules do not build: of a kernel that is there, and of one that comes.
fn failed_builds(machine: &Machine<'_>) -> Result<()> {
    let Cast {
        older,
        newer,
        version,
        later,
        ..
    } = machine.cast;
    let fails = |kernel: &str| format!("NOT BUILT for the kernel {kernel}");

    machine.install_kernel(older)?;
    machine.break_headers(older)?;
    says(&machine.install_ours()?, &fails(older))?;
    machine.has_no_modules(older)?;
    machine.layer.must(&["icmptap", "--version"])?;

    // As a kernel is that is too new.
    machine.apt(&["install", &common_headers(newer)])?;
    machine.break_headers(newer)?;
    says(&machine.install_kernel(newer)?, &fails(newer))?;
    machine.has_no_modules(newer)?;

    machine.repair_headers(newer)?;
    // What it said is to be done then.
    let module = format!("icmptap/{version}");
    machine
        .layer
        .must(&["dkms", "install", &module, "-k", newer])?;
    machine.has_modules(newer, version)?;

    let said = machine.apt(&["install", &machine.cast.later_modules])?;
    says(&said, &fails(older))?;
    machine.has_no_modules(older)?;
    machine.has_modules(newer, later)?;

    machine.apt(&["remove", &image(older)])?;
    machine.apt(&["purge", "icmptap", "icmptap-dkms"])?;
    machine.has_no_modules(newer)
}
