//! Builds the module, boots real kernels and proves the whole way.
//!
//! This file is only the list of commands. Those that need more than a guest are programs
//! of their own, so that nobody compiles what they do not use: see [`program`].

mod program;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Subcommand;
use xtask_guests::{build_module, demo, kernels, vm_run};
use xtask_host::{cli, setup};

#[derive(Subcommand)]
enum Command {
    Setup(setup::Args),
    /// Write the Rust form of kernel/uapi into icmptap-sys
    #[command(disable_help_flag = true)]
    GenBindings(Elsewhere),
    /// Write down the public API of the crates, in docs/api
    #[command(disable_help_flag = true)]
    GenApi(Elsewhere),
    /// Let the kernel's netlink tools judge kernel/netlink/icmptap.yaml
    #[command(disable_help_flag = true)]
    Ynl(Elsewhere),
    BuildModule(build_module::Args),
    /// Check the module's source with sparse, checkpatch and coccinelle
    #[command(disable_help_flag = true)]
    Static(Elsewhere),
    Kernels(kernels::Args),
    VmRun(vm_run::Args),
    /// Run the tests of vm/tests in a guest
    #[command(disable_help_flag = true)]
    VmTest(Elsewhere),
    Demo(demo::Args),
    /// Compare what icmptap says of ICMP messages of many kinds with what tshark says
    #[command(disable_help_flag = true)]
    Oracle(Elsewhere),
    /// Run everything: formatting, lints, unit tests, bindings, module, static checks, guests,
    /// oracle, figures, harness
    #[command(disable_help_flag = true)]
    Test(Elsewhere),
    /// Measure what an event costs, us and what else there is, in guest instructions
    #[command(disable_help_flag = true)]
    Bench(Elsewhere),
}

/// Anything: the program that has the command reads it.
#[derive(clap::Args)]
struct Elsewhere {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    _arguments: Vec<OsString>,
}

fn main() -> ExitCode {
    cli::main(|command, locked| match command {
        Command::Setup(args) => setup::run(&args),
        Command::BuildModule(args) => build_module::run(&args, locked),
        Command::Kernels(args) => kernels::run(&args, locked),
        Command::VmRun(args) => vm_run::run(&args, locked),
        Command::Demo(args) => demo::run(&args, locked),
        Command::GenBindings(_) | Command::GenApi(_) | Command::Ynl(_) => {
            program::become_one("xtask-codegen")
        }
        Command::Oracle(_) => program::become_one("xtask-oracle"),
        Command::Static(_) | Command::VmTest(_) | Command::Test(_) | Command::Bench(_) => {
            program::become_one("xtask-checks")
        }
    })
}
