//! The figures that the repository records, and whether others are worse.
//!
//! A figure depends on the kernel and on the compilers of the module and of the
//! programs; so each record says of which, and is held against nothing else. Which QEMU
//! counts should not matter: where a figure is worse and that is another one, it is said.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use xtask_host::workspace;

use super::{Figure, is_wanted};

/// Worse by more than this part is a failure.
const TOLERANCE: f64 = 0.03;
/// A figure may always be worse by this much: of a small one, a few instructions are
/// many percent.
const SLACK: f64 = 3.0;

/// What figures hold for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Conditions {
    /// Its name in vm/kernels.toml.
    pub(super) kernel: String,
    /// As `uname -r` has it.
    pub(super) release: String,
    /// What compiled the module and the readers in C.
    pub(super) cc: String,
    /// What compiled everything else.
    pub(super) rustc: String,
    /// What counted.
    pub(super) qemu: String,
}

/// Figures and what they hold for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) conditions: Conditions,
    pub(super) figures: Vec<Figure>,
}

/// Where the repository has them, one for each kernel.
pub(super) fn file() -> PathBuf {
    workspace::root().join("vm/bench/figures.json")
}

/// All that are recorded; none, if there is no file yet.
pub(super) fn read() -> Result<Vec<Record>> {
    let path = file();
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))
}

/// Puts a record in the place of what there was of its kernel.
pub(super) fn write(record: Record) -> Result<()> {
    let mut records = read()?;
    records.retain(|other| other.conditions.kernel != record.conditions.kernel);
    records.push(record);
    records.sort_by(|one, other| one.conditions.kernel.cmp(&other.conditions.kernel));
    let text = serde_json::to_string_pretty(&records)? + "\n";
    let path = file();
    fs::write(&path, text).with_context(|| format!("write {}", path.display()))
}

/// What a run is, compared with what is recorded.
#[derive(Debug, PartialEq)]
pub(super) enum Comparison {
    /// A line for each thing that is wrong.
    SameCompiler(Vec<String>),
    /// None was made: it is of another compiler.
    OtherCompiler(Vec<String>),
}

/// Compares a run with what is recorded: of that, all that is called by one of `names`
/// has to be there, or all if there are none.
pub(super) fn compare(records: &[Record], now: &Record, names: &[String]) -> Comparison {
    let kernel = &now.conditions.kernel;
    let recorded = records
        .iter()
        .find(|record| record.conditions.kernel == *kernel);
    let Some(recorded) = recorded else {
        return Comparison::SameCompiler(vec![format!("nothing is recorded of {kernel}: {HOW}")]);
    };
    let (old, new) = (&recorded.conditions, &now.conditions);
    let kernel = difference("the kernel", &old.release, &new.release);
    if let Some(line) = kernel {
        return Comparison::SameCompiler(vec![line, format!("figures cannot be compared: {HOW}")]);
    }
    let compilers = [
        difference("the C compiler", &old.cc, &new.cc),
        difference("the Rust compiler", &old.rustc, &new.rustc),
    ];
    let mut differ: Vec<_> = compilers.into_iter().flatten().collect();
    if !differ.is_empty() {
        differ.push(format!("figures cannot be compared: {HOW}"));
        return Comparison::OtherCompiler(differ);
    }
    let mut lines = Vec::new();
    for old in &recorded.figures {
        match now.figures.iter().find(|new| new.is_of(old)) {
            Some(new) => lines.extend(worse(old, new)),
            None if is_wanted(names, &old.name) => {
                lines.push(format!("{}: recorded, but not measured", old.title()))
            }
            None => (),
        }
    }
    for new in &now.figures {
        if !recorded.figures.iter().any(|old| old.is_of(new)) {
            lines.push(format!(
                "{}: measured, but not recorded: {HOW}",
                new.title()
            ));
        }
    }
    if let (false, Some(line)) = (lines.is_empty(), difference("QEMU", &old.qemu, &new.qemu)) {
        lines.push(line);
    }
    Comparison::SameCompiler(lines)
}

const HOW: &str = "where the change is meant, `cargo xtask bench --record`, and look at the \
                   difference of vm/bench/figures.json";

fn difference(what: &str, old: &str, new: &str) -> Option<String> {
    (old != new).then(|| format!("{what} is {new}; what is recorded is of {old}"))
}

