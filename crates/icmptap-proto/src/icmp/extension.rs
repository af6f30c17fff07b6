//! What routers append to the quote of an error: the extension structure of
//! RFC 4884 and its objects.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{icmp_type::Type, message::Message, open_enum::open_enum, v4, v6};
use crate::{
    Name,
    bytes::{self, be16, be32},
    checksum::Checksum,
};

/// Bytes of an ICMP header, behind which the quote starts.
const HEADER_LEN: usize = 8;

/// Bytes of the quote in front of an extension structure, at least; and exactly
/// so many where the router does not say it, as before RFC 4884.
const QUOTE_MIN: usize = 128;

/// The quoted packet and the extensions of a message.
#[inline]
pub(super) fn split<'a>(
    icmp_type: Type,
    message: Message<'a>,
) -> (Option<&'a [u8]>, Option<Extensions<'a>>) {
    let Some(data) = message.bytes.get(HEADER_LEN..) else {
        return (None, None);
    };
    let extensions = |at| Extensions::decode(data.get(at..)?, message.is_whole());
    if let Type::V4(v4::Type::EXTENDED_ECHO_REQUEST) | Type::V6(v6::Type::EXTENDED_ECHO_REQUEST) =
        icmp_type
    {
        return (None, extensions(0));
    }
    if !icmp_type.quotes() {
        return (None, None);
    }
    let Some((at, unit)) = icmp_type.quote_length() else {
        return (Some(data), None);
    };
    let said = usize::from(message.bytes[at]) * unit;
    let end = if said == 0 { QUOTE_MIN } else { said };
    // A length that RFC 4884 does not allow proves nothing: the checksum must.
    let extensions = extensions(end)
        .filter(|extensions| said >= QUOTE_MIN || extensions.checksum == Checksum::Good);
    let quote = if said >= QUOTE_MIN || extensions.is_some() {
        &data[..end.min(data.len())]
    } else {
        data
    };
    (Some(quote), extensions)
}

/// An extension structure (RFC 4884, version 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extensions<'a> {
    /// Its own checksum. Unknown if the sender did not compute it, or bytes are
    /// missing.
    pub checksum: Checksum,
    objects: &'a [u8],
}

impl<'a> Extensions<'a> {
    /// `None` if it is of another version or its header is not all there.
    fn decode(bytes: &'a [u8], is_whole: bool) -> Option<Self> {
        let [version, _, sum @ ..]: [u8; 4] = *bytes.first_chunk()?;
        if version >> 4 != 2 {
            return None;
        }
        let checksum = if sum == [0; 2] || !is_whole {
            Checksum::Unknown
        } else {
            Checksum::of([bytes, &[]])
        };
        Some(Self {
            checksum,
            objects: &bytes[4..],
        })
    }

    /// The objects, in order. One whose length cannot be, or that is cut off,
    /// is the last, as [`ObjectBody::Data`].
    pub fn objects(&self) -> Objects<'a> {
        Objects { rest: self.objects }
    }
}

/// See [`Extensions::objects`].
#[derive(Debug, Clone)]
pub struct Objects<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Objects<'a> {
    type Item = Object<'a>;

    fn next(&mut self) -> Option<Object<'a>> {
        let len = usize::from(be16(self.rest, 0)?);
        let [class, ctype] = bytes::array(self.rest, 2)?;
        let class = Class(class);
        let body = match self.rest.get(4..len) {
            Some(payload) => {
                self.rest = &self.rest[len..];
                ObjectBody::decode(class, ctype, payload)
            }
            None => {
                let payload = &self.rest[4..];
                self.rest = &[];
                ObjectBody::Data(payload)
            }
        };
        Some(Object { class, ctype, body })
    }
}

/// One object of an extension structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Object<'a> {
    /// What kind of object.
    pub class: Class,
    /// Which one of that kind; its meaning is the class's own.
    pub ctype: u8,
    /// What it says.
    pub body: ObjectBody<'a>,
}

open_enum! {
    /// The class of an extension object (IANA's "ICMP Extension Object Classes").
    Class("class");

    /// The MPLS labels that the quoted packet had (RFC 4950)
    MPLS_LABEL_STACK = 1, "MPLS Label Stack Class", "mpls-label-stack";
    /// An interface that the quoted packet met (RFC 5837)
    INTERFACE_INFORMATION = 2, "Interface Information Object", "interface-information";
    /// The interface that a question is about (RFC 8335)
    INTERFACE_IDENTIFICATION = 3, "Interface Identification Object", "interface-identification";
}

