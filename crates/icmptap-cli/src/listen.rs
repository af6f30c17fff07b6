//! `icmptap listen`: events to stdout, talk to stderr, counters at the end.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use clap::ColorChoice;
use icmptap::{
    BatchSize, Client, Error, Families, FlushInterval, Hook, Hooks, Item, Lost, RateLimit,
    Received, Sampling, Snaplen, SubscribeOption, Subscription, Summary, Verdict, event::EventRef,
};
use jiff::tz::TimeZone;

use crate::{
    args::{Format, Listen as Args, flag},
    ends, info,
    interfaces::{self, Interfaces},
    json::{End, Json},
    lines::Lines,
    output, parameters, say,
    text::{Look, Text},
    types,
    values::WrongValue,
};

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let interface = args.interface.as_deref().map(Interface::find).transpose()?;
    let mut subscription = subscribe(args, interface.as_ref())?;
    let stopper = subscription.stopper();
    ends::stop_on_signals(stopper.clone())?;
    ends::stop_when_unread(stopper.clone())?;
    if let Some(interface) = &interface {
        interface.watch.stop_when_gone(stopper)?;
    }
    if let Some(sentence) = info::difference(subscription.module()) {
        say!("{sentence}");
    }
    if !args.quiet {
        say!("{}", FirstLine(&subscription, args));
    }

    let mut printer = Printer::new(args, output::unbuffered()?);
    let result = print_all(&mut subscription, args, &mut printer);
    if let Err(error) = result {
        say!(
            "{} shown; the final counters are not known",
            printer.shown()
        );
        return Err(error.into());
    }
    let summary = subscription.finish()?;
    printer.end(&summary);
    if !args.quiet {
        say!("{} shown, {summary}", printer.shown());
    }
    if let Some(error) = printer.failure
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        return Err(error).context("cannot write to stdout");
    }
    summary.audit().context("the counters do not agree")?;
    match interface {
        Some(Interface { name, watch }) if watch.is_gone() => bail!(
            "the interface `{}` (number {}) is gone; another one that gets its name is not \
             listened to: run icmptap again for that",
            interfaces::escaped(&name),
            watch.index(),
        ),
        _ => Ok(()),
    }
}

/// The one that packets are to come in or leave by.
struct Interface {
    name: String,
    watch: ends::InterfaceWatch,
}

impl Interface {
    fn find(name: &str) -> anyhow::Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            watch: ends::InterfaceWatch::new(interfaces::index(name)?)?,
        })
    }
}

/// Passes on what the user set, and leaves the rest to the kernel.
fn subscribe(args: &Args, interface: Option<&Interface>) -> anyhow::Result<Subscription> {
    let mut builder = Subscription::builder().all_netns(args.all_netns);
    if !args.hooks.is_empty() {
        builder = builder.hooks(
            args.hooks
                .iter()
                .map(|hook| Hook::from(*hook))
                .collect::<Hooks>(),
        );
    }
    let mut families: Option<Families> = None;
    if !args.families.is_empty() {
        let named = args.families.iter().map(|family| (*family).into());
        families = Some(named.collect());
    }
    if !args.types.is_empty() {
        let (icmp, icmpv6, having) = types::sets(&args.types, families)?;
        builder = builder.icmp_types(icmp).icmpv6_types(icmpv6);
        families = Some(having);
    }
    if let Some(families) = families {
        builder = builder.families(families);
    }
    if let Some(interface) = interface {
        builder = builder.interface(interface.watch.index());
    }
    if let Some(filter) = args.filter() {
        builder = builder.filter(&filter)?;
        if builder.overlooks_extension_headers() {
            say!(
                "the filter looks for ICMPv6 directly behind the IPv6 header, and misses what is \
                 behind an extension header, such as multicast listener messages: --type finds \
                 them"
            );
        }
    }
    if let Some(snaplen) = args.snaplen {
        builder = builder.snaplen(Snaplen(snaplen));
    }
    if let Some(one_in) = args.sample {
        builder = builder.sampling(Sampling { one_in });
    }
    if let Some(per_second) = args.rate {
        builder = builder.rate_limit(RateLimit { per_second });
    }
    if args.drop {
        builder = builder.verdict(Verdict::Drop);
    }
    if let Some(batch) = args.batch {
        builder = builder.batch(BatchSize(batch));
    }
    if let Some(interval) = args.flush_interval {
        // One that is too long for the number is too long for the module.
        let us = interval.as_micros().try_into().unwrap_or(u32::MAX);
        builder = builder.flush_interval(FlushInterval { us });
    }
    if let Some(size) = args.rcvbuf {
        builder = builder.receive_buffer(size);
    }
    builder.subscribe().map_err(|error| in_words(error, args))
}

/// Of a value that the module does not take, which it does.
fn in_words(error: Error, args: &Args) -> anyhow::Error {
    let Error::Refused {
        option: Some(option),
        ..
    } = &error
    else {
        return error.into();
    };
    let Ok(module) = Client::open().and_then(|mut client| client.info()) else {
        return error.into();
    };
    let of_bytes = |value: Option<u32>, min: u32, max: u32| {
        value.map(|value| (value.to_string(), format!("{min} to {max}")))
    };
    let wrong = match *option {
        SubscribeOption::Snaplen => of_bytes(args.snaplen, 0, module.snaplen_max.0),
        SubscribeOption::Batch => of_bytes(args.batch, module.batch_min.0, module.batch_max.0),
        SubscribeOption::FlushInterval => args.flush_interval.map(|interval| {
            let max = Duration::from_micros(module.flush_max.us.into());
            (format!("{interval:?}"), format!("0 to {max:?}"))
        }),
        _ => None,
    };
    match (wrong, flag(*option)) {
        (Some((value, range)), Some(flag)) => {
            WrongValue(format!("{flag} {value}: this module takes {range}")).into()
        }
        _ => error.into(),
    }
}

