//! Whose crates the command is linked with: their licences want to be named beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{DependencyKind, Metadata, Package, PackageId};

/// Each crate with its licence, and then the text of each licence that is in one of them.
pub(crate) fn list() -> Result<String> {
    let mut command = xtask_host::cargo();
    command.args(["metadata", "--format-version", "1", "--locked"]);
    command.args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
    let output = command.output().context("cannot run cargo")?;
    ensure!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    let metadata = cargo_metadata::MetadataCommand::parse(String::from_utf8(output.stdout)?)?;
    let mut text = String::from(
        "The command icmptap is linked with these crates of others. The texts of their\n\
         licences, as they are in the crates, follow.\n\n",
    );
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in linked(&metadata)? {
        let name = format!("{} {}", package.name, package.version);
        let licence = package.license.as_deref().unwrap_or("see below");
        writeln!(text, "    {name:40} {licence}")?;
        for licence in licence_texts(package)? {
            texts.entry(licence).or_default().insert(name.clone());
        }
    }
    for (licence, names) in texts {
        let names: Vec<_> = names.into_iter().collect();
        write!(text, "\n\n---- {}\n\n{licence}\n", names.join(", "))?;
    }
    Ok(text)
}

/// All that the command is linked with and that is not ours, sorted.
fn linked(metadata: &Metadata) -> Result<Vec<&Package>> {
    let resolve = metadata
        .resolve
        .as_ref()
        .context("cargo resolved nothing")?;
    let command = metadata
        .packages
        .iter()
        .find(|package| package.name == "icmptap-cli");
    let command = command.context("the workspace has no icmptap-cli")?;
    let mut seen: BTreeSet<&PackageId> = BTreeSet::new();
    let mut next = vec![&command.id];
    while let Some(id) = next.pop() {
        if !seen.insert(id) {
            continue;
        }
        let node = resolve.nodes.iter().find(|node| node.id == *id);
        let node = node.with_context(|| format!("cargo resolved no {id}"))?;
        let is_linked = |dependency: &&cargo_metadata::NodeDep| {
            let mut kinds = dependency.dep_kinds.iter();
            kinds.any(|kind| kind.kind == DependencyKind::Normal)
        };
        next.extend(
            node.deps
                .iter()
                .filter(is_linked)
                .map(|dependency| &dependency.pkg),
        );
    }
    let mut packages: Vec<_> = metadata
        .packages
        .iter()
        .filter(|package| seen.contains(&package.id) && package.source.is_some())
        .collect();
    packages.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    Ok(packages)
}

/// The licences' texts in a crate.
fn licence_texts(package: &Package) -> Result<Vec<String>> {
    let directory = package
        .manifest_path
        .parent()
        .context("a manifest has a directory")?;
    let mut names: Vec<_> = fs::read_dir(directory)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    names.sort();
    let is_licence = |name: &&String| {
        let name = name.to_uppercase();
        [
            "LICENSE",
            "LICENCE",
            "COPYING",
            "COPYRIGHT",
            "UNLICENSE",
            "NOTICE",
        ]
        .iter()
        .any(|word| name.starts_with(word))
    };
    let mut texts = Vec::new();
    for name in names.iter().filter(is_licence) {
        let path: &Path = directory.as_std_path();
        let path = path.join(name);
        if path.is_file() {
            let text =
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            texts.push(String::from_utf8_lossy(&text).trim().to_owned());
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_is_named_and_what_only_tests_use_is_not() {
        let list = list().unwrap();
        let names = list.split("----").next().unwrap();
        assert!(names.contains("\n    clap "), "{names}");
        for name in ["icmptap", "proptest", "bindgen"] {
            assert!(!names.contains(&format!("\n    {name} ")), "{names}");
        }
        assert!(list.contains("Permission is hereby granted"));
    }
}
