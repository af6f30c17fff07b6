//! The command line, and the exit codes.

mod events;

use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum, value_parser};
use icmptap::{Error, Family, FilterError, Hook, SubscribeOption};

pub(crate) use self::events::{CaptureFormat, Destination, Printing, Selection};
use crate::values::{WrongValue, duration, interval, size};

const EXIT_CODES: &str = "\
Exit codes:
  0  success: ended by -c, --duration, Ctrl-C, SIGTERM, SIGHUP or a closed stdout
  1  an error
  2  an invalid option or value
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
    Listen(Box<Listen>),
    Read(Box<Read>),
    Subscriptions(Subscriptions),
    Stats(Stats),
    Info(Info),
    Types(Types),
    Imp2(Imp2),
}

/// Print ICMP messages as the kernel sees them, and losses
///
/// Events go to stdout, one per line; everything else goes to stderr: a line
/// once the subscription has started, losses where they occur, and the counters at
/// the end. With -o json losses are lines on stdout too, and the last line there has
/// the final counters. Options that are not given have the kernel's defaults.
///
/// A packet is shown if it matches --hook, --family, --type, --interface and the
/// filter.
///
/// A time is in seconds, or has a unit: 10, 1.5, 500ms, 2m, 100us.
///
/// --write (-w) writes the events to a capture instead of printing them. `icmptap read`
/// reads everything in a pcapng capture, and Wireshark and tshark read it too; for
/// tcpdump write pcap.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Listen {
    #[command(flatten)]
    pub(crate) printing: Printing,

    /// Stop after this time
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) duration: Option<Duration>,

    #[command(flatten)]
    pub(crate) selection: Selection,

    /// Capture at most this many bytes of each packet, from its IP header on
    #[arg(long, value_name = "BYTES")]
    pub(crate) snaplen: Option<u32>,

    /// Deliver every Nth matching packet; the others are counted as sampled out
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    pub(crate) sample: Option<u32>,

    /// Deliver at most this many events per second; the others are counted as lost
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(..=1_000_000_000))]
    pub(crate) rate: Option<u32>,

    /// Capture in every network namespace, including those created later; not with
    /// --interface, since an interface belongs to a single namespace
    #[arg(long, conflicts_with = "interface")]
    pub(crate) all_netns: bool,

    /// Drop matching packets while this command runs
    #[arg(long)]
    pub(crate) drop: bool,

    /// Size of a full batch of events
    #[arg(long, value_name = "BYTES")]
    pub(crate) batch: Option<u32>,

    /// Longest time an event may wait in a batch; 0: no batching
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) flush_interval: Option<Duration>,

    /// Size of the receive buffer, such as 512K or 16M
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) rcvbuf: Option<usize>,

    /// A filter in tcpdump's language (see pcap-filter(7)), applied to a packet
    /// from its IP header on: icmp6 and host fe80::1
    #[arg(value_name = "FILTER")]
    filter: Vec<String>,
}

impl Listen {
    /// The filter, if there is one.
    pub(crate) fn filter(&self) -> Option<String> {
        one(&self.filter, &self.selection)
    }
}

/// Print the ICMP messages in captures of icmptap and other programs
///
/// Reads pcapng and pcap, and prints as `icmptap listen` does; needs neither the
/// module nor privileges. A pcapng capture of icmptap has everything: hooks, network
/// namespaces, CPUs, sequence numbers, and losses where they occurred. At the end
/// `icmptap read` checks that the capture is complete.
///
/// ICMP messages in other captures have no hook (`-`), CPU, sequence number, mark or
/// network namespace; --hook selects none of them. Several files are read as one, in
/// the given order.
///
/// A damaged or truncated file is shown up to the damage.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Read {
    #[command(flatten)]
    pub(crate) printing: Printing,

    #[command(flatten)]
    pub(crate) selection: Selection,

    /// Print the network namespace of each packet
    #[arg(long)]
    pub(crate) netns: bool,

    /// The captures; `-`: stdin
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<String>,

    /// A filter in tcpdump's language (see pcap-filter(7)), applied to a packet
    /// from its IP header on: icmp6 and host fe80::1
    #[arg(value_name = "FILTER", last = true)]
    filter: Vec<String>,
}

impl Read {
    /// The filter, if there is one.
    pub(crate) fn filter(&self) -> Option<String> {
        one(&self.filter, &self.selection)
    }
}

fn one(words: &[String], selection: &Selection) -> Option<String> {
    let words = (!words.is_empty()).then(|| words.join(" "));
    words.or_else(|| selection.filter_option.clone())
}

