//! RPL, the routing protocol of low-power networks (RFC 6550 section 6).

use std::net::Ipv6Addr;

use super::{message::Message, open_enum::open_enum};
use crate::bytes::{be16, ipv6};

/// An RPL control message, by its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Control<'a> {
    /// DIS: a node asks for graphs.
    Solicitation(Options<'a>),
    /// DIO: a node says where in a graph it is.
    Information(Information<'a>),
    /// DAO: a node says what is to be reached by it.
    Advertisement(Advertisement<'a>),
    /// DAO-ACK: the answer to that.
    Acknowledgement(Acknowledgement<'a>),
    /// Another one, such as a secured one: the bytes behind the checksum.
    Other(&'a [u8]),
}

impl<'a> Control<'a> {
    /// `None` if it ends before its options.
    pub(super) fn decode(code: u8, message: Message<'a>) -> Option<Self> {
        Some(match code {
            0 => {
                // Flags that mean nothing yet, and a reserved byte.
                be16(message.bytes, 4)?;
                Self::Solicitation(Options::decode(message, 6)?)
            }
            1 => Self::Information(Information::decode(message)?),
            2 => Self::Advertisement(Advertisement::decode(message)?),
            3 => Self::Acknowledgement(Acknowledgement::decode(message)?),
            _ => Self::Other(message.bytes.get(4..)?),
        })
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> Option<Options<'a>> {
        match self {
            Self::Solicitation(options) => Some(*options),
            Self::Information(message) => Some(message.options),
            Self::Advertisement(message) => Some(message.options),
            Self::Acknowledgement(message) => Some(message.options),
            Self::Other(_) => None,
        }
    }
}

/// A node says where in a graph it is: a DODAG information object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Information<'a> {
    /// The RPL instance.
    pub instance: u8,
    /// The version of the graph.
    pub version: u8,
    /// How far from the root the node is; 65,535: it leaves the graph.
    pub rank: u16,
    /// G: the graph reaches what it is made for.
    pub grounded: bool,
    /// MOP: the mode of operation, in 3 bits.
    pub mode: u8,
    /// How much its root is preferred to others, 0 to 7.
    pub preference: u8,
    /// DTSN: changes when routes downward are to be told anew.
    pub trigger: u8,
    /// The graph: an address of its root.
    pub dodag: Ipv6Addr,
    /// The options.
    pub options: Options<'a>,
}

impl<'a> Information<'a> {
    fn decode(message: Message<'a>) -> Option<Self> {
        let bytes = message.bytes;
        let [instance, version] = *bytes.get(4..)?.first_chunk()?;
        let [mode, trigger] = *bytes.get(8..)?.first_chunk()?;
        Some(Self {
            instance,
            version,
            rank: be16(bytes, 6)?,
            grounded: mode & 0x80 != 0,
            mode: mode >> 3 & 7,
            preference: mode & 7,
            trigger,
            dodag: ipv6(bytes, 12)?,
            options: Options::decode(message, 28)?,
        })
    }
}

/// A node says what is to be reached by it: a destination advertisement object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Advertisement<'a> {
    /// The RPL instance.
    pub instance: u8,
    /// K: an answer is wanted.
    pub wants_acknowledgement: bool,
    /// Matches the answer.
    pub sequence: u8,
    /// The graph, where the instance does not say which: an address of its root.
    pub dodag: Option<Ipv6Addr>,
    /// The options.
    pub options: Options<'a>,
}

impl<'a> Advertisement<'a> {
    fn decode(message: Message<'a>) -> Option<Self> {
        let [instance, flags, _, sequence] = *message.bytes.get(4..)?.first_chunk()?;
        let (dodag, options) = dodag_and_options(message, flags & 0x40 != 0)?;
        Some(Self {
            instance,
            wants_acknowledgement: flags & 0x80 != 0,
            sequence,
            dodag,
            options,
        })
    }
}

/// The answer to a destination advertisement object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Acknowledgement<'a> {
    /// The RPL instance.
    pub instance: u8,
    /// That of the advertisement.
    pub sequence: u8,
    /// 0: accepted; up to 127: accepted, better ask another parent; above that:
    /// refused.
    pub status: u8,
    /// The graph, where the instance does not say which: an address of its root.
    pub dodag: Option<Ipv6Addr>,
    /// The options.
    pub options: Options<'a>,
}

impl<'a> Acknowledgement<'a> {
    fn decode(message: Message<'a>) -> Option<Self> {
        let [instance, flags, sequence, status] = *message.bytes.get(4..)?.first_chunk()?;
        let (dodag, options) = dodag_and_options(message, flags & 0x80 != 0)?;
        Some(Self {
            instance,
            sequence,
            status,
            dodag,
            options,
        })
    }
}

/// What follows the first 8 bytes of a message that may say the graph.
fn dodag_and_options(
    message: Message<'_>,
    has_dodag: bool,
) -> Option<(Option<Ipv6Addr>, Options<'_>)> {
    Some(if has_dodag {
        (Some(ipv6(message.bytes, 8)?), Options::decode(message, 24)?)
    } else {
        (None, Options::decode(message, 8)?)
    })
}

/// The options of an RPL message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options<'a> {
    bytes: &'a [u8],
    is_whole: bool,
}

