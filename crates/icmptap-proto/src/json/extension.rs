//! Extension structures of ICMP messages (RFC 4884), as JSON.

use std::net::IpAddr;

use serde::Serialize;

use super::hex::{hex, hex_if_any};
use crate::{
    checksum::Checksum,
    icmp::extension::{self, InterfaceId, ObjectBody, OtherAddress},
};

/// An extension structure (RFC 4884).
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Extensions {
    /// What the bytes say of its own checksum.
    checksum: Checksum,
    objects: Vec<Object>,
    /// What is left behind the last object, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    trailing: Option<String>,
}

/// An object of an extension structure.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Object {
    class: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    class_name: Option<&'static str>,
    ctype: u8,
    /// An MPLS label stack, outermost first.
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<Label>>,
    /// What an interface has to do with the quoted packet: `incoming`,
    /// `incoming-sub-ip`, `outgoing` or `next-hop`.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    /// An interface's index.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u32>,
    /// An interface's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    /// An interface's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// An interface's MTU.
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u32>,
    /// Family of an interface's address that is not IP; it is in `data`, with all
    /// that follows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    afi: Option<u16>,
    /// It is not formed as its class has it; what is in it is in `data`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    malformed: bool,
    /// Of an object that is not known, or malformed: what is in it, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
}

/// An MPLS label stack entry.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Label {
    label: u32,
    traffic_class: u8,
    bottom: bool,
    ttl: u8,
}

impl From<&extension::Extensions<'_>> for Extensions {
    fn from(extensions: &extension::Extensions<'_>) -> Self {
        Self {
            checksum: extensions.checksum,
            objects: extensions.objects().map(Object::from).collect(),
            trailing: hex_if_any(extensions.trailing()),
        }
    }
}

impl From<extension::Object<'_>> for Object {
    fn from(object: extension::Object<'_>) -> Self {
        let mut json = Self {
            class: object.class.0,
            class_name: object.class.name(),
            ctype: object.ctype,
            ..Self::default()
        };
        match object.body {
            ObjectBody::Mpls(stack) => json.labels = Some(stack.iter().map(Label::from).collect()),
            ObjectBody::InterfaceInfo(info) => {
                json.role = info.role.name();
                json.index = info.index;
                json.address = info.address;
                json.name = info.name.map(|name| name.to_string());
                json.mtu = info.mtu;
                if let Some(address) = info.other_address {
                    json.set_other(address);
                }
            }
            ObjectBody::InterfaceId(InterfaceId::Name(name)) => json.name = Some(name.to_string()),
            ObjectBody::InterfaceId(InterfaceId::Index(index)) => json.index = Some(index),
            ObjectBody::InterfaceId(InterfaceId::Address(ip)) => json.address = Some(ip),
            ObjectBody::InterfaceId(InterfaceId::Other(address)) => json.set_other(address),
            ObjectBody::Data(data) => json.data = Some(hex(data)),
            ObjectBody::Malformed(data) => {
                json.malformed = true;
                json.data = Some(hex(data));
            }
        }
        json
    }
}

impl Object {
    fn set_other(&mut self, address: OtherAddress<'_>) {
        self.afi = Some(address.afi);
        self.data = Some(hex(address.bytes));
    }
}

impl From<extension::Label> for Label {
    fn from(label: extension::Label) -> Self {
        Self {
            label: label.label,
            traffic_class: label.traffic_class,
            bottom: label.is_bottom,
            ttl: label.ttl,
        }
    }
}
