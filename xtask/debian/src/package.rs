//! `package`: the packages, and with `--check` whether they are right.

use std::process::ExitCode;

use anyhow::Result;
use xtask_host::{ui, workspace};

use crate::build::{Builder, Parts};
use crate::machine::Suite;
use crate::{check, transitions};

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

    /// Also install, upgrade and remove them in a root of this suite of Debian's (bookworm,
    /// trixie), with kernels that come and go and builds that
    /// fail, and boot one in a guest
    #[arg(long, value_name = "SUITE")]
    root: Vec<String>,

    /// Only this of what is tried there
    #[arg(long, value_name = "NAME", requires = "root", value_parser = transitions::names())]
    trial: Vec<String>,
}

pub(crate) fn run(args: &Args, _locked: bool) -> Result<ExitCode> {
    let builder = Builder::at(&workspace::target().join("debian"))?;
    let built = builder.build(Parts::All)?;
    if args.check {
        check::lintian(&built)?;
        check::reproducible(&built)?;
        ui::say("checked", "the packages: lintian, and the same bytes twice");
    }
    let mut tally = (0, 0);
    for name in &args.root {
        let suite = Suite::prepare(name, &built)?;
        let (passed, failed) = transitions::run(&suite, &args.trial)?;
        tally = (tally.0 + passed, tally.1 + failed);
    }
    if !args.root.is_empty() {
        println!("{} passed, {} failed", tally.0, tally.1);
    }
    for package in &built.packages {
        println!("{}", package.display());
    }
    Ok(ExitCode::from(u8::from(tally.1 > 0)))
}
