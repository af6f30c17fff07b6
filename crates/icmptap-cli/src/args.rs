//! What the user may say, and what the exit codes mean.

mod events;

use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum, value_parser};
use icmptap::{Error, Family, FilterError, Hook, SubscribeOption};

pub(crate) use self::events::{CaptureFormat, Destination, Printing, Selection};
use crate::values::{WrongValue, duration, interval, size};

const EXIT_CODES: &str = "\
Exit codes:
  0  ended as asked: by -c, --duration, Ctrl-C, SIGTERM, SIGHUP or a closed stdout
  1  an error
  2  a wrong option, or a wrong value of one
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

/// Print ICMP messages as the kernel sees them, and what was lost
///
/// Events go to stdout, one per line; everything else goes to stderr: a line
/// once the kernel listens, losses where they happen, and the counters at the
/// end. With -o json losses are lines on stdout too, and the last line there has
/// the final counters. Where no value is given, the kernel's default holds.
///
/// A packet is shown if --hook, --family, --type, --interface and the filter all
/// want it.
///
/// A time is in seconds, or has a unit: 10, 1.5, 500ms, 2m, 100us.
///
/// --write (-w) keeps the events in a capture instead of printing them. `icmptap read`
/// gives all of a pcapng capture back, and Wireshark and tshark read it too; for tcpdump
/// write pcap.
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

    /// Bytes to keep of a packet, from its IP header on
    #[arg(long, value_name = "BYTES")]
    pub(crate) snaplen: Option<u32>,

    /// Take one packet in so many; the others are counted as sampled out
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    pub(crate) sample: Option<u32>,

    /// Take so many events per second at most; the others are counted as lost
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(..=1_000_000_000))]
    pub(crate) rate: Option<u32>,

    /// Look in every network namespace, those to come included; an interface is
    /// one of a single namespace, so not with --interface
    #[arg(long, conflicts_with = "interface")]
    pub(crate) all_netns: bool,

    /// Drop the packets that are wanted, while this runs
    #[arg(long)]
    pub(crate) drop: bool,

    /// Size of a full batch of events
    #[arg(long, value_name = "BYTES")]
    pub(crate) batch: Option<u32>,

    /// Longest time an event may wait in a batch; 0: none waits
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) flush_interval: Option<Duration>,

    /// Size of the receive buffer, such as 512K or 16M
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) rcvbuf: Option<usize>,

    /// A filter in tcpdump's language (see pcap-filter(7)), which sees a packet
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

/// Print the ICMP messages of captures, ours or other programs'
///
/// Reads pcapng and pcap, and prints as `icmptap listen` does; needs no module and
/// no privileges. Of a capture that icmptap wrote as pcapng everything comes back:
/// hooks, network namespaces, CPUs, sequence numbers, and losses where they
/// happened. At the end it is checked whether all that was written is there.
///
/// Of other captures, in which ICMP is looked for, there is no hook (`-`), CPU,
/// sequence number, mark or network namespace; what asks for a hook finds nothing
/// there. Several files are read as one, in the order in which they are given.
///
/// A file that is damaged or cut is shown as far as it is whole.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Read {
    #[command(flatten)]
    pub(crate) printing: Printing,

    #[command(flatten)]
    pub(crate) selection: Selection,

    /// Print of which network namespace a packet is
    #[arg(long)]
    pub(crate) netns: bool,

    /// The files; `-`: stdin
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<String>,

    /// A filter in tcpdump's language (see pcap-filter(7)), which sees a packet
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

    /// Print again and again, each second or as often as is said, with what came
    /// since the last time, per second; until Ctrl-C
    #[arg(short, long, value_name = "TIME", value_parser = interval, num_args = 0..=1,
        require_equals = true, default_missing_value = "1s", conflicts_with = "per_cpu")]
    pub(crate) watch: Option<Duration>,

    /// With --watch: stop after so many times
    #[arg(short = 'c', long, value_name = "N", requires = "watch", value_parser = value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
}

/// Print what the kernel module is and can do
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Info {
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,
}

/// Print the names and numbers of ICMP types, as --type takes them
///
/// `ping` is short for echo-request and echo-reply, `unreachable` for
/// destination-unreachable.
#[derive(Debug, clap::Args)]
pub(crate) struct Types {
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,
}

/// Print who sends ICMP to whom, over the IMP2 protocol
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Imp2 {
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,

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
