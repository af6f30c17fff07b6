//! What the user may say, and what the exit codes mean.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::{ArgAction, Parser, Subcommand, ValueEnum, value_parser};
use icmptap::{Error, Family, Hook};

use crate::types::TypeName;

const EXIT_CODES: &str = "\
Exit codes:
  0  ended as asked: by -c, --duration, Ctrl-C, SIGTERM, SIGHUP or a closed stdout
  1  an error
  2  a wrong option
  3  the kernel module is not loaded
  4  not permitted: CAP_NET_ADMIN is needed";

/// Watch the ICMP messages that a Linux kernel sees
#[derive(Debug, Parser)]
#[command(name = "icmptap", version, about, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Listen(Listen),
    Subscriptions(Subscriptions),
    Stats(Stats),
    Info(Info),
    Imp2(Imp2),
}

/// Print ICMP messages as the kernel sees them, and what was lost
///
/// Events go to stdout, one per line; everything else goes to stderr: a line
/// once the kernel listens, losses where they happen, and the counters at the
/// end. With -o json losses are lines on stdout too, and the last line there has
/// the final counters. Where no value is given, the kernel's default holds.
///
/// A packet is shown if --hook, --family, --type, --interface and the filter all
/// want it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Listen {
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,

    /// Stop after this many events
    #[arg(short = 'c', long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,

    /// Stop after this time, such as 10s, 500ms or 2m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) duration: Option<Duration>,

    /// Where to look; several with commas
    #[arg(long = "hook", value_name = "HOOK", value_enum, value_delimiter = ',', action = ArgAction::Append)]
    pub(crate) hooks: Vec<HookName>,

    /// What to look for; several with commas
    #[arg(long = "family", value_name = "FAMILY", value_enum, value_delimiter = ',', action = ArgAction::Append)]
    pub(crate) families: Vec<FamilyName>,

    /// ICMP types to look for, by number or by name, which may be of either
    /// family: echo-request,packet-too-big,3
    #[arg(long = "type", value_name = "TYPE", value_parser = TypeName::parse, value_delimiter = ',', action = ArgAction::Append)]
    pub(crate) types: Vec<TypeName>,

    /// Only what comes in or leaves by this interface of the network namespace
    #[arg(short, long, value_name = "NAME", conflicts_with = "all_netns")]
    pub(crate) interface: Option<String>,

    /// Bytes to keep of a packet, from its IP header on
    #[arg(long, value_name = "BYTES")]
    pub(crate) snaplen: Option<u32>,

    /// Take one packet in so many; the others are counted as sampled out
    #[arg(long, value_name = "N")]
    pub(crate) sample: Option<u32>,

    /// Take so many events per second at most; the others are counted as lost
    #[arg(long, value_name = "N")]
    pub(crate) rate: Option<u32>,

    /// Look in every network namespace, those to come included; an interface is
    /// one of a single namespace, so not with --interface
    #[arg(long)]
    pub(crate) all_netns: bool,

    /// Drop the packets that are wanted, while this runs
    #[arg(long)]
    pub(crate) drop: bool,

    /// Size of a full batch of events
    #[arg(long, value_name = "BYTES")]
    pub(crate) batch: Option<u32>,

    /// Longest time an event may wait in a batch, in microseconds; 0: none waits
    #[arg(long, visible_alias = "flush-interval", value_name = "MICROSECONDS")]
    pub(crate) flush_us: Option<u32>,

    /// Size of the receive buffer, such as 512K or 16M
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) rcvbuf: Option<usize>,

    /// Print interfaces as numbers
    #[arg(short = 'n', long)]
    pub(crate) numeric: bool,

    /// A filter in tcpdump's language (see pcap-filter(7)), which sees a packet
    /// from its IP header on: icmp6 and host fe80::1
    #[arg(value_name = "FILTER")]
    pub(crate) filter: Vec<String>,
}

/// Print who listens, to what, and what became of it
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Subscriptions {
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,

    /// Those of every network namespace
    #[arg(long)]
    pub(crate) all_netns: bool,
}

/// Print how much was matched, delivered and lost
///
/// The sums of all subscriptions, living and ended, that were made in this
/// network namespace, by cause.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Stats {
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,

    /// One line for each CPU
    #[arg(long)]
    pub(crate) per_cpu: bool,
}

/// Print what the kernel module is and can do
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Info {
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,
}

