//! IMP2's way: a message for each packet, with nothing in it but its addresses.

use anyhow::{Context, Result};
use icmptap::{Imp2, Imp2Packet};

use super::{Field, Patience, Peer, Source};
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
    fn read(&mut self, fold: &mut Fold, count: u64, patience: Option<&mut Patience>) -> Result<()> {
        let Some(patience) = patience else {
            while !fold.is_complete(count) {
                add(fold, self.0.recv()?.context("the registration ended")?);
            }
            return Ok(());
        };
        while !fold.is_complete(count) {
            match self.0.recv_before(patience.until)? {
                Some(packet) => add(fold, packet),
                None if patience.is_over(fold) => break,
                None => {}
            }
        }
        Ok(())
    }
}

#[inline]
fn add(fold: &mut Fold, packet: Imp2Packet) {
    fold.add(&Event {
        src: packet.src.to_bits(),
        dst: packet.dest.to_bits(),
        ..Event::default()
    });
}
