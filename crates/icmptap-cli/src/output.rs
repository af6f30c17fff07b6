//! What the commands have in common that print.

use std::{
    fs::File,
    io::{self, Write},
};

use anyhow::Context;
use serde::Serialize;

/// In place of what an older module does not know of.
pub(crate) const NOT_TOLD: &str = "not told";

/// A number of bytes, if the module tells it.
pub(crate) fn bytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| NOT_TOLD.to_owned(), |bytes| bytes.to_string())
}

/// Stdout without a buffer: what it takes is written.
pub(crate) fn unbuffered() -> anyhow::Result<File> {
    let stdout = rustix::stdio::stdout().try_clone_to_owned();
    Ok(stdout.context("cannot use stdout")?.into())
}

/// Writes to stdout. That nobody reads on there is no error: then it gives `false`.
pub(crate) fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<bool> {
    let mut out = io::stdout().lock();
    match write(&mut out).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("cannot write to stdout"),
    }
}

/// One JSON object per line.
pub(crate) fn json_lines<T: Serialize>(
    out: &mut dyn Write,
    values: impl IntoIterator<Item = T>,
) -> io::Result<()> {
    for value in values {
        serde_json::to_writer(&mut *out, &value)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Columns under their headings: numbers to the right, words to the left.
pub(crate) fn table(
    out: &mut dyn Write,
    headings: &[&str],
    rows: &[Vec<String>],
) -> io::Result<()> {
    let columns = || 0..headings.len();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(headings[column].len())
    };
    let widths: Vec<usize> = columns().map(width).collect();
    let is_number = |cell: &str| cell.bytes().all(|byte| byte.is_ascii_digit());
    let right: Vec<bool> = columns()
        .map(|column| rows.iter().all(|row| is_number(&row[column])))
        .collect();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for ((cell, width), right) in cells.zip(&widths).zip(&right) {
            if *right {
                line += &format!("{cell:>width$}  ");
            } else {
                line += &format!("{cell:<width$}  ");
            }
        }
        writeln!(out, "{}", line.trim_end())
    };
    line(&mut headings.iter().copied())?;
    for row in rows {
        line(&mut row.iter().map(String::as_str))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [row(["1", "µ", "7"]), row(["1000", "word", "none"])];
        let mut out = Vec::new();
        table(&mut out, &["n", "words", "x"], &rows).unwrap();
        let expected = "   n  words  x\n   1  µ      7\n1000  word   none\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_table_may_be_empty() {
        let mut out = Vec::new();
        table(&mut out, &["n", "words"], &[]).unwrap();
        assert_eq!(out, b"n  words\n");
    }
}
