//! Builds the module, boots real kernels and proves the whole way.
//!
//! This file is only the list of commands: each lives in the module that bears
//! its name and exposes `Args` and `run`.

mod gen_bindings;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    GenBindings(gen_bindings::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::GenBindings(args) => gen_bindings::run(&args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
