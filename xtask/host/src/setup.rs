//! `setup`, and what stands behind it: the programs that commands need.
//!
//! Each command calls [`need`] for what *it* needs, so that nobody must know of
//! `setup` beforehand. Where we may (apt, as root or through a sudo that does not
//! ask), we install what is missing and say so; elsewhere we say what to run.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Output};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use crate::ui;

/// Debian's keys, as its package `debian-archive-keyring` installs them.
pub const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Install everything that the other commands need
#[derive(clap::Args)]
pub struct Args {}

/// Runs the command.
pub fn run(_args: &Args) -> Result<ExitCode> {
    need(Tool::ALL)?;
    ui::say("setup", "everything is here");
    Ok(ExitCode::SUCCESS)
}

/// For how long another may install before we do.
const APT_PATIENCE: Duration = Duration::from_secs(300);

/// Something that a command cannot do without.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "most are what they are called")]
pub enum Tool {
    Make,
    Gcc,
    /// What the guest's programs are linked with.
    StaticLibc,
    /// What the kernel's build tools are linked with.
    Libelf,
    /// What a kernel's own build takes, and the next three.
    Flex,
    Bison,
    Bc,
    LibelfHeaders,
    /// Only kernels since 6.10 ask for it when they build a module.
    Pahole,
    /// What names a mirror of Debian's where apt's sources do not.
    Debootstrap,
    Gpgv,
    DebianKeyring,
    Qemu,
    Libclang,
    Tshark,
    Tcpdump,
    /// What compiles filters: the library's tests do.
    Libpcap,
    /// For the kernel's netlink tools, which are Python; so is the next.
    PyYaml,
    JsonSchema,
    /// What installs the linter of the workflows.
    Pip,
    /// What the module's source is checked with.
    Sparse,
    Coccinelle,
    /// What coccinelle loads, by its name without a version: its rules report in
    /// Python.
    LibPython,
    /// With its modules, for checkpatch, and for kernel-doc, which a kernel's build runs.
    Perl,
    /// What makes modules that have to fail.
    Patch,
    /// For programs that the bench measures, and the next.
    LibnetfilterLog,
    LibnetfilterQueue,
    /// What lists a kernel's modules for modprobe.
    Depmod,
    /// What builds Debian's packages, and the next two; only Debian has them.
    Debhelper,
    DhDkms,
    Lintian,
    /// What makes the roots in which packages are tried.
    Mmdebstrap,
    /// UEFI with Secure Boot for a guest, and the next two sign what it boots.
    Ovmf,
    Sbsign,
    Openssl,
}

/// Makes sure that these are here, or says how to get them.
pub fn need(tools: &[Tool]) -> Result<()> {
    let missing = missing(tools);
    if missing.is_empty() {
        return Ok(());
    }
    match plan(&missing, &Machine::this()) {
        Plan::Apt { sudo, packages } => install(sudo, &packages)?,
        Plan::Tell(how) => bail!(how),
    }
    match &self::missing(tools)[..] {
        [] => Ok(()),
        still => bail!(
            "{} installed, but {} not found",
            packages(still, Family::Debian).join(" "),
            names(still)
        ),
    }
}

/// Makes sure that the Rust toolchain has these components (`rustfmt`), or says
/// how to get them: a minimal installation has not.
pub fn need_components(components: &[&str]) -> Result<()> {
    let sh = Shell::new()?;
    for component in components {
        let program = format!("cargo-{}", component.trim_start_matches("rust"));
        if cmd!(sh, "{program} --version")
            .quiet()
            .ignore_stderr()
            .read()
            .is_ok()
        {
            continue;
        }
        ui::say("install", format!("{component} (rustup)"));
        cmd!(sh, "rustup component add {component}")
            .quiet()
            .run()
            .with_context(|| format!("{component} not found: add it to the Rust toolchain"))?;
    }
    Ok(())
}

/// The program's place, if it is in PATH.
pub fn find_program(name: &str) -> Option<PathBuf> {
    find_in(&std::env::var_os("PATH")?, name)
}

