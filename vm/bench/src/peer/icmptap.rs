//! icmptap, by its library.

use std::net::IpAddr;

use anyhow::{Result, bail, ensure};
use icmptap::{BatchSize, FlushInterval, Item, Snaplen, Subscription};

use super::{Peer, Source};
use crate::fold::{Event, Fold};
use crate::traffic::SNAPLEN;

/// The default batch, and larger ones with the time to fill: bytes, microseconds.
const SETTINGS: [(u32, u32); 4] = [
    (3776, 1000),
    (16_064, 10_000),
    (32_448, 10_000),
    (65_216, 10_000),
];

pub(super) fn peers() -> Vec<Peer> {
    let peer = |(batch, us)| {
        let settings = format!("batches of {batch} bytes or {us} µs");
        Peer::new("icmptap", settings, move || {
            let builder = Subscription::builder()
                .snaplen(Snaplen(SNAPLEN))
                .flush_interval(FlushInterval { us })
                .batch(BatchSize(batch));
            let subscription = builder.subscribe()?;
            ensure!(subscription.parameters().batch.0 == batch);
            Ok(Box::new(Library(subscription)))
        })
    };
    SETTINGS.map(peer).into()
}

struct Library(Subscription);

impl Source for Library {
    fn read(&mut self, fold: &mut Fold, count: u64) -> Result<()> {
        while !fold.is_complete(count) {
            match self.0.recv()? {
                Some(Item::Event(event)) => {
                    let Some((IpAddr::V4(src), IpAddr::V4(dst))) = event.addresses() else {
                        bail!("an event without addresses");
                    };
                    fold.add(&Event {
                        time_ns: event.time_ns(),
                        interface: event.iif().map_or(0, |index| index.0),
                        mark: event.mark(),
                        len: event.original_len(),
                        caplen: event.packet().len() as u32,
                        src: src.to_bits(),
                        dst: dst.to_bits(),
                        icmp_type: event.icmp_type_and_code().map_or(0, |(kind, _)| kind),
                    });
                }
                Some(Item::Lost(lost)) => fold.lost += lost.count,
                None => bail!("the subscription ended"),
            }
        }
        Ok(())
    }
}
