//! The options of both `listen` and `read`: which events, and how to output them.

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
    /// Netfilter hooks; separate several with commas
    #[arg(long = "hook", value_name = "HOOK", value_enum, value_delimiter = ',', action = ArgAction::Append)]
    pub(crate) hooks: Vec<HookName>,

    /// Address families; separate several with commas
    #[arg(long = "family", value_name = "FAMILY", value_enum, value_delimiter = ',', action = ArgAction::Append)]
    pub(crate) families: Vec<FamilyName>,

    /// ICMP types, by number or by name, of either family (see `icmptap types`):
    /// echo-request,packet-too-big,3
    #[arg(long = "type", value_name = "TYPE", value_parser = TypeName::parse, value_delimiter = ',', action = ArgAction::Append)]
    pub(crate) types: Vec<TypeName>,

    /// Only packets that enter or leave by this interface of the network namespace;
    /// for a port of a bridge or an interface in a VRF, the bridge's or VRF's name
    /// matches more packets
    #[arg(short, long, value_name = "NAME")]
    pub(crate) interface: Option<String>,

    /// The same as FILTER, as one argument
    #[arg(long = "filter", value_name = "FILTER", conflicts_with = "filter")]
    pub(crate) filter_option: Option<String>,
}

/// How events are printed or written.
#[derive(Debug, clap::Args)]
pub(crate) struct Printing {
    /// Output format; default: text, or pcapng with --write
    #[arg(short, long, value_enum)]
    output: Option<EventFormat>,

    /// Write the events to this file as pcapng, or as pcap if its name ends in .pcap
    /// or with -o pcap; `-`: stdout
    #[arg(short, long, value_name = "FILE")]
    write: Option<String>,

    /// With --write: start a new file when this one is larger than this many
    /// millions of bytes (or K, M or G: 1024-based); FILE1, FILE2 and so on
    #[arg(short = 'C', long, value_name = "SIZE", value_parser = rotate::size, requires = "write")]
    rotate_size: Option<u64>,

    /// With --write: start a new file after this many seconds. FILE may contain
    /// strftime(3) conversions such as %H%M%S; if not, it is overwritten
    #[arg(short = 'G', long, value_name = "TIME", value_parser = interval, requires = "write")]
    rotate_time: Option<Duration>,

    /// With -C: limit the number of files, then overwrite from the first. With -G:
    /// stop after this many files
    #[arg(short = 'W', long, value_name = "N", value_parser = value_parser!(u32).range(1..), requires = "write")]
    rotate_files: Option<u32>,

    /// Stop after this many events
    #[arg(short = 'c', long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,

    /// Print interfaces and network namespaces as numbers
    #[arg(short = 'n', long)]
    pub(crate) numeric: bool,

    /// Timestamp at the start of a line of text
    #[arg(long, value_name = "STYLE", value_enum, default_value_t = TimeStyle::Clock)]
    pub(crate) time: TimeStyle,

    /// When to colour lines of text: errors, redirects, neighbour discovery,
    /// multicast listener messages, and problems of a packet. `auto`: on a
    /// terminal, unless NO_COLOR is set
    #[arg(long, visible_alias = "colour", value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto)]
    pub(crate) color: ColorChoice,

    /// Print more about each packet as text: captured length, TTL, mark, whether the
    /// checksum is good, and the kernel's checksum state
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// Suppress the first line and the counters at the end; losses and errors
    /// still go to stderr
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EventFormat {
    /// Human-readable lines
    Text,
    /// One JSON object per line
    Json,
    /// A capture with all metadata and losses
    Pcapng,
    /// A capture with packets and times only, readable by every program
    Pcap,
}

/// Where events go.
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
    /// The destination that the options select.
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
