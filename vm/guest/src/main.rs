//! The first process of the test guest.

fn main() {}
