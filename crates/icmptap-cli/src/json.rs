//! Events as JSON, one object per line. Keys may be added; those that are here
//! stay. What does not apply to an event is left out.

use std::{
    io::{self, Write},
    net::{IpAddr, Ipv4Addr},
};

use icmptap::{
    IfIndex, Lost,
    event::{Checksum, ChecksumState, EventRef},
    icmp::{self, Body, Transport, code_word, protocol_word},
};
use jiff::Timestamp;
use serde::Serialize;

use crate::interfaces::Names;

/// A line of `icmptap listen -o json`.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Line {
    /// A packet.
    Event(Box<Event>),
    /// Packets that did not make it, at the place where they are missing.
    Lost {
        /// On which CPU.
        cpu: u32,
        /// How many.
        count: u64,
    },
}

#[derive(Debug, Serialize)]
struct Event {
    /// When the hook saw it: RFC 3339, UTC, nanoseconds.
    time: String,
    /// The same as nanoseconds since 1970.
    time_ns: u64,
    /// The CPU that saw it.
    cpu: u32,
    /// Its number in the stream of its CPU.
    seq: u64,
    /// Inode number of the network namespace.
    netns: u32,
    /// `prerouting`, `input`, `forward`, `output` or `postrouting`.
    hook: String,
    /// `ipv4` or `ipv6`.
    family: String,
    /// The interface it came in by.
    #[serde(skip_serializing_if = "Option::is_none")]
    iif: Option<Interface>,
    /// The interface it leaves by.
    #[serde(skip_serializing_if = "Option::is_none")]
    oif: Option<Interface>,
    /// The packet's mark.
    mark: u32,
    /// The VLAN tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    vlan: Option<Vlan>,
    /// Who sent it; missing if the snaplen cut it off, like `dst`.
    #[serde(skip_serializing_if = "Option::is_none")]
    src: Option<IpAddr>,
    /// To whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    dst: Option<IpAddr>,
    /// Bytes the packet had, IP header included.
    len: u32,
    /// Bytes that were kept of it.
    caplen: usize,
    /// Some were not kept.
    truncated: bool,
    /// It ends before its ICMP header does.
    malformed: bool,
    /// Of a fragment: where in the whole packet's payload it starts, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    fragment_offset: Option<u16>,
    /// `good`, `bad` or `unknown`.
    checksum: &'static str,
    /// What the kernel knew: `none`, `unnecessary`, `complete` or `partial`.
    checksum_state: &'static str,
    /// Missing in a later fragment and a malformed packet.
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp: Option<Icmp>,
}

#[derive(Debug, Serialize)]
struct Interface {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Debug, Serialize)]
struct Vlan {
    id: u16,
    priority: u8,
    /// `802.1Q` or `802.1ad`.
    protocol: &'static str,
}

#[derive(Debug, Default, Serialize)]
struct Icmp {
    r#type: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    type_name: Option<&'static str>,
    code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    code_name: Option<&'static str>,
    /// Of an echo or a timestamp.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u16>,
    /// Of an echo or a timestamp.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u16>,
    /// Of "fragmentation needed": what fits, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u16>,
    /// Of a redirect: the better first hop.
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<Ipv4Addr>,
    /// Of a parameter problem: the byte that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<u8>,
    /// Of a timestamp, in milliseconds since midnight UT.
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<Times>,
    /// Of an error: the packet it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    quote: Option<Quote>,
}

#[derive(Debug, Serialize)]
struct Times {
    originate: u32,
    receive: u32,
    transmit: u32,
}

#[derive(Debug, Serialize)]
struct Quote {
    src: Ipv4Addr,
    dst: Ipv4Addr,
    protocol: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol_name: Option<&'static str>,
    /// Bytes the packet had, IP header included.
    len: u16,
    /// Where in its packet it starts, in bytes.
    fragment_offset: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dst_port: Option<u16>,
    /// If it was ICMP itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp: Option<Box<Icmp>>,
}

/// Prints events as JSON.
pub(crate) struct Json<N> {
    names: N,
}

impl<N: Names> Json<N> {
    pub(crate) fn new(names: N) -> Self {
        Self { names }
    }

