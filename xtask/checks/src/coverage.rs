//! Which lines of the module the tests in the guest reach.
//!
//! In a kernel with `CONFIG_GCOV_KERNEL` the module counts (`kernel/Kbuild`), the
//! guest reports its counts, and the compiler's own gcov says which lines those are.
//! Most lines have to be reached, and each that is not needs a reason, in
//! `vm/coverage.toml`.

mod judge;
mod lines;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use icmptap_guest::Report;
use xtask_guests::build_module;
use xtask_guests::vm::machine::Counted;
use xtask_host::{ui, workspace};

use self::judge::{Reason, judge};
use self::lines::Texts;

pub(crate) use self::judge::table;
pub(crate) use self::lines::{Lines, together};

/// The list of reasons.
const REASONS: &str = "vm/coverage.toml";

/// What a guest reported: by the path of its own where the module was compiled, what
/// gcov reads.
#[derive(Default)]
pub(crate) struct Counts(BTreeMap<PathBuf, Vec<u8>>);

impl Counts {
    /// One more report, of whatever kind.
    pub(crate) fn add(&mut self, report: &Report) -> Result<()> {
        if let Report::Coverage { file, data } = report {
            let data = data.clone().try_into().context("read a guest's counts")?;
            self.0.insert(file.into(), data);
        }
        Ok(())
    }
}

/// Prints every line that was not reached: whether all is as it has to be.
pub(crate) fn check(lines: &Lines) -> Result<bool> {
    let judgement = judge(lines, &texts()?, &reasons()?);
    for line in &judgement.unreached {
        println!("{line}");
    }
    let complaints = judgement.complaints();
    for complaint in &complaints {
        ui::warn(complaint);
    }
    Ok(complaints.is_empty())
}

/// The module's own sources.
fn texts() -> Result<Texts> {
    let is_c = |path: &Path| path.extension().is_some_and(|is| is == "c" || is == "h");
    let sources = build_module::sources()?.into_iter();
    Ok(sources
        .filter(|(path, _)| is_c(path))
        .map(|(path, text)| {
            let text = String::from_utf8_lossy(&text).into_owned();
            (path.display().to_string(), text)
        })
        .collect())
}

fn reasons() -> Result<Vec<Reason>> {
    let path = workspace::root().join(REASONS);
    let read = || judge::reasons(&fs::read_to_string(&path)?);
    read().with_context(|| format!("cannot read {}", path.display()))
}

/// Has gcov read the counts of one guest.
pub(crate) fn read(counted: &Counted, counts: &Counts) -> Result<Lines> {
    ensure!(!counts.0.is_empty(), "the guest reported no counts");
    let Counted { objects, work } = counted;
    // Of an earlier run.
    let _ = fs::remove_dir_all(work);
    fs::create_dir_all(work).with_context(|| format!("create {}", work.display()))?;
    let mut command = Command::new("gcov");
    command
        .args(["--json-format", "--stdout"])
        .current_dir(work);
    for (file, data) in &counts.0 {
        // With its directory: two modules may each have a file of that name.
        let data_file = file.strip_prefix(objects).with_context(|| {
            format!(
                "a count of {}: not of {}",
                file.display(),
                objects.display()
            )
        })?;
        let notes = data_file.with_extension("gcno");
        fs::create_dir_all(work.join(data_file).parent().unwrap_or(work))?;
        fs::copy(objects.join(&notes), work.join(&notes))
            .with_context(|| format!("{} has no {}", objects.display(), notes.display()))?;
        fs::write(work.join(data_file), data)?;
        command.arg(data_file);
    }
    let output = command
        .output()
        .context("cannot run gcov, which is in gcc's package")?;
    // It ends well when the counts are of another build, too, and says so only here.
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() && said.is_empty(),
        "gcov cannot read {}: {}",
        work.display(),
        said.trim()
    );
    lines::read(&output.stdout, objects, &texts()?)
}
