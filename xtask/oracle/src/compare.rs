//! Two captures, packet by packet and field by field.

use std::collections::BTreeSet;
use std::fmt;

use super::known_differences::{self, KnownDifference};
use super::tree::Tree;
use super::{Captures, Expected, Fields, Kind, event, tshark};

/// What came of a comparison.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Findings {
    pub(super) kinds: usize,
    pub(super) packets: usize,
    /// Fields that at least one of the two has.
    pub(super) fields: usize,
    /// Fields that differ as they are known to.
    pub(super) explained: usize,
    /// What is wrong, in words.
    pub(super) failures: Vec<String>,
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kinds in {} packets: {} fields compared, {} differ as explained, {} wrong",
            self.kinds,
            self.packets,
            self.fields,
            self.explained,
            self.failures.len()
        )
    }
}

/// Compares what icmptap captured with what tshark dissected.
pub(super) fn all(captures: &Captures, packets: &[Tree]) -> Findings {
    compare(captures, packets, known_differences::ALL)
}

/// The same for packets that were captured without what stands before their IP header.
pub(super) fn from_ip_on(captures: &Captures, packets: &[Tree]) -> Findings {
    let mut captures = captures.clone();
    for event in &mut captures.events {
        if let Some(keys) = event.as_object_mut() {
            keys.remove("vlan");
        }
    }
    let known: Vec<KnownDifference> = known_differences::ALL
        .iter()
        .filter(|known| !known.key.starts_with("vlan."))
        .copied()
        .collect();
    compare(&captures, packets, &known)
}

fn compare(
    captures: &Captures,
    packets: &[Tree],
    known_differences: &[KnownDifference],
) -> Findings {
    let mut findings = Findings::default();
    let ours: Vec<Fields> = captures.events.iter().filter_map(event::read).collect();
    if ours.len() < captures.events.len() {
        let lost = captures.events.len() - ours.len();
        findings
            .failures
            .push(format!("icmptap lost packets, in {lost} places"));
    }
    let theirs: Vec<Fields> = packets.iter().filter_map(tshark::read).collect();
    let kinds = captures.kinds.len();
    let sides = [("icmptap", ours), ("tshark", theirs)].map(|(who, all)| {
        by_kind(all, kinds, captures.mark_id).map_err(|wrong| format!("{who}: {wrong}"))
    });
    let [ours, theirs] = match sides {
        [Ok(ours), Ok(theirs)] => [ours, theirs],
        sides => {
            findings
                .failures
                .extend(sides.into_iter().filter_map(Result::err));
            return findings;
        }
    };
    let mut used = BTreeSet::new();
    for (kind, (ours, theirs)) in captures.kinds.iter().zip(ours.iter().zip(&theirs)) {
        one_kind(
            kind,
            ours,
            theirs,
            known_differences,
            &mut used,
            &mut findings,
        );
    }
    for (nth, known) in known_differences.iter().enumerate() {
        if !used.contains(&nth) {
            findings.failures.push(format!(
                "explained, but it does not occur: {} {}",
                known.kinds, known.key
            ));
        }
    }
    findings
}

/// What lies between the marks, of which there is one before each kind and one at
/// the end. What came before the first is no kind's.
fn by_kind(packets: Vec<Fields>, kinds: usize, id: u16) -> Result<Vec<Vec<Fields>>, String> {
    let mut parts = vec![Vec::new()];
    for packet in packets {
        let is_mark =
            packet.get("icmp.type") == Some("8") && packet.get("icmp.id") == Some(&id.to_string());
        if !is_mark {
            parts.last_mut().expect("one at least").push(packet);
            continue;
        }
        let due = (parts.len() - 1).to_string();
        let seq = packet.get("icmp.seq");
        if seq != Some(&due) {
            return Err(format!("mark {due} is missing, {seq:?} came"));
        }
        parts.push(Vec::new());
    }
    if parts.len() != kinds + 2 {
        return Err(format!(
            "{} marks came, {} were sent",
            parts.len() - 1,
            kinds + 1
        ));
    }
    parts.remove(0);
    parts.pop();
    Ok(parts)
}

