//! Who captures: us, and what else there is. A file each in `peer/`, and a line
//! here.

mod ebpf;
mod icmptap;
mod imp2;
mod nflog;
mod nfqueue;
mod packet;
mod programs;
mod ulogd;

use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use icmptap_vm_tests::net::Namespace;
use icmptap_vm_tests::process::succeed_with;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::fold::Fold;

/// All of them, in the order in which they are shown.
pub(crate) fn all() -> Vec<Peer> {
    let files = [
        icmptap::peers(),
        imp2::peers(),
        packet::peers(),
        ebpf::peers(),
        nflog::peers(),
        nfqueue::peers(),
        programs::peers(),
        ulogd::peers(),
    ];
    files.into_iter().flatten().collect()
}

/// The one of this number among them.
pub(crate) fn nth(index: &str) -> Result<Peer> {
    let peer = all().into_iter().nth(index.parse()?);
    peer.context("no such peer")
}

/// What this kernel has not.
pub(crate) fn missing() -> Vec<&'static str> {
    ebpf::missing()
}

/// A way to capture.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// How it is set, for people.
    pub(crate) settings: String,
    /// Those fields of an event that it does not give.
    pub(crate) lacks: &'static [Field],
    /// Is done in the namespace before the reader starts.
    pub(crate) prepare: fn(&Namespace),
    pub(crate) reader: Reader,
}

/// A field of [`Event`](crate::fold::Event), or some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Time,
    Mark,
    /// Interface, lengths and type.
    Others,
}

/// Who reads; a process of its own in any case.
pub(crate) enum Reader {
    /// Ours: opens what it reads from, in its process. When it is open, sending starts.
    Own(Box<dyn Fn() -> Result<Box<dyn Source>>>),
    /// A program that does the same (`c/reader.h` says what), and how to call it.
    Program(String),
    /// Somebody's program.
    Foreign(Foreign),
}

/// See [`Reader::Foreign`].
pub(crate) struct Foreign {
    pub(crate) command: String,
    /// What it says on standard error when it captures.
    pub(crate) ready: &'static str,
    /// Each event as text.
    pub(crate) prints: bool,
    pub(crate) ends: Ends,
}

/// How to know that a program has had all events.
pub(crate) enum Ends {
    /// It ends, after as many as `-c` tells it.
    Itself,
    /// It does no more, and each is a line in this file, at its end.
    Never {
        /// The file.
        lines_in: &'static str,
    },
}

/// What events come from.
pub(crate) trait Source {
    /// Reads until so many were seen, or are known to be lost.
    fn read(&mut self, fold: &mut Fold, count: u64) -> Result<()>;
}

/// Waits until there is something to read, or for so long: then it gives `false`.
fn comes(source: &impl AsFd, within: Duration) -> Result<bool> {
    let mut fds = [PollFd::new(source, PollFlags::IN)];
    Ok(poll(&mut fds, Some(&Timespec::try_from(within)?))? > 0)
}

impl Peer {
    /// One that gives all there is, and needs nothing.
    fn new(
        name: &'static str,
        settings: String,
        open: impl Fn() -> Result<Box<dyn Source>> + 'static,
    ) -> Peer {
        Peer {
            name,
            settings,
            lacks: &[],
            prepare: |_| (),
            reader: Reader::Own(Box::new(open)),
        }
    }

    /// Of a reader of ours: opens what it reads from, and says so.
    pub(crate) fn open(&self) -> Result<Box<dyn Source>> {
        let Reader::Own(open) = &self.reader else {
            bail!("{} has a program of its own", self.name);
        };
        let source = open().with_context(|| format!("open {}", self.name))?;
        eprintln!("ready");
        Ok(source)
    }
}

/// Has a rule of nftables do this with ICMP at PRE_ROUTING.
fn rule(namespace: &Namespace, what: &str) {
    let mut nft = namespace.command("nft -f -");
    let rules = format!(
        "add table ip bench\n\
         add chain ip bench tap {{ type filter hook prerouting priority raw; }}\n\
         add rule ip bench tap ip protocol icmp {what}\n"
    );
    succeed_with(&mut nft, &rules);
}
