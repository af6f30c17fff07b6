//! Cargo, for commands that run it.

use std::env;
use std::process::Command;

use crate::workspace;

/// What cargo tells a program that it runs about the program's package.
const OF_THE_PACKAGE: [&str; 2] = ["CARGO_MANIFEST_", "CARGO_PKG_"];

/// Cargo in the repository's root, as a person would run it there.
///
/// It does not get what the cargo that runs us has told us of our own package. Some build
/// scripts (ring's) look at these variables, and cargo would compile again what depends on
/// them, for us and then for the person.
pub fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace::root());
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if OF_THE_PACKAGE.iter().any(|prefix| text.starts_with(prefix)) {
            cargo.env_remove(&name);
        }
    }
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tests' own cargo has told us.
    #[test]
    fn what_is_said_of_our_package_is_not_passed_on() {
        assert!(env::var_os("CARGO_PKG_NAME").is_some());
        let cargo = cargo();
        let removed: Vec<_> = cargo
            .get_envs()
            .filter_map(|(name, value)| value.is_none().then_some(name))
            .collect();
        for name in ["CARGO_PKG_NAME", "CARGO_MANIFEST_DIR"] {
            assert!(removed.contains(&name.as_ref()), "{name}: {removed:?}");
        }
        assert!(!removed.contains(&"CARGO".as_ref()));
    }
}