/// A Python that has what the kernel's netlink tools import: the one in PATH, or
/// the system's, for which the packages are.
pub fn python() -> Option<&'static str> {
    python_that(&["-c", "import yaml, jsonschema"])
}

/// A Python that has pip, looked for in the same way.
pub fn python_with_pip() -> Option<&'static str> {
    python_that(&["-m", "pip", "--version"])
}

/// One that exits with 0 after these arguments.
fn python_that(arguments: &[&str]) -> Option<&'static str> {
    let sh = Shell::new().ok()?;
    ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        let run = sh.cmd(python).args(arguments).quiet();
        run.ignore_stdout().ignore_stderr().run().is_ok()
    })
}

impl Tool {
    /// All that there are, but for those that only Debian has: `package` asks for them.
    pub const ALL: &[Tool] = &[
        Tool::Make,
        Tool::Gcc,
        Tool::StaticLibc,
        Tool::Libelf,
        Tool::Flex,
        Tool::Bison,
        Tool::Bc,
        Tool::LibelfHeaders,
        Tool::Pahole,
        Tool::Debootstrap,
        Tool::Gpgv,
        Tool::DebianKeyring,
        Tool::Qemu,
        Tool::Libclang,
        Tool::Tshark,
        Tool::Tcpdump,
        Tool::Libpcap,
        Tool::PyYaml,
        Tool::JsonSchema,
        Tool::Pip,
        Tool::Sparse,
        Tool::Coccinelle,
        Tool::LibPython,
        Tool::Perl,
        Tool::Patch,
        Tool::LibnetfilterLog,
        Tool::LibnetfilterQueue,
        Tool::Depmod,
    ];

    fn is_here(self) -> bool {
        match self {
            Tool::StaticLibc => is_library("libc.a"),
            Tool::Libelf => is_library("libelf.so.1"),
            Tool::LibelfHeaders => has_header("libelf.h"),
            Tool::LibnetfilterLog => has_header("libnetfilter_log/libnetfilter_log.h"),
            Tool::LibnetfilterQueue => has_header("libnetfilter_queue/libnetfilter_queue.h"),
            // Debian's name, and everybody else's.
            Tool::Libpcap => is_library("libpcap.so.0.8") || is_library("libpcap.so.1"),
            Tool::Debootstrap | Tool::Depmod => is_roots_program(self.name()),
            Tool::DebianKeyring => Path::new(KEYRING).exists(),
            Tool::Ovmf => Path::new("/usr/share/OVMF/OVMF_CODE_4M.secboot.fd").exists(),
            Tool::Libclang => has_libclang(),
            // Both have to be there for the same Python.
            Tool::PyYaml | Tool::JsonSchema => python().is_some(),
            Tool::Pip => python_with_pip().is_some(),
            Tool::LibPython => LIBRARY_DIRECTORIES.iter().any(has_libpython),
            Tool::Perl => has_perl_modules(),
            program => find_program(program.name()).is_some(),
        }
    }

