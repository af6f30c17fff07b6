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
