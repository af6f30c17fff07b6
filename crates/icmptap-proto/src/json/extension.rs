//! Extension structures of ICMP messages (RFC 4884), as JSON.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{
    Word,
    hex::{hex, hex_if_any},
};
use crate::{
    checksum::Checksum,
    icmp::extension::{self, InterfaceId, ObjectBody, OtherAddress},
};

/// An extension structure (RFC 4884).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Extensions {
    /// Whether its checksum is right.
    pub checksum: Checksum,
    /// The objects, in order.
    pub objects: Vec<Object>,
    /// The bytes after the last object, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trailing: Option<String>,
}

/// An object of an extension structure.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Object {
    /// The class number.
    pub class: u8,
    /// The name of the class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_name: Option<Word>,
    /// The type within the class.
    pub ctype: u8,
    /// An MPLS label stack, outermost first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<Label>>,
    /// The role of an interface for the quoted packet: `incoming`, `incoming-sub-ip`,
    /// `outgoing` or `next-hop`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Word>,
    /// An interface's index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// An interface's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// An interface's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// An interface's MTU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// The address family of an interface's address that is not IP. The address and all
    /// that follows it are in `data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub afi: Option<u16>,
    /// Whether it is malformed. Its contents are in `data`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub malformed: bool,
    /// The contents of an unknown or malformed object, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

/// An MPLS label stack entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Label {
    /// The label.
    pub label: u32,
    /// The traffic class.
    pub traffic_class: u8,
    /// Whether it is the bottom of the stack.
    pub bottom: bool,
    /// The time to live.
    pub ttl: u8,
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
            class_name: object.class.name().map(Word::from),
            ctype: object.ctype,
            ..Self::default()
        };
        match object.body {
            ObjectBody::Mpls(stack) => json.labels = Some(stack.iter().map(Label::from).collect()),
            ObjectBody::InterfaceInfo(info) => {
                json.role = info.role.name().map(Word::from);
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
