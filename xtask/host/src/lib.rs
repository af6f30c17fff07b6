//! This machine, as all commands see it: the programs that they need, what a person sees
//! while they wait, and where things are in the repository.

mod cargo;
pub mod cli;
pub mod files;
pub mod machine;
pub mod setup;
pub mod ui;
pub mod workspace;

pub use self::cargo::cargo;
