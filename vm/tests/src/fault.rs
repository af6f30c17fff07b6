//! Allocations that fail because we want it, and who asked for them: the kernel's
//! fault injection (`fault-injection/fault-injection.rst`).

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use crate::module::{self, Module};
use crate::probe::{self, Probe};

const DEBUG: &str = "/sys/kernel/debug";
const SLAB: &str = "failslab";
const PAGES: &str = "fail_page_alloc";
/// No allocation of pages has this order.
const NO_ORDER: u32 = 99;

/// Which allocations can fail.
#[derive(Clone, Copy, Debug)]
pub struct Which {
    /// In percent, those of the slab allocator.
    pub slab: u32,
    /// In percent, those of the page allocator.
    pub pages: u32,
    /// Of these, only those of so many pages, as a power of 2.
    pub order: u32,
    /// Those that may sleep, too.
    pub sleeping: bool,
}

impl Which {
    /// None, but for what [`nth`] counts: the slab allocator's.
    pub const NONE: Self = Self {
        slab: 0,
        pages: 0,
        order: NO_ORDER,
        sleeping: true,
    };

    /// Has them fail from here on, in tasks that [`make_it_fail`] chose.
    pub fn set(self) {
        let sleeping = if self.sleeping { "N" } else { "Y" };
        for (kind, percent) in [(SLAB, self.slab), (PAGES, self.pages)] {
            set(kind, "task-filter", "Y");
            set(kind, "times", "-1");
            set(kind, "ignore-gfp-wait", sleeping);
            set(kind, "probability", &percent.to_string());
        }
        set(PAGES, "ignore-gfp-highmem", sleeping);
        set(PAGES, "min-order", &self.order.to_string());
    }
}

fn set(kind: &str, knob: &str, value: &str) {
    let path = format!("{DEBUG}/{kind}/{knob}");
    fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}"));
}

/// Says of a task, by its number, whether its allocations fail.
pub fn make_it_fail(task: &str, yes: bool) -> std::io::Result<()> {
    fs::write(
        format!("/proc/{task}/make-it-fail"),
        if yes { "1" } else { "0" },
    )
}

/// Has this thread's allocations fail while `call` runs, as [`Which`] says. Where
/// these are single pages, `call` must not touch memory for the first time: the
/// kernel would try to find some forever.
pub fn all<T>(call: impl FnOnce() -> T) -> T {
    let path = "/proc/thread-self/make-it-fail";
    let file = File::options().write(true).open(path);
    let file = file.unwrap_or_else(|error| panic!("{path}: {error}"));
    // The first time, of this code.
    file.write_at(b"0", 0).expect(path);

    file.write_at(b"1", 0).expect(path);
    let result = call();
    file.write_at(b"0", 0).expect(path);
    result
}

/// Has the `nth` allocation of this thread within `call` fail, the first being 1.
/// Returns how many more there would have had to be: 0 if it did fail.
pub fn nth<T>(nth: u32, call: impl FnOnce() -> T) -> (T, u32) {
    let path = "/proc/thread-self/fail-nth";
    let file = File::options().read(true).write(true).open(path);
    let file = file.unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut text = [0; 16];

    file.write_at(nth.to_string().as_bytes(), 0).expect(path);
    let result = call();
    let length = file.read_at(&mut text, 0).expect(path);
    file.write_at(b"0", 0).expect(path);

    let left = str::from_utf8(&text[..length]).expect("a number");
    (result, left.trim().parse().expect("a number"))
}

/// More allocations than any system call makes.
pub const NEVER: u32 = 1_000_000;

/// The functions that were in progress, the innermost first, each as
/// `name+0xoffset/0xlength`, and ` [module]` unless it is the kernel's own.
#[derive(Clone, Debug, Default)]
pub struct Stack(pub Vec<String>);

impl Stack {
    /// Module, name and offset of our modules' innermost function.
    pub fn in_module(&self) -> Option<(Module, &str, u64)> {
        self.0.iter().find_map(|frame| ours(frame))
    }

    /// Does this go on below one of these functions, by their beginnings? Below
    /// means: called by our modules, directly or not.
    pub fn is_below_any(&self, beginnings: &[&str]) -> bool {
        self.0
            .iter()
            .take_while(|frame| ours(frame).is_none())
            .any(|frame| beginnings.iter().any(|name| frame.starts_with(name)))
    }

    /// Is this function in it, by its whole name?
    pub fn has(&self, function: &str) -> bool {
        self.0
            .iter()
            .any(|frame| frame.split('+').next() == Some(function))
    }
}

fn ours(frame: &str) -> Option<(Module, &str, u64)> {
    let (frame, name) = frame.strip_suffix(']')?.split_once(" [")?;
    let module = module::BOTH.into_iter().find(|ours| ours.name == name)?;
    let (function, place) = frame.split_once("+0x")?;
    let (offset, _) = place.split_once('/')?;
    Some((module, function, u64::from_str_radix(offset, 16).ok()?))
}

/// Watches allocations fail, also those that the kernel does not speak of
/// (`__GFP_NOWARN`). Names functions only while they are there: see [`Quiet`].
pub struct Watch(Probe);

