//! `bench`: what it costs to carry an ICMP packet from a hook to a program.
//!
//! A program of vm/bench measures in a guest that counts instructions, us and what
//! else there is, and prints its figures, which are made a table of here.

mod table;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use icmptap_guest::{Report, Stream, Task};
use serde::{Deserialize, Serialize};

use crate::vm::artifacts::Wanted;
use crate::vm::machine::{Errand, Guest, Options};
use crate::vm::verdict::Verdict;
use crate::{ui, vm_run};

/// Measure what an event costs, us and what else there is, in guest instructions
///
/// The guest is emulated, has one CPU and counts instructions: a figure is the same
/// on any machine, and does not mind what else that does.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only what has one of these in its name
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// The kernel to boot, one of vm/kernels.toml
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,

    #[command(flatten)]
    options: Options,
}

pub(crate) fn run(args: &Args, locked: bool) -> Result<ExitCode> {
    let options = args.options.with_icount();
    let guest = Guest::prepare(
        &options,
        args.kernel.as_deref(),
        true,
        Wanted::Bench,
        locked,
    )?;
    let figures = measure(&guest, &args.names)?;
    print!("{}", table::text(&figures));
    Ok(ExitCode::SUCCESS)
}

/// What was measured, as the guest's program prints it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Figure {
    name: String,
    settings: String,
    /// Of what: figures of one unit can be compared.
    unit: String,
    value: f64,
    /// Events that were lost meanwhile.
    lost: u64,
}

fn measure(guest: &Guest<'_>, names: &[String]) -> Result<Vec<Figure>> {
    let argv = [&["bench".to_owned()], names].concat();
    let errand = Errand {
        // A program of vm/bench.
        task: Task::Run {
            argv,
            env: Vec::new(),
        },
        copies: &[],
        total: None,
        silence: Some(guest.scaled(Duration::from_secs(30))),
    };
    let mut lines = Lines::default();
    let end = guest.run(errand, &mut |report| match report {
        Report::Output {
            stream: Stream::Stdout,
            data,
        } => {
            let bytes: Vec<u8> = data.clone().try_into().context("read the figures")?;
            lines.add(&bytes)
        }
        report => vm_run::print(report),
    })?;
    let code = end.tally.command.map(|ending| ending.code());
    ensure!(
        end.verdict == Verdict::Pass && code == Some(0),
        "{}, the program in the guest exited with {code:?}",
        end.verdict
    );
    Ok(lines.figures)
}

/// Makes figures of what comes in pieces.
#[derive(Default)]
struct Lines {
    rest: Vec<u8>,
    figures: Vec<Figure>,
}

impl Lines {
    fn add(&mut self, bytes: &[u8]) -> Result<()> {
        self.rest.extend(bytes);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let figure: Figure = serde_json::from_slice(&line)
                .with_context(|| format!("no figure: {}", String::from_utf8_lossy(&line)))?;
            ui::say(
                "figure",
                format!("{}, {}: {:.1}", figure.name, figure.settings, figure.value),
            );
            self.figures.push(figure);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_come_in_pieces_and_two_at_once() {
        let line = br#"{"name":"a","settings":"b","unit":"c","value":1.5,"lost":0}"#;
        let text = [&line[..], b"\n", line, b"\n"].concat();
        let mut lines = Lines::default();
        lines.add(&text[..20]).unwrap();
        assert_eq!(lines.figures.len(), 0);
        lines.add(&text[20..]).unwrap();
        assert_eq!(lines.figures.len(), 2);
        assert!(lines.add(b"no figure\n").is_err());
    }
}
