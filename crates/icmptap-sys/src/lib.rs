//! The icmptap and IMP2 kernel interfaces as Rust constants and structs.
//!
//! Nothing but `kernel/uapi` and the few netlink definitions it stands on, as
//! bindgen gives them; the headers say what each item means.
//! `cargo xtask gen-bindings` writes the file, and `tests/c_layout.rs` proves
//! it equal to what a C compiler makes of the same headers.

#![no_std]

#[allow(missing_docs, non_camel_case_types)]
mod bindings;

pub use bindings::*;