fn one_kind(
    kind: &Kind,
    ours: &[Fields],
    theirs: &[Fields],
    known_differences: &[KnownDifference],
    used: &mut BTreeSet<usize>,
    findings: &mut Findings,
) {
    findings.kinds += 1;
    let mut wrong = |what: String| findings.failures.push(format!("{}: {what}", kind.name));
    if ours.len() != theirs.len() {
        wrong(format!(
            "icmptap has {}, tshark has {}",
            list(ours),
            list(theirs)
        ));
        return;
    }
    for expected in &kind.expected {
        if !ours.iter().any(|packet| expected.is(packet)) {
            wrong(format!("{expected} did not come, but {}", list(ours)));
        }
    }
    for (ours, theirs) in ours.iter().zip(theirs) {
        findings.packets += 1;
        let keys: BTreeSet<&String> = ours.0.keys().chain(theirs.0.keys()).collect();
        findings.fields += keys.len();
        for key in keys {
            let (our, their) = (ours.get(key), theirs.get(key));
            if our == their {
                continue;
            }
            let known = known_differences
                .iter()
                .position(|known| known.covers(&kind.name, key, our, their));
            match known {
                Some(nth) => {
                    used.insert(nth);
                    findings.explained += 1;
                }
                None => findings.failures.push(format!(
                    "{}: {key}: icmptap says {}, tshark {}",
                    kind.name,
                    our.unwrap_or("nothing"),
                    their.unwrap_or("nothing")
                )),
            }
        }
    }
}

impl Expected {
    fn is(&self, packet: &Fields) -> bool {
        let number = |key| packet.get(key).and_then(|text| text.parse().ok());
        packet.get("family") == Some(self.family.name())
            && self.icmp == number("icmp.type").zip(number("icmp.code"))
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = self.family.name();
        match self.icmp {
            Some((number, code)) => write!(f, "{family} type {number} code {code}"),
            None => write!(f, "{family} without an ICMP header"),
        }
    }
}

