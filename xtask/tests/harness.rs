//! The harness tests itself: whatever goes wrong with a guest, a command, a disk or
//! us has its own verdict, its own exit code and one sentence, and leaves nothing behind.
//!
//! These boot guests, so plain `cargo test` leaves them out; `cargo xtask test` runs
//! them, one after the other.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize};

/// For what has to happen; nothing here is about speed.
const PATIENCE: Duration = Duration::from_secs(60);

const NO_GUEST: i32 = 125;

// ---- Verdicts ----

#[test]
#[ignore = "boots guests"]
fn a_panic() {
    let output = vm_run(&["--no-module"], "echo c > /proc/sysrq-trigger; sleep 60");
    ends(&output, 121);
    says(&output, "the kernel panicked");
    says(&output, "Kernel panic - not syncing: sysrq triggered crash");
}

#[test]
#[ignore = "boots guests"]
fn a_guest_that_hangs() {
    let start = Instant::now();
    let output = vm_run(
        &["--no-module", "--timeout", "2"],
        "echo before; sleep 1000",
    );
    ends(&output, 123);
    says(&output, "the job was not over in 2 s");
    assert_eq!(text(&output.stdout), "before\n");
    assert!(start.elapsed() < PATIENCE);
}

/// Of the lowest level that the kernel gives to anything of the sort.
#[test]
#[ignore = "boots guests"]
fn a_splat_although_the_command_passes() {
    let splat = "kmemleak: 1 new suspected memory leaks";
    let output = vm_run(
        &["--no-module"],
        &format!("echo '<6>{splat}' > /dev/kmsg; echo passed"),
    );
    ends(&output, 120);
    says(&output, "the kernel complained");
    says(&output, splat);
    assert_eq!(text(&output.stdout), "passed\n");
}

#[test]
#[ignore = "boots guests"]
fn a_guest_that_is_not_done() {
    let output = vm_run(&["--no-module"], "poweroff -f; sleep 60");
    ends(&output, 122);
    says(&output, "the guest ended without saying that it was done");
}

// ---- Tests in the guest ----

#[test]
#[ignore = "boots guests"]
fn a_test_that_aborts() {
    victim("aborts", "killed by signal 6");
}

#[test]
#[ignore = "boots guests"]
fn a_test_that_fails() {
    let output = victim("fails", "exit status: 101");
    let stdout = text(&output.stdout);
    assert!(stdout.contains("| on purpose"), "{stdout}");
}

#[test]
#[ignore = "boots guests"]
fn a_test_that_hangs() {
    victim("hangs", "took too long");
}

#[test]
#[ignore = "boots guests"]
fn a_test_that_vanishes() {
    victim("vanishes", "it ended without a test result");
}

fn victim(name: &str, why: &str) -> Output {
    let test = format!("victims::{name}");
    let output = run(xtask(&["vm-test", "--timeout", "2", "--ignored", &test]));
    ends(&output, 1);
    let stdout = text(&output.stdout);
    let line = stdout.lines().find(|line| line.contains(&test));
    let line = line.unwrap_or_else(|| panic!("no word of {test}: {stdout}"));
    assert!(line.starts_with("FAILED") && line.contains(why), "{line}");
    assert!(stdout.ends_with("0 passed, 1 failed\n"), "{stdout}");
    says(&output, "1 of 1 tests failed");
    output
}

/// An ignored test is not run unasked, and that nothing was run is a failure.
#[test]
#[ignore = "boots guests"]
fn ignored_tests_are_not_run() {
    let output = run(xtask(&["vm-test", "victims::"]));
    ends(&output, 1);
    let stdout = text(&output.stdout);
    let ignored: Vec<_> = stdout
        .lines()
        .filter_map(|line| line.strip_prefix("ignored  victims::"))
        .collect();
    assert_eq!(ignored, ["aborts", "fails", "hangs", "vanishes"]);
    says(&output, "no test was run");
}

#[test]
#[ignore = "boots guests"]
fn a_filter_that_matches_no_test() {
    let output = run(xtask(&["vm-test", "nonexistent_filter"]));
    ends(&output, 1);
    says(&output, "there is no such test");
}

// ---- The list of commands ----

