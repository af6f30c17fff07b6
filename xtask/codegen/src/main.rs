//! What is made of the sources and checked in, and whether it is still what they give.
//! `cargo xtask` runs this for the commands below.

mod gen_api;
mod gen_bindings;
mod generated;
mod ynl;

use std::process::ExitCode;

use clap::Subcommand;

#[derive(Subcommand)]
enum Command {
    GenBindings(gen_bindings::Args),
    GenApi(gen_api::Args),
    Ynl(ynl::Args),
}

fn main() -> ExitCode {
    xtask_host::cli::main(|command, locked| match command {
        Command::GenBindings(args) => gen_bindings::run(&args),
        Command::GenApi(args) => gen_api::run(&args),
        Command::Ynl(args) => ynl::run(&args, locked),
    })
}
