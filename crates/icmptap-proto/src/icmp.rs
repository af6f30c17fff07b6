//! ICMP messages (RFC 792) and what they quote.
//!
//! A message whose end was cut off is read as far as it goes: what cannot be
//! known is `None`.

use std::{fmt, net::Ipv4Addr};

use crate::{Mtu, ip};

/// An ICMP type: any number, some of which have a name.
///
/// Names and numbers are those of IANA's registry "ICMP Type Numbers"; the
/// words of [`fmt::Display`] are the same names in lower case with hyphens, but
/// for types 0 and 8, where the registry's "Echo" would not say which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Type(pub u8);

macro_rules! types {
    ($($(#[$doc:meta])* $constant:ident = $number:literal, $iana:literal, $word:literal;)*) => {
        impl Type {
            $($(#[$doc])* #[doc = concat!("(", $number, ").")] pub const $constant: Self = Self($number);)*

            /// Every type that has a name.
            pub const NAMED: &[Self] = &[$(Self::$constant),*];

            /// The name in IANA's registry.
            pub fn iana_name(self) -> Option<&'static str> {
                match self {
                    $(Self::$constant => Some($iana),)*
                    _ => None,
                }
            }

            /// The name as one word.
            pub fn word(self) -> Option<&'static str> {
                match self {
                    $(Self::$constant => Some($word),)*
                    _ => None,
                }
            }
        }
    };
}

types! {
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

/// The word, or `type-77` where there is none.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.word() {
            Some(word) => f.pad(word),
            None => write!(f, "type-{}", self.0),
        }
    }
}

/// The name of a type's code, as one word. `None` where the code has none, and
/// where the type knows only code 0 and that says nothing.
pub fn code_word(icmp_type: Type, code: u8) -> Option<&'static str> {
    Some(match (icmp_type, code) {
        (Type::DESTINATION_UNREACHABLE, 0) => "net-unreachable",
        (Type::DESTINATION_UNREACHABLE, 1) => "host-unreachable",
        (Type::DESTINATION_UNREACHABLE, 2) => "protocol-unreachable",
        (Type::DESTINATION_UNREACHABLE, 3) => "port-unreachable",
        (Type::DESTINATION_UNREACHABLE, 4) => "fragmentation-needed",
        (Type::DESTINATION_UNREACHABLE, 5) => "source-route-failed",
        (Type::DESTINATION_UNREACHABLE, 6) => "net-unknown",
        (Type::DESTINATION_UNREACHABLE, 7) => "host-unknown",
        (Type::DESTINATION_UNREACHABLE, 8) => "source-host-isolated",
        (Type::DESTINATION_UNREACHABLE, 9) => "net-prohibited",
        (Type::DESTINATION_UNREACHABLE, 10) => "host-prohibited",
        (Type::DESTINATION_UNREACHABLE, 11) => "net-unreachable-for-tos",
        (Type::DESTINATION_UNREACHABLE, 12) => "host-unreachable-for-tos",
        (Type::DESTINATION_UNREACHABLE, 13) => "admin-prohibited",
        (Type::DESTINATION_UNREACHABLE, 14) => "host-precedence-violation",
        (Type::DESTINATION_UNREACHABLE, 15) => "precedence-cutoff",
        (Type::REDIRECT, 0) => "network",
        (Type::REDIRECT, 1) => "host",
        (Type::REDIRECT, 2) => "tos-and-network",
        (Type::REDIRECT, 3) => "tos-and-host",
        (Type::TIME_EXCEEDED, 0) => "ttl",
        (Type::TIME_EXCEEDED, 1) => "reassembly",
        (Type::PARAMETER_PROBLEM, 0) => "pointer",
        (Type::PARAMETER_PROBLEM, 1) => "missing-option",
        (Type::PARAMETER_PROBLEM, 2) => "bad-length",
        _ => return None,
    })
}

/// What an ICMPv4 message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Icmpv4 {
    /// The type.
    pub icmp_type: Type,
    /// The code; [`code_word`] names it.
    pub code: u8,
    /// What it says beyond that.
    pub body: Body,
}

/// What an ICMPv4 message says beyond type and code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body {
    /// Echo request or reply.
    Echo(Echo),
    /// Destination unreachable.
    Unreachable {
        /// With code 4: what fits (RFC 1191). `None` from a router that does
        /// not say (it sends 0).
        next_hop_mtu: Option<Mtu>,
        /// The packet that was not delivered.
        quote: Option<Quote>,
    },
    /// Redirect.
    Redirect {
        /// The better first hop.
        gateway: Ipv4Addr,
        /// The packet that should have gone there.
        quote: Option<Quote>,
    },
    /// Parameter problem.
    ParameterProblem {
        /// With code 0: the byte of the quoted packet that is wrong.
        pointer: u8,
        /// The packet that was not understood.
        quote: Option<Quote>,
    },
    /// Time exceeded and source quench, which say no more than which packet.
    Quoting {
        /// The packet.
        quote: Option<Quote>,
    },
    /// Timestamp request or reply.
    Timestamp {
        /// To match replies with requests.
        echo: Echo,
        /// `None` if cut off.
        times: Option<Times>,
    },
    /// Nothing more is known: another type, or the message ends here.
    None,
}

/// What matches an answer to its question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo {
    /// Names the asker, such as one run of ping.
    pub id: u16,
    /// Counts its questions.
    pub seq: u16,
}

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

/// The packet that an ICMP error is about: the start of it comes with the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quote {
    /// Who sent it.
    pub src: Ipv4Addr,
    /// To whom.
    pub dst: Ipv4Addr,
    /// Its protocol (IANA's "Protocol Numbers"); [`protocol_word`] names some.
    pub protocol: u8,
    /// Bytes it had, header included.
    pub len: u16,
    /// Where in its packet it starts, if it was a fragment, in bytes.
    pub fragment_offset: u16,
    /// What follows its header.
    pub transport: Transport,
}

