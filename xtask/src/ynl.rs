//! `ynl`: whether the kernel's own tools take kernel/netlink/icmptap.yaml.
//!
//! The tools are part of the kernel's source, and in no smaller package. They
//! check the specification against their schema, make a header of it, which has
//! to have the names and values of ours, and a client, which has to compile with
//! ours.

mod contract;
#[cfg(test)]
mod spec;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use liblzma::read::XzDecoder;
use xshell::{Shell, cmd};

use self::contract::Contract;
use crate::archive::lock::{Lock, Package};
use crate::archive::{Archive, deb};
use crate::setup::{self, Tool, need};
use crate::{gen_bindings, ui, workspace};

/// Let the kernel's netlink tools judge kernel/netlink/icmptap.yaml
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) const SPEC: &str = "kernel/netlink/icmptap.yaml";

/// Where the tools are from: a suite that changes no more, so that the pin lasts.
const SUITE: &str = "bookworm-backports";
const PACKAGE: &str = "linux-source-6.12";
/// Where they are in the source.
const TOOLS: &str = "tools/net/ynl";
const SCHEMAS: &str = "Documentation/netlink";

/// The set in the lock file.
const SET: &str = "ynl";

pub(crate) fn run(_: &Args, locked: bool) -> Result<ExitCode> {
    check(locked)?;
    ui::say("accepted", SPEC);
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn check(locked: bool) -> Result<()> {
    need(&[Tool::Gcc, Tool::Libclang, Tool::PyYaml, Tool::JsonSchema])?;
    let source = source(locked)?;
    let made = Made::by(&source)?;
    made.header_is_ours()?;
    made.client_compiles(&source)
}

/// Pins the newest package.
pub(crate) fn update(archive: &Archive) -> Result<()> {
    let lock_file = lock_file();
    let mut lock = Lock::read(&lock_file)?;
    let changed = lock.pin(SET, resolve(archive)?);
    lock.write(&lock_file)?;
    ui::say(
        if changed { "pin" } else { "keep" },
        format!("{SET}  {PACKAGE}"),
    );
    Ok(())
}

fn lock_file() -> PathBuf {
    workspace::root().join("vm/ynl.lock")
}

fn resolve(archive: &Archive) -> Result<Vec<Package>> {
    Ok(vec![archive.index(SUITE)?.get(PACKAGE)?.package.clone()])
}

/// The part of the kernel's source that has the tools and their schemas.
fn source(locked: bool) -> Result<PathBuf> {
    let archive = Archive::of_this_machine()?;
    let pins = crate::archive::read_pins(&lock_file(), SET)?;
    if let Some(source) = archive.cache.get(&entry(&pins.packages)) {
        return Ok(source);
    }
    let (pins, debs) = archive.pinned(&lock_file(), SET, locked, || resolve(&archive))?;
    archive.cache.entry(&entry(&pins.packages), |to| {
        let phase = ui::phase("unpack", PACKAGE);
        let whole = tempfile::tempdir()?;
        for deb in &debs {
            deb::unpack(deb, whole.path())?;
        }
        let tar = whole.path().join(format!("usr/src/{PACKAGE}.tar.xz"));
        unpack_tools(&tar, to).with_context(|| format!("cannot unpack {PACKAGE}"))?;
        phase.done();
        Ok(())
    })
}

fn entry(packages: &[Package]) -> String {
    let hashes: Vec<_> = packages.iter().map(|package| &*package.sha256).collect();
    format!("ynl/{}", hashes.join("-"))
}

fn unpack_tools(tar: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let file = BufReader::new(File::open(tar)?);
    for entry in tar::Archive::new(XzDecoder::new_multi_decoder(file)).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let inside = path.strip_prefix(PACKAGE).unwrap_or(&path);
        if inside.starts_with(TOOLS) || inside.starts_with(SCHEMAS) {
            entry.unpack_in(to)?;
        }
    }
    Ok(())
}

/// What the tools made of the specification.
struct Made {
    dir: tempfile::TempDir,
}

impl Made {
    fn by(source: &Path) -> Result<Made> {
        let source = source.join(PACKAGE);
        let dir = tempfile::tempdir()?;
        // The tools look for the schema above the specification, and for the root
        // of the kernel's source, which they know by this file.
        let schemas = dir.path().join(SCHEMAS);
        fs::create_dir_all(schemas.join("specs"))?;
        fs::write(dir.path().join("MAINTAINERS"), "")?;
        for file in fs::read_dir(source.join(SCHEMAS))? {
            let file = file?;
            if file.path().extension() == Some(OsStr::new("yaml")) {
                fs::copy(file.path(), schemas.join(file.file_name()))?;
            }
        }
        let spec = schemas.join("specs/icmptap.yaml");
        fs::copy(workspace::root().join(SPEC), &spec)?;

        let python = setup::python().context("python3 with yaml and jsonschema not found")?;
        let tool = source.join(TOOLS).join("ynl-gen-c.py");
        let sh = Shell::new()?;
        sh.set_var("PYTHONDONTWRITEBYTECODE", "1");
        for (mode, part, name) in [
            ("uapi", "--header", "icmptap.h"),
            ("user", "--header", "icmptap-user.h"),
            ("user", "--source", "icmptap-user.c"),
        ] {
            let output = dir.path().join(name);
            let run = cmd!(
                sh,
                "{python} {tool} --mode {mode} {part} --spec {spec} -o {output}"
            );
            let run = run.quiet().ignore_status().output()?;
            if !run.status.success() {
                // The last line of a traceback is not the whole of what the schema says.
                bail!(
                    "{} --mode {mode} {part} does not take {SPEC}:\n{}{}",
                    tool.display(),
                    String::from_utf8_lossy(&run.stdout),
                    String::from_utf8_lossy(&run.stderr).trim_end()
                );
            }
        }
        Ok(Made { dir })
    }

    /// YNL makes no structs: what is in a header besides is compared.
    fn header_is_ours(&self) -> Result<()> {
        let made = fs::read_to_string(self.dir.path().join("icmptap.h"))?;
        let made = Contract::of_bindings(&gen_bindings::of_header(&made)?)?;
        let ours = workspace::root().join(gen_bindings::OUTPUT);
        let ours = Contract::of_bindings(&fs::read_to_string(ours)?)?;
        let differences = made.differences(&ours.constants());
        ensure!(
            differences.is_empty(),
            "the header that YNL makes of {SPEC} is not ours (YNL's / ours):\n{}",
            differences.join("\n")
        );
        Ok(())
    }

    fn client_compiles(&self, source: &Path) -> Result<()> {
        let sh = Shell::new()?;
        sh.change_dir(self.dir.path());
        // Made headers lie here too, and must not stand for ours.
        fs::remove_file(self.dir.path().join("icmptap.h"))?;
        let ours = workspace::root().join("kernel/uapi");
        let library = source.join(PACKAGE).join(TOOLS).join("lib");
        cmd!(
            sh,
            "gcc -Wall -Werror -I{ours} -I{library} -c icmptap-user.c -o icmptap-user.o"
        )
        .quiet()
        .run()
        .with_context(|| format!("the client that YNL makes of {SPEC} does not compile"))
    }
}
