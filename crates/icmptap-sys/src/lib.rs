//! The icmptap and IMP2 kernel interfaces as Rust constants and structs.
//!
//! bindgen makes them from `kernel/uapi` and the netlink definitions that it needs. The
//! headers describe each item. `cargo xtask gen-bindings` writes the file, and
//! `tests/c_layout.rs` compares every size, offset and value with those of a C compiler.
//!
//! ```
//! assert_eq!(icmptap_sys::ICMPTAP_GENL_NAME, c"icmptap");
//! ```

#![no_std]

#[allow(missing_docs, non_camel_case_types)]
mod bindings;

pub use bindings::*;
