//! The kernel's own modules that the guest needs (veth, nf_tables and the
//! like), and the index by which the guest's `modprobe` finds them when the
//! kernel asks. A package has no such index: it is made when a kernel is
//! installed, which ours never is.
//!
//! Our own modules are in that index as well, so that `modprobe icmptap_imp2` does there
//! what it does for whoever installs them. By no alias: a test that has unloaded them
//! does not want them back because it asked for something.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, Result, bail};
use icmptap_guest::MODULES;
use liblzma::read::XzDecoder;
use object::{Object, ObjectSection};

use super::cpio::Tree;
use crate::kernel::Kernel;

/// Puts the modules of `kernel` called `names`, all that they depend on, and
/// their index into an image.
pub(crate) fn add(tree: &mut Tree, kernel: &Kernel, names: &[String]) -> Result<()> {
    let modules = closure(&kernel.modules, names)?;
    let to = format!("lib/modules/{}", kernel.release);
    for module in modules.values() {
        let path = format!("{to}/{}", module.path.display());
        if is_packed(&module.source) {
            tree.file(&path, 0o644, elf(&module.source)?);
        } else {
            tree.copy(&path, 0o644, &module.source)
                .with_context(|| format!("cannot put {path} into the image"))?;
        }
    }
    let index = dep_file(&modules) + &ours();
    tree.file(&format!("{to}/modules.dep"), 0o644, index);
    tree.file(&format!("{to}/modules.alias"), 0o644, alias_file(&modules));
    // What the kernel runs when it wants one (`/proc/sys/kernel/modprobe`).
    tree.symlink("sbin/modprobe", "/bin/busybox");
    Ok(())
}

/// One module: where it is, what it needs first, what it answers to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Module {
    /// On this machine, where it may be compressed.
    source: PathBuf,
    /// In the guest, below the modules' directory: `kernel/drivers/net/veth.ko`.
    path: PathBuf,
    depends: Vec<String>,
    /// What it does not link with and still wants, by name or alias.
    soft: Vec<String>,
    aliases: Vec<String>,
}

/// The modules called `names` below `dir` (`…/lib/modules/RELEASE`) and all
/// that they depend on, by name. What is built in needs no file.
fn closure(dir: &Path, names: &[String]) -> Result<BTreeMap<String, Module>> {
    let mut files = BTreeMap::new();
    index(dir, &mut files).with_context(|| format!("cannot read {}", dir.display()))?;
    let built_in = built_in(dir)?;

    let mut found = BTreeMap::new();
    let mut wanted: Vec<String> = names.iter().map(|name| normal(name)).collect();
    while let Some(name) = wanted.pop() {
        if found.contains_key(&name) || built_in.contains(&name) {
            continue;
        }
        let Some(file) = files.get(&name) else {
            bail!(
                "the kernel in {} has no module {name}, and does not have it built in: vm/image.toml names it wrongly",
                dir.display()
            );
        };
        let module = read(dir, file)?;
        wanted.extend(module.depends.iter().cloned());
        for soft in &module.soft {
            wanted.extend(answering(dir, &files, soft)?);
        }
        found.insert(name, module);
    }
    Ok(found)
}

/// The modules that a soft dependency means: `crc32c` is an alias of those that
/// compute it, whose own names begin with it. Others are not looked for: to read
/// thousands of modules at each boot would take longer than the boot.
fn answering(dir: &Path, files: &BTreeMap<String, PathBuf>, soft: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for (name, file) in files.range(soft.to_owned()..) {
        if !name.starts_with(soft) {
            break;
        }
        if name == soft || read(dir, file)?.aliases.iter().any(|alias| alias == soft) {
            names.push(name.clone());
        }
    }
    Ok(names)
}

/// The names of what would be modules if it were not in the kernel itself.
fn built_in(dir: &Path) -> Result<BTreeSet<String>> {
    let list = dir.join("modules.builtin");
    let text = match fs::read_to_string(&list) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read.with_context(|| format!("cannot read {}", list.display()))?,
    };
    Ok(text
        .lines()
        .filter_map(|line| module_name(Path::new(line)))
        .collect())
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

/// The same of our own, which lie elsewhere: each needs all those before it.
fn ours() -> String {
    let lines = MODULES.iter().enumerate().map(|(nth, path)| {
        let needed = MODULES[..nth].iter().rev();
        let needed: String = needed.map(|path| format!(" {path}")).collect();
        format!("{path}:{needed}\n")
    });
    lines.collect()
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
        } else if let Some(name) = module_name(&path) {
            files.insert(name, path);
        }
    }
    Ok(())
}

/// By which name others depend on the module in this file, if there is one in it.
fn module_name(file: &Path) -> Option<String> {
    let name = file.file_name()?.to_str()?;
    let stem = name
        .strip_suffix(PACKED)
        .unwrap_or(name)
        .strip_suffix(".ko")?;
    Some(normal(stem))
}

/// File names may have dashes; names in `depends=` have underscores.
fn normal(name: &str) -> String {
    name.replace('-', "_")
}

/// Debian packs modules since 6.3. They are unpacked here, where the CPU is not
/// emulated.
const PACKED: &str = ".xz";

fn is_packed(file: &Path) -> bool {
    file.to_string_lossy().ends_with(PACKED)
}

