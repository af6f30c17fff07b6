//! Types for the numbers in requests, replies and events.

use std::{fmt, str::FromStr};

use icmptap_sys as sys;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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
    /// The number of bytes of each packet, from its IP header on, that an event has.
    Snaplen(u32)
}
number! {
    /// The size of a full `EVENTS` message in bytes, including its headers.
    BatchSize(u32)
}
number! {
    /// The CPU on which a packet was seen. Each subscription has one stream per CPU.
    Cpu(u32)
}
number! {
    /// Index of a network interface, never 0. Unique within its network
    /// namespace.
    IfIndex(u32)
}

#[cfg(feature = "interfaces")]
impl IfIndex {
    /// Looks up the interface with this name in the network namespace of the calling
    /// thread.
    ///
    /// ```no_run
    /// let index = icmptap_proto::IfIndex::from_name("eth0")?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`NotFound`](std::io::ErrorKind::NotFound) if there is none. Another error if the
    /// kernel could not be asked.
    pub fn from_name(name: &str) -> std::io::Result<Self> {
        use std::io::{Error, ErrorKind};

        use rustix::{
            io::Errno,
            net::{AddressFamily, SocketFlags, SocketType, netdevice::name_to_index, socket_with},
        };

        // Any kind of socket will do.
        let (family, kind) = (AddressFamily::UNIX, SocketType::DGRAM);
        let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
        match name_to_index(&socket, name) {
            Ok(index) => Ok(Self(index)),
            // A name that is too long, and one that nothing has.
            Err(Errno::NODEV | Errno::INVAL) => Err(Error::new(
                ErrorKind::NotFound,
                format!("there is no interface `{name}` here"),
            )),
            Err(errno) => Err(errno.into()),
        }
    }
}

number! {
    /// The number of a subscription, unique until the module is unloaded.
    SubscriptionId(u64)
}
number! {
    /// A network namespace: its inode number, as in `readlink /proc/PID/ns/net`.
    Netns(u32)
}
number! {
    /// The port id of a netlink socket: its address in its network namespace.
    PortId(u32)
}
number! {
    /// A process id, in the PID namespace of the process that reads it.
    Pid(u32)
}
number! {
    /// The largest packet in bytes that fits through the next hop, including its IP header
    /// (RFC 1191).
    Mtu(u32)
}

/// The longest time that an event waits in a batch. With 0, none waits.
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

/// Which of the selected packets are delivered: every Nth, counted on each stream,
/// beginning with the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sampling {
    /// The N in "every Nth packet": 1 delivers every packet. The kernel refuses 0.
    pub one_in: u32,
}

impl Sampling {
    /// Every packet.
    pub const ALL: Self = Self { one_in: 1 };
}

impl fmt::Display for Sampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1 in {}", self.one_in)
    }
}

/// The largest rate of events of a subscription. A burst may have as many events as a
/// second may; further events are counted as lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RateLimit {
    /// Events per second, on all CPUs together; 0: no limit.
    pub per_second: u32,
}

impl RateLimit {
    /// No limit.
    pub const NONE: Self = Self { per_second: 0 };
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.per_second {
            0 => f.write_str("no limit"),
            per_second => write!(f, "{per_second}/s"),
        }
    }
}

/// What the kernel does with the packets that a subscription matches
/// (`enum icmptap_verdict`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// It accepts them.
    Accept,
    /// It drops them.
    Drop,
    /// A number this version does not know.
    Other(u32),
}

impl Verdict {
    /// The verdict with the number `ICMPTAP_VERDICT_*`.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        match number {
            sys::ICMPTAP_VERDICT_ACCEPT => Self::Accept,
            sys::ICMPTAP_VERDICT_DROP => Self::Drop,
            _ => Self::Other(number),
        }
    }

    /// The number `ICMPTAP_VERDICT_*`.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Accept => sys::ICMPTAP_VERDICT_ACCEPT,
            Self::Drop => sys::ICMPTAP_VERDICT_DROP,
            Self::Other(number) => number,
        }
    }
}

/// `accept`, `drop`; a number that has no word is written `verdict7`.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Accept => "accept",
            Self::Drop => "drop",
            Self::Other(number) => return write!(f, "verdict{number}"),
        })
    }
}

/// The netlink protocol that a subscription was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// The family `icmptap` of generic netlink (`NETLINK_GENERIC`).
    Generic,
    /// IMP2 (`NL_IMP2`).
    Imp2,
    /// A number this version does not know.
    Other(u32),
}

impl Protocol {
    /// The protocol with this number.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        match number {
            sys::NETLINK_GENERIC => Self::Generic,
            sys::NL_IMP2 => Self::Imp2,
            _ => Self::Other(number),
        }
    }
}

