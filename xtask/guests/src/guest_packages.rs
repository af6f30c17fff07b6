//! What is in the guest image from Debian: real tools, and the libraries they need.
//!
//! `vm/image.toml` names the programs. Which libraries these need is read from the
//! ELF files themselves, so the lock pins what is in the image and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use object::elf::{DT_NEEDED, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader};
use serde::Deserialize;
use xtask_archive::index::{Entry, Index};
use xtask_archive::lock::{self, Lock, Package};
use xtask_archive::{Archive, deb};
use xtask_host::{ui, workspace};

/// The name of our packages in the lock.
const SET: &str = "guest";

/// Where libraries lie in packages. The first is where the guest's loader looks
/// without a cache, so that is where all of them go.
const LIBRARY_DIRECTORIES: [&str; 4] = [
    "lib/x86_64-linux-gnu",
    "usr/lib/x86_64-linux-gnu",
    "lib",
    "usr/lib",
];

/// A file to put into the image.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageFile {
    /// Its path in the guest: `/bin/ping`.
    pub(crate) dst: String,
    /// Where it is on this machine; never a symbolic link.
    pub(crate) src: PathBuf,
    /// `0o755` or `0o644`.
    pub(crate) mode: u32,
}

/// Every file that `vm/image.toml` asks for (programs, libraries, the loader), by
/// its path in the guest, in order; fetched and unpacked if they are not yet.
pub(crate) fn ensure_image_files(kind: ImageKind, locked: bool) -> Result<Vec<ImageFile>> {
    GuestPackages::of_this_workspace()?.files(kind, &Archive::of_this_machine()?, locked)
}

/// The names of the kernel's own modules that `vm/image.toml` asks for.
pub(crate) fn kernel_modules(kind: ImageKind) -> Result<Vec<String>> {
    let config = GuestPackages::of_this_workspace()?.config;
    Ok(match kind {
        ImageKind::Common => config.modules,
        ImageKind::Bench => [config.modules, config.bench.modules].concat(),
    })
}

/// What an image is for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum ImageKind {
    /// It has what every guest has.
    Common,
    /// And what only the bench needs.
    Bench,
}

/// The files that name and pin the guest's packages.
pub(crate) struct GuestPackages {
    config: Config,
    lock_file: PathBuf,
}

/// `vm/image.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    suite: String,
    modules: Vec<String>,
    #[serde(rename = "program")]
    programs: Vec<Program>,
    bench: BenchConfig,
}

/// Its part for the bench.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BenchConfig {
    modules: Vec<String>,
    #[serde(rename = "program")]
    programs: Vec<Program>,
}

