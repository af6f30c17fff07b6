//! A crate's source as the list of its modules, in whichever files they are.

use std::io;
use std::path::Path;

use anyhow::{Context, Result, bail};
use syn::{Attribute, Item, Meta};

/// Reads a file, given its path below the crate's `src`.
pub(crate) type Read<'a> = dyn Fn(&Path) -> io::Result<String> + 'a;

pub(crate) struct Module {
    /// `icmptap_proto::icmp`
    pub(crate) path: String,
    /// The `cfg`s that it is under, its parents' included.
    pub(crate) conditions: Vec<Attribute>,
    pub(crate) items: Vec<Item>,
}

impl Module {
    /// All modules of the crate but those of its tests.
    pub(crate) fn all_of(crate_name: &str, read: &Read<'_>) -> Result<Vec<Module>> {
        let mut all = Vec::new();
        let items = parse(read, Path::new("lib.rs"))?;
        let root = Module {
            path: crate_name.to_owned(),
            conditions: Vec::new(),
            items,
        };
        collect(root, Path::new(""), read, &mut all)?;
        Ok(all)
    }
}

/// Adds the module, and those in it, whose files are in `dir`.
fn collect(module: Module, dir: &Path, read: &Read<'_>, all: &mut Vec<Module>) -> Result<()> {
    for item in &module.items {
        let Item::Mod(inner) = item else { continue };
        if is_for_tests(&inner.attrs) {
            continue;
        }
        let path = format!("{}::{}", module.path, inner.ident);
        if inner.attrs.iter().any(|attr| attr.path().is_ident("path")) {
            bail!("{path} has #[path], which is not understood here");
        }
        let place = dir.join(inner.ident.to_string());
        let items = match &inner.content {
            Some((_, items)) => items.clone(),
            None => find(read, &place).with_context(|| format!("at `mod {}`", inner.ident))?,
        };
        let conditions = module.conditions.iter().chain(conditions(&inner.attrs));
        let inner = Module {
            path,
            conditions: conditions.cloned().collect(),
            items,
        };
        collect(inner, &place, read, all)?;
    }
    all.push(module);
    Ok(())
}

fn find(read: &Read<'_>, place: &Path) -> Result<Vec<Item>> {
    let file = place.with_extension("rs");
    match read(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => parse(read, &place.join("mod.rs")),
        _ => parse(read, &file),
    }
}

fn parse(read: &Read<'_>, file: &Path) -> Result<Vec<Item>> {
    let text = read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let parsed = syn::parse_file(&text).with_context(|| format!("{}: not Rust", file.display()))?;
    Ok(parsed.items)
}

/// `cfg(test)` and no other: what is there for more than tests is shown.
pub(crate) fn is_for_tests(attrs: &[Attribute]) -> bool {
    conditions(attrs).any(|attr| match &attr.meta {
        Meta::List(list) => list.tokens.to_string() == "test",
        _ => false,
    })
}

pub(crate) fn conditions(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attrs.iter().filter(|attr| attr.path().is_ident("cfg"))
}
