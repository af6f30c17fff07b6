//! Whether enough is reached, and whether what is not has its reason.

use std::fmt;

use anyhow::{Result, ensure};
use serde::Deserialize;

use super::REASONS;
use super::lines::{Lines, Texts};

/// Of all lines, at least so many have to be reached.
const LEAST_PERCENT: f64 = 90.0;

/// Why lines of a function are not reached. They are known by their text, so that
/// the list does not age with every line above them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    file: String,
    function: String,
    /// Each is for one line; one that is there twice has to be here twice.
    lines: Vec<String>,
    reason: String,
    /// Chance decides, so that it is no mistake if they are reached.
    #[serde(default)]
    sometimes: bool,
}

/// The list, from its text.
pub(super) fn reasons(toml: &str) -> Result<Vec<Reason>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct List {
        #[serde(default)]
        unreached: Vec<Reason>,
    }
    let List { unreached } = toml::from_str(toml)?;
    for Reason {
        function, reason, ..
    } in &unreached
    {
        ensure!(!reason.is_empty(), "{function}: a reason is missing");
    }
    Ok(unreached)
}

#[derive(Debug)]
pub(super) struct Judgement {
    pub(super) unreached: Vec<Unreached>,
    percent: f64,
    /// What is in the list and need not be.
    stale: Vec<String>,
}

/// A line that was not reached.
#[derive(Debug, PartialEq)]
pub(super) struct Unreached {
    file: String,
    number: usize,
    function: String,
    text: String,
    reason: Option<String>,
}

pub(super) fn judge(lines: &Lines, texts: &Texts, reasons: &[Reason]) -> Judgement {
    let mut reached = Vec::new();
    let mut unreached = Vec::new();
    for (file, lines) in lines {
        let text: Vec<_> = texts
            .get(file)
            .into_iter()
            .flat_map(|text| text.lines())
            .collect();
        for (number, line) in lines {
            let list = match line.is_reached {
                true => &mut reached,
                false => &mut unreached,
            };
            list.push(Unreached {
                file: file.clone(),
                number: *number,
                function: line.function.clone(),
                text: text.get(number - 1).unwrap_or(&"").trim().to_owned(),
                reason: None,
            });
        }
    }
    let mut stale = Vec::new();
    for reason in reasons {
        for text in &reason.lines {
            let is_it = |line: &Unreached| {
                line.file == reason.file && line.function == reason.function && line.text == *text
            };
            let mut open = unreached.iter_mut().filter(|line| line.reason.is_none());
            if let Some(line) = open.find(|line| is_it(line)) {
                line.reason = Some(reason.reason.clone());
            } else if !(reason.sometimes && reached.iter().any(is_it)) {
                stale.push(format!(
                    "{REASONS}: no line `{text}` of {}() in kernel/{} is left that would need a reason: delete it there",
                    reason.function, reason.file
                ));
            }
        }
    }
    Judgement {
        percent: percent(reached.len(), reached.len() + unreached.len()),
        unreached,
        stale,
    }
}

impl Judgement {
    /// All that is not as it has to be.
    pub(super) fn complaints(&self) -> Vec<String> {
        let mut complaints = self.stale.clone();
        let open = self
            .unreached
            .iter()
            .filter(|line| line.reason.is_none())
            .count();
        if open > 0 {
            complaints.push(format!(
                "no test reaches {open} lines for which {REASONS} has no reason"
            ));
        }
        if self.percent < LEAST_PERCENT {
            complaints.push(format!(
                "the tests reach {:.1} % of the lines, of which it has to be {LEAST_PERCENT} %",
                self.percent
            ));
        }
        complaints
    }
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unreached {
            file,
            number,
            function,
            text,
            reason,
        } = self;
        let reason = reason
            .as_deref()
            .unwrap_or("NOT REACHED, and no reason why");
        write!(
            f,
            "kernel/{file}:{number}: {function}: {text}\n    {reason}"
        )
    }
}

/// A line for each file, and one for all.
pub(crate) fn table(lines: &Lines) -> String {
    let mut text = format!("{:18} lines  reached\n", "");
    let mut row = |name: &str, reached: usize, all: usize| {
        let percent = percent(reached, all);
        text.push_str(&format!(
            "{name:18} {all:5}  {reached:7}  {percent:5.1} %\n"
        ));
    };
    let (mut all, mut all_reached) = (0, 0);
    for (file, lines) in lines {
        let reached = lines.values().filter(|line| line.is_reached).count();
        row(file, reached, lines.len());
        all += lines.len();
        all_reached += reached;
    }
    row("all", all_reached, all);
    text
}

