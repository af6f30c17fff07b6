//! Options of neighbour discovery (RFC 4861 section 4.6): the list, and what each says.

use std::{fmt, net::Ipv6Addr};

use super::{
    super::{message::Message, open_enum::open_enum, quote::Quote},
    dns::{Dnssl, Rdnss},
    prefix::{Pref64, Prefix, Route},
    pvd::Pvd,
    registration::AddressRegistration,
    send::{Certificate, Cga, RsaSignature, Timestamp, TrustAnchor},
};
use crate::{
    Name,
    bytes::{addresses, be32},
};

/// The options of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options<'a> {
    bytes: &'a [u8],
    place: Place,
    depth: u8,
}

/// Where options are, as far as it matters to what they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In a message that is all there.
    Whole,
    /// In a message that was cut off: the last option may be too.
    Cut,
    /// In a provisioning domain, which cannot hold another one.
    Pvd,
}

impl<'a> Options<'a> {
    /// They start `at` bytes behind the start of the message.
    pub(in crate::icmp) fn decode(message: Message<'a>, at: usize) -> Option<Self> {
        let place = if message.is_whole() {
            Place::Whole
        } else {
            Place::Cut
        };
        let bytes = message.bytes.get(at..)?;
        let depth = message.depth;
        Some(Self {
            bytes,
            place,
            depth,
        })
    }

    /// Those of a provisioning domain.
    pub(super) fn in_pvd(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            place: Place::Pvd,
            depth: 0,
        }
    }

    /// The options, in order. One whose length cannot be is the last, as
    /// [`OptionBody::Malformed`]; so is one that is cut off, as
    /// [`OptionBody::Data`].
    #[must_use]
    pub fn iter(&self) -> OptionsIter<'a> {
        OptionsIter {
            rest: self.bytes,
            place: self.place,
            depth: self.depth,
        }
    }
}

/// See [`Options::iter`].
#[derive(Debug, Clone)]
pub struct OptionsIter<'a> {
    rest: &'a [u8],
    place: Place,
    depth: u8,
}

impl<'a> Iterator for OptionsIter<'a> {
    type Item = NdpOption<'a>;

    fn next(&mut self) -> Option<NdpOption<'a>> {
        let (kind, after) = self.rest.split_first()?;
        let kind = OptionType(*kind);
        let len = after.first().map_or(0, |units| usize::from(*units) * 8);
        let body = match self.rest.get(2..len) {
            Some(data) => {
                self.rest = &self.rest[len..];
                OptionBody::decode(kind, data, self.place, self.depth)
            }
            None => {
                self.rest = &[];
                let data = after.get(1..).unwrap_or_default();
                match self.place {
                    Place::Cut => OptionBody::Data(data),
                    Place::Whole | Place::Pvd => OptionBody::Malformed(data),
                }
            }
        };
        Some(NdpOption { kind, body })
    }
}

/// One option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NdpOption<'a> {
    /// Which option.
    pub kind: OptionType,
    /// What it says.
    pub body: OptionBody<'a>,
}

