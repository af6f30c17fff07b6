//! `vm-run`: one command in a guest, or a shell.

use std::fs;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use icmptap_guest::{Bytes, Report, Stream, Task};
use xtask_host::ui;

use crate::guest_packages::ImageFile;
use crate::terminal::Terminal;
use crate::vm::artifacts::Wanted;
use crate::vm::machine::{Guest, GuestTask, Options};
use crate::vm::verdict::Verdict;

/// Run a command in a guest with the module loaded, or a shell
///
/// Exits with the command's status. Other statuses: 1 when the guest failed to run
/// it, 120 when the kernel complained, 121 when it panicked, 122 when the guest
/// was lost, 123 when it took too long, 125 when there was no guest.
#[derive(clap::Args)]
pub struct Args {
    /// Boot this kernel of vm/kernels.toml
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,

    /// Do not load the module
    #[arg(long, conflicts_with = "parameters")]
    no_module: bool,

    #[command(flatten)]
    options: Options,

    /// Kill the guest when the command takes longer
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,

    /// Copy a file into the guest, to / by default
    #[arg(long, value_name = "SRC[:DST]")]
    copy: Vec<String>,

    /// The command; without one, a shell
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

/// Runs the command. With `locked`, a pinned package is not replaced.
pub fn run(args: &Args, locked: bool) -> Result<ExitCode> {
    if args.command.is_empty() && !std::io::stdin().is_terminal() {
        bail!("a shell needs a terminal; give a command after --");
    }
    // Not while clap parses: what is wrong with a file is not wrong usage.
    let copies: Vec<_> = args
        .copy
        .iter()
        .map(|text| copy(text))
        .collect::<Result<_>>()?;
    if !args.command.is_empty() {
        ui::hush();
    }
    let with_module = !args.no_module;
    let kernel = args.kernel.as_deref();
    let guest = Guest::prepare(&args.options, kernel, with_module, Wanted::Tools, locked)?;
    let mut guest_task = GuestTask {
        task: Task::Boot,
        copies: &copies,
        total: args.timeout.map(Duration::from_secs),
        silence: None,
    };
    let end = if args.command.is_empty() {
        let terminal = Terminal::hold()?;
        guest_task.task = Task::Shell {
            size: terminal.size(),
            term: std::env::var("TERM").ok(),
        };
        eprintln!("{}: `exit` ends it, Ctrl-A x kills it", guest.title());
        guest.run(guest_task, &mut |_| Ok(()))?
    } else {
        guest_task.task = Task::Run {
            argv: args.command.clone(),
            env: Vec::new(),
        };
        guest.run(guest_task, &mut |report| print(report))?
    };
    let code = match (end.verdict, end.tally.command) {
        (Verdict::Pass, Some(ending)) => ending.code(),
        (verdict, _) => verdict.code(),
    };
    Ok(code.into())
}

/// Runs one of our own programs, and gives what it writes to its standard output to
/// `take`, in pieces. Fails unless the guest passes, and the program ends with 0.
pub fn program(
    guest: &Guest<'_>,
    guest_task: GuestTask<'_>,
    take: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let end = guest.run(guest_task, &mut |report| match report {
        Report::Output {
            stream: Stream::Stdout,
            data,
        } => take(&bytes(data)?),
        report => print(report),
    })?;
    let code = end.tally.command.map(|ending| ending.code());
    ensure!(
        end.verdict == Verdict::Pass && code == Some(0),
        "{}, the program in the guest exited with {code:?}",
        end.verdict
    );
    Ok(())
}

/// What the command wrote, where it wrote it.
pub(crate) fn print(report: &Report) -> Result<()> {
    if let Report::Output { stream, data } = report {
        let bytes = bytes(data)?;
        match stream {
            Stream::Stdout => write(&mut std::io::stdout(), &bytes),
            Stream::Stderr => write(&mut std::io::stderr(), &bytes),
        }
        .context("write the command's output")?;
    }
    Ok(())
}

pub(crate) fn bytes(data: &Bytes) -> Result<Vec<u8>> {
    data.clone().try_into().context("read the command's output")
}

fn write(out: &mut impl Write, bytes: &[u8]) -> std::io::Result<()> {
    out.write_all(bytes)?;
    out.flush()
}

/// `SRC` or `SRC:DST`.
fn copy(text: &str) -> Result<ImageFile> {
    let (source, path) = match text.rsplit_once(':') {
        Some((source, path)) => (PathBuf::from(source), path.to_owned()),
        None => {
            let source = PathBuf::from(text);
            let name = source.file_name().context("it has no file name")?;
            let path = format!("/{}", name.to_string_lossy());
            (source, path)
        }
    };
    let metadata = fs::metadata(&source)
        .with_context(|| format!("cannot copy {} into the guest", source.display()))?;
    if !metadata.is_file() {
        bail!(
            "cannot copy {} into the guest: it is not a file",
            source.display()
        );
    }
    if path.trim_matches('/').is_empty() || path.split('/').any(|part| part == "..") {
        bail!("{path:?} is not a path in the guest");
    }
    Ok(ImageFile {
        dst: path,
        mode: metadata.permissions().mode() & 0o777,
        src: fs::canonicalize(&source)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_copy_where() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("tool");
        fs::write(&source, "").unwrap();
        fs::set_permissions(&source, fs::Permissions::from_mode(0o750)).unwrap();
        let source = source.to_str().unwrap();

        let item = copy(source).unwrap();
        assert_eq!((item.dst.as_str(), item.mode), ("/tool", 0o750));
        let item = copy(&format!("{source}:/usr/bin/other")).unwrap();
        assert_eq!(item.dst, "/usr/bin/other");

        for (text, part) in [
            ("/none/such".to_owned(), "cannot copy /none/such"),
            (dir.path().display().to_string(), "it is not a file"),
            (format!("{source}:/"), "not a path"),
            (format!("{source}:/../x"), "not a path"),
        ] {
            let error = copy(&text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
