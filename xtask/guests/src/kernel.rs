//! A named kernel: what boots, its modules, and the tree to build a module against.
//!
//! `vm/kernels.toml` names the kernels, `vm/kernels.lock` says which packages each
//! is. Four packages, unpacked over each other into one cache entry, are all that
//! is needed, and what in them assumes to lie under /usr is made to lie anywhere.
//! Of a kernel that is built from source there is one package, and `kernel/source.rs` makes
//! an entry of the same shape.

mod source;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use xtask_archive::download::hex;
use xtask_archive::index::Index;
use xtask_archive::lock::{Package, Pins};
use xtask_archive::{Archive, deb, read_pins};
use xtask_host::{ui, workspace};

use self::source::Recipe;
use xtask_host::setup::Tool;

/// Changes whenever what we make of the packages does.
const LAYOUT: &str = "1";

/// A kernel that is unpacked in the cache.
#[derive(Debug, Clone, PartialEq)]
pub struct Kernel {
    /// As in `vm/kernels.toml`.
    pub name: String,
    /// What `uname -r` says: `6.1.0-50-cloud-amd64`.
    pub release: String,
    /// What QEMU boots.
    pub vmlinuz: PathBuf,
    /// `lib/modules/RELEASE`; without a `modules.dep`, which Debian makes on installation.
    pub modules: PathBuf,
    /// For `make -C`.
    pub kdir: PathBuf,
    /// How many times as long as in the default kernel everything takes in it.
    pub slowness: u32,
    /// Whether it has what the tests need that put the module under fire.
    pub fire: bool,
    /// What a guest of it gets.
    pub memory_mib: u32,
    /// Whether its CPUs take turns where they are emulated.
    pub one_thread: bool,
    /// Whether it is the one that is used where none is named.
    pub is_default: bool,
}

/// The kernel of this name, or the default one; fetched and unpacked if it is not yet.
pub fn ensure(name: Option<&str>, locked: bool) -> Result<Kernel> {
    let kernels = Kernels::of_this_workspace()?;
    let name = name.unwrap_or(&kernels.config.default);
    kernels.ensure(&Archive::of_this_machine()?, name, locked)
}

/// What fetching this kernel takes, or the default one, if it is not in the cache.
pub(crate) fn tools(name: Option<&str>) -> Result<&'static [Tool]> {
    let kernels = Kernels::of_this_workspace()?;
    let name = name.unwrap_or(&kernels.config.default);
    match kernels.fetched(&Archive::of_this_machine()?, name)? {
        Some(_) => Ok(&[]),
        None => Archive::needs(),
    }
}

/// The kernels that a command is for: all, or these, or the default one.
pub fn chosen(names: &[String], all: bool) -> Result<Vec<String>> {
    Kernels::of_this_workspace()?.config.chosen(names, all)
}

/// The files that name and pin the kernels.
pub(crate) struct Kernels {
    pub(crate) config: Config,
    pub(crate) lock_file: PathBuf,
    /// The directory of these files.
    vm: PathBuf,
}

/// `vm/kernels.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The kernel to use when none is named.
    pub(crate) default: String,
    #[serde(rename = "kernel")]
    pub(crate) kernels: BTreeMap<String, Spec>,
}

/// Where a kernel is looked for when it is pinned, and what is made of it.
#[derive(Debug, Deserialize)]
#[serde(try_from = "SpecText")]
pub(crate) struct Spec {
    pub(crate) suite: String,
    pub(crate) kind: Kind,
    /// See [`Kernel::slowness`].
    pub(crate) slowness: u32,
    /// Whether it has what the tests need that put the module under fire.
    pub(crate) fire: bool,
    /// See [`Kernel::memory_mib`].
    pub(crate) memory_mib: u32,
    /// See [`Kernel::one_thread`].
    pub(crate) one_thread: bool,
}

/// What kind of packages it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// Debian built it.
    Packages {
        /// The image's package; a `*` stands for a number.
        image: String,
    },
    /// We build it.
    Source {
        /// The source's package; a `*` stands for a number.
        source: String,
        /// The fragments in `vm/config` that make its configuration.
        config: Vec<String>,
    },
}

