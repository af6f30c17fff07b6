//! `icmptap subscriptions`: who listens, to what, and what became of it.

use std::io::{self, Write};

use icmptap::{Client, TypeSet, reply};
use serde::Serialize;

use crate::{
    args::{Format, Subscriptions as Args},
    counters,
    interfaces::{Interfaces, Names, escaped, netns_word},
    output::{bytes, json_lines, print, table},
    parameters::special,
};

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let subscriptions = Client::open()?.subscriptions(args.all_netns)?;
    let mut names = Interfaces::new(false);
    print(|out| match args.output {
        Format::Text => text(out, &subscriptions, &mut names),
        Format::Json => json_lines(
            out,
            subscriptions
                .iter()
                .map(|subscription| Line::new(subscription, &mut names)),
        ),
    })
    .map(drop)
}

/// A line of `icmptap subscriptions -o json`.
#[derive(Debug, Serialize)]
struct Line {
    /// The process that subscribed; missing if it cannot be seen from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    /// That process's name.
    command: String,
    /// Inode number of the socket's network namespace.
    netns: u32,
    /// Its name among those of `ip netns`.
    #[serde(skip_serializing_if = "Option::is_none")]
    netns_name: Option<String>,
    /// The socket's netlink port id.
    port: u32,
    /// `generic` or `imp2`.
    protocol: String,
    hooks: Vec<String>,
    families: Vec<String>,
    /// Types of ICMP; missing: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_types: Option<Vec<u8>>,
    /// Types of ICMPv6; missing: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    icmpv6_types: Option<Vec<u8>>,
    /// The interface packets come in or leave by; missing: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<Interface>,
    /// Instructions of the filter; 0: none.
    filter_len: u32,
    /// Bytes.
    snaplen: u32,
    /// Bytes.
    batch: u32,
    /// Microseconds.
    flush_us: u32,
    /// One packet in so many is taken.
    sample: u32,
    /// Events per second at most; 0: no limit.
    rate: u32,
    /// `accept` or `drop`.
    verdict: String,
    /// It sees every network namespace.
    all_netns: bool,
    /// No other has it until the module is unloaded; missing: the module is too old to
    /// tell, as are `bytes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    /// Of memory kept for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// Hooks that other network namespaces refused it.
    taps_missing: u32,
    counters: reply::Counters,
}

