//! Sets of hooks and of families, as the masks that are on the wire.

use std::{
    fmt,
    ops::{BitOr, BitOrAssign},
};

use crate::{Family, Hook, types::words};

macro_rules! set {
    ($(#[$doc:meta])* $set:ident of $item:ident { $($(#[$constant_doc:meta])* $constant:ident = $($of:ident)|*;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $set(u32);

        impl $set {
            $(
                $(#[$constant_doc])*
                pub const $constant: Self = Self(0 $(| $item::$of.bit())*);
            )*

            /// The set with this mask. Bits that this version has no name for are
            /// kept.
            #[must_use]
            pub const fn from_bits(bits: u32) -> Self {
                Self(bits)
            }

            /// The mask.
            #[must_use]
            pub const fn bits(self) -> u32 {
                self.0
            }

            /// Whether nothing is in it.
            #[must_use]
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// Whether it is in it.
            #[must_use]
            pub const fn contains(self, item: $item) -> bool {
                self.0 & item.bit() != 0
            }

            /// Those in it that have a name.
            pub fn iter(self) -> impl Iterator<Item = $item> {
                $item::ALL.into_iter().filter(move |item| self.contains(*item))
            }
        }

        impl BitOr for $set {
            type Output = Self;

            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }

        impl BitOrAssign for $set {
            fn bitor_assign(&mut self, other: Self) {
                *self = *self | other;
            }
        }

        /// The set of one. One that has no bit is left out.
        impl From<$item> for $set {
            fn from(item: $item) -> Self {
                Self(item.bit())
            }
        }

        /// Those that have no bit are left out.
        impl<const N: usize> From<[$item; N]> for $set {
            fn from(items: [$item; N]) -> Self {
                items.into_iter().collect()
            }
        }

        /// Those that have no bit are left out.
        impl FromIterator<$item> for $set {
            fn from_iter<I: IntoIterator<Item = $item>>(items: I) -> Self {
                let sets = items.into_iter().map(Self::from);
                sets.fold(Self::NONE, |all, one| all | one)
            }
        }

        /// The words of those that have a name, as in `a+b`, or `none`.
        impl fmt::Display for $set {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                words(f, self.iter())
            }
        }
    };
}

set! {
    /// A set of [`Hook`]s: on the wire, the mask of `1 << NF_INET_*`. Numbers above
    /// 31 have no bit.
    ///
    /// ```
    /// use icmptap_proto::{Hook, Hooks};
    ///
    /// let hooks = Hooks::INPUT | Hooks::OUTPUT;
    /// assert!(hooks.contains(Hook::Input));
    /// assert_eq!(hooks, Hooks::from([Hook::Input, Hook::Output]));
    /// assert_eq!(hooks.to_string(), "input+output");
    /// ```
    Hooks of Hook {
        /// No hook.
        NONE = ;
        /// Every incoming packet, before routing.
        PREROUTING = Prerouting;
        /// Incoming packets for this host.
        INPUT = Input;
        /// Packets that this host forwards.
        FORWARD = Forward;
        /// Packets that this host sends.
        OUTPUT = Output;
        /// Every outgoing packet, after routing.
        POSTROUTING = Postrouting;
        /// The five hooks that have a name.
        ALL = Prerouting | Input | Forward | Output | Postrouting;
    }
}

set! {
    /// A set of [`Family`]s: on the wire, the mask of `ICMPTAP_FAMILY_*`. Families
    /// without a name have no bit.
    Families of Family {
        /// No family.
        NONE = ;
        /// ICMP in IPv4.
        IPV4 = Ipv4;
        /// ICMPv6 in IPv6.
        IPV6 = Ipv6;
        /// Both.
        ALL = Ipv4 | Ipv6;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_the_mask_on_the_wire() {
        let bits = Hook::ALL.map(|hook| Hooks::from(hook).bits());
        assert_eq!(bits, [1, 2, 4, 8, 16]);
        assert_eq!(Hooks::ALL, Hooks::from(Hook::ALL));
        assert_eq!(Families::ALL, Families::from(Family::ALL));
        assert_eq!((Families::IPV4.bits(), Families::IPV6.bits()), (1, 2));
        let mut set = Hooks::NONE;
        assert!(set.is_empty() && !set.contains(Hook::Input));
        set |= Hooks::INPUT;
        assert!(set.contains(Hook::Input) && !set.contains(Hook::Output));
        assert_eq!(set.to_string(), "input");
    }

    #[test]
    fn what_has_no_name_or_no_bit() {
        let newer = Hooks::from_bits(0x8000_0002);
        assert_eq!(newer.iter().collect::<Vec<_>>(), [Hook::Input]);
        assert!(newer.contains(Hook::Other(31)));
        for hook in [32, 255].map(Hook::Other) {
            assert!(Hooks::from(hook).is_empty());
            assert!(!Hooks::from_bits(u32::MAX).contains(hook));
        }
        assert_eq!(
            Families::from([Family::Ipv6, Family::Other(7)]),
            Families::IPV6
        );
    }
}
