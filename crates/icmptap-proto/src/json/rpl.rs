//! RPL control messages (RFC 6550), as JSON.

use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use super::{Word, hex::hex};
use crate::icmp::rpl::{self, Control};

/// An RPL control message; which one is the ICMP code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Rpl {
    /// The RPL instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<u8>,
    /// Of a DIO: the version number of the DODAG.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u8>,
    /// Of a DIO: the rank of the sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<u16>,
    /// Of a DIO: whether the DODAG is grounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grounded: Option<bool>,
    /// Of a DIO: the mode of operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<u8>,
    /// Of a DIO: the preference of the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preference: Option<u8>,
    /// Of a DIO: the destination advertisement trigger sequence number (DTSN).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<u8>,
    /// Of a DAO: whether an acknowledgement is requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wants_acknowledgement: Option<bool>,
    /// Of a DAO and its acknowledgement: the sequence number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u8>,
    /// Of the acknowledgement of a DAO: the status. Above 127: rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u8>,
    /// The DODAG id, an address of its root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dodag: Option<Ipv6Addr>,
    /// The options without padding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<Vec<RplOption>>,
    /// Of another message, such as a secured one: the bytes after the checksum, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

/// An option of an RPL control message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct RplOption {
    /// The option type.
    pub r#type: u8,
    /// The name of the option type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub type_name: Option<Word>,
    /// Whether it exceeds the message.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub malformed: bool,
    /// The contents, hexadecimal.
    pub data: String,
}

impl From<Control<'_>> for Rpl {
    fn from(control: Control<'_>) -> Self {
        let options = control.options();
        let mut json = Self {
            options: options.map(|options| options.iter().map(RplOption::from).collect()),
            ..Self::default()
        };
        match control {
            Control::Solicitation(_) => {}
            Control::Information(message) => {
                json.instance = Some(message.instance);
                json.version = Some(message.version);
                json.rank = Some(message.rank);
                json.grounded = Some(message.grounded);
                json.mode = Some(message.mode);
                json.preference = Some(message.preference);
                json.trigger = Some(message.trigger);
                json.dodag = Some(message.dodag);
            }
            Control::Advertisement(message) => {
                json.instance = Some(message.instance);
                json.wants_acknowledgement = Some(message.wants_acknowledgement);
                json.sequence = Some(message.sequence);
                json.dodag = message.dodag;
            }
            Control::Acknowledgement(message) => {
                json.instance = Some(message.instance);
                json.sequence = Some(message.sequence);
                json.status = Some(message.status);
                json.dodag = message.dodag;
            }
            Control::Other(data) => json.data = Some(hex(data)),
        }
        json
    }
}

impl From<rpl::RplOption<'_>> for RplOption {
    fn from(option: rpl::RplOption<'_>) -> Self {
        Self {
            r#type: option.kind.0,
            type_name: option.kind.name().map(Word::from),
            malformed: option.is_malformed,
            data: hex(option.data),
        }
    }
}