    pub(crate) fn event(&mut self, out: &mut dyn Write, event: &EventRef<'_>) -> io::Result<()> {
        let time = Timestamp::from_nanosecond(event.time_ns().into()).unwrap_or_default();
        let netns = event.netns();
        let mut interface = |index: IfIndex| Interface {
            index: index.0,
            name: self.names.name(netns, index),
        };
        let event = Event {
            time: format!("{time:.9}"),
            time_ns: event.time_ns(),
            cpu: event.cpu().0,
            seq: event.seq(),
            netns: event.netns().0,
            hook: event.hook().to_string(),
            family: event.family().to_string(),
            iif: event.iif().map(&mut interface),
            oif: event.oif().map(&mut interface),
            mark: event.mark(),
            vlan: event.vlan().map(|vlan| Vlan {
                id: vlan.id(),
                priority: vlan.priority(),
                protocol: if vlan.provider { "802.1ad" } else { "802.1Q" },
            }),
            src: event.src(),
            dst: event.dst(),
            len: event.original_len(),
            caplen: event.packet().len(),
            truncated: event.is_truncated(),
            malformed: event.is_malformed(),
            fragment_offset: event.fragment_offset().filter(|_| event.is_fragment()),
            checksum: match event.checksum() {
                Checksum::Good => "good",
                Checksum::Bad => "bad",
                Checksum::Unknown => "unknown",
            },
            checksum_state: match event.checksum_state() {
                ChecksumState::None => "none",
                ChecksumState::Unnecessary => "unnecessary",
                ChecksumState::Complete => "complete",
                ChecksumState::Partial => "partial",
            },
            icmp: match (event.icmpv4(), event.icmp_type_and_code()) {
                (Some(message), _) => Some(Icmp::from(&message)),
                (None, Some((number, code))) => Some(Icmp {
                    r#type: number,
                    code,
                    ..Icmp::default()
                }),
                (None, None) => None,
            },
        };
        line(out, &Line::Event(Box::new(event)))
    }

    pub(crate) fn lost(&mut self, out: &mut dyn Write, lost: Lost) -> io::Result<()> {
        line(
            out,
            &Line::Lost {
                cpu: lost.cpu.0,
                count: lost.count,
            },
        )
    }
}

