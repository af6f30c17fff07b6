//! `vm-test --self-check`: do the tests find what they are there to find?
//!
//! Each patch in `vm/tests/broken` is a bug that somebody could make. It is applied to
//! a copy of the module's sources, and the tests that it names have to find it: with
//! the verdict and the words that its head asks for ([`Broken`]). A check that always
//! fails would find them all, so that the same tests run with the module as it is.

mod broken;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail, ensure};
use xtask_guests::build_module;
use xtask_guests::vm::artifacts::Wanted;
use xtask_guests::vm::machine::{Guest, Options, Share};
use xtask_guests::vm::verdict::Verdict;
use xtask_host::setup::{self, Tool};
use xtask_host::workspace;

use self::broken::Broken;
use crate::parallel;
use crate::suite::{self, Choice};
use crate::tally::Tally;

const PATCHES: &str = "vm/tests/broken";

/// Runs those that are for one of these kernels and whose name contains one of the
/// choice's filters, and prints what becomes of each. Not `with_whole`, somebody else
/// has seen the tests pass with the module as it is.
pub(crate) fn run(
    kernels: &[String],
    options: &Options,
    choice: &Choice,
    with_whole: bool,
    locked: bool,
) -> Result<Tally> {
    let checks: Vec<_> = checks(patches()?, with_whole)
        .into_iter()
        .filter(|check| kernels.contains(check.kernel()) && choice.wants(&check.name()))
        .collect();
    ensure!(!checks.is_empty(), "there is no such self-check");
    let results = parallel::map(&checks, |check| {
        let start = Instant::now();
        let result = check.run(options, choice, locked);
        let took = start.elapsed().as_secs_f64();
        match &result {
            Ok(()) => println!("ok       {}  {took:.1}s", check.name()),
            Err(error) => println!("FAILED   {}  {took:.1}s  {error:#}", check.name()),
        }
        Tally::of(result.is_ok())
    });
    let mut tally = Tally::default();
    results.into_iter().for_each(|one| tally += one);
    Ok(tally)
}

/// One guest.
enum Check {
    /// The module as it is, with the tests of all the broken ones of this kernel.
    Whole { kernel: String, tests: Vec<String> },
    /// What the patch in this file makes of it.
    Broken(Broken, PathBuf),
}

fn checks(broken: Vec<(Broken, PathBuf)>, with_whole: bool) -> Vec<Check> {
    let mut tests = BTreeMap::<_, Vec<_>>::new();
    for (broken, _) in &broken {
        let of_kernel = tests.entry(broken.kernel.clone()).or_default();
        of_kernel.extend(broken.tests.iter().cloned());
    }
    let whole = tests
        .into_iter()
        .filter(|_| with_whole)
        .map(|(kernel, tests)| Check::Whole { kernel, tests });
    let broken = broken
        .into_iter()
        .map(|(broken, patch)| Check::Broken(broken, patch));
    whole.chain(broken).collect()
}

impl Check {
    fn name(&self) -> String {
        match self {
            Check::Whole { kernel, .. } => format!("self-check::whole on {kernel}"),
            Check::Broken(broken, _) => format!("self-check::{}", broken.name),
        }
    }

    fn kernel(&self) -> &String {
        match self {
            Check::Whole { kernel, .. } => kernel,
            Check::Broken(broken, _) => &broken.kernel,
        }
    }

    fn tests(&self) -> &[String] {
        match self {
            Check::Whole { tests, .. } => tests,
            Check::Broken(broken, _) => &broken.tests,
        }
    }

    /// Whether one of the tests is in this binary. The others would only take memory,
    /// and their patience where a guest hangs.
    fn is_in(&self, binary: &str) -> bool {
        let mut tests = self.tests().iter();
        tests.any(|test| test.split("::").next() == Some(binary))
    }

    /// Fails if it does not go as it has to.
    fn run(&self, options: &Options, choice: &Choice, locked: bool) -> Result<()> {
        let kernel = Some(self.kernel().as_str());
        let mut guest = Guest::prepare(options, kernel, true, Wanted::Tests, locked)?;
        if let Check::Broken(broken, patch) = self {
            let source = patched(patch)?;
            let source = source.path().join("kernel");
            let modules = build_module::other_for_kernel(&source, guest.kernel(), &broken.name)?;
            guest = guest.with_modules(&modules)?;
        }
        let binaries = guest.tests(Share::ALL).filter(|name| self.is_in(name));
        let guest_task = suite::guest_task(&guest, binaries, choice, self.tests());
        let mut failed = Vec::new();
        let is_seen = |splats: &[String]| match self {
            Check::Broken(broken, _) => broken.is_seen_in(splats),
            Check::Whole { .. } => false,
        };
        let end = guest.watch(guest_task, Some(&is_seen), &mut |report| {
            let line = suite::line(report)?;
            failed.extend(line.filter(|line| line.starts_with("FAILED")));
            Ok(())
        })?;
        let result = match self {
            Check::Broken(broken, _) => {
                broken.judge(end.verdict, failed.iter().chain(&end.reasons))
            }
            Check::Whole { .. } if end.verdict == Verdict::Pass => Ok(()),
            Check::Whole { .. } => Err(anyhow!("{}", end.verdict)),
        };
        if result.is_err() {
            failed.iter().for_each(|line| println!("{line}"));
            guest.complain(&end);
        }
        result
    }
}

