//! Events as lines for people.

mod colour;
mod time;

use std::{io, io::Write};

use icmptap::{
    IfIndex, Netns,
    event::{Checksum, ChecksumState, EventRef},
    icmp::Icmp,
    text,
};
use jiff::tz::TimeZone;

pub(crate) use self::time::TimeStyle;
use self::{
    colour::{Paint, RED, of_class},
    time::Times,
};
use crate::interfaces::{Names, netns_word};

/// How lines look.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub(crate) time: TimeStyle,
    pub(crate) zone: TimeZone,
    pub(crate) colour: bool,
    /// Whether to say more of each packet.
    pub(crate) verbose: bool,
    /// Whether to say of which network namespace a packet is.
    pub(crate) netns: bool,
}

/// Prints events as text.
pub(crate) struct Text<N> {
    names: N,
    times: Times,
    paint: Paint,
    verbose: bool,
    netns: bool,
    /// Kept, so that it is not allocated for each event.
    line: String,
}

impl<N: Names> Text<N> {
    pub(crate) fn new(names: N, look: Look) -> Self {
        Self {
            names,
            times: Times::new(look.time, look.zone),
            paint: Paint(look.colour),
            verbose: look.verbose,
            netns: look.netns,
            line: String::new(),
        }
    }

    pub(crate) fn event(&mut self, out: &mut dyn Write, event: &EventRef<'_>) -> io::Result<()> {
        self.times.write(out, event.time_ns())?;
        self.line.clear();
        let mut style = Style {
            names: &mut self.names,
            paint: self.paint,
        };
        text::write_event(&mut self.line, event, &mut style).map_err(io::Error::other)?;
        write!(out, " {}", self.line)?;
        if let Some(netns) = event.netns().filter(|_| self.netns) {
            write!(out, " netns {}", netns_word(&mut self.names, netns))?;
        }
        if self.verbose {
            more(out, event)?;
        }
        writeln!(out)
    }
}

/// What the command adds to the library's line.
struct Style<'a, N> {
    names: &'a mut N,
    paint: Paint,
}

impl<N: Names> text::Style for Style<'_, N> {
    fn interface(&mut self, netns: Netns, index: IfIndex) -> Option<String> {
        self.names.name(netns, index)
    }

    fn captured_on(&mut self) -> Option<String> {
        self.names.of_packet()
    }

    fn message(&mut self, message: &Icmp<'_>) -> (&'static str, &'static str) {
        self.paint.with(of_class(message))
    }

    fn defect(&mut self) -> (&'static str, &'static str) {
        self.paint.with(RED)
    }
}

/// What `-v` adds.
fn more(out: &mut dyn Write, event: &EventRef<'_>) -> io::Result<()> {
    write!(out, " caplen {}", event.packet().len())?;
    if let Some(ttl) = event.ttl() {
        write!(out, " ttl {ttl}")?;
    }
    let checksum = match event.checksum() {
        Checksum::Good => "good",
        Checksum::Bad => "bad",
        _ => "unknown",
    };
    if let Some(mark) = event.mark() {
        write!(out, " mark {mark:#x}")?;
    }
    write!(out, " checksum {checksum}")?;
    if !event.is_tapped() {
        return Ok(());
    }
    let state = match event.checksum_state() {
        ChecksumState::None => "none",
        ChecksumState::Unnecessary => "unnecessary",
        ChecksumState::Complete => "complete",
        ChecksumState::Partial => "partial",
    };
    write!(out, " kernel {state}")
}

#[cfg(test)]
pub(crate) mod tests {
    use icmptap::event::Batch;
    use icmptap_proto::{
        nlmsg,
        testing::{self, Record, icmpv4, icmpv6, ipv4, ndp_option},
    };

    use super::*;

    /// Interface 2 is eth0, 3 is eth1, 4 has a name that is not to reach a terminal,
    /// others have none.
    pub(crate) struct Fixed;