    /// What people call it; a program's file name.
    fn name(self) -> &'static str {
        match self {
            Tool::Make => "make",
            Tool::Gcc => "gcc",
            Tool::StaticLibc => "libc.a",
            Tool::Libelf => "libelf",
            Tool::Flex => "flex",
            Tool::Bison => "bison",
            Tool::Bc => "bc",
            Tool::LibelfHeaders => "libelf's headers",
            Tool::Pahole => "pahole",
            Tool::Debootstrap => "debootstrap",
            Tool::Gpgv => "gpgv",
            Tool::DebianKeyring => "the Debian archive keyring",
            Tool::Qemu => "qemu-system-x86_64",
            Tool::Libclang => "libclang",
            Tool::Tshark => "tshark",
            Tool::Tcpdump => "tcpdump",
            Tool::Libpcap => "libpcap",
            Tool::PyYaml => "Python's yaml",
            Tool::JsonSchema => "Python's jsonschema",
            Tool::Pip => "Python's pip",
            Tool::Sparse => "sparse",
            Tool::Coccinelle => "spatch",
            Tool::LibPython => "libpython3",
            Tool::Perl => "perl with its modules",
            Tool::Patch => "patch",
            Tool::LibnetfilterLog => "libnetfilter_log's headers",
            Tool::LibnetfilterQueue => "libnetfilter_queue's headers",
            Tool::Depmod => "depmod",
            Tool::Debhelper => "dh",
            Tool::DhDkms => "dh_dkms",
            Tool::Lintian => "lintian",
            Tool::Mmdebstrap => "mmdebstrap",
            Tool::Ovmf => "OVMF",
            Tool::Sbsign => "sbsign",
            Tool::Openssl => "openssl",
        }
    }

    /// Whether Arch has it only among what its users maintain, where pacman does not look.
    fn is_only_in_aur(self) -> bool {
        self == Tool::Coccinelle
    }

    /// The package that has it.
    fn package(self, family: Family) -> &'static str {
        let (debian, fedora, arch) = match self {
            Tool::Make => ("make", "make", "make"),
            Tool::Gcc => ("gcc", "gcc", "gcc"),
            Tool::StaticLibc => ("libc6-dev", "glibc-static", "glibc"),
            Tool::Libelf => ("libelf1", "elfutils-libelf", "libelf"),
            Tool::Flex => ("flex", "flex", "flex"),
            Tool::Bison => ("bison", "bison", "bison"),
            Tool::Bc => ("bc", "bc", "bc"),
            Tool::LibelfHeaders => ("libelf-dev", "elfutils-libelf-devel", "libelf"),
            Tool::Pahole => ("pahole", "dwarves", "pahole"),
            Tool::Debootstrap => ("debootstrap", "debootstrap", "debootstrap"),
            Tool::Gpgv => ("gpgv", "gnupg2", "gnupg"),
            Tool::DebianKeyring => (
                "debian-archive-keyring",
                "debian-keyring",
                "debian-archive-keyring",
            ),
            Tool::Qemu => ("qemu-system-x86", "qemu-system-x86-core", "qemu-system-x86"),
            Tool::Libclang => ("libclang1", "clang-libs", "clang"),
            Tool::Tshark => ("tshark", "wireshark-cli", "wireshark-cli"),
            Tool::Tcpdump => ("tcpdump", "tcpdump", "tcpdump"),
            Tool::Libpcap => ("libpcap0.8", "libpcap", "libpcap"),
            Tool::PyYaml => ("python3-yaml", "python3-pyyaml", "python-yaml"),
            Tool::JsonSchema => (
                "python3-jsonschema",
                "python3-jsonschema",
                "python-jsonschema",
            ),
            Tool::Pip => ("python3-pip", "python3-pip", "python-pip"),
            Tool::Sparse => ("sparse", "sparse", "sparse"),
            Tool::Coccinelle => ("coccinelle", "coccinelle", "coccinelle"),
            Tool::LibPython => ("libpython3-dev", "python3-devel", "python"),
            Tool::Perl => ("perl", "perl", "perl"),
            Tool::Patch => ("patch", "patch", "patch"),
            Tool::LibnetfilterLog => (
                "libnetfilter-log-dev",
                "libnetfilter_log-devel",
                "libnetfilter_log",
            ),
            Tool::LibnetfilterQueue => (
                "libnetfilter-queue-dev",
                "libnetfilter_queue-devel",
                "libnetfilter_queue",
            ),
            Tool::Depmod => ("kmod", "kmod", "kmod"),
            Tool::Debhelper => ("debhelper", "debhelper", "debhelper"),
            Tool::DhDkms => ("dh-dkms", "dkms", "dkms"),
            Tool::Lintian => ("lintian", "lintian", "lintian"),
            Tool::Mmdebstrap => ("mmdebstrap", "mmdebstrap", "mmdebstrap"),
            Tool::Ovmf => ("ovmf", "edk2-ovmf", "edk2-ovmf"),
            Tool::Sbsign => ("sbsigntool", "sbsigntools", "sbsigntools"),
            Tool::Openssl => ("openssl", "openssl", "openssl"),
        };
        match family {
            Family::Debian => debian,
            Family::Fedora => fedora,
            Family::Arch => arch,
        }
    }
}

