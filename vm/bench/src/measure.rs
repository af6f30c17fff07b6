//! What an event costs: from the first packet sent until the reader has seen the
//! last event, once with N packets and once with twice as many. Of the difference,
//! all that happens only once is gone; without what the packets cost alone, the
//! rest is the capture's.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};
use icmptap_vm_tests::net::Namespace;
use icmptap_vm_tests::process::Process;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::clock::{Clock, MOMENT};
use crate::fold::Fold;
use crate::peer::{Ends, Field, Foreign, Peer, Reader};
use crate::traffic::{self, LENGTH, Sender};

/// The argument that makes this program a reader.
pub(crate) const READ: &str = "read";

/// Of guest time that is never idle, so much is a long time.
const PATIENCE: Duration = Duration::from_secs(3);

/// Who prints is slower than who sends: of fewer packets all find room meanwhile.
const PRINTS: u64 = 4;

/// What is printed, as a line of JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) settings: String,
    /// Of what.
    pub(crate) unit: &'static str,
    pub(crate) value: f64,
    /// Events that the reader did not get: then the value means little.
    pub(crate) lost: u64,
    pub(crate) more_is_better: bool,
}

/// Measures.
pub(crate) struct Bench {
    pub(crate) clock: Clock,
    /// Packets in the shorter run.
    pub(crate) packets: u64,
}

/// What a run took, and what was lost in it.
pub(crate) struct Run {
    instructions: u64,
    lost: u64,
}

impl Run {
    pub(crate) fn without_loss(instructions: u64) -> Run {
        Run {
            instructions,
            lost: 0,
        }
    }
}

impl Bench {
    /// Instructions per packet without capture.
    pub(crate) fn baseline(&self) -> Result<f64> {
        self.sent(&traffic::namespace()?, || Sender::new(LENGTH))
    }

    /// Instructions per packet, from sending the first until the last was sent, in a
    /// namespace as it is.
    pub(crate) fn sent(
        &self,
        namespace: &Namespace,
        sender: impl Fn() -> Result<Sender> + Sync,
    ) -> Result<f64> {
        let (value, _) = slope(self.packets, |count| {
            let (start, end) = self.send(namespace, &sender, count)?;
            Ok(Run::without_loss(end - start))
        })?;
        Ok(value)
    }

    /// Instructions per event beyond the baseline.
    pub(crate) fn event(&self, index: usize, peer: &Peer, baseline: f64) -> Result<Figure> {
        let namespace = traffic::namespace()?;
        (peer.prepare)(&namespace);
        let (value, lost) = match &peer.reader {
            Reader::Own(_) => {
                let program = env::current_exe()?;
                let program = format!("{} {READ} {index}", program.display());
                slope(self.packets, |count| {
                    self.run(&namespace, &program, peer, count)
                })?
            }
            Reader::Program(program) => slope(self.packets, |count| {
                self.run(&namespace, program, peer, count)
            })?,
            Reader::Foreign(foreign) => {
                let packets = match foreign.prints {
                    true => self.packets / PRINTS,
                    false => self.packets,
                };
                slope(packets, |count| {
                    self.run_foreign(&namespace, foreign, count)
                })?
            }
        };
        Ok(Figure {
            name: peer.name,
            settings: peer.settings.clone(),
            unit: EVENT,
            value: value - baseline,
            lost,
            more_is_better: false,
        })
    }

    /// When the first packet was sent, and when the last one had been.
    fn send(
        &self,
        namespace: &Namespace,
        sender: impl Fn() -> Result<Sender> + Sync,
        count: u64,
    ) -> Result<(u64, u64)> {
        namespace.enter(|| {
            let sender = sender()?;
            self.clock.settle()?;
            let start = self.clock.now()?;
            sender.send(count)?;
            Ok((start, self.clock.now()?))
        })
    }

