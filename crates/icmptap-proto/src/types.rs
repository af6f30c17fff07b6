//! Numbers that mean something.

use std::fmt;

use icmptap_sys as sys;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// The message type of a generic netlink family, given out by the kernel at
    /// registration (`CTRL_ATTR_FAMILY_ID`).
    FamilyId(u16)
}
number! {
    /// How many bytes of a packet, from its network header on, an event keeps.
    Snaplen(u32)
}
number! {
    /// Bytes of a full `EVENTS` message, its headers included.
    BatchSize(u32)
}
number! {
    /// The CPU on which a packet was seen: with the subscription, it names a
    /// stream.
    Cpu(u32)
}
number! {
    /// Index of a network interface, never 0. Unique within its network
    /// namespace.
    IfIndex(u32)
}
number! {
    /// A network namespace: its inode number, as in `readlink /proc/PID/ns/net`.
    Netns(u32)
}
number! {
    /// Bytes that fit through the next hop (RFC 1191), network header included.
    Mtu(u32)
}

/// Longest time an event may wait in a batch, in microseconds; 0: none waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlushInterval {
    /// Microseconds.
    pub us: u32,
}

impl fmt::Display for FlushInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} µs", self.us)
    }
}

/// Random bytes that are fresh each time the module is loaded. Two answers with
/// the same boot id come from the same load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BootId(pub [u8; 16]);

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Where in the kernel's packet path a packet was seen (`enum nf_inet_hooks`
/// in `linux/netfilter.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Hook {
    /// Every incoming packet, before routing.
    Prerouting,
    /// Incoming packets for this host.
    Input,
    /// Packets on their way through this host.
    Forward,
    /// Packets this host made.
    Output,
    /// Every outgoing packet, after routing.
    Postrouting,
    /// A number this version does not know.
    Other(u8),
}

impl Hook {
    /// The hooks that have a name, in the order a packet meets them.
    pub const ALL: [Self; 5] = [
        Self::Prerouting,
        Self::Input,
        Self::Forward,
        Self::Output,
        Self::Postrouting,
    ];

    /// The hook with netfilter's number `NF_INET_*`.
    pub const fn from_number(number: u8) -> Self {
        match number as u32 {
            sys::NF_INET_PRE_ROUTING => Self::Prerouting,
            sys::NF_INET_LOCAL_IN => Self::Input,
            sys::NF_INET_FORWARD => Self::Forward,
            sys::NF_INET_LOCAL_OUT => Self::Output,
            sys::NF_INET_POST_ROUTING => Self::Postrouting,
            _ => Self::Other(number),
        }
    }

    /// Netfilter's number, `NF_INET_*`.
    pub const fn number(self) -> u8 {
        (match self {
            Self::Prerouting => sys::NF_INET_PRE_ROUTING,
            Self::Input => sys::NF_INET_LOCAL_IN,
            Self::Forward => sys::NF_INET_FORWARD,
            Self::Output => sys::NF_INET_LOCAL_OUT,
            Self::Postrouting => sys::NF_INET_POST_ROUTING,
            Self::Other(number) => number as u32,
        }) as u8
    }
}

/// nft's words: `prerouting`, `input`, `forward`, `output`, `postrouting`; a
/// number that has no word is written `hook7`.
impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
            Self::Other(number) => return write!(f, "hook{number}"),
        })
    }
}

/// A set of [`Hook`]s, as the mask of `1 << NF_INET_*` that is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hooks(pub u32);

impl Hooks {
    /// The named hooks in this set.
    pub fn iter(self) -> impl Iterator<Item = Hook> {
        Hook::ALL
            .into_iter()
            .filter(move |hook| self.0 & (1 << hook.number()) != 0)
    }
}

impl FromIterator<Hook> for Hooks {
    /// Hooks with a number above 31 have no bit and are left out.
    fn from_iter<I: IntoIterator<Item = Hook>>(hooks: I) -> Self {
        Self(hooks.into_iter().fold(0, |mask, hook| {
            mask | 1u32.checked_shl(hook.number().into()).unwrap_or(0)
        }))
    }
}

impl fmt::Display for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        words(f, self.iter())
    }
}

/// The protocol family of a packet (`NFPROTO_*` in `linux/netfilter.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// ICMP in IPv4.
    Ipv4,
    /// ICMPv6 in IPv6.
    Ipv6,
    /// A number this version does not know.
    Other(u8),
}

impl Family {
    /// The families that have a name.
    pub const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// The family with netfilter's number `NFPROTO_*`.
    pub const fn from_number(number: u8) -> Self {
        match number as u32 {
            sys::NFPROTO_IPV4 => Self::Ipv4,
            sys::NFPROTO_IPV6 => Self::Ipv6,
            _ => Self::Other(number),
        }
    }

    const fn bit(self) -> u32 {
        match self {
            Self::Ipv4 => sys::ICMPTAP_FAMILY_IPV4,
            Self::Ipv6 => sys::ICMPTAP_FAMILY_IPV6,
            Self::Other(_) => 0,
        }
    }
}

/// `ipv4`, `ipv6`; a number that has no word is written `family7`.
impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Other(number) => return write!(f, "family{number}"),
        })
    }
}

/// A set of [`Family`]s, as the mask of `ICMPTAP_FAMILY_*` that is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Families(pub u32);

impl Families {
    /// The named families in this set.
    pub fn iter(self) -> impl Iterator<Item = Family> {
        Family::ALL
            .into_iter()
            .filter(move |family| self.0 & family.bit() != 0)
    }
}

impl FromIterator<Family> for Families {
    /// Families without a name have no bit and are left out.
    fn from_iter<I: IntoIterator<Item = Family>>(families: I) -> Self {
        Self(
            families
                .into_iter()
                .fold(0, |mask, family| mask | family.bit()),
        )
    }
}

impl fmt::Display for Families {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        words(f, self.iter())
    }
}

fn words<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    mut items: impl Iterator<Item = T>,
) -> fmt::Result {
    match items.next() {
        None => f.write_str("none"),
        Some(first) => {
            first.fmt(f)?;
            items.try_for_each(|item| write!(f, "+{item}"))
        }
    }
}
