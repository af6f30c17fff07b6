//! Events as lines of text, against what they have to be.

use icmptap_proto::{
    IfIndex, Netns,
    event::{Batch, Event, EventRef, Metadata},
    icmp::Icmp,
    nlmsg,
    sequence::Lost,
    testing::{self, Record, extended, icmpv4, icmpv6, ipv4, messages},
    text,
};

fn with_event<R>(record: Record, f: impl FnOnce(&EventRef<'_>) -> R) -> R {
    let bytes = testing::events(1, 41, 0, &[record]);
    let message = nlmsg::messages(&bytes).next().unwrap().unwrap();
    let batch = Batch::decode(&message.generic().unwrap()).unwrap();
    let event = batch.events().next().unwrap().unwrap();
    f(&event)
}

/// The message alone.
fn text(record: Record) -> String {
    with_event(record, |event| {
        event
            .icmp()
            .map_or_else(String::new, |icmp| icmp.to_string())
    })
}

#[test]
fn every_kind_of_message() {
    let messages = messages();
    let udp = "for 10.0.0.1:5000 > 10.0.0.2:33434 udp";
    let udp_v6 = "for [2001:db8::1]:5000 > [2001:db8::2]:33434 udp";
    let table = [
        (
            "fragmentation-needed",
            "destination-unreachable fragmentation-needed mtu 1300 \
             for 10.0.0.1:5000 > 10.0.0.2:443 tcp seq 12345",
        ),
        (
            "time-exceeded with MPLS labels",
            &format!("time-exceeded ttl mpls 1234 {udp}"),
        ),
        (
            "time-exceeded with interface",
            &format!("time-exceeded ttl incoming interface eth0 index 3 10.0.0.9 mtu 1500 {udp}"),
        ),
        (
            "time-exceeded with an unknown object",
            &format!("time-exceeded ttl extension class-9 type 4 {udp}"),
        ),
        (
            "v4 router-advertisement",
            "router-advertisement lifetime 1800 router 10.0.0.1 preference 5 \
             router 10.0.0.2 preference -2147483648",
        ),
        ("address-mask", "address-mask-request id 7 seq 1"),
        (
            "address-mask-reply",
            "address-mask-reply id 7 seq 1 mask 255.255.255.0",
        ),
        (
            "extended-echo-request by name",
            "extended-echo-request id 7 seq 1 local interface eth0",
        ),
        (
            "extended-echo-request by index",
            "extended-echo-request id 7 seq 1 local interface index 3",
        ),
        (
            "extended-echo-request by address",
            "extended-echo-request id 7 seq 1 local interface 10.0.0.1",
        ),
        (
            "extended-echo-request by MAC address",
            "extended-echo-request id 7 seq 1 interface of another address family",
        ),
        (
            "extended-echo-reply",
            "extended-echo-reply id 7 seq 1 reachable active ipv4 ipv6",
        ),
        (
            "extended-echo-reply that refuses",
            "extended-echo-reply no-such-interface id 7 seq 1",
        ),
        ("v6 echo-request", "echo-request id 7 seq 1"),
        (
            "v6 port-unreachable with MPLS labels",
            &format!("destination-unreachable port-unreachable mpls 1234,354 {udp_v6}"),
        ),
        (
            "v6 packet-too-big",
            "packet-too-big mtu 1280 \
             for [2001:db8::1]:5000 > [2001:db8::2]:443 tcp seq 12345",
        ),
        (
            "v6 time-exceeded",
            "time-exceeded hop-limit \
             for 2001:db8::1 > 2001:db8::2 icmpv6 echo-request id 7 seq 9",
        ),
        (
            "v6 reassembly",
            "time-exceeded reassembly \
             for 2001:db8::1 > 2001:db8::2 udp fragment offset 1448",
        ),
        (
            "v6 parameter-problem",
            &format!("parameter-problem unrecognized-next-header pointer 40 {udp_v6}"),
        ),
        (
            "router-solicitation",
            "router-solicitation lladdr 02:00:00:00:00:01",
        ),
        (
            "router-advertisement",
            "router-advertisement lifetime 1800 managed other preference high \
             lladdr 02:00:00:00:00:01 mtu 1500 prefix 2001:db8::/64 \
             route 2001:db8::/48 preference high dns 2001:db8::1,2001:db8::2 \
             search example.org,lan captive-portal https://example.org/api \
             pref64 64:ff9b::/96 nonce",
        ),
        (
            "neighbor-solicitation",
            "neighbor-solicitation target 2001:db8::2 lladdr 02:00:00:00:00:01",
        ),
        (
            "neighbor-advertisement",
            "neighbor-advertisement target 2001:db8::2 router solicited override \
             lladdr 02:00:00:00:00:01",
        ),
        (
            "v6 redirect",
            &format!(
                "redirect target 2001:db8::1 destination 2001:db8::2 \
                 lladdr 02:00:00:00:00:01 {udp_v6}"
            ),
        ),
        (
            "MLDv1 query",
            "multicast-listener-query max-response 10000 ms",
        ),
        (
            "MLDv2 query",
            "multicast-listener-query group 2001:db8::fb max-response 65552 ms \
             sources 2001:db8::1",
        ),
        (
            "MLDv1 report",
            "multicast-listener-report group 2001:db8::fb",
        ),
        (
            "MLDv2 report",
            "version-2-multicast-listener-report change-to-exclude-mode 2001:db8::fb \
             mode-is-include 2001:db8::fb sources 2001:db8::1,2001:db8::1",
        ),
        ("an unknown type", "type-77 code 5"),
        (
            "time-exceeded with a length in bytes and no checksum",
            &format!("time-exceeded ttl mpls 1234 {udp}"),
        ),
        (
            "time-exceeded with more behind its quote",
            &format!("time-exceeded ttl trailing 6d6f7265 {udp}"),
        ),
        (
            "time-exceeded about nothing",
            "time-exceeded ttl trailing 6e6f207061636b6574",
        ),
        (
            "time-exceeded with a malformed object",
            &format!("time-exceeded ttl malformed extension mpls-label-stack type 1 000000 {udp}"),
        ),
        (
            "time-exceeded with an interface that is not IP",
            &format!(
                "time-exceeded ttl outgoing interface index 7 \
                 address-family 16389 020000000001 {udp}"
            ),
        ),
        (
            "time-exceeded about a timestamp-reply",
            "time-exceeded ttl for 10.0.0.1 > 10.0.0.2 icmp timestamp-reply id 7 seq 9 \
             originate 1 receive 2 transmit 3",
        ),
        (
            "time-exceeded about an error",
            &format!(
                "time-exceeded ttl for 10.0.0.1 > 10.0.0.2 icmp \
                 destination-unreachable port-unreachable {udp}"
            ),
        ),
        (
            "time-exceeded behind AH",
            &format!("time-exceeded ttl {udp}"),
        ),
        (
            "router-advertisement with malformed options",
            &format!(
                "router-advertisement lifetime 1800 malformed prefix-information {} \
                 malformed mtu {} malformed recursive-dns-server {} \
                 malformed dns-search-list {} malformed pref64 {} \
                 malformed source-link-layer-address",
                "40".repeat(38),
                "00".repeat(14),
                "00".repeat(6),
                "00".repeat(6),
                "00".repeat(22)
            ),
        ),
        (
            "a query of 26 bytes",
            &format!("multicast-listener-query malformed 2710{}", "00".repeat(20)),
        ),
        (
            "inverse-neighbor-discovery-solicitation",
            "inverse-neighbor-discovery-solicitation lladdr 02:02:02:02:02:02 \
             source-address-list addresses 2001:db8::1,2001:db8::2",
        ),
        (
            "neighbor-advertisement with a registration",
            "neighbor-advertisement target 2001:db8::2 address-registration moved \
             owner 020000fffe000001020000fffe000001 lifetime 60 min transaction 9",
        ),
        (
            "neighbor-solicitation with a signature",
            "neighbor-solicitation target 2001:db8::2 cga timestamp 1593835520 nonce \
             rsa-signature",
        ),
        (
            "router-advertisement with a domain",
            "router-advertisement lifetime 1800 pvd pvd.example sequence 7 [ mtu 1280 ]",
        ),
        (
            "certification-path-solicitation",
            r"certification-path-solicitation id 7 component 65535 trust-anchor a\.bcd.e trust-anchor",
        ),
        (
            "certification-path-advertisement",
            "certification-path-advertisement id 7 component 1 of 2 certificate",
        ),
        (
            "home-agent-address-discovery-reply",
            "home-agent-address-discovery-reply id 7 agents 2001:db8::1,2001:db8::2",
        ),
        (
            "mobile-prefix-advertisement",
            "mobile-prefix-advertisement id 7 managed prefix 2001:db8::1/64",
        ),
        (
            "rpl DIO",
            "rpl-control dio instance 30 rank 256 dodag 2001:db8::1 dodag-configuration \
             dag-metric-container",
        ),
        (
            "rpl DAO with a malformed option",
            "rpl-control dao instance 30 sequence 241 malformed rpl-target 0008",
        ),
        (
            "rpl DAO-ACK",
            "rpl-control dao-ack instance 30 sequence 241 status 130 dodag 2001:db8::1",
        ),
    ];
    for (name, expected) in table {
        let record = messages.iter().find(|(found, _)| *found == name);
        let (_, record) = record.unwrap_or_else(|| panic!("no message {name}"));
        assert_eq!(text(record.clone()), expected, "{name}");
    }
}

#[test]
fn a_bad_checksum_of_extensions_is_said() {
    let quote = ipv4([10, 0, 0, 1], [10, 0, 0, 2], 99, &[]);
    let mut data = extended(&quote, &[(1, 1, &[0; 4])]);
    data[132] ^= 1;
    let record = Record::of_ipv4(icmpv4(11, 0, [0, 32, 0, 0], &data));
    assert!(text(record).contains(" bad-extensions-checksum for "));
}

#[test]
fn a_usual_pointer_needs_no_code() {
    let record = Record::of_ipv6(icmpv6(4, 0, [0, 0, 0, 6], &[]), 40);
    assert_eq!(text(record), "parameter-problem pointer 6");
}

#[test]
fn it_is_one_line_whatever_the_packet_says() {
    for (name, record) in messages() {
        let text = text(record);
        assert!(!text.contains(char::is_control), "{name}: {text:?}");
    }
    let name = [(3, 1, &b"a\nb\x1b[2J"[..])];
    let data = testing::extensions(&name);
    let record = Record::of_ipv4(icmpv4(42, 0, [0, 7, 1, 0], &data));
    assert_eq!(
        text(record),
        r"extended-echo-request id 7 seq 1 interface a\nb\u{1b}[2J"
    );
}

#[test]
fn an_event_is_a_line() {
    let record = || Record {
        oif: 9,
        hook: 2,
        ..Record::of_ipv4(icmpv4(8, 0, [0, 7, 0, 1], &[0; 56]))
    };
    let rest = "forward 10.0.0.1 > 10.0.0.2 echo-request id 7 seq 1 len 84";
    let [borrowed, owned] = with_event(record(), |event| {
        [event.to_string(), event.to_owned().to_string()]
    });
    assert_eq!(borrowed, format!("if2>if9 {rest}"));
    assert_eq!(owned, borrowed);

    struct Marked;
    impl text::Style for Marked {
        fn interface(&mut self, _: Netns, index: IfIndex) -> Option<String> {
            (index.0 == 2).then(|| "a\n".to_owned())
        }
        fn message(&mut self, _: &Icmp<'_>) -> (&'static str, &'static str) {
            ("<", ">")
        }
        fn defect(&mut self) -> (&'static str, &'static str) {
            ("!", "?")
        }
    }
    let mut bad = record();
    bad.packet[40] ^= 1;
    let mut line = String::new();
    with_event(bad, |event| {
        text::write_event(&mut line, event, &mut Marked)
    })
    .unwrap();
    assert_eq!(
        line,
        r"a\n>if9 forward 10.0.0.1 > 10.0.0.2 <echo-request id 7 seq 1> len 84 !bad-checksum?"
    );
    let lost = Lost {
        cpu: icmptap_proto::Cpu(3),
        count: 12,
    };
    assert_eq!(lost.to_string(), "12 lost on cpu 3");
}

/// Another program knows no hook, and its file at best the name of an interface.
#[test]
fn an_event_of_another_program_has_no_hook() {
    struct CapturedOn(Option<&'static str>);
    impl text::Style for CapturedOn {
        fn interface(&mut self, _: Netns, _: IfIndex) -> Option<String> {
            panic!("there is no network namespace to ask in")
        }
        fn captured_on(&mut self) -> Option<String> {
            self.0.map(str::to_owned)
        }
    }
    let packet = icmpv4(8, 0, [0, 7, 0, 1], &[]);
    let (metadata, packet) = Metadata::of_packet(0, &packet, 28).unwrap();
    for (name, iif, start) in [
        (None, None, "-"),
        (None, Some(IfIndex(3)), "if3"),
        (Some("en0\n"), Some(IfIndex(3)), r"en0\n"),
    ] {
        let metadata = Metadata { iif, ..metadata };
        let event = Event::new(&metadata, packet);
        let mut line = String::new();
        text::write_event(&mut line, &event.as_ref(), &mut CapturedOn(name)).unwrap();
        let rest = "- 10.0.0.1 > 10.0.0.2 echo-request id 7 seq 1 len 28";
        assert_eq!(line, format!("{start} {rest}"));
    }
}