/// Distributions that name and install packages alike.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Family {
    Debian,
    Fedora,
    Arch,
}

impl Family {
    /// From the text of `/etc/os-release`.
    fn of(os_release: &str) -> Option<Family> {
        let value = |name: &str| {
            let line = os_release
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.unwrap_or_default().trim_matches('"')
        };
        // Its own name first, then those it is like.
        [value("ID"), value("ID_LIKE")]
            .into_iter()
            .flat_map(str::split_whitespace)
            .find_map(|id| match id {
                "debian" | "ubuntu" => Some(Family::Debian),
                "fedora" | "rhel" | "centos" => Some(Family::Fedora),
                "arch" => Some(Family::Arch),
                _ => None,
            })
    }

    /// Of a system that no name tells us anything about.
    fn by_manager(has: impl Fn(&str) -> bool) -> Option<Family> {
        [Family::Debian, Family::Fedora, Family::Arch]
            .into_iter()
            .find(|family| family.command().split(' ').next().is_some_and(&has))
    }

    fn command(self) -> &'static str {
        match self {
            Family::Debian => "apt-get install",
            Family::Fedora => "dnf install",
            Family::Arch => "pacman -S",
        }
    }
}

/// What decides whether we may install.
#[derive(Debug, Clone, Copy)]
struct Machine {
    family: Option<Family>,
    apt: bool,
    rights: Rights,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Rights {
    Root,
    /// There is a sudo that does not ask for a password.
    Sudo,
    /// There is a sudo that asks.
    SudoThatAsks,
    None,
}

impl Machine {
    fn this() -> Machine {
        let os_release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let has = |program: &str| find_program(program).is_some();
        Machine {
            family: Family::of(&os_release).or_else(|| Family::by_manager(has)),
            apt: has("apt-get"),
            rights: Rights::here(has("sudo")),
        }
    }
}

impl Rights {
    fn here(has_sudo: bool) -> Rights {
        let Ok(sh) = Shell::new() else {
            return Rights::None;
        };
        if cmd!(sh, "id -u").quiet().read().is_ok_and(|id| id == "0") {
            return Rights::Root;
        }
        if !has_sudo {
            return Rights::None;
        }
        let sudo = cmd!(sh, "sudo -n true").quiet();
        match sudo.ignore_stdout().ignore_stderr().run() {
            Ok(()) => Rights::Sudo,
            Err(_) => Rights::SudoThatAsks,
        }
    }
}

/// What to do about what is missing.
#[derive(Debug, PartialEq)]
enum Plan {
    Apt {
        sudo: bool,
        packages: Vec<&'static str>,
    },
    Tell(String),
}

fn plan(missing: &[Tool], machine: &Machine) -> Plan {
    let lacking = names(missing);
    let Some(family) = machine.family else {
        return Plan::Tell(format!(
            "{lacking} not found: install it with this system's package manager"
        ));
    };
    if family == Family::Debian
        && machine.apt
        && matches!(machine.rights, Rights::Root | Rights::Sudo)
    {
        return Plan::Apt {
            sudo: machine.rights != Rights::Root,
            packages: packages(missing, family),
        };
    }
    let (run, sudo) = match machine.rights {
        Rights::Root => ("run", ""),
        Rights::Sudo | Rights::SudoThatAsks => ("run", "sudo "),
        Rights::None => ("let the administrator run", ""),
    };
    let (elsewhere, packaged): (Vec<_>, Vec<_>) = missing
        .iter()
        .copied()
        .partition(|tool| family == Family::Arch && tool.is_only_in_aur());
    let mut ways = Vec::new();
    if !packaged.is_empty() {
        let packages = packages(&packaged, family).join(" ");
        ways.push(format!("{run} `{sudo}{} {packages}`", family.command()));
    }
    if !elsewhere.is_empty() {
        let packages = packages(&elsewhere, family).join(" ");
        ways.push(format!("build {packages} from the AUR"));
    }
    Plan::Tell(format!("{lacking} not found: {}", ways.join(", and ")))
}

fn packages(tools: &[Tool], family: Family) -> Vec<&'static str> {
    // One package may have several of them.
    unique(tools.iter().map(|tool| tool.package(family)))
}

