//! `package`: the packages, and with `--check` whether they are right.

use std::process::ExitCode;

use anyhow::Result;
use xtask_host::{ui, workspace};

use crate::build::Builder;
use crate::check;

/// Build the packages for Debian and Ubuntu, in target/debian, and print their paths
///
/// It takes Debian 12, whose C library the command is linked with: so it runs there and on
/// everything newer.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Also let lintian judge them, and build them again elsewhere, which has to give the
    /// same bytes
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &Args, _locked: bool) -> Result<ExitCode> {
    let builder = Builder::at(&workspace::target().join("debian"))?;
    let built = builder.build()?;
    if args.check {
        check::lintian(&built)?;
        check::reproducible(&built)?;
        ui::say("checked", "the packages: lintian, and the same bytes twice");
    }
    for package in &built.packages {
        println!("{}", package.display());
    }
    Ok(ExitCode::SUCCESS)
}
