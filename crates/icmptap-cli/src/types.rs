//! The names of ICMP types, which mean other numbers in each family.

use icmptap::{Families, Family, TypeSet, icmp};

use crate::values::WrongValue;

/// What the user calls a type, or several: numbers of ICMP, of ICMPv6, or of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TypeName {
    ipv4: TypeSet,
    ipv6: TypeSet,
}

/// What people say, and the names that it stands for.
pub(crate) const SHORT: [(&str, &[&str]); 2] = [
    ("ping", &["echo-request", "echo-reply"]),
    ("unreachable", &["destination-unreachable"]),
];

impl TypeName {
    /// A name of IANA's as one word, a shorter one, or a number.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let number: Option<u8> = text.strip_prefix("type-").unwrap_or(text).parse().ok();
        let short = SHORT.iter().find(|(short, _)| *short == text);
        let itself = [text];
        let words = short.map_or(&itself[..], |(_, words)| *words);
        let numbers = |types: &[(u8, &str)]| -> TypeSet {
            let named = types.iter().filter(|(_, word)| words.contains(word));
            named.map(|(number, _)| *number).chain(number).collect()
        };
        let name = Self {
            ipv4: numbers(&ipv4()),
            ipv6: numbers(&ipv6()),
        };
        anyhow::ensure!(
            name.ipv4 != TypeSet::NONE || name.ipv6 != TypeSet::NONE,
            "unknown ICMP type {text:?}; known: icmptap types"
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
    let ipv4: TypeSet = names.iter().flat_map(|name| name.ipv4.iter()).collect();
    let ipv6: TypeSet = names.iter().flat_map(|name| name.ipv6.iter()).collect();
    let wanted = families.unwrap_or(Families::ALL);
    let having = [(Family::Ipv4, ipv4), (Family::Ipv6, ipv6)]
        .into_iter()
        .filter(|(family, set)| *set != TypeSet::NONE && wanted.contains(*family));
    let having: Families = having.map(|(family, _)| family).collect();
    if having.is_empty() {
        return Err(WrongValue(format!("no --type is one of {wanted}")).into());
    }
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

pub(crate) fn ipv4() -> Vec<(u8, &'static str)> {
    let types = icmp::v4::Type::NAMED.iter();
    types
        .filter_map(|named| Some((named.0, named.name()?)))
        .collect()
}

pub(crate) fn ipv6() -> Vec<(u8, &'static str)> {
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
            [name.ipv4, name.ipv6].map(|set| set.iter().collect::<Vec<_>>())
        };
        assert_eq!(parse("echo-request"), [[8], [128]]);
        assert_eq!(parse("packet-too-big"), [vec![], vec![2]]);
        assert_eq!(parse("timestamp-reply"), [vec![14], vec![]]);
        assert_eq!(parse("3"), [[3], [3]]);
        assert_eq!(parse("type-77"), [[77], [77]]);
        assert_eq!(parse("ping"), [[0, 8], [128, 129]]);
        assert_eq!(parse("unreachable"), [[3], [1]]);
        for bad in ["", "256", "-1", "pong", "type-", "Echo-Request"] {
            assert!(TypeName::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(
            TypeName::parse("pong").unwrap_err().to_string(),
            "unknown ICMP type \"pong\"; known: icmptap types"
        );
    }

    #[test]
    fn only_families_that_have_a_type_are_listened_to() {
        let names = |text: &str| -> Vec<TypeName> {
            text.split(',')
                .map(|name| TypeName::parse(name).unwrap())
                .collect()
        };
        let [both, only_v4, only_v6] = [Families::ALL, Families::IPV4, Families::IPV6];

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