/// Packets in few words.
fn list(packets: &[Fields]) -> String {
    let words: Vec<String> = packets
        .iter()
        .map(|packet| {
            let word = |key| packet.get(key).unwrap_or("?");
            format!(
                "{} > {} type {} code {}",
                word("src"),
                word("dst"),
                word("icmp.type"),
                word("icmp.code")
            )
        })
        .collect();
    match words.len() {
        0 => "nothing".into(),
        _ => words.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::parse;

    /// The one that differs.
    const MTU: &[KnownDifference] = &[KnownDifference {
        kinds: "ICMPv4: fragmentation needed, MTU 0",
        key: "icmp.mtu",
        ours: "nothing",
        theirs: "0",
        why: "",
    }];

    /// A recorded run, cut down to a few kinds.
    fn fixture() -> (Captures, Vec<Tree>) {
        let captures = include_str!("fixtures/captures.json");
        let packets = include_bytes!("fixtures/tshark.json");
        (
            serde_json::from_str(captures).unwrap(),
            parse(packets).unwrap(),
        )
    }

    fn failures(captures: &Captures, packets: &[Tree]) -> Vec<String> {
        compare(captures, packets, MTU).failures
    }

    #[test]
    fn a_recorded_run_agrees() {
        let (captures, packets) = fixture();
        let findings = compare(&captures, &packets, MTU);
        assert_eq!(findings.failures, Vec::<String>::new());
        assert_eq!(
            findings.to_string(),
            "8 kinds in 9 packets: 156 fields compared, 1 differ as explained, 0 wrong"
        );
    }

    #[test]
    fn a_change_of_any_value_is_seen() {
        let (mut captures, packets) = fixture();
        let mut changed = 0;
        for nth in 0..captures.events.len() {
            let original = captures.events[nth].clone();
            if original["icmp"]["id"] == captures.mark_id {
                continue;
            }
            let fields = event::read(&original).unwrap();
            for key in fields.0.keys() {
                let pointer = format!("/{}", key.replace('.', "/"));
                let value = captures.events[nth].pointer_mut(&pointer).unwrap();
                let before = std::mem::replace(value, json!("changed"));
                let failures = failures(&captures, &packets);
                assert!(
                    failures
                        .iter()
                        .any(|failure| failure.contains(&format!(": {key}: icmptap says changed"))),
                    "{key}: {failures:?}"
                );
                *captures.events[nth].pointer_mut(&pointer).unwrap() = before;
                changed += 1;
            }
            assert_eq!(captures.events[nth], original);
        }
        assert!(changed > 100, "{changed} values were changed");
    }

    #[test]
    fn a_value_that_is_not_there_is_missed() {
        let (mut captures, packets) = fixture();
        let redirect = captures
            .events
            .iter_mut()
            .find(|event| event["icmp"]["type"] == 137)
            .unwrap();
        redirect["icmp"].as_object_mut().unwrap().remove("target");
        assert_eq!(
            failures(&captures, &packets),
            ["ICMPv6: redirect: icmp.target: icmptap says nothing, tshark fe80::7"]
        );
    }

    #[test]
    fn a_packet_too_few_or_too_many_is_counted() {
        let (mut captures, packets) = fixture();
        let redirect = |event: &Value| event["icmp"]["type"] == 137;
        let at = captures.events.iter().position(redirect).unwrap();
        captures.events.insert(at, captures.events[at].clone());
        let line = "fd00::1 > fd00::2 type 137 code 0";
        assert_eq!(
            failures(&captures, &packets),
            [format!(
                "ICMPv6: redirect: icmptap has {line}, {line}, tshark has {line}"
            )]
        );
        captures.events.retain(|event| !redirect(event));
        assert_eq!(
            failures(&captures, &packets),
            [format!(
                "ICMPv6: redirect: icmptap has nothing, tshark has {line}"
            )]
        );
    }

    #[test]
    fn a_loss_and_a_missing_mark_are_told() {
        let (mut captures, packets) = fixture();
        captures
            .events
            .push(json!({"kind": "lost", "cpu": 0, "count": 3}));
        assert_eq!(
            failures(&captures, &packets),
            ["icmptap lost packets, in 1 places"]
        );
        captures.events.pop();
        captures.events.pop();
        let told = failures(&captures, &packets);
        assert_eq!(told, ["icmptap: 8 marks came, 9 were sent"]);
        captures.events.remove(0);
        let told = failures(&captures, &packets);
        assert_eq!(told, ["icmptap: mark 0 is missing, Some(\"1\") came"]);
    }

    #[test]
    fn what_was_to_come_has_to() {
        let (mut captures, packets) = fixture();
        let [expected] = &mut captures.kinds[0].expected[..] else {
            panic!("one");
        };
        expected.icmp = Some((136, 0));
        let [failure] = &failures(&captures, &packets)[..] else {
            panic!("one");
        };
        let told = "kernel: a neighbour is asked for: ipv6 type 136 code 0 did not come, but ";
        assert!(failure.starts_with(told), "{failure}");
    }

    #[test]
    fn a_known_difference_that_is_not_needed_is_a_failure() {
        let (captures, packets) = fixture();
        let stale = KnownDifference {
            kinds: "ICMPv6: redirect",
            key: "icmp.target",
            ours: "nothing",
            theirs: "something",
            why: "",
        };
        let [mtu] = MTU else { panic!("one") };
        let known_differences = [stale, KnownDifference { ..*mtu }];
        assert_eq!(
            compare(&captures, &packets, &known_differences).failures,
            ["explained, but it does not occur: ICMPv6: redirect icmp.target"]
        );
        assert_eq!(
            compare(&captures, &packets, &[]).failures,
            ["ICMPv4: fragmentation needed, MTU 0: icmp.mtu: icmptap says nothing, tshark 0"]
        );
    }
}
