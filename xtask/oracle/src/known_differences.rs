//! Where the two differ, and why that is right: the table at the end of
//! `docs/protocol.md`.

/// A difference that has a reason.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct KnownDifference {
    /// Names of kinds, `*` for anything.
    pub(super) kinds: &'static str,
    /// Keys of an event, `*` for anything.
    pub(super) key: &'static str,
    /// What icmptap says: a value, or as below.
    pub(super) ours: &'static str,
    /// What tshark says.
    pub(super) theirs: &'static str,
    /// Why.
    pub(super) why: &'static str,
}

/// Says nothing.
const NOTHING: &str = "nothing";
/// Says something, whatever it is.
const SOMETHING: &str = "something";

pub(super) const ALL: &[KnownDifference] = &[
    KnownDifference {
        kinds: "ICMPv4: fragmentation needed, MTU 0",
        key: "icmp.mtu",
        ours: NOTHING,
        theirs: "0",
        why: "0 is how a router older than RFC 1191 does not say it",
    },
    KnownDifference {
        kinds: "ICMPv4: timestamp reply, cut short",
        key: "icmp.times.originate",
        ours: NOTHING,
        theirs: "43200000",
        why: CUT_SHORT,
    },
    KnownDifference {
        kinds: "ICMPv6: router advertisement, cut short",
        key: "icmp.*",
        ours: NOTHING,
        theirs: SOMETHING,
        why: CUT_SHORT,
    },
    KnownDifference {
        kinds: "ICMPv6: redirect, cut short",
        key: "icmp.target",
        ours: NOTHING,
        theirs: "fe80::7",
        why: CUT_SHORT,
    },
    KnownDifference {
        kinds: "ICMPv4: * bytes of an echo request",
        key: "icmp.*",
        ours: SOMETHING,
        theirs: NOTHING,
        why: CHECKSUM_FIRST,
    },
    KnownDifference {
        kinds: "ICMPv4: first fragment, 4 bytes",
        key: "icmp.*",
        ours: SOMETHING,
        theirs: NOTHING,
        why: CHECKSUM_FIRST,
    },
    KnownDifference {
        kinds: "* bytes of an echo request",
        key: "checksum",
        ours: "unknown",
        theirs: "bad",
        why: MALFORMED,
    },
    KnownDifference {
        kinds: "* 7 bytes of an echo request",
        key: "icmp.id",
        ours: NOTHING,
        theirs: SOMETHING,
        why: MALFORMED,
    },
    KnownDifference {
        kinds: "*echo request, priority-tagged",
        key: "vlan.*",
        ours: NOTHING,
        theirs: SOMETHING,
        why: "the kernel takes a tag with VLAN id 0 off before any hook; tcpdump sees the frame as it came",
    },
    KnownDifference {
        kinds: "*time exceeded with *interface*name",
        key: "icmp.extensions.objects.0.name",
        ours: SOMETHING,
        theirs: NOTHING,
        why: "tshark counts the length byte twice, and finds no room for a name at the object's end",
    },
    KnownDifference {
        kinds: "*time exceeded with version 1",
        key: "icmp.extensions.*",
        ours: NOTHING,
        theirs: SOMETHING,
        why: "the format of version 1 is not known: RFC 4884 is version 2",
    },
    KnownDifference {
        kinds: "*time exceeded with an object shorter than its header",
        key: "icmp.extensions.objects.0.*",
        ours: SOMETHING,
        theirs: NOTHING,
        why: BAD_LENGTH,
    },
    KnownDifference {
        kinds: "*time exceeded with an object that runs over the end",
        key: "icmp.extensions.objects.0.data",
        ours: "03e817fe",
        theirs: NOTHING,
        why: BAD_LENGTH,
    },
    KnownDifference {
        kinds: "*time exceeded with an object that runs over the end",
        key: "icmp.extensions.objects.0.labels.*",
        ours: NOTHING,
        theirs: SOMETHING,
        why: BAD_LENGTH,
    },
    KnownDifference {
        kinds: "*time exceeded with an interface that ends early",
        key: "icmp.extensions.objects.0.data",
        ours: "00000007",
        theirs: NOTHING,
        why: BAD_LENGTH,
    },
    KnownDifference {
        kinds: "*time exceeded with an interface that ends early",
        key: "icmp.extensions.objects.0.*",
        ours: NOTHING,
        theirs: SOMETHING,
        why: BAD_LENGTH,
    },
    KnownDifference {
        kinds: "ICMPv6: time exceeded with MPLS and no length",
        key: "icmp.extensions.*",
        ours: SOMETHING,
        theirs: NOTHING,
        why: "at byte 128, with the right version and checksum, it is an extension, as in ICMPv4",
    },
    KnownDifference {
        kinds: "ICMPv6: port unreachable about TCP, 8 bytes",
        key: "icmp.quote.tcp_seq",
        ours: "305419896",
        theirs: NOTHING,
        why: "tshark reads a sequence number without the rest of the header in ICMPv4 only",
    },
    KnownDifference {
        kinds: "ICMPv6: echo request on a source route",
        key: "checksum",
        ours: "unknown",
        theirs: "good",
        why: "the last address of the route is in the sum; icmptap does not look for it, for not every route has it",
    },
    KnownDifference {
        kinds: "ICMPv6: router advertisement with a default route, low preference",
        key: "icmp.options.0.prefix",
        ours: "::",
        theirs: NOTHING,
        why: "a prefix of 0 bits takes no bytes, and is a prefix",
    },
    KnownDifference {
        kinds: "ICMPv6: router advertisement with a link address of 8 bytes",
        key: "icmp.options.0.address",
        ours: "01:02:03:04:05:06:07:08:00:00:00:00:00:00",
        theirs: "01:02:03:04:05:06:07:08",
        why: "how long it is depends on the link and is not in the packet; tshark takes it for an EUI-64",
    },
    KnownDifference {
        kinds: "ICMPv6: router advertisement with an option *",
        key: "icmp.options.1.data",
        ours: SOMETHING,
        theirs: NOTHING,
        why: BAD_LENGTH,
    },
    KnownDifference {
        kinds: "ICMPv6: router advertisement with an option that runs over the end",
        key: "icmp.options.1.*",
        ours: NOTHING,
        theirs: SOMETHING,
        why: BAD_LENGTH,
    },
    KnownDifference {
        kinds: "ICMPv6: router advertisement with half an option's head",
        key: "icmp.options.1.*",
        ours: SOMETHING,
        theirs: NOTHING,
        why: BAD_LENGTH,
    },
    KnownDifference {
        kinds: "ICMPv6: router advertisement with a malformed *",
        key: "icmp.options.0.data",
        ours: SOMETHING,
        theirs: NOTHING,
        why: IGNORED,
    },
    KnownDifference {
        kinds: "ICMPv6: router advertisement with a malformed *",
        key: "icmp.options.0.*",
        ours: NOTHING,
        theirs: SOMETHING,
        why: IGNORED,
    },
    KnownDifference {
        kinds: "ICMPv6: MLD query of neither version",
        key: "icmp.data",
        ours: SOMETHING,
        theirs: NOTHING,
        why: IGNORED,
    },
    KnownDifference {
        kinds: "ICMPv6: MLD query of neither version",
        key: "icmp.*",
        ours: NOTHING,
        theirs: SOMETHING,
        why: IGNORED,
    },
    KnownDifference {
        kinds: "ICMPv6: *, cut short",
        key: "icmp.data",
        ours: SOMETHING,
        theirs: NOTHING,
        why: BAD_LENGTH,
    },
    KnownDifference {
        kinds: "*",
        key: "icmp.*malformed",
        ours: "true",
        theirs: NOTHING,
        why: "tshark has no field for what receivers have to ignore",
    },
    KnownDifference {
        kinds: "*",
        key: "icmp.trailing",
        ours: SOMETHING,
        theirs: NOTHING,
        why: LEFT_OVER,
    },
    KnownDifference {
        kinds: "*time exceeded with half an extension",
        key: "icmp.extensions.trailing",
        ours: "0008",
        theirs: NOTHING,
        why: LEFT_OVER,
    },
    KnownDifference {
        kinds: "*time exceeded with an interface whose address is not IP",
        key: "icmp.extensions.objects.0.*",
        ours: SOMETHING,
        theirs: NOTHING,
        why: "tshark gives up at an address whose length is not known",
    },
    KnownDifference {
        kinds: "*time exceeded with a label stack of three bytes",
        key: "icmp.extensions.objects.0.data",
        ours: "010203",
        theirs: NOTHING,
        why: BAD_LENGTH,
    },
    KnownDifference {
        kinds: "*time exceeded with a length beyond its end",
        key: "icmp.extensions.*",
        ours: SOMETHING,
        theirs: NOTHING,
        why: OLD_ROUTER,
    },
    KnownDifference {
        kinds: "ICMPv4: time exceeded with MPLS* a length in bytes*",
        key: "icmp.extensions.*",
        ours: SOMETHING,
        theirs: NOTHING,
        why: OLD_ROUTER,
    },
    KnownDifference {
        kinds: "ICMPv6: time exceeded with MPLS and a length in words",
        key: "icmp.extensions.*",
        ours: SOMETHING,
        theirs: NOTHING,
        why: OLD_ROUTER,
    },
    KnownDifference {
        kinds: "ICMPv4: time exceeded with MPLS and a length without the padding",
        key: "icmp.extensions.checksum",
        ours: "good",
        theirs: "unknown",
        why: OLD_ROUTER,
    },
    KnownDifference {
        kinds: "ICMPv4: time exceeded with MPLS and a length without the padding",
        key: "icmp.extensions.*",
        ours: SOMETHING,
        theirs: NOTHING,
        why: OLD_ROUTER,
    },
    KnownDifference {
        kinds: "ICMPv6: router advertisement with a DNS search list with a dot in a label",
        key: "icmp.options.0.domains.0",
        ours: r"a\.b\.c.org",
        theirs: "a.b.c.org",
        why: "a dot within a label is not one between two",
    },
    KnownDifference {
        kinds: "ICMPv6: router advertisement with a provisioning domain",
        key: "icmp.options.0.pvd.*",
        ours: SOMETHING,
        theirs: NOTHING,
        why: UNKNOWN_OPTION,
    },
    KnownDifference {
        kinds: "ICMPv6: router advertisement with a provisioning domain",
        key: "icmp.options.0.data",
        ours: NOTHING,
        theirs: SOMETHING,
        why: UNKNOWN_OPTION,
    },
    KnownDifference {
        kinds: "ICMPv6: neighbour solicitation that registers as RFC 8505 has it",
        key: "icmp.options.0.*",
        ours: SOMETHING,
        theirs: NOTHING,
        why: "tshark 4.0 knows the option as RFC 6775 has it",
    },
    KnownDifference {
        kinds: "ICMPv6: neighbour solicitation with a timestamp",
        key: "icmp.options.0.seconds",
        ours: "1593835520",
        theirs: "Jul  4, 2020 04:05:20.000000000 UTC",
        why: DATE,
    },
    KnownDifference {
        kinds: "ICMPv6: neighbour solicitation with a timestamp",
        key: "icmp.options.0.fraction",
        ours: "0",
        theirs: NOTHING,
        why: DATE,
    },
    KnownDifference {
        kinds: "ICMPv6: neighbour solicitation with a signature",
        key: "icmp.options.0.signature",
        ours: SOMETHING,
        theirs: NOTHING,
        why: "how long it is depends on the key; tshark takes all of it for padding",
    },
    KnownDifference {
        kinds: "ICMPv6: certification path *",
        key: "icmp.options.0.name",
        ours: "anchor.db",
        theirs: SOMETHING,
        why: "tshark shows the lengths of labels as characters",
    },
    KnownDifference {
        kinds: "ICMPv6: RPL *",
        key: "icmp.rpl.options.*.data",
        ours: SOMETHING,
        theirs: NOTHING,
        why: "icmptap gives the bytes of an option, tshark what they mean",
    },
    KnownDifference {
        kinds: "ICMPv6: RPL DIS",
        key: "checksum",
        ours: "unknown",
        theirs: "good",
        why: MALFORMED,
    },
];

