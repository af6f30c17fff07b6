//! What we want, in QEMU's words.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// How the guest's CPU is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accel {
    /// By the host's CPU.
    Kvm,
    /// By QEMU's translator, some ten times slower.
    Tcg,
}

/// What the first serial port, the kernel's console, is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Console {
    /// This log.
    Log(PathBuf),
    /// QEMU's standard error, and this log.
    Shown(PathBuf),
    /// The terminal in both directions, and this log. Then the reports cannot have
    /// standard output, and go to the other file.
    Terminal {
        /// What is shown.
        log: PathBuf,
        /// The reports.
        reports: PathBuf,
    },
}

impl Console {
    /// Where the log is.
    pub(crate) fn log(&self) -> &Path {
        match self {
            Console::Log(log) | Console::Shown(log) | Console::Terminal { log, .. } => log,
        }
    }
}

/// UEFI, in the two files that OVMF comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firmware {
    /// The code.
    pub code: PathBuf,
    /// The variables, such as the keys of Secure Boot: this guest's own copy.
    pub variables: PathBuf,
}

/// A machine and what it boots.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) accel: Accel,
    /// The CPUs take turns where they are emulated, and are not each a thread of QEMU's.
    pub(crate) one_thread: bool,
    /// Guest time counts instructions, so that the same run gives the same times: those
    /// of all CPUs together, which take turns. They are never KVM's.
    pub(crate) icount: bool,
    pub(crate) smp: u32,
    pub(crate) memory_mib: u32,
    pub(crate) kernel: PathBuf,
    pub(crate) image: PathBuf,
    pub(crate) console: Console,
    /// What a system is installed on; without one it is in the image.
    pub(crate) disk: Option<PathBuf>,
    /// Instead of QEMU's own.
    pub(crate) firmware: Option<Firmware>,
}

/// What the kernel is told.
///
/// Panics end QEMU (`panic=-1` with `-no-reboot`). Messages up to warnings go to the
/// console, with times, by which `console` knows them; the rest would only cost an
/// emulated serial port. Not `tsc=reliable`, which would spare an emulated CPU some
/// time: a busy host lets the kernel find a wrong rate for that clock. With
/// `no_timer_check` it does not count the timer's interrupts at boot either, of which a
/// busy host brings too few: the kernel then panics, "IO-APIC + timer doesn't work". A CPU
/// that is stuck for good would keep the tests waiting until their limit of an hour, and a
/// test that has the console hear nothing would keep its stack to itself: with
/// `softlockup_panic` the guest ends, and says what each CPU does.
const KERNEL_COMMAND_LINE: &str = "console=ttyS0 panic=-1 printk.time=1 loglevel=5 no_timer_check softlockup_panic=1 softlockup_all_cpu_backtrace=1";

/// What it is told as well where several CPUs count instructions. They take turns, and
/// the first one, which waits for the next to start, would have all of them (QEMU before
/// 8.1). Who wants the others starts them by /sys, as vm/bench does.
const ONE_CPU: &str = "maxcpus=1";

/// What it is told as well where the system is on a disk.
const ON_DISK: &str = "root=/dev/vda rw init=/init";

/// QEMU's arguments.
pub(crate) fn arguments(machine: &Machine) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = Vec::new();
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(Into::into));
    add(&["-nodefaults", "-no-user-config", "-no-reboot"]);
    add(&["-display", "none", "-nic", "none"]);
    // Who boots must not write to the keys of Secure Boot: only System Management Mode may.
    add(&[
        "-machine",
        if machine.firmware.is_some() {
            "q35,smm=on"
        } else {
            "q35"
        },
    ]);
    // Debian 13's kernels do not survive their boot where CPUs take turns in one thread of QEMU
    // 7.2 and have cmpxchg16b: of 8 boots on a busy host 5 ended in a double fault or a null
    // pointer, with garbage in the flags; without it none of 15.
    let emulated = match machine.disk {
        Some(_) => "max,-cx16",
        None => "max",
    };
    match (machine.accel, machine.one_thread) {
        (Accel::Kvm, _) => add(&["-accel", "kvm", "-cpu", "host"]),
        (Accel::Tcg, false) => add(&["-accel", "tcg", "-cpu", emulated]),
        (Accel::Tcg, true) => add(&["-accel", "tcg,thread=single", "-cpu", emulated]),
    }
    if machine.icount {
        add(&["-icount", "shift=0,sleep=off"]);
        // Where the kernel draws its places and hashes from, and what day it is.
        add(&["-seed", "1", "-rtc", "base=2026-01-01,clock=vm"]);
    }
    add(&["-smp", &machine.smp.to_string()]);
    add(&["-m", &machine.memory_mib.to_string()]);
    let mut words = vec![KERNEL_COMMAND_LINE];
    words.extend((machine.icount && machine.smp > 1).then_some(ONE_CPU));
    words.extend(machine.disk.as_ref().map(|_| ON_DISK));
    add(&["-append", &words.join(" ")]);
    let console = match &machine.console {
        Console::Log(log) => chardev("file,id=console", "path", log),
        Console::Shown(log) => chardev("file,id=console,path=/dev/stderr", "logfile", log),
        // Ctrl-C is the guest's; Ctrl-A x ends QEMU.
        Console::Terminal { log, .. } => {
            chardev("stdio,id=console,mux=on,signal=off", "logfile", log)
        }
    };
    let reports = match &machine.console {
        Console::Terminal { reports, .. } => chardev("file,id=reports", "path", reports),
        _ => "stdio,id=reports,signal=off".into(),
    };
    for (flag, value) in [
        ("-kernel", machine.kernel.clone().into()),
        ("-initrd", machine.image.clone().into()),
        ("-chardev", console),
        ("-serial", "chardev:console".into()),
        ("-chardev", reports),
        ("-serial", "chardev:reports".into()),
    ] {
        arguments.extend([flag.into(), value]);
    }
    let mut drive = |options: &str, file: &Path| {
        let drive = chardev(&format!("{options},format=raw"), "file", file);
        arguments.extend(["-drive".into(), drive]);
    };
    if let Some(disk) = &machine.disk {
        // Nobody needs it any more when the guest has ended.
        drive("if=virtio,cache=unsafe", disk);
    }
    if let Some(firmware) = &machine.firmware {
        drive("if=pflash,unit=0,readonly=on", &firmware.code);
        drive("if=pflash,unit=1", &firmware.variables);
        arguments.extend([
            "-global".into(),
            "driver=cfi.pflash01,property=secure,value=on".into(),
        ]);
    }
    arguments
}

