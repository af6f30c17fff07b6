//! Neighbour discovery (RFC 4861) and its options.

use std::{fmt, net::Ipv6Addr};

use super::{open_enum::open_enum, quote::Quote};
use crate::{
    Name,
    bytes::{addresses, be16, be32, ipv6},
};

/// A router says that it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouterAdvertisement<'a> {
    /// The hop limit that hosts shall send with; 0: it does not say.
    pub hop_limit: u8,
    /// M: addresses are to be had by DHCPv6.
    pub managed: bool,
    /// O: other things are to be had by DHCPv6.
    pub other: bool,
    /// H: it is a home agent (RFC 6275).
    pub home_agent: bool,
    /// How much it wants to be the default router (RFC 4191).
    pub preference: Preference,
    /// P: it is a neighbour discovery proxy (RFC 4389).
    pub proxy: bool,
    /// How long it is good as a default router, in seconds; 0: not at all.
    pub lifetime: u16,
    /// How long a neighbour counts as reachable, in milliseconds; 0: it does
    /// not say.
    pub reachable_ms: u32,
    /// Milliseconds between solicitations; 0: it does not say.
    pub retrans_ms: u32,
    /// The options.
    pub options: Options<'a>,
}

impl<'a> RouterAdvertisement<'a> {
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let [hop_limit, flags] = *bytes.get(4..)?.first_chunk()?;
        Some(Self {
            hop_limit,
            managed: flags & 0x80 != 0,
            other: flags & 0x40 != 0,
            home_agent: flags & 0x20 != 0,
            preference: Preference::of_flags(flags),
            proxy: flags & 0x04 != 0,
            lifetime: be16(bytes, 6)?,
            reachable_ms: be32(bytes, 8)?,
            retrans_ms: be32(bytes, 12)?,
            options: Options::decode(bytes, 16)?,
        })
    }
}

/// Who has this address?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NeighborSolicitation<'a> {
    /// The address.
    pub target: Ipv6Addr,
    /// The options.
    pub options: Options<'a>,
}

impl<'a> NeighborSolicitation<'a> {
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        Some(Self {
            target: ipv6(bytes, 8)?,
            options: Options::decode(bytes, 24)?,
        })
    }
}

/// I have this address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NeighborAdvertisement<'a> {
    /// R: the sender is a router.
    pub router: bool,
    /// S: it was asked.
    pub solicited: bool,
    /// O: what was known of the address before is to be forgotten.
    pub overrides: bool,
    /// The address.
    pub target: Ipv6Addr,
    /// The options.
    pub options: Options<'a>,
}

impl<'a> NeighborAdvertisement<'a> {
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let flags = *bytes.get(4)?;
        Some(Self {
            router: flags & 0x80 != 0,
            solicited: flags & 0x40 != 0,
            overrides: flags & 0x20 != 0,
            target: ipv6(bytes, 8)?,
            options: Options::decode(bytes, 24)?,
        })
    }
}

/// There is a better first hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redirect<'a> {
    /// The better first hop; the destination itself if that is a neighbour.
    pub target: Ipv6Addr,
    /// For which destination.
    pub destination: Ipv6Addr,
    /// The options. The packet that should have gone there is in the message's
    /// [`quote`](super::Icmp::quote) as well.
    pub options: Options<'a>,
}

impl<'a> Redirect<'a> {
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        Some(Self {
            target: ipv6(bytes, 8)?,
            destination: ipv6(bytes, 24)?,
            options: Options::decode(bytes, 40)?,
        })
    }

    pub(super) fn quote(&self) -> Option<Quote> {
        self.options.iter().find_map(|option| match option.body {
            OptionBody::Redirected { quote } => quote,
            _ => None,
        })
    }
}

/// How much a router wants to be used (RFC 4191), in two bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preference(pub u8);

impl Preference {
    fn of_flags(flags: u8) -> Self {
        Self(flags >> 3 & 3)
    }

    /// The name as one word.
    pub fn name(self) -> &'static str {
        match self.0 {
            0 => "medium",
            1 => "high",
            3 => "low",
            _ => "reserved",
        }
    }
}

impl fmt::Display for Preference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The options of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options<'a> {
    bytes: &'a [u8],
}

impl<'a> Options<'a> {
    /// They start `at` bytes behind the start of the message.
    pub(super) fn decode(message: &'a [u8], at: usize) -> Option<Self> {
        message.get(at..).map(|bytes| Self { bytes })
    }

    /// The options, in order. One whose length cannot be, or that is cut off,
    /// is the last, as [`OptionBody::Data`].
    pub fn iter(&self) -> OptionsIter<'a> {
        OptionsIter { rest: self.bytes }
    }
}

