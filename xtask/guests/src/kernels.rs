//! `kernels`: which kernels there are, fetching them, and pinning newer ones.

use std::process::ExitCode;

use anyhow::Result;
use xtask_archive::Archive;
use xtask_archive::linux_source;
use xtask_archive::lock::Lock;
use xtask_host::ui;

use crate::guest_packages::{self, GuestPackages, ImageKind};
use crate::kernel::{self, Kernels};

/// List, fetch and update the kernels for guests
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List all kernels, and which are in the cache
    List,
    /// Print the cache entry of each locally built kernel, as NAME=ENTRY
    Recipes,
    /// Fetch or build these kernels; without a name, all, and the guest's tools
    Fetch { names: Vec<String> },
    /// Pin the newest packages of these kernels; without a name, of all kernels, of the guest's tools and of the kernel's source
    Update { names: Vec<String> },
}

/// Runs the command. With `locked`, a pinned package is not replaced.
pub fn run(args: &Args, locked: bool) -> Result<ExitCode> {
    let kernels = Kernels::of_this_workspace()?;
    let archive = Archive::of_this_machine()?;
    match &args.command {
        Command::List => list(&kernels, &archive)?,
        Command::Recipes => println!("{}", recipes(&kernels)?.join("\n")),
        Command::Fetch { names } => fetch(&kernels, &archive, names, locked)?,
        Command::Update { names } => update(&kernels, &archive, names)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(kernels: &Kernels, archive: &Archive) -> Result<()> {
    let width = kernels
        .config
        .kernels
        .keys()
        .map(String::len)
        .max()
        .unwrap_or_default();
    for (name, spec) in &kernels.config.kernels {
        let mark = if *name == kernels.config.default {
            '*'
        } else {
            ' '
        };
        let Ok(pins) = kernels.pins(name) else {
            println!("{mark} {name:width$}  not pinned: run `cargo xtask kernels update {name}`");
            continue;
        };
        let place = match kernels.fetched(archive, name)? {
            Some(kernel) => kernel
                .kdir
                .ancestors()
                .nth(3)
                .unwrap_or(&kernel.kdir)
                .display()
                .to_string(),
            None => "not fetched".to_owned(),
        };
        let version = &pins.packages[0].version;
        println!(
            "{mark} {name:width$}  {}  {version}  {}  {place}",
            kernel::title(&pins)?,
            spec.suite
        );
    }
    Ok(())
}

/// For who keeps built kernels elsewhere, as GitHub's workflow does: the entry's name
/// changes with what the kernel is built of, and with nothing else.
fn recipes(kernels: &Kernels) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for name in kernels.config.kernels.keys() {
        if let Some(entry) = kernels.built_entry(name)? {
            lines.push(format!("{name}={entry}"));
        }
    }
    Ok(lines)
}

fn fetch(kernels: &Kernels, archive: &Archive, names: &[String], locked: bool) -> Result<()> {
    for name in kernels.config.chosen(names, names.is_empty())? {
        let kernel = kernels.ensure(archive, &name, locked)?;
        println!("{name}  {}  {}", kernel.release, kernel.kdir.display());
    }
    if names.is_empty() {
        let files = guest_packages::ensure_image_files(ImageKind::Bench, locked)?;
        println!("guest  {} files", files.len());
    }
    Ok(())
}

fn update(kernels: &Kernels, archive: &Archive, names: &[String]) -> Result<()> {
    let mut lock = Lock::read(&kernels.lock_file)?;
    for name in kernels.config.chosen(names, names.is_empty())? {
        let changed = lock.pin(&name, kernels.resolve(archive, &name)?);
        lock.write(&kernels.lock_file)?;
        let pins = kernels.pins(&name)?;
        let version = &pins.packages[0].version;
        ui::say(
            if changed { "pin" } else { "keep" },
            format!("{name}  {}  {version}", kernel::title(&pins)?),
        );
    }
    if names.is_empty() {
        GuestPackages::of_this_workspace()?.update(archive)?;
        linux_source::update(archive)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_kernels_that_are_built_have_recipes() {
        let lines = recipes(&Kernels::of_this_workspace().unwrap()).unwrap();
        let has_hash = |line: &String, start: &str| {
            let hash = line.strip_prefix(start).unwrap_or_default();
            hash.len() == 16 && hash.chars().all(|digit| digit.is_ascii_hexdigit())
        };
        let [debug, edge] = &lines[..] else {
            panic!("{lines:?}");
        };
        assert!(has_hash(debug, "debug=kernels/debug-"), "{debug}");
        assert!(has_hash(edge, "edge=kernels/edge-"), "{edge}");
    }
}
