//! `cargo xtask oracle` runs this.

use std::process::ExitCode;

use clap::Subcommand;

#[derive(Subcommand)]
enum Command {
    Oracle(xtask_oracle::Args),
}

fn main() -> ExitCode {
    xtask_host::cli::main(|Command::Oracle(args), locked| xtask_oracle::run(&args, locked))
}
