//! Our metadata beyond pcapng's own fields: custom text options. The first word identifies
//! them as ours, the second is the subject, and the others are `key=value`. Unknown keys
//! are ignored.

use std::{fmt, str::FromStr};

use icmptap::{Summary, reply::Counters};
use icmptap_proto::{
    BootId, Cpu, Family, Hook, IfIndex, Netns, SubscriptionId,
    event::{EventRef, Metadata, Tapped},
};

use crate::{InterfaceName, NetnsName, Session, Totals};

/// The private enterprise number of our custom options. We have none of our own: this is
/// the one for examples (RFC 5612), and the text's first word identifies our options.
pub(crate) const ENTERPRISE: u32 = 32_473;

/// The first word. Its digit increases with each incompatible change of the format.
const OURS: &str = "icmptap1";

/// The contents of one of our options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Note {
    /// Of a section: its session, and its file number in a rotation, from 0.
    Section {
        session: Session,
        part: u32,
    },
    Interface(InterfaceName),
    Netns(NetnsName),
    /// Of a packet. Length and time are in its block. Has a session if the module saw it.
    Packet {
        session: Option<Session>,
        metadata: Metadata,
    },
    /// Of the interface statistics.
    Totals {
        session: Session,
        totals: Totals,
    },
}

/// One of our options is invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed(String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Keys and values.
pub(crate) struct Fields<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Fields<'a> {
    pub(crate) fn of(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        Self(pairs.collect())
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(name, _)| *name == key);
        found.map(|(_, value)| *value)
    }

    fn required(&self, key: &str) -> Result<&'a str, Malformed> {
        self.get(key)
            .ok_or_else(|| Malformed(format!("`{key}` is missing")))
    }

    pub(crate) fn number<T: FromStr>(&self, key: &str) -> Result<T, Malformed> {
        parse(key, self.required(key)?)
    }

    pub(crate) fn optional<T: FromStr>(&self, key: &str) -> Result<Option<T>, Malformed> {
        self.get(key).map(|value| parse(key, value)).transpose()
    }

    /// A missing value is 0 or empty.
    fn or_zero<T: FromStr + Default>(&self, key: &str) -> Result<T, Malformed> {
        Ok(self.optional(key)?.unwrap_or_default())
    }

    /// 32 hexadecimal digits.
    pub(crate) fn boot_id(&self, key: &str) -> Result<BootId, Malformed> {
        let text = self.required(key)?;
        let mut bytes = [0; 16];
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex {
            return Err(Malformed(format!("`{key}` is not a boot id")));
        }
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).expect("hexadecimal digits");
            *byte = u8::from_str_radix(digits, 16).expect("hexadecimal digits");
        }
        Ok(BootId(bytes))
    }

    fn session(&self) -> Result<Session, Malformed> {
        Ok(Session {
            boot_id: self.boot_id("boot")?,
            subscription: self.optional("sub")?.map(subscription),
        })
    }
}

fn parse<T: FromStr>(key: &str, value: &str) -> Result<T, Malformed> {
    let shown: String = value.chars().take(40).collect();
    value
        .parse()
        .map_err(|_| Malformed(format!("`{key}` is {shown:?}")))
}

pub(crate) fn subscription(id: u64) -> SubscriptionId {
    SubscriptionId(id)
}

struct Of<'a>(&'a Session);

impl fmt::Display for Of<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "boot={}", self.0.boot_id)?;
        match self.0.subscription {
            Some(id) => write!(f, " sub={id}"),
            None => Ok(()),
        }
    }
}

pub(crate) fn section(session: &Session, part: u32) -> String {
    format!("{OURS} section {} part={part}", Of(session))
}

/// The name comes last, and may contain spaces.
pub(crate) fn interface(netns: Netns, index: IfIndex, name: &str) -> String {
    format!("{OURS} interface netns={netns} index={index} name={name}")
}

/// As [`interface`].
pub(crate) fn netns(netns: Netns, name: &str) -> String {
    format!("{OURS} netns netns={netns} name={name}")
}

