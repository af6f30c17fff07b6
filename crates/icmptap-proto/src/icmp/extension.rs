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

/// The parts of a message behind its header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts<'a> {
    /// Where the quoted packet is.
    pub(super) quoted: Option<&'a [u8]>,
    pub(super) extensions: Option<Extensions<'a>>,
    /// The quote and all that follows it, but for the extensions.
    pub(super) beside_extensions: &'a [u8],
}

impl<'a> Parts<'a> {
    const NONE: Self = Self {
        quoted: None,
        extensions: None,
        beside_extensions: &[],
    };

    /// The quoted packet is in the first `end` bytes, and the extensions follow
    /// them.
    #[inline]
    fn quote(data: &'a [u8], end: usize, extensions: Option<Extensions<'a>>) -> Self {
        Self {
            quoted: Some(&data[..end]),
            extensions,
            beside_extensions: if extensions.is_some() {
                &data[..end]
            } else {
                data
            },
        }
    }
}

/// Finds the quoted packet and the extensions of a message.
#[inline(always)]
pub(super) fn split<'a>(icmp_type: Type, message: Message<'a>) -> Parts<'a> {
    let Some(data) = message.bytes.get(HEADER_LEN..) else {
        return Parts::NONE;
    };
    if let Type::V4(v4::Type::EXTENDED_ECHO_REQUEST) | Type::V6(v6::Type::EXTENDED_ECHO_REQUEST) =
        icmp_type
    {
        let extensions = Extensions::decode(data, message.is_whole());
        return Parts {
            quoted: None,
            extensions,
            beside_extensions: if extensions.is_some() { &[] } else { data },
        };
    }
    if !icmp_type.quotes() {
        return Parts::NONE;
    }
    let Some((at, unit)) = icmp_type.quote_length() else {
        return Parts::quote(data, data.len(), None);
    };
    let said = usize::from(message.bytes[at]) * unit;
    if (QUOTE_MIN..=data.len()).contains(&said) {
        let extensions = Extensions::decode(&data[said..], message.is_whole());
        return Parts::quote(data, said, extensions);
    }
    // Most quotes are shorter than one that is followed by extensions.
    if said == 0 && data.len() <= QUOTE_MIN {
        return Parts::quote(data, data.len(), None);
    }
    split_unsaid(data, said, message.is_whole())
}

/// RFC 4884 does not allow the length that the message says: it is of a router that
/// counts in other units, or the quote without its padding, or nothing. Where it
/// says, or where routers put extensions before there was a length, they have to
/// prove that they are some.
#[inline(never)]
fn split_unsaid(data: &[u8], said: usize, is_whole: bool) -> Parts<'_> {
    for at in [said, QUOTE_MIN] {
        let bytes = data.get(at..).filter(|_| at != 0);
        let Some(extensions) = bytes.and_then(|bytes| Extensions::decode(bytes, is_whole)) else {
            continue;
        };
        if extensions.checksum == Checksum::Good
            || (at == QUOTE_MIN && extensions.fits_without_checksum(data))
        {
            return Parts::quote(data, at, Some(extensions));
        }
    }
    Parts::quote(data, data.len(), None)
}

/// An extension structure (RFC 4884, version 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extensions<'a> {
    /// Its own checksum. Unknown if the sender did not compute it, or bytes are
    /// missing.
    pub checksum: Checksum,
    objects: &'a [u8],
    is_whole: bool,
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
            is_whole,
        })
    }

    /// The sender did not compute the checksum, but what lies at the end of
    /// `data` can hardly be anything else: a header without any other bit, and
    /// objects of whole words to the very end.
    #[cold]
    fn fits_without_checksum(&self, data: &[u8]) -> bool {
        let header = data.len() - self.objects.len() - 4;
        if !self.is_whole || data[header..][..4] != [0x20, 0, 0, 0] || self.objects.is_empty() {
            return false;
        }
        let mut rest = self.objects;
        while !rest.is_empty() {
            let len = be16(rest, 0).map_or(0, usize::from);
            match rest.get(len..) {
                Some(after) if len >= 4 && len.is_multiple_of(4) => rest = after,
                _ => return false,
            }
        }
        true
    }

    /// The objects, in order. One whose length cannot be is the last, as
    /// [`ObjectBody::Malformed`]; so is one that is cut off, as
    /// [`ObjectBody::Data`].
    #[must_use]
    pub fn objects(&self) -> Objects<'a> {
        Objects {
            rest: self.objects,
            is_whole: self.is_whole,
        }
    }

    /// What is left behind the last object: too short to be another.
    pub fn trailing(&self) -> &'a [u8] {
        let mut objects = self.objects();
        objects.by_ref().for_each(drop);
        objects.rest
    }
}

