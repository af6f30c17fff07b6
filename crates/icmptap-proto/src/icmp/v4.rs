//! ICMPv4 types and codes (RFC 792 and IANA), and what only ICMPv4 says.

use std::net::Ipv4Addr;

use super::{echo::extended_echo_code_word, open_enum::open_enum};
use crate::{
    TypeSet,
    bytes::{be16, be32, ipv4},
};

open_enum! {
    /// An ICMPv4 type: any number, some of which have a name.
    ///
    /// Names and numbers are those of IANA's registry "ICMP Type Numbers"; the
    /// words are the same names in lower case with hyphens, but for types 0, 8
    /// and 13, where the registry's would not say which.
    Type("type");

    /// The answer to an echo request
    ECHO_REPLY = 0, "Echo Reply", "echo-reply";
    /// A packet could not be delivered
    DESTINATION_UNREACHABLE = 3, "Destination Unreachable", "destination-unreachable";
    /// Send slower; deprecated (RFC 6633)
    SOURCE_QUENCH = 4, "Source Quench", "source-quench";
    /// There is a better first hop
    REDIRECT = 5, "Redirect", "redirect";
    /// Deprecated (RFC 6918)
    ALTERNATE_HOST_ADDRESS = 6, "Alternate Host Address", "alternate-host-address";
    /// A ping
    ECHO_REQUEST = 8, "Echo", "echo-request";
    /// A router says that it is there (RFC 1256)
    ROUTER_ADVERTISEMENT = 9, "Router Advertisement", "router-advertisement";
    /// A host asks for routers (RFC 1256)
    ROUTER_SOLICITATION = 10, "Router Solicitation", "router-solicitation";
    /// A packet went round too long
    TIME_EXCEEDED = 11, "Time Exceeded", "time-exceeded";
    /// A header could not be understood
    PARAMETER_PROBLEM = 12, "Parameter Problem", "parameter-problem";
    /// A question for the time
    TIMESTAMP = 13, "Timestamp", "timestamp-request";
    /// The answer to a timestamp request
    TIMESTAMP_REPLY = 14, "Timestamp Reply", "timestamp-reply";
    /// Deprecated (RFC 6918)
    INFORMATION_REQUEST = 15, "Information Request", "information-request";
    /// Deprecated (RFC 6918)
    INFORMATION_REPLY = 16, "Information Reply", "information-reply";
    /// Deprecated (RFC 6918)
    ADDRESS_MASK_REQUEST = 17, "Address Mask Request", "address-mask-request";
    /// Deprecated (RFC 6918)
    ADDRESS_MASK_REPLY = 18, "Address Mask Reply", "address-mask-reply";
    /// Deprecated (RFC 6918)
    TRACEROUTE = 30, "Traceroute", "traceroute";
    /// Deprecated (RFC 6918)
    DATAGRAM_CONVERSION_ERROR = 31, "Datagram Conversion Error", "datagram-conversion-error";
    /// Deprecated (RFC 6918)
    MOBILE_HOST_REDIRECT = 32, "Mobile Host Redirect", "mobile-host-redirect";
    /// Deprecated (RFC 6918)
    IPV6_WHERE_ARE_YOU = 33, "IPv6 Where-Are-You", "ipv6-where-are-you";
    /// Deprecated (RFC 6918)
    IPV6_I_AM_HERE = 34, "IPv6 I-Am-Here", "ipv6-i-am-here";
    /// Deprecated (RFC 6918)
    MOBILE_REGISTRATION_REQUEST = 35, "Mobile Registration Request", "mobile-registration-request";
    /// Deprecated (RFC 6918)
    MOBILE_REGISTRATION_REPLY = 36, "Mobile Registration Reply", "mobile-registration-reply";
    /// Deprecated (RFC 6918)
    DOMAIN_NAME_REQUEST = 37, "Domain Name Request", "domain-name-request";
    /// Deprecated (RFC 6918)
    DOMAIN_NAME_REPLY = 38, "Domain Name Reply", "domain-name-reply";
    /// Deprecated (RFC 6918)
    SKIP = 39, "SKIP", "skip";
    /// Security failures (RFC 2521)
    PHOTURIS = 40, "Photuris", "photuris";
    /// Experimental mobility protocols (RFC 4065)
    EXPERIMENTAL_MOBILITY = 41, "ICMP messages utilized by experimental mobility protocols such as Seamoby", "experimental-mobility";
    /// A ping that asks about an interface (RFC 8335)
    EXTENDED_ECHO_REQUEST = 42, "Extended Echo Request", "extended-echo-request";
    /// The answer to an extended echo request (RFC 8335)
    EXTENDED_ECHO_REPLY = 43, "Extended Echo Reply", "extended-echo-reply";
    /// For experiments (RFC 4727)
    EXPERIMENT_1 = 253, "RFC3692-style Experiment 1", "experiment-1";
    /// For experiments (RFC 4727)
    EXPERIMENT_2 = 254, "RFC3692-style Experiment 2", "experiment-2";
}

impl<const N: usize> From<[Type; N]> for TypeSet {
    fn from(types: [Type; N]) -> Self {
        types.into_iter().map(|icmp_type| icmp_type.0).collect()
    }
}

