//! ICMP messages of both families (RFC 792, RFC 4443) and what they quote.
//!
//! A message whose end was cut off is read as far as it goes: what cannot be
//! known is `None`. Lists (options, extension objects, group records) are read
//! as they are walked, and borrow from the packet.

mod body;
mod echo;
pub mod extension;
mod icmp_type;
mod message;
pub mod mld;
pub mod mobile;
pub mod ndp;
mod open_enum;
mod quote;
pub mod rpl;
pub mod v4;
pub mod v6;

pub use body::Body;
pub use echo::{Echo, ExtendedEchoReply, ExtendedEchoRequest, NeighborState};
pub use extension::Extensions;
use extension::Parts;
pub use icmp_type::Type;
use message::Message;
pub use quote::{Quote, QuotedIcmp, Transport, protocol_word};

use crate::Mtu;

/// What an ICMP message says.
///
/// ```
/// use icmptap_proto::{event::EventRef, icmp::Transport};
///
/// /// Whose packet an error is about, such as `port-unreachable for 10.0.0.2 port 53`.
/// fn about(event: &EventRef<'_>) -> Option<String> {
///     let icmp = event.icmp()?;
///     let quote = icmp.quote?;
///     let word = icmp.icmp_type.code_name(icmp.code).or(icmp.icmp_type.name())?;
///     Some(match quote.transport {
///         Transport::Ports { dst, .. } => format!("{word} for {} port {dst}", quote.dst),
///         _ => format!("{word} for {} protocol {}", quote.dst, quote.protocol),
///     })
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Icmp<'a> {
    /// The type.
    pub icmp_type: Type,
    /// The code; [`Type::code_name`] names it.
    pub code: u8,
    /// What it says beyond that.
    pub body: Body<'a>,
    /// Of an error or a redirect: the packet it is about.
    pub quote: Option<Quote<'a>>,
    /// What a router appended to an error (RFC 4884), and what an extended echo
    /// request asks about (RFC 8335).
    pub extensions: Option<Extensions<'a>>,
    /// The quote and all that follows it, but for the extensions.
    beside_extensions: &'a [u8],
}

impl<'a> Icmp<'a> {
    /// Reads the message: `bytes` are the ICMP header and what follows, as far
    /// as they were kept of `len` bytes; `None`: that is not known, as of a
    /// fragment. Type and code are known even if no byte was kept.
    // Inlined, with all that is below it, so that a caller who looks at the quote
    // only does not pay for the rest: it is half of the cost of an event.
    #[inline(always)]
    #[must_use]
    pub fn decode(icmp_type: Type, code: u8, bytes: &'a [u8], len: Option<usize>) -> Self {
        let depth = 0;
        Self::decode_message(icmp_type, code, Message { bytes, len, depth })
    }

    #[inline(always)]
    fn decode_message(icmp_type: Type, code: u8, message: Message<'a>) -> Self {
        let body = Body::decode(icmp_type, code, message);
        let Parts {
            quoted,
            extensions,
            beside_extensions,
        } = extension::split(icmp_type, message);
        // Not out of the body: most who look at a quote do not need that.
        let quote = match icmp_type {
            Type::V6(v6::Type::REDIRECT) => {
                ndp::Redirect::decode(message).and_then(|redirect| redirect.quote())
            }
            // Without a closure, which would not be inlined.
            _ => match quoted {
                Some(packet) => Quote::decode(packet, message.depth),
                None => None,
            },
        };
        Self {
            icmp_type,
            code,
            body,
            quote,
            extensions,
            beside_extensions,
        }
    }

    /// What matches an answer to its question, where the message is one.
    #[must_use]
    pub fn echo(&self) -> Option<Echo> {
        match self.body {
            Body::Echo(echo) | Body::Timestamp { echo, .. } | Body::AddressMask { echo, .. } => {
                Some(echo)
            }
            Body::ExtendedEchoRequest(request) => Some(request.echo),
            Body::ExtendedEchoReply(reply) => Some(reply.echo),
            _ => None,
        }
    }

    /// The number that matches an answer to its question, where the message has
    /// one: that of [`Icmp::echo`], or of a message without a sequence number.
    #[must_use]
    pub fn id(&self) -> Option<u16> {
        match self.body {
            Body::HomeAgentDiscoveryRequest { id } | Body::MobilePrefixSolicitation { id } => {
                Some(id)
            }
            Body::HomeAgentDiscoveryReply(agents) => Some(agents.id),
            Body::MobilePrefixAdvertisement(message) => Some(message.id),
            Body::CertificationPathSolicitation(message) => Some(message.id),
            Body::CertificationPathAdvertisement(message) => Some(message.id),
            _ => self.echo().map(|echo| echo.id),
        }
    }

    /// Of an error, and of an extended echo request: what is left over. That is
    /// what follows the quoted packet and is no extension, or all of it if there
    /// is no packet to be read. Empty if there are only zeros, as fill up a quote.
    #[must_use]
    pub fn trailing(&self) -> &'a [u8] {
        let start = match self.quote {
            None => 0,
            Some(quote) => quote.end().unwrap_or(usize::MAX),
        };
        let rest = self.beside_extensions.get(start..).unwrap_or_default();
        if rest.iter().all(|byte| *byte == 0) {
            &[]
        } else {
            rest
        }
    }

    /// What fits through the next hop, where the message says it.
    #[must_use]
    pub fn mtu(&self) -> Option<Mtu> {
        match self.body {
            Body::Unreachable { next_hop_mtu } => next_hop_mtu,
            Body::PacketTooBig { mtu } => Some(mtu),
            _ => None,
        }
    }

    /// Of neighbour discovery: the options.
    #[must_use]
    pub fn options(&self) -> Option<ndp::Options<'a>> {
        match self.body {
            Body::RouterSolicitation(options) => Some(options),
            Body::RouterAdvertisement(message) => Some(message.options),
            Body::NeighborSolicitation(message) => Some(message.options),
            Body::NeighborAdvertisement(message) => Some(message.options),
            Body::NeighborRedirect(message) => Some(message.options),
            Body::InverseNeighbor(options) => Some(options),
            Body::MobilePrefixAdvertisement(message) => Some(message.options),
            Body::CertificationPathSolicitation(message) => Some(message.options),
            Body::CertificationPathAdvertisement(message) => Some(message.options),
            _ => None,
        }
    }
}

impl<'a> QuotedIcmp<'a> {
    /// What it says, as far as it is there. An error among them has a quote
    /// itself, up to the fourth quote within another.
    #[must_use]
    pub fn message(&self) -> Icmp<'a> {
        Icmp::decode_message(self.icmp_type, self.code, self.message)
    }
}
