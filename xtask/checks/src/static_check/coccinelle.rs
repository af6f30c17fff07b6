//! coccinelle: the kernel's rules about patterns of code, such as what was freed
//! and is used again. Each is a file of the kernel's source, run here by itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};
use xtask_archive::linux_source::COCCINELLE;
use xtask_host::ui;

use super::findings::{Checker, Finding, Location, parse};
use super::in_kernel;

/// A rule that is not run.
struct LeftOut {
    /// Below the directory of the rules.
    rule: &'static str,
    #[cfg_attr(not(test), expect(dead_code, reason = "it is for the reader"))]
    reason: &'static str,
}

const LEFT_OUT: &[LeftOut] = &[
    LeftOut {
        rule: "api/check_bq27xxx_data.cocci",
        reason: "of one battery driver's tables; and it needs an OCaml compiler",
    },
    LeftOut {
        rule: "null/badzero.cocci",
        reason: "it needs an OCaml compiler, and sparse too says where 0 stands for NULL",
    },
];

/// All that the rules say of the files that are laid out here.
pub(super) fn check(tree: &Path, laid_out: &Path) -> Result<Vec<Finding>> {
    let dir = tree.join(COCCINELLE);
    let mut rules = Vec::new();
    find(&dir, Path::new(""), &mut rules)
        .with_context(|| format!("cannot read {}", dir.display()))?;
    let rules = to_run(rules, LEFT_OUT)?;

    let phase = ui::phase("check", format!("with coccinelle, {} rules", rules.len()));
    let next = AtomicUsize::new(0);
    let work = || -> Result<String> {
        let mut said = String::new();
        while let Some(rule) = rules.get(next.fetch_add(1, Ordering::Relaxed)) {
            said.push_str(&run(&dir.join(rule), laid_out)?);
            said.push('\n');
        }
        Ok(said)
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let said = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("a worker does not panic"))
            .collect::<Result<String>>()
    })?;
    let mut said = findings(&said);
    said.extend(unread(&parse_only(laid_out)?));
    phase.done();
    Ok(said)
}

/// The files below `dir` that hold a rule.
fn find(dir: &Path, below: &Path, rules: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            find(dir, &path, rules)?;
        } else if path.extension().is_some_and(|is| is == "cocci") {
            rules.push(path);
        }
    }
    Ok(())
}

/// These without those that are left out, of which every one has to be there.
fn to_run(mut rules: Vec<PathBuf>, left_out: &[LeftOut]) -> Result<Vec<PathBuf>> {
    for LeftOut { rule, .. } in left_out {
        let before = rules.len();
        rules.retain(|path| path != Path::new(rule));
        ensure!(
            rules.len() < before,
            "there is no rule {rule} for coccinelle any more: take it off the list of those that are left out"
        );
    }
    ensure!(!rules.is_empty(), "there are no rules for coccinelle");
    rules.sort();
    Ok(rules)
}