/// [`Spec`] as `vm/kernels.toml` has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SpecText {
    suite: String,
    image: Option<String>,
    source: Option<String>,
    config: Option<Vec<String>>,
    slowness: Option<u32>,
    #[serde(default)]
    fire: bool,
    memory_mib: Option<u32>,
    #[serde(default)]
    one_thread: bool,
}

impl TryFrom<SpecText> for Spec {
    type Error = &'static str;

    fn try_from(text: SpecText) -> Result<Spec, Self::Error> {
        let kind = match (text.image, text.source, text.config) {
            (Some(image), None, None) => Kind::Packages { image },
            (None, Some(source), Some(config)) => Kind::Source { source, config },
            _ => return Err("a kernel has either `image`, or `source` and `config`"),
        };
        Ok(Spec {
            suite: text.suite,
            kind,
            slowness: text.slowness.unwrap_or(1).max(1),
            fire: text.fire,
            memory_mib: text.memory_mib.unwrap_or(512),
            one_thread: text.one_thread,
        })
    }
}

impl Config {
    /// The kernel of this name; the error lists those that there are.
    pub(crate) fn get(&self, name: &str) -> Result<&Spec> {
        self.kernels.get(name).with_context(|| {
            let names: Vec<_> = self.kernels.keys().map(String::as_str).collect();
            format!("no kernel is named {name:?}: there is {}", names.join(", "))
        })
    }

    /// All, or these, or the default one. Every name is checked before any work.
    pub(crate) fn chosen(&self, names: &[String], all: bool) -> Result<Vec<String>> {
        if all {
            return Ok(self.kernels.keys().cloned().collect());
        }
        for name in names {
            self.get(name)?;
        }
        Ok(match names {
            [] => vec![self.default.clone()],
            names => names.to_vec(),
        })
    }
}

impl Kernels {
    pub(crate) fn of_this_workspace() -> Result<Kernels> {
        Kernels::at(&workspace::root().join("vm"))
    }

    fn at(vm: &Path) -> Result<Kernels> {
        let path = vm.join("kernels.toml");
        let read = || anyhow::Ok(toml::from_str::<Config>(&fs::read_to_string(&path)?)?);
        let config = read().with_context(|| format!("cannot read {}", path.display()))?;
        config
            .get(&config.default)
            .with_context(|| format!("{}: `default` is wrong", path.display()))?;
        Ok(Kernels {
            config,
            lock_file: vm.join("kernels.lock"),
            vm: vm.to_owned(),
        })
    }

    /// What is pinned for this kernel.
    pub(crate) fn pins(&self, name: &str) -> Result<Pins> {
        self.config.get(name)?;
        read_pins(&self.lock_file, name)
    }

    /// The kernel, if it is in the cache.
    pub(crate) fn fetched(&self, archive: &Archive, name: &str) -> Result<Option<Kernel>> {
        let spec = self.config.get(name)?;
        let entry = self.build_plan(name, &self.pins(name)?)?.entry(name);
        let tree = archive.cache.get(&entry);
        tree.map(|tree| self.kernel_in(name, spec, &tree))
            .transpose()
    }

    /// The kernel, made if it is not in the cache.
    pub(crate) fn ensure(&self, archive: &Archive, name: &str, locked: bool) -> Result<Kernel> {
        if let Some(kernel) = self.fetched(archive, name)? {
            return Ok(kernel);
        }
        let (pins, debs) = archive.pinned(&self.lock_file, name, locked, || {
            self.resolve(archive, name)
        })?;
        let tree = match self.build_plan(name, &pins)? {
            BuildPlan::Packages(pins) => archive.cache.entry(&entry(name, pins), |tree| {
                let phase = ui::phase("unpack", name);
                for deb in &debs {
                    deb::unpack(deb, tree)?;
                }
                make_relocatable(tree, &release(pins)?)?;
                phase.done();
                Ok(())
            }),
            BuildPlan::Source(recipe) => recipe.build(&archive.cache, &debs[0]),
        }?;
        self.kernel_in(name, self.config.get(name)?, &tree)
    }

    /// The entry in the cache of a kernel that we build.
    pub(crate) fn built_entry(&self, name: &str) -> Result<Option<String>> {
        match self.build_plan(name, &self.pins(name)?)? {
            BuildPlan::Packages(_) => Ok(None),
            BuildPlan::Source(recipe) => Ok(Some(recipe.entry())),
        }
    }

