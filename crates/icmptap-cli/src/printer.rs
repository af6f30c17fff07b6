//! What becomes of events: lines on stdout, or a capture.

use std::io::{self, IsTerminal, Write};

use clap::ColorChoice;
use icmptap::{Lost, Summary, event::EventRef, reply::Counters};
use icmptap_capture::Session;
use jiff::tz::TimeZone;

use crate::{
    args::{Destination, Printing},
    interfaces::Names,
    json::{End, Json},
    lines::Lines,
    say,
    text::{Look, Text},
    write::Capture,
};

/// Prints events, many at a time while they keep coming.
pub(crate) struct Printer<W: Write, N> {
    sink: Sink<W, N>,
    /// Losses that were printed.
    told: u64,
    limit: Option<u64>,
    /// What sessions that have ended counted: received, and the kernel's.
    ended: Option<(u64, Counters)>,
    /// Why nothing can be written any more.
    pub(crate) failure: Option<io::Error>,
}

enum Sink<W, N> {
    Text(Lines<W>, Box<Text<N>>),
    Json(Lines<W>, Json<N>),
    Capture(Box<Capture<N>>),
}

impl<W: Write, N: Names> Printer<W, N> {
    /// Prints lines to `out`. `netns`: a line of text says of which network namespace
    /// it is.
    pub(crate) fn lines(
        args: &Printing,
        destination: &Destination,
        out: W,
        names: N,
        netns: bool,
    ) -> Self {
        let lines = Lines::new(out);
        let sink = if let Destination::Json = destination {
            Sink::Json(lines, Json::new(names))
        } else {
            let look = Look {
                time: args.time,
                zone: TimeZone::system(),
                colour: is_coloured(args.color),
                verbose: args.verbose,
                netns,
            };
            Sink::Text(lines, Box::new(Text::new(names, look)))
        };
        Self::new(sink, args.count)
    }

    /// Writes a capture.
    pub(crate) fn capture(args: &Printing, capture: Capture<N>) -> Self {
        Self::new(Sink::Capture(Box::new(capture)), args.count)
    }

    fn new(sink: Sink<W, N>, limit: Option<u64>) -> Self {
        Self {
            sink,
            told: 0,
            limit,
            ended: None,
            failure: None,
        }
    }

    /// What comes is of this session, of which so many files came before.
    pub(crate) fn session(&mut self, session: Session, part: u32) {
        if let (Sink::Capture(capture), None) = (&mut self.sink, &self.failure) {
            let written = capture.session(session, part);
            self.note(written);
        }
    }

    /// An event, of this session if that matters and is known.
    pub(crate) fn event(&mut self, session: Option<&Session>, event: &EventRef<'_>) {
        if self.is_done() {
            return;
        }
        let written = match &mut self.sink {
            Sink::Text(lines, text) => lines.event(|out| text.event(out, event)),
            Sink::Json(lines, json) => lines.event(|out| json.event(out, event)),
            Sink::Capture(capture) => capture.event(session, event),
        };
        self.note(written);
    }

    pub(crate) fn lost(&mut self, session: Option<&Session>, lost: Lost) {
        if self.is_done() {
            return;
        }
        self.told = self.told.saturating_add(lost.count);
        let written = match &mut self.sink {
            Sink::Text(..) => {
                // In the order of the stream, also where both go to one place.
                self.flush();
                say!("-- lost {} on cpu {} --", lost.count, lost.cpu);
                return;
            }
            Sink::Json(lines, json) => lines.other(|out| json.lost(out, lost)),
            Sink::Capture(capture) => session.map_or(Ok(()), |session| capture.lost(session, lost)),
        };
        self.note(written);
    }

    /// A session has ended, and has counted this.
    pub(crate) fn totals(&mut self, session: Option<&Session>, summary: &Summary) {
        let (received, counters) = self.ended.get_or_insert_default();
        *received = received.saturating_add(summary.received);
        add(counters, &summary.counters);
        if let (Sink::Capture(capture), Some(session), None) =
            (&mut self.sink, session, &self.failure)
        {
            let written = capture.totals(session, summary);
            self.note(written);
        }
    }

    /// Prints what the format has at its end.
    pub(crate) fn end(&mut self) {
        let ended = self.ended;
        if let (Sink::Text(..), Some((_, counters))) = (&self.sink, &ended) {
            let untold = counters.lost().saturating_sub(self.told);
            if untold > 0 {
                self.flush();
                say!("-- lost {untold} at the end --");
            }
        }
        if let (Sink::Json(lines, json), Some((received, counters)), None) =
            (&mut self.sink, &ended, &self.failure)
        {
            let end = End {
                shown: lines.events(),
                told: self.told,
                received: *received,
                counters,
            };
            let written = lines.other(|out| json.end(out, &end));
            self.note(written);
        }
        self.flush();
    }

