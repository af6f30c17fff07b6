//! `build-module`: icmptap.ko and icmptap_imp2.ko for one of our kernels, or for the
//! user's own.
//!
//! The sources are copied to `target/module/…` and built there, so that kbuild
//! leaves nothing in the source tree and kernels do not get in each other's way.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Output};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use xshell::{Shell, cmd};
use xtask_archive::download::hex;
use xtask_host::files::{lay_down, read_tree};
use xtask_host::setup::{self, Tool};
use xtask_host::{ui, workspace};

use crate::install_module::Installed;
use crate::kernel::{self, Kernel};

/// Build icmptap.ko and icmptap_imp2.ko, and print their paths, one per line
#[derive(clap::Args)]
pub struct Args {
    /// Build for this kernel of vm/kernels.toml, instead of the default one
    #[arg(long, value_name = "NAME", conflicts_with = "kdir")]
    kernel: Option<String>,

    /// Build for this configured kernel tree, such as /lib/modules/$(uname -r)/build
    #[arg(long, value_name = "DIR")]
    kdir: Option<PathBuf>,

    /// Fail if there is any warning
    #[arg(long)]
    deny_warnings: bool,

    /// For the kernel that runs, and install them there, where `modprobe` finds them; with
    /// sudo, if need be
    #[arg(long, conflicts_with_all = ["kernel", "kdir"])]
    install: bool,

    /// Remove what --install installed for the kernel that runs; nothing is built
    #[arg(long, conflicts_with_all = ["kernel", "kdir", "deny_warnings", "install"])]
    uninstall: bool,
}

impl Args {
    /// Whether the modules are for one of our kernels.
    pub fn is_for_guests(&self) -> bool {
        self.kdir.is_none() && !self.install && !self.uninstall
    }
}

/// What it takes for every kernel.
pub(crate) const TOOLS: [Tool; 4] = [Tool::Make, Tool::Gcc, Tool::Libelf, Tool::Perl];

/// The modules, in the order in which they can be loaded. The first is always there.
const NAMES: [&str; 2] = ["icmptap", "icmptap_imp2"];

