//! The command `icmptap listen`, run beside a test, and what it prints.

use serde_json::Value;

use crate::net::Namespace;
use crate::process::Process;

/// Starts `icmptap listen` and waits until it does.
pub fn listen(namespace: &Namespace, arguments: &str) -> Process {
    let process = Process::start(namespace.command(&format!("icmptap listen {arguments}")));
    process.wait_for("listening on ");
    process
}

/// The last line of stderr, which has the counters.
pub fn last(stderr: &[String]) -> &str {
    stderr.last().map_or("", String::as_str)
}

/// What `-o json` printed, line by line.
pub fn json(lines: &[String]) -> Vec<Value> {
    let parse = |line: &String| {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
    };
    lines.iter().map(parse).collect()
}

/// Checks what who reads stdout alone can: each packet that was matched has a line, is
/// told to be lost, or was received and not wanted. Returns the last line.
pub fn audited(lines: &[String]) -> Value {
    let lines = json(lines);
    let (summary, before) = lines.split_last().expect("a summary");
    assert_eq!(summary["kind"], "summary", "{summary}");
    let number = |value: &Value| value.as_u64().expect("a number");
    let shown = before.iter().filter(|line| line["kind"] == "event").count() as u64;
    let lost = before.iter().filter(|line| line["kind"] == "lost");
    let lost: u64 = lost.map(|line| number(&line["count"])).sum();
    let counters = &summary["counters"];
    let of_counters = ["lost_overrun", "lost_nomem", "lost_ratelimit"];
    let of_counters: u64 = of_counters.iter().map(|key| number(&counters[key])).sum();
    assert_eq!(lost, of_counters, "{summary}");
    assert_eq!(shown, number(&summary["shown"]), "{summary}");
    assert_eq!(
        number(&counters["matched"]),
        number(&summary["received"]) + lost,
        "{summary}"
    );
    summary.clone()
}