/// Some commands are other programs, which say themselves what they do.
#[test]
#[ignore = "compiles all of xtask"]
fn the_list_says_of_each_command_what_it_says_of_itself() {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let list = text(&run(xtask(&["--help"])).stdout);
    let named = list.lines().filter_map(|line| {
        let command = line.strip_prefix("  ")?.split(' ').next()?;
        (!command.is_empty() && !command.starts_with('-') && command != "help").then_some(command)
    });
    let mut count = 0;
    for command in named {
        let help = run(xtask(&[command, "--help"]));
        ends(&help, 0);
        let help = text(&help.stdout);
        let summary = help.split("\n\n").next().unwrap();
        let line = format!("{command} {}", words(summary));
        assert!(words(&list).contains(&line), "no {line:?} in: {list}");
        count += 1;
    }
    assert!(count > 10, "{list}");
}

// ---- The command ----

/// And not a byte of ours among its own.
#[test]
#[ignore = "boots guests"]
fn a_commands_output_and_status_are_its_own() {
    const SIZE: u32 = 256 * 1024;
    let dir = tempfile::tempdir().unwrap();
    let payload = |name: &str, seed: u32| {
        let bytes = noise(seed, SIZE);
        let path = dir.path().join(name);
        fs::write(&path, &bytes).unwrap();
        (bytes, format!("{}:/payload/{name}", path.display()))
    };
    let (out, copy_out) = payload("out", 1);
    let (err, copy_err) = payload("err", 2);
    let output = vm_run(
        &["--no-module", "--copy", &copy_out, "--copy", &copy_err],
        "cat /payload/out & cat /payload/err >&2; wait; exit 42",
    );
    assert_eq!(output.status.code(), Some(42));
    // Not assert_eq: nobody wants to read 256 KiB.
    assert!(
        output.stdout == out,
        "stdout: {} bytes",
        output.stdout.len()
    );
    assert!(
        output.stderr == err,
        "stderr: {} bytes",
        output.stderr.len()
    );
}

#[test]
#[ignore = "boots guests"]
fn a_command_that_there_is_not() {
    let words = ["vm-run", "--no-module", "--", "nonesuch", "x"];
    let output = run(xtask(&words));
    ends(&output, 127);
    assert!(text(&output.stderr).starts_with("nonesuch: "), "{output:?}");
}

#[test]
#[ignore = "boots guests"]
fn a_command_that_a_signal_kills() {
    let output = vm_run(&["--no-module"], "kill -KILL $$");
    ends(&output, 128 + 9);
}

// ---- Options ----

#[test]
#[ignore = "boots guests"]
fn three_cpus_and_no_module() {
    let output = vm_run(
        &["--no-module", "--smp", "3"],
        "nproc; grep -c '^icmptap' /proc/modules; ls /lib/icmptap*.ko",
    );
    ends(&output, 1);
    assert_eq!(text(&output.stdout), "3\n0\n");
}

#[test]
#[ignore = "boots guests"]
fn one_cpu_and_a_parameter_of_each_module() {
    let output = vm_run(
        &[
            "--module-param",
            "max_per_user=5",
            "--module-param",
            "imp2.verdict=drop",
            "--smp",
            "1",
        ],
        "nproc; cd /sys/module; \
         cat icmptap/parameters/max_per_user icmptap_imp2/parameters/verdict",
    );
    ends(&output, 0);
    assert_eq!(text(&output.stdout), "1\n5\ndrop\n");
}

#[test]
#[ignore = "boots guests"]
fn counting_instructions() {
    let output = vm_run(&["--icount", "--smp", "2"], "nproc; icmptap info");
    ends(&output, 0);
    assert!(text(&output.stdout).starts_with("1\n"), "{output:?}");
}

// ---- What bad input gets ----

#[test]
#[ignore = "boots guests"]
fn a_file_to_copy_that_there_is_not() {
    let output = vm_run(&["--copy", "/none/such"], "true");
    one_sentence(&output, "cannot copy /none/such into the guest");
}

#[test]
#[ignore = "boots guests"]
fn a_kernel_that_there_is_not() {
    let output = vm_run(&["--kernel", "minix"], "true");
    one_sentence(
        &output,
        "no kernel is named \"minix\": there is debian-5.10, debian-6.1",
    );
}

#[test]
#[ignore = "boots guests"]
fn qemu_missing_where_nothing_can_be_installed() {
    let dir = tempfile::tempdir().unwrap();
    let how = "qemu-system-x86_64, make, gcc, perl with its modules not found: \
               let the administrator run `apt-get install qemu-system-x86 make gcc perl`";
    // A system without apt, and then one that has it, for others.
    for script in ["", "apt-get"] {
        if !script.is_empty() {
            program(&dir.path().join(script), "echo installed; exit 1");
            program(&dir.path().join("id"), "echo 1000");
        }
        let mut command = xtask(&["vm-run", "--", "true"]);
        let output = run(command.env("PATH", dir.path()));
        one_sentence(&output, how);
    }
}

