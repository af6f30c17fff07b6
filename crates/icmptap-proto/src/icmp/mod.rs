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
pub mod ndp;
mod open_enum;
mod quote;
pub mod v4;
pub mod v6;

pub use body::Body;
pub use echo::{Echo, ExtendedEchoReply, ExtendedEchoRequest, NeighborState};
pub use extension::Extensions;
pub use icmp_type::Type;
use message::Message;
pub use quote::{Quote, Transport, protocol_word};

use crate::Mtu;

/// What an ICMP message says.
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
    pub quote: Option<Quote>,
    /// What a router appended to an error (RFC 4884), and what an extended echo
    /// request asks about (RFC 8335).
    pub extensions: Option<Extensions<'a>>,
}

impl<'a> Icmp<'a> {
    /// Reads the message: `bytes` are the ICMP header and what follows, as far
    /// as they were kept of `len` bytes; `None`: that is not known, as of a
    /// fragment. Type and code are known even if no byte was kept.
    // Inlined, with all that is below it, so that a caller who looks at the quote
    // only does not pay for the rest: it is half of the cost of an event.
    #[inline(always)]
    pub fn decode(icmp_type: Type, code: u8, bytes: &'a [u8], len: Option<usize>) -> Self {
        let message = Message { bytes, len };
        let body = Body::decode(icmp_type, code, message);
        let (quoted, extensions) = extension::split(icmp_type, message);
        // The type is asked first: the body of another one is then not needed.
        let quote = match (icmp_type, body) {
            (Type::V6(v6::Type::REDIRECT), Body::NeighborRedirect(redirect)) => redirect.quote(),
            _ => quoted.and_then(Quote::decode),
        };
        Self {
            icmp_type,
            code,
            body,
            quote,
            extensions,
        }
    }

    /// What matches an answer to its question, where the message is one.
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

    /// What fits through the next hop, where the message says it.
    pub fn mtu(&self) -> Option<Mtu> {
        match self.body {
            Body::Unreachable { next_hop_mtu } => next_hop_mtu,
            Body::PacketTooBig { mtu } => Some(mtu),
            _ => None,
        }
    }

    /// Of neighbour discovery: the options.
    pub fn options(&self) -> Option<ndp::Options<'a>> {
        match self.body {
            Body::RouterSolicitation(options) => Some(options),
            Body::RouterAdvertisement(message) => Some(message.options),
            Body::NeighborSolicitation(message) => Some(message.options),
            Body::NeighborAdvertisement(message) => Some(message.options),
            Body::NeighborRedirect(message) => Some(message.options),
            _ => None,
        }
    }
}
