//! What the checkers say, and what of it may be.

use std::fmt;

use self::Checker::{Checkpatch, Coccinelle, Sparse};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checker {
    Sparse,
    Checkpatch,
    Coccinelle,
}

/// One thing that a checker says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) checker: Checker,
    pub(super) location: Option<Location>,
    pub(super) text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Location {
    /// From `kernel/` on.
    pub(super) file: String,
    pub(super) line: u32,
}

/// A finding that is right to leave.
pub(super) struct Allowed {
    checker: Checker,
    file: &'static str,
    /// What its text holds.
    part: &'static str,
    /// Why it may be there. An entry without a reason is a bug.
    reason: &'static str,
}

/// The file that is not the module's, among its sources.
pub(super) const SLIPS: &str = "slips.c";
const SLIPS_SHOWN: &str = "xtask/checks/src/static_check/slips.c";

pub(super) const ALLOWED: &[Allowed] = &[
    Allowed {
        checker: Coccinelle,
        file: "params.c",
        part: "cannot read `.type = NLA_REJECT,",
        reason: "it is a part of an initializer, in a macro: no code that a rule could be about",
    },
    Allowed {
        checker: Sparse,
        file: SLIPS,
        part: "incorrect type in assignment (different base types)",
        reason: AT_WORK,
    },
    Allowed {
        checker: Checkpatch,
        file: SLIPS,
        part: "space required before the open brace",
        reason: AT_WORK,
    },
    Allowed {
        checker: Coccinelle,
        file: SLIPS,
        part: "reference preceded by free",
        reason: AT_WORK,
    },
];

const AT_WORK: &str = "it is there to see the checker at work";

impl Allowed {
    fn covers(&self, finding: &Finding) -> bool {
        let location = finding.location.as_ref();
        self.checker == finding.checker
            && location.is_some_and(|location| location.file == self.file)
            && finding.text.contains(self.part)
    }
}

/// Every finding that is not allowed, and every permission that is not needed.
pub(super) fn judge(findings: &[Finding], allowed: &[Allowed]) -> Vec<String> {
    let is_allowed = |finding: &&Finding| allowed.iter().any(|entry| entry.covers(finding));
    let is_needed = |entry: &&Allowed| findings.iter().any(|finding| entry.covers(finding));
    let mut complaints: Vec<String> = Vec::new();
    for finding in findings.iter().filter(|finding| !is_allowed(finding)) {
        let line = finding.to_string();
        // What is wrong in a header is said again for each file that includes it.
        if !complaints.contains(&line) {
            complaints.push(line);
        }
    }
    for entry in allowed.iter().filter(|entry| !is_needed(entry)) {
        complaints.push(format!(
            "{}: {} no longer says {:?}, which was allowed because {}: see whether it looks, or take that off the allow list",
            shown(entry.file),
            entry.checker,
            entry.part,
            entry.reason
        ));
    }
    complaints
}

/// A line of the form that compilers gave the world, `FILE:LINE: TEXT`, with or
/// without columns after the line; `file` makes our name of theirs. Spaces before
/// the text stay, for they may mean something.
pub(super) fn parse(checker: Checker, line: &str, file: impl Fn(&str) -> String) -> Finding {
    let parts = || {
        let (path, rest) = line.split_once(':')?;
        let (number, rest) = rest.split_once(':')?;
        let is_column = |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == '-');
        let text = match rest.split_once(':') {
            Some((column, text)) if is_column(column) => text,
            _ => rest,
        };
        let location = Location {
            file: file(path),
            line: number.parse().ok()?,
        };
        Some((location, text.strip_prefix(' ').unwrap_or(text)))
    };
    let (location, text) = match parts() {
        Some((location, text)) => (Some(location), text),
        None => (None, line),
    };
    Finding {
        checker,
        location,
        text: text.to_owned(),
    }
}

/// The path by which a person finds the file.
fn shown(file: &str) -> String {
    match file {
        SLIPS => SLIPS_SHOWN.to_owned(),
        elsewhere if elsewhere.starts_with('/') => elsewhere.to_owned(),
        ours => format!("kernel/{ours}"),
    }
}

impl fmt::Display for Checker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Sparse => "sparse",
            Checkpatch => "checkpatch",
            Coccinelle => "coccinelle",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Location { file, line }) = &self.location {
            write!(f, "{}:{line}: ", shown(file))?;
        }
        write!(f, "{}: {}", self.checker, self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(checker: Checker, file: &str, line: u32, text: &str) -> Finding {
        Finding {
            checker,
            location: Some(Location {
                file: file.to_owned(),
                line,
            }),
            text: text.to_owned(),
        }
    }

    const BRACE: Allowed = Allowed {
        checker: Checkpatch,
        file: "a.c",
        part: "open brace",
        reason: "it is a test",
    };

    #[test]
    fn what_is_not_allowed_is_a_complaint() {
        let allowed = [BRACE];
        let brace = finding(Checkpatch, "a.c", 3, "space before the open brace");
        assert_eq!(judge(std::slice::from_ref(&brace), &allowed), [""; 0]);
        for (other, complaint) in [
            (
                finding(Checkpatch, "b.c", 3, &brace.text),
                "kernel/b.c:3: checkpatch: space before the open brace",
            ),
            (
                finding(Sparse, "/usr/x.h", 4, &brace.text),
                "/usr/x.h:4: sparse: space before the open brace",
            ),
            (
                finding(Checkpatch, "slips.c", 3, "missing space"),
                "xtask/checks/src/static_check/slips.c:3: checkpatch: missing space",
            ),
            (
                Finding {
                    location: None,
                    ..brace.clone()
                },
                "checkpatch: space before the open brace",
            ),
        ] {
            let said = [brace.clone(), other.clone(), other];
            assert_eq!(judge(&said, &allowed), [complaint]);
        }
    }

    #[test]
    fn what_is_allowed_has_to_be_there() {
        let complaints = judge(&[], &[BRACE]);
        assert_eq!(complaints.len(), 1);
        assert!(
            complaints[0].starts_with(
                "kernel/a.c: checkpatch no longer says \"open brace\", which was allowed because it is a test:"
            ),
            "{}",
            complaints[0]
        );
    }

    #[test]
    fn every_checker_has_its_slip_and_every_entry_its_reason() {
        for checker in [Sparse, Checkpatch, Coccinelle] {
            assert!(
                ALLOWED
                    .iter()
                    .any(|entry| entry.checker == checker && entry.file == SLIPS),
                "{checker}"
            );
        }
        assert!(ALLOWED.iter().all(|entry| !entry.reason.is_empty()));
    }

    #[test]
    fn a_line_is_taken_apart() {
        for (line, file, number, text) in [
            (
                "/o/a.c:17:14: warning: bad: very",
                "/o/a.c",
                17,
                "warning: bad: very",
            ),
            ("/o/a.c:17:14:    got x", "/o/a.c", 17, "   got x"),
            ("a.c:19: ERROR:SPACING: x", "a.c", 19, "ERROR:SPACING: x"),
            ("./a.c:25:7-12: ERROR: x", "./a.c", 25, "ERROR: x"),
        ] {
            let parsed = parse(Sparse, line, str::to_owned);
            assert_eq!(parsed, finding(Sparse, file, number, text), "{line}");
        }
        let parsed = parse(Sparse, "sparse: out of: memory", str::to_owned);
        assert_eq!(
            (parsed.location, &*parsed.text),
            (None, "sparse: out of: memory")
        );
    }
}
