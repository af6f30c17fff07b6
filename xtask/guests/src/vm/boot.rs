//! Runs QEMU: hands on what the guest reports while it runs, kills it when it
//! takes too long, and brings back everything there is to judge by.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use duct::{Expression, ReaderHandle};
use icmptap_guest::Report;
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use super::console;
use super::qemu::{self, Console, Machine};
use super::verdict::{Ended, Expected, Tally, Verdict, judge};

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For the first report.
    pub(crate) boot: Duration,
    /// For all of the rest.
    pub(crate) total: Option<Duration>,
    /// For each next report.
    pub(crate) silence: Option<Duration>,
}

/// Whether the kernel's complaints are all that somebody waits for. Then the guest is
/// killed: what is as broken as it was to be may never end.
pub(crate) type IsEnough<'a> = &'a dyn Fn(&[String]) -> bool;

/// How often the console is looked at for that.
const LOOK: Duration = Duration::from_millis(500);

/// How it went.
#[derive(Debug)]
pub struct End {
    /// What to think of it.
    pub verdict: Verdict,
    /// Why the verdict is no better.
    pub reasons: Vec<String>,
    /// What the guest reported.
    pub tally: Tally,
    /// QEMU ended with an error of its own before the guest said anything.
    pub(crate) declined: bool,
    /// The end of the console log.
    pub(crate) last_lines: Vec<String>,
}

/// Boots the machine and waits for its end. `each` gets every report as it comes.
///
/// To be called from the main thread, or one that lives as long: QEMU goes with it.
pub(crate) fn boot(
    program: &Path,
    machine: &Machine,
    expected: Expected,
    patience: Patience,
    is_enough: Option<IsEnough<'_>>,
    each: &mut dyn FnMut(&Report) -> Result<()>,
) -> Result<End> {
    let log = machine.console.log();
    // A log of an earlier run must not be judged.
    File::create(log).with_context(|| format!("create {}", log.display()))?;
    let stderr = log.with_file_name("qemu.log");
    let mut qemu = tied(duct::cmd(program, qemu::arguments(machine)).unchecked());
    if !matches!(machine.console, Console::Shown(_)) {
        qemu = qemu.stderr_path(&stderr);
    }

    let mut tally = Tally::default();
    // Its status has no say in the verdict.
    let (ended, status) = match &machine.console {
        Console::Terminal { reports, .. } => {
            File::create(reports).with_context(|| format!("create {}", reports.display()))?;
            let output = qemu.run().map_err(|error| not_started(program, error))?;
            for line in fs::read_to_string(reports)?.lines() {
                add(line, &mut tally, each)?;
            }
            (Ended::Itself, Some(output.status))
        }
        _ => {
            let watch = is_enough.map(|is_enough| Watch { log, is_enough });
            let qemu = qemu.stdin_null();
            follow(program, &qemu, patience, watch, &mut tally, each)?
        }
    };

    let text = fs::read(log).with_context(|| format!("read {}", log.display()))?;
    let findings = console::scan(&text);
    let (verdict, mut reasons) = judge(expected, &tally, &findings, &ended);
    if !tally.is_done() {
        reasons.extend(last_lines(&stderr, 3).map(|line| format!("QEMU said: {line}")));
    }
    let failed = status.and_then(|status| status.code()).unwrap_or(0) != 0;
    Ok(End {
        verdict,
        reasons,
        declined: failed && text.is_empty() && !tally.is_done(),
        tally,
        last_lines: last_lines(log, 15).collect(),
    })
}

fn follow(
    program: &Path,
    qemu: &Expression,
    patience: Patience,
    watch: Option<Watch<'_>>,
    tally: &mut Tally,
    each: &mut dyn FnMut(&Report) -> Result<()>,
) -> Result<(Ended, Option<ExitStatus>)> {
    let running = qemu.reader().map_err(|error| not_started(program, error))?;
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        let output = &running;
        scope.spawn(move || {
            for line in BufReader::new(output).split(b'\n') {
                // Nobody listens any more when we are done for.
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        // Whatever makes us stop listening, the scope ends only when QEMU does.
        let _killer = Killer(&running);
        let ended = listen(&receiver, patience, watch, tally, each)?;
        // None yet if it is still to be killed.
        let output = running.try_wait().context("wait for QEMU")?;
        Ok((ended, output.map(|output| output.status)))
    })
}

/// Kills QEMU when dropped, a panic included.
struct Killer<'a>(&'a ReaderHandle);

