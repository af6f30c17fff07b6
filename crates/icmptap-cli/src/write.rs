//! Events as pcapng or pcap, into a file, several, or stdout.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, IsTerminal},
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use icmptap::{IfIndex, Lost, Netns, Summary, event::EventRef};
use icmptap_capture::{PcapWriter, PcapngWriter, Section, Session, Totals};
use jiff::ZonedDateTime;

use crate::{
    args::{CaptureFormat, Destination},
    interfaces::{Names, escaped},
    output,
    rotate::{Next, Rotation},
    values::WrongValue,
};

/// Writes a capture.
pub(crate) struct Capture<N> {
    writer: Writer,
    names: N,
    rotation: Option<Rotation>,
    began: Instant,
    source: Source,
    /// There were as many files as the user wants.
    is_full: bool,
    /// Events, whether they are written or wait.
    events: u64,
    /// Events that are written.
    written: u64,
    sessions: HashMap<Session, Written>,
}

/// Where events come from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// They come as they happen: losses and ends happen now.
    Module,
    /// Out of these files, which are not to be written to.
    Files(Vec<FileId>),
}

/// The device and the inode number of a file.
pub(crate) type FileId = (u64, u64);

/// What was written of a session.
#[derive(Debug, Default, Clone, Copy)]
struct Written {
    events: u64,
    lost: u64,
}

enum Writer {
    Pcapng(Box<PcapngWriter<File>>),
    Pcap(PcapWriter<File>),
}

impl Writer {
    fn has_waiting(&self) -> bool {
        match self {
            Self::Pcapng(writer) => writer.has_waiting(),
            Self::Pcap(writer) => writer.has_waiting(),
        }
    }

    /// Of this file.
    fn len(&self) -> u64 {
        match self {
            Self::Pcapng(writer) => writer.file_size(),
            Self::Pcap(writer) => writer.file_size(),
        }
    }

    fn file(&self) -> &File {
        match self {
            Self::Pcapng(writer) => writer.get_ref(),
            Self::Pcap(writer) => writer.get_ref(),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Pcapng(writer) => writer.flush(),
            Self::Pcap(writer) => writer.flush(),
        }
    }

    fn rotate(&mut self, file: File) -> io::Result<File> {
        match self {
            Self::Pcapng(writer) => writer.rotate(file),
            Self::Pcap(writer) => writer.rotate(file),
        }
    }
}

impl<N: Names> Capture<N> {
    /// Begins a capture. `None`: events go elsewhere. `snaplen` bytes are kept of a packet.
    pub(crate) fn new(
        destination: &Destination,
        names: N,
        snaplen: u32,
        session: Option<Session>,
        source: Source,
    ) -> anyhow::Result<Option<Self>> {
        let Destination::Capture { format, file } = destination else {
            return Ok(None);
        };
        let (rotation, out) = match file {
            Some(plan) => {
                let (rotation, path) = Rotation::begin(plan.clone(), &ZonedDateTime::now())?;
                (Some(rotation), create(&path, &source)?)
            }
            None if io::stdout().is_terminal() => {
                let message = "a capture is not for a terminal: write it to a file (-w FILE), or \
                               send stdout to another program";
                return Err(WrongValue(message.to_owned()).into());
            }
            None => (None, output::unbuffered()?),
        };
        let section = Section {
            application: concat!("icmptap ", env!("CARGO_PKG_VERSION")).to_owned(),
            system: Some(system()),
            snaplen,
            session,
        };
        let writer = match format {
            CaptureFormat::Pcapng => Writer::Pcapng(Box::new(PcapngWriter::new(out, section))),
            CaptureFormat::Pcap => Writer::Pcap(PcapWriter::new(out, snaplen)),
        };
        Ok(Some(Self {
            writer,
            names,
            rotation,
            began: Instant::now(),
            source,
            is_full: false,
            events: 0,
            written: 0,
            sessions: HashMap::new(),
        }))
    }

    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    pub(crate) fn is_full(&self) -> bool {
        self.is_full
    }

    pub(crate) fn has_pending(&self) -> bool {
        self.writer.has_waiting()
    }

    /// Something could not be written. What was written of it in part is taken away again, so
    /// that the file is whole and has what is [`written`](Self::written).
    pub(crate) fn close_early(&mut self) {
        if self.rotation.is_some() {
            // A device or a pipe has no length.
            let _ = self.writer.file().set_len(self.writer.len());
        }
    }