/// What is quoted behind the network header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// TCP, UDP, SCTP, DCCP or UDP-Lite.
    Ports {
        /// Source port.
        src: u16,
        /// Destination port.
        dst: u16,
    },
    /// ICMP.
    Icmp {
        /// Its type.
        icmp_type: Type,
        /// Its code.
        code: u8,
        /// Of an echo or a timestamp.
        echo: Option<Echo>,
    },
    /// Another protocol, a later fragment, or cut off.
    None,
}

impl Icmpv4 {
    /// Reads the message: `bytes` are the ICMP header and what follows, as far
    /// as they were kept. Type and code are known even if no byte was.
    pub fn decode(icmp_type: u8, code: u8, bytes: &[u8]) -> Self {
        let icmp_type = Type(icmp_type);
        Self {
            icmp_type,
            code,
            body: body(icmp_type, code, bytes).unwrap_or(Body::None),
        }
    }

    /// The packet that an error is about.
    pub fn quote(&self) -> Option<&Quote> {
        match &self.body {
            Body::Unreachable { quote, .. }
            | Body::Redirect { quote, .. }
            | Body::ParameterProblem { quote, .. }
            | Body::Quoting { quote } => quote.as_ref(),
            Body::Echo(_) | Body::Timestamp { .. } | Body::None => None,
        }
    }
}

/// `None` if the second word of the header was cut off.
fn body(icmp_type: Type, code: u8, bytes: &[u8]) -> Option<Body> {
    let rest: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
    let data = &bytes[8..];
    let echo = Echo {
        id: u16::from_be_bytes([rest[0], rest[1]]),
        seq: u16::from_be_bytes([rest[2], rest[3]]),
    };
    let quote = Quote::decode(data);
    Some(match icmp_type {
        Type::ECHO_REQUEST | Type::ECHO_REPLY => Body::Echo(echo),
        Type::DESTINATION_UNREACHABLE => Body::Unreachable {
            next_hop_mtu: (code == FRAGMENTATION_NEEDED && echo.seq != 0).then_some(Mtu(echo.seq)),
            quote,
        },
        Type::REDIRECT => Body::Redirect {
            gateway: rest.into(),
            quote,
        },
        Type::PARAMETER_PROBLEM => Body::ParameterProblem {
            pointer: rest[0],
            quote,
        },
        Type::TIME_EXCEEDED | Type::SOURCE_QUENCH => Body::Quoting { quote },
        Type::TIMESTAMP | Type::TIMESTAMP_REPLY => Body::Timestamp {
            echo,
            times: times(data),
        },
        _ => Body::None,
    })
}

/// The code of "destination unreachable" that carries an MTU.
pub const FRAGMENTATION_NEEDED: u8 = 4;

fn times(data: &[u8]) -> Option<Times> {
    let word = |at: usize| data.get(at..at + 4).map(be32);
    Some(Times {
        originate: word(0)?,
        receive: word(4)?,
        transmit: word(8)?,
    })
}

impl Quote {
    /// `None` if it is not IPv4 or shorter than an IPv4 header.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let header = ip::Ipv4::decode(bytes)?;
        let data = bytes.get(header.header_len..).unwrap_or_default();
        Some(Self {
            src: header.src,
            dst: header.dst,
            protocol: header.protocol,
            len: header.total_len,
            fragment_offset: header.fragment_offset,
            transport: if header.fragment_offset == 0 {
                transport(header.protocol, data)
            } else {
                Transport::None
            },
        })
    }
}

fn transport(protocol: u8, data: &[u8]) -> Transport {
    match (protocol, data) {
        (TCP | UDP | DCCP | SCTP | UDPLITE, [a, b, c, d, ..]) => Transport::Ports {
            src: u16::from_be_bytes([*a, *b]),
            dst: u16::from_be_bytes([*c, *d]),
        },
        (ICMP, [icmp_type, code, ..]) => Transport::Icmp {
            icmp_type: Type(*icmp_type),
            code: *code,
            echo: match body(Type(*icmp_type), *code, data) {
                Some(Body::Echo(echo) | Body::Timestamp { echo, .. }) => Some(echo),
                _ => None,
            },
        },
        _ => Transport::None,
    }
}

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const DCCP: u8 = 33;
const SCTP: u8 = 132;
const UDPLITE: u8 = 136;

/// The word for a protocol number, where it is a common one.
pub fn protocol_word(protocol: u8) -> Option<&'static str> {
    Some(match protocol {
        ICMP => "icmp",
        2 => "igmp",
        4 => "ipip",
        TCP => "tcp",
        UDP => "udp",
        DCCP => "dccp",
        41 => "ipv6",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        58 => "icmpv6",
        89 => "ospf",
        103 => "pim",
        112 => "vrrp",
        SCTP => "sctp",
        UDPLITE => "udplite",
        _ => return None,
    })
}

/// Whether the ones' complement sum of the message, checksum included, is
/// all ones (RFC 1071).
pub(crate) fn checksum_is_good(message: &[u8]) -> bool {
    let sum: u64 = message
        .chunks(2)
        .map(|pair| u64::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u64::from))
        .sum();
    // Two messages' worth of carries: 64 KiB of 16-bit words fit in 31 bits.
    let folded = (sum & 0xffff) + (sum >> 16);
    (folded & 0xffff) + (folded >> 16) == 0xffff
}

fn be32(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |word, byte| word << 8 | u32::from(*byte))
}
