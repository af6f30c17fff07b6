//! What gcov says, in JSON, made into lines of the module.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

/// Sources by their path in `kernel/`.
pub(super) type Texts = BTreeMap<String, String>;

/// The lines that there is code of: by file, by number.
pub(crate) type Lines = BTreeMap<String, BTreeMap<usize, Line>>;

/// A line that there is code of.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Line {
    /// Empty where gcov does not know it.
    pub(super) function: String,
    pub(super) is_reached: bool,
}

impl Line {
    /// The same line, as another unit or guest has it.
    fn add(&mut self, other: Line) {
        self.is_reached |= other.is_reached;
        if !other.function.is_empty() {
            self.function = other.function;
        }
    }
}

/// What several guests reached.
pub(crate) fn together(guests: Vec<Lines>) -> Lines {
    let mut all = Lines::new();
    for (name, lines) in guests.into_iter().flatten() {
        let file = all.entry(name).or_default();
        for (number, line) in lines {
            file.entry(number).or_default().add(line);
        }
    }
    all
}

/// One of these for each file that was compiled.
#[derive(Deserialize)]
struct Unit {
    current_working_directory: String,
    files: Vec<Source>,
}

#[derive(Deserialize)]
struct Source {
    file: String,
    lines: Vec<Count>,
}

#[derive(Deserialize)]
struct Count {
    line_number: usize,
    count: i64,
    function_name: Option<String>,
}

/// The lines of those files that are in `texts`, which lay below `root` when they
/// were compiled. A line of a header is reached if it was in one of the units.
pub(super) fn read(json: &[u8], root: &Path, texts: &Texts) -> Result<Lines> {
    let mut lines = Lines::new();
    for unit in serde_json::Deserializer::from_slice(json).into_iter() {
        let unit: Unit = unit.context("gcov's JSON is not what was expected")?;
        for source in unit.files {
            let path = Path::new(&unit.current_working_directory).join(&source.file);
            let path = plain(&path);
            let Ok(name) = path.strip_prefix(root) else {
                continue;
            };
            let name = name.display().to_string();
            if !texts.contains_key(&name) {
                continue;
            }
            let file = lines.entry(name).or_default();
            for count in source.lines {
                let line = Line {
                    function: count.function_name.unwrap_or_default(),
                    is_reached: count.count > 0,
                };
                file.entry(count.line_number).or_default().add(line);
            }
        }
    }
    Ok(lines)
}

/// The same path without `..`: one file has one name, whoever includes it.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => _ = plain.pop(),
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> Texts {
        ["main.c", "uapi/a.h"]
            .map(|name| (name.to_owned(), String::new()))
            .into()
    }

    const MAIN: &str = r#"{"gcc_version": "12.2.0", "files": [
        {"file": "/o/main.c", "functions": [], "lines": [
            {"branches": [], "count": 3, "line_number": 7, "unexecuted_block": false, "function_name": "f"},
            {"branches": [], "count": 0, "line_number": 8, "unexecuted_block": true, "function_name": "f"},
            {"branches": [], "count": 1, "line_number": 9, "unexecuted_block": false},
            {"branches": [], "count": 0, "line_number": 9, "unexecuted_block": false, "function_name": "g"}]},
        {"file": "include/linux/list.h", "functions": [], "lines": [
            {"branches": [], "count": 3, "line_number": 1, "unexecuted_block": false}]},
        {"file": "../o/uapi/a.h", "functions": [], "lines": [
            {"branches": [], "count": 0, "line_number": 2, "unexecuted_block": true}]}],
        "format_version": "1", "current_working_directory": "/o", "data_file": "main.gcda"}"#;

    fn line(function: &str, is_reached: bool) -> Line {
        Line {
            function: function.to_owned(),
            is_reached,
        }
    }

    #[test]
    fn only_our_lines_count_and_one_unit_is_enough() {
        let other = MAIN
            .replace("../o/uapi/a.h", "/o/imp2/../uapi/a.h")
            .replace("/o/main.c", "/o/generated.c")
            .replace(r#""count": 0"#, r#""count": 2"#);
        let main = MAIN.replace("../o/uapi/a.h", "uapi/a.h");
        let lines = read(
            format!("{main}\n{other}\n").as_bytes(),
            Path::new("/o"),
            &texts(),
        );
        let expected: Lines = [
            (
                "main.c".to_owned(),
                [
                    (7, line("f", true)),
                    (8, line("f", false)),
                    (9, line("g", true)),
                ]
                .into(),
            ),
            ("uapi/a.h".to_owned(), [(2, line("", true))].into()),
        ]
        .into();
        assert_eq!(lines.unwrap(), expected);
    }

    #[test]
    fn one_guest_is_enough() {
        let guest = |reached: &[bool]| -> Lines {
            let lines = reached.iter().map(|is_reached| line("f", *is_reached));
            [("a.c".to_owned(), lines.enumerate().collect())].into()
        };
        let guests = [[true, false, false], [false, true, false]].map(|lines| guest(&lines));
        assert_eq!(together(guests.into()), guest(&[true, true, false]));
    }

    #[test]
    fn what_is_no_json_of_gcovs_is_said_so() {
        for json in ["{", "{}", r#"{"files": 1}"#] {
            let error = read(json.as_bytes(), Path::new("/o"), &texts()).unwrap_err();
            assert!(error.to_string().contains("gcov's JSON"), "{json}");
        }
        assert_eq!(read(b"", Path::new("/o"), &texts()).unwrap(), Lines::new());
    }
}
