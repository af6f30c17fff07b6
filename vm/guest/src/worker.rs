//! The worker: does the job and reports.

use std::fs;

use anyhow::{Context, Result};
use icmptap_guest::{JOB, Job, Report, Task};

use crate::processes::kill_everyone;
use crate::report::Reports;
use crate::{coverage, leaks, module, run, shell, suite};

/// What process 1 calls us.
pub(crate) const ROLE: &str = "worker";

pub(crate) fn run() -> Result<()> {
    let reports = Reports::open()?;
    let result = work(&reports);
    if let Err(error) = result {
        reports.problem(&error)?;
    }
    reports.send(&Report::Done)?;
    reports.flush()
}

fn work(reports: &Reports) -> Result<()> {
    let text = fs::read(JOB).with_context(|| format!("read {JOB}"))?;
    let job: Job = serde_json::from_slice(&text).with_context(|| format!("understand {JOB}"))?;
    let is_judged = matches!(job.task, Task::Run { .. } | Task::Test { .. });
    if let Some(parameters) = &job.module {
        if is_judged {
            leaks::clear()?;
        }
        module::load(parameters)?;
    }
    // The boot's own messages stay cheap, and a shell's user is not talked over.
    if !matches!(job.task, Task::Shell { .. }) {
        show_all_messages()?;
    }
    let uptime_ms = uptime_ms();
    reports.send(&Report::Ready { uptime_ms })?;
    let done = task(&job.task, reports);
    // What still runs holds subscriptions, and the module must go now.
    kill_everyone();
    if job.module.is_some() {
        module::unload()?;
        if matches!(job.task, Task::Test { .. }) {
            coverage::report(reports)?;
        }
        if is_judged {
            leaks::show()?;
        }
    }
    done
}

fn task(task: &Task, reports: &Reports) -> Result<()> {
    match task {
        Task::Boot => Ok(()),
        Task::Run { argv, env } => run::run(argv, env, reports),
        Task::Shell { size, term } => shell::run(*size, term.as_deref(), reports),
        Task::Test {
            binaries,
            env,
            filters,
            ignored,
        } => {
            let choice = suite::Choice {
                filters,
                ignored: *ignored,
            };
            suite::run(binaries, env, choice, reports)
        }
    }
}

/// On the console, those of level info too: kmemleak says there what it found.
fn show_all_messages() -> Result<()> {
    const PRINTK: &str = "/proc/sys/kernel/printk";
    fs::write(PRINTK, "7").with_context(|| format!("write to {PRINTK}"))
}

/// Milliseconds since the kernel started.
fn uptime_ms() -> u64 {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = text.split(' ').next().and_then(|word| word.parse().ok());
    (seconds.unwrap_or(0.0_f64) * 1000.0) as u64
}
