//! A kernel built from Debian's source package, with a configuration of ours.
//!
//! What comes of it lies in the cache as a packaged kernel does: `boot/vmlinuz-*`,
//! `lib/modules/*`, and below `usr/src` the few percent of the source and of what
//! was built that building a module takes. The rest goes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::available_parallelism;

use anyhow::{Context, Result, bail, ensure};
use liblzma::read::XzDecoder;
use sha2::{Digest, Sha256};
use xshell::{Shell, cmd};
use xtask_archive::cache::Cache;
use xtask_archive::deb;
use xtask_archive::download::hex;
use xtask_archive::lock::{Package, Pins};
use xtask_host::setup::{self, Tool};
use xtask_host::ui;

/// Changes whenever what we make of source and configuration does.
const LAYOUT: &str = "1";

/// Everything that decides what is built.
pub(crate) struct Recipe {
    /// The kernel's, in `vm/kernels.toml`.
    name: String,
    source: Package,
    options: Options,
    /// As it names itself.
    compiler: String,
}

impl Recipe {
    /// From fragments in `vm/config`, of which a later one overrides an earlier one.
    pub(crate) fn read(name: &str, pins: &Pins, vm: &Path, fragments: &[String]) -> Result<Recipe> {
        let [source] = &pins.packages[..] else {
            bail!("{name} is pinned to more than its source: run `cargo xtask kernels update`");
        };
        let mut options = Options::default();
        for fragment in fragments {
            let path = vm.join("config").join(fragment);
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            options.add(fragment, &text);
        }
        Ok(Recipe {
            name: name.to_owned(),
            source: source.clone(),
            options,
            compiler: compiler(),
        })
    }

    /// The name of its entry in the cache.
    pub(crate) fn entry(&self) -> String {
        let mut hash = Sha256::new();
        for part in [
            LAYOUT,
            &self.source.sha256,
            &self.compiler,
            &self.options.text(),
        ] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        format!("kernels/{}-{}", self.name, &hex(&hash.finalize())[..16])
    }

    /// Builds it from its package, into the cache.
    pub(crate) fn build(&self, cache: &Cache, deb: &Path) -> Result<PathBuf> {
        setup::need(&[
            Tool::Make,
            Tool::Gcc,
            Tool::Flex,
            Tool::Bison,
            Tool::Bc,
            Tool::LibelfHeaders,
        ])?;
        let source = unpacked(cache, &self.source, deb)?;
        let workshop = cache.workshop(&self.entry())?;
        if let Some(tree) = cache.get(&self.entry()) {
            return Ok(tree);
        }
        let [build, tree] = ["build", "tree"].map(|name| workshop.dir().join(name));
        fs::create_dir(&build)?;
        let log = cache.log(&self.entry())?;
        let make = Make::new(&source, &build, &log)?;

        let wanted = build.join("wanted.config");
        fs::write(&wanted, self.options.text())?;
        let wanted = format!("KCONFIG_ALLCONFIG={}", wanted.display());
        make.run(&["allnoconfig", &wanted], &mut |_| ())
            .with_context(|| format!("cannot configure {}", self.name))?;
        let config = fs::read_to_string(build.join(".config"))?;
        self.options
            .check(&config)
            .with_context(|| format!("{} cannot be configured as wanted", self.name))?;

        let what = format!(
            "{} of {} {}",
            self.name, self.source.name, self.source.version
        );
        ui::say(
            "build",
            format!("{what}, which takes minutes (log: {})", log.display()),
        );
        let phase = ui::phase("build", &what);
        let mut objects = 0;
        make.run(&["bzImage", "modules"], &mut |line| {
            if is_object(line) {
                objects += 1;
                phase.note(format!("{objects} objects"));
            }
        })
        .with_context(|| format!("the kernel {} does not build", self.name))?;
        install(&make, &tree)?;
        phase.done();
        workshop.finish(&tree)
    }
}

/// The package's source, unpacked in the cache; it stays there, for it is what takes
/// time with an unchanged pin and another configuration.
fn unpacked(cache: &Cache, package: &Package, deb: &Path) -> Result<PathBuf> {
    cache.entry(&format!("sources/{}", package.sha256), |to| {
        let phase = ui::phase("unpack", &package.name);
        let whole = tempfile::tempdir()?;
        deb::unpack(deb, whole.path())?;
        let tar = whole
            .path()
            .join(format!("usr/src/{}.tar.xz", package.name));
        unpack_source(&tar, to).with_context(|| format!("cannot unpack {}", package.name))?;
        phase.done();
        Ok(())
    })
}