fn line(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

impl Icmp {
    fn of(icmp_type: icmp::Type, code: u8, echo: Option<icmp::Echo>) -> Self {
        Self {
            r#type: icmp_type.0,
            type_name: icmp_type.word(),
            code,
            code_name: code_word(icmp_type, code),
            id: echo.map(|echo| echo.id),
            seq: echo.map(|echo| echo.seq),
            ..Self::default()
        }
    }
}

impl From<&icmp::Icmpv4> for Icmp {
    fn from(message: &icmp::Icmpv4) -> Self {
        let echo = match message.body {
            Body::Echo(echo) | Body::Timestamp { echo, .. } => Some(echo),
            _ => None,
        };
        let mut icmp = Self::of(message.icmp_type, message.code, echo);
        icmp.quote = message.quote().map(Quote::from);
        match message.body {
            Body::Unreachable { next_hop_mtu, .. } => icmp.mtu = next_hop_mtu.map(|mtu| mtu.0),
            Body::Redirect { gateway, .. } => icmp.gateway = Some(gateway),
            Body::ParameterProblem { pointer, .. } => icmp.pointer = Some(pointer),
            Body::Timestamp { times, .. } => {
                icmp.times = times.map(|times| Times {
                    originate: times.originate,
                    receive: times.receive,
                    transmit: times.transmit,
                });
            }
            _ => {}
        }
        icmp
    }
}

impl From<&icmp::Quote> for Quote {
    fn from(quote: &icmp::Quote) -> Self {
        let (mut src_port, mut dst_port, mut inner) = (None, None, None);
        match quote.transport {
            Transport::Ports { src, dst } => (src_port, dst_port) = (Some(src), Some(dst)),
            Transport::Icmp {
                icmp_type,
                code,
                echo,
            } => {
                inner = Some(Box::new(Icmp::of(icmp_type, code, echo)));
            }
            _ => {}
        }
        Self {
            src: quote.src,
            dst: quote.dst,
            protocol: quote.protocol,
            protocol_name: protocol_word(quote.protocol),
            len: quote.len,
            fragment_offset: quote.fragment_offset,
            src_port,
            dst_port,
            icmp: inner,
        }
    }
}

#[cfg(test)]
mod tests {
    use icmptap::Cpu;
    use icmptap_proto::testing::{Record, icmpv4, ipv4};
    use serde_json::{Value, json};

    use super::*;
    use crate::text::tests::{Fixed, udp, with_event};

    /// Type, code, second word, data; what is expected beyond type and code.
    type Row<'a> = (u8, u8, [u8; 4], &'a [u8], Value);

    fn parsed(record: Record) -> Value {
        let mut out = Vec::new();
        with_event(record, |event| Json::new(Fixed).event(&mut out, event)).unwrap();
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert_eq!(out.last(), Some(&b'\n'));
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn a_whole_event() {
        let record = Record::of_ipv4(icmpv4(8, 0, [0, 7, 0, 1], &[0; 56]));
        let record = Record {
            flags: 16,
            vlan_tci: 0x6007,
            oif: 9,
            mark: 5,
            ..record
        };
        assert_eq!(
            parsed(record),
            json!({
                "kind": "event",
                "time": "1970-01-01T12:00:01.123456789Z", "time_ns": 43_201_123_456_789u64,
                "cpu": 1, "seq": 41, "netns": 4_026_531_840u32,
                "hook": "prerouting", "family": "ipv4",
                "iif": {"index": 2, "name": "eth0"}, "oif": {"index": 9},
                "mark": 5, "vlan": {"id": 7, "priority": 3, "protocol": "802.1Q"},
                "src": "10.0.0.1", "dst": "10.0.0.2", "len": 84, "caplen": 84,
                "truncated": false, "malformed": false,
                "checksum": "good", "checksum_state": "none",
                "icmp": {"type": 8, "type_name": "echo-request", "code": 0, "id": 7, "seq": 1},
            })
        );
    }

    #[test]
    fn every_kind_of_message() {
        let flow = json!({
            "src": "10.0.0.1", "dst": "10.0.0.2", "protocol": 17, "protocol_name": "udp",
            "len": 28, "fragment_offset": 0, "src_port": 5000, "dst_port": 33434,
        });
        let ping = ipv4([10, 0, 0, 1], [10, 0, 0, 2], 1, &[8, 0, 0, 0, 0, 7, 0, 9]);
        let quoted_ping = json!({
            "src": "10.0.0.1", "dst": "10.0.0.2", "protocol": 1, "protocol_name": "icmp",
            "len": 28, "fragment_offset": 0,
            "icmp": {"type": 8, "type_name": "echo-request", "code": 0, "id": 7, "seq": 9},
        });
        let times = [0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        let table: &[Row<'_>] = &[
            (
                0,
                0,
                [0, 7, 0, 1],
                &[],
                json!({"type_name": "echo-reply", "id": 7, "seq": 1}),
            ),
            (
                3,
                3,
                [0; 4],
                &udp(),
                json!({"type_name": "destination-unreachable", "code_name": "port-unreachable", "quote": flow}),
            ),
            (
                3,
                4,
                [0, 0, 5, 20],
                &udp(),
                json!({"type_name": "destination-unreachable", "code_name": "fragmentation-needed", "mtu": 1300, "quote": flow}),
            ),
            (
                4,
                0,
                [0; 4],
                &udp(),
                json!({"type_name": "source-quench", "quote": flow}),
            ),
            (
                5,
                1,
                [10, 0, 0, 254],
                &udp(),
                json!({"type_name": "redirect", "code_name": "host", "gateway": "10.0.0.254", "quote": flow}),
            ),
            (
                11,
                0,
                [0; 4],
                &ping,
                json!({"type_name": "time-exceeded", "code_name": "ttl", "quote": quoted_ping}),
            ),
            (
                12,
                0,
                [21, 0, 0, 0],
                &udp(),
                json!({"type_name": "parameter-problem", "code_name": "pointer", "pointer": 21, "quote": flow}),
            ),
            (
                14,
                0,
                [0, 7, 0, 1],
                &times,
                json!({"type_name": "timestamp-reply", "id": 7, "seq": 1, "times": {"originate": 1, "receive": 2, "transmit": 3}}),
            ),
            (77, 5, [0; 4], &[], json!({})),
        ];
        for (icmp_type, code, rest, data, expected) in table {
            let mut expected = expected.clone();
            expected["type"] = (*icmp_type).into();
            expected["code"] = (*code).into();
            let record = Record::of_ipv4(icmpv4(*icmp_type, *code, *rest, data));
            assert_eq!(parsed(record)["icmp"], expected);
        }
    }

    #[test]
    fn what_is_special() {
        let ping = Record::of_ipv4(icmpv4(8, 0, [0, 7, 0, 1], &[0; 56]));
        let mut later = Record {
            flags: 2 | 4,
            ..ping.clone()
        };
        later.packet[6..8].copy_from_slice(&[0, 185]);
        let later = parsed(later);
        assert_eq!(
            (&later["fragment_offset"], &later["icmp"]),
            (&json!(1480), &Value::Null)
        );
        let mut bad = ping.clone();
        bad.packet[40] ^= 1;
        assert_eq!(parsed(bad)["checksum"], "bad");
        let short = parsed(Record {
            flags: 4 | 8,
            ..ping.clone()
        });
        assert_eq!(
            (&short["malformed"], &short["checksum"]),
            (&json!(true), &json!("unknown"))
        );
        let cut = parsed(Record {
            flags: 1,
            origlen: Some(1500),
            ..ping
        });
        assert_eq!(
            (&cut["truncated"], &cut["len"], &cut["caplen"]),
            (&json!(true), &json!(1500), &json!(84))
        );
    }

    #[test]
    fn losses_are_lines_of_their_own() {
        let mut out = Vec::new();
        Json::new(Fixed)
            .lost(
                &mut out,
                Lost {
                    cpu: Cpu(3),
                    count: 12,
                },
            )
            .unwrap();
        assert_eq!(out, b"{\"kind\":\"lost\",\"cpu\":3,\"count\":12}\n");
    }
}