    /// Events that were written.
    pub(crate) fn shown(&self) -> u64 {
        match &self.sink {
            Sink::Text(lines, _) | Sink::Json(lines, _) => lines.written(),
            Sink::Capture(capture) => capture.written(),
        }
    }

    /// What comes from now on is counted and not shown.
    pub(crate) fn is_done(&self) -> bool {
        let (events, is_full) = match &self.sink {
            Sink::Text(lines, _) | Sink::Json(lines, _) => (lines.events(), false),
            Sink::Capture(capture) => (capture.events(), capture.is_full()),
        };
        is_full || self.failure.is_some() || self.limit.is_some_and(|limit| events >= limit)
    }

    pub(crate) fn has_pending(&self) -> bool {
        let has_pending = match &self.sink {
            Sink::Text(lines, _) | Sink::Json(lines, _) => lines.has_pending(),
            Sink::Capture(capture) => capture.has_pending(),
        };
        self.failure.is_none() && has_pending
    }

    pub(crate) fn flush(&mut self) {
        if self.failure.is_none() {
            let flushed = match &mut self.sink {
                Sink::Text(lines, _) | Sink::Json(lines, _) => lines.flush(),
                Sink::Capture(capture) => capture.flush(),
            };
            self.note(flushed);
        }
    }

    fn note(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            if let Sink::Capture(capture) = &mut self.sink {
                capture.close_early();
            }
            self.failure = Some(error);
        }
    }

    /// Why not all was written, unless nobody wanted it.
    ///
    /// # Errors
    /// Something could not be written.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        let to = match &self.sink {
            Sink::Text(..) | Sink::Json(..) => "stdout",
            Sink::Capture(_) => "the capture",
        };
        match self.failure {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(anyhow::Error::new(error).context(format!("cannot write to {to}")))
            }
            _ => Ok(()),
        }
    }
}

fn add(sum: &mut Counters, counters: &Counters) {
    for (sum, count) in [
        (&mut sum.matched, counters.matched),
        (&mut sum.delivered, counters.delivered),
        (&mut sum.lost_overrun, counters.lost_overrun),
        (&mut sum.lost_nomem, counters.lost_nomem),
        (&mut sum.lost_ratelimit, counters.lost_ratelimit),
        (&mut sum.queued, counters.queued),
        (&mut sum.sampled_out, counters.sampled_out),
    ] {
        *sum = sum.saturating_add(count);
    }
}

/// See <https://no-color.org>.
fn is_coloured(choice: ColorChoice) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            let no_colour = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
            io::stdout().is_terminal() && !no_colour
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use icmptap_proto::testing::{self, Record};

    use super::*;
    use crate::{interfaces::Interfaces, text::tests::with_event};

    fn printer<W: Write>(args: &[&str], out: W) -> Printer<W, Interfaces> {
        let args = ["icmptap", "listen", "-n"].iter().chain(args);
        let crate::args::Command::Listen(args) =
            crate::args::Cli::try_parse_from(args).unwrap().command
        else {
            panic!("not listen")
        };
        let (printing, names) = (&args.printing, Interfaces::new(true));
        let destination = printing.destination().unwrap();
        Printer::lines(printing, &destination, out, names, args.all_netns)
    }

    fn ping() -> Record {
        Record::of_ipv4(testing::icmpv4(8, 0, [0, 7, 0, 1], &[]))
    }

    #[test]
    fn what_comes_after_the_last_wanted_is_not_shown() {
        let mut out = Vec::new();
        let mut printer = printer(&["-c", "2", "-o", "json"], &mut out);
        for _ in 0..4 {
            with_event(ping(), |event| printer.event(None, event));
            let (cpu, count) = (icmptap::Cpu(0), 1);
            printer.lost(None, Lost { cpu, count });
        }
        assert!(printer.has_pending(), "not written one by one");
        printer.flush();
        assert!(!printer.has_pending());
        assert_eq!(printer.shown(), 2);
        drop(printer);
        let lines: Vec<_> = out.split(|byte| *byte == b'\n').collect();
        assert_eq!(
            lines.len(),
            4,
            "event, loss, event, and nothing after the last newline"
        );
    }

    #[test]
    fn where_events_may_be_of_any_netns_it_is_shown() {
        for (args, end) in [
            (&["--all-netns"][..], " len 28 netns 4026531840\n"),
            (&[], " len 28\n"),
        ] {
            let mut out = Vec::new();
            let mut printer = printer(args, &mut out);
            with_event(ping(), |event| printer.event(None, event));
            printer.flush();
            drop(printer);
            let line = String::from_utf8(out).unwrap();
            assert!(line.ends_with(end), "{line}");
        }
    }

    #[test]
    fn a_closed_stdout_ends_quietly() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut printer = printer(&[], Closed);
        with_event(ping(), |event| printer.event(None, event));
        assert!(!printer.is_done());
        printer.flush();
        assert!(printer.is_done() && !printer.has_pending());
        with_event(ping(), |event| printer.event(None, event));
        assert_eq!(printer.shown(), 0);
    }
}