#[derive(Debug, Serialize)]
struct Interface {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

impl Line {
    fn new(subscription: &reply::SubscriptionInfo, names: &mut dyn Names) -> Self {
        let parameters = &subscription.parameters;
        let some = |set: &TypeSet| (*set != TypeSet::ALL).then(|| set.iter().collect());
        Self {
            pid: subscription.pid.map(|pid| pid.0),
            command: escaped(&subscription.command),
            netns: subscription.netns.0,
            netns_name: names.netns(subscription.netns).map(|name| escaped(&name)),
            port: subscription.port.0,
            protocol: subscription.protocol.to_string(),
            hooks: parameters
                .hooks
                .iter()
                .map(|hook| hook.to_string())
                .collect(),
            families: parameters
                .families
                .iter()
                .map(|family| family.to_string())
                .collect(),
            icmp_types: some(&parameters.icmp_types),
            icmpv6_types: some(&parameters.icmpv6_types),
            interface: parameters.interface.map(|index| Interface {
                index: index.0,
                name: names
                    .name(subscription.netns, index)
                    .map(|name| escaped(&name)),
            }),
            filter_len: parameters.filter_len,
            snaplen: parameters.snaplen.0,
            batch: parameters.batch.0,
            flush_us: parameters.flush_interval.us,
            sample: parameters.sampling.one_in,
            rate: parameters.rate_limit.per_second,
            verdict: parameters.verdict.to_string(),
            all_netns: parameters.all_netns,
            id: subscription.id.map(|id| id.0),
            bytes: subscription.bytes,
            taps_missing: subscription.taps_missing,
            counters: subscription.counters,
        }
    }
}

fn text(
    out: &mut dyn Write,
    subscriptions: &[reply::SubscriptionInfo],
    names: &mut dyn Names,
) -> io::Result<()> {
    let headings = [
        &["pid", "command", "netns", "protocol", "hooks", "families"][..],
        &counters::HEADINGS,
        &["bytes", "special"],
    ]
    .concat();
    let rows: Vec<Vec<String>> = subscriptions
        .iter()
        .map(|subscription| {
            let parameters = &subscription.parameters;
            let mut row = vec![
                subscription
                    .pid
                    .map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
                escaped(&subscription.command),
                netns_word(names, subscription.netns),
                subscription.protocol.to_string(),
                parameters.hooks.to_string(),
                parameters.families.to_string(),
            ];
            row.extend(counters::cells(&subscription.counters));
            row.push(bytes(subscription.bytes));
            row.push(special(parameters, |index| {
                names.name(subscription.netns, index)
            }));
            row
        })
        .collect();
    table(out, &headings, &rows)?;
    for subscription in subscriptions {
        match subscription.taps_missing {
            0 => {}
            count => writeln!(
                out,
                "the one of {} at port {} does not hear everything: other network namespaces \
                 refused {count} of its hooks",
                escaped(&subscription.command),
                subscription.port,
            )?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use icmptap_proto::{nlmsg, testing};
    use serde_json::{Value, json};

    use super::*;
    use crate::{counters::tests::some, text::tests::Fixed};

    fn subscription() -> reply::SubscriptionInfo {
        let bytes = testing::subscription(1, &some());
        let message = nlmsg::messages(&bytes).next().unwrap().unwrap();
        let mut subscription =
            reply::SubscriptionInfo::decode(&message.generic().unwrap()).unwrap();
        subscription.parameters.icmp_types = [8].into_iter().collect();
        subscription.parameters.interface = Some(icmptap::IfIndex(2));
        subscription
    }

    #[test]
    fn as_text() {
        let mut unseen = subscription();
        unseen.pid = None;
        unseen.command = "a\n\u{1b}b".to_owned();
        (unseen.bytes, unseen.taps_missing) = (None, 0);
        let mut out = Vec::new();
        text(&mut out, &[subscription(), unseen], &mut Fixed).unwrap();
        let out = String::from_utf8(out).unwrap();
        let lines: Vec<Vec<&str>> = out
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            lines[1].join(" "),
            "42 icmptap 4026531840 generic prerouting ipv4 21 6 1 2 4 8 100 \
             33000 icmp types echo-request, interface eth0"
        );
        assert_eq!(lines[2][..3], ["-", "a\\n\\u{1b}b", "4026531840"]);
        assert_eq!(lines[2][13..15], ["not", "told"]);
        assert_eq!(
            lines[3].join(" "),
            "the one of icmptap at port 4200 does not hear everything: other network \
             namespaces refused 3 of its hooks"
        );
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn json_is_escaped_as_well() {
        let mut odd = subscription();
        odd.command = "a\u{1b}b".to_owned();
        odd.parameters.interface = Some(icmptap::IfIndex(4));
        let line = serde_json::to_value(Line::new(&odd, &mut Fixed)).unwrap();
        assert_eq!(line["command"], r"a\u{1b}b");
        assert_eq!(line["interface"]["name"], r"a\u{1b}[31m\u{202e}b");
    }

    #[test]
    fn as_json() {
        let mut out = Vec::new();
        json_lines(&mut out, [Line::new(&subscription(), &mut Fixed)]).unwrap();
        let line: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            line,
            json!({
                "pid": 42, "command": "icmptap", "netns": 4_026_531_840u32, "port": 4200,
                "protocol": "generic", "hooks": ["prerouting"], "families": ["ipv4"],
                "icmp_types": [8], "interface": {"index": 2, "name": "eth0"},
                "filter_len": 0, "snaplen": 576, "batch": 3776, "flush_us": 1000,
                "sample": 1, "rate": 0, "verdict": "accept", "all_netns": false,
                "id": 7, "bytes": 33_000, "taps_missing": 3,
                "counters": {
                    "matched": 21, "delivered": 6, "lost_overrun": 1, "lost_nomem": 2,
                    "lost_ratelimit": 4, "queued": 8, "sampled_out": 100,
                },
            })
        );
    }
}
