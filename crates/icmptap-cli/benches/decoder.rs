//! What an event costs once it has arrived: to look at it ([`EventRef`]), to
//! keep it, to write it as JSON and as text; and what `etherparse` needs to find
//! the same facts in the same packets. It lives here because the lines are made here.
//!
//! Time per event, and packet bytes per second; before that, what is allocated:
//!
//!     cargo bench -p icmptap-cli
//!
//! On a busy machine times are worth little. Instructions can be counted
//! instead, by valgrind, with the program that `cargo bench --no-run` names:
//!
//!     for what in pings errors-v4 errors-v6; do for who in event_ref etherparse; do
//!         valgrind --tool=callgrind --callgrind-out-file=/dev/null \
//!             --toggle-collect="decoder::looks::$who" \
//!             PROGRAM --bench --test "$what/$who" 2>&1 | grep Collected
//!     done; done
//!
//! That is one batch: divide by [`EVENTS`]. `etherparse` gets bare packets, an
//! [`EventRef`] has to be found in its batch first, and that is counted.

use std::{
    env,
    hint::black_box,
    net::IpAddr,
    time::{Duration, Instant},
};

use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use icmptap::{
    IfIndex, Netns,
    event::{Batch, Event, EventRef},
};
use icmptap_proto::{
    nlmsg,
    testing::{self, Record},
};
use jiff::tz::TimeZone;
use src::{
    interfaces,
    interfaces::Names,
    json::Json,
    namespaces, output, text,
    text::{Look, Text, TimeStyle},
};

/// The command's own modules: it has no library.
#[allow(
    dead_code,
    unused_imports,
    reason = "only what prints events is used; tests come without their harness"
)]
#[path = "../src"]
mod src {
    pub(crate) mod interfaces;
    pub(crate) mod json;
    pub(crate) mod namespaces;
    pub(crate) mod output;
    pub(crate) mod text;
}

/// Events in a batch.
const EVENTS: usize = 64;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let traffic = [
        Traffic::of("pings", |record| {
            let is_echo = matches!(
                (record.family, record.icmp_type),
                (2, 0 | 8) | (10, 128 | 129)
            );
            is_echo && record.flags == 0 && record.packet.len() >= 84
        }),
        Traffic::of("errors-v4", |record| {
            record.family == 2 && matches!(record.icmp_type, 3 | 4 | 5 | 11 | 12)
        }),
        Traffic::of("errors-v6", |record| {
            record.family == 10 && record.icmp_type < 5
        }),
    ];
    traffic.iter().for_each(Traffic::check);
    // Under callgrind nothing runs but what is counted.
    if !env::args().any(|arg| arg == "--test") {
        println!("per event                 allocations  bytes allocated  bytes written");
        traffic.iter().for_each(Traffic::count);
    }
    for traffic in &traffic {
        traffic.measure(&mut criterion);
    }
    criterion.final_summary();
}

/// A batch as received.
struct Traffic {
    name: &'static str,
    datagram: Vec<u8>,
    /// The same packets, for those who do not read batches.
    packets: Vec<Vec<u8>>,
}

impl Traffic {
    fn of(name: &'static str, wanted: impl Fn(&Record) -> bool) -> Self {
        let messages = testing::messages().into_iter().map(|(_, record)| record);
        let kinds: Vec<Record> = messages.filter(wanted).collect();
        let records: Vec<Record> = kinds.into_iter().cycle().take(EVENTS).collect();
        assert_eq!(records.len(), EVENTS, "there is no {name}");
        Self {
            name,
            datagram: testing::events(0, 0, 0, &records),
            packets: records.into_iter().map(|record| record.packet).collect(),
        }
    }

    /// Both find the same, or their times say nothing.
    fn check(&self) {
        let mut packets = self.packets.iter();
        each_event(&self.datagram, |event| {
            let found = looks::of_event(&event);
            assert!(found.is_some(), "{}: {event:?}", self.name);
            let packet = packets.next().expect("there is one for each event");
            assert_eq!(found, looks::of_packet(packet), "{}: {event:?}", self.name);
        });
    }

    fn count(&self) {
        let mut out = Vec::new();
        for (what, work) in self.works() {
            out.clear();
            // What is kept from one batch to the next is not of an event.
            work(&mut out);
            out.clear();
            let info = allocation_counter::measure(|| work(&mut out));
            let per_event = |sum: f64| sum / EVENTS as f64;
            println!(
                "{:25} {:11.2}  {:15.0}  {:13.0}",
                format!("{}/{what}", self.name),
                per_event(info.count_total as f64),
                per_event(info.bytes_total as f64),
                per_event(out.len() as f64),
            );
        }
    }

    fn measure(&self, criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group(self.name);
        let bytes: usize = self.packets.iter().map(Vec::len).sum();
        group.throughput(Throughput::BytesDecimal((bytes / EVENTS) as u64));
        for (what, work) in self.works() {
            measure(&mut group, what, &*work);
        }
        group.finish();
    }

    fn works(&self) -> Vec<(&'static str, Work<'_>)> {
        vec![
            (
                "event_ref",
                Box::new(|_| looks::event_ref(black_box(&self.datagram))),
            ),
            (
                "etherparse",
                Box::new(|_| looks::etherparse(black_box(&self.packets))),
            ),
            (
                "event",
                Box::new(|_| {
                    each_event(black_box(&self.datagram), |event| {
                        let event: Event = event.to_owned();
                        black_box(&event);
                    })
                }),
            ),
            (
                "json",
                Box::new(|out| {
                    let mut json = Json::new(Fixed);
                    each_event(black_box(&self.datagram), |event| {
                        json.event(out, &event).expect("memory has room");
                    })
                }),
            ),
            (
                "text",
                Box::new(|out| {
                    let mut text = Text::new(Fixed, look());
                    each_event(black_box(&self.datagram), |event| {
                        text.event(out, &event).expect("memory has room");
                    })
                }),
            ),
        ]
    }
}

