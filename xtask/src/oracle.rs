//! `oracle`: does `icmptap` read packets as others do?

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use icmptap_guest::{Report, Stream, Task};

use crate::vm::artifacts::Wanted;
use crate::vm::machine::{Errand, Guest, Options};
use crate::vm::verdict::Verdict;
use crate::vm_run;
use crate::workspace;

/// Compare what icmptap says of many kinds of ICMP messages with what tshark says
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The kernel to boot, one of vm/kernels.toml
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,

    #[command(flatten)]
    options: Options,
}

pub(crate) fn run(args: &Args, locked: bool) -> Result<ExitCode> {
    let options = args.options.with_one_cpu();
    let guest = Guest::prepare(
        &options,
        args.kernel.as_deref(),
        true,
        Wanted::Tests,
        locked,
    )?;
    let mut captured = Vec::new();
    let errand = Errand {
        task: Task::Run {
            argv: vec!["oracle".into()],
            env: Vec::new(),
        },
        copies: &[],
        total: Some(guest.scaled(Duration::from_secs(120))),
        silence: None,
    };
    let end = guest.run(errand, &mut |report| match report {
        Report::Output {
            stream: Stream::Stdout,
            data,
        } => {
            let bytes: Vec<u8> = data.clone().try_into().context("read the captures")?;
            captured.extend(bytes);
            Ok(())
        }
        report => vm_run::print(report),
    })?;
    let dir = workspace::target().join("oracle");
    std::fs::create_dir_all(&dir)?;
    std::fs::write(dir.join("captures.json"), &captured)?;
    ensure!(end.verdict == Verdict::Pass, "{}", end.verdict);
    Ok(ExitCode::SUCCESS)
}
