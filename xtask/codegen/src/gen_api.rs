//! `gen-api`: what the crates offer, one line an item, checked in: so that a
//! change of the API shows in the diff.
//!
//! Made from the source text. The tools that ask the compiler read what only an
//! unreleased rustdoc writes.

mod listing;
mod modules;

use std::process::ExitCode;

use anyhow::{Context, Result};
use xtask_host::workspace;

use self::listing::listing;
use self::modules::Module;
use crate::generated;

/// Write down the public API of the crates, in docs/api
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail if a checked-in file is not what would be written
    #[arg(long)]
    pub(crate) check: bool,
}

/// Those that others are to build on.
const CRATES: &[&str] = &["icmptap", "icmptap-proto"];

const FIRST_LINES: &str = "\
# Made by `cargo xtask gen-api`. Do not edit.
#
# The public items, each at the place where it is defined; `pub use` says what
# it is called from outside.
";

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    for name in CRATES {
        let src = workspace::root().join("crates").join(name).join("src");
        let read = |path: &std::path::Path| std::fs::read_to_string(src.join(path));
        let lines = Module::all_of(&name.replace('-', "_"), &read)
            .and_then(|modules| listing(&modules))
            .with_context(|| format!("cannot list the API of {name}"))?;
        let text = format!("{FIRST_LINES}\n{}\n", lines.join("\n"));
        let path = format!("docs/api/{name}.txt");
        generated::write_or_check(&path, &text, "gen-api", args.check)?;
    }
    Ok(ExitCode::SUCCESS)
}
