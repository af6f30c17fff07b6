//! `boot-bench`: what `vm-run` costs beyond the boot that nobody can avoid.
//!
//! Both are measured in one run and in turn, because the machine that measures has
//! other things to do: the figure to trust is their ratio, not a number of seconds.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;

use crate::median::median;
use crate::ui;
use crate::vm::artifacts::Wanted;
use crate::vm::cpio::Tree;
use crate::vm::machine::{Guest, Options};
use crate::vm::qemu::{self, Machine};

/// The command that is measured: all that `vm-run` does by default, and nothing more.
const COMMAND: [&str; 3] = ["vm-run", "--", "true"];

/// How many times the bare boot's time `vm-run` may take.
const LIMIT: f64 = 1.5;

/// How a kernel without a first process ends.
const PANIC: &str = "Kernel panic - not syncing";

/// Compare `vm-run -- true` with a bare boot of the same kernel
///
/// Prints the time of each round, the medians and the median ratio; exits with 1 when
/// that is above 1.5. A bare boot is QEMU with the same options and an empty
/// initramfs: the kernel panics for want of a first process, and QEMU ends. Of
/// `vm-run -- true`, all is counted from the start of the process to its end, when
/// everything is built already. What cargo needs to start it is not counted, but shown.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often to measure each
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

/// The machine that `vm-run` has when nothing is said about it.
#[derive(Parser)]
struct Defaults {
    #[command(flatten)]
    options: Options,
}

pub(crate) fn run(args: &Args, locked: bool) -> Result<ExitCode> {
    let Defaults { options } = Defaults::parse_from(["boot-bench"]);
    let bare = {
        // Leaves its place to the runs that are measured.
        let guest = Guest::prepare(&options, None, true, Wanted::Tools, locked)?;
        Bare::new(&guest)?
    };
    // The first of each is not counted: it may build, and reads from the disk.
    bare.boot()?;
    vm_run()?;

    let mut rounds = Vec::new();
    for number in 1..=args.rounds {
        let round = Round {
            bare: timed(|| bare.boot())?,
            vm_run: timed(vm_run)?,
        };
        println!("round {number}: {}", round.line());
        rounds.push(round);
    }
    let ratio = median(rounds.iter().map(Round::ratio));
    println!(
        "median:  bare boot {:.2} s, vm-run -- true {:.2} s, ratio {ratio:.2} (at most {LIMIT})",
        median(rounds.iter().map(|round| round.bare.as_secs_f64())),
        median(rounds.iter().map(|round| round.vm_run.as_secs_f64())),
    );
    // The first may have to build.
    cargo()?;
    println!(
        "not counted: cargo itself {:.2} s",
        timed(cargo)?.as_secs_f64()
    );
    Ok(verdict(ratio))
}

fn verdict(ratio: f64) -> ExitCode {
    if is_too_slow(ratio) {
        ui::warn(format!("vm-run took {ratio:.2} times a bare boot"));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// A ratio that is no number is no success.
fn is_too_slow(ratio: f64) -> bool {
    !matches!(
        ratio.partial_cmp(&LIMIT),
        Some(std::cmp::Ordering::Less | std::cmp::Ordering::Equal)
    )
}

/// One after the other, so that both met the same machine.
struct Round {
    bare: Duration,
    vm_run: Duration,
}

impl Round {
    fn ratio(&self) -> f64 {
        self.vm_run.as_secs_f64() / self.bare.as_secs_f64()
    }

    fn line(&self) -> String {
        format!(
            "bare boot {:.2} s, vm-run -- true {:.2} s, ratio {:.2}",
            self.bare.as_secs_f64(),
            self.vm_run.as_secs_f64(),
            self.ratio()
        )
    }
}

fn timed(what: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    what()?;
    Ok(start.elapsed())
}

/// The kernel without a first process, on the machine that `vm-run` has.
struct Bare {
    qemu: PathBuf,
    machine: Machine,
    _dir: tempfile::TempDir,
}

impl Bare {
    fn new(guest: &Guest<'_>) -> Result<Bare> {
        let dir = tempfile::tempdir().context("make a directory for the bare boot")?;
        let image = dir.path().join("empty.cpio");
        write_empty(&image).with_context(|| format!("write {}", image.display()))?;
        Ok(Bare {
            qemu: guest.qemu().to_owned(),
            machine: guest.bare_machine(image, dir.path().join("console.log")),
            _dir: dir,
        })
    }

    fn boot(&self) -> Result<()> {
        let mut command = Command::new(&self.qemu);
        command.args(qemu::arguments(&self.machine));
        succeed(&mut command)?;
        // QEMU ends as quietly when it could not boot the kernel at all.
        let log = self.machine.console.log();
        let text = fs::read(log).with_context(|| format!("read {}", log.display()))?;
        ensure!(
            String::from_utf8_lossy(&text).contains(PANIC),
            "the bare boot did not end in \"{PANIC}\": it is nothing to compare with"
        );
        Ok(())
    }
}

fn write_empty(image: &Path) -> std::io::Result<()> {
    Tree::default().write(&mut File::create(image)?)
}

fn vm_run() -> Result<()> {
    let program = std::env::current_exe().context("find this program")?;
    succeed(Command::new(program).args(COMMAND))
}

/// Only cargo's part of `cargo xtask`: finding that there is nothing to build.
fn cargo() -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    succeed(
        Command::new(cargo)
            .current_dir(crate::workspace::root())
            .args(["build", "--quiet", "--package", "xtask"]),
    )
}

fn succeed(command: &mut Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("run {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?}: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn above_the_limit_is_too_slow() {
        assert!(!is_too_slow(1.5));
        assert!(is_too_slow(1.501));
        assert!(is_too_slow(f64::NAN), "nothing measured is no success");
    }

    #[test]
    fn a_round_says_what_it_measured() {
        let round = Round {
            bare: Duration::from_millis(4000),
            vm_run: Duration::from_millis(5000),
        };
        assert_eq!(
            round.line(),
            "bare boot 4.00 s, vm-run -- true 5.00 s, ratio 1.25"
        );
    }

    #[test]
    fn an_end_without_a_panic_is_no_bare_boot() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("console.log");
        fs::write(&log, "no kernel").unwrap();
        let bare = Bare {
            qemu: "/bin/true".into(),
            machine: Machine {
                accel: qemu::Accel::Tcg,
                one_thread: false,
                icount: false,
                smp: 1,
                memory_mib: 128,
                kernel: "/none".into(),
                image: "/none".into(),
                console: qemu::Console::Log(log.clone()),
            },
            _dir: dir,
        };
        let error = bare.boot().unwrap_err().to_string();
        assert!(error.contains("nothing to compare with"), "{error}");
        fs::write(&log, format!("[    1.0] {PANIC} - no init")).unwrap();
        bare.boot().unwrap();
    }
}