impl Watch {
    /// From here on.
    #[expect(
        clippy::new_without_default,
        reason = "it changes things in the kernel"
    )]
    pub fn new() -> Self {
        const NAME: &str = "icmptap_fault";
        let probe = Probe::new(NAME, &format!("r:{NAME} should_fail_ex failed=$retval:u8"));
        probe::with_stacks();
        probe.only("failed == 1");
        for kind in [SLAB, PAGES] {
            set(kind, "verbose", "0");
        }
        Self(probe)
    }

    /// What failed while `something` is done.
    pub fn during<T>(&self, something: impl FnOnce() -> T) -> (T, Vec<Stack>) {
        probe::forget();
        let result = something();
        (result, parse_reports(&probe::reports()))
    }

    /// What could fail in `call`, on this thread, in order.
    pub fn dry<T>(&self, call: impl FnOnce() -> T) -> (T, Vec<Stack>) {
        const BEGIN: &str = "icmptap: the call begins";
        const END: &str = "icmptap: the call ends";
        let mut marker = probe::marker();
        let mut mark = |text: &str| marker.write_all(text.as_bytes()).expect("a mark");
        let task = rustix::thread::gettid().as_raw_nonzero();

        self.0.only(&format!("common_pid == {task}"));
        probe::forget();
        let (result, _) = nth(NEVER, || {
            mark(BEGIN);
            let result = call();
            mark(END);
            result
        });
        let reports = probe::reports();
        self.0.only("failed == 1");

        let (_, reports) = reports.split_once(BEGIN).expect("a beginning");
        let (reports, _) = reports.split_once(END).expect("an end");
        (result, parse_reports(reports))
    }
}

fn parse_reports(text: &str) -> Vec<Stack> {
    let mut stacks = Vec::new();
    for line in text.lines() {
        if line.ends_with("<stack trace>") {
            stacks.push(Stack::default());
        } else if let Some(frame) = line.strip_prefix(" => ") {
            stacks
                .last_mut()
                .expect("a stack")
                .0
                .push(frame.trim().to_owned());
        }
    }
    stacks
}

/// The kernel says itself what fails, and names functions at that moment: so it
/// does for a module that is gone afterwards.
pub fn say_what_fails(yes: bool) {
    set(SLAB, "verbose_ratelimit_interval_ms", "0");
    set(SLAB, "verbose", if yes { "2" } else { "0" });
}

/// Has the console hear nothing. Where memory is missing, the kernel says so with
/// backtraces, which there would be taken for complaints. At the end of this, it
/// hears everything else that was said; if the kernel panics before, everything.
pub struct Quiet {
    log: File,
    level: String,
    others: Vec<String>,
    /// What the line before belongs to.
    within: Within,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    /// Nothing that was wanted.
    Others,
    /// A backtrace.
    Backtrace,
    /// How much memory there is, which may follow.
    MemInfo,
}

impl Quiet {
    const LEVEL: &str = "/proc/sys/kernel/printk";
    /// What a panic prints: nothing besides, or the whole log (`panic_print` in
    /// `admin-guide/kernel-parameters.txt`).
    const ON_PANIC: &str = "/proc/sys/kernel/panic_print";
    const NOTHING: &str = "0";
    const WHOLE_LOG: &str = "32";

    /// From here on.
    #[expect(
        clippy::new_without_default,
        reason = "it changes things in the kernel"
    )]
    pub fn new() -> Self {
        let level = fs::read_to_string(Self::LEVEL).expect(Self::LEVEL);
        fs::write(Self::LEVEL, "1").expect(Self::LEVEL);
        fs::write(Self::ON_PANIC, Self::WHOLE_LOG).expect(Self::ON_PANIC);
        let mut log = File::options()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
            .open("/dev/kmsg")
            .expect("the kernel's log");
        log.seek(SeekFrom::End(0)).expect("its end");
        Self {
            log,
            level,
            others: Vec::new(),
            within: Within::Others,
        }
    }

    /// What failed since this was asked last, as far as the kernel said so.
    pub fn stacks(&mut self) -> Vec<Stack> {
        let mut stacks = Vec::new();
        while let Some(line) = self.line() {
            if is_of_no_memory(&line) {
                self.within = Within::Backtrace;
                stacks.push(Stack::default());
                continue;
            }
            match self.within {
                Within::Backtrace if line.trim() == "</TASK>" => self.within = Within::MemInfo,
                Within::Backtrace if line.contains("+0x") && !line.contains("? ") => {
                    let stack = stacks.last_mut().expect("within one");
                    stack.0.push(line.trim().to_owned());
                }
                Within::Backtrace => (),
                Within::MemInfo if is_of_memory(&line) => (),
                Within::MemInfo | Within::Others => {
                    self.within = Within::Others;
                    self.others.push(line);
                }
            }
        }
        stacks
    }

    fn line(&mut self) -> Option<String> {
        let mut record = [0; 8192];
        match self.log.read(&mut record) {
            Ok(length) => {
                let text = String::from_utf8_lossy(&record[..length]);
                let (_, message) = text.split_once(';').expect("a record");
                Some(message.lines().next().unwrap_or_default().to_owned())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("the kernel's log: {error}"),
        }
    }
}

/// The beginnings of reports that are no news here.
fn is_of_no_memory(line: &str) -> bool {
    line.starts_with("FAULT_INJECTION: forcing a failure")
        || line.starts_with("percpu: allocation failed")
        || line.contains(": vmalloc error: ")
        // By ENOMEM, of a network namespace's own.
        || line.starts_with("sysctl could not get directory: ") && line.ends_with(" -12")
}

/// What `__show_mem()` in the kernel's `mm/page_alloc.c` says.
fn is_of_memory(line: &str) -> bool {
    line.starts_with("Mem-Info:")
        || line.starts_with("Node ")
        || line.starts_with("lowmem_reserve[]")
        || line.starts_with("DMA")
        || line.starts_with("Normal")
        || line.starts_with("active_anon:")
        || line.contains(" pages ")
        || line.contains("pagecache")
}

impl Drop for Quiet {
    fn drop(&mut self) {
        self.stacks();
        // No panic within a panic.
        let _ = fs::write(Self::LEVEL, &self.level);
        let _ = fs::write(Self::ON_PANIC, Self::NOTHING);
        for line in &self.others {
            let _ = fs::write("/dev/kmsg", format!("<4>{line}\n"));
        }
    }
}
