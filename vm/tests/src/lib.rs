//! Tests that run inside the guest, against the real module.
