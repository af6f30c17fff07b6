//! What an expression means for packets that are all ICMP, and what its program will
//! overlook.
//!
//! libpcap looks for ICMPv6 directly behind the IPv6 header. Multicast listener
//! messages have a hop-by-hop header in between (RFC 3810, section 5): `icmp6` misses
//! them. The module sends no IPv6 packet that is not ICMPv6, so that here `ip6` finds
//! what `icmp6` means.

use std::borrow::Cow;

use icmptap_proto::{Instruction, Program};

const ICMP6: &str = "icmp6";

/// `ldb [6]`, the next header of an IPv6 header.
const LOAD_NEXT_HEADER: Instruction = Instruction {
    code: 0x30,
    jt: 0,
    jf: 0,
    k: 6,
};

/// `jeq #k`.
const JUMP_IF_EQUAL: u16 = 0x15;
const IPPROTO_ICMPV6: u32 = 58;

/// The expression with `ip6` for `icmp6`, where that stands for itself: not where a byte
/// of the message is asked for (`icmp6[0]`), nor as a part of another word.
pub(super) fn meant(expression: &str) -> Cow<'_, str> {
    let mut meant = String::new();
    let mut rest = expression;
    while let Some(at) = rest.find(ICMP6) {
        let (before, after) = (&rest[..at], &rest[at + ICMP6.len()..]);
        let is_word = !before.ends_with(is_of_a_word) && !after.starts_with(is_of_a_word);
        meant += before;
        meant += if is_word && !after.trim_start().starts_with('[') {
            "ip6"
        } else {
            ICMP6
        };
        rest = after;
    }
    if meant.is_empty() {
        return expression.into();
    }
    meant += rest;
    meant.into()
}

/// Whether libpcap takes it for a part of a name, or of an escaped one (`\icmp6`).
fn is_of_a_word(character: char) -> bool {
    character.is_alphanumeric() || "-_.:\\".contains(character)
}

/// Whether it looks for ICMPv6 directly behind the IPv6 header, and so overlooks what is
/// behind extension headers.
pub(crate) fn overlooks_extension_headers(program: &Program) -> bool {
    program.instructions().windows(2).any(|pair| {
        let is_icmpv6 = pair[1].code == JUMP_IF_EQUAL && pair[1].k == IPPROTO_ICMPV6;
        pair[0] == LOAD_NEXT_HEADER && is_icmpv6
    })
}

#[cfg(test)]
mod tests {
    use super::super::compile;
    use super::*;

    #[test]
    fn icmp6_is_every_icmpv6_message() {
        for (expression, expected) in [
            ("icmp6", "ip6"),
            ("icmp6 and host fe80::1", "ip6 and host fe80::1"),
            ("not(icmp6)or icmp6", "not(ip6)or ip6"),
            ("icmp6[0] == 135", "icmp6[0] == 135"),
            (
                "icmp6 [icmp6type] == icmp6-echo",
                "icmp6 [icmp6type] == icmp6-echo",
            ),
            (r"ip6 proto \icmp6", r"ip6 proto \icmp6"),
            ("host icmp6.example", "host icmp6.example"),
            ("icmp", "icmp"),
            ("", ""),
        ] {
            assert_eq!(meant(expression), expected);
        }
        let same = |one, other| {
            assert_eq!(compile(one).unwrap(), compile(other).unwrap(), "{one}");
        };
        same("icmp6", "ip6");
        same("icmp6 and host fe80::1", "ip6 and host fe80::1");
    }

    #[test]
    fn what_will_be_overlooked_is_known() {
        for (expression, overlooks) in [
            ("icmp6", false),
            ("icmp6 and ip6[40] == 135", false),
            ("icmp and host 10.0.0.1", false),
            ("icmp6[0] == 130", true),
            ("ip6 proto 58", true),
        ] {
            let program = compile(expression).unwrap();
            assert_eq!(
                overlooks_extension_headers(&program),
                overlooks,
                "{expression}"
            );
        }
    }

    #[test]
    fn an_error_quotes_what_was_written() {
        let error = compile("icmp6 an host ::1").unwrap_err().to_string();
        assert!(error.contains("`icmp6 an host ::1`"), "{error}");
    }
}
