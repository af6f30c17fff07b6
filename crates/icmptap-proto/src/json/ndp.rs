//! The options of neighbour discovery, as JSON.

use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use super::{Word, hex::hex};
use crate::icmp::ndp::{self, OptionBody};

/// The fields of a router advertisement. A mobile prefix advertisement has only `managed`
/// and `other`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct RouterAdvertisement {
    /// The hop limit for hosts. 0: unspecified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hop_limit: Option<u8>,
    /// Whether addresses are available by DHCPv6.
    pub managed: bool,
    /// Whether other configuration is available by DHCPv6.
    pub other: bool,
    /// Whether the router is a home agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home_agent: Option<bool>,
    /// `low`, `medium`, `high` or `reserved`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preference: Option<Word>,
    /// Whether the router is a neighbour discovery proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<bool>,
    /// How long a neighbour is considered reachable, in milliseconds. 0: unspecified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reachable_ms: Option<u32>,
    /// The time between solicitations in milliseconds. 0: unspecified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retrans_ms: Option<u32>,
}

/// An option of neighbour discovery.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct NdpOption {
    /// The option type.
    pub r#type: u8,
    /// The name of the option type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub type_name: Option<Word>,
    /// A link-layer address: hexadecimal, with colons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// A prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<Ipv6Addr>,
    /// The length of the prefix in bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix_len: Option<u8>,
    /// Whether addresses with the prefix are on the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_link: Option<bool>,
    /// Whether hosts may configure addresses with the prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autonomous: Option<bool>,
    /// Whether the prefix is a complete address of the router.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub router_address: Option<bool>,
    /// The valid lifetime in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid: Option<u32>,
    /// The preferred lifetime in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred: Option<u32>,
    /// Of a route: `low`, `medium`, `high` or `reserved`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preference: Option<Word>,
    /// The lifetime in seconds of a route, of DNS servers and domains, of a PREF64, of the
    /// registration of an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<u32>,
    /// The MTU of the link, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// The addresses of DNS servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub servers: Option<Vec<Ipv6Addr>>,
    /// The DNS search list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domains: Option<Vec<String>>,
    /// The URI of a captive portal's API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// The addresses of the source or the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<Ipv6Addr>>,
    /// Of a cryptographically generated address: the modifier, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modifier: Option<String>,
    /// Of a cryptographically generated address: the collision count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collision_count: Option<u8>,
    /// Of a cryptographically generated address: the public key and extensions, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Of a signature: the key hash, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_hash: Option<String>,
    /// The signature and the padding, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Of a timestamp: the seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// Of a timestamp: the fraction in units of 1/65,536 second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fraction: Option<u16>,
    /// Of a trust anchor: the type of its name. 1: an X.501 name, in `data`. 2: a domain name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_type: Option<u8>,
    /// Of a trust anchor: its domain name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The type of a certificate, which is in `data` with the padding. 1: X.509v3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_type: Option<u8>,
    /// A provisioning domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pvd: Option<Box<Pvd>>,
    /// The registration of an address.
    #[serde(flatten)]
    pub registration: Option<AddressRegistration>,
    /// Whether it is malformed, so that receivers ignore it. Its contents are in `data`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub malformed: bool,
    /// The contents of a nonce, a trust anchor, a certificate, and an unknown or malformed
    /// option, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

/// A provisioning domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Pvd {
    /// Its domain name.
    pub id: String,
    /// Whether more information is available by HTTPS.
    pub http: bool,
    /// Whether it is also the domain of IPv4 on this link.
    pub legacy: bool,
    /// The delay exponent: hosts wait a random time of up to 2^(2 × delay) milliseconds before
    /// they fetch the information.
    pub delay: u8,
    /// Changes when the information does.
    pub sequence: u16,
    /// The router advertisement for hosts that know the domain, if it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub router_advertisement: Option<RouterAdvertisement>,
    /// The lifetime of that router advertisement in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<u16>,
    /// The options inside.
    pub options: Vec<NdpOption>,
}

/// The registration of an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct AddressRegistration {
    /// The status of the registration in a reply.
    pub status: u8,
    /// The name of the status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_name: Option<Word>,
    /// The owner verifier (ROVR), 8 to 32 bytes, hexadecimal.
    pub owner: String,
    /// The transaction id (RFC 8505).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<u8>,
    /// Whether routers shall ensure that the address is reachable (RFC 8505).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reachable: Option<bool>,
    /// The meaning of `opaque`. 0: an RPL instance (RFC 8505).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opaque_kind: Option<u8>,
    /// A value for the routing protocol (RFC 8505).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opaque: Option<u8>,
}

