//! icmptap, by its library.

use std::net::IpAddr;

use anyhow::{Result, bail, ensure};
use icmptap::event::EventRef;
use icmptap::{BatchSize, Builder, FlushInterval, Items, Snaplen, Subscription, TypeSet};

use super::{Peer, Source};
use crate::fold::{Event, Fold};
use crate::traffic::{ECHO_REQUEST, SNAPLEN};

/// The default batch, and larger ones with the time to fill: bytes, microseconds.
const BATCHES: [(u32, u32); 4] = [(3776, 1000), FILTERED, (32_448, 10_000), (65_216, 10_000)];
/// The one that is measured with a filter as well.
const FILTERED: (u32, u32) = (16_064, 10_000);

pub(super) fn peers() -> Vec<Peer> {
    let mut peers: Vec<_> = BATCHES.map(|batch| peer(batch, false)).into();
    peers.push(peer(FILTERED, true));
    peers
}

fn peer((batch, us): (u32, u32), filters: bool) -> Peer {
    let mut settings = format!("batches of {batch} bytes or {us} µs");
    if filters {
        settings += &format!(", types, BPF: {EXPRESSION}");
    }
    Peer::new("icmptap", settings, move || {
        let mut builder = Subscription::builder()
            .snaplen(Snaplen(SNAPLEN))
            .flush_interval(FlushInterval { us })
            .batch(BatchSize(batch));
        if filters {
            builder = filtered(builder)?;
        }
        let subscription = builder.subscribe()?;
        ensure!(subscription.parameters().batch.0 == batch);
        Ok(Box::new(Library(subscription)))
    })
}

/// What all that is sent passes.
const EXPRESSION: &str = "icmp[icmptype] == 8";

/// With all that a filter has: a packet's type is looked up, and then a program sees
/// the packet.
fn filtered(builder: Builder) -> Result<Builder> {
    let types = TypeSet::from_iter([ECHO_REQUEST]);
    Ok(builder.icmp_types(types).filter(EXPRESSION)?)
}

struct Library(Subscription);

impl Source for Library {
    fn read(&mut self, fold: &mut Fold, count: u64) -> Result<()> {
        while !fold.is_complete(count) {
            match self.0.recv_many()? {
                Some(Items::Events(events)) => {
                    for event in events {
                        add(fold, &event)?;
                    }
                }
                Some(Items::Lost(lost)) => fold.lost += lost.count,
                None => bail!("the subscription ended"),
            }
        }
        Ok(())
    }
}

#[inline]
fn add(fold: &mut Fold, event: &EventRef<'_>) -> Result<()> {
    let Some((IpAddr::V4(src), IpAddr::V4(dst))) = event.addresses() else {
        bail!("an event without addresses");
    };
    fold.add(&Event {
        time_ns: event.time_ns(),
        interface: event.iif().map_or(0, |index| index.0),
        mark: event.mark().unwrap_or(0),
        len: event.original_len(),
        caplen: event.packet().len() as u32,
        src: src.to_bits(),
        dst: dst.to_bits(),
        icmp_type: event.icmp_type_and_code().map_or(0, |(kind, _)| kind),
    });
    Ok(())
}
