//! IMP2's way: a message for each packet, with nothing in it but its addresses.

use anyhow::{Context, Result};
use icmptap::Imp2;

use super::{Field, Peer, Source};
use crate::fold::{Event, Fold};

pub(super) fn peers() -> Vec<Peer> {
    let settings = "a message per event, addresses only".to_owned();
    vec![Peer {
        lacks: &[Field::Time, Field::Mark, Field::Others],
        ..Peer::new("imp2", settings, || Ok(Box::new(Client(Imp2::register()?))))
    }]
}

struct Client(Imp2);

impl Source for Client {
    fn read(&mut self, fold: &mut Fold, count: u64) -> Result<()> {
        while !fold.is_complete(count) {
            let packet = self.0.recv()?.context("the registration ended")?;
            fold.add(&Event {
                src: packet.src.to_bits(),
                dst: packet.dst.to_bits(),
                ..Event::default()
            });
        }
        Ok(())
    }
}
