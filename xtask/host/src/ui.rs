//! What a person sees while they wait, all of it on stderr.
//!
//! On a terminal, what is under way is a moving line, and becomes a still one
//! with its time when it is done. Elsewhere (a log, a pipe) nothing moves, and
//! only what took more than a second leaves a line.

use std::fmt::Display;
use std::io::IsTerminal;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Shorter than this is not worth a line in a log.
const WORTH_A_LINE: Duration = Duration::from_secs(1);

/// Everything that moves, so that [`say`] can write above it.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

static TERMINAL: LazyLock<bool> = LazyLock::new(|| std::io::stderr().is_terminal());

static HUSHED: AtomicBool = AtomicBool::new(false);

/// One line: a verb, and what it is done to.
pub fn say(verb: &str, what: impl Display) {
    print_line(&line(verb, &what.to_string()));
}

/// Something the user must not miss.
pub fn warn(what: impl Display) {
    print_line(&format!("warning: {what}"));
}

/// Why the command failed: the whole chain, as one sentence.
pub fn error(error: &anyhow::Error) {
    print_line(&format!("error: {error:#}"));
}

/// Something that takes a while begins: `ui::phase("build", "icmptap.ko")`.
///
/// Call [`Phase::done`] when it has worked. Dropped without that, it failed, and
/// leaves no line: the error will say so.
pub fn phase(verb: &'static str, what: impl Display) -> Phase {
    let what = what.to_string();
    let bar = moving(
        ProgressBar::new_spinner(),
        "{prefix:>12}  {wide_msg} {elapsed}",
    );
    bar.set_prefix(verb);
    bar.set_message(what.clone());
    Phase {
        verb,
        what,
        bar,
        start: Instant::now(),
    }
}

/// A download of `total` bytes begins.
pub fn transfer(what: impl Display, total: u64) -> Transfer {
    let what = what.to_string();
    let template = "{prefix:>12}  {msg} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec}";
    let bar = moving(ProgressBar::new(total), template);
    bar.set_prefix("fetch");
    bar.set_message(what.clone());
    Transfer {
        what,
        bar,
        start: Instant::now(),
        bytes: 0,
    }
}

/// From now on, where nothing moves, nothing is said of what worked: standard error
/// is a command's own.
pub fn hush() {
    HUSHED.store(true, Ordering::Relaxed);
}

fn worth_a_line(took: Duration) -> bool {
    *TERMINAL || (took > WORTH_A_LINE && !HUSHED.load(Ordering::Relaxed))
}

/// Something under way; see [`phase`].
#[must_use = "a phase that is dropped at once has no time"]
pub struct Phase {
    verb: &'static str,
    what: String,
    bar: ProgressBar,
    start: Instant,
}

impl Phase {
    /// How far it is; only a moving line shows that.
    pub fn note(&self, how_far: impl Display) {
        self.bar.set_message(format!("{}  {how_far}", self.what));
    }

    /// It worked: leave a line with its time.
    pub fn done(self) {
        self.bar.finish_and_clear();
        let took = self.start.elapsed();
        if worth_a_line(took) {
            say(self.verb, format!("{}  {}", self.what, seconds(took)));
        }
    }
}

impl Drop for Phase {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A download under way; see [`transfer`].
#[must_use = "a transfer that is dropped at once has no rate"]
pub struct Transfer {
    what: String,
    bar: ProgressBar,
    start: Instant,
    bytes: u64,
}

impl Transfer {
    /// So many more bytes have come.
    pub fn advance(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        self.bar.inc(bytes as u64);
    }

    /// It is all here: leave a line with its size and rate.
    pub fn done(self) {
        self.bar.finish_and_clear();
        let took = self.start.elapsed();
        if worth_a_line(took) {
            say(
                "fetch",
                format!(
                    "{}  {}  {}",
                    self.what,
                    size(self.bytes),
                    rate(self.bytes, took)
                ),
            );
        }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A size for people: `26.5 MB`.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

fn rate(bytes: u64, took: Duration) -> String {
    format!(
        "{}/s",
        size((bytes as f64 / took.as_secs_f64().max(1e-3)) as u64)
    )
}

fn seconds(took: Duration) -> String {
    match took.as_secs() {
        0..120 => format!("{:.1} s", took.as_secs_f64()),
        whole => format!("{} min {} s", whole / 60, whole % 60),
    }
}

fn line(verb: &str, what: &str) -> String {
    format!("{verb:>12}  {what}")
}

fn print_line(line: &str) {
    BARS.suspend(|| eprintln!("{line}"));
}

/// A bar that moves on a terminal and is not there elsewhere.
fn moving(bar: ProgressBar, template: &str) -> ProgressBar {
    if !*TERMINAL {
        return ProgressBar::hidden();
    }
    bar.set_style(ProgressStyle::with_template(template).expect("our own template is right"));
    let bar = BARS.add(bar);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_write_them() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (26_543_210, "26.5 MB"),
            (3_200_000_000, "3.2 GB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn a_rate_survives_no_time_at_all() {
        assert_eq!(rate(24_000_000, Duration::from_secs(2)), "12.0 MB/s");
        assert_eq!(rate(1_000, Duration::ZERO), "1.0 MB/s");
    }

    #[test]
    fn what_takes_long_is_in_minutes() {
        assert_eq!(seconds(Duration::from_millis(1_250)), "1.2 s");
        assert_eq!(seconds(Duration::from_secs(754)), "12 min 34 s");
    }

    #[test]
    fn verbs_line_up() {
        assert_eq!(line("fetch", "x"), "       fetch  x");
        assert_eq!(line("build", "y").find('y'), line("fetch", "x").find('x'));
    }
}
