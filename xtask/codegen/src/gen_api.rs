//! `gen-api`: what the crates offer, one line an item, checked in: so that a
//! change of the API shows in the diff.
//!
//! rustdoc writes down what it knows of a crate as JSON, and `public-api` makes a listing
//! of that. A released rustdoc writes it only when `RUSTC_BOOTSTRAP` is set.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use xtask_host::{cargo, workspace};

use crate::generated;

/// Write the public API of the crates to docs/api
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail if a checked-in file is not up to date
    #[arg(long)]
    pub(crate) check: bool,
}

/// Those that others are to build on, each with the features that are listed.
const CRATES: &[(&str, &str)] = &[
    ("icmptap", "pcap,serde,tokio"),
    ("icmptap-capture", ""),
    ("icmptap-proto", "interfaces,serde"),
];

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    for (package, features) in CRATES {
        let listing = listing(package, features)
            .with_context(|| format!("cannot list the API of {package}"))?;
        let with = match *features {
            "" => String::new(),
            features => format!(", with the features {features}"),
        };
        let text = format!(
            "# Made by `cargo xtask gen-api`. Do not edit.\n\
             #\n\
             # The public items of {package}{with}.\n\n{listing}"
        );
        let path = format!("docs/api/{package}.txt");
        generated::write_or_check(&path, &text, "gen-api", args.check)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// One line an item, in an order that does not depend on the source's.
fn listing(package: &str, features: &str) -> Result<String> {
    let api = public_api::Builder::from_rustdoc_json(rustdoc_json(package, features)?)
        // What every type has by itself: it says nothing of ours.
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .build()
        .context("public-api does not understand this rustdoc: is it newer than the crate?")?;
    Ok(api.items().map(|item| format!("{item}\n")).collect())
}

fn rustdoc_json(package: &str, features: &str) -> Result<PathBuf> {
    // Apart from the rest: build scripts look at RUSTC_BOOTSTRAP too, and cargo would
    // compile everything again, for us and then for the next command.
    let target = workspace::target().join("api");
    let status = cargo()
        .args(["rustdoc", "--quiet", "--lib", "--package", package])
        .args(["--features", features, "--target-dir"])
        .arg(&target)
        .args(["--", "-Z", "unstable-options", "--output-format", "json"])
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("RUSTDOCFLAGS")
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "cargo rustdoc: {status}");
    let name = package.replace('-', "_");
    Ok(target.join("doc").join(name).with_extension("json"))
}
