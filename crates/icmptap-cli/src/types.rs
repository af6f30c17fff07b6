//! The names of ICMP types, which mean other numbers in each family.

use icmptap::{Families, Family, TypeSet, icmp};

/// What the user calls a type: a number of ICMP, of ICMPv6, or of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TypeName {
    ipv4: Option<u8>,
    ipv6: Option<u8>,
}

impl TypeName {
    /// A name of IANA's as one word, or a number.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let number = text.strip_prefix("type-").unwrap_or(text).parse().ok();
        let named = |types: &[(u8, &str)]| {
            let found = types.iter().find(|(_, word)| *word == text);
            found.map(|(number, _)| *number)
        };
        let name = Self {
            ipv4: number.or_else(|| named(&ipv4())),
            ipv6: number.or_else(|| named(&ipv6())),
        };
        anyhow::ensure!(
            name.ipv4.is_some() || name.ipv6.is_some(),
            "it is the name of no ICMP or ICMPv6 type, such as echo-request, packet-too-big \
             or neighbor-solicitation, and no number up to 255"
        );
        Ok(name)
    }
}

/// The types of each family, and the families that have any. `families` are
/// those that the user wants; `None`: any.
pub(crate) fn sets(
    names: &[TypeName],
    families: Option<Families>,
) -> anyhow::Result<(TypeSet, TypeSet, Families)> {
    let ipv4: TypeSet = names.iter().filter_map(|name| name.ipv4).collect();
    let ipv6: TypeSet = names.iter().filter_map(|name| name.ipv6).collect();
    let wanted = families.unwrap_or_else(|| Family::ALL.into_iter().collect());
    let having = [(Family::Ipv4, ipv4), (Family::Ipv6, ipv6)]
        .into_iter()
        .filter(|(family, set)| *set != TypeSet::NONE && wanted.iter().any(|f| f == *family));
    let having: Families = having.map(|(family, _)| family).collect();
    anyhow::ensure!(having.0 != 0, "no --type is one of {wanted}");
    Ok((ipv4, ipv6, having))
}

/// The types in a set of ICMP, in words.
pub(crate) fn ipv4_words(set: &TypeSet) -> String {
    words(set, &ipv4())
}

/// The types in a set of ICMPv6, in words.
pub(crate) fn ipv6_words(set: &TypeSet) -> String {
    words(set, &ipv6())
}

fn words(set: &TypeSet, named: &[(u8, &str)]) -> String {
    let word = |number: u8| {
        let found = named.iter().find(|(named, _)| *named == number);
        found.map_or_else(|| number.to_string(), |(_, word)| (*word).to_owned())
    };
    let words: Vec<String> = set.iter().map(word).collect();
    if words.is_empty() {
        "none".to_owned()
    } else {
        words.join("+")
    }
}

fn ipv4() -> Vec<(u8, &'static str)> {
    let types = icmp::v4::Type::NAMED.iter();
    types
        .filter_map(|named| Some((named.0, named.name()?)))
        .collect()
}

fn ipv6() -> Vec<(u8, &'static str)> {
    let types = icmp::v6::Type::NAMED.iter();
    types
        .filter_map(|named| Some((named.0, named.name()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_be_of_one_family_or_of_both_and_a_number_is() {
        let parse = |text| {
            let name = TypeName::parse(text).unwrap();
            (name.ipv4, name.ipv6)
        };
        assert_eq!(parse("echo-request"), (Some(8), Some(128)));
        assert_eq!(parse("packet-too-big"), (None, Some(2)));
        assert_eq!(parse("timestamp-reply"), (Some(14), None));
        assert_eq!(parse("3"), (Some(3), Some(3)));
        assert_eq!(parse("type-77"), (Some(77), Some(77)));
        for bad in ["", "256", "-1", "ping", "type-", "Echo-Request"] {
            assert!(TypeName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_families_that_have_a_type_are_listened_to() {
        let names = |text: &str| -> Vec<TypeName> {
            text.split(',')
                .map(|name| TypeName::parse(name).unwrap())
                .collect()
        };
        let both: Families = Family::ALL.into_iter().collect();
        let [only_v4, only_v6] = Family::ALL.map(|family| [family].into_iter().collect());

        let (v4, v6, families) = sets(&names("echo-request,packet-too-big,3"), None).unwrap();
        assert_eq!(v4.iter().collect::<Vec<_>>(), [3, 8]);
        assert_eq!(v6.iter().collect::<Vec<_>>(), [2, 3, 128]);
        assert_eq!(families, both);

        let (v4, _, families) = sets(&names("packet-too-big"), None).unwrap();
        assert_eq!((v4, families), (TypeSet::NONE, only_v6));
        let (.., families) = sets(&names("echo-reply"), Some(only_v4)).unwrap();
        assert_eq!(families, only_v4);
        let error = sets(&names("packet-too-big,137"), Some(only_v4));
        assert!(error.is_ok(), "137 is one of both");
        let error = sets(&names("packet-too-big"), Some(only_v4)).unwrap_err();
        assert_eq!(error.to_string(), "no --type is one of ipv4");
    }

    #[test]
    fn sets_in_words() {
        let set: TypeSet = [3, 8, 77].into_iter().collect();
        assert_eq!(ipv4_words(&set), "destination-unreachable+echo-request+77");
        assert_eq!(ipv6_words(&set), "time-exceeded+8+77");
        assert_eq!(ipv4_words(&TypeSet::NONE), "none");
    }
}
