//! Programs: run to their end, or beside a test with their lines read as
//! they come.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

/// How long anything that has to happen may take, from `ICMPTAP_PATIENCE_S`: more in
/// a slow kernel. No test is about speed: this only ends those that would wait forever.
pub fn patience() -> Duration {
    let text = env::var("ICMPTAP_PATIENCE_S");
    let seconds = text.map_or(30, |text| text.parse().expect("seconds"));
    Duration::from_secs(seconds)
}

/// Whether everything takes long in this kernel, which looks at all that it does.
pub fn is_slow() -> bool {
    patience() > Duration::from_secs(60)
}

/// How often a test does what it does many times: in a long run (`ICMPTAP_LONG`), and
/// usually. All kernels together try often enough, and each run is one try more.
pub fn times<T>(long: T, usually: T) -> T {
    match env::var_os("ICMPTAP_LONG") {
        Some(_) => long,
        None => usually,
    }
}

/// A [`Command`] from words divided by spaces.
pub fn command(words: &str) -> Command {
    let mut words = words.split_whitespace();
    let mut command = Command::new(words.next().expect("a program"));
    command.args(words);
    command
}

/// Runs `words` to their end, which has to be a success; returns stdout.
pub fn run(words: &str) -> String {
    succeed(&mut command(words))
}

/// Runs `command` to its end, which has to be a success; returns stdout.
pub fn succeed(command: &mut Command) -> String {
    succeed_with(command, "")
}

/// Runs `command` to its end, with `input` for stdin; returns stdout.
pub fn succeed_with(command: &mut Command, input: &str) -> String {
    let output = output_with(command, input);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    String::from_utf8(output.stdout).expect("text")
}

/// Runs `command` to its end, whatever it is.
pub fn output(command: &mut Command) -> Output {
    output_with(command, "")
}

fn output_with(command: &mut Command, input: &str) -> Output {
    let mut run = || {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // Short enough for a pipe; dropped, it ends. Not everybody reads it.
        let _ = child
            .stdin
            .take()
            .expect("a pipe")
            .write_all(input.as_bytes());
        child.wait_with_output()
    };
    let result: io::Result<Output> = run();
    result.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Waits until `happened`, or panics with `what` did not happen.
pub fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < patience(), "waited in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Keeps the thread, and the threads and programs that it starts from now on,
/// on the CPU that it is on; returns its number. What they send over a wire
/// passes the hooks on that CPU, and so belongs to one stream.
pub fn stay_on_one_cpu() -> usize {
    let cpu = sched_getcpu();
    let mut only = CpuSet::new();
    only.set(cpu);
    sched_setaffinity(None, &only).expect("sched_setaffinity");
    cpu
}

/// Runs `function` once on each CPU, all at the same time; returns on how many.
pub fn on_each_cpu(function: impl Fn() + Sync) -> usize {
    let allowed = sched_getaffinity(None).expect("sched_getaffinity");
    let cpus = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu));
    thread::scope(|scope| {
        let threads: Vec<_> = cpus
            .map(|cpu| {
                let function = &function;
                scope.spawn(move || {
                    let mut only = CpuSet::new();
                    only.set(cpu);
                    sched_setaffinity(None, &only).expect("sched_setaffinity");
                    function();
                })
            })
            .collect();
        threads.len()
    })
}

/// Sets it however the scope is left, a panic included: or threads that wait for it
/// would keep the scope forever.
pub struct SetWhenDropped<'a>(pub &'a AtomicBool);

impl Drop for SetWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A program that runs beside the test, and is killed with it.
pub struct Process {
    name: String,
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Process {
    /// Starts `command`.
    pub fn start(mut command: Command) -> Self {
        let name = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        Self {
            stdout: lines(child.stdout.take().expect("a pipe")),
            stderr: lines(child.stderr.take().expect("a pipe")),
            name,
            child,
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line on stderr that contains `text`.
    pub fn wait_for(&self, text: &str) -> String {
        let mut seen = String::new();
        loop {
            match self.stderr.recv_timeout(patience()) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => seen.push_str(&(line + "\n")),
                Err(_) => panic!("{} did not say {text:?} on stderr, but:\n{seen}", self.name),
            }
        }
    }

    /// The next `count` lines of stdout.
    pub fn take(&self, count: usize) -> Vec<String> {
        (1..=count)
            .map(|nth| {
                self.stdout
                    .recv_timeout(patience())
                    .unwrap_or_else(|_| panic!("{}: line {nth} of {count} did not come", self.name))
            })
            .collect()
    }

    /// The next line of stdout, if it comes soon enough.
    pub fn line(&self, patience: Duration) -> Option<String> {
        self.stdout.recv_timeout(patience).ok()
    }

    /// Asserts that stdout says nothing for a while.
    pub fn is_silent(&self) {
        assert_eq!(self.line(Duration::from_millis(300)), None, "{}", self.name);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap_or_else(|error| panic!("kill {}: {error}", self.name));
    }

    /// Waits for the end; returns the status and what is left of stdout and
    /// stderr.
    pub fn end(mut self) -> (ExitStatus, Vec<String>, Vec<String>) {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            assert!(start.elapsed() < patience(), "{} does not end", self.name);
            thread::sleep(Duration::from_millis(5));
        };
        (
            status,
            self.stdout.iter().collect(),
            self.stderr.iter().collect(),
        )
    }

    /// Sends a signal and waits for the end.
    pub fn end_by(self, signal: Signal) -> (ExitStatus, Vec<String>, Vec<String>) {
        self.signal(signal);
        self.end()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines() {
            if line.is_ok_and(|line| sender.send(line).is_ok()) {
                continue;
            }
            break;
        }
    });
    receiver
}