fn names(tools: &[Tool]) -> String {
    tools
        .iter()
        .map(|tool| tool.name())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Each once, however many want it.
fn missing(tools: &[Tool]) -> Vec<Tool> {
    unique(tools.iter().copied().filter(|tool| !tool.is_here()))
}

fn unique<T: PartialEq>(all: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for one in all {
        if !seen.contains(&one) {
            seen.push(one);
        }
    }
    seen
}

fn install(sudo: bool, packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    ui::say(
        "install",
        format!("{list} (apt-get{})", if sudo { ", with sudo" } else { "" }),
    );
    let phase = ui::phase("install", &list);
    let sh = Shell::new()?;
    let timeout = format!("DPkg::Lock::Timeout={}", APT_PATIENCE.as_secs());
    let apt = |args: &[&str]| {
        let sudo: &[&str] = if sudo { &["sudo", "-n"] } else { &[] };
        let [program, args @ ..] = &[
            sudo,
            &[
                "env",
                "DEBIAN_FRONTEND=noninteractive",
                "apt-get",
                "-qq",
                "-o",
                &timeout,
            ],
            args,
        ]
        .concat()[..] else {
            unreachable!("there is at least `env`")
        };
        let output = while_locked(APT_PATIENCE, || {
            let command = sh.cmd(program).args(args);
            Ok(command.quiet().ignore_status().output()?)
        })?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr)
                .trim()
                .replace('\n', "; ");
            bail!("`{program} {}` failed: {said}", args.join(" "));
        }
        Ok(())
    };
    let get = || apt(&[&["install", "--yes", "--no-install-recommends"], packages].concat());
    let update = || apt(&["update"]);
    if !has_lists(Path::new("/var/lib/apt/lists")) {
        update()?;
        get()?;
    } else if get().is_err() {
        // What the lists name may have been replaced since.
        update()?;
        get().with_context(|| format!("cannot install {list}"))?;
    }
    phase.done();
    Ok(())
}

/// apt waits for dpkg's lock if it is asked to, and never for that of its lists, which
/// another of us, or a timer of the system's, may hold.
fn while_locked(patience: Duration, mut run: impl FnMut() -> Result<Output>) -> Result<Output> {
    let start = Instant::now();
    loop {
        let output = run()?;
        let said = String::from_utf8_lossy(&output.stderr);
        let is_locked = !output.status.success() && said.contains("Could not get lock");
        if !is_locked || start.elapsed() >= patience {
            return Ok(output);
        }
        thread::sleep(patience / 300);
    }
}

/// Whether `apt-get update` was ever run; images of containers have it undone.
fn has_lists(lists: &Path) -> bool {
    fs::read_dir(lists)
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().contains("_Packages"))
}

fn find_in(path: &OsStr, name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    std::env::split_paths(path)
        .map(|dir| dir.join(name))
        .find(|file| {
            fs::metadata(file)
                .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
        })
}

/// Root's programs are not in the PATH of every user.
fn is_roots_program(name: &str) -> bool {
    ["/usr/sbin", "/sbin", "/usr/bin"]
        .iter()
        .any(|directory| Path::new(directory).join(name).exists())
}

fn has_header(file: &str) -> bool {
    Path::new("/usr/include").join(file).exists()
}

/// A minimal Debian has a perl without most of its modules.
fn has_perl_modules() -> bool {
    Shell::new().is_ok_and(|sh| {
        cmd!(sh, "perl -MEncode -MPod::Usage -MTerm::ANSIColor -e 1")
            .quiet()
            .ignore_stdout()
            .ignore_stderr()
            .run()
            .is_ok()
    })
}