/// What an extension object says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ObjectBody<'a> {
    /// The MPLS labels that the quoted packet had.
    Mpls(LabelStack<'a>),
    /// An interface that the quoted packet met.
    InterfaceInfo(InterfaceInfo<'a>),
    /// The interface that an extended echo request is about.
    InterfaceId(InterfaceId<'a>),
    /// Another object, or one that is not formed as its class has it: the bytes
    /// behind its header.
    Data(&'a [u8]),
}

impl<'a> ObjectBody<'a> {
    fn decode(class: Class, ctype: u8, payload: &'a [u8]) -> Self {
        match class {
            Class::MPLS_LABEL_STACK if ctype == 1 && payload.len().is_multiple_of(4) => {
                Some(Self::Mpls(LabelStack { entries: payload }))
            }
            Class::INTERFACE_INFORMATION => {
                InterfaceInfo::decode(ctype, payload).map(Self::InterfaceInfo)
            }
            Class::INTERFACE_IDENTIFICATION => {
                InterfaceId::decode(ctype, payload).map(Self::InterfaceId)
            }
            _ => None,
        }
        .unwrap_or(Self::Data(payload))
    }
}

/// MPLS labels, outermost first (RFC 4950, RFC 3032).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelStack<'a> {
    entries: &'a [u8],
}

impl<'a> LabelStack<'a> {
    /// The labels.
    pub fn iter(&self) -> impl Iterator<Item = Label> + use<'a> {
        let words = self.entries.chunks_exact(4).filter_map(|e| be32(e, 0));
        words.map(|word| Label {
            label: word >> 12,
            traffic_class: (word >> 9) as u8 & 7,
            is_bottom: word & 0x100 != 0,
            ttl: word as u8,
        })
    }
}

/// An entry of an MPLS label stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// The label, in 20 bits.
    pub label: u32,
    /// Traffic class, in 3 bits; once "experimental use".
    pub traffic_class: u8,
    /// No entry follows.
    pub is_bottom: bool,
    /// Time to live.
    pub ttl: u8,
}

/// An interface that the quoted packet met (RFC 5837).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct InterfaceInfo<'a> {
    /// What the interface has to do with the packet.
    pub role: Role,
    /// Its index (`ifIndex` of its router).
    pub index: Option<u32>,
    /// Its address.
    pub address: Option<IpAddr>,
    /// Its name.
    pub name: Option<Name<'a>>,
    /// Its MTU, in bytes.
    pub mtu: Option<u32>,
}

impl<'a> InterfaceInfo<'a> {
    fn decode(ctype: u8, payload: &'a [u8]) -> Option<Self> {
        let mut info = Self {
            role: Role(ctype >> 6),
            index: None,
            address: None,
            name: None,
            mtu: None,
        };
        let mut at = 0;
        if ctype & 8 != 0 {
            info.index = Some(be32(payload, at)?);
            at += 4;
        }
        if ctype & 4 != 0 {
            let afi = be16(payload, at)?;
            let len = if afi == AFI_IPV4 { 4 } else { 16 };
            let bytes = payload.get(at + 4..at + 4 + len)?;
            info.address = Some(address(afi, bytes)?);
            at += 4 + len;
        }
        if ctype & 2 != 0 {
            // The length counts itself.
            let len = usize::from(*payload.get(at)?);
            info.name = Some(Name::padded(payload.get(at + 1..at + len)?));
            at += len;
        }
        if ctype & 1 != 0 {
            info.mtu = Some(be32(payload, at)?);
            at += 4;
        }
        (at == payload.len()).then_some(info)
    }
}

/// What an interface has to do with a packet (RFC 5837), in two bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Role(pub u8);

impl Role {
    /// The name as one word: the packet came in there, or by a part of it below
    /// IP; it would have gone out there; it would have met it next.
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "incoming",
            1 => "incoming-sub-ip",
            2 => "outgoing",
            3 => "next-hop",
            _ => return None,
        })
    }
}

/// The interface that an extended echo request is about (RFC 8335).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InterfaceId<'a> {
    /// The one of that name.
    Name(Name<'a>),
    /// The one of that index (`ifIndex`).
    Index(u32),
    /// The one with that IP address.
    Address(IpAddr),
    /// The one with another address, such as that of its link layer.
    Other {
        /// Address family (IANA's "Address Family Numbers").
        afi: u16,
        /// The address.
        address: &'a [u8],
    },
}

impl<'a> InterfaceId<'a> {
    fn decode(ctype: u8, payload: &'a [u8]) -> Option<Self> {
        Some(match ctype {
            1 => Self::Name(Name::padded(payload)),
            2 => Self::Index(be32(payload, 0)?),
            3 => {
                let (afi, len) = (be16(payload, 0)?, usize::from(*payload.get(2)?));
                let bytes = payload.get(4..4 + len)?;
                match address(afi, bytes) {
                    Some(ip) => Self::Address(ip),
                    None => Self::Other {
                        afi,
                        address: bytes,
                    },
                }
            }
            _ => return None,
        })
    }
}

const AFI_IPV4: u16 = 1;
const AFI_IPV6: u16 = 2;

fn address(afi: u16, bytes: &[u8]) -> Option<IpAddr> {
    match afi {
        AFI_IPV4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        AFI_IPV6 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()),
        _ => None,
    }
}