fn program(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Files may not grow beyond 1 MiB, which is what a full disk looks like to us and
/// needs no right to mount anything.
#[test]
#[ignore = "boots guests"]
fn no_space_for_the_cache() {
    let cache = CacheOfOurs::new();
    let output = run(xtask_without_space(&FETCH).env("XDG_CACHE_HOME", cache.home()));
    one_sentence(&output, "File too large");
    assert!(!cache.root().join("kernels").exists());
    assert_eq!(cache.scraps(), 0);
    cache.fills();
}

#[test]
#[ignore = "boots guests"]
fn no_space_for_the_image() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("new");
    // Never seen, so that an image has to be made.
    fs::write(&file, format!("{:?}\n", dir.path())).unwrap();
    let copy = format!("{}:/new", file.display());
    let words = [
        "vm-run",
        "--no-module",
        "--copy",
        &copy,
        "--",
        "cat",
        "/new",
    ];
    let output = run(&mut xtask_without_space(&words));
    one_sentence(&output, "cannot write ");
    says(&output, "image.cpio: File too large");
    let output = run(xtask(&words));
    ends(&output, 0);
    assert_eq!(output.stdout, fs::read(&file).unwrap());
}

fn xtask_without_space(words: &[&str]) -> Command {
    let mut command = Command::new("/bin/sh");
    command
        // Of 512 bytes each. Ignored, the signal becomes an error.
        .args(["-c", "trap '' XFSZ; ulimit -f 2048; exec \"$0\" \"$@\""])
        .arg(XTASK)
        .args(words)
        .stdin(Stdio::null());
    command
}

// ---- What interrupts us ----

#[test]
#[ignore = "boots guests"]
fn an_interrupt() {
    interrupted_by(Signal::INT);
}

#[test]
#[ignore = "boots guests"]
fn a_termination() {
    interrupted_by(Signal::TERM);
}

#[test]
#[ignore = "boots guests"]
fn a_kill() {
    interrupted_by(Signal::KILL);
    ends(&vm_run(&["--no-module"], "true"), 0);
}

/// Each is the next run of the one before, too.
fn interrupted_by(signal: Signal) {
    let before = entries(&users_cache());
    let mut running = Running::start(&["vm-run", "--no-module"], "echo up; sleep 1000");
    assert_eq!(running.line(), "up");
    let qemu = qemu_of(running.xtask.id());
    running.xtask.signal(signal);
    assert_eq!(running.xtask.end().signal(), Some(signal.as_raw()));
    wait_until("QEMU is gone", || is_gone(qemu));
    let after = entries(&users_cache());
    assert!(before.is_subset(&after), "{before:?} {after:?}");
    // Others may be filling it.
    wait_until("nothing unfinished is left", || scraps(&users_cache()) == 0);
}

#[test]
#[ignore = "boots guests"]
fn a_kill_while_the_cache_is_filled() {
    let cache = CacheOfOurs::new();
    let mut command = xtask(&FETCH);
    command.env("XDG_CACHE_HOME", cache.home());
    let mut xtask = Guarded(command.stderr(Stdio::null()).spawn().unwrap());
    // Well into it: one that has only begun could be whole by chance.
    wait_until("something is unpacked", || {
        cache.root().join("tmp/1/boot").exists()
    });
    xtask.signal(Signal::KILL);
    assert_eq!(xtask.end().signal(), Some(9));
    assert_ne!(cache.scraps(), 0, "it was killed too late");
    assert!(!cache.root().join("kernels").exists());
    cache.fills();
}

#[test]
#[ignore = "boots guests"]
fn two_at_once() {
    let mut both = ["one", "two"].map(|name| {
        let script = format!("echo {name}; sleep 3; echo {name}; exit 3");
        Running::start(&["vm-run", "--no-module"], &script)
    });
    let pids = both.each_ref().map(|run| run.xtask.id());
    for (run, name) in both.iter().zip(["one", "two"]) {
        assert_eq!(run.line(), name);
    }
    // Both have begun and neither has ended.
    for pid in pids {
        qemu_of(pid);
    }
    for (run, name) in both.iter_mut().zip(["one", "two"]) {
        assert_eq!(run.line(), name);
        assert_eq!(run.xtask.end().code(), Some(3));
    }
}

// ---- The shell ----