/// Without the directory that all of it lies in.
fn unpack_source(tar: &Path, to: &Path) -> Result<()> {
    let file = BufReader::new(File::open(tar)?);
    let around = to.with_extension("around");
    fs::create_dir_all(&around)?;
    let unpacked = tar::Archive::new(XzDecoder::new_multi_decoder(file))
        .unpack(&around)
        .context("it is damaged")
        .and_then(|()| {
            let inside = only_entry(&around)?;
            Ok(fs::rename(inside, to)?)
        });
    fs::remove_dir_all(&around)?;
    unpacked
}

/// The path of the only thing in a directory.
pub(crate) fn only_entry(dir: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(dir)
        .and_then(|entries| entries.collect::<io::Result<Vec<_>>>())
        .with_context(|| format!("cannot read {}", dir.display()))?;
    match &entries[..] {
        [entry] => Ok(entry.path()),
        _ => bail!(
            "{} holds {} things and not one",
            dir.display(),
            entries.len()
        ),
    }
}

/// Empty if there is none: then nothing was built with it.
fn compiler() -> String {
    let version = |sh: Shell| cmd!(sh, "gcc --version").quiet().read().ok();
    Shell::new().ok().and_then(version).unwrap_or_default()
}

/// Options, and which fragment asked for each.
#[derive(Default)]
struct Options(BTreeMap<String, (String, String)>);

impl Options {
    fn add(&mut self, fragment: &str, text: &str) {
        for (name, value) in options(text) {
            self.0
                .insert(name.to_owned(), (value.to_owned(), fragment.to_owned()));
        }
    }

    /// As one fragment, without comments.
    fn text(&self) -> String {
        let line = |(name, (value, _)): (&String, &(String, String))| match value.as_str() {
            "n" => format!("# {name} is not set\n"),
            _ => format!("{name}={value}\n"),
        };
        self.0.iter().map(line).collect()
    }

    /// Whether a configuration has all of them. It has not if there is no such option
    /// in this kernel, or if what the option depends on is off.
    fn check(&self, config: &str) -> Result<()> {
        let got: BTreeMap<_, _> = options(config).collect();
        let mut wrong = Vec::new();
        for (name, (value, fragment)) in &self.0 {
            let is = got.get(name.as_str()).copied().unwrap_or("n");
            if is != value {
                wrong.push(format!("{name} is {is}, and {fragment} wants {value}"));
            }
        }
        ensure!(wrong.is_empty(), "{}", wrong.join("; "));
        Ok(())
    }
}

/// The options that a fragment or a configuration sets, in order.
fn options(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let unset = line
            .strip_prefix("# ")
            .and_then(|rest| rest.strip_suffix(" is not set"));
        let (name, value) = match unset {
            Some(name) => (name, "n"),
            None => line.split_once('=')?,
        };
        name.starts_with("CONFIG_").then_some((name, value))
    })
}

/// kbuild says `  CC      net/core/dev.o`.
fn is_object(line: &str) -> bool {
    line.strip_prefix("  ").is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_uppercase()) && rest.ends_with(".o")
    })
}

/// Runs kbuild on one source, and keeps all that it says.
struct Make<'a> {
    source: &'a Path,
    build: &'a Path,
    log: &'a Path,
}