    impl Names for Fixed {
        fn name(&mut self, _: Netns, index: IfIndex) -> Option<String> {
            match index.0 {
                2 => Some("eth0".to_owned()),
                3 => Some("eth1".to_owned()),
                4 => Some("a\u{1b}[31m\u{202e}b".to_owned()),
                _ => None,
            }
        }

        fn netns(&mut self, netns: Netns) -> Option<String> {
            (netns.0 == 7).then(|| "blue".to_owned())
        }
    }

    /// What is printed unless something else is asked for, in UTC.
    pub(crate) fn plain() -> Look {
        Look {
            time: TimeStyle::Clock,
            zone: TimeZone::UTC,
            colour: false,
            verbose: false,
            netns: false,
        }
    }

    pub(crate) fn with_event<R>(record: Record, f: impl FnOnce(&EventRef<'_>) -> R) -> R {
        let bytes = testing::events(1, 41, 0, &[record]);
        let message = nlmsg::messages(&bytes).next().unwrap().unwrap();
        let batch = Batch::decode(&message.generic().unwrap()).unwrap();
        let event = batch.events().next().unwrap().unwrap();
        f(&event)
    }

    pub(crate) fn udp() -> Vec<u8> {
        ipv4(
            [10, 0, 0, 1],
            [10, 0, 0, 2],
            17,
            &[0x13, 0x88, 0x82, 0x9a, 0, 8, 0, 0],
        )
    }

    /// Type, code, second word, data; the line's end.
    type Row<'a> = (u8, u8, [u8; 4], &'a [u8], String);

    fn line_of(record: Record, colour: bool) -> String {
        line(record, Look { colour, ..plain() })
    }