/// Print all subscriptions with their owners, settings and counters
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Subscriptions {
    /// Output format
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,

    /// Include those of every network namespace
    #[arg(long)]
    pub(crate) all_netns: bool,
}

/// Print how many packets were matched, delivered and lost
///
/// The sums over all subscriptions, current and ended, that were created in this
/// network namespace, with losses by cause.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Stats {
    /// Output format
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,

    /// One line for each CPU
    #[arg(long)]
    pub(crate) per_cpu: bool,

    /// Repeat every second, or at the given interval, with rates per second since
    /// the last time; until Ctrl-C
    #[arg(short, long, value_name = "TIME", value_parser = interval, num_args = 0..=1,
        require_equals = true, default_missing_value = "1s", conflicts_with = "per_cpu")]
    pub(crate) watch: Option<Duration>,

    /// With --watch: stop after this many repetitions
    #[arg(short = 'c', long, value_name = "N", requires = "watch", value_parser = value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
}

/// Print the kernel module's version, limits and capabilities
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Info {
    /// Output format
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,
}

/// Print the names and numbers of ICMP types that --type accepts
///
/// `ping` is short for echo-request and echo-reply, `unreachable` for
/// destination-unreachable.
#[derive(Debug, clap::Args)]
pub(crate) struct Types {
    /// Output format
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,
}

/// Print the source and destination of ICMP packets, over the IMP2 protocol
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Imp2 {
    /// Output format
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,

    /// Stop after this many packets
    #[arg(short = 'c', long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Human-readable lines
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

/// The flag that sets an option of a subscription; the filter has none.
pub(crate) fn flag(option: SubscribeOption) -> Option<&'static str> {
    Some(match option {
        SubscribeOption::Hooks => "--hook",
        SubscribeOption::Families => "--family",
        SubscribeOption::Snaplen => "--snaplen",
        SubscribeOption::Batch => "--batch",
        SubscribeOption::FlushInterval => "--flush-interval",
        SubscribeOption::IcmpTypes | SubscribeOption::Icmpv6Types => "--type",
        SubscribeOption::Interface => "--interface",
        SubscribeOption::Sampling => "--sample",
        SubscribeOption::RateLimit => "--rate",
        SubscribeOption::Verdict => "--drop",
        SubscribeOption::AllNetns => "--all-netns",
        _ => return None,
    })
}

/// See [`EXIT_CODES`].
pub(crate) fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<WrongValue>()
        || matches!(error.downcast_ref(), Some(FilterError::Expression { .. }))
    {
        return 2;
    }
    match error.downcast_ref() {
        Some(Error::Direction(_)) => 2,
        Some(Error::ModuleNotLoaded | Error::Imp2NotLoaded) => 3,
        Some(Error::NotPermitted { .. }) => 4,
        _ => 1,
    }
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
        for command in [
            "listen",
            "read",
            "subscriptions",
            "stats",
            "info",
            "types",
            "imp2",
        ] {
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
    fn bad_values_are_refused() {
        for args in [
            &["listen", "-c", "0"][..],
            &["imp2", "-c", "0"],
            &["listen", "--hook", "ingress"],
            &["listen", "--snaplen", "-1"],
            &["listen", "-o", "xml"],
            &["listen", "--type", "echo-request,pong"],
            &["listen", "--type", "256"],
            &["listen", "--sample", "0"],
            &["listen", "--rate", "1000000001"],
            &["listen", "--duration", "-1s"],
            &["listen", "--filter", "icmp", "icmp"],
            &["listen", "--time", "never"],
            &["stats", "--watch=0"],
            &["stats", "-c", "1"],
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
        assert_eq!(args.filter().as_deref(), Some("icmp6 and host fe80::1"));
        assert_eq!(
            (args.printing.count, args.selection.types.len()),
            (Some(3), 3)
        );
        let args = [
            "icmptap",
            "listen",
            "--filter",
            "icmp6 and host fe80::1",
            "-v",
        ];
        let Command::Listen(args) = Cli::try_parse_from(args).unwrap().command else {
            panic!("not listen")
        };
        assert_eq!(args.filter().as_deref(), Some("icmp6 and host fe80::1"));
    }

    #[test]
    fn exit_codes() {
        assert_eq!(exit_code(&Error::ModuleNotLoaded.into()), 3);
        assert_eq!(exit_code(&Error::Imp2NotLoaded.into()), 3);
        assert_eq!(exit_code(&WrongValue("too much".to_owned()).into()), 2);
        let filter = FilterError::Expression {
            expression: "icmp and".to_owned(),
            reason: "syntax error".to_owned(),
        };
        assert_eq!(exit_code(&filter.into()), 2);
        assert_eq!(exit_code(&anyhow::anyhow!("else")), 1);
    }
}