    fn build_plan<'a>(&self, name: &str, pins: &'a Pins) -> Result<BuildPlan<'a>> {
        match &self.config.get(name)?.kind {
            Kind::Packages { .. } => Ok(BuildPlan::Packages(pins)),
            Kind::Source { config, .. } => Ok(BuildPlan::Source(Recipe::read(
                name, pins, &self.vm, config,
            )?)),
        }
    }

    /// The newest packages for this kernel.
    pub(crate) fn resolve(&self, archive: &Archive, name: &str) -> Result<Vec<Package>> {
        let spec = self.config.get(name)?;
        choose(&archive.index(&spec.suite)?, spec)
    }
}

/// What the cache's entry is made of.
enum BuildPlan<'a> {
    Packages(&'a Pins),
    Source(Recipe),
}

impl BuildPlan<'_> {
    fn entry(&self, name: &str) -> String {
        match self {
            BuildPlan::Packages(pins) => entry(name, pins),
            BuildPlan::Source(recipe) => recipe.entry(),
        }
    }
}

impl Kernels {
    /// The kernel that lies unpacked there.
    fn kernel_in(&self, name: &str, spec: &Spec, tree: &Path) -> Result<Kernel> {
        let modules = source::only_entry(&tree.join("lib/modules"))?;
        let release = modules
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .context("a kernel without a release")?;
        Ok(Kernel {
            name: name.to_owned(),
            vmlinuz: tree.join(format!("boot/vmlinuz-{release}")),
            modules,
            kdir: tree.join(format!("usr/src/linux-headers-{release}")),
            release,
            slowness: spec.slowness,
            fire: spec.fire,
            memory_mib: spec.memory_mib,
            one_thread: spec.one_thread,
            is_default: name == self.config.default,
        })
    }
}

/// The source; or the image, its flavour's headers, and what these need, all of one
/// version.
fn choose(index: &Index, spec: &Spec) -> Result<Vec<Package>> {
    let newest = |pattern: &str| {
        index
            .newest(pattern)
            .with_context(|| format!("the suite {} has no package like {pattern}", spec.suite))
    };
    let image = match &spec.kind {
        Kind::Source { source, .. } => return Ok(vec![newest(source)?.package.clone()]),
        Kind::Packages { image } => newest(image)?,
    };
    let headers = index.get(
        &image
            .package
            .name
            .replacen("linux-image-", "linux-headers-", 1),
    )?;
    let mut chosen = vec![image.package.clone(), headers.package.clone()];
    for name in headers.depends.iter().flatten() {
        if name.starts_with("linux-headers-") || name.starts_with("linux-kbuild-") {
            chosen.push(index.get(name)?.package.clone());
        }
    }
    for package in &chosen {
        if package.version != image.package.version {
            bail!(
                "{} {} and {} {} do not belong together: the archive is being updated, try again later",
                image.package.name,
                image.package.version,
                package.name,
                package.version
            );
        }
    }
    Ok(chosen)
}

/// What to call the pinned kernel: its `uname -r`, or its source's package.
pub(crate) fn title(pins: &Pins) -> Result<String> {
    match &pins.packages[..] {
        [source] => Ok(source.name.clone()),
        _ => release(pins),
    }
}

/// `uname -r` of the pinned kernel.
fn release(pins: &Pins) -> Result<String> {
    let release = pins
        .packages
        .iter()
        .find_map(|package| package.name.strip_prefix("linux-image-"));
    release
        .map(str::to_owned)
        .context("no linux-image package is pinned: run `cargo xtask kernels update`")
}

/// The cache entry for these packages.
fn entry(name: &str, pins: &Pins) -> String {
    let mut hash = Sha256::new();
    hash.update(LAYOUT);
    for package in &pins.packages {
        hash.update(&package.sha256);
    }
    format!("kernels/{name}-{}", &hex(&hash.finalize())[..16])
}