pub(crate) fn packet(session: Option<&Session>, event: &EventRef<'_>) -> String {
    use fmt::Write;

    let Metadata {
        tapped,
        iif,
        oif,
        flags,
        vlan_tci,
        family,
        icmp_offset,
        icmp_type,
        icmp_code,
        ..
    } = event.metadata();
    let mut text = format!("{OURS} packet");
    // A string takes all.
    let mut put = |words: fmt::Arguments<'_>| {
        let _ = text.write_fmt(words);
    };
    if let Some(session) = session {
        put(format_args!(" {}", Of(session)));
    }
    if let Some(tapped) = tapped {
        put(format_args!(
            " cpu={} seq={} netns={} hook={} mark={}",
            tapped.cpu,
            tapped.seq,
            tapped.netns,
            tapped.hook.number(),
            tapped.mark,
        ));
    }
    if let Some(index) = iif {
        put(format_args!(" in={index}"));
    }
    if let Some(index) = oif {
        put(format_args!(" out={index}"));
    }
    if vlan_tci != 0 {
        put(format_args!(" vlan={vlan_tci}"));
    }
    put(format_args!(
        " flags={flags} family={} icmp={icmp_offset}:{icmp_type}:{icmp_code}",
        family.number()
    ));
    text
}

pub(crate) fn totals(session: &Session, totals: &Totals) -> String {
    let Summary {
        counters,
        received,
        lost_in_gaps,
        disagreements,
        damaged,
        ..
    } = totals.summary;
    format!(
        "{OURS} totals {} events={} lost={} matched={} delivered={} overrun={} nomem={} \
         ratelimit={} queued={} sampled={} received={received} gaps={lost_in_gaps} \
         disagreements={disagreements} damaged={damaged}",
        Of(session),
        totals.events,
        totals.lost,
        counters.matched,
        counters.delivered,
        counters.lost_overrun,
        counters.lost_nomem,
        counters.lost_ratelimit,
        counters.queued,
        counters.sampled_out,
    )
}