impl<'a> Make<'a> {
    fn new(source: &'a Path, build: &'a Path, log: &'a Path) -> Result<Make<'a>> {
        File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
        Ok(Make { source, build, log })
    }

    fn run(&self, arguments: &[&str], each: &mut dyn FnMut(&str)) -> Result<()> {
        let jobs = available_parallelism().map_or(1, usize::from);
        let (said, its_end) = io::pipe()?;
        let mut make = Command::new("make");
        make.arg(format!("-j{jobs}"))
            .arg("-C")
            .arg(self.source)
            .arg(format!("O={}", self.build.display()))
            .args(arguments)
            // So that the same source gives the same kernel.
            .envs([
                ("LC_ALL", "C"),
                ("KBUILD_BUILD_TIMESTAMP", "1970-01-01"),
                ("KBUILD_BUILD_USER", "icmptap"),
                ("KBUILD_BUILD_HOST", "icmptap"),
            ])
            .env_remove("MAKEFLAGS")
            .env_remove("KBUILD_OUTPUT")
            .stdin(Stdio::null())
            .stdout(its_end.try_clone()?)
            .stderr(its_end);
        let mut child = make.spawn().context("cannot run make")?;
        // It holds the pipe's other end, which must close when make ends.
        drop(make);
        let mut log = File::options().append(true).open(self.log)?;
        let mut last = Vec::new();
        for line in BufReader::new(said).split(b'\n') {
            let line = line.context("cannot read what make says")?;
            log.write_all(&line).and_then(|()| log.write_all(b"\n"))?;
            let line = String::from_utf8_lossy(&line).into_owned();
            each(&line);
            if is_complaint(&line) && last.len() < 3 {
                last.push(line);
            }
        }
        let status = child.wait().context("cannot wait for make")?;
        ensure!(
            status.success(),
            "make {} ended with {status}: {} (all of it: {})",
            arguments[0],
            last.join("; "),
            self.log.display()
        );
        Ok(())
    }
}

fn is_complaint(line: &str) -> bool {
    ["error:", "Error", "***", "not found", "ERROR:"]
        .iter()
        .any(|word| line.contains(word))
}

/// What boots, the modules, and what building a module takes.
fn install(make: &Make<'_>, tree: &Path) -> Result<()> {
    let (source, build) = (make.source, make.build);
    let release = fs::read_to_string(build.join("include/config/kernel.release"))?;
    let release = release.trim();
    let to = tree.join("boot");
    fs::create_dir_all(&to)?;
    for (file, name) in [
        ("arch/x86/boot/bzImage", "vmlinuz"),
        ("System.map", "System.map"),
        (".config", "config"),
    ] {
        fs::copy(build.join(file), to.join(format!("{name}-{release}")))
            .with_context(|| format!("make made no {file}"))?;
    }
    let modules = format!("INSTALL_MOD_PATH={}", tree.display());
    // What depmod makes, the image makes for its part.
    make.run(&["modules_install", &modules, "DEPMOD=true"], &mut |_| ())
        .context("cannot install the modules")?;

    let kdir = tree.join(format!("usr/src/linux-headers-{release}"));
    fs::create_dir_all(&kdir)?;
    for (from, path) in [
        (source, "Makefile"),
        (source, "scripts"),
        (source, "include"),
        (build, ".config"),
        (build, "Module.symvers"),
        (build, "scripts"),
        (build, "include"),
        (build, "arch/x86/include/generated"),
        (build, "tools/objtool/objtool"),
    ] {
        copy(&from.join(path), &kdir.join(path))
            .with_context(|| format!("cannot keep {path} of the kernel"))?;
    }
    for entry in fs::read_dir(source.join("arch/x86"))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("Makefile") {
            copy(
                &entry.path(),
                &kdir.join("arch/x86").join(entry.file_name()),
            )?;
        }
    }
    copy(
        &source.join("arch/x86/include"),
        &kdir.join("arch/x86/include"),
    )?;

    for name in ["build", "source"] {
        let link = tree.join(format!("lib/modules/{release}/{name}"));
        // They lead to where it was built.
        let _ = fs::remove_file(&link);
        symlink(format!("../../../usr/src/linux-headers-{release}"), link)?;
    }
    Ok(())
}

