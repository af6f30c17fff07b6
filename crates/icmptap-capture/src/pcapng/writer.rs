//! Writes pcapng. `docs/captures.md` describes the contents of a capture, and how other
//! programs show it.

use std::{
    collections::HashMap,
    io::{self, Write},
};

use icmptap_proto::{Cpu, Hook, IfIndex, Netns, event::EventRef, sequence::Lost};

use super::blocks::{self, code};
use crate::{Names, Session, Totals, journal, link, note, output::Output};

/// Maximum number of interface blocks in a section: further interfaces share one. Each
/// packet's metadata has its interface, so only the name is lost.
const MAX_INTERFACES: usize = 16 << 10;

/// The start of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The program that captured, with its version.
    pub application: String,
    /// The operating system.
    pub system: Option<String>,
    /// Maximum captured bytes of a packet; 0: no limit.
    pub snaplen: u32,
    /// The session of the events, if it is known and the same for all.
    pub session: Option<Session>,
}

/// What identifies an interface block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Interface {
    netns: Option<Netns>,
    index: Option<IfIndex>,
    hook: Option<Hook>,
}

/// The shared interface, when there are too many, and for counters without an interface.
const NO_INTERFACE: Interface = Interface {
    netns: None,
    index: None,
    hook: None,
};

/// Writes events and losses as pcapng.
///
/// Only whole blocks are passed to the [`Write`], many at a time: [`flush`](Self::flush)
/// writes buffered blocks. If the program is killed, the file is intact up to the last
/// flush.
#[derive(Debug)]
pub struct PcapngWriter<W> {
    out: Output<W>,
    section: Section,
    part: u32,
    /// Bytes of this file up to its last section header.
    header_len: u64,
    interfaces: HashMap<Interface, u32>,
    /// Losses that the next packet of that CPU must report.
    dropped: HashMap<(Session, Cpu), u64>,
    /// Of the last packet.
    time_ns: u64,
}

impl<W: Write> PcapngWriter<W> {
    /// Starts a file. Its header is buffered.
    pub fn new(out: W, section: Section) -> Self {
        let mut writer = Self {
            header_len: 0,
            out: Output::new(out),
            section,
            part: 0,
            interfaces: HashMap::new(),
            dropped: HashMap::new(),
            time_ns: 0,
        };
        writer.begin();
        writer
    }

    /// Continues with events of this session, which began in this file (`part` 0) or `part`
    /// files earlier. Does the same as [`Section::session`], for a session that is only known
    /// later.
    ///
    /// # Errors
    /// If writing fails.
    pub fn begin_session(&mut self, session: Session, part: u32) -> io::Result<()> {
        self.section.session = Some(session);
        self.part = part;
        // In place of the header that waits, if nothing came behind it.
        let is_empty = self.out.len() == self.header_len;
        if is_empty && self.out.waiting().len() as u64 == self.header_len {
            self.out.waiting().clear();
        }
        self.begin();
        self.out.flush_if_full()
    }

    /// Ends this file without counters and continues in another. Returns the finished one.
    ///
    /// # Errors
    /// If buffered data cannot be written.
    pub fn rotate(&mut self, out: W) -> io::Result<W> {
        let finished = self.out.rotate(out)?;
        self.part = self.part.saturating_add(1);
        self.begin();
        Ok(finished)
    }

    /// Starts a section, which is buffered.
    fn begin(&mut self) {
        self.interfaces.clear();
        let Self {
            out, section, part, ..
        } = self;
        blocks::section_header(out.waiting(), |options| {
            if let Some(system) = &section.system {
                options.add(code::SHB_OS, system.as_bytes());
            }
            options.add(code::SHB_USERAPPL, section.application.as_bytes());
            if let Some(session) = &section.session {
                options.note(note::ENTERPRISE, &note::section(session, *part));
            }
        });
        self.header_len = self.out.len();
    }

    /// Bytes of this file, including buffered ones. After an error, truncate the file to this
    /// length: the last write may have been incomplete, and its data is lost.
    pub fn file_size(&self) -> u64 {
        self.out.len()
    }

    /// The underlying writer.
    pub fn get_ref(&self) -> &W {
        self.out.get_ref()
    }

    /// Whether there is buffered data for [`flush`](Self::flush).
    pub fn has_waiting(&self) -> bool {
        self.out.has_waiting()
    }

