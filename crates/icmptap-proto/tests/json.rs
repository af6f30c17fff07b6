//! Events as JSON, against values and against the schema.

use std::fs;

use icmptap_proto::{
    Cpu, Family, Hook,
    event::{Batch, Event, EventRef, Metadata},
    json::{self, Line},
    nlmsg,
    reply::Counters,
    sequence::Lost,
    testing::{self, Record, address, icmpv4, icmpv6, ipv4, ipv6, messages},
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn with_event<R>(record: Record, check: impl FnOnce(&EventRef<'_>) -> R) -> R {
    let bytes = testing::events(1, 41, 0, &[record]);
    let message = nlmsg::messages(&bytes).next().unwrap().unwrap();
    let batch = Batch::decode(&message.generic().unwrap()).unwrap();
    check(&batch.events().next().unwrap().unwrap())
}

/// As JSON, which is read back as well.
fn parsed(record: Record) -> Value {
    let line = with_event(record, |event| {
        Line::event(event, |index| (index.0 == 2).then(|| "eth0".to_owned()))
    });
    let text = serde_json::to_string(&line).unwrap();
    let read: Line = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert_eq!(read, line, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// What the message of that name says, without `type` and `code`.
fn said(name: &str) -> Value {
    let (_, record) = messages()
        .into_iter()
        .find(|(found, _)| *found == name)
        .unwrap_or_else(|| panic!("no message {name}"));
    let mut icmp = parsed(record)["icmp"].take();
    for key in ["type", "type_name", "code"] {
        icmp.as_object_mut().unwrap().remove(key);
    }
    icmp
}

#[test]
fn a_whole_event() {
    let record = Record {
        flags: 16,
        vlan_tci: 0x6007,
        oif: 9,
        mark: 5,
        ..Record::of_ipv4(icmpv4(8, 0, [0, 7, 0, 1], &[0; 56]))
    };
    let expected = json!({
        "kind": "event",
        "time": "1970-01-01T12:00:01.123456789Z", "time_ns": 43_201_123_456_789u64,
        "cpu": 1, "seq": 41, "netns": 4_026_531_840u32,
        "hook": "prerouting", "family": "ipv4",
        "iif": {"index": 2, "name": "eth0"}, "oif": {"index": 9},
        "mark": 5, "vlan": {"id": 7, "priority": 3, "protocol": "802.1Q"},
        "src": "10.0.0.1", "dst": "10.0.0.2", "ttl": 64, "len": 84, "caplen": 84,
        "truncated": false, "malformed": false,
        "checksum": "good", "checksum_state": "none",
        "icmp": {"type": 8, "type_name": "echo-request", "code": 0, "id": 7, "seq": 1},
    });
    assert_eq!(parsed(record.clone()), expected);
    let named = with_event(record.clone(), |event| {
        let line = Line::event(event, |_| None).with_netns_name(Some("blue".to_owned()));
        serde_json::to_value(line)
    });
    assert_eq!(named.unwrap()["netns_name"], "blue");
    // Without the names, an event is its own line.
    let mut nameless = expected;
    nameless["iif"] = json!({"index": 2});
    assert_eq!(
        with_event(record, |event| serde_json::to_value(event)).unwrap(),
        nameless
    );
}

#[test]
fn v6_events_look_like_v4_events() {
    let event = parsed(Record::of_ipv6(icmpv6(128, 0, [0, 7, 0, 1], &[0; 56]), 40));
    assert_eq!(
        (&event["family"], &event["src"], &event["dst"]),
        (&json!("ipv6"), &json!("2001:db8::1"), &json!("2001:db8::2"))
    );
    assert_eq!(
        (&event["len"], &event["checksum"]),
        (&json!(104), &json!("good"))
    );
    assert_eq!(
        event["icmp"],
        json!({"type": 128, "type_name": "echo-request", "code": 0, "id": 7, "seq": 1})
    );
}

#[test]
fn every_kind_of_v4_message() {
    let flow = json!({
        "src": "10.0.0.1", "dst": "10.0.0.2", "protocol": 17, "protocol_name": "udp",
        "len": 28, "ttl": 64, "fragment_offset": 0, "src_port": 5000, "dst_port": 33434,
    });
    let tcp = json!({
        "src": "10.0.0.1", "dst": "10.0.0.2", "protocol": 6, "protocol_name": "tcp",
        "len": 28, "ttl": 64, "fragment_offset": 0, "src_port": 5000, "dst_port": 443,
        "tcp_seq": 12345,
    });
    let ping = json!({
        "src": "10.0.0.1", "dst": "10.0.0.2", "protocol": 1, "protocol_name": "icmp",
        "len": 28, "ttl": 64, "fragment_offset": 0,
        "icmp": {"type": 8, "type_name": "echo-request", "code": 0, "id": 7, "seq": 9},
    });
    let mpls = json!({
        "checksum": "good",
        "objects": [{"class": 1, "class_name": "mpls-label-stack", "ctype": 1,
            "labels": [{"label": 1234, "traffic_class": 0, "bottom": true, "ttl": 64}]}],
    });
    let interface = json!({
        "checksum": "good",
        "objects": [{"class": 2, "class_name": "interface-information", "ctype": 15,
            "role": "incoming", "index": 3, "address": "10.0.0.9", "name": "eth0", "mtu": 1500}],
    });
    let id = |object: Value| {
        let mut object = object;
        object["class"] = 3.into();
        object["class_name"] = "interface-identification".into();
        json!({"id": 7, "seq": 1, "local": true,
            "extensions": {"checksum": "good", "objects": [object]}})
    };
    let table = [
        ("echo-reply", json!({"id": 7, "seq": 1})),
        (
            "port-unreachable",
            json!({"code_name": "port-unreachable", "quote": flow}),
        ),
        (
            "fragmentation-needed",
            json!({"code_name": "fragmentation-needed", "mtu": 1300, "quote": tcp}),
        ),
        ("source-quench", json!({"quote": flow})),
        (
            "redirect",
            json!({"code_name": "host", "gateway": "10.0.0.254", "quote": flow}),
        ),
        ("time-exceeded", json!({"code_name": "ttl", "quote": ping})),
        (
            "time-exceeded with MPLS labels",
            json!({"code_name": "ttl", "quote": flow, "extensions": mpls}),
        ),
        (
            "time-exceeded with MPLS labels, not compliant",
            json!({"code_name": "ttl", "quote": flow, "extensions": mpls}),
        ),
        (
            "time-exceeded with interface",
            json!({"code_name": "ttl", "quote": flow, "extensions": interface}),
        ),
        (
            "time-exceeded with an unknown object",
            json!({"code_name": "ttl", "quote": flow, "extensions": {"checksum": "good",
                "objects": [{"class": 9, "ctype": 4, "data": "6e657773"}]}}),
        ),
        (
            "parameter-problem",
            json!({"code_name": "pointer", "pointer": 21, "quote": flow}),
        ),
        (
            "v4 router-advertisement",
            json!({"lifetime": 1800, "routers": [
                {"address": "10.0.0.1", "preference": 5},
                {"address": "10.0.0.2", "preference": i32::MIN}]}),
        ),
        (
            "timestamp-reply",
            json!({"id": 7, "seq": 1, "times": {"originate": 1, "receive": 2, "transmit": 3}}),
        ),
        (
            "address-mask-reply",
            json!({"id": 7, "seq": 1, "mask": "255.255.255.0"}),
        ),
        (
            "extended-echo-request by name",
            id(json!({"ctype": 1, "name": "eth0"})),
        ),
        (
            "extended-echo-request by index",
            id(json!({"ctype": 2, "index": 3})),
        ),
        (
            "extended-echo-request by address",
            id(json!({"ctype": 3, "address": "10.0.0.1"})),
        ),
        ("extended-echo-request by MAC address", {
            let mut expected = id(json!({"ctype": 3, "afi": 16389, "data": "020000000001"}));
            expected["local"] = false.into();
            expected
        }),
        (
            "extended-echo-reply",
            json!({"id": 7, "seq": 1, "state": 2, "state_name": "reachable",
                "active": true, "ipv4": true, "ipv6": true}),
        ),
        (
            "extended-echo-reply that refuses",
            json!({"code_name": "no-such-interface", "id": 7, "seq": 1, "state": 0,
                "active": false, "ipv4": false, "ipv6": false}),
        ),
        ("an unknown type", json!({})),
    ];
    for (name, expected) in table {
        assert_eq!(said(name), expected, "{name}");
    }
}

#[test]
fn every_kind_of_v6_message() {
    let quote = |rest: Value| {
        let mut quote = json!({
            "src": "2001:db8::1", "dst": "2001:db8::2", "len": 48, "ttl": 64, "fragment_offset": 0,
        });
        quote
            .as_object_mut()
            .unwrap()
            .extend(rest.as_object().unwrap().clone());
        quote
    };
    let udp =
        quote(json!({"protocol": 17, "protocol_name": "udp", "src_port": 5000, "dst_port": 33434}));
    let table = [
        ("v6 echo-reply", json!({"id": 7, "seq": 1})),
        (
            "v6 port-unreachable",
            json!({"code_name": "port-unreachable", "quote": udp}),
        ),
        (
            "v6 port-unreachable with MPLS labels",
            json!({"code_name": "port-unreachable", "quote": udp, "extensions": {
                "checksum": "good",
                "objects": [{"class": 1, "class_name": "mpls-label-stack", "ctype": 1, "labels": [
                    {"label": 1234, "traffic_class": 0, "bottom": false, "ttl": 64},
                    {"label": 354, "traffic_class": 0, "bottom": true, "ttl": 64}]}]}}),
        ),
        (
            "v6 packet-too-big",
            json!({"mtu": 1280, "quote": quote(json!({"protocol": 6, "protocol_name": "tcp",
                "src_port": 5000, "dst_port": 443, "tcp_seq": 12345}))}),
        ),
        (
            "v6 time-exceeded",
            json!({"code_name": "hop-limit", "quote": quote(json!({
                "protocol": 58, "protocol_name": "icmpv6",
                "icmp": {"type": 128, "type_name": "echo-request", "code": 0, "id": 7, "seq": 9}}))}),
        ),
        (
            "v6 reassembly",
            json!({"code_name": "reassembly", "quote": quote(json!({"len": 60,
                "protocol": 17, "protocol_name": "udp", "fragment_offset": 1448}))}),
        ),
        (
            "v6 parameter-problem",
            json!({"code_name": "unrecognized-next-header", "pointer": 40, "quote": udp}),
        ),
        (
            "v6 extended-echo-request",
            json!({"id": 7, "seq": 1, "local": true, "extensions": {"checksum": "good",
                "objects": [{"class": 3, "class_name": "interface-identification", "ctype": 1,
                    "name": "eth0"}]}}),
        ),
        (
            "v6 extended-echo-reply",
            json!({"id": 7, "seq": 1, "state": 2, "state_name": "reachable",
                "active": true, "ipv4": false, "ipv6": true}),
        ),
    ];
    for (name, expected) in table {
        assert_eq!(said(name), expected, "{name}");
    }
}

#[test]
fn discovery_and_multicast() {
    let source = json!({"type": 1, "type_name": "source-link-layer-address",
        "address": "02:00:00:00:00:01"});
    let target = json!({"type": 2, "type_name": "target-link-layer-address",
        "address": "02:00:00:00:00:01"});
    let table = [
        ("router-solicitation", json!({"options": [source]})),
        (
            "router-advertisement",
            json!({
                "hop_limit": 64, "managed": true, "other": true, "home_agent": false,
                "preference": "high", "proxy": false, "lifetime": 1800,
                "reachable_ms": 30000, "retrans_ms": 1000,
                "options": [
                    source,
                    {"type": 5, "type_name": "mtu", "mtu": 1500},
                    {"type": 3, "type_name": "prefix-information", "prefix": "2001:db8::",
                     "prefix_len": 64, "on_link": true, "autonomous": true,
                     "router_address": false, "valid": 86400, "preferred": 14400},
                    {"type": 24, "type_name": "route-information", "prefix": "2001:db8::",
                     "prefix_len": 48, "preference": "high", "lifetime": 1800},
                    {"type": 25, "type_name": "recursive-dns-server", "lifetime": 1800,
                     "servers": ["2001:db8::1", "2001:db8::2"]},
                    {"type": 31, "type_name": "dns-search-list", "lifetime": 1800,
                     "domains": ["example.org", "lan"]},
                    {"type": 37, "type_name": "captive-portal", "uri": "https://example.org/api"},
                    {"type": 38, "type_name": "pref64", "prefix": "64:ff9b::", "prefix_len": 96,
                     "lifetime": 1800},
                    {"type": 14, "type_name": "nonce", "data": "010203040506"},
                ],
            }),
        ),
        (
            "neighbor-solicitation",
            json!({"target": "2001:db8::2", "options": [source]}),
        ),
        (
            "neighbor-advertisement",
            json!({"target": "2001:db8::2", "router": true, "solicited": true, "override": true,
                "options": [target]}),
        ),
        (
            "v6 redirect",
            json!({"target": "2001:db8::1", "destination": "2001:db8::2",
                "options": [target, {"type": 4, "type_name": "redirected-header"}],
                "quote": {"src": "2001:db8::1", "dst": "2001:db8::2", "protocol": 17,
                    "protocol_name": "udp", "len": 48, "ttl": 64, "fragment_offset": 0,
                    "src_port": 5000, "dst_port": 33434}}),
        ),
        (
            "MLDv1 query",
            json!({"group": "::", "max_response_ms": 10000}),
        ),
        (
            "MLDv2 query",
            json!({"group": "2001:db8::fb", "max_response_ms": 65552, "suppress": true,
                "robustness": 2, "interval": 248, "sources": ["2001:db8::1"]}),
        ),
        ("MLDv1 report", json!({"group": "2001:db8::fb"})),
        ("MLDv1 done", json!({"group": "2001:db8::fb"})),
        (
            "MLDv2 report",
            json!({"records": [
                {"type": 4, "type_name": "change-to-exclude-mode", "group": "2001:db8::fb",
                 "sources": []},
                {"type": 1, "type_name": "mode-is-include", "group": "2001:db8::fb",
                 "sources": ["2001:db8::1", "2001:db8::1"]}]}),
        ),
    ];
    for (name, expected) in table {
        assert_eq!(said(name), expected, "{name}");
    }
}

#[test]
fn what_is_left_over_or_malformed() {
    let quote = |rest: Value| {
        let mut quote = json!({"src": "10.0.0.1", "dst": "10.0.0.2", "len": 28, "ttl": 64,
            "fragment_offset": 0, "protocol": 17, "protocol_name": "udp", "src_port": 5000,
            "dst_port": 33434});
        quote
            .as_object_mut()
            .unwrap()
            .extend(rest.as_object().unwrap().clone());
        quote
    };
    let udp = quote(json!({}));
    let object = |rest: Value| {
        json!({"code_name": "ttl", "quote": udp,
            "extensions": {"checksum": "good", "objects": [rest]}})
    };
    let table = [
        (
            "time-exceeded with more behind its quote",
            json!({"code_name": "ttl", "quote": udp, "trailing": "6d6f7265"}),
        ),
        (
            "time-exceeded about nothing",
            json!({"code_name": "ttl", "trailing": "6e6f207061636b6574"}),
        ),
        (
            "time-exceeded with a malformed object",
            object(
                json!({"class": 1, "class_name": "mpls-label-stack", "ctype": 1,
                "malformed": true, "data": "000000"}),
            ),
        ),
        (
            "time-exceeded with an interface that is not IP",
            object(
                json!({"class": 2, "class_name": "interface-information", "ctype": 140,
                "role": "outgoing", "index": 7, "afi": 16389, "data": "020000000001"}),
            ),
        ),
        (
            "a query of 26 bytes",
            json!({"malformed": true, "data": format!("2710{}", "00".repeat(20))}),
        ),
        (
            "time-exceeded about a timestamp-reply",
            json!({"code_name": "ttl", "quote": {
                "src": "10.0.0.1", "dst": "10.0.0.2", "len": 40, "ttl": 64,
                "fragment_offset": 0, "protocol": 1, "protocol_name": "icmp",
                "icmp": {"type": 14, "type_name": "timestamp-reply", "code": 0, "id": 7, "seq": 9,
                    "times": {"originate": 1, "receive": 2, "transmit": 3}}}}),
        ),
        (
            "time-exceeded about an error",
            json!({"code_name": "ttl", "quote": {
                "src": "10.0.0.1", "dst": "10.0.0.2", "len": 56, "ttl": 64,
                "fragment_offset": 0, "protocol": 1, "protocol_name": "icmp",
                "icmp": {"type": 3, "type_name": "destination-unreachable", "code": 3,
                    "code_name": "port-unreachable", "quote": udp}}}),
        ),
        (
            "time-exceeded behind AH",
            json!({"code_name": "ttl", "quote": quote(json!({"len": 40}))}),
        ),
    ];
    for (name, expected) in table {
        assert_eq!(said(name), expected, "{name}");
    }
    let left = said("time-exceeded with more behind its objects");
    assert_eq!(left["extensions"]["trailing"], "010203");
    let options = said("router-advertisement with malformed options")["options"].take();
    let options = options.as_array().unwrap();
    assert_eq!(options.len(), 6);
    assert!(
        options.iter().all(|option| option["malformed"] == true),
        "{options:?}"
    );
}

#[test]
fn secure_inverse_and_registered() {
    let source = json!({"type": 1, "type_name": "source-link-layer-address",
        "address": "02:02:02:02:02:02"});
    let mtu = json!({"type": 5, "type_name": "mtu", "mtu": 1280});
    let options = |options: Value| json!({"options": options});
    let target = |options: Value| json!({"target": "2001:db8::2", "options": options});
    let table = [
        (
            "inverse-neighbor-discovery-solicitation",
            options(
                json!([source, {"type": 9, "type_name": "source-address-list",
                "addresses": ["2001:db8::1", "2001:db8::2"]}]),
            ),
        ),
        (
            "inverse-neighbor-discovery-advertisement",
            options(json!([{"type": 10, "type_name": "target-address-list",
                "addresses": ["2001:db8::1", "2001:db8::2"]}])),
        ),
        (
            "neighbor-solicitation with a registration",
            target(
                json!([{"type": 33, "type_name": "address-registration", "status": 0,
                "status_name": "success", "owner": "020000fffe000001", "lifetime": 3600}]),
            ),
        ),
        (
            "neighbor-solicitation with a signature",
            target(json!([
                {"type": 11, "type_name": "cga", "modifier": "07".repeat(16),
                 "prefix": "2001:db8::", "collision_count": 1, "key": "6b65"},
                {"type": 13, "type_name": "timestamp", "seconds": 0x5f00_0000, "fraction": 0x8000},
                {"type": 14, "type_name": "nonce", "data": "010203040506"},
                {"type": 12, "type_name": "rsa-signature", "key_hash": "09".repeat(16),
                 "signature": "7369676e"}])),
        ),
        (
            "certification-path-solicitation",
            json!({"id": 7, "component": 65535, "options": [
                {"type": 15, "type_name": "trust-anchor", "name_type": 2,
                 "name": r"a\.bcd.e"},
                {"type": 15, "type_name": "trust-anchor", "name_type": 1, "data": "30000000"}]}),
        ),
        (
            "certification-path-advertisement",
            json!({"id": 7, "all_components": 2, "component": 1, "options": [
                {"type": 16, "type_name": "certificate", "certificate_type": 1,
                 "data": "63657274"}]}),
        ),
        ("home-agent-address-discovery-request", json!({"id": 7})),
        (
            "home-agent-address-discovery-reply",
            json!({"id": 7, "home_agents": ["2001:db8::1", "2001:db8::2"]}),
        ),
        ("mobile-prefix-solicitation", json!({"id": 7})),
        (
            "rpl DIO",
            json!({"code_name": "dio", "rpl": {"instance": 30, "version": 240, "rank": 256,
                "grounded": true, "mode": 1, "preference": 3, "trigger": 7,
                "dodag": "2001:db8::1", "options": [
                    {"type": 4, "type_name": "dodag-configuration", "data": "0102"},
                    {"type": 2, "type_name": "dag-metric-container", "data": "09"}]}}),
        ),
        (
            "rpl DAO",
            json!({"code_name": "dao", "rpl": {"instance": 30, "wants_acknowledgement": true,
                "sequence": 241, "dodag": "2001:db8::1", "options": [
                    {"type": 5, "type_name": "rpl-target", "data": "000820"}]}}),
        ),
        (
            "rpl DAO-ACK",
            json!({"code_name": "dao-ack", "rpl": {"instance": 30, "sequence": 241,
                "status": 130, "dodag": "2001:db8::1", "options": []}}),
        ),
        (
            "rpl DAO with a malformed option",
            json!({"code_name": "dao", "rpl": {"instance": 30, "wants_acknowledgement": false,
                "sequence": 241, "options": [
                    {"type": 5, "type_name": "rpl-target", "malformed": true, "data": "0008"}]}}),
        ),
        (
            "rpl secure DIO",
            json!({"code_name": "secure-dio", "rpl": {"data": "010203046d6f7265"}}),
        ),
    ];
    for (name, expected) in table {
        assert_eq!(said(name), expected, "{name}");
    }
    let registered = said("neighbor-advertisement with a registration")["options"].take();
    assert_eq!(
        registered,
        json!([{"type": 33, "type_name": "address-registration", "status": 3,
            "status_name": "moved", "owner": "020000fffe000001020000fffe000001",
            "lifetime": 3600, "transaction_id": 9, "reachable": true, "opaque_kind": 0,
            "opaque": 5}])
    );
    let mobile = said("mobile-prefix-advertisement");
    assert_eq!(
        (
            &mobile["id"],
            &mobile["managed"],
            &mobile["options"][0]["prefix"]
        ),
        (&json!(7), &json!(true), &json!("2001:db8::1"))
    );
    let domain = |name: &str| said(name)["options"][0]["pvd"].take();
    assert_eq!(
        domain("router-advertisement with a domain"),
        json!({"id": "pvd.example", "http": true, "legacy": true, "delay": 1, "sequence": 7,
            "options": [mtu]})
    );
    let inner = domain("router-advertisement with another one in a domain");
    assert_eq!(
        (
            &inner["lifetime"],
            &inner["router_advertisement"]["managed"]
        ),
        (&json!(60), &json!(true))
    );
    assert_eq!(inner["options"][0], mtu);
    // A domain within a domain is to be ignored.
    assert_eq!(inner["options"][1]["malformed"], true);
}

#[test]
fn what_is_special() {
    let ping = Record::of_ipv4(icmpv4(8, 0, [0, 7, 0, 1], &[0; 56]));
    let mut later = Record {
        flags: 2 | 4,
        ..ping.clone()
    };
    later.packet[6..8].copy_from_slice(&[0, 185]);
    let later = parsed(later);
    assert_eq!(
        (&later["fragment_offset"], &later["icmp"]),
        (&json!(1480), &Value::Null)
    );
    let mut bad = ping.clone();
    bad.packet[40] ^= 1;
    assert_eq!(parsed(bad)["checksum"], "bad");
    let short = parsed(Record {
        flags: 4 | 8,
        ..ping.clone()
    });
    assert_eq!(
        (&short["malformed"], &short["checksum"]),
        (&json!(true), &json!("unknown"))
    );
    let cut = parsed(Record {
        flags: 1,
        origlen: Some(1500),
        ..ping.clone()
    });
    assert_eq!(
        (&cut["truncated"], &cut["len"], &cut["caplen"]),
        (&json!(true), &json!(1500), &json!(84))
    );
    let partial = parsed(Record {
        flags: 3 << 8,
        ..ping
    });
    assert_eq!(partial["checksum_state"], "partial");
}

/// What a program does with the lines of `icmptap listen -o json`.
#[test]
fn lines_are_read_back_by_a_program() {
    let ping = with_event(Record::of_ipv4(icmpv4(8, 0, [0, 7, 0, 1], &[])), |event| {
        serde_json::to_string(&event.to_owned()).unwrap()
    });
    let Line::Event(event) = serde_json::from_str(&ping).unwrap() else {
        panic!("{ping}")
    };
    let icmp = event.icmp.expect("a message");
    assert_eq!(
        (event.hook, event.family),
        (Some(Hook::Prerouting), Family::Ipv4)
    );
    assert_eq!(icmp.type_name.as_deref(), Some("echo-request"));
    assert_eq!((icmp.id, icmp.seq), (Some(7), Some(1)));

    let lines = [
        Line::lost(Lost {
            cpu: Cpu(3),
            count: 12,
        }),
        Line::lost_at_the_end(5),
        summary(),
    ];
    for line in lines {
        let text = serde_json::to_string(&line).unwrap();
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
    }
    // A newer version may add keys, and hooks.
    let newer = ping
        .replace("prerouting", "hook9")
        .replace("{\"kind\"", "{\"news\":1,\"kind\"");
    let Line::Event(event) = serde_json::from_str(&newer).unwrap() else {
        panic!("{newer}")
    };
    assert_eq!(event.hook, Some(Hook::Other(9)));
}

/// What only the module knows is left out of another program's, not null.
#[test]
fn an_event_of_another_program_is_read_back() {
    let packet = icmpv4(8, 0, [0, 7, 0, 1], &[]);
    let (metadata, packet) = Metadata::of_packet(5, &packet, 28).unwrap();
    let event = Event::new(&metadata, packet);
    let line = Line::event(&event.as_ref(), |_| None);
    let written = serde_json::to_value(&line).unwrap();
    for key in ["cpu", "seq", "netns", "hook", "mark", "checksum_state"] {
        assert_eq!(written.get(key), None, "{key}");
    }
    assert_eq!(written["icmp"]["id"], 7);
    assert_eq!(serde_json::from_value::<Line>(written).unwrap(), line);
}

#[test]
fn losses_and_counters_are_read_back() {
    let lost = Lost {
        cpu: Cpu(3),
        count: 12,
    };
    let text = serde_json::to_string(&lost).unwrap();
    assert_eq!(text, serde_json::to_string(&Line::lost(lost)).unwrap());
    assert_eq!(serde_json::from_str::<Lost>(&text).unwrap(), lost);
    assert_eq!(
        serde_json::from_str::<Line>(&text).unwrap(),
        Line::lost(lost)
    );

    let mut counters = Counters::default();
    (counters.matched, counters.delivered) = (u64::MAX, 7);
    let text = serde_json::to_string(&counters).unwrap();
    assert_eq!(serde_json::from_str::<Counters>(&text).unwrap(), counters);
    // Of an older version, which did not count everything.
    let older = serde_json::from_str::<Counters>(r#"{"matched":3,"news":1}"#).unwrap();
    assert_eq!((older.matched, older.sampled_out), (3, 0));
}

#[test]
fn a_loss() {
    let lost = Line::lost(Lost {
        cpu: Cpu(3),
        count: 12,
    });
    assert_eq!(
        serde_json::to_string(&lost).unwrap(),
        r#"{"kind":"lost","cpu":3,"count":12}"#
    );
    assert_eq!(
        serde_json::to_string(&Line::lost_at_the_end(5)).unwrap(),
        r#"{"kind":"lost","count":5}"#
    );
}

#[test]
fn the_end_is_a_line_with_the_counters() {
    assert_eq!(
        serde_json::to_value(summary()).unwrap(),
        json!({
            "kind": "summary", "shown": 5, "received": 6,
            "counters": {
                "matched": 21, "delivered": 6, "lost_overrun": 1, "lost_nomem": 2,
                "lost_ratelimit": 12, "queued": 0, "sampled_out": 100,
            },
        })
    );
}

fn summary() -> Line {
    let mut counters = Counters::default();
    (counters.matched, counters.delivered) = (21, 6);
    (counters.lost_overrun, counters.lost_nomem) = (1, 2);
    (counters.lost_ratelimit, counters.sampled_out) = (12, 100);
    Line::summary(5, 6, &counters)
}

/// To accept a change: `UPDATE=1 cargo test -p icmptap-proto --test json`.
#[test]
fn the_schema_is_as_checked_in() {
    let schema = serde_json::to_string_pretty(&json::schema()).unwrap() + "\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/event.schema.json");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, &schema).unwrap();
    }
    let expected = fs::read_to_string(path).unwrap();
    assert!(
        expected == schema,
        "the JSON changed; now its schema is:\n{schema}"
    );
}

/// Finds a line valid if it is as described, and nothing else.
fn validator() -> jsonschema::Validator {
    // Keys may be added, but not here: what is not described is an error.
    let mut schema = serde_json::to_value(json::schema()).unwrap();
    close(&mut schema);
    // These are parts of a line, which has `kind` as well and is closed itself.
    for part in ["Event", "Lost", "Summary"] {
        let part = schema["$defs"][part].as_object_mut().unwrap();
        part.remove("unevaluatedProperties").unwrap();
    }
    jsonschema::validator_for(&schema).unwrap()
}

#[test]
fn lines_are_valid() {
    let validator = validator();
    let assert_valid = |name: &str, line: &Value| {
        let errors: Vec<_> = validator.iter_errors(line).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}\n{line}");
    };
    for (name, record) in messages() {
        assert_valid(name, &parsed(record.clone()));
        let named = with_event(record, |event| {
            serde_json::to_value(Line::event(event, |_| None).with_netns_name(Some(name.into())))
        });
        assert_valid(name, &named.unwrap());
    }
    let lost = Lost {
        cpu: Cpu(3),
        count: 12,
    };
    for (name, line) in [
        ("lost", Line::lost(lost)),
        ("lost at the end", Line::lost_at_the_end(5)),
        ("summary", summary()),
    ] {
        assert_valid(name, &serde_json::to_value(line).unwrap());
    }

    // And the schema is not one that takes anything.
    let ping = parsed(Record::of_ipv4(icmpv4(8, 0, [0, 7, 0, 1], &[])));
    for (key, value) in [
        ("kind", json!("news")),
        ("time_ns", json!("now")),
        ("checksum", json!("fine")),
        ("icmp", json!({"type": 8})),
        ("icmp", Value::Null),
        ("news", json!(1)),
        ("icmp", json!({"type": 8, "code": 0, "mtu": "many"})),
        ("icmp", json!({"type": 8, "code": 0, "news": 1})),
    ] {
        let mut line = ping.clone();
        line[key] = value;
        assert!(!validator.is_valid(&line), "{line}");
    }
}

/// Lets no object have keys that are not described.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.contains_key("properties") {
                object.insert("unevaluatedProperties".to_owned(), false.into());
            }
            object.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