/// What one rule says.
fn run(rule: &Path, laid_out: &Path) -> Result<String> {
    let text = fs::read_to_string(rule)?;
    let options = &options(&text);
    let sh = Shell::new()?;
    sh.change_dir(laid_out);
    let output = cmd!(
        sh,
        "spatch -D report --no-show-diff --very-quiet --cocci-file {rule} {options...} --dir ."
    )
    .quiet()
    .ignore_status()
    .output()
    .context("cannot run spatch")?;
    ensure!(
        output.status.success(),
        "spatch {} {}: {}: {}",
        options.join(" "),
        rule.display(),
        output.status,
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What coccinelle says when it reads everything and does nothing.
fn parse_only(laid_out: &Path) -> Result<String> {
    let sh = Shell::new()?;
    sh.change_dir(laid_out);
    let output = cmd!(sh, "spatch --parse-c .")
        .quiet()
        .ignore_status()
        .output()
        .context("cannot run spatch")?;
    let [sum, errors] =
        [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said).into_owned());
    ensure!(
        output.status.success() && sum.contains("NB total files = "),
        "spatch --parse-c did not come to its sum: {}",
        output.status
    );
    Ok(errors)
}

/// Where coccinelle could not make sense of the source: no rule says anything of
/// what is there.
///
/// ```text
/// parse error
///  = File "./icmptap/a.c", line 48, column 1, charpos = 1133
///   around = '.',
///   whole content =  .type = 1, \
/// ```
fn unread(said: &str) -> Vec<Finding> {
    let mut lines = said.lines().map(str::trim);
    let mut unread = Vec::new();
    while lines.any(|line| line.starts_with("parse error")) {
        let location = lines.next().and_then(|line| {
            let (path, rest) = line.strip_prefix("= File \"")?.split_once("\", line ")?;
            Some(Location {
                file: in_kernel(path),
                line: rest.split_once(',')?.0.parse().ok()?,
            })
        });
        let content = lines
            .by_ref()
            .take(2)
            .find_map(|line| line.strip_prefix("whole content ="))
            .unwrap_or_default();
        unread.push(Finding {
            checker: Checker::Coccinelle,
            location,
            text: format!("cannot read `{}`", content.trim()),
        });
    }
    unread
}

/// What a rule wants to be run with: `// Options: --no-includes`.
fn options(rule: &str) -> Vec<&str> {
    rule.lines()
        .find_map(|line| line.strip_prefix("// Options:"))
        .unwrap_or_default()
        .split_whitespace()
        .collect()
}

fn findings(said: &str) -> Vec<Finding> {
    said.lines()
        .filter(|line| !line.is_empty())
        .map(|line| parse(Checker::Coccinelle, line, in_kernel))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_says_how_it_wants_to_be_run() {
        let rule =
            "/// What\n// URL: x\n// Options: --no-includes --include-headers\n\nvirtual report\n";
        assert_eq!(options(rule), ["--no-includes", "--include-headers"]);
        assert_eq!(options("// Options:\n"), [""; 0]);
        assert_eq!(options("virtual report\n"), [""; 0]);
    }

    #[test]
    fn what_is_left_out_has_to_be_there() {
        let left_out = [LeftOut {
            rule: "null/b.cocci",
            reason: "",
        }];
        let rules = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(
            to_run(rules(&["null/b.cocci", "null/a.cocci"]), &left_out).unwrap(),
            rules(&["null/a.cocci"])
        );
        for (names, words) in [
            (&["null/a.cocci"][..], "no rule null/b.cocci"),
            (&["null/b.cocci"], "no rules"),
        ] {
            let error = to_run(rules(names), &left_out).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn every_rule_that_is_left_out_has_a_reason() {
        assert!(LEFT_OUT.iter().all(|entry| !entry.reason.is_empty()));
    }

    #[test]
    fn rules_are_found_at_any_depth() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("api/alloc")).unwrap();
        for name in ["api/alloc/a.cocci", "b.cocci", "README"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let mut rules = Vec::new();
        find(dir.path(), Path::new(""), &mut rules).unwrap();
        rules.sort();
        assert_eq!(rules, ["api/alloc/a.cocci", "b.cocci"].map(PathBuf::from));
    }

    #[test]
    fn a_report_is_a_finding() {
        let said = "\n./icmptap/a.c:25:7-12: ERROR: freed on line 24\n";
        let texts: Vec<_> = findings(said).iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            ["kernel/a.c:25: coccinelle: ERROR: freed on line 24"]
        );
    }

    #[test]
    fn what_cannot_be_read_is_a_finding() {
        let said = "\
PARSING: ./icmptap/a.c
parse error 
 = File \"./icmptap/a.c\", line 48, column 1, charpos = 1133
  around = '.',
  whole content = \t.type = 1, \\
badcount: 5
bad: };
parse error 
 = something else
NB total files = 2; perfect = 1; pbs = 1; timeout = 0; =========> 50%
";
        let texts: Vec<_> = unread(said).iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "kernel/a.c:48: coccinelle: cannot read `.type = 1, \\`",
                "coccinelle: cannot read ``",
            ]
        );
        assert_eq!(unread("PARSING: ./icmptap/a.c\n"), []);
    }
}
