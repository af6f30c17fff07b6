//! What `listen` and `read` both take: which events, and what becomes of them.

use std::time::Duration;

use clap::{ArgAction, ColorChoice, ValueEnum, value_parser};

use super::{FamilyName, HookName};
use crate::{
    rotate,
    text::TimeStyle,
    types::TypeName,
    values::{WrongValue, interval},
};

/// Which events.
#[derive(Debug, clap::Args)]
pub(crate) struct Selection {
    /// Where to look; several with commas
    #[arg(long = "hook", value_name = "HOOK", value_enum, value_delimiter = ',', action = ArgAction::Append)]
    pub(crate) hooks: Vec<HookName>,

    /// What to look for; several with commas
    #[arg(long = "family", value_name = "FAMILY", value_enum, value_delimiter = ',', action = ArgAction::Append)]
    pub(crate) families: Vec<FamilyName>,

    /// ICMP types to look for, by number or by name, which may be of either
    /// family (see `icmptap types`): echo-request,packet-too-big,3
    #[arg(long = "type", value_name = "TYPE", value_parser = TypeName::parse, value_delimiter = ',', action = ArgAction::Append)]
    pub(crate) types: Vec<TypeName>,

    /// Only what comes in or leaves by this interface of the network namespace;
    /// where it is a port of a bridge or in a VRF, the bridge's or VRF's name
    /// finds more than its own
    #[arg(short, long, value_name = "NAME")]
    pub(crate) interface: Option<String>,

    /// The same as FILTER, as one argument
    #[arg(long = "filter", value_name = "FILTER", conflicts_with = "filter")]
    pub(crate) filter_option: Option<String>,
}

/// How events are printed or written.
#[derive(Debug, clap::Args)]
pub(crate) struct Printing {
    /// How to print; as text unless told otherwise, and with --write as pcapng
    #[arg(short, long, value_enum)]
    output: Option<EventFormat>,

    /// Write the events to this file as pcapng, or as pcap if its name ends so
    /// or -o says it; `-`: to stdout
    #[arg(short, long, value_name = "FILE")]
    write: Option<String>,

    /// With --write: go on in another file when this one is larger than so many
    /// millions of bytes (or K, M or G: 1024-based); FILE1, FILE2 and so on
    #[arg(short = 'C', long, value_name = "SIZE", value_parser = rotate::size, requires = "write")]
    rotate_size: Option<u64>,

    /// With --write: go on in another file after so many seconds. FILE may have
    /// strftime(3)'s signs in it, such as %H%M%S; if not, it is overwritten
    #[arg(short = 'G', long, value_name = "TIME", value_parser = interval, requires = "write")]
    rotate_time: Option<Duration>,

    /// With -C: so many files, which are then overwritten from the first. With -G:
    /// stop after so many
    #[arg(short = 'W', long, value_name = "N", value_parser = value_parser!(u32).range(1..), requires = "write")]
    rotate_files: Option<u32>,

    /// Stop after this many events
    #[arg(short = 'c', long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,

    /// Print interfaces and network namespaces as numbers
    #[arg(short = 'n', long)]
    pub(crate) numeric: bool,

    /// How a line of text begins
    #[arg(long, value_name = "STYLE", value_enum, default_value_t = TimeStyle::Clock)]
    pub(crate) time: TimeStyle,

    /// When to colour lines of text: errors, redirects, neighbour discovery and
    /// multicast listeners, and what is wrong with a packet. `auto`: on a
    /// terminal, unless NO_COLOR is set
    #[arg(long, visible_alias = "colour", value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto)]
    pub(crate) color: ColorChoice,

    /// Print more of each packet as text: how many bytes were kept, TTL, mark,
    /// whether the checksum is good, and what the kernel knew of it
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// Leave out the first line and the counters at the end; losses and errors
    /// still go to stderr
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EventFormat {
    /// Lines for people
    Text,
    /// One JSON object per line
    Json,
    /// A capture with all that is known, losses included
    Pcapng,
    /// A capture of packets and times, which every program reads
    Pcap,
}

/// What becomes of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    Text,
    Json,
    Capture {
        format: CaptureFormat,
        /// `None`: stdout.
        file: Option<rotate::Plan>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CaptureFormat {
    Pcapng,
    Pcap,
}

impl Printing {
    /// What the options come to.
    pub(crate) fn destination(&self) -> Result<Destination, WrongValue> {
        let format = match (self.output, self.write.as_deref()) {
            (Some(EventFormat::Pcapng), _) => CaptureFormat::Pcapng,
            (Some(EventFormat::Pcap), _) => CaptureFormat::Pcap,
            (Some(EventFormat::Text | EventFormat::Json), Some(_)) => {
                return Err(WrongValue(
                    "--write writes pcapng or pcap: for text and JSON, send stdout to a file"
                        .to_owned(),
                ));
            }
            (Some(EventFormat::Json), None) => return Ok(Destination::Json),
            (Some(EventFormat::Text) | None, None) => return Ok(Destination::Text),
            (None, Some(file)) if file.ends_with(".pcap") => CaptureFormat::Pcap,
            (None, Some(_)) => CaptureFormat::Pcapng,
        };
        let file = match self.write.as_deref() {
            None | Some("-") => None,
            Some(name) => Some(rotate::Plan {
                name: name.to_owned(),
                size: self.rotate_size,
                interval: self.rotate_time,
                files: self.rotate_files,
            }),
        };
        let rotates = [
            self.rotate_size.is_some(),
            self.rotate_time.is_some(),
            self.rotate_files.is_some(),
        ];
        if file.is_none() && rotates.contains(&true) {
            return Err(WrongValue(
                "-C, -G and -W are for --write with a file, not for stdout".to_owned(),
            ));
        }
        if rotates == [false, false, true] {
            return Err(WrongValue(
                "-W says how many files there are: -C or -G when the next begins".to_owned(),
            ));
        }
        Ok(Destination::Capture { format, file })
    }
}