fn worse(old: &Figure, new: &Figure) -> Option<String> {
    let title = new.title();
    if new.lost > old.lost {
        return Some(format!("{title}: {} events lost", new.lost));
    }
    let change = match new.more_is_better {
        true => old.value - new.value,
        false => new.value - old.value,
    };
    let allowed = (old.value.abs() * TOLERANCE).max(SLACK);
    // A value that is no number is not good.
    (!matches!(
        change.partial_cmp(&allowed),
        Some(std::cmp::Ordering::Less | std::cmp::Ordering::Equal)
    ))
    .then(|| {
        let percent = change / old.value * 100.0;
        format!(
            "{title}: {:.1}, recorded {:.1}: {percent:.1} % worse",
            new.value, old.value
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(name: &str, value: f64) -> Figure {
        Figure {
            name: name.to_owned(),
            settings: "as it is".to_owned(),
            unit: "instructions".to_owned(),
            value,
            lost: 0,
            more_is_better: false,
        }
    }

    fn record(figures: &[Figure]) -> Record {
        let text = str::to_owned;
        Record {
            conditions: Conditions {
                kernel: text("debian-6.1"),
                release: text("6.1.0-50"),
                cc: text("gcc 12"),
                rustc: text("rustc 1.95"),
                qemu: text("QEMU 7.2"),
            },
            figures: figures.to_owned(),
        }
    }

    fn lines(old: Record, new: &Record) -> Vec<String> {
        match compare(&[old], new, &[]) {
            Comparison::SameCompiler(lines) => lines,
            Comparison::OtherCompiler(lines) => panic!("{lines:?}"),
        }
    }

    #[test]
    fn three_percent_more_are_a_failure_and_less_is_not() {
        let old = record(&[figure("a", 1_000.0)]);
        for (value, fails) in [
            (500.0, false),
            (1_000.0, false),
            (1_030.0, false),
            (1_031.0, true),
            (f64::NAN, true),
        ] {
            let found = lines(old.clone(), &record(&[figure("a", value)]));
            assert_eq!(!found.is_empty(), fails, "{value}: {found:?}");
        }
    }

    #[test]
    fn of_a_small_figure_a_few_instructions_do_not_count() {
        let old = record(&[figure("a", 0.2)]);
        assert_eq!(lines(old.clone(), &record(&[figure("a", 3.1)])).len(), 0);
        assert_eq!(lines(old, &record(&[figure("a", 3.3)])).len(), 1);
    }

    #[test]
    fn where_more_is_better_less_is_worse() {
        let held = |value| Figure {
            more_is_better: true,
            ..figure("held", value)
        };
        let old = record(&[held(1_000.0)]);
        assert_eq!(lines(old.clone(), &record(&[held(2_000.0)])).len(), 0);
        let found = lines(old, &record(&[held(960.0)]));
        assert!(
            found[0].ends_with("recorded 1000.0: 4.0 % worse"),
            "{found:?}"
        );
    }

    #[test]
    fn a_loss_is_worse_than_any_figure() {
        let lost = Figure {
            lost: 1,
            ..figure("a", 1.0)
        };
        let found = lines(record(&[figure("a", 1_000.0)]), &record(&[lost]));
        assert!(found[0].ends_with("1 events lost"), "{found:?}");
    }

    #[test]
    fn what_is_missing_or_new_is_said() {
        let (old, new) = (record(&[figure("a", 1.0)]), record(&[figure("b", 1.0)]));
        let found = lines(old, &new);
        assert_eq!(found.len(), 2);
        assert!(found[0].contains("not measured"), "{found:?}");
        assert!(found[1].contains("not recorded"), "{found:?}");
    }

    #[test]
    fn of_what_somebody_asked_for_nothing_may_be_missing() {
        let old = record(&[figure("held", 1.0), figure("latency", 1.0)]);
        let new = record(&[figure("held", 1.0)]);
        let compare = |name: &str| compare(std::slice::from_ref(&old), &new, &[name.to_owned()]);
        assert_eq!(compare("he"), Comparison::SameCompiler(Vec::new()));
        let Comparison::SameCompiler(found) = compare("late") else {
            panic!("it was not compared");
        };
        assert!(found[0].contains("not measured"), "{found:?}");
    }

    #[test]
    fn another_qemu_is_named_where_a_figure_is_worse() {
        let old = record(&[figure("a", 1_000.0)]);
        let mut new = record(&[figure("a", 1_000.0)]);
        new.conditions.qemu = "QEMU 10".to_owned();
        assert_eq!(lines(old.clone(), &new).len(), 0);
        new.figures[0].value = 2_000.0;
        let found = lines(old, &new);
        assert!(found[0].ends_with("100.0 % worse"), "{found:?}");
        assert_eq!(found[1], "QEMU is QEMU 10; what is recorded is of QEMU 7.2");
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn others_figures_are_compared_with_nothing() {
        let old = record(&[figure("a", 1.0)]);
        let mut new = record(&[figure("a", 9_999.0)]);
        new.conditions.cc = "gcc 14".to_owned();
        let Comparison::OtherCompiler(found) = compare(std::slice::from_ref(&old), &new, &[])
        else {
            panic!("it was compared");
        };
        assert_eq!(
            found[0],
            "the C compiler is gcc 14; what is recorded is of gcc 12"
        );
        assert!(found[1].contains("cannot be compared"), "{found:?}");
        assert_eq!(found.len(), 2);

        // The repository says which kernel.
        new.conditions.release = "6.1.0-51".to_owned();
        let found = lines(old.clone(), &new);
        assert_eq!(
            found[0],
            "the kernel is 6.1.0-51; what is recorded is of 6.1.0-50"
        );
        assert!(found[1].contains("cannot be compared"), "{found:?}");

        new.conditions.kernel = "edge".to_owned();
        let found = lines(old, &new);
        assert!(
            found[0].starts_with("nothing is recorded of edge"),
            "{found:?}"
        );
    }
}
