//! The packages for Debian and what is made of it: built, checked, and tried in roots and in a
//! guest. `cargo xtask` runs this for the command below.

mod build;
mod check;
mod crates;
mod guest;
mod machine;
mod package;
mod root;
mod secure_boot;
mod transitions;

use std::process::ExitCode;

use clap::Subcommand;

#[derive(Subcommand)]
enum Command {
    Package(package::Args),
}

fn main() -> ExitCode {
    xtask_host::cli::main(|Command::Package(args), locked| package::run(&args, locked))
}