open_enum! {
    /// The type of an option (IANA's "IPv6 Neighbor Discovery Option Formats").
    OptionType("option");

    /// The sender's link-layer address (RFC 4861)
    SOURCE_LINK_LAYER_ADDRESS = 1, "Source Link-layer Address", "source-link-layer-address";
    /// The target's link-layer address (RFC 4861)
    TARGET_LINK_LAYER_ADDRESS = 2, "Target Link-layer Address", "target-link-layer-address";
    /// A prefix of the link (RFC 4861)
    PREFIX_INFORMATION = 3, "Prefix Information", "prefix-information";
    /// The packet that is redirected (RFC 4861)
    REDIRECTED_HEADER = 4, "Redirected Header", "redirected-header";
    /// What fits on the link (RFC 4861)
    MTU = 5, "MTU", "mtu";
    /// RFC 2491
    NBMA_SHORTCUT_LIMIT = 6, "NBMA Shortcut Limit Option", "nbma-shortcut-limit";
    /// RFC 6275
    ADVERTISEMENT_INTERVAL = 7, "Advertisement Interval Option", "advertisement-interval";
    /// RFC 6275
    HOME_AGENT_INFORMATION = 8, "Home Agent Information Option", "home-agent-information";
    /// The sender's addresses (RFC 3122)
    SOURCE_ADDRESS_LIST = 9, "Source Address List", "source-address-list";
    /// The target's addresses (RFC 3122)
    TARGET_ADDRESS_LIST = 10, "Target Address List", "target-address-list";
    /// How the sender's address was made of its key (RFC 3971)
    CGA = 11, "CGA option", "cga";
    /// The sender's signature (RFC 3971)
    RSA_SIGNATURE = 12, "RSA Signature option", "rsa-signature";
    /// When the sender sent it (RFC 3971)
    TIMESTAMP = 13, "Timestamp option", "timestamp";
    /// Matches an answer to its question (RFC 3971)
    NONCE = 14, "Nonce option", "nonce";
    /// Whom the sender trusts (RFC 3971)
    TRUST_ANCHOR = 15, "Trust Anchor option", "trust-anchor";
    /// A router's certificate (RFC 3971)
    CERTIFICATE = 16, "Certificate option", "certificate";
    /// RFC 5568
    IP_ADDRESS_OR_PREFIX = 17, "IP Address/Prefix Option", "ip-address-or-prefix";
    /// RFC 4068
    NEW_ROUTER_PREFIX_INFORMATION = 18, "New Router Prefix Information Option", "new-router-prefix-information";
    /// RFC 5568
    LINK_LAYER_ADDRESS = 19, "Link-layer Address Option", "link-layer-address";
    /// RFC 5568
    NEIGHBOR_ADVERTISEMENT_ACKNOWLEDGMENT = 20, "Neighbor Advertisement Acknowledgment Option", "neighbor-advertisement-acknowledgment";
    /// What counts in one provisioning domain (RFC 8801)
    PVD_ID = 21, "PvD ID Router Advertisement Option", "pvd-id";
    /// RFC 4140
    MAP = 23, "MAP Option", "map";
    /// A route that the router has (RFC 4191)
    ROUTE_INFORMATION = 24, "Route Information Option", "route-information";
    /// Where names are resolved (RFC 8106)
    RDNSS = 25, "Recursive DNS Server Option", "recursive-dns-server";
    /// RFC 5175
    RA_FLAGS_EXTENSION = 26, "RA Flags Extension Option", "ra-flags-extension";
    /// RFC 5269
    HANDOVER_KEY_REQUEST = 27, "Handover Key Request Option", "handover-key-request";
    /// RFC 5269
    HANDOVER_KEY_REPLY = 28, "Handover Key Reply Option", "handover-key-reply";
    /// RFC 5271
    HANDOVER_ASSIST_INFORMATION = 29, "Handover Assist Information Option", "handover-assist-information";
    /// RFC 5271
    MOBILE_NODE_IDENTIFIER = 30, "Mobile Node Identifier Option", "mobile-node-identifier";
    /// Where short names are looked for (RFC 8106)
    DNSSL = 31, "DNS Search List Option", "dns-search-list";
    /// RFC 6496
    PROXY_SIGNATURE = 32, "Proxy Signature (PS)", "proxy-signature";
    /// A host registers an address, or the answer (RFC 6775, RFC 8505)
    ADDRESS_REGISTRATION = 33, "Address Registration Option", "address-registration";
    /// RFC 6775
    SIX_LOWPAN_CONTEXT = 34, "6LoWPAN Context Option", "6lowpan-context";
    /// RFC 6775
    AUTHORITATIVE_BORDER_ROUTER = 35, "Authoritative Border Router Option", "authoritative-border-router";
    /// RFC 7400
    SIX_LOWPAN_CAPABILITY_INDICATION = 36, "6LoWPAN Capability Indication Option (6CIO)", "6lowpan-capability-indication";
    /// The network wants a browser first (RFC 8910)
    CAPTIVE_PORTAL = 37, "DHCP Captive-Portal", "captive-portal";
    /// How IPv4 is reached (RFC 8781)
    PREF64 = 38, "PREF64 option", "pref64";
    /// RFC 8928
    CRYPTO_ID_PARAMETERS = 39, "Crypto-ID Parameters Option", "crypto-id-parameters";
    /// RFC 8928
    NDP_SIGNATURE = 40, "NDP Signature Option", "ndp-signature";
    /// RFC 9176
    RESOURCE_DIRECTORY_ADDRESS = 41, "Resource Directory Address Option", "resource-directory-address";
    /// RFC 4065
    CARD_REQUEST = 138, "CARD Request option", "card-request";
    /// RFC 4065
    CARD_REPLY = 139, "CARD Reply option", "card-reply";
    /// RFC 9463
    ENCRYPTED_DNS = 144, "Encrypted DNS Option", "encrypted-dns";
    /// For experiments (RFC 4727)
    EXPERIMENT_1 = 253, "RFC3692-style Experiment 1", "experiment-1";
    /// For experiments (RFC 4727)
    EXPERIMENT_2 = 254, "RFC3692-style Experiment 2", "experiment-2";
}