impl Config {
    fn programs(&self, kind: ImageKind) -> Vec<Program> {
        match kind {
            ImageKind::Common => self.programs.clone(),
            ImageKind::Bench => [&self.programs[..], &self.bench.programs].concat(),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Program {
    package: String,
    file: String,
}

impl GuestPackages {
    pub(crate) fn of_this_workspace() -> Result<GuestPackages> {
        let vm = workspace::root().join("vm");
        let path = vm.join("image.toml");
        let read = || anyhow::Ok(toml::from_str(&fs::read_to_string(&path)?)?);
        let config = read().with_context(|| format!("cannot read {}", path.display()))?;
        Ok(GuestPackages {
            config,
            lock_file: vm.join("image.lock"),
        })
    }

    fn files(&self, kind: ImageKind, archive: &Archive, locked: bool) -> Result<Vec<ImageFile>> {
        let (pins, _) = archive.pinned(&self.lock_file, SET, locked, || self.resolve(archive))?;
        let trees = unpack_all(archive, &pins.packages, &pins.date)?;
        let closure = Closure::of(&self.config.programs(kind), &trees)?;
        ensure!(
            closure.missing.is_empty(),
            "{} lacks {}: run `cargo xtask kernels update`",
            self.lock_file.display(),
            join(&closure.missing)
        );
        closure
            .files
            .into_iter()
            .map(|(dst, found)| ImageFile::new(dst, found.src))
            .collect()
    }

    /// Pins the newest packages.
    pub(crate) fn update(&self, archive: &Archive) -> Result<()> {
        let mut lock = Lock::read(&self.lock_file)?;
        let packages = self.resolve(archive)?;
        let count = packages.len();
        let changed = lock.pin(SET, packages);
        lock.write(&self.lock_file)?;
        ui::say(
            if changed { "pin" } else { "keep" },
            format!("{SET}  {count} packages"),
        );
        Ok(())
    }

    /// The programs' packages and, from what these depend on, those that have a
    /// library which is needed: level by level, until none is missing.
    fn resolve(&self, archive: &Archive) -> Result<Vec<Package>> {
        let index = archive.index(&self.config.suite)?;
        let programs = self.config.programs(ImageKind::Bench);
        let mut level = BTreeMap::new();
        for program in &programs {
            let entry = index.get(&program.package)?;
            level.insert(entry.package.name.clone(), entry);
        }
        let mut seen: BTreeMap<String, &Entry> = BTreeMap::new();
        loop {
            let next = dependencies(&index, level.values().copied());
            seen.append(&mut level);
            let packages: Vec<_> = seen.values().map(|entry| entry.package.clone()).collect();
            let trees = unpack_all(archive, &packages, &lock::now())?;
            let closure = Closure::of(&programs, &trees)?;
            if closure.missing.is_empty() {
                let used: BTreeSet<_> = closure
                    .files
                    .into_values()
                    .map(|found| found.package)
                    .collect();
                return Ok(packages
                    .into_iter()
                    .filter(|package| used.contains(&package.name))
                    .collect());
            }
            level = next
                .into_iter()
                .filter(|(name, _)| !seen.contains_key(name))
                .collect();
            ensure!(
                !level.is_empty(),
                "no package has {}",
                join(&closure.missing)
            );
        }
    }
}

impl ImageFile {
    fn new(dst: String, src: PathBuf) -> Result<ImageFile> {
        let src =
            fs::canonicalize(&src).with_context(|| format!("cannot find {}", src.display()))?;
        let executable = fs::metadata(&src)?.permissions().mode() & 0o111 != 0;
        Ok(ImageFile {
            dst,
            src,
            mode: if executable { 0o755 } else { 0o644 },
        })
    }
}

/// For each dependency, the first alternative that there is.
fn dependencies<'a>(
    index: &'a Index,
    of: impl Iterator<Item = &'a Entry>,
) -> BTreeMap<String, &'a Entry> {
    of.flat_map(|entry| &entry.depends)
        .filter_map(|names| names.iter().find_map(|name| index.newest(name)))
        .map(|entry| (entry.package.name.clone(), entry))
        .collect()
}

/// Each package's name and the directory in which it is unpacked.
fn unpack_all(
    archive: &Archive,
    packages: &[Package],
    date: &str,
) -> Result<Vec<(String, PathBuf)>> {
    let debs = archive.debs(packages, date)?;
    let unpack = |(package, file): (&Package, PathBuf)| {
        let tree = archive
            .cache
            .entry(&format!("unpacked/{}", package.sha256), |tree| {
                deb::unpack(&file, tree)
            })?;
        Ok((package.name.clone(), tree))
    };
    packages.iter().zip(debs).map(unpack).collect()
}

/// The programs and all that they need.
struct Closure {
    /// By path in the guest.
    files: BTreeMap<String, Found>,
    /// What no package has.
    missing: BTreeSet<String>,
}

struct Found {
    package: String,
    src: PathBuf,
}

impl Closure {
    fn of(programs: &[Program], trees: &[(String, PathBuf)]) -> Result<Closure> {
        let mut closure = Closure {
            files: BTreeMap::new(),
            missing: BTreeSet::new(),
        };
        for program in programs {
            let trees: Vec<_> = trees
                .iter()
                .filter(|(package, _)| *package == program.package)
                .cloned()
                .collect();
            closure.add(
                &program.file,
                &[program.file.trim_start_matches('/').to_owned()],
                &trees,
            );
        }
        // Every file found may need more, until a round finds nothing new.
        let mut read = BTreeSet::new();
        while let Some((dst, src)) = closure.unread(&read) {
            let needs = needs(&src)
                .with_context(|| format!("cannot read {} as an ELF file", src.display()))?;
            if let Some(loader) = needs.loader {
                let name = loader.rsplit('/').next().unwrap_or(&loader);
                closure.add(
                    &loader,
                    &candidates(name, loader.trim_start_matches('/')),
                    trees,
                );
            }
            for library in &needs.libraries {
                // The loader is a library too, and must not be there twice.
                if !library.starts_with("ld-linux") {
                    closure.add(
                        &format!("/{}/{library}", LIBRARY_DIRECTORIES[0]),
                        &candidates(library, ""),
                        trees,
                    );
                }
            }
            read.insert(dst);
        }
        Ok(closure)
    }

    fn unread(&self, read: &BTreeSet<String>) -> Option<(String, PathBuf)> {
        let (dst, found) = self.files.iter().find(|(dst, _)| !read.contains(*dst))?;
        Some((dst.clone(), found.src.clone()))
    }