const CUT_SHORT: &str = "what a type says is given whole or not at all";
const CHECKSUM_FIRST: &str =
    "tshark does not read an ICMPv4 header whose checksum it cannot compute";
const MALFORMED: &str = "of a header that is not all there, type and code are read and no more";
const LEFT_OVER: &str = "tshark does not give what is left over";
const IGNORED: &str = "what receivers have to ignore is given as the bytes that are there";
const OLD_ROUTER: &str =
    "its length is none that RFC 4884 allows, and at byte 128 is what can only be an extension";
const UNKNOWN_OPTION: &str = "tshark 4.0 does not know the option";
const DATE: &str = "tshark makes a date of both";
const BAD_LENGTH: &str = "what does not have its length is given as the bytes that are there";

impl KnownDifference {
    pub(super) fn covers(
        &self,
        kind: &str,
        key: &str,
        ours: Option<&str>,
        theirs: Option<&str>,
    ) -> bool {
        let is = |said: &str, value: Option<&str>| match said {
            NOTHING => value.is_none(),
            SOMETHING => value.is_some(),
            _ => value == Some(said),
        };
        matches(self.kinds, kind)
            && matches(self.key, key)
            && is(self.ours, ours)
            && is(self.theirs, theirs)
    }
}

/// Whether `text` is `pattern`, where each `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len())
                .filter(|end| rest.is_char_boundary(*end))
                .any(|end| matches(after, &rest[end..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use xtask_host::workspace;

    #[test]
    fn the_documentation_has_every_one_and_no_other() {
        let path = workspace::root().join("docs/protocol.md");
        let text = fs::read_to_string(&path).unwrap();
        let (_, section) = text
            .split_once("\n## Where tshark says otherwise\n")
            .expect("the section");
        let rows: Vec<&str> = section
            .lines()
            .filter(|line| line.starts_with("| `"))
            .collect();
        let expected: Vec<String> = ALL
            .iter()
            .map(|known| {
                let KnownDifference {
                    kinds,
                    key,
                    ours,
                    theirs,
                    why,
                } = known;
                format!("| `{kinds}` | `{key}` | {ours} | {theirs} | {why} |")
            })
            .collect();
        assert_eq!(
            rows,
            expected,
            "{} should have:\n{}",
            path.display(),
            expected.join("\n")
        );
    }

    #[test]
    fn a_known_difference_covers_what_it_names() {
        let known = KnownDifference {
            kinds: "ICMPv6: *, cut short",
            key: "icmp.*",
            ours: NOTHING,
            theirs: "7",
            why: "",
        };
        let covers = |kind, key, ours, theirs| known.covers(kind, key, ours, theirs);
        assert!(covers("ICMPv6: x, cut short", "icmp.a.b", None, Some("7")));
        assert!(!covers("ICMPv6: x", "icmp.a.b", None, Some("7")));
        assert!(!covers("ICMPv6: x, cut short", "src", None, Some("7")));
        assert!(!covers("ICMPv6: x, cut short", "icmp.a", None, Some("8")));
        assert!(!covers("ICMPv6: x, cut short", "icmp.a", None, None));
        assert!(!covers(
            "ICMPv6: x, cut short",
            "icmp.a",
            Some("7"),
            Some("7")
        ));
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("a", "ab", false),
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abbcd", false),
            ("*b*d", "abcbcd", true),
            ("*ü*", "für", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