/// Print who sends ICMP to whom, over the IMP2 protocol
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Imp2 {
    /// Stop after this many packets
    #[arg(short = 'c', long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Lines for people
    Text,
    /// One JSON object per line
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HookName {
    Prerouting,
    Input,
    Forward,
    Output,
    Postrouting,
}

impl From<HookName> for Hook {
    fn from(name: HookName) -> Self {
        match name {
            HookName::Prerouting => Self::Prerouting,
            HookName::Input => Self::Input,
            HookName::Forward => Self::Forward,
            HookName::Output => Self::Output,
            HookName::Postrouting => Self::Postrouting,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FamilyName {
    Ipv4,
    Ipv6,
}

impl From<FamilyName> for Family {
    fn from(name: FamilyName) -> Self {
        match name {
            FamilyName::Ipv4 => Self::Ipv4,
            FamilyName::Ipv6 => Self::Ipv6,
        }
    }
}

/// See [`EXIT_CODES`].
pub(crate) fn exit_code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref() {
        Some(Error::ModuleNotLoaded | Error::Imp2NotLoaded) => 3,
        Some(Error::NotPermitted { .. }) => 4,
        _ => 1,
    }
}

fn duration(text: &str) -> anyhow::Result<Duration> {
    let parsed: jiff::SignedDuration = text
        .parse()
        .ok()
        .context("a time is a number with a unit, such as 10s, 500ms or 2m")?;
    Duration::try_from(parsed)
        .ok()
        .context("a time is not negative")
}

fn size(text: &str) -> anyhow::Result<usize> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        _ => bail!("a size is a number of bytes, or of K, M or G, such as 512K"),
    };
    let number: usize = digits.parse().ok().context("a size starts with a number")?;
    number
        .checked_mul(1 << shift)
        .filter(|size| *size > 0 && *size <= i32::MAX as usize)
        .context("a size is at least 1 byte and less than 2G")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::CommandFactory;

    use super::*;

    /// To accept a change: `UPDATE=1 cargo test -p icmptap-cli`.
    #[test]
    fn help_is_as_checked_in() {
        let mut help = String::new();
        let mut cli = Cli::command().term_width(80);
        cli.build();
        help += &cli.render_long_help().to_string();
        for command in ["listen", "subscriptions", "stats", "info", "imp2"] {
            let command = cli.find_subcommand_mut(command).expect("a subcommand");
            help += &format!("\n\n---- {} ----\n\n", command.get_name());
            help += &command.render_long_help().to_string();
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots/help.txt");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(path, &help).unwrap();
        }
        let expected = fs::read_to_string(path).unwrap();
        assert!(expected == help, "--help changed; now it is:\n{help}");
    }

    #[test]
    fn sizes_and_times() {
        assert_eq!(size("4M").unwrap(), 4 << 20);
        assert_eq!(size("512KiB").unwrap(), 512 << 10);
        assert_eq!(size("1000").unwrap(), 1000);
        for bad in ["", "M", "-1", "0", "4T", "9999999999G", "2G", "1 M x"] {
            assert!(size(bad).is_err(), "{bad:?}");
        }
        assert_eq!(duration("10s").unwrap(), Duration::from_secs(10));
        assert_eq!(duration("500ms").unwrap(), Duration::from_millis(500));
        for bad in ["", "10", "-1s", "soon"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn bad_values_are_refused() {
        for args in [
            &["listen", "-c", "0"][..],
            &["imp2", "-c", "0"],
            &["listen", "--hook", "ingress"],
            &["listen", "--snaplen", "-1"],
            &["listen", "-o", "xml"],
            &["listen", "--type", "echo-request,ping"],
            &["listen", "--type", "256"],
            &["listen", "--sample", "-1"],
            &["listen", "icmp", "--nonsense"],
            &["listen", "-i", "eth0", "--all-netns"],
        ] {
            let args = ["icmptap"].iter().chain(args);
            assert_eq!(Cli::try_parse_from(args).unwrap_err().exit_code(), 2);
        }
    }

    #[test]
    fn a_filter_is_what_is_left() {
        let args = "icmptap listen -o json icmp6 and host fe80::1 -c 3 --type 3,8 --type 11";
        let Command::Listen(args) = Cli::try_parse_from(args.split(' ')).unwrap().command else {
            panic!("not listen")
        };
        assert_eq!(args.filter.join(" "), "icmp6 and host fe80::1");
        assert_eq!((args.count, args.types.len()), (Some(3), 3));
    }

    #[test]
    fn exit_codes() {
        assert_eq!(exit_code(&Error::ModuleNotLoaded.into()), 3);
        assert_eq!(exit_code(&Error::Imp2NotLoaded.into()), 3);
        assert_eq!(exit_code(&anyhow::anyhow!("else")), 1);
    }
}
