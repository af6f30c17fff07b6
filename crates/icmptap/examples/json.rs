//! Prints events as `icmptap listen -o json` does, until there were ten.

use icmptap::{Item, Subscription, json::Line};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut subscription = Subscription::builder().subscribe()?;
    let (mut shown, mut told) = (0, 0);
    while shown < 10
        && let Some(item) = subscription.recv()?
    {
        match item {
            Item::Event(event) => {
                shown += 1;
                println!("{}", serde_json::to_string(&event)?);
            }
            Item::Lost(lost) => {
                told += lost.count;
                println!("{}", serde_json::to_string(&lost)?);
            }
        }
    }
    let summary = subscription.finish()?;
    let untold = summary.counters.lost() - told;
    if untold > 0 {
        let line = Line::lost_at_the_end(untold);
        println!("{}", serde_json::to_string(&line)?);
    }
    let line = Line::summary(shown, summary.received, &summary.counters);
    println!("{}", serde_json::to_string(&line)?);
    summary.audit()?;
    Ok(())
}
