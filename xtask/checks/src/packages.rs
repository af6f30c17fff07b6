//! The crates that are published, as others get them: each is packed, unpacked outside its
//! place in the repository, and tested there. What a package lacks, such as a file that lies
//! elsewhere in the repository or a dependency's feature, shows as a failure.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};
use xtask_host::{cargo, workspace};

use crate::cargo_test;
use crate::tally::Tally;

/// Run the tests of each published crate in its unpacked package
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Use the lowest version of each dependency that Cargo.toml allows, and the oldest
    /// Rust that it supports, which rustup must have installed
    #[arg(long)]
    oldest: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let tally = check(match args.oldest {
        true => Versions::Oldest,
        false => Versions::Locked,
    })?;
    println!("{} passed, {} failed", tally.passed, tally.failed);
    Ok(ExitCode::from(u8::from(tally.failed > 0)))
}

/// Of the dependencies, and of Rust.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Versions {
    /// Those of Cargo.lock, and the Rust that runs us.
    Locked,
    /// The lowest that Cargo.toml allows.
    Oldest,
}

/// The tests of each package pass, without the features that the others ask of their common
/// dependencies.
pub(crate) fn check(versions: Versions) -> Result<Tally> {
    let names = names(&workspace::root().join("crates"))?;
    let unpacked = unpack(&names)?;
    let mut tally = Tally::default();
    let rust = oldest_rust(&unpacked, &names)?;
    let cargo = |subcommand: &str| match versions {
        Versions::Locked => {
            let mut cargo = cargo();
            // Most of what it depends on has been compiled there.
            cargo.env("CARGO_TARGET_DIR", workspace::target());
            cargo.args([subcommand, "--offline"]);
            cargo.current_dir(&unpacked);
            cargo
        }
        Versions::Oldest => {
            let mut cargo = Command::new("rustup");
            cargo.args(["run", &rust, "cargo", subcommand]);
            cargo.env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
            cargo.env("CARGO_TARGET_DIR", workspace::target().join("oldest"));
            cargo.current_dir(&unpacked);
            cargo
        }
    };
    if versions == Versions::Oldest {
        let mut update = cargo("update");
        update.args(["--quiet", "-Z", "direct-minimal-versions"]);
        run_to_end(update.env("RUSTC_BOOTSTRAP", "1"))?;
    }
    for name in &names {
        let mut test = cargo("test");
        test.args(["--quiet", "--all-features", "--package", name]);
        tally += cargo_test::run(test)?;
    }
    Ok(tally)
}

/// Packs the crates as they are now, and unpacks them into a workspace of nothing else, where
/// they depend on each other, and not on what the registry may have by the same names.
fn unpack(names: &[String]) -> Result<PathBuf> {
    let root = workspace::root();
    run_to_end(cargo().args(["fetch", "--quiet", "--locked"]))?;
    let mut command = cargo();
    command.args("package --quiet --locked --offline --allow-dirty --no-verify".split(' '));
    command.args(names.iter().flat_map(|name| ["--package", name]));
    run_to_end(&mut command)?;

    let target = workspace::target();
    let fresh = target.join("packages.new");
    clear(&fresh)?;
    for name in names {
        let file = target.join(format!("package/{name}-{VERSION}.crate"));
        let mut tar = Command::new("tar");
        tar.args(["--extract", "--gunzip", "--file"]).arg(&file);
        run_to_end(tar.arg("--directory").arg(&fresh))?;
    }
    fs::copy(root.join("Cargo.lock"), fresh.join("Cargo.lock")).context("copy Cargo.lock")?;
    fs::write(fresh.join("Cargo.toml"), manifest(names)?).context("write Cargo.toml")?;

    // A file in a package has always the same time, by which cargo would not see that it has
    // changed; and all would be compiled anew if all files were.
    let unpacked = target.join("packages");
    update(&fresh, &unpacked)?;
    Ok(unpacked)
}