impl<'a> Options<'a> {
    fn decode(message: Message<'a>, at: usize) -> Option<Self> {
        Some(Self {
            bytes: message.bytes.get(at..)?,
            is_whole: message.is_whole(),
        })
    }

    /// The options, in order, without padding. One whose length cannot be, or
    /// that is cut off, is the last.
    #[must_use]
    pub fn iter(&self) -> OptionsIter<'a> {
        OptionsIter {
            rest: self.bytes,
            is_whole: self.is_whole,
        }
    }
}

/// See [`Options::iter`].
#[derive(Debug, Clone)]
pub struct OptionsIter<'a> {
    rest: &'a [u8],
    is_whole: bool,
}

impl<'a> Iterator for OptionsIter<'a> {
    type Item = RplOption<'a>;

    fn next(&mut self) -> Option<RplOption<'a>> {
        loop {
            let (kind, after) = self.rest.split_first()?;
            let kind = OptionType(*kind);
            if kind == OptionType::PAD1 {
                self.rest = after;
                continue;
            }
            let end = after.first().map(|len| 1 + usize::from(*len));
            let data = end.and_then(|end| after.get(1..end));
            self.rest = end.and_then(|end| after.get(end..)).unwrap_or_default();
            if kind == OptionType::PADN && data.is_some() {
                continue;
            }
            return Some(RplOption {
                kind,
                data: data.unwrap_or(after.get(1..).unwrap_or_default()),
                is_malformed: data.is_none() && self.is_whole,
            });
        }
    }
}

/// One option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RplOption<'a> {
    /// Which option.
    pub kind: OptionType,
    /// What is in it: the bytes behind its length.
    pub data: &'a [u8],
    /// It runs over the message's end.
    pub is_malformed: bool,
}

open_enum! {
    /// The type of an option (IANA's "RPL Control Message Options").
    OptionType("option");

    /// One byte of padding (RFC 6550)
    PAD1 = 0, "Pad1", "pad1";
    /// Padding (RFC 6550)
    PADN = 1, "PadN", "padn";
    /// What links and nodes are like (RFC 6550)
    DAG_METRIC_CONTAINER = 2, "DAG Metric Container", "dag-metric-container";
    /// A route outside of the graph (RFC 6550)
    ROUTING_INFORMATION = 3, "Routing Information", "routing-information";
    /// How the graph is run (RFC 6550)
    DODAG_CONFIGURATION = 4, "DODAG Configuration", "dodag-configuration";
    /// What is to be reached (RFC 6550)
    RPL_TARGET = 5, "RPL Target", "rpl-target";
    /// By whom it is to be reached (RFC 6550)
    TRANSIT_INFORMATION = 6, "Transit Information", "transit-information";
    /// Which graphs are asked for (RFC 6550)
    SOLICITED_INFORMATION = 7, "Solicited Information", "solicited-information";
    /// A prefix to make addresses of (RFC 6550)
    PREFIX_INFORMATION = 8, "Prefix Information", "prefix-information";
    /// A mark on a target (RFC 6550)
    RPL_TARGET_DESCRIPTOR = 9, "RPL Target Descriptor", "rpl-target-descriptor";
}