/// What an option says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OptionBody<'a> {
    /// The source's or the target's link-layer address.
    LinkLayer(LinkLayer<'a>),
    /// A prefix of the link.
    Prefix(Prefix),
    /// The packet that is redirected.
    Redirected {
        /// That packet.
        quote: Quote<'a>,
    },
    /// What fits on the link, in bytes.
    Mtu(u32),
    /// The source's or the target's addresses.
    Addresses(AddressList<'a>),
    /// How the sender's address was made of its key.
    Cga(Cga<'a>),
    /// The sender's signature.
    RsaSignature(RsaSignature<'a>),
    /// When the sender sent it.
    Timestamp(Timestamp),
    /// Matches an answer to its question: random bytes, with the zeros, if any,
    /// that fill up the option.
    Nonce(&'a [u8]),
    /// Whom the sender trusts.
    TrustAnchor(TrustAnchor<'a>),
    /// A router's certificate.
    Certificate(Certificate<'a>),
    /// What counts in one provisioning domain.
    Pvd(Pvd<'a>),
    /// A route that the router has.
    Route(Route),
    /// Where names are resolved.
    Rdnss(Rdnss<'a>),
    /// Where short names are looked for.
    Dnssl(Dnssl<'a>),
    /// A host registers an address, or the answer.
    AddressRegistration(AddressRegistration<'a>),
    /// The captive portal's API (a URI).
    CaptivePortal(Name<'a>),
    /// How IPv4 is reached.
    Pref64(Pref64),
    /// An option that is not known here, or one that was cut off: the bytes
    /// behind its length.
    Data(&'a [u8]),
    /// One that is not formed as its RFC wants it, and that receivers have to
    /// ignore: the bytes behind its length.
    Malformed(&'a [u8]),
}

impl<'a> OptionBody<'a> {
    fn decode(kind: OptionType, data: &'a [u8], place: Place, depth: u8) -> Self {
        match kind {
            OptionType::SOURCE_LINK_LAYER_ADDRESS | OptionType::TARGET_LINK_LAYER_ADDRESS => {
                Some(Self::LinkLayer(LinkLayer(data)))
            }
            OptionType::PREFIX_INFORMATION => Prefix::decode(data).map(Self::Prefix),
            OptionType::REDIRECTED_HEADER => data
                .get(6..)
                .and_then(|packet| Quote::decode(packet, depth))
                .map(|quote| Self::Redirected { quote }),
            OptionType::MTU if data.len() == 6 => be32(data, 2).map(Self::Mtu),
            OptionType::MTU => None,
            OptionType::SOURCE_ADDRESS_LIST | OptionType::TARGET_ADDRESS_LIST => {
                AddressList::decode(data).map(Self::Addresses)
            }
            OptionType::CGA => Cga::decode(data).map(Self::Cga),
            OptionType::RSA_SIGNATURE => RsaSignature::decode(data).map(Self::RsaSignature),
            OptionType::TIMESTAMP => Timestamp::decode(data).map(Self::Timestamp),
            OptionType::NONCE => Some(Self::Nonce(data)),
            OptionType::TRUST_ANCHOR => TrustAnchor::decode(data).map(Self::TrustAnchor),
            OptionType::CERTIFICATE => Certificate::decode(data).map(Self::Certificate),
            OptionType::PVD_ID if place == Place::Pvd => None,
            OptionType::PVD_ID => Pvd::decode(data).map(Self::Pvd),
            OptionType::ROUTE_INFORMATION => Route::decode(data).map(Self::Route),
            OptionType::RDNSS => Rdnss::decode(data).map(Self::Rdnss),
            OptionType::DNSSL => Dnssl::decode(data).map(Self::Dnssl),
            OptionType::ADDRESS_REGISTRATION => {
                AddressRegistration::decode(data).map(Self::AddressRegistration)
            }
            OptionType::CAPTIVE_PORTAL => Some(Name::padded(data))
                .filter(|uri| !uri.0.is_empty())
                .map(Self::CaptivePortal),
            OptionType::PREF64 => Pref64::decode(data).map(Self::Pref64),
            _ => Some(Self::Data(data)),
        }
        .unwrap_or(Self::Malformed(data))
    }
}

/// Addresses of one node (RFC 3122).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressList<'a> {
    addresses: &'a [u8],
}

impl<'a> AddressList<'a> {
    /// `None` unless there are whole addresses behind 6 reserved bytes.
    fn decode(data: &'a [u8]) -> Option<Self> {
        let addresses = data.get(6..)?;
        let is_list = !addresses.is_empty() && addresses.len().is_multiple_of(16);
        is_list.then_some(Self { addresses })
    }

    /// The addresses.
    pub fn iter(&self) -> impl Iterator<Item = Ipv6Addr> + use<'a> {
        addresses(self.addresses)
    }
}

/// A link-layer address with the zeros, if any, that fill up its option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkLayer<'a>(pub &'a [u8]);

/// `02:00:5e:10:00:01`
impl fmt::Display for LinkLayer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(i, byte)| {
            let colon = if i == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02x}")
        })
    }
}