/// The module itself.
fn elf(file: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    if !is_packed(file) {
        return Ok(bytes);
    }
    let mut unpacked = Vec::new();
    XzDecoder::new(&*bytes)
        .read_to_end(&mut unpacked)
        .with_context(|| format!("cannot unpack {}", file.display()))?;
    Ok(unpacked)
}

fn read(dir: &Path, file: &Path) -> Result<Module> {
    let parse = || {
        let elf = elf(file)?;
        let object = object::File::parse(&*elf)?;
        let section = object
            .section_by_name(".modinfo")
            .context("it has no section .modinfo")?;
        anyhow::Ok(parse_modinfo(section.data()?, dir, file))
    };
    parse().with_context(|| format!("{} is not a kernel module", file.display()))
}

/// `.modinfo` is a run of `key=value` strings, each ended by one or more NULs.
fn parse_modinfo(bytes: &[u8], dir: &Path, source: &Path) -> Module {
    let path = source.strip_prefix(dir).unwrap_or(source);
    let mut module = Module {
        source: source.to_owned(),
        path: match is_packed(path) {
            true => path.with_extension(""),
            false => path.to_owned(),
        },
        depends: Vec::new(),
        soft: Vec::new(),
        aliases: Vec::new(),
    };
    for string in bytes.split(|byte| *byte == 0) {
        let string = String::from_utf8_lossy(string);
        match string.split_once('=') {
            Some(("depends", names)) => module
                .depends
                .extend(names.split(',').filter(|name| !name.is_empty()).map(normal)),
            // `pre: a b post: c`
            Some(("softdep", names)) => module.soft.extend(
                names
                    .split_whitespace()
                    .filter(|name| !name.ends_with(':'))
                    .map(normal),
            ),
            Some(("alias", alias)) => module.aliases.push(alias.to_owned()),
            _ => {}
        }
    }
    module
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use liblzma::read::XzEncoder;

    use super::*;

    fn module(path: &str, modinfo: &str) -> Module {
        parse_modinfo(modinfo.as_bytes(), Path::new(""), Path::new(path))
    }

    /// A directory of modules, each an ELF file with this `.modinfo`.
    fn directory(modules: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, modinfo) in modules {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let source = dir.path().join("a.s");
            let text = modinfo.replace('\0', "\\0");
            fs::write(
                &source,
                format!(".section .modinfo,\"a\"\n.asciz \"{text}\"\n"),
            )
            .unwrap();
            let mut cc = Command::new("cc");
            let status = cc.arg("-c").arg(&source).arg("-o").arg(&path).status();
            assert!(status.unwrap().success());
            if is_packed(&path) {
                let mut packed = Vec::new();
                let elf = fs::read(&path).unwrap();
                XzEncoder::new(&*elf, 1).read_to_end(&mut packed).unwrap();
                fs::write(&path, packed).unwrap();
            }
        }
        dir
    }

    fn names(dir: &tempfile::TempDir, wanted: &[&str]) -> Vec<String> {
        let wanted: Vec<_> = wanted.iter().map(|name| (*name).to_owned()).collect();
        let found = closure(dir.path(), &wanted).unwrap();
        found.into_keys().collect()
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
                source: "kernel/nf_tables.ko".into(),
                path: "kernel/nf_tables.ko".into(),
                depends: vec!["nfnetlink".into(), "libcrc32c".into()],
                soft: vec![],
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
    fn our_own_are_where_the_image_has_them() {
        assert_eq!(
            ours(),
            "/lib/icmptap.ko:\n/lib/icmptap_imp2.ko: /lib/icmptap.ko\n"
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
    fn a_packed_module_is_unpacked_for_the_guest() {
        let dir = directory(&[("kernel/veth.ko.xz", "alias=rtnl-link-veth\0depends=")]);
        let found = closure(dir.path(), &["veth".to_owned()]).unwrap();
        let veth = &found["veth"];
        assert_eq!(veth.path, Path::new("kernel/veth.ko"));
        assert_eq!(veth.aliases, ["rtnl-link-veth"]);
        assert!(elf(&veth.source).unwrap().starts_with(b"\x7fELF"));
    }

    #[test]
    fn a_soft_dependency_is_whoever_answers_to_it() {
        let dir = directory(&[
            ("libcrc32c.ko", "softdep=pre: crc32c post: absent\0depends="),
            ("crc32c-intel.ko", "alias=crypto-crc32c\0alias=crc32c"),
            ("crc32c_generic.ko", "alias=crc32c\0depends=base"),
            ("crc32c_other.ko", "alias=crc32"),
            ("base.ko", ""),
        ]);
        assert_eq!(
            names(&dir, &["libcrc32c"]),
            ["base", "crc32c_generic", "crc32c_intel", "libcrc32c"]
        );
    }

    #[test]
    fn what_is_built_in_needs_no_file() {
        let dir = directory(&[("kernel/veth.ko", "depends=built-in")]);
        fs::write(
            dir.path().join("modules.builtin"),
            "kernel/net/built-in.ko\n",
        )
        .unwrap();
        assert_eq!(names(&dir, &["veth", "built-in"]), ["veth"]);
    }

    #[test]
    fn an_unknown_module_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let error = closure(dir.path(), &["veth".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("has no module veth"), "{error}");
    }
}