impl Type {
    /// The name of a code of this type, as one word. `None` for codes without a name, and for
    /// code 0 of types that have no other code, such as echo request.
    #[must_use]
    pub fn code_name(self, code: u8) -> Option<&'static str> {
        Some(match (self, code) {
            (Self::DESTINATION_UNREACHABLE, 0) => "net-unreachable",
            (Self::DESTINATION_UNREACHABLE, 1) => "host-unreachable",
            (Self::DESTINATION_UNREACHABLE, 2) => "protocol-unreachable",
            (Self::DESTINATION_UNREACHABLE, 3) => "port-unreachable",
            (Self::DESTINATION_UNREACHABLE, 4) => "fragmentation-needed",
            (Self::DESTINATION_UNREACHABLE, 5) => "source-route-failed",
            (Self::DESTINATION_UNREACHABLE, 6) => "net-unknown",
            (Self::DESTINATION_UNREACHABLE, 7) => "host-unknown",
            (Self::DESTINATION_UNREACHABLE, 8) => "source-host-isolated",
            (Self::DESTINATION_UNREACHABLE, 9) => "net-prohibited",
            (Self::DESTINATION_UNREACHABLE, 10) => "host-prohibited",
            (Self::DESTINATION_UNREACHABLE, 11) => "net-unreachable-for-tos",
            (Self::DESTINATION_UNREACHABLE, 12) => "host-unreachable-for-tos",
            (Self::DESTINATION_UNREACHABLE, 13) => "admin-prohibited",
            (Self::DESTINATION_UNREACHABLE, 14) => "host-precedence-violation",
            (Self::DESTINATION_UNREACHABLE, 15) => "precedence-cutoff",
            (Self::REDIRECT, 0) => "network",
            (Self::REDIRECT, 1) => "host",
            (Self::REDIRECT, 2) => "tos-and-network",
            (Self::REDIRECT, 3) => "tos-and-host",
            (Self::ROUTER_ADVERTISEMENT, 16) => "does-not-route-common-traffic",
            (Self::TIME_EXCEEDED, 0) => "ttl",
            (Self::TIME_EXCEEDED, 1) => "reassembly",
            (Self::PARAMETER_PROBLEM, 0) => "pointer",
            (Self::PARAMETER_PROBLEM, 1) => "missing-option",
            (Self::PARAMETER_PROBLEM, 2) => "bad-length",
            (Self::PHOTURIS, 0) => "bad-spi",
            (Self::PHOTURIS, 1) => "authentication-failed",
            (Self::PHOTURIS, 2) => "decompression-failed",
            (Self::PHOTURIS, 3) => "decryption-failed",
            (Self::PHOTURIS, 4) => "need-authentication",
            (Self::PHOTURIS, 5) => "need-authorization",
            (Self::EXTENDED_ECHO_REPLY, code) => return extended_echo_code_word(code),
            _ => return None,
        })
    }

    /// Where an error of this type says how long its quote is: in 32-bit words
    /// (RFC 4884).
    pub(super) fn quote_length_at(self) -> Option<usize> {
        matches!(
            self,
            Self::DESTINATION_UNREACHABLE | Self::TIME_EXCEEDED | Self::PARAMETER_PROBLEM
        )
        .then_some(5)
    }

    /// It quotes a packet behind its header.
    pub(super) fn quotes(self) -> bool {
        self.quote_length_at().is_some() || matches!(self, Self::SOURCE_QUENCH | Self::REDIRECT)
    }
}

/// The code of "destination unreachable" that carries an MTU.
pub const FRAGMENTATION_NEEDED: u8 = 4;

/// Milliseconds since midnight UT; the highest bit marks another unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// When the asker sent it.
    pub originate: u32,
    /// When the answerer got it.
    pub receive: u32,
    /// When the answerer sent it.
    pub transmit: u32,
}

impl Times {
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            originate: be32(bytes, 8)?,
            receive: be32(bytes, 12)?,
            transmit: be32(bytes, 16)?,
        })
    }
}

/// An ICMPv4 router advertisement (RFC 1256).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Routers<'a> {
    /// How long the addresses hold, in seconds.
    pub lifetime: u16,
    /// How many addresses it says it has.
    pub count: u8,
    entry_len: usize,
    entries: &'a [u8],
}

impl<'a> Routers<'a> {
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let [count, words] = *bytes.get(4..6)?.first_chunk()?;
        Some(Self {
            lifetime: be16(bytes, 6)?,
            count,
            entry_len: usize::from(words) * 4,
            entries: bytes.get(8..)?,
        })
    }

    /// The routers, as far as they are there.
    pub fn iter(&self) -> impl Iterator<Item = Router> + use<'a> {
        // A router has two words at least; more are for later versions.
        let entries = if self.entry_len < 8 {
            &[]
        } else {
            self.entries
        };
        entries
            .chunks_exact(self.entry_len.max(8))
            .take(self.count.into())
            .filter_map(|entry| {
                Some(Router {
                    address: ipv4(entry, 0)?,
                    preference: be32(entry, 4)?.cast_signed(),
                })
            })
    }
}

/// One router of a router advertisement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Router {
    /// Its address.
    pub address: Ipv4Addr,
    /// Higher is better; the least number: not as a default router.
    pub preference: i32,
}
