//! Watch the ICMP messages that a Linux kernel sees.

fn main() {}