/// `generic`, `imp2`; a number that has no word is written `protocol7`.
impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Generic => "generic",
            Self::Imp2 => "imp2",
            Self::Other(number) => return write!(f, "protocol{number}"),
        })
    }
}

/// A set of types of ICMP or of ICMPv6. Packets without a type (later fragments, and
/// packets that are too short) are selected only by [`TypeSet::ALL`].
///
/// ```
/// use icmptap_proto::{TypeSet, icmp::v4};
///
/// let mut errors = TypeSet::from([v4::Type::DESTINATION_UNREACHABLE, v4::Type::TIME_EXCEEDED]);
/// errors.insert(v4::Type::PARAMETER_PROBLEM.0);
/// assert_eq!(errors, TypeSet::from([3, 11, 12]));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TypeSet {
    /// Type t is bit t % 8 of byte t / 8, as on the wire.
    bits: [u8; sys::ICMPTAP_TYPES_LEN as usize],
}

impl TypeSet {
    /// Every type.
    pub const ALL: Self = Self {
        bits: [0xff; sys::ICMPTAP_TYPES_LEN as usize],
    };

    /// No type.
    pub const NONE: Self = Self {
        bits: [0; sys::ICMPTAP_TYPES_LEN as usize],
    };

    pub(crate) const fn from_bytes(bits: [u8; sys::ICMPTAP_TYPES_LEN as usize]) -> Self {
        Self { bits }
    }

    pub(crate) const fn bytes(&self) -> &[u8] {
        &self.bits
    }

    /// Adds a type.
    pub fn insert(&mut self, icmp_type: u8) {
        self.bits[usize::from(icmp_type / 8)] |= 1 << (icmp_type % 8);
    }

    /// Whether a type is in it.
    #[must_use]
    pub fn contains(&self, icmp_type: u8) -> bool {
        self.bits[usize::from(icmp_type / 8)] & (1 << (icmp_type % 8)) != 0
    }

    /// The types in it, the smallest first.
    pub fn iter(&self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(|icmp_type| self.contains(*icmp_type))
    }
}

impl FromIterator<u8> for TypeSet {
    fn from_iter<I: IntoIterator<Item = u8>>(types: I) -> Self {
        let mut set = Self::NONE;
        types
            .into_iter()
            .for_each(|icmp_type| set.insert(icmp_type));
        set
    }
}

impl<const N: usize> From<[u8; N]> for TypeSet {
    fn from(types: [u8; N]) -> Self {
        types.into_iter().collect()
    }
}

/// `all`, `none`, or the numbers: `0+8`.
impl fmt::Display for TypeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ALL {
            return f.write_str("all");
        }
        words(f, self.iter())
    }
}

impl fmt::Debug for TypeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TypeSet({self})")
    }
}

/// An instruction of classic BPF (`struct sock_filter` in `linux/filter.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Instruction {
    /// The operation code.
    pub code: u16,
    /// How many instructions to skip if the condition is true.
    pub jt: u8,
    /// How many instructions to skip if the condition is false.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// A filter: a classic BPF program that runs on each packet, from its IP header on, and
/// accepts it by returning a number other than 0. Only the length is checked here; the
/// kernel refuses a program that it cannot run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program(Vec<Instruction>);

impl Program {
    /// The largest number of instructions (`BPF_MAXINSNS` in `linux/bpf_common.h`).
    pub const MAX: usize = 4096;

    /// The instructions, in order.
    #[must_use]
    pub fn instructions(&self) -> &[Instruction] {
        &self.0
    }
}

impl TryFrom<Vec<Instruction>> for Program {
    type Error = ProgramTooLong;

    fn try_from(instructions: Vec<Instruction>) -> Result<Self, ProgramTooLong> {
        match instructions.len() {
            len if len > Self::MAX => Err(ProgramTooLong { len }),
            _ => Ok(Self(instructions)),
        }
    }
}

/// A filter with more instructions than any kernel accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the filter has {len} instructions, the kernel takes at most {max}", max = Program::MAX)]
pub struct ProgramTooLong {
    /// The number of its instructions.
    pub len: usize,
}