    /// Writes an event; `session` is given if the module saw it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn event(
        &mut self,
        session: Option<&Session>,
        event: &EventRef<'_>,
        names: &mut dyn Names,
    ) -> io::Result<()> {
        let (netns, hook) = (event.netns(), event.hook());
        let at = |index| Interface { netns, index, hook };
        let (main, other) = match hook {
            Some(Hook::Output | Hook::Postrouting) => (event.oif(), None),
            Some(Hook::Prerouting | Hook::Input) => (event.iif(), None),
            Some(_) => (event.iif().or(event.oif()), event.oif()),
            None => (event.iif().or(event.oif()), None),
        };
        let interface = self.interface(at(main), names);
        // So that its name is in the file as well.
        if other.is_some() {
            self.interface(at(other), names);
        }
        let dropped = match (session, event.cpu()) {
            (Some(session), Some(cpu)) => self.dropped.remove(&(*session, cpu)),
            _ => None,
        };
        let direction: Option<u32> = match hook {
            Some(Hook::Prerouting | Hook::Input) => Some(1),
            Some(Hook::Output | Hook::Postrouting) => Some(2),
            _ => None,
        };
        self.time_ns = event.time_ns();
        blocks::packet(
            self.out.waiting(),
            interface,
            event.time_ns(),
            event.original_len(),
            event.packet(),
            |options| {
                if let Some(flags) = direction {
                    options.add(code::EPB_FLAGS, &flags.to_le_bytes());
                }
                if let Some(count) = dropped {
                    options.add(code::EPB_DROPCOUNT, &count.to_le_bytes());
                }
                if let Some(cpu) = event.cpu() {
                    options.add(code::EPB_QUEUE, &cpu.0.to_le_bytes());
                }
                options.note(note::ENTERPRISE, &note::packet(session, event));
            },
        );
        self.out.flush_if_full()
    }

    /// The number of an interface's block, which is written on first use.
    fn interface(&mut self, mut interface: Interface, names: &mut dyn Names) -> u32 {
        if let Some(number) = self.interfaces.get(&interface) {
            return *number;
        }
        if self.interfaces.len() >= MAX_INTERFACES {
            interface = NO_INTERFACE;
            if let Some(number) = self.interfaces.get(&interface) {
                return *number;
            }
        }
        let Interface { netns, index, hook } = interface;
        let name = index.and_then(|index| names.interface(netns, index));
        let netns_name = netns.and_then(|netns| names.netns(netns));
        let shown = match (&name, index) {
            (Some(name), _) => name.clone(),
            (None, Some(index)) => format!("if{index}"),
            (None, None) => "-".to_owned(),
        };
        blocks::interface(
            self.out.waiting(),
            link::RAW as u16,
            self.section.snaplen,
            |options| {
                let (full_name, description) = match (netns, hook) {
                    (Some(netns), Some(hook)) => {
                        let index =
                            index.map_or_else(String::new, |index| format!(", index {index}"));
                        (
                            format!("{shown}@{netns}:{hook}"),
                            format!(
                                "ICMP at {hook} of {shown}{index}, in network namespace {netns}"
                            ),
                        )
                    }
                    _ => (
                        shown.clone(),
                        format!("ICMP of {shown}, at no hook that is known"),
                    ),
                };
                options.add(code::IF_NAME, full_name.as_bytes());
                options.add(code::IF_DESCRIPTION, description.as_bytes());
                if let (Some(netns), Some(index), Some(name)) = (netns, index, &name) {
                    options.note(note::ENTERPRISE, &note::interface(netns, index, name));
                }
                if let (Some(netns), Some(name)) = (netns, &netns_name) {
                    options.note(note::ENTERPRISE, &note::netns(netns, name));
                }
            },
        );
        let number = self.interfaces.len() as u32;
        self.interfaces.insert(interface, number);
        number
    }

    /// Writes a loss that was detected at this time (nanoseconds since 1970).
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn lost(&mut self, session: &Session, lost: Lost, time_ns: u64) -> io::Result<()> {
        let dropped = self.dropped.entry((*session, lost.cpu)).or_default();
        *dropped = dropped.saturating_add(lost.count);
        blocks::journal(self.out.waiting(), &journal::entry(session, lost, time_ns));
        self.out.flush_if_full()
    }

    /// Writes the final counters of a session that ended at this time. Call it once per
    /// session, last.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn totals(&mut self, session: &Session, totals: &Totals, time_ns: u64) -> io::Result<()> {
        // There is one already, if there was an event.
        let interface = match self.interfaces.is_empty() {
            true => self.interface(NO_INTERFACE, &mut |_, _| None),
            false => 0,
        };
        let counters = totals.summary.counters;
        blocks::statistics(self.out.waiting(), interface, time_ns, |options| {
            for (code, count) in [
                (code::ISB_IFDROP, counters.lost()),
                (code::ISB_FILTERACCEPT, counters.matched),
                (code::ISB_OSDROP, counters.lost()),
                (code::ISB_USRDELIV, counters.delivered),
            ] {
                options.add(code, &count.to_le_bytes());
            }
            options.note(note::ENTERPRISE, &note::totals(session, totals));
        });
        self.flush()
    }

    /// The timestamp of the last packet: nanoseconds since 1970; 0 before the first.
    pub fn last_time_ns(&self) -> u64 {
        self.time_ns
    }

    /// Writes buffered data, and flushes the file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
