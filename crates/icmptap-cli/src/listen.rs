//! `icmptap listen`: events to stdout, talk to stderr, counters at the end.

use std::{
    fmt,
    io::{self, BufWriter, IsTerminal, Write},
    time::Instant,
};

use anyhow::Context;
use icmptap::{
    BatchSize, Error, FlushInterval, Item, Lost, Received, Snaplen, Subscription, Summary,
    event::EventRef,
};
use jiff::tz::TimeZone;

use crate::{
    args::{Format, Listen as Args},
    interfaces::Interfaces,
    json::Json,
    say,
    signals::stop_on_signals,
    text::Text,
};

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut subscription = subscribe(args)?;
    stop_on_signals(subscription.stopper())?;
    let parameters = subscription.parameters();
    say!(
        "listening on {}, {}, snaplen {}, batch {}, receive buffer {}",
        parameters.hooks,
        parameters.families,
        parameters.snaplen,
        parameters.batch,
        Size(subscription.receive_buffer())
    );

    let mut printer = Printer::new(args);
    let result = print_all(&mut subscription, args, &mut printer);
    if let Err(error) = result {
        say!("{} shown; the final counters are not known", printer.shown);
        return Err(error.into());
    }
    let summary = subscription.finish()?;
    say!(
        "{}",
        LastLine {
            shown: printer.shown,
            summary
        }
    );
    match printer.failure {
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to stdout")
        }
        _ => summary.audit().context("the counters do not agree"),
    }
}

/// Passes on what the user set, and leaves the rest to the kernel.
fn subscribe(args: &Args) -> Result<Subscription, Error> {
    let mut builder = Subscription::builder();
    if !args.hooks.is_empty() {
        builder = builder.hooks(args.hooks.iter().map(|hook| (*hook).into()).collect());
    }
    if !args.families.is_empty() {
        builder = builder.families(
            args.families
                .iter()
                .map(|family| (*family).into())
                .collect(),
        );
    }
    if let Some(snaplen) = args.snaplen {
        builder = builder.snaplen(Snaplen(snaplen));
    }
    if let Some(batch) = args.batch {
        builder = builder.batch(BatchSize(batch));
    }
    if let Some(us) = args.flush_us {
        builder = builder.flush_interval(FlushInterval { us });
    }
    if let Some(size) = args.rcvbuf {
        builder = builder.receive_buffer(size);
    }
    builder.subscribe()
}

/// Prints until the subscription has ended and nothing is left.
fn print_all(
    subscription: &mut Subscription,
    args: &Args,
    printer: &mut Printer,
) -> Result<(), Error> {
    // A time too long for the clock never comes.
    let mut deadline = args
        .duration
        .and_then(|duration| Instant::now().checked_add(duration));
    loop {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            deadline = None;
            subscription.stop()?;
        }
        // With lines waiting, look once without waiting; with none, wait.
        let until = if printer.has_pending() {
            Some(Instant::now())
        } else {
            deadline
        };
        let received = match until {
            Some(until) => subscription.recv_before(until),
            None => subscription
                .recv()
                .map(|item| item.map_or(Received::Ended, Received::Item)),
        };
        match received {
            Ok(Received::Item(Item::Event(event))) => printer.event(&event),
            Ok(Received::Item(Item::Lost(lost))) => printer.lost(lost),
            Ok(Received::Nothing) => printer.flush(),
            Ok(Received::Ended) => {
                printer.flush();
                return Ok(());
            }
            // Some events are gone, the rest is not.
            Err(error @ (Error::Decode(_) | Error::Truncated { .. })) => say!("icmptap: {error}"),
            Err(error) => {
                printer.flush();
                return Err(error);
            }
        }
        if printer.is_done(args.count) {
            printer.flush();
            subscription.stop()?;
        }
    }
}

/// Writes lines to stdout, many at a time while they keep coming.
struct Printer {
    out: BufWriter<io::Stdout>,
    style: Style,
    shown: u64,
    limit: Option<u64>,
    /// Why nothing can be written any more.
    failure: Option<io::Error>,
}

enum Style {
    Text(Text<Interfaces>),
    Json(Json<Interfaces>),
}

