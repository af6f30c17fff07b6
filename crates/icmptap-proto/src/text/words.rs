//! What all parts of a line are written with.

use std::fmt::{self, Display};

use crate::icmp::ndp::Preference;

/// The usual one goes without saying.
pub(super) fn preference(f: &mut fmt::Formatter<'_>, preference: Preference) -> fmt::Result {
    match preference {
        Preference(0) => Ok(()),
        other => write!(f, " preference {other}"),
    }
}

/// The words that apply.
pub(super) fn flags(f: &mut fmt::Formatter<'_>, words: &[(bool, &str)]) -> fmt::Result {
    words
        .iter()
        .filter(|(applies, _)| *applies)
        .try_for_each(|(_, word)| write!(f, " {word}"))
}

/// ` name a,b`; nothing if there are none.
pub(super) fn list(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    items: impl Iterator<Item = impl Display>,
) -> fmt::Result {
    for (i, item) in items.enumerate() {
        if i == 0 {
            write!(f, " {name} {item}")?;
        } else {
            write!(f, ",{item}")?;
        }
    }
    Ok(())
}
