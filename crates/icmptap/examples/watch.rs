//! Prints who sends ICMP to whom, until interrupted.

use icmptap::{Item, Subscription};

fn main() -> Result<(), icmptap::Error> {
    let mut subscription = Subscription::builder().subscribe()?;
    while let Some(item) = subscription.recv()? {
        match item {
            Item::Event(event) => println!("{event}"),
            Item::Lost(lost) => println!("-- {lost} --"),
        }
    }
    Ok(())
}
