//! Prints who looks for whom on the link: neighbour solicitations, which a
//! filter in tcpdump's language picks; one in the arguments replaces it.

use std::env;

use icmptap::{Hook, Item, Subscription};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    let filter = match &words[..] {
        [] => "icmp6 and ip6[40] == 135".to_owned(),
        words => words.join(" "),
    };
    let mut subscription = Subscription::builder()
        .hooks([Hook::Prerouting, Hook::Output])
        .filter(&filter)?
        .subscribe()?;
    println!(
        "{filter}: {} instructions",
        subscription.parameters().filter_len
    );
    while let Some(item) = subscription.recv()? {
        match item {
            Item::Event(event) => println!("{event}"),
            Item::Lost(lost) => println!("-- {lost} --"),
        }
    }
    Ok(())
}
