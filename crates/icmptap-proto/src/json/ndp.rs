//! The options of neighbour discovery, as JSON.

use std::net::Ipv6Addr;

use serde::Serialize;

use super::hex::hex;
use crate::icmp::ndp::{self, OptionBody};

#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct RouterAdvertisement {
    /// The hop limit that hosts shall send with; 0: it does not say.
    hop_limit: u8,
    /// Addresses are to be had by DHCPv6.
    managed: bool,
    /// Other things are to be had by DHCPv6.
    other: bool,
    /// It is a home agent.
    home_agent: bool,
    /// `low`, `medium`, `high` or `reserved`.
    preference: &'static str,
    /// It is a neighbour discovery proxy.
    proxy: bool,
    /// How long a neighbour counts as reachable; 0: it does not say.
    reachable_ms: u32,
    /// Between solicitations; 0: it does not say.
    retrans_ms: u32,
}

/// An option of neighbour discovery.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct NdpOption {
    r#type: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    type_name: Option<&'static str>,
    /// A link-layer address: hexadecimal, with colons.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<Ipv6Addr>,
    /// Bits of the prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix_len: Option<u8>,
    /// Addresses of the prefix are neighbours.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_link: Option<bool>,
    /// Hosts may make addresses of the prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    autonomous: Option<bool>,
    /// The prefix is the router's whole address.
    #[serde(skip_serializing_if = "Option::is_none")]
    router_address: Option<bool>,
    /// How long the prefix is on the link, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid: Option<u32>,
    /// How long addresses made of it are preferred, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred: Option<u32>,
    /// Of a route: `low`, `medium`, `high` or `reserved`.
    #[serde(skip_serializing_if = "Option::is_none")]
    preference: Option<&'static str>,
    /// Of a route, of DNS servers and domains, of a PREF64, of the registration of
    /// an address: in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    lifetime: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u32>,
    /// Where names are resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    servers: Option<Vec<Ipv6Addr>>,
    /// Where short names are looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    domains: Option<Vec<String>>,
    /// Of a captive portal.
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    /// The source's or the target's addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    addresses: Option<Vec<Ipv6Addr>>,
    /// How an address was made of a key: a random number, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    modifier: Option<String>,
    /// How an address was made of a key: how often it was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    collision_count: Option<u8>,
    /// The public key of which an address was made, and extensions: hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// Of a signature: the start of the key's SHA-1, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_hash: Option<String>,
    /// A signature, and what fills up the option: hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    /// Of a timestamp: since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<u64>,
    /// Of a timestamp: in units of 1/65,536 second.
    #[serde(skip_serializing_if = "Option::is_none")]
    fraction: Option<u16>,
    /// Of a trust anchor. 1: the name is an X.501 one, in `data`. 2: it is a domain
    /// name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name_type: Option<u8>,
    /// Of a trust anchor: its domain name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Of a certificate, which is in `data` with what fills up the option. 1:
    /// X.509v3.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_type: Option<u8>,
    /// A provisioning domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pvd: Option<Box<Pvd>>,
    /// The registration of an address.
    #[serde(flatten)]
    registration: Option<AddressRegistration>,
    /// It is not formed as its type has it, and is to be ignored; what is in it is
    /// in `data`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    malformed: bool,
    /// Of a nonce, a trust anchor, a certificate, and an option that is not known
    /// or malformed: what is in it, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
}

/// What counts in one provisioning domain.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Pvd {
    /// Its domain name.
    id: String,
    /// More about it is to be had by HTTPS.
    http: bool,
    /// It is the one of IPv4 on this link too.
    legacy: bool,
    /// Whoever fetches more waits up to 2 to the power of twice this, in
    /// milliseconds.
    delay: u8,
    /// Changes when what is to be had by HTTPS does.
    sequence: u16,
    /// What the router says to those who know the domain, if it is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    router_advertisement: Option<RouterAdvertisement>,
    /// Of that: how long it holds, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    lifetime: Option<u16>,
    options: Vec<NdpOption>,
}

/// The registration of an address.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct AddressRegistration {
    /// In an answer: what came of it.
    status: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_name: Option<&'static str>,
    /// Who registers it: a number of 8 to 32 bytes, hexadecimal.
    owner: String,
    /// Counts the registrations of its owner (RFC 8505).
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction_id: Option<u8>,
    /// Routers shall make the address reachable (RFC 8505).
    #[serde(skip_serializing_if = "Option::is_none")]
    reachable: Option<bool>,
    /// What `opaque` is; 0: an index in RPL (RFC 8505).
    #[serde(skip_serializing_if = "Option::is_none")]
    opaque_kind: Option<u8>,
    /// For the router's routing protocol (RFC 8505).
    #[serde(skip_serializing_if = "Option::is_none")]
    opaque: Option<u8>,
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
            status_name: registration.status.name(),
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
            hop_limit: advertisement.hop_limit,
            managed: advertisement.managed,
            other: advertisement.other,
            home_agent: advertisement.home_agent,
            preference: advertisement.preference.name(),
            proxy: advertisement.proxy,
            reachable_ms: advertisement.reachable_ms,
            retrans_ms: advertisement.retrans_ms,
        }
    }
}

impl From<ndp::NdpOption<'_>> for NdpOption {
    fn from(option: ndp::NdpOption<'_>) -> Self {
        let mut json = Self {
            r#type: option.kind.0,
            type_name: option.kind.name(),
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
                json.preference = Some(route.preference.name());
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
