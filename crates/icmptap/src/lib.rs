//! Every ICMP message a Linux kernel sees, as structured events.
