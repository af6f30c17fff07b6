//! Options of secure neighbour discovery (RFC 3971). Nothing is verified here.

use std::net::Ipv6Addr;

use super::dns::Domain;
use crate::bytes::{array, be16};

/// How the sender's address was made of its key (RFC 3971 section 5.1, RFC 3972
/// section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cga<'a> {
    /// A random number.
    pub modifier: [u8; 16],
    /// The 64 bits of the address's prefix.
    pub prefix: Ipv6Addr,
    /// How often the address was taken: 0, 1 or 2.
    pub collision_count: u8,
    /// The public key (DER), and extensions if there are any.
    pub key: &'a [u8],
}

impl<'a> Cga<'a> {
    /// `None` if it is shorter than what it has to have, or if its padding is
    /// more than that.
    pub(super) fn decode(data: &'a [u8]) -> Option<Self> {
        let padding = usize::from(*data.first()?);
        let parameters = data.get(2..data.len().checked_sub(padding)?)?;
        let mut prefix = [0; 16];
        prefix[..8].copy_from_slice(&array::<8>(parameters, 16)?);
        Some(Self {
            modifier: array(parameters, 0)?,
            prefix: prefix.into(),
            collision_count: *parameters.get(24)?,
            key: &parameters[25..],
        })
    }
}

/// The sender's signature (RFC 3971 section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RsaSignature<'a> {
    /// The start of the key's SHA-1.
    pub key_hash: [u8; 16],
    /// The signature. How long it is depends on the key: what fills up the
    /// option is here too.
    pub signature: &'a [u8],
}

impl<'a> RsaSignature<'a> {
    /// `None` if there is no signature.
    pub(super) fn decode(data: &'a [u8]) -> Option<Self> {
        Some(Self {
            key_hash: array(data, 2)?,
            signature: data.get(18..).filter(|bytes| !bytes.is_empty())?,
        })
    }
}

/// When the sender sent it (RFC 3971 section 5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timestamp {
    /// Seconds since 1970, in 48 bits.
    pub seconds: u64,
    /// In units of 1/65,536 second.
    pub fraction: u16,
}

impl Timestamp {
    /// `None` if it is not of the one length that it may have.
    pub(super) fn decode(data: &[u8]) -> Option<Self> {
        let data: &[u8; 14] = data.try_into().ok()?;
        let word = u64::from_be_bytes(array(data, 6)?);
        Some(Self {
            seconds: word >> 16,
            fraction: word as u16,
        })
    }
}

/// Whom the sender trusts (RFC 3971 section 6.4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrustAnchor<'a> {
    /// 1: the name is an X.501 one (DER). 2: it is a domain name.
    pub name_type: u8,
    /// The name.
    pub name: &'a [u8],
}

impl<'a> TrustAnchor<'a> {
    /// `None` if its padding is more than it has.
    pub(super) fn decode(data: &'a [u8]) -> Option<Self> {
        let [name_type, padding] = *data.first_chunk()?;
        let end = data.len().checked_sub(padding.into())?;
        Some(Self {
            name_type,
            name: data.get(2..end)?,
        })
    }

    /// The name as a domain name, if it is one.
    #[must_use]
    pub fn domain(&self) -> Option<Domain<'a>> {
        match Domain::split(self.name) {
            Some((domain, [])) if self.name_type == 2 => Some(domain),
            _ => None,
        }
    }
}

/// A certificate of the path to a router (RFC 3971 section 6.4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Certificate<'a> {
    /// 1: X.509v3.
    pub kind: u8,
    /// The certificate, and what fills up the option.
    pub certificate: &'a [u8],
}

impl<'a> Certificate<'a> {
    pub(super) fn decode(data: &'a [u8]) -> Option<Self> {
        Some(Self {
            kind: be16(data, 0)?.to_be_bytes()[0],
            certificate: data.get(2..)?,
        })
    }
}
