//! What has to hold: the tests in guests, what they reach and find, what the kernel's
//! checkers say, what events cost, and all of it together. `cargo xtask` runs this for the
//! commands below.

mod bench;
mod cargo_test;
mod coverage;
mod packages;
mod parallel;
mod self_check;
mod static_check;
mod suite;
mod tally;
mod test;
mod vm_test;
mod workflows;

use std::process::ExitCode;

use clap::Subcommand;

#[derive(Subcommand)]
enum Command {
    Static(static_check::Args),
    VmTest(vm_test::Args),
    Test(test::Args),
    Bench(bench::Args),
    Workflows(workflows::Args),
    Packages(packages::Args),
}

fn main() -> ExitCode {
    xtask_host::cli::main(|command, locked| match command {
        Command::Static(args) => static_check::run(&args, locked),
        Command::VmTest(args) => vm_test::run(&args, locked),
        Command::Test(args) => test::run(&args, locked),
        Command::Bench(args) => bench::run(&args, locked),
        Command::Workflows(args) => workflows::run(&args),
        Command::Packages(args) => packages::run(&args),
    })
}