impl Drop for Killer<'_> {
    fn drop(&mut self) {
        // It fails only when there is nothing left to kill.
        let _ = self.0.kill();
    }
}

/// The console, as somebody waits for what comes there.
struct Watch<'a> {
    log: &'a Path,
    is_enough: IsEnough<'a>,
}

impl Watch<'_> {
    fn is_over(&self) -> Result<bool> {
        let text = fs::read(self.log).with_context(|| format!("read {}", self.log.display()))?;
        Ok((self.is_enough)(&console::scan(&text).splats))
    }
}

fn listen(
    lines: &mpsc::Receiver<std::io::Result<Vec<u8>>>,
    patience: Patience,
    watch: Option<Watch<'_>>,
    tally: &mut Tally,
    each: &mut dyn FnMut(&Report) -> Result<()>,
) -> Result<Ended> {
    let start = Instant::now();
    let mut limit = Some(("the boot", patience.boot, start + patience.boot));
    let mut total = None;
    let mut first = true;
    loop {
        let left = limit.map(|(_, _, deadline)| deadline.saturating_duration_since(Instant::now()));
        let look = watch.as_ref().map(|_| LOOK);
        let line = match left.into_iter().chain(look).min() {
            Some(wait) => lines.recv_timeout(wait),
            None => lines.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match line {
            Ok(line) => {
                add(&String::from_utf8_lossy(&line?), tally, each)?;
                let now = Instant::now();
                if std::mem::take(&mut first) {
                    total = patience.total.map(|limit| ("the job", limit, now + limit));
                }
                let silence = patience
                    .silence
                    .map(|limit| ("the next report", limit, now + limit));
                limit = total.into_iter().chain(silence).min_by_key(|limit| limit.2);
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(Ended::Itself),
            Err(RecvTimeoutError::Timeout) => {
                if let Some((what, limit, deadline)) = limit
                    && deadline <= Instant::now()
                {
                    return Ok(Ended::Killed(what, limit));
                }
                if let Some(watch) = &watch
                    && watch.is_over()?
                {
                    return Ok(Ended::Enough);
                }
            }
        }
    }
}

fn add(line: &str, tally: &mut Tally, each: &mut dyn FnMut(&Report) -> Result<()>) -> Result<()> {
    match serde_json::from_str(line) {
        Ok(report) => {
            tally.add(&report);
            each(&report)
        }
        Err(_) => {
            tally.add_garbled();
            Ok(())
        }
    }
}

fn not_started(program: &Path, error: std::io::Error) -> anyhow::Error {
    let missing = error.kind() == std::io::ErrorKind::NotFound;
    let hint = if missing {
        " (`cargo xtask setup` installs what is needed)"
    } else {
        ""
    };
    anyhow::Error::new(error).context(format!("cannot start {}{hint}", program.display()))
}

fn last_lines(path: &Path, count: usize) -> impl Iterator<Item = String> + use<> {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines: Vec<_> = text
        .lines()
        .map(|line| line.trim_end().to_owned())
        .filter(|line| !line.is_empty())
        .collect();
    let skip = lines.len().saturating_sub(count);
    lines.into_iter().skip(skip)
}

/// The program dies when the thread that starts it does, however that dies.
fn tied(command: Expression) -> Expression {
    let parent = std::process::id();
    command.before_spawn(move |command| {
        kill_with_parent(command, parent);
        Ok(())
    })
}

#[allow(unsafe_code)]
fn kill_with_parent(command: &mut Command, parent: u32) {
    use std::os::unix::process::CommandExt;
    let tie = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // It may have died before we asked.
        match getppid() {
            Some(now) if now.as_raw_pid() as u32 == parent => Ok(()),
            _ => Err(rustix::io::Errno::SRCH.into()),
        }
    };
    // SAFETY: between fork and exec, `tie` makes two system calls and neither
    // allocates nor takes a lock.
    unsafe { command.pre_exec(tie) };
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use anyhow::bail;
    use rustix::process::{Pid, test_kill_process};

    use super::*;
    use crate::vm::qemu::Accel;
    use crate::vm::script;

    const FOR_EVER: Patience = Patience {
        boot: Duration::from_secs(60),
        total: None,
        silence: None,
    };

    /// Boots with this script for a QEMU.
    fn boot_script(
        dir: &Path,
        script: &str,
        each: &mut dyn FnMut(&Report) -> Result<()>,
    ) -> Result<End> {
        boot_script_until(dir, script, None, each)
    }

    fn boot_script_until(
        dir: &Path,
        script: &str,
        is_enough: Option<IsEnough<'_>>,
        each: &mut dyn FnMut(&Report) -> Result<()>,
    ) -> Result<End> {
        let qemu = dir.join("qemu");
        script::write(&qemu, script);
        let machine = Machine {
            accel: Accel::Tcg,
            one_thread: false,
            icount: false,
            smp: 1,
            memory_mib: 64,
            kernel: "/none".into(),
            image: "/none".into(),
            console: Console::Log(dir.join("console.log")),
            disk: None,
            firmware: None,
        };
        boot(&qemu, &machine, Expected::Boot, FOR_EVER, is_enough, each)
    }

    /// Whatever ends us, an error or a panic, QEMU is not left behind.
    #[test]
    fn qemu_goes_when_we_stop_listening() {
        type Each = dyn FnMut(&Report) -> Result<()>;
        let panics: &mut Each = &mut |_| panic!("on purpose");
        let fails: &mut Each = &mut |_| bail!("on purpose");
        for each in [panics, fails] {
            let dir = tempfile::tempdir().unwrap();
            let pid = dir.path().join("pid");
            let script = format!(
                "echo $$ > {}; echo '{{\"report\":\"ready\",\"uptime_ms\":1}}'; exec sleep 60",
                pid.display()
            );
            let start = Instant::now();
            let result = catch_unwind(AssertUnwindSafe(|| boot_script(dir.path(), &script, each)));
            assert!(!matches!(result, Ok(Ok(_))), "each was not called");
            assert!(start.elapsed() < Duration::from_secs(20));
            let pid = fs::read_to_string(pid).unwrap().trim().parse().unwrap();
            let pid = Pid::from_raw(pid).unwrap();
            assert_eq!(test_kill_process(pid), Err(rustix::io::Errno::SRCH));
        }
    }

    /// The rest of such a guest's life is of no use, and may have no end.
    #[test]
    fn a_guest_that_has_said_enough_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let script = "echo '[    1.000000] BUG: a' > ${0%/*}/console.log\n\
                      sleep 2\n\
                      echo '[    2.000000] BUG: b' >> ${0%/*}/console.log\n\
                      exec sleep 600";
        let is_enough = |splats: &[String]| splats == ["BUG: a", "BUG: b"];
        let end = boot_script_until(dir.path(), script, Some(&is_enough), &mut |_| Ok(())).unwrap();
        assert_eq!(end.verdict, Verdict::Splat);
    }

    #[test]
    fn a_qemu_that_declines_is_told_from_one_that_dies() {
        for (script, declined) in [
            ("exit 1", true),
            ("kill -ABRT $$", false),
            ("exit 0", false),
            // The console's log stands for the guest's first words.
            ("echo hello > ${0%/*}/console.log; exit 1", false),
            (r#"echo '{"report":"done"}'; exit 1"#, false),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let end = boot_script(dir.path(), script, &mut |_| Ok(())).unwrap();
            assert_eq!(end.declined, declined, "{script}");
        }
    }
}
