//! `setup`: the programs that the other commands need, and each gets for itself.

use std::process::ExitCode;

use anyhow::Result;

/// Install everything that the other commands need
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
