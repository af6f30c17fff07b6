//! What the guest's tests have in common: namespaces and wires between them,
//! programs that run beside a test, packets made by hand, the module.
//!
//! All of it panics when something does not work, with what was tried: a test
//! that cannot be set up has failed.

pub mod cli;
pub mod fault;
pub mod fire;
pub mod imp2;
pub mod listen;
pub mod module;
pub mod net;
pub mod netlink;
pub mod packet;
pub mod probe;
pub mod process;
pub mod sites;
pub mod spec;
pub mod subscriber;
mod sys;
pub mod trap;
