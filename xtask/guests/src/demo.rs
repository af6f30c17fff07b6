//! `demo`: real ICMP of several kinds, and its events as they happen.

use std::process::ExitCode;

use anyhow::Result;
use icmptap_guest::Task;

use crate::vm::artifacts::Wanted;
use crate::vm::machine::{Guest, GuestTask, Options};
use crate::vm::verdict::Verdict;
use crate::vm_run::print;

/// Show live events: boot a guest, generate ICMP of several kinds, and listen
#[derive(clap::Args)]
pub struct Args {
    /// Boot this kernel of vm/kernels.toml
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,

    #[command(flatten)]
    options: Options,
}

/// Runs the command. With `locked`, a pinned package is not replaced.
pub fn run(args: &Args, locked: bool) -> Result<ExitCode> {
    let kernel = args.kernel.as_deref();
    let guest = Guest::prepare(&args.options, kernel, true, Wanted::Demo, locked)?;
    let guest_task = GuestTask {
        // vm/demo.
        task: Task::Run {
            argv: vec!["demo".into()],
            env: Vec::new(),
        },
        copies: &[],
        total: None,
        silence: Some(guest.scaled(std::time::Duration::from_secs(60))),
    };
    let end = guest.run(guest_task, &mut |report| print(report))?;
    let code = match (end.verdict, end.tally.command) {
        (Verdict::Pass, Some(ending)) => ending.code(),
        (verdict, _) => verdict.code(),
    };
    Ok(code.into())
}
