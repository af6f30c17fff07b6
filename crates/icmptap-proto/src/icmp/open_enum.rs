//! Numbers of which some have names.

/// A number type with a constant, IANA's name and one word for each number that
/// has them. `Display` writes the word, or the noun given in the type's
/// parentheses with the number, such as `type-77`.
macro_rules! open_enum {
    (
        $(#[$doc:meta])* $name:ident($noun:literal);
        $($(#[$item:meta])* $constant:ident = $number:literal, $iana:literal, $word:literal;)*
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u8);

        impl $name {
            $(
                $(#[$item])* #[doc = concat!("(", $number, ").")]
                pub const $constant: Self = Self($number);
            )*

            /// Every number that has a name.
            pub const NAMED: &[Self] = &[$(Self::$constant),*];

            /// The name in IANA's registry.
            pub fn iana_name(self) -> Option<&'static str> {
                match self {
                    $(Self::$constant => Some($iana),)*
                    _ => None,
                }
            }

            /// The name as one word.
            pub fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$constant => Some($word),)*
                    _ => None,
                }
            }
        }

        #[doc = concat!("The word, or `", $noun, "-` and the number where there is none.")]
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.name() {
                    Some(word) => f.pad(word),
                    None => write!(f, concat!($noun, "-{}"), self.0),
                }
            }
        }
    };
}

pub(crate) use open_enum;
