//! Files that a command makes and that are checked in: one function for "make it"
//! and "is it fresh?".

use std::fs;

use anyhow::{Context, Result, bail};
use xtask_host::workspace;

/// Writes the file at `path` in the repository, unless it is as it should be; or
/// fails where it would. `command` is the command of ours that makes it.
pub(crate) fn write_or_check(path: &str, text: &str, command: &str, check: bool) -> Result<()> {
    let file = workspace::root().join(path);
    let found = fs::read_to_string(&file).unwrap_or_default();
    if found == text {
        return Ok(());
    }
    if check {
        bail!(
            "{path} is not what the sources give ({}): run `cargo xtask {command}` and commit it",
            first_difference(&found, text)
        );
    }
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    eprintln!("wrote {path}");
    Ok(())
}

/// Where two texts that are not the same part.
fn first_difference(found: &str, wanted: &str) -> String {
    let mut lines = found.lines().zip(wanted.lines()).zip(1..);
    match lines.find(|((found, wanted), _)| found != wanted) {
        Some(((found, wanted), line)) => format!("line {line}: {found:?} should be {wanted:?}"),
        None => format!(
            "{} lines, should be {}",
            found.lines().count(),
            wanted.lines().count()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_shown() {
        assert_eq!(
            first_difference("a\nb\nc\n", "a\nx\nc\n"),
            r#"line 2: "b" should be "x""#
        );
        assert_eq!(first_difference("a\n", "a\nb\n"), "1 lines, should be 2");
    }
}
