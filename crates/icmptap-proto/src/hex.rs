//! Bytes in hexadecimal.

use std::fmt;

/// Bytes, which `Display` writes as lower-case hexadecimal digits, two for each,
/// with nothing between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
