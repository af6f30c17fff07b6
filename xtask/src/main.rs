//! Builds the module, boots real kernels in guests and runs the tests.
//!
//! This file is only the list of commands. Those that need more than a guest are programs
//! of their own, so that nobody compiles what they do not use: see [`program`].

mod program;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Subcommand;
use xtask_guests::{build_module, demo, kernels, vm_run};
use xtask_host::{cli, machine, setup};

#[derive(Subcommand)]
enum Command {
    Setup(setup::Args),
    /// Generate the Rust bindings of kernel/uapi in icmptap-sys
    #[command(disable_help_flag = true)]
    GenBindings(Elsewhere),
    /// Write the public API of the crates to docs/api
    #[command(disable_help_flag = true)]
    GenApi(Elsewhere),
    /// Check kernel/netlink/icmptap.yaml with the kernel's netlink tools
    #[command(disable_help_flag = true)]
    Ynl(Elsewhere),
    BuildModule(build_module::Args),
    /// Check the module's source with sparse, checkpatch and coccinelle
    #[command(disable_help_flag = true)]
    Static(Elsewhere),
    /// Check GitHub's workflows in .github/workflows
    #[command(disable_help_flag = true)]
    Workflows(Elsewhere),
    /// Run the tests of each published crate in its unpacked package
    #[command(disable_help_flag = true)]
    Packages(Elsewhere),
    /// Build the packages for Debian and Ubuntu, in target/debian, and print their paths
    #[command(disable_help_flag = true)]
    Package(Elsewhere),
    Kernels(kernels::Args),
    VmRun(vm_run::Args),
    /// Run the tests of vm/tests in a guest
    #[command(disable_help_flag = true)]
    VmTest(Elsewhere),
    Demo(demo::Args),
    /// Compare the decoding of many kinds of ICMP messages by icmptap and by tshark
    #[command(disable_help_flag = true)]
    Oracle(Elsewhere),
    /// Run the checks: formatting, lints, unit tests, packages, documentation, bindings, API,
    /// specification, static checks, the guest's tests on the default kernel, the oracle
    #[command(disable_help_flag = true)]
    Test(Elsewhere),
    /// Measure the cost of an event, of icmptap and other tools, in guest instructions
    #[command(disable_help_flag = true)]
    Bench(Elsewhere),
}

/// Anything: the program that has the command reads it.
#[derive(clap::Args)]
struct Elsewhere {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    _arguments: Vec<OsString>,
}

impl Command {
    /// Whether it boots guests, or fetches and builds what they are made of.
    fn is_for_guests(&self) -> bool {
        match self {
            Command::GenBindings(_)
            | Command::GenApi(_)
            | Command::Ynl(_)
            | Command::Workflows(_)
            | Command::Packages(_)
            | Command::Package(_) => false,
            Command::BuildModule(args) => args.is_for_guests(),
            _ => true,
        }
    }
}

fn main() -> ExitCode {
    cli::main(|command: Command, locked| {
        if command.is_for_guests() {
            machine::runs_guests(std::env::consts::ARCH)?;
        }
        match command {
            Command::Setup(args) => setup::run(&args),
            Command::BuildModule(args) => build_module::run(&args, locked),
            Command::Kernels(args) => kernels::run(&args, locked),
            Command::VmRun(args) => vm_run::run(&args, locked),
            Command::Demo(args) => demo::run(&args, locked),
            Command::GenBindings(_) | Command::GenApi(_) | Command::Ynl(_) => {
                program::become_one("xtask-codegen")
            }
            Command::Oracle(_) => program::become_one("xtask-oracle"),
            Command::Package(_) => program::become_one("xtask-debian"),
            Command::Static(_)
            | Command::VmTest(_)
            | Command::Test(_)
            | Command::Bench(_)
            | Command::Workflows(_)
            | Command::Packages(_) => program::become_one("xtask-checks"),
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        command: Command,
    }

    #[test]
    fn what_needs_no_guest_is_not_kept_from_other_architectures() {
        let is_for_guests = |words: &str| {
            let words = ["xtask"].into_iter().chain(words.split_whitespace());
            Line::try_parse_from(words).unwrap().command.is_for_guests()
        };
        for words in ["demo", "test", "vm-run -- true", "setup", "build-module"] {
            assert!(is_for_guests(words), "{words}");
        }
        for words in [
            "gen-bindings",
            "gen-api",
            "ynl",
            "packages",
            "package",
            "build-module --kdir /k",
            "build-module --install",
            "build-module --uninstall",
        ] {
            assert!(!is_for_guests(words), "{words}");
        }
    }
}
