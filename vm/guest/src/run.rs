//! `Run`: a command, its output streamed, its end reported.

use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Result, bail};
use icmptap_guest::{Ending, Report, Stream};

use crate::processes::{ending, kill_everyone};
use crate::report::Reports;

/// As much as one report carries. The serial port is slow, and a pipe no bigger.
const CHUNK: usize = 16 * 1024;

pub(crate) fn run(argv: &[String], env: &[(String, String)], reports: &Reports) -> Result<()> {
    let Some((program, arguments)) = argv.split_first() else {
        bail!("the job has no command");
    };
    let command = Command::new(program)
        .args(arguments)
        .envs(env.iter().map(|(name, value)| (name, value)))
        .current_dir("/root")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match command {
        Ok(child) => child,
        Err(error) => return not_started(program, &error, reports),
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let status = thread::scope(|scope| {
        let out = scope.spawn(|| stream(stdout, Stream::Stdout, reports));
        let err = scope.spawn(|| stream(stderr, Stream::Stderr, reports));
        let status = child.wait();
        // The machine goes when its command does; whatever it left in the
        // background would keep the pipes open for ever.
        kill_everyone();
        for reader in [out, err] {
            reader.join().expect("a reader does not panic")?;
        }
        anyhow::Ok(status?)
    })?;
    reports.send(&Report::Exited {
        ending: ending(status),
    })
}

/// The statuses that shells give: 127 for no such program, 126 for one that will not start.
fn not_started(program: &str, error: &io::Error, reports: &Reports) -> Result<()> {
    let status = match error.kind() {
        io::ErrorKind::NotFound => 127,
        _ => 126,
    };
    reports.send(&Report::Output {
        stream: Stream::Stderr,
        data: format!("{program}: {error}\n").into_bytes().into(),
    })?;
    reports.send(&Report::Exited {
        ending: Ending::Status(status),
    })
}

fn stream(source: Option<impl Read>, stream: Stream, reports: &Reports) -> Result<()> {
    let mut source = source.expect("the pipe was asked for");
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = match source.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        let data = buffer[..length].to_vec().into();
        reports.send(&Report::Output { stream, data })?;
    }
}
