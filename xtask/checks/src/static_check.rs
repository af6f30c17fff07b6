//! `static`: what the kernel's own checkers say of the module's source.
//!
//! sparse, checkpatch and coccinelle each read all of it, and a file with a slip for
//! each of them, which they have to find. All that they say is a failure, unless the
//! allow list in `findings` has it with a reason.

mod checkpatch;
mod coccinelle;
mod findings;
mod sparse;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use xtask_archive::linux_source;
use xtask_guests::{build_module, kernel};
use xtask_host::setup::{Tool, need};
use xtask_host::ui;

use self::findings::{ALLOWED, SLIPS, judge};

/// Check the module's source with sparse, checkpatch and coccinelle
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) const TOOLS: [Tool; 4] = [Tool::Sparse, Tool::Perl, Tool::Coccinelle, Tool::LibPython];

pub(crate) fn run(_: &Args, locked: bool) -> Result<ExitCode> {
    check(locked)?;
    ui::say("clean", "kernel/");
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn check(locked: bool) -> Result<()> {
    need(&TOOLS)?;
    let tree = linux_source::tree(locked)?;
    let sources = sources()?;

    let mut said = sparse::check(&sources, &kernel::ensure(None, locked)?)?;
    let laid_out = tempfile::tempdir()?;
    lay_out(&sources, laid_out.path())?;
    said.extend(checkpatch::check(&tree, laid_out.path())?);
    said.extend(coccinelle::check(&tree, laid_out.path())?);

    let complaints = judge(&said, ALLOWED);
    if complaints.is_empty() {
        return Ok(());
    }
    for complaint in &complaints {
        eprintln!("{complaint}");
    }
    bail!(
        "{} of the checkers' findings are not as they have to be: see above",
        complaints.len()
    );
}

/// The module's sources, and the slips, which kbuild makes a module of too.
fn sources() -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut sources = build_module::sources()?;
    let kbuild = sources
        .get_mut(Path::new("Kbuild"))
        .context("kernel/ has no Kbuild")?;
    kbuild.extend_from_slice(b"\nobj-m += slips.o\n");
    let slips = include_bytes!("static_check/slips.c").to_vec();
    sources.insert(SLIPS.into(), slips);
    Ok(sources)
}

/// Where the sources lie in [`lay_out`]'s tree.
const MODULE: &str = "icmptap";
/// The headers for programs are where the kernel's are: checkpatch then knows that
/// they cannot use what only the kernel has.
const UAPI: &str = "include/uapi";

/// Writes the C sources as they would lie in the kernel's tree.
fn lay_out(sources: &BTreeMap<PathBuf, Vec<u8>>, root: &Path) -> Result<()> {
    for (path, text) in sources {
        if !path.extension().is_some_and(|is| is == "c" || is == "h") {
            continue;
        }
        let to = match path.strip_prefix("uapi") {
            Ok(header) => root.join(UAPI).join(header),
            Err(_) => root.join(MODULE).join(path),
        };
        fs::create_dir_all(to.parent().unwrap_or(root))?;
        fs::write(&to, text).with_context(|| format!("cannot write {}", to.display()))?;
    }
    Ok(())
}

/// Back from a path in [`lay_out`]'s tree to the one in `kernel/`.
fn in_kernel(laid_out: &str) -> String {
    let path = laid_out.trim_start_matches("./");
    match Path::new(path).strip_prefix(MODULE) {
        Ok(source) => source.display().to_string(),
        Err(_) => path.trim_start_matches("include/").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_laid_out_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["main.c", "imp2/main.c", "uapi/linux/a.h"];
        let sources = names.map(|name| (PathBuf::from(name), name.as_bytes().to_vec()));
        let no_c = (PathBuf::from("Kbuild"), Vec::new());
        lay_out(&sources.into_iter().chain([no_c]).collect(), dir.path()).unwrap();
        for (laid_out, name) in [
            "icmptap/main.c",
            "icmptap/imp2/main.c",
            "include/uapi/linux/a.h",
        ]
        .iter()
        .zip(names)
        {
            let text = fs::read_to_string(dir.path().join(laid_out)).unwrap();
            assert_eq!(text, name);
            assert_eq!(in_kernel(laid_out), name);
            assert_eq!(in_kernel(&format!("./{laid_out}")), name);
        }
        assert!(!dir.path().join("icmptap/Kbuild").exists());
    }
}