impl Printer {
    fn new(args: &Args) -> Self {
        let names = Interfaces::new(args.numeric);
        Self {
            out: BufWriter::with_capacity(64 * 1024, io::stdout()),
            style: match args.output {
                Format::Text => {
                    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
                    let colour = io::stdout().is_terminal() && !no_colour;
                    Style::Text(Text::new(names, TimeZone::system(), colour))
                }
                Format::Json => Style::Json(Json::new(names)),
            },
            shown: 0,
            limit: args.count,
            failure: None,
        }
    }

    fn event(&mut self, event: &EventRef<'_>) {
        if self.is_done(self.limit) {
            return;
        }
        let written = match &mut self.style {
            Style::Text(text) => text.event(&mut self.out, event),
            Style::Json(json) => json.event(&mut self.out, event),
        };
        self.note(written);
        if self.failure.is_none() {
            self.shown += 1;
        }
    }

    fn lost(&mut self, lost: Lost) {
        if self.is_done(self.limit) {
            return;
        }
        match &mut self.style {
            Style::Text(_) => {
                // In the order of the stream, also where both go to one place.
                self.flush();
                say!("-- lost {} on cpu {} --", lost.count, lost.cpu);
            }
            Style::Json(json) => {
                let written = json.lost(&mut self.out, lost);
                self.note(written);
            }
        }
    }

    /// What comes from now on is counted and not shown.
    fn is_done(&self, limit: Option<u64>) -> bool {
        self.failure.is_some() || limit.is_some_and(|limit| self.shown >= limit)
    }

    fn has_pending(&self) -> bool {
        self.failure.is_none() && !self.out.buffer().is_empty()
    }

    fn flush(&mut self) {
        if self.failure.is_none() {
            let flushed = self.out.flush();
            self.note(flushed);
        }
    }

    fn note(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.failure = Some(error);
        }
    }
}

/// A number of bytes, in the largest unit that it is a multiple of.
struct Size(usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            size if size.is_multiple_of(1 << 20) => write!(f, "{} MiB", size >> 20),
            size if size.is_multiple_of(1 << 10) => write!(f, "{} KiB", size >> 10),
            size => write!(f, "{size} bytes"),
        }
    }
}

struct LastLine {
    shown: u64,
    summary: Summary,
}

impl fmt::Display for LastLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        last_line(f, self.shown, self.summary.received, &self.summary.counters)
    }
}

fn last_line(
    f: &mut dyn fmt::Write,
    shown: u64,
    received: u64,
    counters: &icmptap::reply::Counters,
) -> fmt::Result {
    let lost = counters.lost();
    write!(
        f,
        "{shown} shown, {received} received, {} matched, {lost} lost",
        counters.matched
    )?;
    let causes: Vec<String> = [
        (counters.lost_overrun, "receive buffer full"),
        (counters.lost_nomem, "no memory"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, cause)| format!("{count} {cause}"))
    .collect();
    if causes.is_empty() {
        Ok(())
    } else {
        write!(f, " ({})", causes.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use icmptap::reply::Counters;
    use icmptap_proto::{nlmsg, testing};

    use super::*;

    fn line(counters: [u64; 5]) -> String {
        let bytes = testing::unsubscribed(1, counters);
        let message = nlmsg::messages(&bytes).next().unwrap().unwrap();
        let counters = Counters::decode(&message.generic().unwrap()).unwrap();
        let mut line = String::new();
        last_line(&mut line, 5, 6, &counters).unwrap();
        line
    }

    #[test]
    fn the_last_line_names_causes_where_there_are_losses() {
        assert_eq!(
            line([6, 6, 0, 0, 0]),
            "5 shown, 6 received, 6 matched, 0 lost"
        );
        assert_eq!(
            line([18, 6, 10, 2, 0]),
            "5 shown, 6 received, 18 matched, 12 lost (10 receive buffer full, 2 no memory)"
        );
        assert!(line([8, 6, 0, 2, 0]).ends_with("2 lost (2 no memory)"));
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(Size(4 << 20).to_string(), "4 MiB");
        assert_eq!(Size(425_984).to_string(), "416 KiB");
        assert_eq!(Size(2_304).to_string(), "2304 bytes");
    }
}