/// Does something with each event of a batch; may write it.
type Work<'a> = Box<dyn Fn(&mut Vec<u8>) + 'a>;

/// Time per event: an iteration is one event, and they are taken by the batch.
fn measure(group: &mut BenchmarkGroup<'_, WallTime>, what: &str, work: &dyn Fn(&mut Vec<u8>)) {
    group.bench_function(what, |bencher| {
        let mut out = Vec::new();
        bencher.iter_custom(|events| {
            let batches = events.div_ceil(EVENTS as u64);
            let start = Instant::now();
            for _ in 0..batches {
                out.clear();
                work(&mut out);
            }
            let events_done = batches * EVENTS as u64;
            start.elapsed().mul_f64(events as f64 / events_done as f64)
        });
    });
}

fn each_event(datagram: &[u8], mut look: impl FnMut(EventRef<'_>)) {
    for message in nlmsg::messages(datagram) {
        let generic = message.and_then(|message| message.generic());
        let batch = Batch::decode(&generic.expect("it is a batch")).expect("it is a batch");
        for event in batch.events() {
            look(event.expect("it is whole"));
        }
    }
}

/// Every interface has a name, as from the command's cache.
struct Fixed;

impl Names for Fixed {
    fn name(&mut self, _: Netns, _: IfIndex) -> Option<String> {
        Some("eth0".to_owned())
    }

    fn netns(&mut self, _: Netns) -> Option<String> {
        None
    }
}

/// What is printed unless something else is asked for, in UTC.
fn look() -> Look {
    Look {
        time: TimeStyle::Clock,
        zone: TimeZone::UTC,
        colour: false,
        verbose: false,
        netns: false,
    }
}

/// The same facts, found in two ways.
mod looks {
    use etherparse::{Icmpv4Slice, Icmpv6Slice, IpNumber, LaxIpSlice};
    use icmptap::icmp::Transport;

    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    pub(super) struct Facts {
        src: IpAddr,
        dst: IpAddr,
        icmp_type: u8,
        code: u8,
        quote: Option<Quote>,
    }

    #[derive(Debug, PartialEq, Eq)]
    struct Quote {
        src: IpAddr,
        dst: IpAddr,
        protocol: u8,
        ports: Option<(u16, u16)>,
    }

    // Not inlined, so that callgrind can tell them by name.

    #[inline(never)]
    pub(super) fn event_ref(datagram: &[u8]) {
        each_event(datagram, |event| {
            black_box(of_event(&event));
        });
    }

    #[inline(never)]
    pub(super) fn etherparse(packets: &[Vec<u8>]) {
        for packet in packets {
            black_box(of_packet(packet));
        }
    }

    #[inline(always)]
    pub(super) fn of_event(event: &EventRef<'_>) -> Option<Facts> {
        let message = event.icmp()?;
        Some(Facts {
            src: event.src()?,
            dst: event.dst()?,
            icmp_type: message.icmp_type.number(),
            code: message.code,
            quote: message.quote.map(|quote| Quote {
                src: quote.src,
                dst: quote.dst,
                protocol: quote.protocol,
                ports: match quote.transport {
                    Transport::Ports { src, dst, .. } => Some((src, dst)),
                    _ => None,
                },
            }),
        })
    }

    /// With the slices that cost least: a `SlicedPacket` finds the same.
    #[inline(always)]
    pub(super) fn of_packet(packet: &[u8]) -> Option<Facts> {
        let (ip, _) = LaxIpSlice::from_slice(packet).ok()?;
        let payload = ip.payload();
        let (icmp_type, code, quoted) = if payload.ip_number == IpNumber::ICMP {
            let icmp = Icmpv4Slice::from_slice(payload.payload).ok()?;
            let quotes = matches!(icmp.type_u8(), 3 | 4 | 5 | 11 | 12);
            (
                icmp.type_u8(),
                icmp.code_u8(),
                quotes.then(|| icmp.payload()),
            )
        } else {
            let icmp = Icmpv6Slice::from_slice(payload.payload).ok()?;
            let quotes = icmp.type_u8() < 5;
            (
                icmp.type_u8(),
                icmp.code_u8(),
                quotes.then(|| icmp.payload()),
            )
        };
        Some(Facts {
            src: ip.source_addr(),
            dst: ip.destination_addr(),
            icmp_type,
            code,
            quote: quoted.and_then(of_quote),
        })
    }

    fn of_quote(packet: &[u8]) -> Option<Quote> {
        let (ip, _) = LaxIpSlice::from_slice(packet).ok()?;
        let payload = ip.payload();
        // Of TCP only the first 8 bytes are quoted, which is no header for a
        // `TcpSlice`.
        let ports = match (payload.ip_number, payload.payload.first_chunk()) {
            (IpNumber::TCP | IpNumber::UDP, Some([a, b, c, d])) if !payload.fragmented => {
                Some((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])))
            }
            _ => None,
        };
        Some(Quote {
            src: ip.source_addr(),
            dst: ip.destination_addr(),
            protocol: payload.ip_number.0,
            ports,
        })
    }
}
