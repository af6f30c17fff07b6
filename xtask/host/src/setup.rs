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
    /// What the kernel's build tools are linked with.
    Libelf,
    /// What a kernel's own build takes, and the next three.
    Flex,
    Bison,
    Bc,
    LibelfHeaders,
    /// Only kernels since 6.10 ask for it when they build a module.
    Pahole,
    Gpgv,
    DebianKeyring,
    Qemu,
    Libclang,
    Tshark,
    /// What compiles filters: the library's tests do.
    Libpcap,
    /// For the kernel's netlink tools, which are Python; so is the next.
    PyYaml,
    JsonSchema,
    /// What the module's source is checked with.
    Sparse,
    Coccinelle,
    /// What coccinelle loads, by its name without a version: its rules report in
    /// Python.
    LibPython,
    /// With its modules, for checkpatch.
    Perl,
    /// What makes modules that have to fail.
    Patch,
    /// For programs that the bench measures, and the next.
    LibnetfilterLog,
    LibnetfilterQueue,
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
    let sh = Shell::new().ok()?;
    ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        cmd!(sh, "{python} -c 'import yaml, jsonschema'")
            .quiet()
            .ignore_stdout()
            .ignore_stderr()
            .run()
            .is_ok()
    })
}

impl Tool {
    /// All that there are.
    pub const ALL: &[Tool] = &[
        Tool::Make,
        Tool::Gcc,
        Tool::Libelf,
        Tool::Flex,
        Tool::Bison,
        Tool::Bc,
        Tool::LibelfHeaders,
        Tool::Pahole,
        Tool::Gpgv,
        Tool::DebianKeyring,
        Tool::Qemu,
        Tool::Libclang,
        Tool::Tshark,
        Tool::Libpcap,
        Tool::PyYaml,
        Tool::JsonSchema,
        Tool::Sparse,
        Tool::Coccinelle,
        Tool::LibPython,
        Tool::Perl,
        Tool::Patch,
        Tool::LibnetfilterLog,
        Tool::LibnetfilterQueue,
    ];

    fn is_here(self) -> bool {
        match self {
            Tool::Libelf => is_library("libelf.so.1"),
            Tool::LibelfHeaders => has_header("libelf.h"),
            Tool::LibnetfilterLog => has_header("libnetfilter_log/libnetfilter_log.h"),
            Tool::LibnetfilterQueue => has_header("libnetfilter_queue/libnetfilter_queue.h"),
            // Debian's name, and everybody else's.
            Tool::Libpcap => is_library("libpcap.so.0.8") || is_library("libpcap.so.1"),
            Tool::DebianKeyring => Path::new(KEYRING).exists(),
            Tool::Libclang => has_libclang(),
            // Both have to be there for the same Python.
            Tool::PyYaml | Tool::JsonSchema => python().is_some(),
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
            Tool::Libelf => "libelf",
            Tool::Flex => "flex",
            Tool::Bison => "bison",
            Tool::Bc => "bc",
            Tool::LibelfHeaders => "libelf's headers",
            Tool::Pahole => "pahole",
            Tool::Gpgv => "gpgv",
            Tool::DebianKeyring => "the Debian archive keyring",
            Tool::Qemu => "qemu-system-x86_64",
            Tool::Libclang => "libclang",
            Tool::Tshark => "tshark",
            Tool::Libpcap => "libpcap",
            Tool::PyYaml => "Python's yaml",
            Tool::JsonSchema => "Python's jsonschema",
            Tool::Sparse => "sparse",
            Tool::Coccinelle => "spatch",
            Tool::LibPython => "libpython3",
            Tool::Perl => "perl with its modules",
            Tool::Patch => "patch",
            Tool::LibnetfilterLog => "libnetfilter_log's headers",
            Tool::LibnetfilterQueue => "libnetfilter_queue's headers",
        }
    }

