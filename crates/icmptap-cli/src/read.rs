//! `icmptap read`: events of captures, ours and anybody's, as `listen` prints those that
//! happen. Needs no module and no privileges.

use std::{
    cell::RefCell,
    collections::HashMap,
    fs::{self, File, FileType},
    io::Write,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{FileTypeExt, MetadataExt},
    },
    rc::Rc,
    sync::Arc,
};

use anyhow::{Context, bail};
use icmptap::{Filter, IfIndex, Netns, event::EventRef};
use icmptap_capture::{Audit, Captured, Item, Reader, Verdict};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    args::{Destination, Read as Args},
    ends,
    interfaces::{Names, escaped},
    output,
    printer::Printer,
    say,
    selection::Selector,
    write::{Capture, Source},
};

/// What is kept of a packet in a capture that is written from others: as much as they
/// have, which is no more than this (libpcap's `MAXIMUM_SNAPLEN`).
const SNAPLEN: u32 = 262_144;

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let filter = args.filter().map(|filter| Filter::compile(&filter));
    let filter = filter.transpose()?;
    let names = CapturedNames::new(args.printing.numeric);
    let destination = args.printing.destination()?;
    let about = args.files.iter().filter_map(|file| fs::metadata(file).ok());
    let source = Source::Files(about.map(|about| (about.dev(), about.ino())).collect());
    let capture = Capture::new(&destination, names.clone(), SNAPLEN, None, source)?;
    let printer = match capture {
        Some(capture) => Printer::capture(&args.printing, capture),
        None => {
            let out = output::unbuffered()?;
            Printer::lines(&args.printing, &destination, out, names.clone(), args.netns)
        }
    };
    let mut session = Session {
        selector: Selector::new(&args.selection, filter)?,
        names,
        printer,
        audit: Audit::new(),
        done: match destination {
            Destination::Capture { .. } => "written",
            _ => "shown",
        },
        read: 0,
        dropped: 0,
    };
    let mut result = Ok(());
    for file in &args.files {
        result = session.file(file);
        if result.is_err() || session.printer.is_done() {
            break;
        }
    }
    session.end(args.printing.quiet, result)
}

/// What all files have in common.
struct Session<W: Write> {
    selector: Selector,
    names: CapturedNames,
    printer: Printer<W, CapturedNames>,
    audit: Audit,
    /// What becomes of events.
    done: &'static str,
    /// Events.
    read: u64,
    /// Packets that other programs say to have lost.
    dropped: u64,
}

impl<W: Write> Session<W> {
    fn file(&mut self, path: &str) -> anyhow::Result<()> {
        let (input, name) = match path {
            "-" => {
                let stdin = rustix::stdio::stdin().try_clone_to_owned();
                let stdin: OwnedFd = stdin.context("cannot use stdin")?;
                (File::from(stdin), "stdin".to_owned())
            }
            path => {
                let file = File::open(path);
                let name = escaped(path);
                (
                    file.with_context(|| format!("cannot open `{name}`"))?,
                    format!("`{name}`"),
                )
            }
        };
        let kind = input.metadata().map(|about| about.file_type());
        let comes_slowly = !kind.as_ref().is_ok_and(FileType::is_file);
        if kind.is_ok_and(|kind| kind.is_fifo() || kind.is_socket()) {
            ends::outlive_the_first_ctrl_c().context("cannot catch signals")?;
        }
        let waits = input.try_clone().context("cannot read")?;
        let mut reader = Reader::new(input);
        loop {
            // What is there is shown before more is waited for.
            if comes_slowly && self.printer.has_pending() && !is_readable(&waits) {
                self.printer.flush();
            }
            let Some(item) = reader.next() else { break };
            let item = item.with_context(|| format!("cannot read {name} further"))?;
            self.item(&item);
            if self.printer.is_done() {
                return Ok(());
            }
        }
        if let Some(link_type) = reader.passed_over().unknown_link {
            say!("{name}: packets of link type {link_type} are passed over: it is not known here");
        }
        Ok(())
    }

    fn item(&mut self, item: &Item) {
        let gap = self.audit.observe(item);
        match item {
            Item::Section { session, part } => self.printer.session(*session, *part),
            Item::Interface(name) => self.names.insert((name.netns, name.index), &name.name),
            Item::Netns(name) => self.names.insert_netns(name.netns, &name.name),
            Item::Event(captured) => {
                if let Some(lost) = gap.lost {
                    self.printer.lost(captured.session.as_ref(), lost);
                }
                self.event(captured);
            }
            Item::Lost(lost) => self.printer.lost(Some(&lost.session), lost.lost),
            Item::Totals { session, totals } => {
                self.printer.totals(Some(session), &totals.summary);
            }
            Item::Dropped { count } => self.dropped = self.dropped.saturating_add(*count),
            _ => {}
        }
    }

