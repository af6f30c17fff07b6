//! Filters in tcpdump's language, compiled by libpcap to what the kernel runs.
//!
//! libpcap is loaded when a filter is compiled, and nothing is linked with it:
//! a build needs no headers, a program runs where there is no libpcap (until it
//! is asked for a filter), and one binary runs on distributions that name the
//! library's file differently. A static program cannot load libraries; there
//! `tcpdump -ddd`, which is libpcap behind a pipe, does the same.

use icmptap_proto::{Hook, Program, ProgramTooLong, event::EventRef};

pub(crate) mod direction;
#[cfg(not(target_feature = "crt-static"))]
mod library;
mod meaning;
#[cfg(any(test, target_feature = "crt-static"))]
mod tcpdump;

pub(crate) use self::meaning::overlooks_extension_headers;
#[cfg(not(target_feature = "crt-static"))]
use library as compiler;
#[cfg(target_feature = "crt-static")]
use tcpdump as compiler;

/// Why a filter could not be compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// The expression is malformed, asks for data that packets here do not have (such as
    /// an Ethernet address), or names an unknown host.
    #[error("the filter `{expression}` is not understood: {reason} (see pcap-filter(7))")]
    Expression {
        /// The expression.
        expression: String,
        /// libpcap's explanation.
        reason: String,
    },
    /// There is no compiler for filters.
    #[error("a filter in tcpdump's language needs {needed}, {reason}: install it (Debian, Ubuntu: \
             `sudo apt install {package}`; Fedora: `sudo dnf install {}`)",
            package.trim_end_matches("0.8"))]
    NoCompiler {
        /// What is missing: libpcap or tcpdump.
        needed: &'static str,
        /// The Debian package that contains it.
        package: &'static str,
        /// What went wrong.
        reason: String,
    },
    /// The compiled filter is longer than any kernel accepts.
    #[error(transparent)]
    TooLong(#[from] ProgramTooLong),
}

/// A filter in tcpdump's language for events that are there already, such as those of a
/// capture. [`Builder::filter`](crate::Builder::filter) is the one that the kernel runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(Program);

impl Filter {
    /// Compiles an expression, as [`Builder::filter`](crate::Builder::filter) does.
    ///
    /// # Errors
    /// The filter is not well formed, or there is no libpcap.
    pub fn compile(expression: &str) -> Result<Self, FilterError> {
        compile(expression).map(Self)
    }

    /// Whether it takes an event. It sees what was kept of the packet: one that asks for
    /// bytes beyond that is not taken, and nor is one that asks for `inbound` or
    /// `outbound` where the hook does not tell: forward, or none.
    #[must_use]
    pub fn matches(&self, event: &EventRef<'_>) -> bool {
        let is_outgoing = match event.hook() {
            Some(Hook::Prerouting | Hook::Input) => Some(false),
            Some(Hook::Output | Hook::Postrouting) => Some(true),
            _ => None,
        };
        let Self(program) = self;
        program.matches(event.packet(), event.original_len(), is_outgoing)
    }

    /// As [`Builder::overlooks_extension_headers`](crate::Builder::overlooks_extension_headers).
    #[must_use]
    pub fn overlooks_extension_headers(&self) -> bool {
        overlooks_extension_headers(&self.0)
    }
}

/// Compiles an expression for packets that start with their IP header.
pub(crate) fn compile(expression: &str) -> Result<Program, FilterError> {
    match compiler::compile(&meaning::meant(expression)) {
        Ok(instructions) => Ok(instructions.try_into()?),
        // In the words that were written.
        Err(FilterError::Expression { reason, .. }) => Err(misunderstood(expression, reason)),
        Err(error) => Err(error),
    }
}