/// See [`Options::iter`].
#[derive(Debug, Clone)]
pub struct OptionsIter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for OptionsIter<'a> {
    type Item = NdpOption<'a>;

    fn next(&mut self) -> Option<NdpOption<'a>> {
        let [kind, units, after @ ..] = self.rest else {
            return None;
        };
        let kind = OptionType(*kind);
        let len = usize::from(*units) * 8;
        let body = match self.rest.get(2..len) {
            Some(data) => {
                self.rest = &self.rest[len..];
                OptionBody::decode(kind, data)
            }
            None => {
                self.rest = &[];
                OptionBody::Data(after)
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
    /// RFC 3122
    SOURCE_ADDRESS_LIST = 9, "Source Address List", "source-address-list";
    /// RFC 3122
    TARGET_ADDRESS_LIST = 10, "Target Address List", "target-address-list";
    /// RFC 3971
    CGA = 11, "CGA option", "cga";
    /// RFC 3971
    RSA_SIGNATURE = 12, "RSA Signature option", "rsa-signature";
    /// RFC 3971
    TIMESTAMP = 13, "Timestamp option", "timestamp";
    /// RFC 3971
    NONCE = 14, "Nonce option", "nonce";
    /// RFC 3971
    TRUST_ANCHOR = 15, "Trust Anchor option", "trust-anchor";
    /// RFC 3971
    CERTIFICATE = 16, "Certificate option", "certificate";
    /// RFC 5568
    IP_ADDRESS_OR_PREFIX = 17, "IP Address/Prefix Option", "ip-address-or-prefix";
    /// RFC 4068
    NEW_ROUTER_PREFIX_INFORMATION = 18, "New Router Prefix Information Option", "new-router-prefix-information";
    /// RFC 5568
    LINK_LAYER_ADDRESS = 19, "Link-layer Address Option", "link-layer-address";
    /// RFC 5568
    NEIGHBOR_ADVERTISEMENT_ACKNOWLEDGMENT = 20, "Neighbor Advertisement Acknowledgment Option", "neighbor-advertisement-acknowledgment";
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
    /// RFC 6775
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
        /// `None` if it is not IP, or too short.
        quote: Option<Quote>,
    },
    /// What fits on the link, in bytes.
    Mtu(u32),
    /// A route that the router has.
    Route(Route),
    /// Where names are resolved.
    Rdnss(Rdnss<'a>),
    /// Where short names are looked for.
    Dnssl(Dnssl<'a>),
    /// The captive portal's API (a URI).
    CaptivePortal(Name<'a>),
    /// How IPv4 is reached.
    Pref64(Pref64),
    /// Another option, or one that is not formed as its type has it: the bytes
    /// behind its length.
    Data(&'a [u8]),
}

impl<'a> OptionBody<'a> {
    fn decode(kind: OptionType, data: &'a [u8]) -> Self {
        match kind {
            OptionType::SOURCE_LINK_LAYER_ADDRESS | OptionType::TARGET_LINK_LAYER_ADDRESS => {
                Some(Self::LinkLayer(LinkLayer(data)))
            }
            OptionType::PREFIX_INFORMATION => Prefix::decode(data).map(Self::Prefix),
            OptionType::REDIRECTED_HEADER => data.get(6..).map(|packet| Self::Redirected {
                quote: Quote::decode(packet),
            }),
            OptionType::MTU => be32(data, 2).map(Self::Mtu),
            OptionType::ROUTE_INFORMATION => Route::decode(data).map(Self::Route),
            OptionType::RDNSS => Rdnss::decode(data).map(Self::Rdnss),
            OptionType::DNSSL => Dnssl::decode(data).map(Self::Dnssl),
            OptionType::CAPTIVE_PORTAL => Some(Self::CaptivePortal(Name::padded(data))),
            OptionType::PREF64 => Pref64::decode(data).map(Self::Pref64),
            _ => None,
        }
        .unwrap_or(Self::Data(data))
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

/// A prefix of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prefix {
    /// The prefix.
    pub prefix: Ipv6Addr,
    /// Its bits.
    pub len: u8,
    /// L: its addresses are neighbours.
    pub on_link: bool,
    /// A: hosts may make addresses of it.
    pub autonomous: bool,
    /// R: the prefix is the router's whole address (RFC 6275).
    pub router_address: bool,
    /// How long it is on the link, in seconds; all ones: for ever.
    pub valid: u32,
    /// How long addresses made of it are preferred, in seconds; all ones: for
    /// ever.
    pub preferred: u32,
}

impl Prefix {
    fn decode(data: &[u8]) -> Option<Self> {
        let [len, flags] = *data.first_chunk()?;
        Some(Self {
            prefix: ipv6(data, 14)?,
            len,
            on_link: flags & 0x80 != 0,
            autonomous: flags & 0x40 != 0,
            router_address: flags & 0x20 != 0,
            valid: be32(data, 2)?,
            preferred: be32(data, 6)?,
        })
    }
}

/// A route that the router has (RFC 4191).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Route {
    /// To this prefix.
    pub prefix: Ipv6Addr,
    /// Its bits.
    pub len: u8,
    /// How much the router wants to be used for it.
    pub preference: Preference,
    /// How long it is good, in seconds; all ones: for ever.
    pub lifetime: u32,
}

impl Route {
    fn decode(data: &[u8]) -> Option<Self> {
        let [len, flags] = *data.first_chunk()?;
        // As many bytes as are needed, in steps of 8.
        let given = data.get(6..)?;
        if given.len() > 16 || given.len() * 8 < usize::from(len) {
            return None;
        }
        let mut prefix = [0; 16];
        prefix[..given.len()].copy_from_slice(given);
        Some(Self {
            prefix: prefix.into(),
            len,
            preference: Preference::of_flags(flags),
            lifetime: be32(data, 2)?,
        })
    }
}

/// Where names are resolved (RFC 8106).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rdnss<'a> {
    /// How long, in seconds; all ones: for ever.
    pub lifetime: u32,
    servers: &'a [u8],
}

impl<'a> Rdnss<'a> {
    fn decode(data: &'a [u8]) -> Option<Self> {
        Some(Self {
            lifetime: be32(data, 2)?,
            servers: data.get(6..).filter(|s| s.len().is_multiple_of(16))?,
        })
    }

    /// The servers.
    pub fn servers(&self) -> impl Iterator<Item = Ipv6Addr> + use<'a> {
        addresses(self.servers)
    }
}

/// Where short names are looked for (RFC 8106).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dnssl<'a> {
    /// How long, in seconds; all ones: for ever.
    pub lifetime: u32,
    domains: &'a [u8],
}

impl<'a> Dnssl<'a> {
    fn decode(data: &'a [u8]) -> Option<Self> {
        Some(Self {
            lifetime: be32(data, 2)?,
            domains: data.get(6..)?,
        })
    }

    /// The domains; it ends at one that is not formed as a name.
    pub fn domains(&self) -> Domains<'a> {
        Domains { rest: self.domains }
    }
}

