//! The type of a message, of either family.

use std::fmt;

use super::{v4, v6};

/// An ICMP type of either family: any number, some of which have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Type {
    /// Of ICMP for IPv4.
    V4(v4::Type),
    /// Of ICMPv6.
    V6(v6::Type),
}

impl Type {
    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::V4(icmp_type) => icmp_type.0,
            Self::V6(icmp_type) => icmp_type.0,
        }
    }

    /// The name in IANA's registry.
    #[must_use]
    pub fn iana_name(self) -> Option<&'static str> {
        match self {
            Self::V4(icmp_type) => icmp_type.iana_name(),
            Self::V6(icmp_type) => icmp_type.iana_name(),
        }
    }

    /// The name as one word.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::V4(icmp_type) => icmp_type.name(),
            Self::V6(icmp_type) => icmp_type.name(),
        }
    }

    /// The name of a code of this type, as one word. `None` for codes without a name, and for
    /// code 0 of types that have no other code, such as echo request.
    #[must_use]
    pub fn code_name(self, code: u8) -> Option<&'static str> {
        match self {
            Self::V4(icmp_type) => icmp_type.code_name(code),
            Self::V6(icmp_type) => icmp_type.code_name(code),
        }
    }

    pub(super) fn quotes(self) -> bool {
        match self {
            Self::V4(icmp_type) => icmp_type.quotes(),
            Self::V6(icmp_type) => icmp_type.quotes(),
        }
    }

    /// Where the length of the quote stands, and in how many bytes it counts.
    pub(super) fn quote_length(self) -> Option<(usize, usize)> {
        match self {
            Self::V4(icmp_type) => icmp_type.quote_length_at().map(|at| (at, 4)),
            Self::V6(icmp_type) => icmp_type.quote_length_at().map(|at| (at, 8)),
        }
    }
}

impl From<v4::Type> for Type {
    fn from(icmp_type: v4::Type) -> Self {
        Self::V4(icmp_type)
    }
}

impl From<v6::Type> for Type {
    fn from(icmp_type: v6::Type) -> Self {
        Self::V6(icmp_type)
    }
}

/// The word, or `type-77` where there is none.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(icmp_type) => icmp_type.fmt(f),
            Self::V6(icmp_type) => icmp_type.fmt(f),
        }
    }
}