#[test]
#[ignore = "boots guests"]
fn a_shell() {
    let terminal = Terminal::new();
    let before = terminal.modes();
    let mut xtask = terminal.start(&["vm-run"]);
    terminal.wait_for("guest /root # ");
    assert!(!terminal.modes().local_modes.contains(LocalModes::ICANON));
    terminal.type_in("echo $((40 + 2)); stty size; tty\r");
    terminal.wait_for("\n42\n33 111\n/dev/ttyS0\n");
    terminal.wait_for("guest /root # ");
    // Ctrl-C is the command's, in there, once it runs.
    terminal.type_in("sh -c 'echo on; exec sleep 1000'\r");
    terminal.wait_for("\non\n");
    terminal.type_in("\x03");
    terminal.wait_for("guest /root # ");
    terminal.type_in("exit 7\r");
    assert_eq!(xtask.end().code(), Some(7));
    same(&before, &terminal.modes());
}

#[test]
#[ignore = "boots guests"]
fn a_shell_that_is_terminated() {
    let terminal = Terminal::new();
    let before = terminal.modes();
    let mut xtask = terminal.start(&["vm-run", "--no-module"]);
    terminal.wait_for("guest /root # ");
    let qemu = qemu_of(xtask.id());
    xtask.signal(Signal::TERM);
    assert_eq!(xtask.end().code(), Some(128 + 15));
    same(&before, &terminal.modes());
    wait_until("QEMU is gone", || is_gone(qemu));
    same(&before, &terminal.modes());
}

#[test]
#[ignore = "boots guests"]
fn a_shell_without_a_terminal() {
    let output = run(xtask(&["vm-run"]));
    one_sentence(&output, "a shell needs a terminal");
}

fn same(before: &Termios, after: &Termios) {
    assert_eq!(before.local_modes, after.local_modes);
    assert_eq!(before.input_modes, after.input_modes);
    assert_eq!(before.output_modes, after.output_modes);
    assert_eq!(before.control_modes, after.control_modes);
}

/// A terminal, from the side of its user.
struct Terminal {
    user: File,
    other: OwnedFd,
    output: Receiver<u8>,
}