    /// The package that has it.
    fn package(self, family: Family) -> &'static str {
        let (debian, fedora, arch) = match self {
            Tool::Make => ("make", "make", "make"),
            Tool::Gcc => ("gcc", "gcc", "gcc"),
            Tool::Libelf => ("libelf1", "elfutils-libelf", "libelf"),
            Tool::Flex => ("flex", "flex", "flex"),
            Tool::Bison => ("bison", "bison", "bison"),
            Tool::Bc => ("bc", "bc", "bc"),
            Tool::LibelfHeaders => ("libelf-dev", "elfutils-libelf-devel", "libelf"),
            Tool::Pahole => ("pahole", "dwarves", "pahole"),
            Tool::Gpgv => ("gpgv", "gnupg2", "gnupg"),
            Tool::DebianKeyring => (
                "debian-archive-keyring",
                "debian-keyring",
                "debian-archive-keyring",
            ),
            Tool::Qemu => ("qemu-system-x86", "qemu-system-x86-core", "qemu-system-x86"),
            Tool::Libclang => ("libclang1", "clang-libs", "clang"),
            Tool::Tshark => ("tshark", "wireshark-cli", "wireshark-cli"),
            Tool::Libpcap => ("libpcap0.8", "libpcap", "libpcap"),
            Tool::PyYaml => ("python3-yaml", "python3-pyyaml", "python-yaml"),
            Tool::JsonSchema => (
                "python3-jsonschema",
                "python3-jsonschema",
                "python-jsonschema",
            ),
            Tool::Sparse => ("sparse", "sparse", "sparse"),
            // Arch has it only among what its users maintain.
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
    root: bool,
    /// There is a sudo that does not ask for a password.
    sudo: bool,
}

impl Machine {
    fn this() -> Machine {
        let os_release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let sh = Shell::new();
        let runs = |program: &str, args: &[&str]| {
            sh.as_ref().is_ok_and(|sh| {
                sh.cmd(program)
                    .args(args)
                    .quiet()
                    .ignore_stdout()
                    .ignore_stderr()
                    .run()
                    .is_ok()
            })
        };
        let root = sh
            .as_ref()
            .is_ok_and(|sh| cmd!(sh, "id -u").quiet().read().is_ok_and(|id| id == "0"));
        Machine {
            family: Family::of(&os_release),
            apt: find_program("apt-get").is_some(),
            root,
            sudo: !root && find_program("sudo").is_some() && runs("sudo", &["-n", "true"]),
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
    let packages = packages(missing, family);
    if family == Family::Debian && machine.apt && (machine.root || machine.sudo) {
        return Plan::Apt {
            sudo: !machine.root,
            packages,
        };
    }
    let sudo = if machine.root { "" } else { "sudo " };
    Plan::Tell(format!(
        "{lacking} not found: run `{sudo}{} {}`",
        family.command(),
        packages.join(" ")
    ))
}

fn packages(tools: &[Tool], family: Family) -> Vec<&'static str> {
    tools.iter().map(|tool| tool.package(family)).collect()
}

fn names(tools: &[Tool]) -> String {
    tools
        .iter()
        .map(|tool| tool.name())
        .collect::<Vec<_>>()
        .join(", ")
}

fn missing(tools: &[Tool]) -> Vec<Tool> {
    tools
        .iter()
        .copied()
        .filter(|tool| !tool.is_here())
        .collect()
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

fn has_header(file: &str) -> bool {
    Path::new("/usr/include").join(file).exists()
}

/// A minimal Debian has a perl without most of its modules.
fn has_perl_modules() -> bool {
    Shell::new().is_ok_and(|sh| {
        cmd!(sh, "perl -MEncode -MTerm::ANSIColor -e 1")
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

    fn machine(family: Option<Family>) -> Machine {
        Machine {
            family,
            apt: family == Some(Family::Debian),
            root: false,
            sudo: false,
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
        let debian = machine(Some(Family::Debian));
        let tools = [Tool::Make, Tool::Qemu];
        let apt = |sudo| Plan::Apt {
            sudo,
            packages: vec!["make", "qemu-system-x86"],
        };
        assert_eq!(
            plan(
                &tools,
                &Machine {
                    root: true,
                    ..debian
                }
            ),
            apt(false)
        );
        assert_eq!(
            plan(
                &tools,
                &Machine {
                    sudo: true,
                    ..debian
                }
            ),
            apt(true)
        );
        for (machine, words) in [
            (
                debian,
                "make, qemu-system-x86_64 not found: run `sudo apt-get install make qemu-system-x86`",
            ),
            (
                Machine {
                    root: true,
                    apt: false,
                    ..debian
                },
                "make, qemu-system-x86_64 not found: run `apt-get install make qemu-system-x86`",
            ),
            (
                Machine {
                    sudo: true,
                    ..machine(Some(Family::Fedora))
                },
                "make, qemu-system-x86_64 not found: run `sudo dnf install make qemu-system-x86-core`",
            ),
            (
                Machine {
                    root: true,
                    ..machine(Some(Family::Arch))
                },
                "make, qemu-system-x86_64 not found: run `pacman -S make qemu-system-x86`",
            ),
            (
                Machine {
                    root: true,
                    ..machine(None)
                },
                "make, qemu-system-x86_64 not found: install it with this system's package manager",
            ),
        ] {
            assert_eq!(
                plan(&tools, &machine),
                Plan::Tell(words.to_owned()),
                "{machine:?}"
            );
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
