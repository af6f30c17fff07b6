//! Prints a hundred events and losses, and proves that nothing is missing.
use icmptap::{OwnedItem, Subscription};
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut subscription = Subscription::builder().subscribe()?;
    for item in subscription.iter().take(100) {
        match item? {
            OwnedItem::Event(event) => println!("{event}"),
            OwnedItem::Lost(lost) => println!("{lost}"),
        }
    }
    let summary = subscription.finish()?;
    println!("{summary}");
    Ok(summary.audit()?)
}