/// The Rust that all of them promise to compile with.
fn oldest_rust(unpacked: &Path, names: &[String]) -> Result<String> {
    let promised = |name: &String| {
        let path = unpacked.join(format!("{name}-{VERSION}/Cargo.toml"));
        let manifest: toml::Table = fs::read_to_string(path)?.parse()?;
        let rust = manifest["package"]
            .get("rust-version")
            .context(name.clone())?;
        Ok(rust.as_str().context("a text")?.to_owned())
    };
    let promised: BTreeSet<String> = names.iter().map(promised).collect::<Result<_>>()?;
    let mut promised = promised.into_iter();
    let oldest = promised.next().context("a crate")?;
    ensure!(
        promised.next().is_none(),
        "the crates promise different versions of Rust"
    );
    Ok(oldest)
}

/// All of our crates have the same.
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn names(crates: &Path) -> Result<Vec<String>> {
    let mut names = entries(crates)?.into_iter().collect::<Vec<_>>();
    names.retain(|name| crates.join(name).join("Cargo.toml").exists());
    ensure!(!names.is_empty(), "no crates in {}", crates.display());
    Ok(names)
}

/// With the profile of the repository's own workspace, so that what is compiled there is not
/// compiled again.
fn manifest(names: &[String]) -> Result<String> {
    let ours = fs::read_to_string(workspace::root().join("Cargo.toml"))?;
    let mut ours: toml::Table = ours.parse().context("read Cargo.toml")?;
    let mut profile = toml::Table::new();
    profile.insert(
        "profile".to_owned(),
        ours.remove("profile").context("a profile in Cargo.toml")?,
    );
    // Settings of single packages are an error where the package is not used.
    if let Some(dev) = profile["profile"]
        .get_mut("dev")
        .and_then(|dev| dev.as_table_mut())
    {
        dev.remove("package");
    }
    let mut text = format!(
        "[workspace]\nresolver = \"3\"\nmembers = [\"*-{VERSION}\"]\n\n[patch.crates-io]\n"
    );
    for name in names {
        writeln!(text, "{name} = {{ path = \"{name}-{VERSION}\" }}")?;
    }
    Ok(format!("{text}\n{profile}"))
}

/// Makes `to` the same as `from`, and touches no file that is the same already.
fn update(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("make {}", to.display()))?;
    let wanted = entries(from)?;
    for name in entries(to)?.difference(&wanted) {
        let gone = to.join(name);
        match gone.is_dir() {
            true => fs::remove_dir_all(&gone),
            false => fs::remove_file(&gone),
        }
        .with_context(|| format!("remove {}", gone.display()))?;
    }
    for name in &wanted {
        let (from, to) = (from.join(name), to.join(name));
        if from.is_dir() {
            update(&from, &to)?;
            continue;
        }
        let bytes = fs::read(&from).with_context(|| format!("read {}", from.display()))?;
        if fs::read(&to).ok().as_ref() != Some(&bytes) {
            fs::write(&to, bytes).with_context(|| format!("write {}", to.display()))?;
        }
    }
    Ok(())
}

fn entries(directory: &Path) -> Result<BTreeSet<String>> {
    let read = || {
        let entries = fs::read_dir(directory)?;
        entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<std::io::Result<_>>()
    };
    read().with_context(|| format!("list {}", directory.display()))
}

fn clear(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| format!("remove {}", directory.display()))?;
    }
    fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))
}

fn run_to_end(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status();
    let status = status.with_context(|| format!("cannot run {command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_changed_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| directory.path().join(name));
        for (path, text) in [
            ("from/a/same", "1"),
            ("from/new", "2"),
            ("from/changed", "3"),
        ] {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        update(&from, &to).unwrap();
        let time = |name| fs::metadata(to.join(name)).unwrap().modified().unwrap();
        let before = time("a/same");
        fs::write(to.join("changed"), "old").unwrap();
        fs::create_dir(to.join("gone")).unwrap();
        fs::write(to.join("a/gone"), "").unwrap();

        update(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("changed")).unwrap(), "3");
        assert_eq!(entries(&to).unwrap(), entries(&from).unwrap());
        assert_eq!(entries(&to.join("a")).unwrap(), ["same".to_owned()].into());
        assert_eq!(time("a/same"), before);
    }

    /// What cargo is told is what it understands.
    #[test]
    fn the_workspace_has_our_profile() {
        let text = manifest(&["a".to_owned(), "b".to_owned()]).unwrap();
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(
            table["patch"]["crates-io"]["b"]["path"].as_str().unwrap(),
            format!("b-{VERSION}")
        );
        assert!(table["profile"]["dev"].get("debug").is_some());
    }
}