    fn event(&mut self, captured: &Captured) {
        self.read += 1;
        self.names.set_of_packet(&captured.interface);
        let event = captured.event.as_ref();
        let names = &mut self.names;
        if self
            .selector
            .wants(&event, |name| names.is_by(&event, name))
        {
            self.printer.event(captured.session.as_ref(), &event);
        }
    }

    /// Says what it comes to. `result`: of the reading.
    fn end(mut self, quiet: bool, result: anyhow::Result<()>) -> anyhow::Result<()> {
        let is_whole = result.is_ok() && !self.printer.is_done();
        self.printer.end();
        if !quiet {
            let shown = self.printer.shown();
            let ended = self.audit.reports().filter_map(|report| report.totals);
            let words: Vec<String> = ended
                .map(|totals| format!(", {}", totals.summary))
                .collect();
            say!(
                "{shown} {}, {} read{}",
                self.done,
                self.read,
                words.concat()
            );
            if self.dropped > 0 {
                say!(
                    "{} packets were lost when this was captured, it says",
                    self.dropped
                );
            }
        }
        self.printer.finish()?;
        result?;
        if !is_whole {
            return Ok(());
        }
        if self.audit.unfollowed() > 0 {
            say!(
                "{} events and losses are of too many streams to be followed",
                self.audit.unfollowed()
            );
        }
        let mut failure = None;
        for report in self.audit.reports() {
            match report.verdict {
                Verdict::Complete => {}
                Verdict::NoEnd | Verdict::NoBeginning => {
                    say!("{}", report.verdict);
                    if report.missing > 0 {
                        say!(
                            "{} missing: neither in the capture nor told to be lost",
                            report.missing
                        );
                    }
                }
                verdict => failure = Some(verdict),
            }
        }
        match failure {
            Some(verdict) => bail!("the capture is not complete: {verdict}"),
            None => Ok(()),
        }
    }
}

fn is_readable(file: &File) -> bool {
    let mut wanted = [PollFd::from_borrowed_fd(file.as_fd(), PollFlags::IN)];
    !matches!(poll(&mut wanted, Some(&Timespec::default())), Ok(0))
}

/// Names as captures have them: those of this machine's interfaces are others'.
#[derive(Debug, Clone)]
struct CapturedNames(Rc<RefCell<Known>>);

#[derive(Debug)]
struct Known {
    numeric: bool,
    names: HashMap<(Netns, IfIndex), String>,
    netns: HashMap<Netns, String>,
    /// The name of the interface of the packet that is being printed.
    of_packet: Option<Arc<str>>,
}

/// Names that are remembered. Nobody has so many; a file that says so would fill the
/// memory.
const MAX_NAMES: usize = 1 << 16;

impl CapturedNames {
    fn new(numeric: bool) -> Self {
        Self(Rc::new(RefCell::new(Known {
            numeric,
            names: HashMap::new(),
            netns: HashMap::new(),
            of_packet: None,
        })))
    }

    fn insert(&self, key: (Netns, IfIndex), name: &str) {
        let names = &mut self.0.borrow_mut().names;
        if names.len() < MAX_NAMES || names.contains_key(&key) {
            names.insert(key, name.to_owned());
        }
    }

    fn insert_netns(&self, key: Netns, name: &str) {
        let names = &mut self.0.borrow_mut().netns;
        if names.len() < MAX_NAMES || names.contains_key(&key) {
            names.insert(key, name.to_owned());
        }
    }

    fn set_of_packet(&self, name: &Option<Arc<str>>) {
        self.0.borrow_mut().of_packet.clone_from(name);
    }

    /// Whether the packet came or leaves by the interface of this name.
    fn is_by(&self, event: &EventRef<'_>, name: &str) -> bool {
        let known = self.0.borrow();
        match event.netns() {
            Some(netns) => [event.iif(), event.oif()]
                .into_iter()
                .flatten()
                .any(|index| {
                    known
                        .names
                        .get(&(netns, index))
                        .is_some_and(|other| other == name)
                }),
            None => known.of_packet.as_deref() == Some(name),
        }
    }
}

impl Names for CapturedNames {
    fn name(&mut self, netns: Netns, index: IfIndex) -> Option<String> {
        let known = self.0.borrow();
        let name = known.names.get(&(netns, index)).cloned();
        name.filter(|_| !known.numeric)
    }

    fn netns(&mut self, netns: Netns) -> Option<String> {
        let known = self.0.borrow();
        let name = known.netns.get(&netns).cloned();
        name.filter(|_| !known.numeric)
    }

    fn of_packet(&mut self) -> Option<String> {
        let known = self.0.borrow();
        let name = known.of_packet.as_deref().map(str::to_owned);
        name.filter(|_| !known.numeric)
    }
}