/// A file, a link or a directory, without what only make reads.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let kind = fs::symlink_metadata(from)
        .with_context(|| format!("cannot find {}", from.display()))?
        .file_type();
    if kind.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            let text = name.to_string_lossy();
            if !text.ends_with(".o") && !text.ends_with(".cmd") {
                copy(&from.join(&name), &to.join(&name))?;
            }
        }
        return Ok(());
    }
    fs::create_dir_all(to.parent().unwrap_or(to))?;
    if kind.is_symlink() {
        symlink(fs::read_link(from)?, to)?;
    } else {
        fs::copy(from, to)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use liblzma::write::XzEncoder;

    use super::super::{Kernel, Kernels};
    use super::*;
    use xtask_archive::Archive;
    use xtask_archive::lock::Lock;
    use xtask_archive::test_deb::Deb;
    use xtask_archive::test_server::{Answer, Server};

    /// What kbuild is to us, in a few lines. It knows no option CONFIG_ABSENT.
    const MAKEFILE: &str = "\
made = mkdir -p $(@D) && echo $(notdir $@) > $@
allnoconfig:
\t@grep -v ABSENT $(KCONFIG_ALLCONFIG) > $(O)/.config
bzImage: $(addprefix $(O)/,arch/x86/boot/bzImage System.map Module.symvers scripts/mod \\
\tinclude/generated/a.h arch/x86/include/generated/b.h tools/objtool/objtool)
\t@echo '  CC      a.o'; touch $(O)/scripts/mod.o
\t@mkdir -p $(O)/include/config && echo 9.9.1 > $(O)/include/config/kernel.release
\t@if grep -q BROKEN $(O)/.config; then echo 'a.c:1: error: broken' >&2; exit 1; fi
modules: bzImage
modules_install:
\t@mkdir -p $(INSTALL_MOD_PATH)/lib/modules/9.9.1/kernel
\t@ln -s /nowhere $(INSTALL_MOD_PATH)/lib/modules/9.9.1/build
$(O)/%:
\t@$(made)
";

    const TOML: &str = "\
default = \"own\"
[kernel.own]
suite = \"testing\"
source = \"linux-source-*.*\"
config = [\"base.config\", \"more.config\"]
slowness = 3
";

    struct World {
        dir: tempfile::TempDir,
        server: Server,
    }

    impl World {
        fn new() -> World {
            let world = World {
                dir: tempfile::tempdir().unwrap(),
                server: Server::start(),
            };
            let vm = world.dir.path();
            fs::create_dir(vm.join("config")).unwrap();
            fs::write(vm.join("kernels.toml"), TOML).unwrap();
            world.configure("CONFIG_A=y\nCONFIG_B=m\n", "# CONFIG_A is not set\n");

            let deb = package();
            let mut lock = Lock::default();
            let source = Package {
                name: "linux-source-9.9".into(),
                version: "9.9.1-1".into(),
                architecture: "all".into(),
                path: "pool/source.deb".into(),
                size: deb.len() as u64,
                sha256: hex(&Sha256::digest(&deb)),
            };
            lock.pin("own", vec![source]);
            lock.write(&vm.join("kernels.lock")).unwrap();
            world.server.put("pool/source.deb", Answer::Body(deb));
            world
        }

        fn configure(&self, base: &str, more: &str) {
            let config = self.dir.path().join("config");
            fs::write(config.join("base.config"), base).unwrap();
            fs::write(config.join("more.config"), more).unwrap();
        }

        fn ensure(&self) -> Result<Kernel> {
            let archive = Archive::for_test(
                &self.dir.path().join("cache"),
                Path::new("/none"),
                &[&self.server.base],
            );
            Kernels::at(self.dir.path())?.ensure(&archive, "own", true)
        }

        /// What lies in the cache's directories, by name.
        fn cached(&self, dir: &str) -> Vec<String> {
            let mut names: Vec<_> = fs::read_dir(self.dir.path().join("cache").join(dir))
                .into_iter()
                .flatten()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| !name.ends_with(".lock"))
                .collect();
            names.sort();
            names
        }
    }

    fn package() -> Vec<u8> {
        let mut tar = tar::Builder::new(XzEncoder::new(Vec::new(), 1));
        for (path, text) in [
            ("Makefile", MAKEFILE),
            ("scripts/mod.c", ""),
            ("include/linux/c.h", ""),
            ("arch/x86/Makefile_64", ""),
            ("arch/x86/include/asm/d.h", ""),
            ("net/huge.c", ""),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_size(text.len() as u64);
            let path = format!("linux-source-9.9/{path}");
            tar.append_data(&mut header, path, text.as_bytes()).unwrap();
        }
        let tar = tar.into_inner().unwrap().finish().unwrap();
        Deb::new()
            .file("./usr/src/linux-source-9.9.tar.xz", 0o644, &tar)
            .bytes()
    }

    #[test]
    fn a_kernel_is_built_once_and_has_what_a_module_takes() {
        let world = World::new();
        let kernel = world.ensure().unwrap();
        assert_eq!((&*kernel.release, kernel.slowness), ("9.9.1", 3));
        assert_eq!(fs::read_to_string(&kernel.vmlinuz).unwrap(), "bzImage\n");
        let config = fs::read_to_string(kernel.kdir.join(".config")).unwrap();
        assert_eq!(config, "# CONFIG_A is not set\nCONFIG_B=m\n");
        for path in [
            "Makefile",
            "Module.symvers",
            "scripts/mod",
            "scripts/mod.c",
            "include/linux/c.h",
            "include/generated/a.h",
            "arch/x86/Makefile_64",
            "arch/x86/include/asm/d.h",
            "arch/x86/include/generated/b.h",
            "tools/objtool/objtool",
        ] {
            assert!(kernel.kdir.join(path).exists(), "{path}");
        }
        for path in ["scripts/mod.o", "net"] {
            assert!(!kernel.kdir.join(path).exists(), "{path}");
        }
        assert_eq!(
            fs::canonicalize(kernel.modules.join("build")).unwrap(),
            fs::canonicalize(&kernel.kdir).unwrap()
        );
        assert_eq!(world.cached("workshops"), [""; 0]);

        let requests = world.server.requests();
        assert_eq!(world.ensure().unwrap(), kernel);
        // Of comments nothing is made.
        world.configure("CONFIG_B=m\n", "# Why not A.\n# CONFIG_A is not set\n");
        assert_eq!(world.ensure().unwrap(), kernel);
        world.configure("CONFIG_B=y\n", "");
        assert_ne!(world.ensure().unwrap().kdir, kernel.kdir);
        assert_eq!(world.server.requests(), requests);
        assert_eq!(world.cached("kernels").len(), 2);
    }

    #[test]
    fn an_option_that_did_not_take_is_named() {
        let world = World::new();
        world.configure("CONFIG_B=m\n", "CONFIG_ABSENT=y\n");
        let error = format!("{:#}", world.ensure().unwrap_err());
        assert!(
            error.contains("CONFIG_ABSENT is n, and more.config wants y"),
            "{error}"
        );
        assert!(!error.contains("CONFIG_B"), "{error}");
    }

    #[test]
    fn a_failed_build_says_where_its_log_is_and_leaves_nothing() {
        let world = World::new();
        world.configure("CONFIG_BROKEN=y\n", "");
        let error = format!("{:#}", world.ensure().unwrap_err());
        let (_, log) = error.split_once("all of it: ").expect("a log");
        assert!(error.contains("the kernel own does not build"), "{error}");
        assert!(error.contains("a.c:1: error: broken"), "{error}");
        let log = fs::read_to_string(log.trim_end_matches(')')).unwrap();
        assert!(log.contains("  CC      a.o\n"), "{log}");
        assert_eq!(world.cached("workshops"), [""; 0]);
        assert_eq!(world.cached("kernels"), [""; 0]);
    }

    #[test]
    fn a_kernel_is_either_packaged_or_built() {
        let world = World::new();
        for line in [
            "",
            "image = \"x\"\nsource = \"x\"\nconfig = []",
            "source = \"x\"",
        ] {
            let text = format!("default = \"own\"\n[kernel.own]\nsuite = \"s\"\n{line}\n");
            fs::write(world.dir.path().join("kernels.toml"), text).unwrap();
            let error = format!("{:#}", world.ensure().unwrap_err());
            assert!(
                error.contains("either `image`, or `source` and `config`"),
                "{error}"
            );
        }
    }

    #[test]
    fn objects_are_counted_and_complaints_found() {
        for (line, object, complaint) in [
            ("  CC      net/core/dev.o", true, false),
            ("  CC [M]  drivers/net/veth.o", true, false),
            ("  HOSTCC  scripts/basic/fixdep", false, false),
            ("  CC      lib/error.o", true, false),
            ("make[1]: Entering directory '/x/a.o'", false, false),
            ("a.c:1:2: error: no", false, true),
            (
                "make[2]: *** [scripts/Makefile.build:250: a.o] Error 1",
                false,
                true,
            ),
            ("/bin/sh: 1: flex: not found", false, true),
        ] {
            assert_eq!(is_object(line), object, "{line}");
            assert_eq!(is_complaint(line), complaint, "{line}");
        }
    }
}
