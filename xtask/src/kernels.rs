//! `kernels`: which kernels there are, fetching them, and pinning newer ones.

use std::process::ExitCode;

use anyhow::Result;

/// List, fetch and update the kernels we run on
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args, _locked: bool) -> Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