impl From<ndp::Pvd<'_>> for Pvd {
    fn from(pvd: ndp::Pvd<'_>) -> Self {
        let router = pvd.router_advertisement();
        Self {
            id: pvd.id.to_string(),
            http: pvd.http,
            legacy: pvd.legacy,
            delay: pvd.delay,
            sequence: pvd.sequence,
            lifetime: router.map(|router| router.lifetime),
            router_advertisement: router.map(RouterAdvertisement::from),
            options: pvd.options().iter().map(NdpOption::from).collect(),
        }
    }
}

impl From<ndp::AddressRegistration<'_>> for AddressRegistration {
    fn from(registration: ndp::AddressRegistration<'_>) -> Self {
        let extended = registration.extended;
        Self {
            status: registration.status.0,
            status_name: registration.status.name().map(Word::from),
            owner: hex(registration.owner),
            transaction_id: extended.map(|extended| extended.transaction_id),
            reachable: extended.map(|extended| extended.reachable),
            opaque_kind: extended.map(|extended| extended.opaque_kind),
            opaque: extended.map(|extended| extended.opaque),
        }
    }
}

impl From<ndp::RouterAdvertisement<'_>> for RouterAdvertisement {
    fn from(advertisement: ndp::RouterAdvertisement<'_>) -> Self {
        Self {
            hop_limit: Some(advertisement.hop_limit),
            managed: advertisement.managed,
            other: advertisement.other,
            home_agent: Some(advertisement.home_agent),
            preference: Some(advertisement.preference.name().into()),
            proxy: Some(advertisement.proxy),
            reachable_ms: Some(advertisement.reachable_ms),
            retrans_ms: Some(advertisement.retrans_ms),
        }
    }
}

impl From<ndp::NdpOption<'_>> for NdpOption {
    fn from(option: ndp::NdpOption<'_>) -> Self {
        let mut json = Self {
            r#type: option.kind.0,
            type_name: option.kind.name().map(Word::from),
            ..Self::default()
        };
        match option.body {
            OptionBody::LinkLayer(address) => json.address = Some(address.to_string()),
            OptionBody::Prefix(prefix) => {
                json.prefix = Some(prefix.prefix);
                json.prefix_len = Some(prefix.len);
                json.on_link = Some(prefix.on_link);
                json.autonomous = Some(prefix.autonomous);
                json.router_address = Some(prefix.router_address);
                json.valid = Some(prefix.valid);
                json.preferred = Some(prefix.preferred);
            }
            OptionBody::Mtu(mtu) => json.mtu = Some(mtu),
            OptionBody::Route(route) => {
                json.prefix = Some(route.prefix);
                json.prefix_len = Some(route.len);
                json.preference = Some(route.preference.name().into());
                json.lifetime = Some(route.lifetime);
            }
            OptionBody::Rdnss(rdnss) => {
                json.lifetime = Some(rdnss.lifetime);
                json.servers = Some(rdnss.servers().collect());
            }
            OptionBody::Dnssl(dnssl) => {
                json.lifetime = Some(dnssl.lifetime);
                json.domains = Some(dnssl.domains().map(|domain| domain.to_string()).collect());
            }
            OptionBody::CaptivePortal(uri) => json.uri = Some(uri.to_string()),
            OptionBody::Pref64(pref64) => {
                json.prefix = Some(pref64.prefix);
                json.prefix_len = Some(pref64.len);
                json.lifetime = Some(pref64.lifetime.into());
            }
            // It is the message's quote.
            OptionBody::Redirected { .. } => {}
            OptionBody::Addresses(list) => json.addresses = Some(list.iter().collect()),
            OptionBody::Cga(cga) => {
                json.modifier = Some(hex(&cga.modifier));
                json.prefix = Some(cga.prefix);
                json.collision_count = Some(cga.collision_count);
                json.key = Some(hex(cga.key));
            }
            OptionBody::RsaSignature(signature) => {
                json.key_hash = Some(hex(&signature.key_hash));
                json.signature = Some(hex(signature.signature));
            }
            OptionBody::Timestamp(timestamp) => {
                json.seconds = Some(timestamp.seconds);
                json.fraction = Some(timestamp.fraction);
            }
            OptionBody::TrustAnchor(anchor) => {
                json.name_type = Some(anchor.name_type);
                match anchor.domain() {
                    Some(domain) => json.name = Some(domain.to_string()),
                    None => json.data = Some(hex(anchor.name)),
                }
            }
            OptionBody::Certificate(certificate) => {
                json.certificate_type = Some(certificate.kind);
                json.data = Some(hex(certificate.certificate));
            }
            OptionBody::Pvd(pvd) => json.pvd = Some(Box::new(pvd.into())),
            OptionBody::AddressRegistration(registration) => {
                json.lifetime = Some(u32::from(registration.lifetime_minutes) * 60);
                json.registration = Some(registration.into());
            }
            OptionBody::Nonce(data) | OptionBody::Data(data) => json.data = Some(hex(data)),
            OptionBody::Malformed(data) => {
                json.malformed = true;
                json.data = Some(hex(data));
            }
        }
        json
    }
}
