//! What ends a stream from outside: signals, a stdout that nobody reads, and an interface
//! that is gone.

use std::{
    fs, io,
    os::fd::OwnedFd,
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use anyhow::Context;
use icmptap::{IfIndex, Stopper};
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SocketFlags, SocketType, bind, netlink::SocketAddrNetlink, recv,
        socket_with,
    },
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
    iterator::Signals,
};

use crate::interfaces::name_here;

/// Ctrl-C, SIGTERM and SIGHUP end the stream, not the program; the second one does.
/// SIGHUP does nothing where it was ignored before, as under `nohup`.
pub(crate) fn stop_on_signals(stopper: Stopper) -> anyhow::Result<()> {
    let mut wanted = vec![SIGINT, SIGTERM];
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if !is_ignored(SIGHUP, &status) {
        wanted.push(SIGHUP);
    }
    let mut signals = Signals::new(wanted).context("cannot catch signals")?;
    spawn("signals", move || {
        for (count, signal) in signals.forever().enumerate() {
            if count > 0 {
                // What a shell reports of a process that a signal killed.
                process::exit(128 + signal);
            }
            stopper.stop();
        }
    })
}

/// Of a program that reads from another's pipe: Ctrl-C ends the other as well, whose last words
/// are still to be read. So the first is left to the other; the second ends this program.
pub(crate) fn outlive_the_first_ctrl_c() -> io::Result<()> {
    let was_one = Arc::new(AtomicBool::new(false));
    flag::register_conditional_default(SIGINT, Arc::clone(&was_one))?;
    flag::register(SIGINT, was_one)?;
    Ok(())
}

/// A pipe whose reader is gone, or a terminal that is, ends the stream at once, and not
/// when the next line finds nobody.
pub(crate) fn stop_when_unread(stopper: Stopper) -> anyhow::Result<()> {
    let stdout = rustix::stdio::stdout().try_clone_to_owned();
    let stdout: OwnedFd = stdout.context("cannot use stdout")?;
    spawn("stdout", move || {
        if wait_until_unread(&stdout).is_ok() {
            stopper.stop();
        }
    })
}

/// Of a file, which always has room and readers, it never returns.
fn wait_until_unread(out: &OwnedFd) -> io::Result<()> {
    loop {
        // No event is asked for: errors and the end of the other side always count.
        match poll(&mut [PollFd::new(out, PollFlags::empty())], None) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Watches an interface of this network namespace, from before anybody listens to it.
#[derive(Debug)]
pub(crate) struct InterfaceWatch {
    index: IfIndex,
    /// Tells of changes (rtnetlink(7)).
    changes: Arc<OwnedFd>,
    is_gone: Arc<AtomicBool>,
}

/// The group of changes to interfaces (`linux/rtnetlink.h`).
const RTMGRP_LINK: u32 = 1;

impl InterfaceWatch {
    pub(crate) fn new(index: IfIndex) -> anyhow::Result<Self> {
        let open = || {
            let flags = SocketFlags::CLOEXEC;
            // Protocol 0: NETLINK_ROUTE.
            let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
            bind(&socket, &SocketAddrNetlink::new(0, RTMGRP_LINK))?;
            Ok::<_, Errno>(socket)
        };
        Ok(Self {
            index,
            changes: Arc::new(open().context("cannot watch interfaces")?),
            is_gone: Arc::default(),
        })
    }

    pub(crate) fn index(&self) -> IfIndex {
        self.index
    }

    /// Ends the stream when the interface is gone: deleted, or moved to another network
    /// namespace. One that is renamed stays.
    pub(crate) fn stop_when_gone(&self, stopper: Stopper) -> anyhow::Result<()> {
        let Self {
            index,
            changes,
            is_gone,
        } = self;
        let (index, changes, is_gone) = (*index, changes.clone(), is_gone.clone());
        spawn("interface", move || {
            // What has changed does not matter: only whether the interface is there.
            while name_here(index).is_some() {
                let wait = recv(&changes, &mut [0; 16], RecvFlags::TRUNC);
                // ENOBUFS: there were more changes than there was room for.
                if !matches!(wait, Ok(_) | Err(Errno::INTR | Errno::NOBUFS)) {
                    return;
                }
            }
            is_gone.store(true, Ordering::Release);
            stopper.stop();
        })
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Acquire)
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> anyhow::Result<()> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map(drop)
        .context("cannot start a thread")
}

/// Whether a signal is ignored, by the process's `/proc/PID/status`.
fn is_ignored(signal: i32, status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 << (signal - 1) != 0)
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc::channel, time::Duration};

    use super::*;

    #[test]
    fn a_signal_that_is_ignored_is_known_by_its_bit() {
        let status = "Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000004002\n";
        assert!(is_ignored(SIGHUP, status));
        assert!(!is_ignored(SIGINT, status));
        assert!(!is_ignored(SIGHUP, ""));
    }

    #[test]
    fn a_pipe_without_a_reader_is_noticed_while_nothing_is_written() {
        let (reader, writer) = io::pipe().unwrap();
        let (sender, receiver) = channel();
        thread::spawn(move || sender.send(wait_until_unread(&writer.into())));
        assert!(receiver.recv_timeout(Duration::from_millis(50)).is_err());
        drop(reader);
        let noticed = receiver.recv_timeout(Duration::from_secs(10));
        noticed.unwrap().unwrap();
    }
}
