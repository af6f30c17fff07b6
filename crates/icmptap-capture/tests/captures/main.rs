//! Captures written, read, damaged, and shown to other programs.

mod common;
mod damage;
mod foreign;
mod oracles;
mod round_trip;
