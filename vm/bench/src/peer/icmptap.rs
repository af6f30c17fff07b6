//! icmptap, by its library.

use std::net::IpAddr;

use anyhow::{Result, bail, ensure};
use icmptap::{BatchSize, Item, Snaplen, Subscription};

use super::{Peer, Source};
use crate::fold::{Event, Fold};
use crate::traffic::SNAPLEN;

/// The default batch, and larger ones.
const BATCHES: [u32; 3] = [3776, 16_064, 65_216];

pub(super) fn peers() -> Vec<Peer> {
    let peer = |batch| {
        Peer::new("icmptap", format!("batches of {batch} bytes"), move || {
            let builder = Subscription::builder()
                .snaplen(Snaplen(SNAPLEN))
                .batch(BatchSize(batch));
            let subscription = builder.subscribe()?;
            ensure!(subscription.parameters().batch.0 == batch);
            Ok(Box::new(Library(subscription)))
        })
    };
    BATCHES.map(peer).into()
}

struct Library(Subscription);

impl Source for Library {
    fn read(&mut self, fold: &mut Fold, count: u64) -> Result<()> {
        while !fold.is_complete(count) {
            match self.0.recv()? {
                Some(Item::Event(event)) => {
                    let (Some(IpAddr::V4(src)), Some(IpAddr::V4(dst))) = (event.src(), event.dst())
                    else {
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
