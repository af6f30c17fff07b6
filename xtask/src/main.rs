//! Builds the module, boots real kernels and proves the whole way.
//!
//! This file is only the list of commands: each lives in the module that bears
//! its name and exposes `Args` and `run`.

mod archive;
mod bench;
mod boot_bench;
mod build_module;
mod cache;
mod coverage;
mod demo;
mod gen_api;
mod gen_bindings;
mod generated;
mod guest_packages;
mod host;
mod kernel;
mod kernels;
mod lanes;
mod linux_source;
mod median;
mod oracle;
mod self_check;
mod setup;
mod static_check;
mod tally;
mod terminal;
mod test;
mod ui;
mod vm;
mod vm_run;
mod vm_test;
mod workflows;
mod workspace;
mod ynl;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about)]
struct Cli {
    /// Fail rather than replace a pinned package that can no longer be had
    #[arg(long, global = true)]
    locked: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Setup(setup::Args),
    GenBindings(gen_bindings::Args),
    GenApi(gen_api::Args),
    Ynl(ynl::Args),
    BuildModule(build_module::Args),
    Static(static_check::Args),
    Workflows(workflows::Args),
    Kernels(kernels::Args),
    VmRun(vm_run::Args),
    VmTest(vm_test::Args),
    Demo(demo::Args),
    Oracle(oracle::Args),
    Test(test::Args),
    Bench(bench::Args),
    BootBench(boot_bench::Args),
}

impl Command {
    /// Whether it boots guests, or fetches and builds what they are made of.
    fn is_for_guests(&self) -> bool {
        match self {
            Command::GenBindings(_)
            | Command::GenApi(_)
            | Command::Ynl(_)
            | Command::Workflows(_) => false,
            Command::BuildModule(args) => args.is_for_guests(),
            _ => true,
        }
    }
}

fn main() -> ExitCode {
    run(Cli::parse()).unwrap_or_else(|error| {
        ui::error(&error);
        // Apart from what a command in a guest and a failed test exit with.
        ExitCode::from(125)
    })
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    if cli.command.is_for_guests() {
        host::runs_guests(std::env::consts::ARCH)?;
    }
    match cli.command {
        Command::Setup(args) => setup::run(&args),
        Command::GenBindings(args) => gen_bindings::run(&args),
        Command::GenApi(args) => gen_api::run(&args),
        Command::Ynl(args) => ynl::run(&args, cli.locked),
        Command::BuildModule(args) => build_module::run(&args, cli.locked),
        Command::Static(args) => static_check::run(&args, cli.locked),
        Command::Workflows(args) => workflows::run(&args),
        Command::Kernels(args) => kernels::run(&args, cli.locked),
        Command::VmRun(args) => vm_run::run(&args, cli.locked),
        Command::VmTest(args) => vm_test::run(&args, cli.locked),
        Command::Demo(args) => demo::run(&args, cli.locked),
        Command::Oracle(args) => oracle::run(&args, cli.locked),
        Command::Test(args) => test::run(&args, cli.locked),
        Command::Bench(args) => bench::run(&args, cli.locked),
        Command::BootBench(args) => boot_bench::run(&args, cli.locked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_no_guest_is_not_kept_from_other_architectures() {
        let is_for_guests = |words: &str| {
            let words = ["xtask"].into_iter().chain(words.split_whitespace());
            Cli::try_parse_from(words).unwrap().command.is_for_guests()
        };
        for words in ["demo", "test", "vm-run -- true", "setup", "build-module"] {
            assert!(is_for_guests(words), "{words}");
        }
        for words in ["gen-bindings", "gen-api", "ynl", "build-module --kdir /k"] {
            assert!(!is_for_guests(words), "{words}");
        }
    }
}
