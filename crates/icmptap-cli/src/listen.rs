//! `icmptap listen`: events to stdout, talk to stderr, counters at the end.

use std::{
    fmt,
    io::Write,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use icmptap::{
    BatchSize, Client, Error, FlushInterval, Item, RateLimit, Received, Sampling, Snaplen,
    SubscribeOption, Subscription, Verdict,
};
use icmptap_capture::Session;

use crate::{
    args::{Destination, Listen as Args, flag},
    ends, info,
    interfaces::{self, Interfaces},
    output, parameters,
    printer::Printer,
    say,
    selection::Sets,
    values::WrongValue,
    write::{Capture, Source},
};

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let destination = args.printing.destination()?;
    let interface = args.selection.interface.as_deref();
    let interface = interface.map(Interface::find).transpose()?;
    let mut subscription = subscribe(args, interface.as_ref())?;
    let stopper = subscription.stopper();
    ends::stop_on_signals(stopper.clone())?;
    if !matches!(destination, Destination::Capture { file: Some(_), .. }) {
        ends::stop_when_unread(stopper.clone())?;
    }
    if let Some(interface) = &interface {
        interface.watch.stop_when_gone(stopper)?;
    }
    if let Some(sentence) = info::difference(subscription.module()) {
        say!("{sentence}");
    }
    let (mut printer, session) = printer(args, &destination, &subscription)?;
    if !args.printing.quiet {
        say!("{}", FirstLine(&subscription, args));
    }
    let result = print_all(&mut subscription, args, &mut printer, session.as_ref());
    if let Err(error) = result {
        say!(
            "{} shown; the final counters are not known",
            printer.shown()
        );
        return Err(error.into());
    }
    let summary = subscription.finish()?;
    printer.totals(session.as_ref(), &summary);
    printer.end();
    if !args.printing.quiet {
        let done = match destination {
            Destination::Capture { .. } => "written",
            _ => "shown",
        };
        say!("{} {done}, {summary}", printer.shown());
    }
    printer.finish()?;
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

/// What events go to, and whose they are if that matters there.
fn printer(
    args: &Args,
    destination: &Destination,
    subscription: &Subscription,
) -> anyhow::Result<(Printer<std::fs::File, Interfaces>, Option<Session>)> {
    let names = Interfaces::new(args.printing.numeric);
    if !matches!(destination, Destination::Capture { .. }) {
        let out = output::unbuffered()?;
        let printer = Printer::lines(&args.printing, destination, out, names, args.all_netns);
        return Ok((printer, None));
    }
    let session = Session {
        boot_id: subscription.module().boot_id,
        // Without it, only captures that were merged could be confused.
        subscription: subscription.id().unwrap_or_default(),
    };
    let snaplen = subscription.parameters().snaplen.0;
    let capture = Capture::new(destination, names, snaplen, Some(session), Source::Module)?;
    let capture = capture.expect("the destination is a capture");
    Ok((Printer::capture(&args.printing, capture), Some(session)))
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
    let Sets {
        hooks,
        families,
        types,
    } = Sets::of(&args.selection)?;
    if let Some(hooks) = hooks {
        builder = builder.hooks(hooks);
    }
    if let Some((icmp, icmpv6)) = types {
        builder = builder.icmp_types(icmp).icmpv6_types(icmpv6);
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
        let special = parameters::special(parameters, |_| args.selection.interface.clone());
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
    printer: &mut Printer<impl Write, Interfaces>,
    session: Option<&Session>,
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
            Ok(Received::Item(Item::Event(event))) => printer.event(session, &event),
            Ok(Received::Item(Item::Lost(lost))) => printer.lost(session, lost),
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
        if printer.is_done() {
            printer.flush();
            subscription.stop()?;
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
    use super::*;

    #[test]
    fn sizes_are_short() {
        assert_eq!(Size(4 << 20).to_string(), "4 MiB");
        assert_eq!(Size(425_984).to_string(), "416 KiB");
        assert_eq!(Size(2_304).to_string(), "2304 bytes");
    }
}