fn misunderstood(expression: &str, reason: impl Into<String>) -> FilterError {
    FilterError::Expression {
        expression: expression.to_owned(),
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use icmptap_proto::Instruction;

    use super::*;

    fn plain(program: &Program) -> Vec<(u16, u8, u8, u32)> {
        let instructions = program.instructions().iter();
        instructions
            .map(|Instruction { code, jt, jf, k }| (*code, *jt, *jf, *k))
            .collect()
    }

    #[test]
    fn a_filter_looks_at_the_packet_from_its_ip_header_on() {
        let program = compile("icmp6 and ip6[40] == 135").unwrap();
        let instructions = plain(&program);
        // ldb [0]; and #0xf0; jeq #0x60: the version is in the first byte.
        assert_eq!(instructions[0], (0x30, 0, 0, 0));
        assert_eq!(instructions[1], (0x54, 0, 0, 0xf0));
        assert_eq!(instructions[2].0, 0x15);
        assert_eq!(instructions[2].3, 0x60);
        // ldb [40]; jeq #135
        assert!(instructions.contains(&(0x30, 0, 0, 40)), "{instructions:?}");
        assert!(instructions.iter().any(|i| (i.0, i.3) == (0x15, 135)));
        // It takes the whole packet, or nothing.
        let returned: Vec<_> = instructions.iter().filter(|i| i.0 == 6).collect();
        assert!(
            returned.iter().all(|i| i.3 == 0 || i.3 >= 65_535),
            "{returned:?}"
        );
    }

    #[test]
    fn a_filter_takes_events_as_the_kernel_would() {
        use icmptap_proto::event::{Event, Metadata};
        use icmptap_proto::testing::{icmpv4, icmpv6, icmpv6_behind};

        let event = |packet: Vec<u8>| {
            let len = packet.len() as u32;
            let (metadata, packet) = Metadata::of_packet(0, &packet, len).unwrap();
            Event::new(&metadata, packet)
        };
        let events = [
            event(icmpv4(8, 0, [0, 7, 0, 1], &[0; 56])),
            event(icmpv4(3, 4, [0, 0, 5, 20], &[])),
            event(icmpv6(135, 0, [0; 4], &[0; 16])),
            event(icmpv6_behind(
                0,
                &[58, 0, 5, 2, 0, 0, 1, 0],
                &[143, 0, 0, 0, 0, 0, 0, 0],
            )),
        ];
        for (expression, expected) in [
            ("icmp", [true, true, false, false]),
            ("icmp6", [false, false, true, true]),
            ("icmp[icmptype] == icmp-echo", [true, false, false, false]),
            ("host 10.0.0.2 and greater 80", [true, false, false, false]),
            ("ip6[40] == 135", [false, false, true, false]),
            ("net 2001:db8::/32", [false, false, true, true]),
            ("dst host 10.0.0.1", [false; 4]),
            ("icmp[4:2] = 7", [true, false, false, false]),
            ("icmp[6:2] & 0xff = 20", [false, true, false, false]),
            ("inbound", [false; 4]),
            ("not tcp", [true; 4]),
        ] {
            let filter = Filter::compile(expression).unwrap();
            let found: Vec<_> = events
                .iter()
                .map(|event| filter.matches(&event.as_ref()))
                .collect();
            assert_eq!(found, expected, "{expression}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_filter_is_said_in_libpcaps_words() {
        let error = compile("icmp6 an host ::1").unwrap_err().to_string();
        assert!(
            error.starts_with("the filter `icmp6 an host ::1` is not understood: ")
                && error.contains("syntax error")
                && error.ends_with("(see pcap-filter(7))"),
            "{error}"
        );
        let error = compile("ether host 1:2:3:4:5:6").unwrap_err().to_string();
        assert!(error.contains("ether"), "{error}");
        assert!(compile("icmp\0").is_err());
    }

    #[test]
    fn without_a_compiler_it_says_what_to_install() {
        let error = FilterError::NoCompiler {
            needed: "libpcap",
            package: "libpcap0.8",
            reason: "which cannot be loaded".to_owned(),
        };
        assert_eq!(
            error.to_string(),
            "a filter in tcpdump's language needs libpcap, which cannot be loaded: install it \
             (Debian, Ubuntu: `sudo apt install libpcap0.8`; Fedora: `sudo dnf install libpcap`)"
        );
    }
}