/// Parses a custom text option, behind its enterprise number. `None`: it is not ours.
pub(crate) fn read(text: &[u8]) -> Option<Result<Note, Malformed>> {
    let text = std::str::from_utf8(text).ok()?;
    let (first, rest) = text.split_once(' ')?;
    (first == OURS).then_some(())?;
    let (about, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let fields = Fields::of(rest.split(' ').filter_map(|word| word.split_once('=')));
    let note = match about {
        "section" => fields.session().and_then(|session| {
            Ok(Note::Section {
                session,
                part: fields.number("part")?,
            })
        }),
        "interface" => read_interface(&fields, rest),
        "netns" => read_netns(&fields, rest),
        "packet" => read_packet(&fields),
        "totals" => read_totals(&fields),
        // Of a later version.
        _ => return None,
    };
    Some(note)
}

/// The last value, which may contain spaces.
fn last_name(rest: &str) -> Result<String, Malformed> {
    let (_, name) = rest
        .split_once("name=")
        .ok_or_else(|| Malformed("`name` is missing".to_owned()))?;
    Ok(name.to_owned())
}

fn read_netns(fields: &Fields<'_>, rest: &str) -> Result<Note, Malformed> {
    Ok(Note::Netns(NetnsName {
        netns: Netns(fields.number("netns")?),
        name: last_name(rest)?,
    }))
}

fn read_interface(fields: &Fields<'_>, rest: &str) -> Result<Note, Malformed> {
    let name = last_name(rest)?;
    Ok(Note::Interface(InterfaceName {
        netns: Netns(fields.number("netns")?),
        index: IfIndex(fields.number("index")?),
        name,
    }))
}

fn read_packet(fields: &Fields<'_>) -> Result<Note, Malformed> {
    let icmp = fields.required("icmp")?;
    let mut icmp_parts = icmp.split(':');
    let mut part = || icmp_parts.next().unwrap_or_default();
    let tapped = match fields.optional("cpu")? {
        Some(cpu) => Some(Tapped {
            cpu: Cpu(cpu),
            seq: fields.number("seq")?,
            netns: Netns(fields.number("netns")?),
            hook: Hook::from_number(fields.number("hook")?),
            mark: fields.number("mark")?,
        }),
        None => None,
    };
    let index = |key| {
        let index: Option<u32> = fields.optional(key)?;
        Ok(index.filter(|index| *index != 0).map(IfIndex))
    };
    let metadata = Metadata {
        tapped,
        time_ns: 0,
        original_len: 0,
        iif: index("in")?,
        oif: index("out")?,
        flags: fields.number("flags")?,
        vlan_tci: fields.or_zero("vlan")?,
        family: Family::from_number(fields.number("family")?),
        icmp_offset: parse("icmp", part())?,
        icmp_type: parse("icmp", part())?,
        icmp_code: parse("icmp", part())?,
    };
    let session = match fields.get("boot") {
        Some(_) => Some(fields.session()?),
        None => None,
    };
    Ok(Note::Packet { session, metadata })
}

fn read_totals(fields: &Fields<'_>) -> Result<Note, Malformed> {
    let mut counters = Counters::default();
    counters.matched = fields.number("matched")?;
    counters.delivered = fields.number("delivered")?;
    counters.lost_overrun = fields.number("overrun")?;
    counters.lost_nomem = fields.number("nomem")?;
    counters.lost_ratelimit = fields.number("ratelimit")?;
    counters.queued = fields.number("queued")?;
    counters.sampled_out = fields.number("sampled")?;
    let mut summary = Summary::default();
    summary.counters = counters;
    summary.received = fields.number("received")?;
    summary.lost_in_gaps = fields.number("gaps")?;
    summary.disagreements = fields.number("disagreements")?;
    summary.damaged = fields.number("damaged")?;
    Ok(Note::Totals {
        session: fields.session()?,
        totals: Totals {
            events: fields.number("events")?,
            lost: fields.number("lost")?,
            summary,
        },
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn session() -> Session {
        Session {
            boot_id: BootId(*b"0123456789abcdef"),
            subscription: Some(SubscriptionId(5)),
        }
    }

    fn back(text: &str) -> Note {
        read(text.as_bytes()).expect("ours").expect("well formed")
    }

    #[test]
    fn sections_interfaces_and_totals_come_back() {
        for subscription in [None, Some(SubscriptionId(u64::MAX))] {
            let session = Session {
                subscription,
                ..session()
            };
            let text = section(&session, 7);
            assert_eq!(back(&text), Note::Section { session, part: 7 });
        }
        let name = InterfaceName {
            netns: Netns(4_026_531_840),
            index: IfIndex(2),
            name: "a name=b".to_owned(),
        };
        let text = interface(name.netns, name.index, &name.name);
        assert_eq!(back(&text), Note::Interface(name));
        let name = NetnsName {
            netns: Netns(7),
            name: "blue one".to_owned(),
        };
        assert_eq!(back(&netns(name.netns, &name.name)), Note::Netns(name));

        let mut counters = Counters::default();
        counters.matched = 1;
        counters.delivered = 2;
        counters.lost_overrun = 3;
        counters.lost_nomem = 4;
        counters.lost_ratelimit = 5;
        counters.queued = 6;
        counters.sampled_out = 7;
        let mut summary = Summary::default();
        summary.counters = counters;
        (summary.received, summary.lost_in_gaps) = (9, 10);
        (summary.disagreements, summary.damaged) = (11, 12);
        let written = Totals {
            events: 8,
            lost: u64::MAX,
            summary,
        };
        assert_eq!(
            back(&totals(&session(), &written)),
            Note::Totals {
                session: session(),
                totals: written
            }
        );
    }

    #[test]
    fn what_is_not_ours_is_left_alone_and_what_is_malformed_is_said() {
        for other in [
            "",
            "icmptap1",
            "icmptap2 packet ",
            "icmptap1 finding x=1",
            "hello world",
        ] {
            assert_eq!(read(other.as_bytes()), None, "{other:?}");
        }
        assert_eq!(read(b"icmptap1 packet \xff"), None);
        let malformed = |text: &str| read(text.as_bytes()).unwrap().unwrap_err().to_string();
        assert_eq!(malformed("icmptap1 packet flags=0"), "`icmp` is missing");
        assert_eq!(
            malformed("icmptap1 packet flags=x family=2 icmp=20:8:0"),
            "`flags` is \"x\""
        );
        assert_eq!(
            malformed("icmptap1 packet flags=0 family=2 icmp=20:8"),
            "`icmp` is \"\""
        );
        assert_eq!(
            malformed("icmptap1 section boot=0123 part=0"),
            "`boot` is not a boot id"
        );
        assert_eq!(malformed("icmptap1 interface netns=1"), "`name` is missing");
    }
}