/// Runs the command. With `locked`, a pinned package is not replaced.
pub fn run(args: &Args, locked: bool) -> Result<ExitCode> {
    let running = Installed::running();
    if args.uninstall {
        running.uninstall()?;
        return Ok(ExitCode::SUCCESS);
    }
    let kdir = match args.install {
        true => Some(running.kdir()),
        false => args.kdir.clone(),
    };
    let modules = match &kdir {
        Some(kdir) => {
            let kdir = valid_kdir(kdir)?;
            let out = format!(
                "kdir-{}",
                &hex(&Sha256::digest(kdir.as_os_str().as_encoded_bytes()))[..8]
            );
            build(
                &source(),
                &kdir,
                &workspace::target().join("module").join(out),
                args.deny_warnings,
            )?
        }
        None => {
            let name = args.kernel.as_deref();
            setup::need(&[&TOOLS, kernel::tools(name)?].concat())?;
            for_kernel(&kernel::ensure(name, locked)?, args.deny_warnings)?
        }
    };
    if args.install {
        running.install(&modules)?;
    }
    for module in modules {
        println!("{}", module.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Our modules for one of our kernels, in the order in which they can be loaded.
pub fn for_kernel(kernel: &Kernel, deny_warnings: bool) -> Result<Vec<PathBuf>> {
    let out = workspace::target().join("module").join(&kernel.name);
    build(&source(), &valid_kdir(&kernel.kdir)?, &out, deny_warnings)
}

/// Other modules of those names, or one, whose sources are in this directory; `name` is
/// for where they are built.
pub fn other_for_kernel(source: &Path, kernel: &Kernel, name: &str) -> Result<Vec<PathBuf>> {
    let out = format!("{}-{name}", kernel.name);
    let out = workspace::target().join("module").join(out);
    build(source, &valid_kdir(&kernel.kdir)?, &out, false)
}

/// The modules' sources, by their path in `kernel/`.
pub fn sources() -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    read_tree(&source())
}

/// Runs kbuild on these sources, in `out`, even if it was done before: for one whose
/// `variables` make it do more than build. What it wrote to its standard output.
pub fn kbuild_with(
    sources: &BTreeMap<PathBuf, Vec<u8>>,
    kernel: &Kernel,
    out: &Path,
    variables: &[String],
    phase: ui::Phase,
) -> Result<String> {
    let kdir = valid_kdir(&kernel.kdir)?;
    setup::need(&needed_tools(&kdir))?;
    let _lock = lock(out)?;
    lay_down(sources, out)?;
    let variables = [&self::variables(&kdir), variables].concat();
    let output = kbuild(&kdir, out, &variables, phase)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A module without what only a debugger reads, which is most of it: an emulated
/// CPU has to copy every byte, twice. Beside the module; made when that is newer.
pub(crate) fn stripped(module: &Path) -> Result<PathBuf> {
    let dir = module.parent().context("a module lies in a directory")?;
    // Guests that begin at once ask for the same one.
    let _lock = lock(dir)?;
    let small = module.with_extension("ko.stripped");
    let time = |path: &Path| fs::metadata(path).and_then(|data| data.modified());
    let made = time(module).with_context(|| format!("look at {}", module.display()))?;
    if !time(&small).is_ok_and(|time| time >= made) {
        let sh = Shell::new()?;
        let part = module.with_extension("ko.part");
        cmd!(sh, "strip --strip-debug -o {part} {module}")
            .quiet()
            .run()
            .context("cannot strip the module")?;
        fs::rename(&part, &small)?;
    }
    Ok(small)
}

fn source() -> PathBuf {
    workspace::root().join("kernel")
}

/// Builds the modules that lie in `source`, in `out`, unless they are built already.
fn build(source: &Path, kdir: &Path, out: &Path, deny_warnings: bool) -> Result<Vec<PathBuf>> {
    setup::need(&needed_tools(kdir))?;
    let _lock = lock(out)?;
    let sources = read_tree(source)?;
    let variables = variables(kdir);
    let key = key(&sources, kdir, &variables)?;
    let [stamp, warnings] = ["stamp", "warnings"].map(|name| out.join(format!(".xtask-{name}")));
    let modules = named(&sources).map(|name| out.join(format!("{name}.ko")));
    let modules: Vec<_> = modules.collect();
    let is_built = modules.iter().all(|module| module.exists())
        && fs::read_to_string(&stamp).is_ok_and(|built| built == key);
    if !is_built {
        // Until make is through, nothing is built.
        fs::write(&stamp, "")?;
        lay_down(&sources, out)?;
        fs::write(&warnings, make(kdir, out, &variables)?)?;
        for module in &modules {
            ensure!(
                module.exists(),
                "make made no {} from {}",
                module.file_name().unwrap_or_default().display(),
                source.display()
            );
        }
        fs::write(&stamp, key)?;
    }
    let warned = fs::read_to_string(&warnings)?;
    if !warned.is_empty() {
        eprint!("{warned}");
        ensure!(
            !deny_warnings,
            "the module builds with warnings, and --deny-warnings forbids them"
        );
    }
    Ok(modules)
}

/// Which modules these sources make: the first, and those that Kbuild names.
fn named(sources: &BTreeMap<PathBuf, Vec<u8>>) -> impl Iterator<Item = &'static str> {
    let kbuild = sources.get(Path::new("Kbuild"));
    let kbuild = kbuild.map(|text| String::from_utf8_lossy(text).into_owned());
    let kbuild = kbuild.unwrap_or_default();
    NAMES
        .into_iter()
        .enumerate()
        .filter_map(move |(nth, name)| {
            let object = format!("{name}.o");
            let is_named = kbuild.split_whitespace().any(|word| word == object);
            (nth == 0 || is_named).then_some(name)
        })
}

/// The directory to build in, made if need be, and ours until this is dropped.
fn lock(out: &Path) -> Result<File> {
    ensure_usable(out)?;
    fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    let lock = File::create(out.join(".lock"))?;
    lock.lock()
        .with_context(|| format!("cannot lock {}", out.display()))?;
    Ok(lock)
}

/// Runs kbuild; what it says that is a warning.
fn make(kdir: &Path, out: &Path, variables: &[String]) -> Result<String> {
    let phase = ui::phase("build", format!("the modules against {}", kdir.display()));
    let output = kbuild(kdir, out, variables, phase)?;
    Ok(warnings(&String::from_utf8_lossy(&output.stderr)))
}

fn kbuild(kdir: &Path, out: &Path, variables: &[String], phase: ui::Phase) -> Result<Output> {
    let jobs = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .to_string();
    let sh = Shell::new()?;
    let output = cmd!(
        sh,
        "make -j{jobs} -C {kdir} M={out} W=1 {variables...} modules"
    )
    .env("LC_ALL", "C")
    .quiet()
    .ignore_status()
    .output()
    .context("cannot run make")?;
    if !output.status.success() {
        drop(phase);
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        bail!(
            "the module does not build against {}: see above",
            kdir.display()
        );
    }
    phase.done();
    Ok(output)
}

/// All that make said, if there is a warning in it that is about our sources.
fn warnings(said: &str) -> String {
    // Another compiler than the kernel's is what `CC=gcc` asked for; so pahole's
    // version need not be that of when the kernel was built, if it was there at all. A
    // tree that was only prepared has no symbol versions, and `valid_kdir` has said so.
    const EXPECTED: &[&str] = &[
        "the compiler differs from the one used to build the kernel",
        "pahole version differs from the one used to build the kernel",
        "Module.symvers is missing",
    ];
    let is_warning = |line: &str| line.contains("warning:") || line.contains("WARNING:");
    let mut lines = said
        .lines()
        .filter(|line| !EXPECTED.iter().any(|expected| line.contains(expected)));
    if lines.any(is_warning) {
        said.to_owned()
    } else {
        String::new()
    }
}

/// The tree, if a module can be built against it; what to do, if not.
fn valid_kdir(kdir: &Path) -> Result<PathBuf> {
    let shown = kdir.display();
    let has = |path: &str| kdir.join(path).exists();
    ensure!(
        kdir.exists(),
        "{shown} does not exist: install that kernel's headers, or give another --kdir"
    );
    ensure!(
        has("Makefile") && has("include"),
        "{shown} is not a kernel tree: give the directory of a kernel's headers, or of its sources, that holds its Makefile"
    );
    let is_prepared = has("include/generated/autoconf.h") && has("include/config/auto.conf");
    ensure!(
        has(".config") || is_prepared,
        "{shown} was never configured: run `make -C {shown} defconfig` (or copy a .config there), then `make -C {shown} modules_prepare`"
    );
    ensure!(
        is_prepared,
        "{shown} is configured but not prepared: run `make -C {shown} modules_prepare`"
    );
    if !has("Module.symvers") {
        ui::warn(format_args!(
            "{shown} has no Module.symvers: the module may not load until that kernel is built there"
        ));
    }
    let kdir = fs::canonicalize(kdir).with_context(|| format!("cannot find {shown}"))?;
    ensure_usable(&kdir)?;
    Ok(kdir)
}

/// make takes a path apart at spaces and colons.
fn ensure_usable(path: &Path) -> Result<()> {
    let text = path.to_str().with_context(|| {
        format!(
            "make cannot work in {}: its name is not text",
            path.display()
        )
    })?;
    ensure!(
        !text.contains(char::is_whitespace) && !text.contains(':'),
        "make cannot work in {text:?}: move it to a path without spaces and colons"
    );
    Ok(())
}

fn needed_tools(kdir: &Path) -> Vec<Tool> {
    let config = fs::read_to_string(kdir.join(".config")).unwrap_or_default();
    let mut tools = TOOLS.to_vec();
    if kdir.join("scripts/Makefile.btf").exists() && config.contains("\nCONFIG_DEBUG_INFO_BTF=y") {
        tools.push(Tool::Pahole);
    }
    tools
}

/// What make must be told beyond the tree's own settings.
fn variables(kdir: &Path) -> Vec<String> {
    let read = |name| fs::read_to_string(kdir.join(name)).unwrap_or_default();
    if read(".config").contains("\nCONFIG_CC_IS_CLANG=y") {
        return vec!["LLVM=1".to_owned()];
    }
    match debian_compiler(&read(".kernelvariables")) {
        Some(compiler) if setup::find_program(compiler).is_none() => vec!["CC=gcc".to_owned()],
        _ => Vec::new(),
    }
}

/// Debian's headers name the kernel's own compiler: `CC = $(CROSS_COMPILE)gcc-12`.
fn debian_compiler(kernelvariables: &str) -> Option<&str> {
    let start = kernelvariables.find("gcc-")?;
    kernelvariables[start..]
        .split(|c: char| c.is_whitespace() || c == ')')
        .next()
}

/// Changes whenever the module must be built again.
fn key(sources: &BTreeMap<PathBuf, Vec<u8>>, kdir: &Path, variables: &[String]) -> Result<String> {
    let sh = Shell::new()?;
    let compiler = if variables.iter().any(|variable| variable == "LLVM=1") {
        "clang"
    } else {
        "gcc"
    };
    let version = cmd!(sh, "{compiler} --version").quiet().read()?;
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    add(version.as_bytes());
    add(variables.join(" ").as_bytes());
    add(kdir.as_os_str().as_encoded_bytes());
    for name in [
        "include/generated/autoconf.h",
        "include/config/kernel.release",
        "Module.symvers",
    ] {
        add(&fs::read(kdir.join(name)).unwrap_or_default());
    }
    for (path, text) in sources {
        add(path.as_os_str().as_encoded_bytes());
        add(text);
    }
    Ok(hex(&hash.finalize()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A directory with these files; a name that ends in `/` is a directory.
    fn tree(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            if name.ends_with('/') {
                fs::create_dir_all(path).unwrap();
            } else {
                fs::write(path, "").unwrap();
            }
        }
        dir
    }

    const PREPARED: [&str; 5] = [
        "Makefile",
        ".config",
        "include/generated/autoconf.h",
        "include/config/auto.conf",
        "Module.symvers",
    ];

    #[test]
    fn a_tree_that_cannot_be_used_says_what_to_do() {
        for (files, words) in [
            (&[][..], "is not a kernel tree"),
            (&["Makefile"], "is not a kernel tree"),
            (&["include/"], "is not a kernel tree"),
            (
                &["Makefile", "include/"],
                "was never configured: run `make -C",
            ),
            (
                &["Makefile", "include/", ".config"],
                "configured but not prepared: run `make -C",
            ),
            (&PREPARED[..3], "modules_prepare"),
        ] {
            let dir = tree(files);
            let error = valid_kdir(dir.path()).unwrap_err().to_string();
            assert!(
                error.contains(words) && error.contains(dir.path().to_str().unwrap()),
                "{files:?}: {error}"
            );
        }
        let error = valid_kdir(Path::new("/nowhere")).unwrap_err().to_string();
        assert!(
            error.starts_with("/nowhere does not exist: install"),
            "{error}"
        );
        let dir = tree(&["has space/Makefile", "has space/include/config/auto.conf"]);
        fs::create_dir_all(dir.path().join("has space/include/generated")).unwrap();
        fs::write(
            dir.path().join("has space/include/generated/autoconf.h"),
            "",
        )
        .unwrap();
        let error = valid_kdir(&dir.path().join("has space"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("without spaces and colons"), "{error}");
    }

    #[test]
    fn a_prepared_tree_will_do_even_through_a_link_and_without_symvers() {
        let dir = tree(&PREPARED);
        let link = dir.path().join("build");
        symlink(dir.path(), &link).unwrap();
        assert_eq!(
            valid_kdir(&link).unwrap(),
            fs::canonicalize(dir.path()).unwrap()
        );
        valid_kdir(tree(&PREPARED[..4]).path()).unwrap();
    }

    #[test]
    fn a_warning_is_seen_unless_it_is_about_the_tree() {
        for (said, expected) in [
            ("", false),
            ("  CC [M]  a.o\n", false),
            (
                "warning: the compiler differs from the one used to build the kernel\n  The kernel was built by: x\n",
                false,
            ),
            (
                "warning: pahole version differs from the one used to build the kernel\n  The kernel was built with: 0\n",
                false,
            ),
            ("WARNING: Module.symvers is missing.\n", false),
            ("a.c:1: warning: unused variable\n", true),
            ("WARNING: modpost: missing MODULE_DESCRIPTION()\n", true),
        ] {
            assert_eq!(!warnings(said).is_empty(), expected, "{said}");
        }
    }

    #[test]
    fn several_may_strip_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let module = dir.path().join("icmptap.ko");
        // Some program, for strip.
        fs::copy(std::env::current_exe().unwrap(), &module).unwrap();
        let strip = || stripped(&module).unwrap();
        let small = std::thread::scope(|scope| {
            let others: Vec<_> = (0..4).map(|_| scope.spawn(strip)).collect();
            let mut small = others.into_iter().map(|other| other.join().unwrap());
            small.next_back().unwrap()
        });
        let length = |path: &Path| fs::metadata(path).unwrap().len();
        assert!(length(&small) < length(&module));
    }

    #[test]
    fn the_kernels_own_compiler_is_read_from_debians_headers() {
        let text =
            "override ARCH = x86\nCCPREFIX = \nCC = $(if $(X),ccache) $(CROSS_COMPILE)gcc-12\n";
        assert_eq!(debian_compiler(text), Some("gcc-12"));
        assert_eq!(debian_compiler("CC := $(CROSS_COMPILE)clang\n"), None);
    }

    /// A kernel tree whose make only counts how often it ran. It makes two modules.
    fn counting_kernel(says: &str) -> tempfile::TempDir {
        let dir = tree(&PREPARED);
        let makefile = format!(
            "modules:\n\t@echo ran >> $(M)/count; echo '{says}' >&2; \
             touch $(M)/icmptap.ko $(M)/icmptap_imp2.ko\n"
        );
        fs::write(dir.path().join("Makefile"), makefile).unwrap();
        dir
    }

    #[test]
    fn an_unchanged_module_is_not_built_again() {
        let (kdir, source, out) = (counting_kernel(""), tree(&["Kbuild"]), tree(&[]));
        let build = || build(source.path(), kdir.path(), out.path(), true).unwrap();
        let runs = || {
            fs::read_to_string(out.path().join("count"))
                .unwrap()
                .lines()
                .count()
        };
        assert_eq!(build(), [out.path().join("icmptap.ko")]);
        build();
        assert_eq!(runs(), 1);
        fs::write(source.path().join("Kbuild"), "changed").unwrap();
        build();
        assert_eq!(runs(), 2);
        fs::write(kdir.path().join("include/generated/autoconf.h"), "changed").unwrap();
        build();
        assert_eq!(runs(), 3);
        fs::remove_file(out.path().join("icmptap.ko")).unwrap();
        build();
        assert_eq!(runs(), 4);
    }

    #[test]
    fn the_second_module_is_there_where_kbuild_names_it() {
        let (kdir, source, out) = (counting_kernel(""), tree(&["Kbuild"]), tree(&[]));
        let build = || build(source.path(), kdir.path(), out.path(), true);
        let kbuild = |text: &str| fs::write(source.path().join("Kbuild"), text).unwrap();
        let both = ["icmptap.ko", "icmptap_imp2.ko"].map(|name| out.path().join(name));
        kbuild("obj-m := icmptap.o\nicmptap-y := main.o imp2.o\n");
        assert_eq!(build().unwrap(), both[..1]);
        kbuild("obj-m := icmptap.o icmptap_imp2.o\n");
        assert_eq!(build().unwrap(), both);
        // And when one of them is gone, both are made.
        fs::remove_file(&both[1]).unwrap();
        assert_eq!(build().unwrap(), both);
        assert!(both[1].exists());

        let only_one = "modules:\n\t@touch $(M)/icmptap.ko\n";
        fs::write(kdir.path().join("Makefile"), only_one).unwrap();
        fs::remove_file(&both[1]).unwrap();
        let error = build().unwrap_err().to_string();
        assert!(error.contains("made no icmptap_imp2.ko"), "{error}");
    }

    #[test]
    fn a_warning_is_denied_even_when_nothing_is_built_again() {
        let (kdir, source, out) = (
            counting_kernel("a.c:1: warning: bad"),
            tree(&["Kbuild"]),
            tree(&[]),
        );
        let build = |deny| build(source.path(), kdir.path(), out.path(), deny);
        build(false).unwrap();
        for _ in 0..2 {
            let error = build(true).unwrap_err().to_string();
            assert!(error.contains("builds with warnings"), "{error}");
        }
    }

    #[test]
    fn a_failed_build_is_tried_again() {
        let (kdir, source, out) = (
            counting_kernel(""),
            tree(&["Kbuild"]),
            tree(&["icmptap.ko"]),
        );
        let good = fs::read(kdir.path().join("Makefile")).unwrap();
        fs::write(kdir.path().join("Makefile"), "modules:\n\t@false\n").unwrap();
        let build = || build(source.path(), kdir.path(), out.path(), false);
        assert!(
            build()
                .unwrap_err()
                .to_string()
                .contains("does not build against")
        );
        assert!(build().is_err());
        fs::write(kdir.path().join("Makefile"), good).unwrap();
        build().unwrap();
    }

    #[test]
    fn what_a_failed_build_left_is_not_taken_for_the_module() {
        let (kdir, source, out) = (counting_kernel(""), tree(&["Kbuild"]), tree(&[]));
        let build = || build(source.path(), kdir.path(), out.path(), false);
        build().unwrap();
        let good = fs::read(kdir.path().join("Makefile")).unwrap();
        let broken = "modules:\n\t@echo half > $(M)/icmptap.ko; false\n";
        fs::write(kdir.path().join("Makefile"), broken).unwrap();
        fs::write(source.path().join("Kbuild"), "changed").unwrap();
        assert!(build().is_err());
        fs::write(source.path().join("Kbuild"), "").unwrap();
        fs::write(kdir.path().join("Makefile"), good).unwrap();
        build().unwrap();
        let runs = fs::read_to_string(out.path().join("count")).unwrap();
        assert_eq!(
            runs.lines().count(),
            2,
            "the first build's stamp outlived the second"
        );
    }
}