    fn line(record: Record, look: Look) -> String {
        let mut out = Vec::new();
        let mut text = Text::new(Fixed, look);
        with_event(record, |event| text.event(&mut out, event)).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_kind_of_message() {
        let quoted_ping = ipv4([10, 0, 0, 1], [10, 0, 0, 2], 1, &[8, 0, 0, 0, 0, 7, 0, 9]);
        let mut later = udp();
        later[6..8].copy_from_slice(&[0, 185]);
        let times = [0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        let esp = ipv4([10, 0, 0, 1], [10, 0, 0, 2], 99, &[0; 8]);
        let flow = "10.0.0.1:5000 > 10.0.0.2:33434 udp";
        let table: &[Row<'_>] = &[
            (
                8,
                0,
                [0, 7, 0, 1],
                &[0; 56],
                "echo-request id 7 seq 1 len 84".into(),
            ),
            (
                0,
                0,
                [0, 7, 0, 1],
                &[0; 56],
                "echo-reply id 7 seq 1 len 84".into(),
            ),
            (
                3,
                3,
                [0; 4],
                &udp(),
                format!("destination-unreachable port-unreachable for {flow} len 56"),
            ),
            (
                3,
                4,
                [0, 0, 5, 20],
                &udp(),
                format!("destination-unreachable fragmentation-needed mtu 1300 for {flow} len 56"),
            ),
            (
                3,
                4,
                [0; 4],
                &udp(),
                format!("destination-unreachable fragmentation-needed for {flow} len 56"),
            ),
            (
                3,
                13,
                [0; 4],
                &[],
                "destination-unreachable admin-prohibited len 28".into(),
            ),
            (
                3,
                99,
                [0; 4],
                &[],
                "destination-unreachable code 99 len 28".into(),
            ),
            (
                4,
                0,
                [0; 4],
                &udp(),
                format!("source-quench for {flow} len 56"),
            ),
            (
                5,
                1,
                [10, 0, 0, 254],
                &udp(),
                format!("redirect gateway 10.0.0.254 for {flow} len 56"),
            ),
            (
                5,
                0,
                [10, 0, 0, 254],
                &udp(),
                format!("redirect network gateway 10.0.0.254 for {flow} len 56"),
            ),
            (
                11,
                0,
                [0; 4],
                &udp(),
                format!("time-exceeded ttl for {flow} len 56"),
            ),
            (
                11,
                1,
                [0; 4],
                &later,
                "time-exceeded reassembly for 10.0.0.1 > 10.0.0.2 udp fragment offset 1480 len 56"
                    .into(),
            ),
            (
                11,
                0,
                [0; 4],
                &quoted_ping,
                "time-exceeded ttl for 10.0.0.1 > 10.0.0.2 icmp echo-request id 7 seq 9 len 56"
                    .into(),
            ),
            (
                11,
                0,
                [0; 4],
                &esp,
                "time-exceeded ttl for 10.0.0.1 > 10.0.0.2 protocol 99 len 56".into(),
            ),
            (
                12,
                0,
                [21, 0, 0, 0],
                &udp(),
                format!("parameter-problem pointer 21 for {flow} len 56"),
            ),
            (
                12,
                1,
                [0; 4],
                &udp(),
                format!("parameter-problem missing-option for {flow} len 56"),
            ),
            (
                13,
                0,
                [0, 7, 0, 1],
                &times,
                "timestamp-request id 7 seq 1 len 40".into(),
            ),
            (
                14,
                0,
                [0, 7, 0, 1],
                &times,
                "timestamp-reply id 7 seq 1 originate 1 receive 2 transmit 3 len 40".into(),
            ),
            (10, 0, [0; 4], &[], "router-solicitation len 28".into()),
            (77, 5, [0; 4], &[], "type-77 code 5 len 28".into()),
        ];
        for (icmp_type, code, rest, data, expected) in table {
            let record = Record::of_ipv4(icmpv4(*icmp_type, *code, *rest, data));
            let expected =
                format!("12:00:01.123456 eth0 prerouting 10.0.0.1 > 10.0.0.2 {expected}\n");
            assert_eq!(line_of(record, false), expected);
        }
    }

    #[test]
    fn what_is_special_comes_last() {
        let ping = || Record::of_ipv4(icmpv4(8, 0, [0, 7, 0, 1], &[0; 56]));
        let start = "12:00:01.123456 eth0 prerouting 10.0.0.1 > 10.0.0.2 ";
        let echo = "echo-request id 7 seq 1 len";
        let line = |record| line_of(record, false);

        assert_eq!(
            line(Record {
                flags: 16,
                vlan_tci: 7,
                ..ping()
            }),
            format!("{start}{echo} 84 vlan 7\n")
        );
        assert_eq!(
            line(Record { flags: 2, ..ping() }),
            format!("{start}{echo} 84 fragment offset 0\n")
        );
        let mut bad = ping();
        bad.packet[40] ^= 1;
        assert_eq!(line(bad), format!("{start}{echo} 84 bad-checksum\n"));
        let mut cut = Record {
            flags: 1,
            origlen: Some(1500),
            ..ping()
        };
        cut.packet.truncate(28);
        assert_eq!(line(cut), format!("{start}{echo} 1500 truncated\n"));
        let mut later = Record {
            flags: 2 | 4,
            ..ping()
        };
        later.packet[6..8].copy_from_slice(&[0, 185]);
        assert_eq!(
            line(later),
            format!("{start}icmp len 84 fragment offset 1480\n")
        );
        let mut short = Record {
            flags: 4 | 8,
            ..ping()
        };
        short.packet.truncate(22);
        assert_eq!(line(short), format!("{start}icmp len 22 malformed\n"));
        let empty = Record {
            flags: 1,
            origlen: Some(84),
            packet: vec![],
            ..ping()
        };
        assert_eq!(
            line(empty),
            "12:00:01.123456 eth0 prerouting ? > ? echo-request len 84 truncated\n"
        );
    }

    #[test]
    fn v6_reads_like_v4() {
        let prefix = [
            &[64, 0xc0, 0, 1, 0x51, 0x80][..],
            &[0; 8],
            &testing::address(0).octets(),
        ];
        let options = ndp_option(3, &prefix.concat());
        let data = [&[0; 8][..], &options].concat();
        let record = Record::of_ipv6(icmpv6(134, 0, [64, 0, 7, 8], &data), 40);
        assert_eq!(
            line_of(record, false),
            "12:00:01.123456 eth0 prerouting 2001:db8::1 > 2001:db8::2 \
             router-advertisement lifetime 1800 prefix 2001:db8::/64 len 88\n"
        );
        let later = testing::ipv6(
            testing::address(1),
            testing::address(2),
            44,
            &[58, 0, 5, 169, 0, 0, 0, 9, 1, 2],
        );
        let record = Record {
            flags: 2 | 4,
            icmp_offset: 0,
            ..Record::of_ipv6(later, 48)
        };
        assert_eq!(
            line_of(record, false),
            "12:00:01.123456 eth0 prerouting 2001:db8::1 > 2001:db8::2 \
             icmpv6 len 50 fragment offset 1448\n"
        );
    }

    #[test]
    fn the_interface_that_matters() {
        let start = |hook, iif, oif| {
            let ping = icmpv4(8, 0, [0, 7, 0, 1], &[]);
            let line = line_of(
                Record {
                    hook,
                    iif,
                    oif,
                    ..Record::of_ipv4(ping)
                },
                false,
            );
            line.split(' ').nth(1).unwrap().to_owned()
        };
        assert_eq!(start(0, 2, 0), "eth0");
        assert_eq!(start(2, 2, 3), "eth0>eth1");
        assert_eq!(start(4, 2, 3), "eth1");
        assert_eq!(start(3, 0, 7), "if7");
        assert_eq!(start(0, 4, 0), r"a\u{1b}[31m\u{202e}b");
        assert_eq!(start(0, 0, 0), "-");
    }

    #[test]
    fn a_name_cannot_speak_to_the_terminal() {
        let record = Record {
            iif: 4,
            ..Record::of_ipv4(icmpv4(8, 0, [0, 7, 0, 1], &[]))
        };
        let line = line_of(record, false);
        assert!(
            line.contains(" a\\u{1b}[31m\\u{202e}b prerouting "),
            "{line}"
        );
    }

    #[test]
    fn each_class_has_its_colour() {
        let start = |record: Record| {
            let line = line_of(record, true);
            let (_, painted) = line.split_once("\x1b[").unwrap_or_default();
            painted.split([' ', '\x1b']).next().unwrap().to_owned()
        };
        let v4 = |icmp_type| Record::of_ipv4(icmpv4(icmp_type, 0, [0; 4], &udp()));
        let v6 = |icmp_type| Record::of_ipv6(icmpv6(icmp_type, 0, [0; 4], &[0; 16]), 40);
        assert_eq!(start(v4(11)), "33mtime-exceeded");
        assert_eq!(start(v4(5)), "35mredirect");
        assert_eq!(start(v6(1)), "33mdestination-unreachable");
        assert_eq!(start(v6(135)), "36mneighbor-solicitation");
        assert_eq!(start(v6(131)), "34mmulticast-listener-report");
        assert_eq!(start(v6(137)), "35mredirect");
        assert_eq!(start(v4(8)), "");
        assert!(!line_of(v4(11), false).contains('\x1b'));
        let mut bad = v4(8);
        bad.packet[40] ^= 1;
        assert!(line_of(bad, true).ends_with(" \x1b[31mbad-checksum\x1b[0m\n"));
    }

    #[test]
    fn more_is_said_where_more_is_asked_for() {
        let record = Record {
            mark: 42,
            netns: 7,
            ..Record::of_ipv4(icmpv4(8, 0, [0, 7, 0, 1], &[0; 56]))
        };
        let verbose = Look {
            verbose: true,
            netns: true,
            ..plain()
        };
        assert!(line(record.clone(), verbose).ends_with(
            " echo-request id 7 seq 1 len 84 netns blue caplen 84 ttl 64 mark 0x2a \
                 checksum good kernel none\n"
        ),);
        let elsewhere = Look {
            netns: true,
            ..plain()
        };
        let other = Record { netns: 8, ..record };
        assert!(line(other, elsewhere).ends_with(" len 84 netns 8\n"));
    }
}
