//! The command line, which the crates that have commands share.
//!
//! `cargo xtask COMMAND` is one program for who types it. Each crate that has commands
//! parses the same line, and knows its own commands only.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::ui;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Builds the module, boots real kernels in guests and runs the tests."
)]
struct Cli<Command: Subcommand> {
    /// Fail instead of replacing a pinned package that is no longer available
    #[arg(long, global = true)]
    locked: bool,

    #[command(subcommand)]
    command: Command,
}

/// The whole of a `main()`: parses the line, and lets `run` do the command, which it tells
/// whether `--locked` was given. An error is printed, and is exit status 125.
pub fn main<Command: Subcommand>(run: impl FnOnce(Command, bool) -> Result<ExitCode>) -> ExitCode {
    let cli = Cli::<Command>::parse();
    run(cli.command, cli.locked).unwrap_or_else(|error| {
        ui::error(&error);
        // Apart from what a command in a guest and a failed test exit with.
        ExitCode::from(125)
    })
}
