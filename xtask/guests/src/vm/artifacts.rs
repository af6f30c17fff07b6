//! Our own binaries for the guest, static: its image has nobody else's libraries
//! for them. Cargo decides what must be built.

use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::{Artifact, Message, TargetKind};
use object::Endianness;
use object::elf::{FileHeader64, PT_INTERP};
use object::read::elf::{FileHeader, ProgramHeader};
use xtask_host::setup::{self, Tool};
use xtask_host::{ui, workspace};

/// The target is named although it is the host's own: otherwise cargo would build
/// its plug-ins static too, and those cannot be.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Which binaries are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The guest's first process and `icmptap`.
    Tools,
    /// These and vm/demo.
    Demo,
    /// These, and the programs and tests of vm/tests.
    Tests,
    /// The tools and vm/bench, as we ship them.
    Bench,
}

/// The profile of what is built again at each change.
const QUICK: &str = "guest";
/// The profile of what users install.
const SHIPPED: &str = "release";

const GUEST: &str = "icmptap-guest";
const CLI: &str = "icmptap-cli";
const DEMO: &str = "icmptap-vm-demo";
const TESTS: &str = "icmptap-vm-tests";
const BENCH: &str = "icmptap-vm-bench";

impl Wanted {
    /// Whose programs, and how they are built.
    fn packages(self) -> &'static [(&'static [&'static str], &'static str)] {
        match self {
            Wanted::Tools => &[(&[GUEST, CLI], QUICK)],
            Wanted::Demo => &[(&[GUEST, CLI, DEMO], QUICK)],
            Wanted::Tests => &[(&[GUEST, CLI, TESTS], QUICK)],
            Wanted::Bench => &[(&[GUEST], QUICK), (&[CLI, BENCH], SHIPPED)],
        }
    }
}

/// Binaries that were built, by name.
#[derive(Debug, Default)]
pub(crate) struct Binaries {
    /// The guest's first process.
    pub(crate) init: PathBuf,
    /// Programs.
    pub(crate) programs: Vec<(String, PathBuf)>,
    /// Test binaries, sorted.
    pub(crate) tests: Vec<(String, PathBuf)>,
}

/// What every program of the guest takes.
pub(crate) const TOOLS: [Tool; 2] = [Tool::Gcc, Tool::StaticLibc];

/// Builds what changed.
pub(crate) fn build(wanted: Wanted) -> Result<Binaries> {
    setup::need(&TOOLS)?;
    let phase = ui::phase("build", "the guest's binaries");
    let mut binaries = Binaries::default();
    for (packages, profile) in wanted.packages() {
        for artifact in cargo(packages, profile, &["--bins"])? {
            let (name, path) = executable(&artifact)?;
            match name.as_str() {
                "icmptap-guest" => binaries.init = path,
                _ => binaries.programs.push((name, path)),
            }
        }
    }
    if wanted == Wanted::Tests {
        for artifact in cargo(&[TESTS], QUICK, &["--test", "*"])? {
            if artifact.target.kind.contains(&TargetKind::Test) {
                binaries.tests.push(executable(&artifact)?);
            }
        }
        binaries.tests.sort();
    }
    if wanted == Wanted::Bench {
        binaries.programs.append(&mut c_readers()?);
    }
    phase.done();
    Ok(binaries)
}

/// The programs of vm/bench that are C. They are not static: the libraries that they
/// are about are in the guest's image.
fn c_readers() -> Result<Vec<(String, PathBuf)>> {
    setup::need(&[
        Tool::Make,
        Tool::Gcc,
        Tool::LibnetfilterLog,
        Tool::LibnetfilterQueue,
    ])?;
    let out = workspace::target().join("guest").join("c");
    fs::create_dir_all(&out).with_context(|| format!("create {}", out.display()))?;
    let mut command = Command::new("make");
    command.args(["--silent", "-C"]);
    command.arg(workspace::root().join("vm/bench/c"));
    command.arg(format!("OUT={}", out.display()));
    let status = command.status().context("cannot run make")?;
    ensure!(status.success(), "{command:?}: {status}");
    let names = ["bench-nflog", "bench-nfqueue"];
    Ok(names.map(|name| (name.to_owned(), out.join(name))).into())
}

/// Runs cargo, which prints its complaints, and brings what it built or found built.
fn cargo(packages: &[&str], profile: &str, what: &[&str]) -> Result<Vec<Artifact>> {
    let mut command = xtask_host::cargo();
    command
        .args(["build", "--quiet", "--profile", profile])
        .args(["--target", TARGET])
        // Apart from what the host uses: other flags, and no waiting for its lock.
        .arg("--target-dir")
        .arg(workspace::target().join("guest"))
        .arg("--message-format=json-render-diagnostics")
        .args(packages.iter().flat_map(|name| ["--package", name]))
        .args(what)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot run cargo")?;
    let output = child.stdout.take().expect("the pipe was asked for");
    let mut artifacts = Vec::new();
    for message in Message::parse_stream(BufReader::new(output)) {
        if let Message::CompilerArtifact(artifact) = message.context("read cargo's messages")?
            && artifact.executable.is_some()
        {
            artifacts.push(artifact);
        }
    }
    if !child.wait()?.success() {
        bail!("the guest's binaries do not build: {command:?}");
    }
    Ok(artifacts)
}

fn executable(artifact: &Artifact) -> Result<(String, PathBuf)> {
    let path = artifact.executable.clone().expect("only these were kept");
    let path = path.into_std_path_buf();
    check_static(&path)?;
    Ok((artifact.target.name.clone(), path))
}

/// A binary that needs a loader would fail in the guest, with a puzzling "not found".
fn check_static(path: &Path) -> Result<()> {
    let data = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    if needs_loader(&data).with_context(|| format!("{} is not an ELF file", path.display()))? {
        bail!("{} is not static", path.display());
    }
    Ok(())
}

fn needs_loader(data: &[u8]) -> object::Result<bool> {
    let header = FileHeader64::<Endianness>::parse(data)?;
    let endian = header.endian()?;
    let segments = header.program_headers(endian, data)?;
    Ok(segments
        .iter()
        .any(|segment| segment.p_type(endian) == PT_INTERP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_binary_is_known_as_one() {
        // This test, like every ordinary program of the host.
        let path = std::env::current_exe().unwrap();
        let error = check_static(&path).unwrap_err().to_string();
        assert!(error.ends_with("is not static"), "{error}");
    }

    #[test]
    fn what_is_no_binary_is_said_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("text");
        fs::write(&path, "text").unwrap();
        let error = check_static(&path).unwrap_err().to_string();
        assert!(error.ends_with("is not an ELF file"), "{error}");
    }
}
