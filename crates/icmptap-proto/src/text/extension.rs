//! The extensions of a message, in words.

use std::fmt;

use crate::{
    event::Checksum,
    icmp::{
        Extensions,
        extension::{InterfaceId, InterfaceInfo, ObjectBody},
    },
};

use super::{
    option::bytes,
    words::{flags, list},
};

pub(super) fn objects(f: &mut fmt::Formatter<'_>, extensions: Extensions<'_>) -> fmt::Result {
    for object in extensions.objects() {
        match object.body {
            ObjectBody::Mpls(stack) => list(f, "mpls", stack.iter().map(|label| label.label))?,
            ObjectBody::InterfaceInfo(info) => interface(f, info)?,
            ObjectBody::InterfaceId(InterfaceId::Name(name)) => write!(f, " interface {name}")?,
            ObjectBody::InterfaceId(InterfaceId::Index(index)) => {
                write!(f, " interface index {index}")?;
            }
            ObjectBody::InterfaceId(InterfaceId::Address(ip)) => write!(f, " interface {ip}")?,
            ObjectBody::InterfaceId(_) => write!(f, " interface of another address family")?,
            ObjectBody::Malformed(data) => {
                let (class, ctype) = (object.class, object.ctype);
                write!(f, " malformed extension {class} type {ctype}")?;
                bytes(f, data)?;
            }
            _ => write!(f, " extension {} type {}", object.class, object.ctype)?,
        }
    }
    if !extensions.trailing().is_empty() {
        write!(f, " extensions-trailing")?;
        bytes(f, extensions.trailing())?;
    }
    flags(
        f,
        &[(
            extensions.checksum == Checksum::Bad,
            "bad-extensions-checksum",
        )],
    )
}

fn interface(f: &mut fmt::Formatter<'_>, info: InterfaceInfo<'_>) -> fmt::Result {
    write!(f, " {} interface", info.role.name().unwrap_or("other"))?;
    if let Some(name) = info.name {
        write!(f, " {name}")?;
    }
    if let Some(index) = info.index {
        write!(f, " index {index}")?;
    }
    if let Some(address) = info.address {
        write!(f, " {address}")?;
    }
    if let Some(other) = info.other_address {
        write!(f, " address-family {}", other.afi)?;
        bytes(f, other.bytes)?;
    }
    if let Some(mtu) = info.mtu {
        write!(f, " mtu {mtu}")?;
    }
    Ok(())
}
