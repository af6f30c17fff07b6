//! Nobody turns the module against its host: what issue 12 saw, and what else there is
//! of the kind. docs/security.md names these tests.

mod namespaces;
mod send_path;