/// A comma in a path is doubled, or QEMU would take it for the end.
fn chardev(what: &str, option: &str, path: &Path) -> OsString {
    let path = path.to_string_lossy().replace(',', ",,");
    format!("{what},{option}={path}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine {
            accel: Accel::Tcg,
            one_thread: false,
            icount: false,
            smp: 2,
            memory_mib: 512,
            kernel: "/k/vmlinuz".into(),
            image: "/i/image.cpio".into(),
            console: Console::Log("/t/console.log".into()),
            disk: None,
            firmware: None,
        }
    }

    fn line(machine: &Machine) -> String {
        let words: Vec<_> = arguments(machine)
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        words.join(" ")
    }

    #[test]
    fn emulated() {
        assert_eq!(
            line(&machine()),
            "-nodefaults -no-user-config -no-reboot -display none -nic none -machine q35 \
             -accel tcg -cpu max -smp 2 -m 512 \
             -append console=ttyS0 panic=-1 printk.time=1 loglevel=5 no_timer_check softlockup_panic=1 softlockup_all_cpu_backtrace=1 \
             -kernel /k/vmlinuz -initrd /i/image.cpio \
             -chardev file,id=console,path=/t/console.log -serial chardev:console \
             -chardev stdio,id=reports,signal=off -serial chardev:reports"
        );
    }

    #[test]
    fn by_kvm() {
        let machine = Machine {
            accel: Accel::Kvm,
            ..machine()
        };
        assert!(line(&machine).contains(" -accel kvm -cpu host -smp 2 "));
    }

    #[test]
    fn in_one_thread_only_where_it_is_emulated() {
        let machine = |accel| Machine {
            accel,
            one_thread: true,
            ..machine()
        };
        assert!(line(&machine(Accel::Tcg)).contains(" -accel tcg,thread=single -cpu max -smp 2 "));
        assert!(line(&machine(Accel::Kvm)).contains(" -accel kvm -cpu host -smp 2 "));
    }

    #[test]
    fn counting_instructions() {
        let machine = Machine {
            icount: true,
            smp: 4,
            ..machine()
        };
        assert!(line(&machine).contains(
            " -accel tcg -cpu max -icount shift=0,sleep=off \
             -seed 1 -rtc base=2026-01-01,clock=vm -smp 4 -m 512 "
        ));
    }

    #[test]
    fn counting_instructions_the_kernel_starts_one_cpu() {
        for (icount, smp, starts_one) in [(true, 4, true), (true, 1, false), (false, 4, false)] {
            let machine = Machine {
                icount,
                smp,
                ..machine()
            };
            let is_told = line(&machine)
                .contains(" softlockup_panic=1 softlockup_all_cpu_backtrace=1 maxcpus=1 -kernel ");
            assert_eq!(is_told, starts_one, "{icount} {smp}");
        }
    }

    #[test]
    fn the_terminal_has_the_console_and_a_file_the_reports() {
        let machine = Machine {
            console: Console::Terminal {
                log: "/t/a,b/console.log".into(),
                reports: "/t/a,b/reports".into(),
            },
            ..machine()
        };
        let line = line(&machine);
        assert!(
            line.contains(
                " -chardev stdio,id=console,mux=on,signal=off,logfile=/t/a,,b/console.log "
            )
        );
        assert!(line.contains(" -chardev file,id=reports,path=/t/a,,b/reports "));
    }

    #[test]
    fn a_system_on_a_disk_with_a_firmware_of_its_own() {
        let machine = Machine {
            disk: Some("/d/disk".into()),
            firmware: Some(Firmware {
                code: "/f/code".into(),
                variables: "/d/vars".into(),
            }),
            ..machine()
        };
        let line = line(&machine);
        for words in [
            " -machine q35,smm=on ",
            " -cpu max,-cx16 ",
            " root=/dev/vda rw init=/init -kernel ",
            " -drive if=virtio,cache=unsafe,format=raw,file=/d/disk ",
            " -drive if=pflash,unit=0,readonly=on,format=raw,file=/f/code ",
            " -drive if=pflash,unit=1,format=raw,file=/d/vars ",
        ] {
            assert!(line.contains(words), "{words}: {line}");
        }
    }

    #[test]
    fn a_shown_console_leaves_standard_output_to_the_reports() {
        let machine = Machine {
            console: Console::Shown("/t/console.log".into()),
            ..machine()
        };
        let line = line(&machine);
        assert!(line.contains(" -chardev file,id=console,path=/dev/stderr,logfile=/t/"));
        assert!(line.contains(" -chardev stdio,id=reports,signal=off "));
    }
}