const LIBRARY_DIRECTORIES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu",
    "/lib/x86_64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
];

/// Whether there is a libclang where bindgen looks for it, more or less: what compiles
/// bindgen can ask it, and this is for those who do not.
fn has_libclang() -> bool {
    let llvm = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let llvm = llvm
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("llvm"))
        .map(|entry| entry.path().join("lib"));
    let usual = LIBRARY_DIRECTORIES.iter().map(PathBuf::from);
    let named = std::env::var_os("LIBCLANG_PATH").map(PathBuf::from);
    named
        .into_iter()
        .chain(usual)
        .chain(llvm)
        .flat_map(|directory| fs::read_dir(directory).into_iter().flatten().flatten())
        .any(|file| is_libclang(&file.file_name().to_string_lossy()))
}

/// `libclang.so`, `libclang-14.so.1`: not `libclang-cpp.so.14`, which is another library.
fn is_libclang(file: &str) -> bool {
    let version = file.strip_prefix("libclang").unwrap_or_default();
    let version = version.trim_start_matches(|c: char| matches!(c, '-' | '.' | '0'..='9'));
    version.starts_with("so")
}

/// Whether a directory has the library of some Python 3.
fn has_libpython(directory: impl AsRef<Path>) -> bool {
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    files
        .filter_map(|file| file.file_name().into_string().ok())
        .any(|name| name.starts_with("libpython3.") && name.ends_with(".so"))
}

