//! sparse: types that C has not, above all the byte order of a number, and locks
//! that are taken and not given back. kbuild runs it on each file that it compiles.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use xtask_guests::build_module;
use xtask_guests::kernel::Kernel;
use xtask_host::{ui, workspace};

use super::findings::{Checker, Finding, parse};

/// All that it says of these sources, which are built against the kernel.
pub(super) fn check(sources: &BTreeMap<PathBuf, Vec<u8>>, kernel: &Kernel) -> Result<Vec<Finding>> {
    let parent = workspace::target().join("static");
    let out = parent.join(&kernel.name);
    fs::create_dir_all(&parent)?;
    // In a file of its own, apart from what kbuild has to say.
    let said = tempfile::NamedTempFile::new_in(&parent)?;
    let variables = [
        "C=2".to_owned(),
        "CF=-D__CHECK_ENDIAN__".to_owned(),
        format!("CHECK=2>>{} sparse", said.path().display()),
    ];
    let phase = ui::phase("check", "with sparse");
    let kbuild = build_module::kbuild_with(sources, kernel, &out, &variables, phase)?;

    let missed: Vec<_> = missed(sources.keys(), &kbuild, &out).collect();
    ensure!(
        missed.is_empty(),
        "kbuild did not let sparse look at {}: is it in Kbuild?",
        missed.join(", ")
    );
    Ok(findings(&fs::read_to_string(said.path())?, &out))
}

/// The C files that kbuild does not say it checked: `  CHECK   /path/main.c`.
fn missed<'a>(
    sources: impl Iterator<Item = &'a PathBuf>,
    kbuild: &str,
    out: &Path,
) -> impl Iterator<Item = String> {
    let checked: BTreeSet<_> = kbuild
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("CHECK"))
        .map(|path| PathBuf::from(path.trim()))
        .collect();
    sources
        .filter(|source| source.extension().is_some_and(|is| is == "c"))
        .filter(move |source| !checked.contains(&out.join(source)))
        .map(|source| source.display().to_string())
}

/// A finding may go on in further lines, for the same place and indented.
fn findings(said: &str, out: &Path) -> Vec<Finding> {
    let file = |path: &str| {
        let path = Path::new(path);
        path.strip_prefix(out).unwrap_or(path).display().to_string()
    };
    let mut findings: Vec<Finding> = Vec::new();
    for line in said.lines() {
        let finding = parse(Checker::Sparse, line, file);
        // Not just the last one: two sparses may write at once.
        let begun = findings
            .iter_mut()
            .rev()
            .find(|begun| begun.location == finding.location);
        match begun {
            Some(begun) if finding.text.starts_with("  ") => {
                begun.text.push_str("; ");
                begun.text.push_str(finding.text.trim());
            }
            _ => findings.push(finding),
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_files_findings_are_told_apart() {
        let said = "\
/out/a.c:17:14: warning: incorrect type
/out/uapi/b.h:17:14: warning: other
/out/a.c:17:14:    expected x
/out/a.c:17:14:    got y
/src/linux/c.h:5:6: error: not ours
";
        let texts: Vec<_> = findings(said, Path::new("/out"))
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            texts,
            [
                "kernel/a.c:17: sparse: warning: incorrect type; expected x; got y",
                "kernel/uapi/b.h:17: sparse: warning: other",
                "/src/linux/c.h:5: sparse: error: not ours",
            ]
        );
    }

    #[test]
    fn a_file_that_kbuild_leaves_out_is_noticed() {
        let sources = ["a.c", "b.c", "uapi/c.h", "Kbuild"].map(PathBuf::from);
        let kbuild = "  CC [M]  /out/b.o\n  CHECK   /out/a.c\n  CHECK   /other/b.c\n";
        let missed: Vec<_> = missed(sources.iter(), kbuild, Path::new("/out")).collect();
        assert_eq!(missed, ["b.c"]);
    }
}