/// See [`Dnssl::domains`].
#[derive(Debug, Clone)]
pub struct Domains<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Domains<'a> {
    type Item = Domain<'a>;

    fn next(&mut self) -> Option<Domain<'a>> {
        let rest = std::mem::take(&mut self.rest);
        let mut end = 0;
        loop {
            match usize::from(*rest.get(end)?) {
                // Zeros fill up the option.
                0 if end == 0 => return None,
                0 => break,
                len @ 1..=63 => end += 1 + len,
                _ => return None,
            }
        }
        self.rest = &rest[end + 1..];
        Some(Domain {
            labels: &rest[..end],
        })
    }
}

/// A domain name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Domain<'a> {
    /// Each with its length in front; all are whole.
    labels: &'a [u8],
}

/// With dots between its labels, and none at the end. A label is written as
/// [`Name`] does it, with a backslash in front of a dot of its own (RFC 1035
/// section 5.1), and of a comma, which divides the names of a list.
impl fmt::Display for Domain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.labels;
        while let Some((len, after)) = rest.split_first() {
            let (label, after) = after.split_at(usize::from(*len).min(after.len()));
            Name(label).write(f, &['.', ','])?;
            if !after.is_empty() {
                f.write_str(".")?;
            }
            rest = after;
        }
        Ok(())
    }
}

/// How IPv4 is reached: by this prefix and an IPv4 address (RFC 8781).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pref64 {
    /// The prefix.
    pub prefix: Ipv6Addr,
    /// Its bits.
    pub len: u8,
    /// How long it is good, in seconds.
    pub lifetime: u16,
}

impl Pref64 {
    fn decode(data: &[u8]) -> Option<Self> {
        let word = be16(data, 0)?;
        let len = *[96, 64, 56, 48, 40, 32].get(usize::from(word & 7))?;
        let mut prefix = [0; 16];
        prefix[..12].copy_from_slice(data.get(2..14)?);
        Some(Self {
            prefix: prefix.into(),
            len,
            lifetime: word & !7,
        })
    }
}