fn percent(reached: usize, all: usize) -> f64 {
    100.0 * reached as f64 / all.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::super::lines::Line;
    use super::*;

    const TEXT: &str =
        "int f(void)\n{\n\tif (a)\n\t\treturn -1;\n\tif (b)\n\t\treturn -1;\n\tg();\n}\n";

    fn texts() -> Texts {
        [("a.c".to_owned(), TEXT.to_owned())].into()
    }

    /// All lines of f() but its braces; these are not reached.
    fn lines(unreached: &[usize]) -> Lines {
        let line = |number: usize| {
            let line = Line {
                function: "f".to_owned(),
                is_reached: !unreached.contains(&number),
            };
            (number, line)
        };
        [("a.c".to_owned(), [1, 3, 4, 5, 6, 7].map(line).into())].into()
    }

    fn reason(lines: &[&str], sometimes: bool) -> Reason {
        Reason {
            file: "a.c".to_owned(),
            function: "f".to_owned(),
            lines: lines.iter().map(ToString::to_string).collect(),
            reason: "nobody can".to_owned(),
            sometimes,
        }
    }

    fn complaints(unreached: &[usize], reasons: &[Reason]) -> Vec<String> {
        let mut judgement = judge(&lines(unreached), &texts(), reasons);
        judgement.percent = 99.0;
        judgement.complaints()
    }

    #[test]
    fn a_line_needs_a_reason_of_its_own() {
        let one = reason(&["return -1;"], false);
        let two = reason(&["return -1;", "return -1;"], false);
        assert_eq!(complaints(&[], &[]), [""; 0]);
        assert_eq!(complaints(&[4], std::slice::from_ref(&one)), [""; 0]);
        assert_eq!(complaints(&[4, 6], std::slice::from_ref(&two)), [""; 0]);
        assert_eq!(complaints(&[4, 6], &[one.clone(), one.clone()]), [""; 0]);
        for (unreached, reasons, count) in [
            (&[4][..], &[][..], 1),
            (&[4, 6], std::slice::from_ref(&one), 1),
            (&[4, 6, 7], std::slice::from_ref(&one), 2),
        ] {
            let expected =
                format!("no test reaches {count} lines for which vm/coverage.toml has no reason");
            assert_eq!(complaints(unreached, reasons), [expected]);
        }
        // Of another function, or file.
        for (file, function) in [("a.c", "g"), ("b.c", "f")] {
            let other = Reason {
                file: file.to_owned(),
                function: function.to_owned(),
                ..one.clone()
            };
            assert_eq!(complaints(&[4], &[other]).len(), 2, "{file} {function}");
        }
    }

    #[test]
    fn a_reason_that_nothing_needs_is_a_complaint() {
        for sometimes in [false, true] {
            let gone = reason(&["return -2;"], sometimes);
            let complaints = complaints(&[], &[gone]);
            assert_eq!(complaints.len(), 1);
            assert!(complaints[0].contains("`return -2;` of f() in kernel/a.c"));
        }
        let reached = |sometimes| complaints(&[], &[reason(&["g();"], sometimes)]).len();
        assert_eq!((reached(false), reached(true)), (1, 0));
    }

    #[test]
    fn most_lines_have_to_be_reached() {
        let all = reason(&["return -1;"], false);
        let judgement = judge(&lines(&[4]), &texts(), &[all]);
        assert_eq!(
            judgement.complaints(),
            ["the tests reach 83.3 % of the lines, of which it has to be 90 %"]
        );
        assert_eq!(
            judgement.unreached[0].to_string(),
            "kernel/a.c:4: f: return -1;\n    nobody can"
        );
    }

    #[test]
    fn the_table_has_a_sum() {
        assert_eq!(
            table(&lines(&[4])),
            "                   lines  reached\n\
             a.c                    6        5   83.3 %\n\
             all                    6        5   83.3 %\n"
        );
    }

    #[test]
    fn the_list_can_be_read_and_each_has_a_reason() {
        reasons(include_str!("../../../../vm/coverage.toml")).unwrap();
        let entry = "[[unreached]]\nfile = \"a.c\"\nfunction = \"f\"\nlines = [\"x;\"]\n";
        let read = |reason: &str| reasons(&format!("{entry}{reason}")).map(|list| list.len());
        assert_eq!(read("reason = \"so\"\n").unwrap(), 1);
        for bad in ["", "reason = \"\"\n", "reason = \"so\"\nline = 3\n"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
