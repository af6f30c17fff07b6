//! `icmptap types`: the ICMP types that have names, and the RFCs that define them.

use std::io::{self, Write};

use icmptap::Family;
use serde::Serialize;

use crate::{
    args::{Format, Types as Args},
    output::{json_lines, print, table},
    types,
};

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    print(|out| match args.output {
        Format::Text => text(out),
        Format::Json => json_lines(out, lines()),
    })
    .map(drop)
}

/// A line of `icmptap types -o json`.
#[derive(Debug, Serialize)]
struct Line {
    family: String,
    #[serde(rename = "type")]
    icmp_type: u8,
    name: &'static str,
    /// Numbers of RFCs: the one that defines it, and the one that deprecates it.
    rfc: &'static [u16],
}

fn lines() -> Vec<Line> {
    let of = |family: Family, named: Vec<(u8, &'static str)>, rfc: fn(u8) -> &'static [u16]| {
        named.into_iter().map(move |(icmp_type, name)| Line {
            family: family.to_string(),
            icmp_type,
            name,
            rfc: rfc(icmp_type),
        })
    };
    let ipv4 = of(Family::Ipv4, types::ipv4(), rfc_of_icmp);
    ipv4.chain(of(Family::Ipv6, types::ipv6(), rfc_of_icmpv6))
        .collect()
}

fn text(out: &mut dyn Write) -> io::Result<()> {
    let row = |line: Line| {
        let rfc: Vec<String> = line.rfc.iter().map(u16::to_string).collect();
        vec![
            line.family,
            line.icmp_type.to_string(),
            line.name.to_owned(),
            rfc.join(", "),
        ]
    };
    let rows: Vec<_> = lines().into_iter().map(row).collect();
    table(out, &["family", "type", "name", "rfc"], &rows)?;
    for (short, words) in types::SHORT {
        writeln!(out, "{short}: {}", words.join(" and "))?;
    }
    Ok(())
}

/// The references in IANA's registry "ICMP Type Numbers"; RFC 6918 deprecates.
fn rfc_of_icmp(icmp_type: u8) -> &'static [u16] {
    match icmp_type {
        0 | 3 | 5 | 8 | 11..=14 => &[792],
        4 => &[792, 6633],
        6 | 32..=36 | 39 => &[6918],
        9 | 10 => &[1256],
        15 | 16 => &[792, 6918],
        17 | 18 => &[950, 6918],
        30 => &[1393, 6918],
        31 => &[1475, 6918],
        37 | 38 => &[1788, 6918],
        40 => &[2521],
        41 => &[4065],
        42 | 43 => &[8335],
        253 | 254 => &[4727],
        _ => &[],
    }
}

/// The references in IANA's registry "ICMPv6 'type' Numbers".
fn rfc_of_icmpv6(icmp_type: u8) -> &'static [u16] {
    match icmp_type {
        1..=4 | 100 | 101 | 127..=129 | 200 | 201 | 255 => &[4443],
        130..=132 => &[2710],
        133..=137 => &[4861],
        138 => &[2894],
        139 | 140 => &[4620],
        141 | 142 => &[3122],
        143 => &[3810],
        144..=147 => &[6275],
        148 | 149 => &[3971],
        150 => &[4065],
        151..=153 => &[4286],
        154 => &[5568],
        155 => &[6550],
        156 => &[6743],
        157 | 158 => &[6775],
        159 => &[7731],
        160 | 161 => &[8335],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::TypeName;

    #[test]
    fn every_type_that_has_a_name_has_an_rfc() {
        for line in lines() {
            assert!(!line.rfc.is_empty(), "{} {}", line.family, line.name);
        }
    }

    #[test]
    fn as_text() {
        let mut out = Vec::new();
        text(&mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let lines: Vec<String> = out.lines().map(words).collect();
        assert_eq!(lines[0], "family type name rfc");
        assert_eq!(lines[1], "ipv4 0 echo-reply 792");
        assert!(lines.contains(&"ipv4 4 source-quench 792, 6633".to_owned()));
        assert!(lines.contains(&"ipv6 2 packet-too-big 4443".to_owned()));
        assert!(lines.contains(&"ping: echo-request and echo-reply".to_owned()));
        // Every name is one that --type takes.
        for line in super::lines() {
            TypeName::parse(line.name).unwrap();
        }
    }

    #[test]
    fn as_json() {
        let line = lines()
            .into_iter()
            .find(|line| line.icmp_type == 4)
            .unwrap();
        assert_eq!(
            serde_json::to_value(line).unwrap(),
            serde_json::json!({
                "family": "ipv4", "type": 4, "name": "source-quench", "rfc": [792, 6633],
            })
        );
    }
}
