//! The icmptap and IMP2 kernel interfaces as Rust constants and structs.