impl Terminal {
    fn new() -> Terminal {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let user = openpt(flags).unwrap();
        grantpt(&user).unwrap();
        unlockpt(&user).unwrap();
        let name = ptsname(&user, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let other = rustix::fs::open(name, flags, Mode::empty()).unwrap();
        let size = Winsize {
            ws_row: 33,
            ws_col: 111,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&other, size).unwrap();
        let user = File::from(user);
        let (sender, output) = channel();
        let bytes = BufReader::new(user.try_clone().unwrap()).bytes();
        thread::spawn(move || {
            for byte in bytes.map_while(Result::ok) {
                if sender.send(byte).is_err() {
                    return;
                }
            }
        });
        Terminal {
            user,
            other,
            output,
        }
    }

    fn start(&self, words: &[&str]) -> Guarded {
        let end = || self.other.try_clone().unwrap();
        let mut command = xtask(words);
        command.stdin(end()).stdout(end()).stderr(end());
        Guarded(command.spawn().unwrap())
    }

    fn modes(&self) -> Termios {
        tcgetattr(&self.other).unwrap()
    }

    fn type_in(&self, text: &str) {
        (&self.user).write_all(text.as_bytes()).unwrap();
    }

    /// Reads until `text` has come. Of carriage returns there are two a line: the
    /// guest's terminal adds one, and so does this.
    fn wait_for(&self, text: &str) {
        let mut seen = Vec::new();
        while !seen.ends_with(text.as_bytes()) {
            match self.output.recv_timeout(PATIENCE) {
                Ok(b'\r') => (),
                Ok(byte) => seen.push(byte),
                Err(_) => panic!("{text:?} did not come: {:?}", self::text(&seen)),
            }
        }
    }
}

// ---- Tools ----

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");

fn xtask(words: &[&str]) -> Command {
    let mut command = Command::new(XTASK);
    command.args(words).stdin(Stdio::null());
    command
}

/// A shell's script in a guest.
fn vm_run(options: &[&str], script: &str) -> Output {
    // First of all, so that a later one has its say.
    let timeout: &[&str] = match options.contains(&"--timeout") {
        true => &[],
        false => &["--timeout", "60"],
    };
    let words = [&["vm-run"], timeout, options, &["--", "sh", "-c", script]].concat();
    run(xtask(&words))
}

fn run(mut command: impl std::borrow::BorrowMut<Command>) -> Output {
    command.borrow_mut().output().unwrap()
}

#[track_caller]
fn ends(output: &Output, code: i32) {
    assert_eq!(
        output.status.code(),
        Some(code),
        "{}\n{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

#[track_caller]
fn says(output: &Output, part: &str) {
    let stderr = text(&output.stderr);
    assert!(stderr.contains(part), "no {part:?} in: {stderr}");
}

/// There was no guest, and one sentence says why.
#[track_caller]
fn one_sentence(output: &Output, part: &str) {
    ends(output, NO_GUEST);
    says(output, part);
    let stderr = text(&output.stderr);
    assert!(stderr.starts_with("error: "), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(output.stdout.is_empty());
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Bytes without order, the same each time (xorshift).
fn noise(seed: u32, size: u32) -> Vec<u8> {
    let mut state = seed;
    (0..size)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        })
        .collect()
}

/// An xtask with a guest, beside the test.
struct Running {
    xtask: Guarded,
    lines: Receiver<String>,
}

impl Running {
    fn start(words: &[&str], script: &str) -> Running {
        let words = [words, &["--timeout", "60", "--", "sh", "-c", script]].concat();
        let mut child = Command::new("/usr/bin/env")
            // Whoever started the tests in the background may have it ignored.
            .args(["--default-signal=INT", XTASK])
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let xtask = Guarded(child);
        Running { xtask, lines }
    }

    #[track_caller]
    fn line(&self) -> String {
        // The first may have to wait for a build.
        self.lines.recv_timeout(10 * PATIENCE).expect("a line")
    }
}

/// A child that a failed test does not leave behind.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Guarded {
    fn id(&self) -> u32 {
        self.0.id()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    fn end(&mut self) -> ExitStatus {
        wait_until("xtask ends", || self.0.try_wait().unwrap().is_some());
        self.0.wait().unwrap()
    }
}

#[track_caller]
fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The QEMU that this xtask runs.
#[track_caller]
fn qemu_of(xtask: u32) -> u32 {
    let children = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let (name, _, parent) = process(pid)?;
            (parent == xtask && name.starts_with("qemu")).then_some(pid)
        });
    let found: Vec<_> = children.collect();
    assert_eq!(found.len(), 1, "it has QEMUs {found:?}");
    found[0]
}

/// A zombie only waits for whoever inherited it.
fn is_gone(pid: u32) -> bool {
    process(pid).is_none_or(|(_, state, _)| state == "Z" || state == "X")
}

/// Name, state and parent, as proc_pid_stat(5) says.
fn process(pid: u32) -> Option<(String, String, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
    let mut words = rest.split(' ');
    let state = words.next()?.to_owned();
    Some((name.to_owned(), state, words.next()?.parse().ok()?))
}

/// Where the user's xtask keeps what it fetched.
fn users_cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache");
    let xdg = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    xdg.unwrap_or_else(home).join("icmptap")
}

/// `KIND/NAME` of what a cache has.
fn entries(cache: &Path) -> BTreeSet<PathBuf> {
    let list = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
    list(cache)
        .filter(|kind| kind.file_name() != "tmp")
        .flat_map(|kind| list(&kind.path()))
        .map(|entry| entry.path())
        .collect()
}

/// How many things in a cache are unfinished.
fn scraps(cache: &Path) -> usize {
    fs::read_dir(cache.join("tmp")).map_or(0, Iterator::count)
}

/// One kernel is enough: all take as many minutes.
const FETCH: [&str; 3] = ["kernels", "fetch", "debian-6.1"];

/// A cache that has the packages, so that no network is needed, and nothing made
/// from them.
struct CacheOfOurs(tempfile::TempDir);

impl CacheOfOurs {
    fn new() -> CacheOfOurs {
        // So that there is something to share.
        ends(&run(xtask(&FETCH)), 0);
        let cache = CacheOfOurs(tempfile::tempdir().unwrap());
        fs::create_dir(cache.root()).unwrap();
        symlink(users_cache().join("files"), cache.root().join("files")).unwrap();
        cache
    }

    fn home(&self) -> &Path {
        self.0.path()
    }

    fn root(&self) -> PathBuf {
        self.home().join("icmptap")
    }

    fn scraps(&self) -> usize {
        scraps(&self.root())
    }

    /// The next run makes what is missing, and throws away what was not finished.
    fn fills(&self) {
        let output = run(xtask(&FETCH).env("XDG_CACHE_HOME", self.home()));
        ends(&output, 0);
        let kernels = fs::read_dir(self.root().join("kernels")).unwrap();
        assert_ne!(kernels.count(), 0);
        assert_eq!(self.scraps(), 0);
    }
}
