//! What `icmptap listen -o json` says of a packet, as far as tshark could say it
//! too.

use serde_json::Value;

use super::Fields;

/// What no capture has in it: where and how the packet was tapped.
const OF_THE_TAP: [&str; 10] = [
    "kind", "time", "time_ns", "cpu", "seq", "netns", "hook", "mark", "iif", "oif",
];

/// What the kernel knew, which is not in the packet either.
const OF_THE_KERNEL: &str = "checksum_state";

/// The fields of a line; `None` if it is not of a packet.
pub(super) fn read(line: &Value) -> Option<Fields> {
    if line["kind"] != "event" {
        return None;
    }
    let mut fields = Fields::default();
    for (key, value) in line.as_object()? {
        if !OF_THE_TAP.contains(&key.as_str()) && key != OF_THE_KERNEL {
            flatten(key, value, &mut fields);
        }
    }
    Some(fields)
}

fn flatten(path: &str, value: &Value, fields: &mut Fields) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                // A name beside a number says nothing that the number does not.
                let is_name = key
                    .strip_suffix("_name")
                    .is_some_and(|of| entries.contains_key(of));
                if !is_name {
                    flatten(&format!("{path}.{key}"), value, fields);
                }
            }
        }
        Value::Array(items) => {
            for (nth, value) in items.iter().enumerate() {
                flatten(&format!("{path}.{nth}"), value, fields);
            }
        }
        Value::String(text) => fields.put(path, text),
        value => fields.put(path, value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_packet_says_and_no_more() {
        let line = json!({
            "kind": "event", "time_ns": 5, "iif": {"index": 2}, "checksum_state": "none",
            "src": "10.0.0.1", "truncated": false,
            "icmp": {
                "type": 3, "type_name": "x", "code": 0, "interface_name": "eth0",
                "list": [{"a": 1}, {"a": 2}], "none": [],
            },
        });
        let mut expected = Fields::default();
        for (key, value) in [
            ("src", "10.0.0.1"),
            ("truncated", "false"),
            ("icmp.type", "3"),
            ("icmp.code", "0"),
            ("icmp.interface_name", "eth0"),
            ("icmp.list.0.a", "1"),
            ("icmp.list.1.a", "2"),
        ] {
            expected.put(key, value);
        }
        assert_eq!(read(&line), Some(expected));
        assert_eq!(read(&json!({"kind": "lost", "cpu": 0, "count": 1})), None);
    }
}
