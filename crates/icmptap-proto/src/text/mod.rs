//! Events as lines of text for people.
//!
//! `Display` of [`EventRef`], [`Event`] and [`Icmp`] writes what they say. A program that
//! knows the names of interfaces, or uses colours, writes lines with a [`Style`]. A line is
//! for people: its words may change with any version. Programs read [JSON](crate::json).

mod extension;
mod message;
mod option;
mod words;

use std::fmt;

use crate::{
    Family, Hook, IfIndex, Name, Netns,
    event::{Checksum, Event, EventRef},
    icmp::Icmp,
};

/// What a program adds to the line of an event.
///
/// ```
/// use icmptap_proto::{IfIndex, Netns, event::EventRef, text};
///
/// struct Names;
///
/// impl text::Style for Names {
///     fn interface(&mut self, _: Netns, index: IfIndex) -> Option<String> {
///         (index == IfIndex(1)).then(|| "lo".to_owned())
///     }
/// }
///
/// fn line(event: &EventRef<'_>) -> String {
///     let mut line = String::new();
///     text::write_event(&mut line, event, &mut Names).expect("a string takes everything");
///     line
/// }
/// ```
pub trait Style {
    /// The name of an interface. An interface without a name is written as `if` and its
    /// index. Names are escaped, as [`Name`] does.
    fn interface(&mut self, netns: Netns, index: IfIndex) -> Option<String> {
        let _ = (netns, index);
        None
    }

    /// The name of the interface on which another program captured the event. If it is
    /// not known, the interface's index is written, if there is one.
    fn captured_on(&mut self) -> Option<String> {
        None
    }

    /// What to write before and after the ICMP message, such as a colour.
    fn message(&mut self, message: &Icmp<'_>) -> (&'static str, &'static str) {
        let _ = message;
        ("", "")
    }

    /// What to write before and after each of the words `truncated`, `malformed` and
    /// `bad-checksum`.
    fn defect(&mut self) -> (&'static str, &'static str) {
        ("", "")
    }
}

/// Writes the line of an event, without the end of the line:
/// `eth0 prerouting 10.0.0.1 > 10.0.1.2 echo-request id 7 seq 1 len 84`. Of an event that
/// another program captured, the hook is `-`.
///
/// # Errors
/// Those of `out`.
pub fn write_event(
    out: &mut impl fmt::Write,
    event: &EventRef<'_>,
    style: &mut impl Style,
) -> fmt::Result {
    interfaces(out, event, style)?;
    match event.hook() {
        Some(hook) => write!(out, " {hook} ")?,
        None => out.write_str(" - ")?,
    }
    match event.addresses() {
        Some((src, dst)) => write!(out, "{src} > {dst} ")?,
        None => write!(out, "? > ? ")?,
    }
    match (event.icmp(), event.icmp_type_and_code()) {
        (Some(icmp), _) => {
            let (before, after) = style.message(&icmp);
            write!(out, "{before}{icmp}{after}")?;
        }
        (None, Some((number, code))) => {
            write!(out, "{} type {number} code {code}", protocol(event))?;
        }
        (None, None) => write!(out, "{}", protocol(event))?,
    }
    write!(out, " len {}", event.original_len())?;
    if event.is_fragment() {
        write!(
            out,
            " fragment offset {}",
            event.fragment_offset().unwrap_or(0)
        )?;
    }
    for (is_so, word) in [
        (event.is_truncated(), "truncated"),
        (event.is_malformed(), "malformed"),
        (event.checksum() == Checksum::Bad, "bad-checksum"),
    ] {
        if is_so {
            let (before, after) = style.defect();
            write!(out, " {before}{word}{after}")?;
        }
    }
    match event.vlan() {
        Some(vlan) => write!(out, " vlan {}", vlan.id()),
        None => Ok(()),
    }
}

/// The interface that matters at the hook; both where it is on its way
/// through.
fn interfaces(
    out: &mut impl fmt::Write,
    event: &EventRef<'_>,
    style: &mut impl Style,
) -> fmt::Result {
    let (iif, oif) = match event.hook() {
        Some(Hook::Prerouting | Hook::Input) => (event.iif(), None),
        Some(Hook::Output | Hook::Postrouting) => (None, event.oif()),
        _ => (event.iif(), event.oif()),
    };
    let Some(netns) = event.netns() else {
        return match (style.captured_on(), iif.or(oif)) {
            (Some(name), _) => write!(out, "{}", Name::from(name.as_str())),
            (None, Some(index)) => write!(out, "if{index}"),
            (None, None) => out.write_char('-'),
        };
    };
    let mut interface = |out: &mut dyn fmt::Write, index| match style.interface(netns, index) {
        Some(name) => write!(out, "{}", Name::from(name.as_str())),
        None => write!(out, "if{index}"),
    };
    match (iif, oif) {
        (Some(iif), Some(oif)) => {
            interface(out, iif)?;
            out.write_char('>')?;
            interface(out, oif)
        }
        (Some(only), None) | (None, Some(only)) => interface(out, only),
        (None, None) => out.write_char('-'),
    }
}

fn protocol(event: &EventRef<'_>) -> &'static str {
    if event.family() == Family::Ipv6 {
        "icmpv6"
    } else {
        "icmp"
    }
}

/// Names no interfaces, and adds nothing.
struct Plain;

impl Style for Plain {}

/// One line, as [`write_event`] writes it, with interfaces as numbers.
impl fmt::Display for EventRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_event(f, self, &mut Plain)
    }
}

/// As [`EventRef`].
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}
