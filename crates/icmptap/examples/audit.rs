//! Listens for ten seconds, counts what it hears by ICMP type, and proves at
//! the end that every packet is accounted for.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use icmptap::{Hook, Item, Received, Snaplen, Subscription, icmp::Type};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut subscription = Subscription::builder()
        .hooks([Hook::Prerouting].into_iter().collect())
        .snaplen(Snaplen(64))
        .subscribe()?;
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut seen: BTreeMap<Option<Type>, u64> = BTreeMap::new();
    loop {
        match subscription.recv_before(deadline)? {
            Received::Item(Item::Event(event)) => {
                *seen.entry(event.icmp_type()).or_default() += 1;
            }
            Received::Item(Item::Lost(_)) => {}
            // The first time the deadline, the second time the end.
            Received::Nothing => subscription.stop()?,
            Received::Ended => break,
        }
        if Instant::now() > deadline {
            subscription.stop()?;
        }
    }
    for (icmp_type, count) in seen {
        let name = icmp_type.map_or("no ICMP header".to_owned(), |t| t.to_string());
        println!("{count:8} {name}");
    }
    let summary = subscription.finish()?;
    println!(
        "{} matched, {} lost",
        summary.counters.matched,
        summary.counters.lost()
    );
    summary.audit()?;
    Ok(())
}
