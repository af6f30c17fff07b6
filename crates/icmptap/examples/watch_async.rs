//! Prints who sends ICMP to whom, as a task of tokio, until Ctrl-C; then the
//! counters, which must agree.

use icmptap::{Item, Subscription};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut subscription = Subscription::builder().subscribe_async()?;
    let stopper = subscription.stopper();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stopper.stop();
        }
    });
    while let Some(item) = subscription.recv().await? {
        match item {
            Item::Event(event) => println!("{event}"),
            Item::Lost(lost) => println!("-- {lost} --"),
        }
    }
    let summary = subscription.finish().await?;
    println!("{summary}");
    Ok(summary.audit()?)
}