    fn run(&self, namespace: &Namespace, program: &str, peer: &Peer, count: u64) -> Result<Run> {
        let words = format!("{program} {count} {}", self.clock.spinner);
        let reader = Process::start(namespace.command(&words));
        reader.wait_for("ready");
        let before = SystemTime::now();
        let (start, _) = self.send(namespace, || Sender::new(LENGTH), count)?;
        let Some(line) = reader.line(PATIENCE) else {
            bail!("it did not see {count} events");
        };
        let read: Read = serde_json::from_str(&line).context(line)?;
        check(peer, &read.fold, count, before).with_context(|| format!("{:?}", read.fold))?;
        Ok(Run {
            instructions: read.end - start,
            lost: read.fold.lost,
        })
    }

    fn run_foreign(&self, namespace: &Namespace, foreign: &Foreign, count: u64) -> Result<Run> {
        let words = match foreign.ends {
            Ends::Itself => format!("{} -c {count}", foreign.command),
            Ends::Never { .. } => foreign.command.clone(),
        };
        // What it prints must not cost somebody else's reading.
        let mut child = namespace
            .command(&words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context(words)?;
        let stderr = child.stderr.take().expect("the pipe was asked for");
        let mut stderr = BufReader::new(stderr);
        let mut said = String::new();
        while !said.contains(foreign.ready) {
            ensure!(stderr.read_line(&mut said)? > 0, "{said}");
        }
        let (start, _) = self.send(namespace, || Sender::new(LENGTH), count)?;
        let (end, lost) = match foreign.ends {
            Ends::Itself => (self.end_of(&mut child)?, 0),
            Ends::Never { lines_in } => {
                let end = self.clock.settle()?;
                kill_process(Pid::from_child(&child), Signal::TERM)?;
                child.wait()?;
                let lines = fs::read_to_string(lines_in)?.lines().count() as u64;
                fs::remove_file(lines_in)?;
                (end, count - lines)
            }
        };
        Ok(Run {
            instructions: end - start,
            lost,
        })
    }

    /// When a program has ended.
    fn end_of(&self, child: &mut Child) -> Result<u64> {
        let sent = Instant::now();
        while child.try_wait()?.is_none() {
            if sent.elapsed() > PATIENCE {
                child.kill()?;
                child.wait()?;
                bail!("it did not see all events");
            }
            sleep(MOMENT);
        }
        self.clock.now()
    }
}

/// Instructions for each of so many packets: of the difference between a run with so
/// many and one with twice as many. And what was lost in both.
pub(crate) fn slope(packets: u64, run: impl Fn(u64) -> Result<Run>) -> Result<(f64, u64)> {
    let once = run(packets)?;
    let twice = run(2 * packets)?;
    let more = twice.instructions as f64 - once.instructions as f64;
    Ok((more / packets as f64, once.lost + twice.lost))
}

/// The unit of an event's cost.
pub(crate) const EVENT: &str = "instructions per event";

/// What a reader says.
#[derive(Debug, Serialize, Deserialize)]
struct Read {
    /// When it had seen the last event.
    end: u64,
    fold: Fold,
}

/// The reader's own work.
pub(crate) fn read(peer: &Peer, count: u64, clock: Clock) -> Result<()> {
    let mut fold = Fold::default();
    peer.open()?.read(&mut fold, count)?;
    let end = clock.now()?;
    println!("{}", serde_json::to_string(&Read { end, fold })?);
    Ok(())
}

/// Was everything seen that was sent, but for what was lost?
fn check(peer: &Peer, fold: &Fold, count: u64, before: SystemTime) -> Result<()> {
    ensure!(fold.count + fold.lost == count, "{count} were sent");
    let gives = |field| !peer.lacks.contains(&field);
    if gives(Field::Time) {
        let since_1970 = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH);
        let before = since_1970(before)?.as_nanos();
        let after = since_1970(SystemTime::now())?.as_nanos();
        let times = before..=after;
        ensure!(times.contains(&fold.first_ns.into()), "the first time");
        ensure!(times.contains(&fold.last_ns.into()), "the last time");
        ensure!(fold.backwards == 0, "times go back");
    }
    if fold.lost > 0 {
        return Ok(());
    }
    let expected = traffic::expected(count);
    ensure!(fold.addresses == expected.addresses, "{expected:?}");
    let marks = !gives(Field::Mark) || fold.marks == expected.marks;
    let others = !gives(Field::Others) || fold.others == expected.others;
    ensure!(marks && others, "{expected:?}");
    Ok(())
}