proptest! {
    #[test]
    fn whatever_the_packet_says_the_line_is_valid(
        v6: bool,
        icmp_type: u8,
        // Small numbers are likely lengths and types.
        data in prop::collection::vec(prop_oneof![any::<u8>(), 0u8..10], 4..200),
    ) {
        thread_local!(static VALIDATOR: jsonschema::Validator = validator());
        let rest = [data[0], data[1], data[2], data[3]];
        let record = if v6 {
            Record::of_ipv6(icmpv6(icmp_type, 0, rest, &data[4..]), 40)
        } else {
            Record::of_ipv4(icmpv4(icmp_type % 44, 0, rest, &data[4..]))
        };
        let line = parsed(record);
        prop_assert!(VALIDATOR.with(|validator| validator.is_valid(&line)), "{line}");
    }
}

#[test]
fn text_from_the_wire_is_text() {
    let objects = [(3, 1, &b"e\x1b[31m\\\xff\0\0\0"[..])];
    let record = Record::of_ipv4(icmpv4(42, 0, [0; 4], &testing::extensions(&objects)));
    assert_eq!(
        parsed(record)["icmp"]["extensions"]["objects"][0]["name"],
        r"e\u{1b}[31m\\\xff"
    );
}

#[test]
fn a_v6_packet_may_be_quoted_by_v4_and_the_other_way_round() {
    let v6 = ipv6(address(1), address(2), 17, &testing::UDP);
    let quote = parsed(Record::of_ipv4(icmpv4(3, 3, [0; 4], &v6)))["icmp"]["quote"].take();
    assert_eq!(
        (&quote["src"], &quote["dst_port"]),
        (&json!("2001:db8::1"), &json!(33434))
    );
    let v4 = ipv4([10, 0, 0, 1], [10, 0, 0, 2], 17, &testing::UDP);
    let quote = parsed(Record::of_ipv6(icmpv6(1, 4, [0; 4], &v4), 40))["icmp"]["quote"].take();
    assert_eq!(
        (&quote["src"], &quote["dst_port"]),
        (&json!("10.0.0.1"), &json!(33434))
    );
}