    fn add(&mut self, dst: &str, paths: &[String], trees: &[(String, PathBuf)]) {
        if self.files.contains_key(dst) {
            return;
        }
        let found = trees.iter().find_map(|(package, tree)| {
            let src = paths.iter().find_map(|path| file_in(tree, path))?;
            Some(Found {
                package: package.clone(),
                src,
            })
        });
        match found {
            Some(found) => {
                self.files.insert(dst.to_owned(), found);
            }
            None => {
                self.missing.insert(dst.to_owned());
            }
        }
    }
}

/// The file that this path leads to in a package's tree. An absolute link leads to a file
/// of the tree too, and not to one of this machine, which may be another version.
fn file_in(tree: &Path, path: &str) -> Option<PathBuf> {
    const LINKS: usize = 8;
    let mut path = tree.join(path);
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            Ok(target) if target.is_absolute() => {
                path = tree.join(target.strip_prefix("/").ok()?);
            }
            Ok(target) => path = path.parent()?.join(target),
            Err(_) => return path.is_file().then_some(path),
        }
    }
    None
}

fn candidates(name: &str, path: &str) -> Vec<String> {
    let own = (!path.is_empty()).then(|| path.to_owned());
    own.into_iter()
        .chain(LIBRARY_DIRECTORIES.map(|dir| format!("{dir}/{name}")))
        .collect()
}

/// What an ELF file asks for when it is run.
#[derive(Debug, PartialEq)]
struct Needs {
    loader: Option<String>,
    libraries: Vec<String>,
}

fn needs(file: &Path) -> Result<Needs> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let data = &*fs::read(file)?;
    let header = FileHeader64::<object::Endianness>::parse(data)?;
    let endian = header.endian()?;
    let mut loader = None;
    for segment in header.program_headers(endian, data)? {
        if let Some(path) = segment.interpreter(endian, data)? {
            loader = Some(text(path));
        }
    }
    let dynamic = header.sections(endian, data)?.dynamic_table(endian, data)?;
    let mut libraries = Vec::new();
    for entry in &dynamic {
        if entry.tag == DT_NEEDED {
            libraries.push(text(dynamic.string(entry)?));
        }
    }
    Ok(Needs { loader, libraries })
}

fn join(names: &BTreeSet<String>) -> String {
    names
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_elf_file_says_what_it_needs() {
        let needs = needs(&std::env::current_exe().unwrap()).unwrap();
        assert_eq!(needs.loader.as_deref(), Some("/lib64/ld-linux-x86-64.so.2"));
        assert!(
            needs.libraries.contains(&"libc.so.6".to_owned()),
            "{needs:?}"
        );
    }

    #[test]
    fn what_no_package_has_is_missing_and_what_one_has_is_placed() {
        let dir = tempfile::tempdir().unwrap();
        let tree = |name: &str| (name.to_owned(), dir.path().join(name));
        let program = Program {
            package: "tool".to_owned(),
            file: "/bin/tool".to_owned(),
        };
        let put = |path: &str, from: &Path| {
            fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
            fs::copy(from, dir.path().join(path)).unwrap();
        };
        put("tool/bin/tool", &std::env::current_exe().unwrap());
        let closure = Closure::of(std::slice::from_ref(&program), &[tree("tool")]).unwrap();
        assert!(
            closure.missing.contains("/lib/x86_64-linux-gnu/libc.so.6"),
            "{:?}",
            closure.missing
        );
        assert!(
            closure.missing.contains("/lib64/ld-linux-x86-64.so.2"),
            "{:?}",
            closure.missing
        );

        put(
            "libc/usr/lib/x86_64-linux-gnu/libc.so.6",
            Path::new("/lib/x86_64-linux-gnu/libc.so.6"),
        );
        let closure = Closure::of(&[program], &[tree("tool"), tree("libc")]).unwrap();
        assert_eq!(
            closure.files["/lib/x86_64-linux-gnu/libc.so.6"].package,
            "libc"
        );
        assert!(!closure.missing.contains("/lib/x86_64-linux-gnu/libc.so.6"));
    }

    #[test]
    fn a_packages_link_does_not_lead_out_of_it() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path();
        // This machine has the file, and the package has it elsewhere.
        symlink("/bin/sh", tree.join("outside")).unwrap();
        assert_eq!(file_in(tree, "outside"), None);
        fs::create_dir(tree.join("bin")).unwrap();
        fs::write(tree.join("bin/sh.1"), "").unwrap();
        symlink("sh.1", tree.join("bin/sh")).unwrap();
        assert_eq!(file_in(tree, "outside"), Some(tree.join("bin/sh.1")));
        symlink("loop", tree.join("loop")).unwrap();
        assert_eq!(file_in(tree, "loop"), None);
    }
}
