//! Events as lines for people.

mod message;

use std::{io, io::Write};

use icmptap::{
    Family, Hook, IfIndex, Netns,
    event::{Checksum, EventRef},
};
use jiff::{Timestamp, tz::TimeZone};

use self::message::Message;
use crate::interfaces::Names;

/// Prints events as text.
pub(crate) struct Text<N> {
    names: N,
    zone: TimeZone,
    colour: bool,
    /// Whether to say of which network namespace a packet is.
    netns: bool,
}

const YELLOW: &str = "\x1b[33m";
const PLAIN: &str = "\x1b[0m";

impl<N: Names> Text<N> {
    pub(crate) fn new(names: N, zone: TimeZone, colour: bool) -> Self {
        Self {
            names,
            zone,
            colour,
            netns: false,
        }
    }

    /// Says of which network namespace each packet is.
    pub(crate) fn with_netns(mut self, netns: bool) -> Self {
        self.netns = netns;
        self
    }

    pub(crate) fn event(&mut self, out: &mut dyn Write, event: &EventRef<'_>) -> io::Result<()> {
        let time = Timestamp::from_nanosecond(event.time_ns().into()).unwrap_or_default();
        let time = time.to_zoned_datetime(self.zone.clone());
        write!(
            out,
            "{} {} {} ",
            time.strftime("%H:%M:%S%.6f"),
            self.interfaces(event),
            event.hook()
        )?;
        match (event.src(), event.dst()) {
            (Some(src), Some(dst)) => write!(out, "{src} > {dst} ")?,
            _ => write!(out, "? > ? ")?,
        }
        match (event.icmp(), event.icmp_type_and_code()) {
            (Some(icmp), _) => {
                let is_error = icmp.quote.is_some();
                let (on, off) = if self.colour && is_error {
                    (YELLOW, PLAIN)
                } else {
                    ("", "")
                };
                write!(out, "{on}{}{off}", Message(&icmp))?;
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
        if event.is_truncated() {
            write!(out, " truncated")?;
        }
        if event.is_malformed() {
            write!(out, " malformed")?;
        }
        if event.checksum() == Checksum::Bad {
            write!(out, " bad-checksum")?;
        }
        if let Some(vlan) = event.vlan() {
            write!(out, " vlan {}", vlan.id())?;
        }
        if self.netns {
            write!(out, " netns {}", event.netns())?;
        }
        writeln!(out)
    }

    /// The interface that matters at the hook; both where it is on its way
    /// through.
    fn interfaces(&mut self, event: &EventRef<'_>) -> String {
        let (iif, oif) = match event.hook() {
            Hook::Prerouting | Hook::Input => (event.iif(), None),
            Hook::Output | Hook::Postrouting => (None, event.oif()),
            _ => (event.iif(), event.oif()),
        };
        let netns = event.netns();
        match (iif, oif) {
            (Some(iif), Some(oif)) => {
                format!("{}>{}", self.name(netns, iif), self.name(netns, oif))
            }
            (Some(only), None) | (None, Some(only)) => self.name(netns, only),
            (None, None) => "-".to_owned(),
        }
    }

    fn name(&mut self, netns: Netns, index: IfIndex) -> String {
        self.names
            .name(netns, index)
            .unwrap_or_else(|| format!("if{index}"))
    }
}

fn protocol(event: &EventRef<'_>) -> &'static str {
    if event.family() == Family::Ipv6 {
        "icmpv6"
    } else {
        "icmp"
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use icmptap::event::Batch;
    use icmptap_proto::{
        nlmsg,
        testing::{self, Record, icmpv4, icmpv6, ipv4, ndp_option},
    };

    use super::*;

    /// Interface 2 is eth0, 3 is eth1, others have no name.
    pub(crate) struct Fixed;

    impl Names for Fixed {
        fn name(&mut self, _: Netns, index: IfIndex) -> Option<String> {
            match index.0 {
                2 => Some("eth0".to_owned()),
                3 => Some("eth1".to_owned()),
                _ => None,
            }
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
        let mut out = Vec::new();
        let mut text = Text::new(Fixed, TimeZone::UTC, colour);
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
        assert_eq!(start(0, 0, 0), "-");
    }

    #[test]
    fn errors_are_yellow_where_colour_is_wanted() {
        let record = || Record::of_ipv4(icmpv4(11, 0, [0; 4], &udp()));
        assert!(line_of(record(), true).contains("\x1b[33mtime-exceeded"));
        assert!(!line_of(record(), false).contains('\x1b'));
        let ping = Record::of_ipv4(icmpv4(8, 0, [0, 7, 0, 1], &[]));
        assert!(!line_of(ping, true).contains('\x1b'));
    }
}
