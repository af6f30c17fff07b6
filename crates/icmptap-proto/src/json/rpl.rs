//! RPL control messages (RFC 6550), as JSON.

use std::net::Ipv6Addr;

use serde::Serialize;

use super::hex::hex;
use crate::icmp::rpl::{self, Control};

/// An RPL control message; which one is the ICMP code.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Rpl {
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<u8>,
    /// Of a DIO: the version of the graph.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u8>,
    /// Of a DIO: how far from the root the sender is.
    #[serde(skip_serializing_if = "Option::is_none")]
    rank: Option<u16>,
    /// Of a DIO: the graph reaches what it is made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    grounded: Option<bool>,
    /// Of a DIO: the mode of operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<u8>,
    /// Of a DIO: how much its root is preferred to others.
    #[serde(skip_serializing_if = "Option::is_none")]
    preference: Option<u8>,
    /// Of a DIO: changes when routes downward are to be told anew (DTSN).
    #[serde(skip_serializing_if = "Option::is_none")]
    trigger: Option<u8>,
    /// Of a DAO: an answer is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    wants_acknowledgement: Option<bool>,
    /// Of a DAO and its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u8>,
    /// Of the answer to a DAO: above 127 it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u8>,
    /// The graph: an address of its root.
    #[serde(skip_serializing_if = "Option::is_none")]
    dodag: Option<Ipv6Addr>,
    /// Without padding.
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<Vec<RplOption>>,
    /// Of another message, such as a secured one: the bytes behind the checksum,
    /// hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
}

/// An option of an RPL control message.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct RplOption {
    r#type: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    type_name: Option<&'static str>,
    /// It runs over the end of the message.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    malformed: bool,
    /// What is in it, hexadecimal.
    data: String,
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
            type_name: option.kind.name(),
            malformed: option.is_malformed,
            data: hex(option.data),
        }
    }
}
