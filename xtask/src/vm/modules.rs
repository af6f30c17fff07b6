//! The kernel's own modules that the guest needs (veth, nf_tables and the
//! like), and the index by which the guest's `modprobe` finds them when the
//! kernel asks. A package has no such index: it is made when a kernel is
//! installed, which ours never is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection};

use super::cpio::Tree;
use crate::kernel::Kernel;

/// Puts the modules of `kernel` called `names`, all that they depend on, and
/// their index into an image.
pub(crate) fn add(tree: &mut Tree, kernel: &Kernel, names: &[String]) -> Result<()> {
    let modules = closure(&kernel.modules, names)?;
    let to = format!("lib/modules/{}", kernel.release);
    for module in modules.values() {
        let path = module.path.display();
        tree.copy(
            &format!("{to}/{path}"),
            0o644,
            &kernel.modules.join(&module.path),
        )
        .with_context(|| format!("cannot put {path} into the image"))?;
    }
    tree.file(&format!("{to}/modules.dep"), 0o644, dep_file(&modules));
    tree.file(&format!("{to}/modules.alias"), 0o644, alias_file(&modules));
    // What the kernel runs when it wants one (`/proc/sys/kernel/modprobe`).
    tree.symlink("sbin/modprobe", "/bin/busybox");
    Ok(())
}

/// One module: where it is, what it needs first, what it answers to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Module {
    /// Below the modules' directory: `kernel/drivers/net/veth.ko`.
    path: PathBuf,
    depends: Vec<String>,
    aliases: Vec<String>,
}

/// The modules called `names` below `dir` (`…/lib/modules/RELEASE`) and all
/// that they depend on, by name.
fn closure(dir: &Path, names: &[String]) -> Result<BTreeMap<String, Module>> {
    let mut files = BTreeMap::new();
    index(dir, &mut files).with_context(|| format!("cannot read {}", dir.display()))?;

    let mut found = BTreeMap::new();
    let mut wanted: Vec<String> = names.iter().map(|name| normal(name)).collect();
    while let Some(name) = wanted.pop() {
        if found.contains_key(&name) {
            continue;
        }
        let Some(path) = files.get(&name) else {
            bail!(
                "the kernel in {} has no module {name}: it is built in, or vm/image.toml names it wrongly",
                dir.display()
            );
        };
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let module = read(&bytes, path.strip_prefix(dir)?)
            .with_context(|| format!("{} is not a kernel module", path.display()))?;
        wanted.extend(module.depends.iter().cloned());
        found.insert(name, module);
    }
    Ok(found)
}

/// `modules.dep`: each module with all that it needs, in the reverse of the
/// order in which they have to be loaded.
fn dep_file(modules: &BTreeMap<String, Module>) -> String {
    let mut out = String::new();
    for (name, module) in modules {
        let mut order = Vec::new();
        load_order(modules, name, &mut order);
        out.push_str(&format!("{}:", module.path.display()));
        for needed in order.iter().rev().skip(1) {
            out.push_str(&format!(" {}", modules[*needed].path.display()));
        }
        out.push('\n');
    }
    out
}

/// Appends `name` to `order`, after all that it needs.
fn load_order<'a>(modules: &'a BTreeMap<String, Module>, name: &'a str, order: &mut Vec<&'a str>) {
    for needed in &modules[name].depends {
        load_order(modules, needed, order);
    }
    if !order.contains(&name) {
        order.push(name);
    }
}

/// `modules.alias`: by which names the kernel asks for them.
fn alias_file(modules: &BTreeMap<String, Module>) -> String {
    modules
        .iter()
        .flat_map(|(name, module)| module.aliases.iter().map(move |alias| (alias, name)))
        .map(|(alias, name)| format!("alias {alias} {name}\n"))
        .collect()
}

fn index(dir: &Path, files: &mut BTreeMap<String, PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            index(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "ko")
            && let Some(stem) = path.file_stem()
        {
            files.insert(normal(&stem.to_string_lossy()), path);
        }
    }
    Ok(())
}

/// File names may have dashes; names in `depends=` have underscores.
fn normal(name: &str) -> String {
    name.replace('-', "_")
}

fn read(elf: &[u8], path: &Path) -> Result<Module> {
    let file = object::File::parse(elf)?;
    let section = file
        .section_by_name(".modinfo")
        .context("it has no section .modinfo")?;
    Ok(parse_modinfo(section.data()?, path))
}

/// `.modinfo` is a run of `key=value` strings, each ended by one or more NULs.
fn parse_modinfo(bytes: &[u8], path: &Path) -> Module {
    let mut module = Module {
        path: path.to_owned(),
        depends: Vec::new(),
        aliases: Vec::new(),
    };
    for string in bytes.split(|byte| *byte == 0) {
        let string = String::from_utf8_lossy(string);
        match string.split_once('=') {
            Some(("depends", names)) => module
                .depends
                .extend(names.split(',').filter(|name| !name.is_empty()).map(normal)),
            Some(("alias", alias)) => module.aliases.push(alias.to_owned()),
            _ => {}
        }
    }
    module
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(path: &str, modinfo: &str) -> Module {
        parse_modinfo(modinfo.as_bytes(), Path::new(path))
    }

    fn two() -> BTreeMap<String, Module> {
        BTreeMap::from([
            (
                "nf_tables".to_owned(),
                module(
                    "kernel/nf_tables.ko",
                    "license=GPL\0alias=nfnetlink-subsys-10\0depends=nfnetlink,libcrc32c\0\0",
                ),
            ),
            (
                "nfnetlink".to_owned(),
                module(
                    "kernel/nfnetlink.ko",
                    "depends=\0alias=net-pf-16-proto-12\0",
                ),
            ),
            (
                "libcrc32c".to_owned(),
                module("kernel/libcrc32c.ko", "depends=nfnetlink"),
            ),
        ])
    }

    #[test]
    fn modinfo_is_read() {
        assert_eq!(
            two()["nf_tables"],
            Module {
                path: "kernel/nf_tables.ko".into(),
                depends: vec!["nfnetlink".into(), "libcrc32c".into()],
                aliases: vec!["nfnetlink-subsys-10".into()],
            }
        );
    }

    #[test]
    fn dependencies_are_named_once_and_the_first_to_load_last() {
        assert_eq!(
            dep_file(&two()),
            "kernel/libcrc32c.ko: kernel/nfnetlink.ko\n\
             kernel/nf_tables.ko: kernel/libcrc32c.ko kernel/nfnetlink.ko\n\
             kernel/nfnetlink.ko:\n"
        );
    }

    #[test]
    fn aliases_lead_to_names() {
        assert_eq!(
            alias_file(&two()),
            "alias nfnetlink-subsys-10 nf_tables\nalias net-pf-16-proto-12 nfnetlink\n"
        );
    }

    #[test]
    fn an_unknown_module_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let error = closure(dir.path(), &["veth".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("has no module veth"), "{error}");
    }
}