/// See [`Extensions::objects`].
#[derive(Debug, Clone)]
pub struct Objects<'a> {
    rest: &'a [u8],
    is_whole: bool,
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
                if self.is_whole {
                    ObjectBody::Malformed(payload)
                } else {
                    ObjectBody::Data(payload)
                }
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
    /// An object that is not known here, or one that was cut off: the bytes
    /// behind its header.
    Data(&'a [u8]),
    /// One that is not formed as its RFC has it: the bytes behind its header.
    Malformed(&'a [u8]),
}

impl<'a> ObjectBody<'a> {
    fn decode(class: Class, ctype: u8, payload: &'a [u8]) -> Self {
        match (class, ctype) {
            (Class::MPLS_LABEL_STACK, 1) => LabelStack::decode(payload).map(Self::Mpls),
            (Class::INTERFACE_INFORMATION, _) => {
                InterfaceInfo::decode(ctype, payload).map(Self::InterfaceInfo)
            }
            (Class::INTERFACE_IDENTIFICATION, 1..=3) => {
                InterfaceId::decode(ctype, payload).map(Self::InterfaceId)
            }
            _ => Some(Self::Data(payload)),
        }
        .unwrap_or(Self::Malformed(payload))
    }
}

/// MPLS labels, outermost first (RFC 4950, RFC 3032).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelStack<'a> {
    entries: &'a [u8],
}

impl<'a> LabelStack<'a> {
    /// `None` unless there are one or more whole entries.
    fn decode(entries: &'a [u8]) -> Option<Self> {
        let is_stack = !entries.is_empty() && entries.len().is_multiple_of(4);
        is_stack.then_some(Self { entries })
    }

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
    /// Its address, if that is of a family that is not IP. How long that is is
    /// not known, and so name and MTU may be behind it.
    pub other_address: Option<OtherAddress<'a>>,
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
            other_address: None,
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
            let bytes = payload.get(at + 4..)?;
            let len = match afi {
                AFI_IPV4 => 4,
                AFI_IPV6 => 16,
                _ => {
                    info.other_address = Some(OtherAddress { afi, bytes });
                    return Some(info);
                }
            };
            info.address = Some(address(afi, bytes.get(..len)?)?);
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

/// An address that is not IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherAddress<'a> {
    /// Address family (IANA's "Address Family Numbers").
    pub afi: u16,
    /// The address; in an [`InterfaceInfo`], with all that follows it.
    pub bytes: &'a [u8],
}

/// What an interface has to do with a packet (RFC 5837), in two bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Role(pub u8);

impl Role {
    /// The name as one word: the packet came in there, or by a part of it below
    /// IP; it would have gone out there; it would have met it next.
    #[must_use]
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
    Other(OtherAddress<'a>),
}

impl<'a> InterfaceId<'a> {
    fn decode(ctype: u8, payload: &'a [u8]) -> Option<Self> {
        Some(match ctype {
            1 => Self::Name(Some(Name::padded(payload)).filter(|name| !name.0.is_empty())?),
            2 => Self::Index(u32::from_be_bytes(payload.try_into().ok()?)),
            3 => {
                let (afi, len) = (be16(payload, 0)?, usize::from(*payload.get(2)?));
                let bytes = payload.get(4..4 + len)?;
                match afi {
                    AFI_IPV4 | AFI_IPV6 => Self::Address(address(afi, bytes)?),
                    _ => Self::Other(OtherAddress { afi, bytes }),
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
