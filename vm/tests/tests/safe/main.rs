//! What somebody with rights over a network namespace of their own, or none, must not
//! be able to do to the host or to others there: docs/security.md names these tests.

mod memory;
mod namespaces;
mod owner;
mod send_path;
mod subscribe;
