//! Colours of lines, by the class of their message.

use icmptap::icmp::{Icmp, Type, v4, v6};

pub(super) const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const BLUE: &str = "\x1b[34m";
const MAGENTA: &str = "\x1b[35m";
const CYAN: &str = "\x1b[36m";
const PLAIN: &str = "\x1b[0m";

/// Whether lines are coloured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint(pub(super) bool);

impl Paint {
    /// What goes before and behind a word of this colour.
    pub(super) fn with(self, colour: &'static str) -> (&'static str, &'static str) {
        if self.0 && !colour.is_empty() {
            (colour, PLAIN)
        } else {
            ("", "")
        }
    }
}

/// The colour of a message's class: errors, redirects, neighbour and router discovery,
/// multicast listeners. The rest has none.
pub(super) fn of_class(icmp: &Icmp<'_>) -> &'static str {
    match icmp.icmp_type {
        Type::V4(v4::Type::REDIRECT) | Type::V6(v6::Type::REDIRECT) => MAGENTA,
        Type::V4(v4::Type::ROUTER_ADVERTISEMENT | v4::Type::ROUTER_SOLICITATION)
        | Type::V6(v6::Type(133..=136 | 141 | 142)) => CYAN,
        Type::V6(v6::Type(130..=132 | 143)) => BLUE,
        // RFC 1122, section 3.2.2; below 128 ICMPv6 has errors (RFC 4443, section 2.1).
        Type::V4(v4::Type(3 | 4 | 11 | 12)) | Type::V6(v6::Type(..128)) => YELLOW,
        _ => "",
    }
}