    /// Goes on with another session.
    pub(crate) fn session(&mut self, session: Session, part: u32) -> io::Result<()> {
        if let Writer::Pcapng(writer) = &mut self.writer {
            writer.begin_session(session, part)?;
        }
        self.count_written();
        Ok(())
    }

    pub(crate) fn event(
        &mut self,
        session: Option<&Session>,
        event: &EventRef<'_>,
    ) -> io::Result<()> {
        self.rotate()?;
        if self.is_full {
            return Ok(());
        }
        let Self { writer, names, .. } = self;
        match writer {
            Writer::Pcapng(writer) => {
                writer.event(session, event, &mut Named(names))?;
            }
            Writer::Pcap(writer) => writer.event(event)?,
        }
        self.events += 1;
        if let Some(session) = session {
            self.sessions.entry(*session).or_default().events += 1;
        }
        self.count_written();
        Ok(())
    }

    /// pcap has no place for a loss.
    pub(crate) fn lost(&mut self, session: &Session, lost: Lost) -> io::Result<()> {
        let time_ns = self.time_ns();
        if let Writer::Pcapng(writer) = &mut self.writer {
            writer.lost(session, lost, time_ns)?;
            let told = &mut self.sessions.entry(*session).or_default().lost;
            *told = told.saturating_add(lost.count);
        }
        self.count_written();
        Ok(())
    }

    /// pcap has no place for counters.
    pub(crate) fn totals(&mut self, session: &Session, summary: &Summary) -> io::Result<()> {
        let time_ns = self.time_ns();
        let Written { events, lost } = self.sessions.get(session).copied().unwrap_or_default();
        if let Writer::Pcapng(writer) = &mut self.writer {
            let totals = Totals {
                events,
                lost,
                summary: *summary,
            };
            writer.totals(session, &totals, time_ns)?;
        }
        self.count_written();
        Ok(())
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()?;
        self.count_written();
        Ok(())
    }

    fn count_written(&mut self) {
        if !self.has_pending() {
            self.written = self.events;
        }
    }

    /// Goes on in the next file, if it is time for that.
    fn rotate(&mut self) -> io::Result<()> {
        let Some(rotation) = &mut self.rotation else {
            return Ok(());
        };
        let len = self.writer.len();
        let next = rotation.next(len, self.began.elapsed(), ZonedDateTime::now);
        match next.map_err(io::Error::other)? {
            Next::Stay => {}
            Next::End => self.is_full = true,
            Next::File(path) => {
                // First, since the next file may be the same one, which is emptied.
                self.flush()?;
                let file = create(&path, &self.source).map_err(io::Error::other)?;
                self.writer.rotate(file)?;
            }
        }
        Ok(())
    }

    /// Of something that has no time of its own: now, or that of the last packet.
    fn time_ns(&self) -> u64 {
        if let Source::Module = self.source {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            return now.map_or(0, |now| now.as_nanos() as u64);
        }
        match &self.writer {
            Writer::Pcapng(writer) => writer.last_time_ns(),
            Writer::Pcap(_) => 0,
        }
    }
}

/// Names, as the capture asks for them.
struct Named<'a, N>(&'a mut N);

impl<N: Names> icmptap_capture::Names for Named<'_, N> {
    fn interface(&mut self, netns: Option<Netns>, index: IfIndex) -> Option<String> {
        self.0.name(netns?, index)
    }

    fn netns(&mut self, netns: Netns) -> Option<String> {
        self.0.netns(netns)
    }
}

fn create(path: &Path, source: &Source) -> anyhow::Result<File> {
    if let (Source::Files(files), Ok(about)) = (source, path.metadata())
        && files.contains(&(about.dev(), about.ino()))
    {
        let message = format!(
            "`{}` is read: it cannot be written to as well",
            escaped(&path.to_string_lossy())
        );
        return Err(WrongValue(message).into());
    }
    File::create(path).with_context(|| {
        format!(
            "cannot make the file `{}`",
            escaped(&path.to_string_lossy())
        )
    })
}

/// As `uname -sr` has it.
fn system() -> String {
    let uname = rustix::system::uname();
    let (name, release) = (uname.sysname(), uname.release());
    format!("{} {}", name.to_string_lossy(), release.to_string_lossy())
}