fn is_library(file: &str) -> bool {
    let mut directories = LIBRARY_DIRECTORIES.iter().map(Path::new);
    directories.any(|directory| directory.join(file).exists())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn machine(family: Option<Family>, rights: Rights) -> Machine {
        Machine {
            family,
            apt: family == Some(Family::Debian),
            rights,
        }
    }

    #[test]
    fn a_library_with_a_version_behind_its_name_is_not_what_is_looked_for() {
        let directory = tempfile::tempdir().unwrap();
        let make = |name: &str| fs::write(directory.path().join(name), "").unwrap();
        make("libpython3.11.so.1.0");
        make("libpython2.7.so");
        assert!(!has_libpython(directory.path()));
        make("libpython3.11.so");
        assert!(has_libpython(directory.path()));
    }

    #[test]
    fn libclang_is_known_by_its_name() {
        for name in ["libclang.so", "libclang.so.1", "libclang-14.so.14.0.6"] {
            assert!(is_libclang(name), "{name}");
        }
        for name in [
            "libclang-cpp.so.14",
            "libclang-14.a",
            "libclang_rt.so",
            "clang.so",
        ] {
            assert!(!is_libclang(name), "{name}");
        }
    }

    #[test]
    fn we_install_only_where_we_may() {
        for (rights, sudo) in [(Rights::Root, false), (Rights::Sudo, true)] {
            let plan = plan(
                &[Tool::Make, Tool::Qemu],
                &machine(Some(Family::Debian), rights),
            );
            let packages = vec!["make", "qemu-system-x86"];
            assert_eq!(plan, Plan::Apt { sudo, packages });
        }
        let no_apt = Machine {
            apt: false,
            ..machine(Some(Family::Debian), Rights::Root)
        };
        for (machine, how) in [
            (
                machine(Some(Family::Debian), Rights::SudoThatAsks),
                "run `sudo apt-get install make qemu-system-x86`",
            ),
            (
                machine(Some(Family::Debian), Rights::None),
                "let the administrator run `apt-get install make qemu-system-x86`",
            ),
            (no_apt, "run `apt-get install make qemu-system-x86`"),
            (
                machine(Some(Family::Fedora), Rights::Sudo),
                "run `sudo dnf install make qemu-system-x86-core`",
            ),
            (
                machine(Some(Family::Arch), Rights::Root),
                "run `pacman -S make qemu-system-x86`",
            ),
            (
                machine(None, Rights::Root),
                "install it with this system's package manager",
            ),
        ] {
            let words = format!("make, qemu-system-x86_64 not found: {how}");
            let plan = plan(&[Tool::Make, Tool::Qemu], &machine);
            assert_eq!(plan, Plan::Tell(words), "{machine:?}");
        }
    }

    #[test]
    fn what_pacman_does_not_have_is_not_asked_of_it() {
        let arch = machine(Some(Family::Arch), Rights::SudoThatAsks);
        for (tools, how) in [
            (
                &[Tool::Perl, Tool::Coccinelle][..],
                "run `sudo pacman -S perl`, and build coccinelle from the AUR",
            ),
            (&[Tool::Coccinelle], "build coccinelle from the AUR"),
        ] {
            let words = format!("{} not found: {how}", names(tools));
            assert_eq!(plan(tools, &arch), Plan::Tell(words));
        }
    }

    #[test]
    fn a_package_is_named_once() {
        let tools = [Tool::Libelf, Tool::LibelfHeaders];
        assert_eq!(packages(&tools, Family::Arch), ["libelf"]);
        assert_eq!(packages(&tools, Family::Debian), ["libelf1", "libelf-dev"]);
        assert_eq!(unique([1, 2, 1]), [1, 2]);
    }

    #[test]
    fn a_system_without_a_name_is_known_by_its_package_manager() {
        for (manager, family) in [
            ("apt-get", Some(Family::Debian)),
            ("dnf", Some(Family::Fedora)),
            ("pacman", Some(Family::Arch)),
            ("apk", None),
        ] {
            assert_eq!(Family::by_manager(|name| name == manager), family);
        }
    }

    #[test]
    fn a_distribution_is_known_by_its_name_or_its_kin() {
        for (text, family) in [
            ("ID=debian\n", Some(Family::Debian)),
            (
                "NAME=x\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\n",
                Some(Family::Debian),
            ),
            (
                "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n",
                Some(Family::Fedora),
            ),
            ("ID=manjaro\nID_LIKE=arch\n", Some(Family::Arch)),
            ("ID=nixos\n", None),
            ("", None),
        ] {
            assert_eq!(Family::of(text), family, "{text}");
        }
    }

    #[test]
    fn a_program_is_a_file_in_path_that_may_be_run() {
        let dir = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| dir.path().join(name));
        fs::create_dir_all(first.join("tool")).unwrap();
        fs::create_dir_all(&second).unwrap();
        let path = std::env::join_paths([&first, &second]).unwrap();
        fs::write(second.join("tool"), "").unwrap();
        fs::set_permissions(second.join("tool"), fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(find_in(&path, "tool"), None);
        fs::set_permissions(second.join("tool"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find_in(&path, "tool"), Some(second.join("tool")));
    }

    #[test]
    fn a_lock_is_waited_for_and_nothing_else() {
        let output = |code: i32, said: &str| Output {
            status: ExitStatus::from_raw(code << 8),
            stdout: Vec::new(),
            stderr: said.into(),
        };
        let locked = || output(100, "E: Could not get lock /lists/lock. It is held");
        let run = |patience, outputs: Vec<Output>| {
            let mut outputs = outputs.into_iter();
            let end = while_locked(patience, || Ok(outputs.next().unwrap())).unwrap();
            (end.status.code(), outputs.len())
        };
        let patience = Duration::from_secs(10);
        let others = vec![locked(), locked(), output(0, ""), output(0, "")];
        assert_eq!(run(patience, others), (Some(0), 1));
        let broken = vec![output(1, "E: Unable to locate package"), output(0, "")];
        assert_eq!(run(patience, broken), (Some(1), 1));
        assert_eq!(run(Duration::ZERO, vec![locked()]), (Some(100), 0));
    }

    #[test]
    fn empty_lists_are_noticed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("partial")).unwrap();
        fs::write(dir.path().join("lock"), "").unwrap();
        assert!(!has_lists(dir.path()));
        fs::write(
            dir.path()
                .join("mirror_dists_bookworm_main_binary-amd64_Packages.lz4"),
            "",
        )
        .unwrap();
        assert!(has_lists(dir.path()));
        assert!(!has_lists(&dir.path().join("absent")));
    }
}