/// Lets `make -C` work wherever the tree lies: the flavour's Makefile includes the
/// common one by its absolute path, and two links are absolute.
fn make_relocatable(tree: &Path, release: &str) -> Result<()> {
    let makefile = tree.join(format!("usr/src/linux-headers-{release}/Makefile"));
    let text = fs::read_to_string(&makefile)
        .with_context(|| format!("cannot read {}", makefile.display()))?;
    let here = "$(dir $(abspath $(lastword $(MAKEFILE_LIST))))..";
    fs::write(
        &makefile,
        text.replace("include /usr/src/", &format!("include {here}/")),
    )?;
    for name in ["build", "source"] {
        let link = tree.join(format!("lib/modules/{release}/{name}"));
        if let Ok(target) = fs::read_link(&link)
            && let Ok(target) = target.strip_prefix("/")
        {
            fs::remove_file(&link)?;
            symlink(Path::new("../../..").join(target), &link)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use xtask_archive::lock::Lock;
    use xtask_archive::test_server::{Answer, Server};

    const CONFIG: &str = "\
default = \"tiny\"
[kernel.tiny]
suite = \"testing\"
image = \"linux-image-6.1.0-*-cloud-amd64\"
";

    /// A mirror with the fixtures of the versions wanted, and files that name the kernel.
    struct World {
        server: Server,
        dir: tempfile::TempDir,
    }

    impl World {
        fn with_versions(versions: &[&str]) -> World {
            let world = World {
                server: Server::start(),
                dir: tempfile::tempdir().unwrap(),
            };
            for (name, bytes) in fixtures() {
                let path = match &*name {
                    "InRelease" => "dists/testing/InRelease".to_owned(),
                    "Packages.xz" => "dists/testing/main/binary-amd64/Packages.xz".to_owned(),
                    _ => format!("pool/{name}"),
                };
                let is_wanted = versions
                    .iter()
                    .any(|version| name.contains(&format!("_{version}_")));
                if is_wanted || !name.ends_with(".deb") {
                    world.server.put(&path, Answer::Body(bytes));
                }
            }
            fs::write(world.dir.path().join("kernels.toml"), CONFIG).unwrap();
            world
        }

        fn archive(&self) -> Archive {
            let keyring = fixture_dir().join("keyring.gpg");
            Archive::for_test(
                &self.dir.path().join("cache"),
                &keyring,
                &[&self.server.base],
            )
        }

        fn kernels(&self) -> Kernels {
            Kernels::at(self.dir.path()).unwrap()
        }

        /// Pins the old kernel, which the index does not name any more.
        fn pin_old(&self) {
            let mut packages = Vec::new();
            for kind in ["image", "headers"] {
                packages.push(format!(
                    "linux-{kind}-6.1.0-9-cloud-amd64_6.1.9-1_amd64.deb"
                ));
            }
            packages.push("linux-headers-6.1.0-9-common_6.1.9-1_all.deb".to_owned());
            packages.push("linux-kbuild-6.1_6.1.9-1_amd64.deb".to_owned());
            let packages = packages.iter().map(|file| {
                let bytes = fs::read(fixture_dir().join(file)).unwrap();
                let mut parts = file.trim_end_matches(".deb").split('_').map(str::to_owned);
                Package {
                    name: parts.next().unwrap(),
                    version: parts.next().unwrap(),
                    architecture: parts.next().unwrap(),
                    path: format!("pool/{file}"),
                    size: bytes.len() as u64,
                    sha256: hex(&Sha256::digest(bytes)),
                }
            });
            let mut lock = Lock::default();
            lock.pin("tiny", packages.collect());
            lock.write(&self.kernels().lock_file).unwrap();
        }

        fn ensure(&self, locked: bool) -> Result<Kernel> {
            self.kernels().ensure(&self.archive(), "tiny", locked)
        }
    }

    fn fixture_dir() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../archive/fixtures")
    }

    fn fixtures() -> Vec<(String, Vec<u8>)> {
        let files = fs::read_dir(fixture_dir())
            .unwrap()
            .map(|file| file.unwrap());
        files
            .map(|file| {
                (
                    file.file_name().into_string().unwrap(),
                    fs::read(file.path()).unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn a_kernel_is_fetched_once_and_builds_from_where_it_lies() {
        let world = World::with_versions(&["6.1.9-1"]);
        world.pin_old();
        assert_eq!(
            world.kernels().fetched(&world.archive(), "tiny").unwrap(),
            None
        );
        let kernel = world.ensure(true).unwrap();
        assert_eq!(kernel.release, "6.1.0-9-cloud-amd64");
        assert_eq!(
            fs::read_to_string(&kernel.vmlinuz).unwrap(),
            "kernel 6.1.9-1\n"
        );
        assert_eq!(
            fs::read_to_string(kernel.modules.join("kernel/a.ko")).unwrap(),
            "module 6.1.9-1\n"
        );
        assert_eq!(
            fs::canonicalize(kernel.modules.join("build")).unwrap(),
            fs::canonicalize(&kernel.kdir).unwrap()
        );
        let make = Command::new("make")
            .arg("-C")
            .arg(&kernel.kdir)
            .output()
            .unwrap();
        assert!(
            String::from_utf8_lossy(&make.stdout).contains("made by"),
            "{make:?}"
        );

        let requests = world.server.requests();
        assert_eq!(world.ensure(true).unwrap(), kernel);
        assert_eq!(world.server.requests(), requests);
    }

    #[test]
    fn a_pin_that_is_gone_is_replaced_by_the_newest() {
        let world = World::with_versions(&["6.1.10-1"]);
        world.pin_old();
        let kernel = world.ensure(false).unwrap();
        assert_eq!(kernel.release, "6.1.0-10-cloud-amd64");
        assert_eq!(
            fs::read_to_string(&kernel.vmlinuz).unwrap(),
            "kernel 6.1.10-1\n"
        );
        assert_eq!(
            release(&world.kernels().pins("tiny").unwrap()).unwrap(),
            kernel.release
        );
        assert_eq!(world.ensure(true).unwrap(), kernel);
    }

    #[test]
    fn a_pin_that_is_gone_is_an_error_when_locked() {
        let world = World::with_versions(&["6.1.10-1"]);
        world.pin_old();
        let error = format!("{:#}", world.ensure(true).unwrap_err());
        assert!(
            error.contains("--locked forbids another") && error.contains("not found (404)"),
            "{error}"
        );
        assert_eq!(
            world.kernels().pins("tiny").unwrap().packages[0].version,
            "6.1.9-1"
        );
    }

    #[test]
    fn a_pin_stays_when_the_mirror_is_only_down() {
        let world = World::with_versions(&["6.1.10-1"]);
        world.pin_old();
        let image = &world.kernels().pins("tiny").unwrap().packages[0].path;
        world.server.put(image, Answer::Status(503));
        let error = format!("{:#}", world.ensure(false).unwrap_err());
        assert!(error.contains("answered with status 503"), "{error}");
        assert_eq!(
            world.kernels().pins("tiny").unwrap().packages[0].version,
            "6.1.9-1"
        );
    }

    #[test]
    fn a_pin_stays_when_the_new_index_is_not_debians() {
        let world = World::with_versions(&["6.1.10-1"]);
        world.pin_old();
        let stranger = fs::read(fixture_dir().join("InRelease.stranger")).unwrap();
        world
            .server
            .put("dists/testing/InRelease", Answer::Body(stranger));
        let error = format!("{:#}", world.ensure(false).unwrap_err());
        assert!(
            error.contains("cannot find out what replaces it") && error.contains("signature"),
            "{error}"
        );
        assert_eq!(
            world.kernels().pins("tiny").unwrap().packages[0].version,
            "6.1.9-1"
        );
    }

    #[test]
    fn all_kernels_these_or_the_default_one() {
        let config: Config = toml::from_str(
            &["tiny", "huge"]
                .map(|name| format!("[kernel.{name}]\nsuite = \"s\"\nimage = \"i\"\n"))
                .into_iter()
                .fold("default = \"tiny\"\n".to_owned(), |text, entry| {
                    text + &entry
                }),
        )
        .unwrap();
        let chosen = |names: &[&str], all| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            config.chosen(&names, all)
        };
        assert_eq!(chosen(&[], true).unwrap(), ["huge", "tiny"]);
        assert_eq!(chosen(&[], false).unwrap(), ["tiny"]);
        assert_eq!(chosen(&["huge"], false).unwrap(), ["huge"]);
        let error = chosen(&["huge", "small"], false).unwrap_err().to_string();
        assert_eq!(error, "no kernel is named \"small\": there is huge, tiny");
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let world = World::with_versions(&[]);
        let error = world.kernels().pins("huge").unwrap_err().to_string();
        assert_eq!(error, "no kernel is named \"huge\": there is tiny");
        let error = world.kernels().pins("tiny").unwrap_err().to_string();
        assert!(
            error.contains("does not pin tiny: run `cargo xtask kernels update`"),
            "{error}"
        );
    }
}