/// What is in force.
struct FirstLine<'a>(&'a Subscription, &'a Args);

impl fmt::Display for FirstLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(subscription, args) = self;
        let parameters = subscription.parameters();
        write!(
            f,
            "listening on {}, {}, snaplen {}, batch {}, receive buffer {}",
            parameters.hooks,
            parameters.families,
            parameters.snaplen,
            parameters.batch,
            Size(subscription.receive_buffer())
        )?;
        let special = parameters::special(parameters, |_| args.interface.clone());
        if special.is_empty() {
            Ok(())
        } else {
            write!(f, ", {special}")
        }
    }
}

/// Prints until the subscription has ended and nothing is left.
fn print_all(
    subscription: &mut Subscription,
    args: &Args,
    printer: &mut Printer<impl Write>,
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
            Ok(Received::TimedOut) => printer.flush(),
            Ok(Received::Ended) => {
                printer.flush();
                return Ok(());
            }
            // Some events are gone, the rest is not.
            Err(error) if error.is_recoverable() => say!("icmptap: {error}"),
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
struct Printer<W: Write> {
    lines: Lines<W>,
    style: Style,
    /// Losses that were printed.
    told: u64,
    limit: Option<u64>,
    /// Why nothing can be written any more.
    failure: Option<io::Error>,
}

enum Style {
    Text(Text<Interfaces>),
    Json(Json<Interfaces>),
}

impl<W: Write> Printer<W> {
    fn new(args: &Args, out: W) -> Self {
        let names = Interfaces::new(args.numeric);
        Self {
            lines: Lines::new(out),
            style: match args.output {
                Format::Text => {
                    let look = Look {
                        time: args.time,
                        zone: TimeZone::system(),
                        colour: is_coloured(args.color),
                        verbose: args.verbose,
                        netns: args.all_netns,
                    };
                    Style::Text(Text::new(names, look))
                }
                Format::Json => Style::Json(Json::new(names)),
            },
            told: 0,
            limit: args.count,
            failure: None,
        }
    }

    fn event(&mut self, event: &EventRef<'_>) {
        if self.is_done(self.limit) {
            return;
        }
        let Self { lines, style, .. } = self;
        let written = lines.event(|out| match style {
            Style::Text(text) => text.event(out, event),
            Style::Json(json) => json.event(out, event),
        });
        self.note(written);
    }

    fn lost(&mut self, lost: Lost) {
        if self.is_done(self.limit) {
            return;
        }
        self.told += lost.count;
        match &self.style {
            Style::Text(_) => {
                // In the order of the stream, also where both go to one place.
                self.flush();
                say!("-- lost {} on cpu {} --", lost.count, lost.cpu);
            }
            Style::Json(json) => {
                let written = self.lines.other(|out| json.lost(out, lost));
                self.note(written);
            }
        }
    }

    /// Prints what the format has at its end.
    fn end(&mut self, summary: &Summary) {
        let untold = summary.counters.lost().saturating_sub(self.told);
        if matches!(self.style, Style::Text(_)) && untold > 0 {
            self.flush();
            say!("-- lost {untold} at the end --");
        }
        if let (Style::Json(json), None) = (&self.style, &self.failure) {
            let end = End {
                shown: self.lines.events(),
                told: self.told,
                received: summary.received,
                counters: &summary.counters,
            };
            let written = self.lines.other(|out| json.end(out, &end));
            self.note(written);
        }
        self.flush();
    }

    /// Events that were written.
    fn shown(&self) -> u64 {
        self.lines.written()
    }

    /// What comes from now on is counted and not shown.
    fn is_done(&self, limit: Option<u64>) -> bool {
        self.failure.is_some() || limit.is_some_and(|limit| self.lines.events() >= limit)
    }

    fn has_pending(&self) -> bool {
        self.failure.is_none() && self.lines.has_pending()
    }

    fn flush(&mut self) {
        if self.failure.is_none() {
            let flushed = self.lines.flush();
            self.note(flushed);
        }
    }

    fn note(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.failure = Some(error);
        }
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

#[cfg(test)]
mod tests {
    use clap::Parser;
    use icmptap_proto::testing::{self, Record};

    use super::*;
    use crate::text::tests::with_event;

    fn printer<W: Write>(args: &[&str], out: W) -> Printer<W> {
        let args = ["icmptap", "listen", "-n"].iter().chain(args);
        let crate::args::Command::Listen(args) =
            crate::args::Cli::try_parse_from(args).unwrap().command
        else {
            panic!("not listen")
        };
        Printer::new(&args, out)
    }

    fn ping() -> Record {
        Record::of_ipv4(testing::icmpv4(8, 0, [0, 7, 0, 1], &[]))
    }

    #[test]
    fn what_comes_after_the_last_wanted_is_not_shown() {
        let mut out = Vec::new();
        let mut printer = printer(&["-c", "2", "-o", "json"], &mut out);
        for _ in 0..4 {
            with_event(ping(), |event| printer.event(event));
            printer.lost(Lost {
                cpu: icmptap::Cpu(0),
                count: 1,
            });
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
            with_event(ping(), |event| printer.event(event));
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
        with_event(ping(), |event| printer.event(event));
        assert!(!printer.is_done(None));
        printer.flush();
        assert!(printer.is_done(None) && !printer.has_pending());
        with_event(ping(), |event| printer.event(event));
        assert_eq!(printer.shown(), 0);
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(Size(4 << 20).to_string(), "4 MiB");
        assert_eq!(Size(425_984).to_string(), "416 KiB");
        assert_eq!(Size(2_304).to_string(), "2304 bytes");
    }
}
