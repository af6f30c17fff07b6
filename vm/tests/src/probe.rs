//! Probes: the kernel says when it comes by a place in its own code.

use std::fs::{self, File, OpenOptions};
use std::io::Write;

const TRACING: &str = "/sys/kernel/tracing";

/// A probe, taken away when dropped.
pub struct Probe {
    name: &'static str,
}

impl Probe {
    /// Sets one. `definition` is as in the kernel's `trace/kprobetrace.rst`, and
    /// has `name` for the event.
    pub fn new(name: &'static str, definition: &str) -> Self {
        command("kprobe_events", definition).expect("a probe");
        let probe = Self { name };
        probe.enable(true).expect("a switch");
        probe
    }

    /// Reports only what meets this.
    pub fn only(&self, condition: &str) {
        let path = format!("{TRACING}/events/kprobes/{}/filter", self.name);
        fs::write(&path, condition).unwrap_or_else(|error| panic!("{condition}: {error}"));
    }

    /// How often the kernel came by until now.
    pub fn count(&self) -> u32 {
        let text = fs::read_to_string(format!("{TRACING}/kprobe_profile")).expect("a profile");
        text.lines()
            .find_map(|line| line.trim().strip_prefix(self.name))
            .and_then(|counts| counts.split_whitespace().next()?.parse().ok())
            .expect("our probe")
    }

    /// The same while something is done.
    pub fn during(&self, something: impl FnOnce()) -> u32 {
        let before = self.count();
        something();
        self.count() - before
    }

    fn enable(&self, on: bool) -> std::io::Result<()> {
        let path = format!("{TRACING}/events/kprobes/{}/enable", self.name);
        fs::write(path, if on { "1" } else { "0" })
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // Left over, it ends with the guest.
        let _ = self.enable(false);
        let _ = command("kprobe_events", &format!("-:{}", self.name));
    }
}

/// Appends: a write from the start would take all other probes away.
fn command(file: &str, line: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .append(true)
        .open(format!("{TRACING}/{file}"))?;
    file.write_all(line.as_bytes())
}

/// Has every report come with the stack, and the offset in each function.
pub fn with_stacks() {
    for option in ["stacktrace", "sym-offset"] {
        fs::write(format!("{TRACING}/options/{option}"), "1").expect("an option");
    }
}

/// A file: what is written to it stands among the reports.
pub fn marker() -> File {
    let path = format!("{TRACING}/trace_marker");
    let file = File::options().write(true).open(&path);
    file.unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Forgets what was reported.
pub fn forget() {
    fs::write(format!("{TRACING}/trace"), "").expect("a trace");
}

/// What was reported, as text.
pub fn reports() -> String {
    let text = fs::read_to_string(format!("{TRACING}/trace")).expect("a trace");
    assert!(
        !text.contains("LOST"),
        "more was reported than the kernel kept"
    );
    text
}
