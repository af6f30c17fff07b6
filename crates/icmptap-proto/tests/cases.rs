//! Packets as routers and hosts really send them, and what is to be said of them.
//! Each is a file in `cases/`: what it is, and the packet from its IP header on.

use std::{fs, path::Path};

use icmptap_proto::{
    event::{Batch, Checksum},
    json::Line,
    nlmsg,
    testing::{self, Record},
};
use serde_json::{Value, json};

/// The packet of `cases/NAME.hex`.
fn case(name: &str) -> Record {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cases/{name}.hex"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let digits: String = text.lines().filter(|line| !line.starts_with('#')).collect();
    let packet: Vec<u8> = digits
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    match (packet[0] >> 4, packet[6]) {
        (4, _) => Record::of_ipv4(packet),
        // One extension header: of hop-by-hop or of destination options.
        (6, 0 | 60) => {
            let len = (usize::from(packet[41]) + 1) * 8;
            Record::of_ipv6(packet, 40 + len)
        }
        (6, _) => Record::of_ipv6(packet, 40),
        other => panic!("{name}: {other:?}"),
    }
}

fn line(name: &str) -> Value {
    let bytes = testing::events(0, 0, 0, &[case(name)]);
    let message = nlmsg::messages(&bytes).next().unwrap().unwrap();
    let batch = Batch::decode(&message.generic().unwrap()).unwrap();
    let event = batch.events().next().unwrap().unwrap();
    serde_json::to_value(Line::event(&event, |_| None)).unwrap()
}

/// The only option of a router advertisement.
fn option(name: &str) -> Value {
    let mut line = line(name);
    assert_eq!(line["checksum"], "good", "{name}");
    match line["icmp"]["options"].take() {
        Value::Array(mut options) if options.len() == 1 => options.remove(0),
        other => panic!("{name}: {other}"),
    }
}

#[test]
fn extensions_of_routers_before_rfc_4884() {
    for (name, checksum, label) in [
        ("mpls-length-in-bytes-unsummed", "unknown", 24015),
        ("mpls-length-unpadded", "good", 24015),
        ("mpls-length-unpadded-long-packet", "good", 416_240),
        ("mpls-length-in-words-v6", "good", 24015),
        ("mpls-length-in-bytes", "good", 24015),
        ("mpls-unreachable-length-unpadded", "good", 24015),
    ] {
        let icmp = line(name)["icmp"].take();
        let extensions = &icmp["extensions"];
        assert_eq!(extensions["checksum"], checksum, "{name}");
        assert_eq!(
            extensions["objects"][0]["labels"][0]["label"], label,
            "{name}"
        );
        assert_eq!(icmp["quote"]["dst_port"], 33434, "{name}");
        assert_eq!(icmp["trailing"], Value::Null, "{name}");
    }
    let icmp = line("interface-length-in-words-v6")["icmp"].take();
    assert_eq!(
        icmp["extensions"],
        json!({"checksum": "good", "objects": [{
            "class": 2, "class_name": "interface-information", "ctype": 8,
            "role": "incoming", "index": 7}]})
    );
}

#[test]
fn checksums_over_the_home_address() {
    for (name, expected) in [
        ("home-address", Checksum::Good),
        ("home-address-first", Checksum::Good),
        ("home-address-ignored", Checksum::Bad),
    ] {
        assert_eq!(line(name)["checksum"], json!(expected), "{name}");
    }
}

#[test]
fn options_that_are_to_be_ignored_are_malformed() {
    for (name, expected) in [
        (
            "pref64-length-3",
            json!({"type": 38, "type_name": "pref64", "malformed": true,
                "data": "07080064ff9b00000000000000000000000000000000"}),
        ),
        (
            "rdnss-without-address",
            json!({"type": 25, "type_name": "recursive-dns-server", "malformed": true,
                "data": "000000000e10"}),
        ),
        (
            "dnssl-without-name",
            json!({"type": 31, "type_name": "dns-search-list", "malformed": true,
                "data": "000000000000"}),
        ),
        (
            "dnssl-garbage",
            json!({"type": 31, "type_name": "dns-search-list", "malformed": true,
                "data": "00000000142b03787878036c616e009a1107fe800102"}),
        ),
        (
            "dnssl-pointer",
            json!({"type": 31, "type_name": "dns-search-list", "malformed": true,
                "data": "00000000142b03666f6f036c616e0003626172c00800"}),
        ),
        (
            "mtu-length-2",
            json!({"type": 5, "type_name": "mtu", "malformed": true,
                "data": "0000000005c80000000000000000"}),
        ),
        (
            "prefix-length-5",
            json!({"type": 3, "type_name": "prefix-information", "malformed": true,
                "data": "40c000015180000038400000000020010db8000000000000000000000000\
                    0000000000000000"}),
        ),
        (
            "prefix-129",
            json!({"type": 3, "type_name": "prefix-information", "malformed": true,
                "data": "81c000015180000038400000000020010db8000000000000000000000000"}),
        ),
    ] {
        assert_eq!(option(name), expected, "{name}");
    }
}

#[test]
fn bits_behind_a_prefix_are_not_shown() {
    let option = option("pref64-bits-behind");
    assert_eq!(
        (&option["prefix"], &option["prefix_len"]),
        (&json!("2001:db8::"), &json!(32))
    );
}

#[test]
fn a_query_of_neither_version_is_malformed() {
    assert_eq!(
        line("mld-query-26-bytes")["icmp"],
        json!({"type": 130, "type_name": "multicast-listener-query", "code": 0,
            "malformed": true, "data": "03e80000000000000000000000000000000000000000"})
    );
}

#[test]
fn text_is_escaped() {
    assert_eq!(
        option("captive-portal-bidi")["uri"],
        r"https://a.example/\u{202e}gnp.x\n"
    );
    assert_eq!(
        option("dnssl-space-in-label")["domains"],
        json!([r"a\u{20}len\u{20}84\,b\u{20}c"])
    );
}
