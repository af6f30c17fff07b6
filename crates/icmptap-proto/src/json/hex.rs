//! Bytes as JSON: text in hexadecimal.

use crate::Hex;

pub(super) fn hex(bytes: &[u8]) -> String {
    Hex(bytes).to_string()
}

/// `None` if there are no bytes.
pub(super) fn hex_if_any(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| hex(bytes))
}
