//! A guest that boots a system installed on a disk, as that system's users do: with its own
//! kernel and its own initial RAM disk. Only the first process after that is ours.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use icmptap_guest::{JOB, Job, Report, Task};
use xtask_host::setup::{self, Tool};
use xtask_host::ui;

use super::artifacts::{self, Wanted};
use super::boot::{Patience, boot};
use super::qemu::{Accel, Console, Firmware, Machine};
use super::verdict::{Expected, Verdict};
use crate::vm_run;

/// The system, and the machine that it is put into.
pub struct Installed {
    /// Its kernel.
    pub kernel: PathBuf,
    /// Its initial RAM disk.
    pub initrd: PathBuf,
    /// The disk, with [`files`] on it.
    pub disk: PathBuf,
    /// What boots it, instead of QEMU's own firmware.
    pub firmware: Option<Firmware>,
    /// Where the console's log goes.
    pub log: PathBuf,
    /// How long the command may take.
    pub total: Duration,
}

/// What has to be on the disk for a command to be run there: each file's path, its contents
/// and its mode.
pub fn files(command: &[&str]) -> Result<Vec<(&'static str, Vec<u8>, u32)>> {
    let init = artifacts::build(Wanted::Tools)?.init;
    let init = fs::read(&init).with_context(|| format!("cannot read {}", init.display()))?;
    let job = Job {
        module: None,
        task: Task::Run {
            argv: command.iter().map(|&word| word.to_owned()).collect(),
            env: Vec::new(),
        },
    };
    Ok(vec![
        ("/init", init, 0o755),
        (JOB, serde_json::to_vec(&job)?, 0o644),
    ])
}

impl Installed {
    /// Boots it, emulated, and waits for the command's end. What the command said; an error
    /// unless the guest passes and the command ends with 0.
    pub fn run(&self) -> Result<String> {
        setup::need(&[Tool::Qemu])?;
        let qemu = setup::find_program("qemu-system-x86_64").context("QEMU is not in PATH")?;
        let machine = Machine {
            accel: Accel::Tcg,
            // As of Debian's kernels in vm/kernels.toml, which has the reason.
            one_thread: true,
            icount: false,
            smp: 2,
            memory_mib: 1024,
            kernel: self.kernel.clone(),
            image: self.initrd.clone(),
            console: Console::Log(self.log.clone()),
            disk: Some(self.disk.clone()),
            firmware: self.firmware.clone(),
        };
        let patience = Patience {
            boot: Duration::from_secs(300),
            total: Some(self.total),
            silence: None,
        };
        let mut said = Vec::new();
        let end = boot(
            &qemu,
            &machine,
            Expected::Command,
            patience,
            None,
            &mut |report| {
                if let Report::Output { data, .. } = report {
                    said.extend(vm_run::bytes(data)?);
                }
                Ok(())
            },
        )?;
        let said = String::from_utf8_lossy(&said).into_owned();
        let code = end.tally.command.map(|ending| ending.code());
        if end.verdict != Verdict::Pass || code != Some(0) {
            for reason in &end.reasons {
                ui::say("because", reason);
            }
            bail!(
                "{}, the command ended with {code:?}; the console's log is {}. It said:\n{said}",
                end.verdict,
                self.log.display()
            );
        }
        Ok(said)
    }
}
