//! Programs that tests make, to be run in place of real ones.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Makes `path` a program: a shell script of these lines.
///
/// Another process writes it. A file that this one has open for writing is open as
/// well in whatever another thread forks at that moment, until that becomes the
/// program it is for; and what is open for writing nobody can run (`ETXTBSY`).
pub(super) fn write(path: &Path, lines: &str) {
    let mut install = Command::new("install")
        .args(["-m", "755", "/dev/stdin"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("install starts");
    let mut stdin = install.stdin.take().expect("a pipe");
    stdin
        .write_all(format!("#!/bin/sh\n{lines}\n").as_bytes())
        .expect("install reads");
    drop(stdin);
    let status = install.wait().expect("install ends");
    assert!(status.success(), "install: {status}");
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn a_script_can_be_run_whatever_other_threads_start() {
        const ROUNDS: u32 = 300;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("script");
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        // With a user it is a fork(), which holds files for longer.
                        let mut command = Command::new("true");
                        command.uid(rustix::process::getuid().as_raw());
                        assert!(command.status().unwrap().success());
                    }
                });
            }
            let busy = (0..ROUNDS)
                .filter(|_| {
                    write(&path, "exit 0");
                    Command::new(&path).status().is_err()
                })
                .count();
            is_over.store(true, Ordering::Relaxed);
            assert_eq!(busy, 0, "times of {ROUNDS}");
        });
    }
}