/// All patches, by name.
fn patches() -> Result<Vec<(Broken, PathBuf)>> {
    let dir = workspace::root().join(PATCHES);
    let read = || -> Result<Vec<_>> {
        let entries = fs::read_dir(&dir)?;
        let mut paths = entries
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<Vec<_>>>()?;
        paths.sort();
        let patch = |path: PathBuf| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let broken = Broken::parse(&name, &fs::read_to_string(&path)?);
            Ok((broken.with_context(|| path.display().to_string())?, path))
        };
        paths.into_iter().map(patch).collect()
    };
    read().with_context(|| format!("cannot read {PATCHES}"))
}

/// The module's sources, in `kernel` of that directory, with this change.
fn patched(patch: &Path) -> Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    for (path, text) in build_module::sources()? {
        let to = dir.path().join("kernel").join(path);
        fs::create_dir_all(to.parent().expect("it is in a directory"))?;
        fs::write(&to, text).with_context(|| format!("cannot write {}", to.display()))?;
    }
    apply(patch, dir.path())?;
    Ok(dir)
}

/// To the letter: what a patch is put beside by a guess may be no bug there.
fn apply(patch: &Path, dir: &Path) -> Result<()> {
    setup::need(&[Tool::Patch])?;
    let output = Command::new("patch")
        .args(["--batch", "--forward", "--fuzz=0", "--strip=1"])
        .args(["--no-backup-if-mismatch", "--reject-file=-", "--directory"])
        .arg(dir)
        .arg("--input")
        .arg(patch)
        .output()
        .context("cannot run patch")?;
    if !output.status.success() {
        bail!(
            "{} no longer applies to kernel/: {}",
            patch.display(),
            String::from_utf8_lossy(&output.stdout).trim()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_patch_has_a_head_and_applies() {
        let all = patches().unwrap();
        assert!(!all.is_empty());
        for (_, patch) in &all {
            patched(patch).unwrap();
        }
    }

    #[test]
    fn a_patch_that_is_about_something_else_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let patch = dir.path().join("x.patch");
        fs::write(dir.path().join("a.c"), "int a;\nint c;\n").unwrap();
        let text = |old: &str| {
            format!("Words.\n\n--- a/a.c\n+++ b/a.c\n@@ -1,2 +1,2 @@\n-{old}\n+int b;\n int c;\n")
        };
        fs::write(&patch, text("int z;")).unwrap();
        let error = apply(&patch, dir.path()).unwrap_err().to_string();
        assert!(error.contains("x.patch no longer applies"), "{error}");
        fs::write(&patch, text("int a;")).unwrap();
        apply(&patch, dir.path()).unwrap();
        let changed = fs::read_to_string(dir.path().join("a.c")).unwrap();
        assert_eq!(changed, "int b;\nint c;\n");
        // And not the other way round, either.
        assert!(apply(&patch, dir.path()).is_err());
    }

    #[test]
    fn each_kernel_has_its_whole_module_checked_too() {
        let broken = |kernel: &str, name: &str| {
            let patch = format!(
                "Kernel: {kernel}\nTests: tests::{name}\nVerdict: failed\nSeen: x\n\n--- a"
            );
            (Broken::parse(name, &patch).unwrap(), PathBuf::new())
        };
        let all = || {
            [("b", "one"), ("a", "two"), ("b", "three")]
                .map(|(kernel, name)| broken(kernel, name))
                .into()
        };
        let checks = checks(all(), true);
        let names: Vec<_> = checks.iter().map(Check::name).collect();
        assert_eq!(
            names,
            ["whole on a", "whole on b", "one", "two", "three"]
                .map(|name| format!("self-check::{name}"))
        );
        let of_broken = super::checks(all(), false);
        assert_eq!(
            of_broken.iter().map(Check::name).collect::<Vec<_>>(),
            names[2..]
        );
        let Check::Whole { tests, .. } = &checks[1] else {
            panic!("it is the second");
        };
        assert_eq!(tests, &["tests::one", "tests::three"]);
    }
}