/// Random bytes, chosen each time the module is loaded. Replies with the same boot id
/// come from a module that was not reloaded between them.
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
    /// Packets that this host forwards.
    Forward,
    /// Packets that this host sends.
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
    #[must_use]
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
    #[must_use]
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

    /// Its bit in a set of hooks, `1 << NF_INET_*`; 0: it has none.
    pub(crate) const fn bit(self) -> u32 {
        match 1u32.checked_shl(self.number() as u32) {
            Some(bit) => bit,
            None => 0,
        }
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

/// A word that is not the name of a hook or of a family.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not one of {expected}")]
pub struct UnknownWord {
    word: String,
    expected: String,
}

/// Reads what [`Display`](fmt::Display) writes; serde does so too.
macro_rules! from_word {
    ($type:ident, $prefix:literal) => {
        /// Reads what [`Display`](fmt::Display) writes.
        impl FromStr for $type {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                if let Some(named) = Self::ALL.into_iter().find(|it| it.to_string() == word) {
                    return Ok(named);
                }
                let number = word.strip_prefix($prefix).and_then(|it| it.parse().ok());
                number.map(Self::from_number).ok_or_else(|| UnknownWord {
                    word: word.to_owned(),
                    expected: Self::ALL.map(|it| it.to_string()).join(", "),
                })
            }
        }

        #[cfg(feature = "serde")]
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = String::deserialize(deserializer)?;
                word.parse().map_err(serde::de::Error::custom)
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                String::json_schema(generator)
            }
        }
    };
}

from_word!(Hook, "hook");
from_word!(Family, "family");

impl Family {
    /// The families that have a name.
    pub const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// The family with netfilter's number `NFPROTO_*`.
    #[must_use]
    pub const fn from_number(number: u8) -> Self {
        match number as u32 {
            sys::NFPROTO_IPV4 => Self::Ipv4,
            sys::NFPROTO_IPV6 => Self::Ipv6,
            _ => Self::Other(number),
        }
    }

    /// Netfilter's number, `NFPROTO_*`.
    #[must_use]
    pub const fn number(self) -> u8 {
        (match self {
            Self::Ipv4 => sys::NFPROTO_IPV4,
            Self::Ipv6 => sys::NFPROTO_IPV6,
            Self::Other(number) => number as u32,
        }) as u8
    }

    /// Its bit in a set of families; 0: it has none.
    pub(crate) const fn bit(self) -> u32 {
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

/// `a+b`, or `none`.
pub(crate) fn words<T: fmt::Display>(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_types_is_the_bits_on_the_wire() {
        let set: TypeSet = [0, 8, 255].into_iter().collect();
        let mut bytes = [0; 32];
        (bytes[0], bytes[1], bytes[31]) = (1, 1, 0x80);
        assert_eq!(set.bytes(), bytes);
        assert_eq!(TypeSet::from_bytes(bytes), set);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 8, 255]);
        assert!(set.contains(8) && !set.contains(9));
        let texts = [set, TypeSet::ALL, TypeSet::NONE].map(|set| set.to_string());
        assert_eq!(texts, ["0+8+255", "all", "none"]);
        assert_eq!((0..=255).collect::<TypeSet>(), TypeSet::ALL);
    }

    #[test]
    fn a_program_is_as_long_as_the_kernel_takes_it() {
        let instruction = Instruction {
            code: 6,
            jt: 0,
            jf: 0,
            k: 1,
        };
        assert!(Program::try_from(vec![instruction; Program::MAX]).is_ok());
        let error = Program::try_from(vec![instruction; Program::MAX + 1]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the filter has 4097 instructions, the kernel takes at most 4096"
        );
    }

    #[cfg(feature = "interfaces")]
    #[test]
    fn an_interface_is_found_by_its_name() {
        assert_eq!(IfIndex::from_name("lo").unwrap(), IfIndex(1));
        for name in ["no-such", "a-name-that-is-too-long", "", "l\0o"] {
            let error = IfIndex::from_name(name).unwrap_err();
            assert_eq!(
                error.kind(),
                std::io::ErrorKind::NotFound,
                "{name}: {error}"
            );
        }
    }

    #[test]
    fn words_are_read_back() {
        for number in 0..=255 {
            let hook = Hook::from_number(number);
            assert_eq!(hook.to_string().parse(), Ok(hook));
            let family = Family::from_number(number);
            assert_eq!(family.to_string().parse(), Ok(family));
        }
        let error = "ingress".parse::<Hook>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`ingress` is not one of prerouting, input, forward, output, postrouting"
        );
        for word in ["", "hook", "hook256", "Input"] {
            assert!(word.parse::<Hook>().is_err(), "{word}");
        }
        assert!("ip".parse::<Family>().is_err());
    }

    #[test]
    fn numbers_without_a_word_are_kept() {
        for number in 0..4 {
            assert_eq!(Verdict::from_number(number).number(), number);
        }
        assert_eq!(Verdict::from_number(1).to_string(), "drop");
        assert_eq!(Verdict::from_number(7).to_string(), "verdict7");
        assert_eq!(Protocol::from_number(31).to_string(), "imp2");
        assert_eq!(Protocol::from_number(16).to_string(), "generic");
        assert_eq!(Protocol::from_number(7).to_string(), "protocol7");
    }
}
