//! What `cargo xtask demo` shows: a client, a router and a server, each in a
//! network namespace; what the client does, and the ICMP messages that come of
//! it, as `icmptap listen` prints them at the client and at the server.
//!
//! In a package of its own, with few others: it is the first that somebody sees, and
//! waits for.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// After this long nothing more comes of what the client did.
const QUIET: Duration = Duration::from_millis(400);

/// How long a listener may take to begin.
const PATIENCE: Duration = Duration::from_secs(60);

/// For `ip`: who there is, and how they are joined. Without IPv6, whose neighbour
/// discovery would be among the rest.
const PLACES: &str = "netns add client
netns add router
netns add server
netns exec client sysctl -q -w net.ipv6.conf.default.disable_ipv6=1
netns exec router sysctl -q -w net.ipv6.conf.default.disable_ipv6=1
netns exec server sysctl -q -w net.ipv6.conf.default.disable_ipv6=1
link add eth0 netns client type veth peer name eth0 netns router
link add eth1 netns router type veth peer name eth0 netns server
-n client addr add 10.0.0.1/24 dev eth0
-n router addr add 10.0.0.254/24 dev eth0
-n router addr add 10.0.1.254/24 dev eth1
-n server addr add 10.0.1.2/24 dev eth0
-n client link set eth0 up
-n router link set eth0 up
-n router link set eth1 mtu 1300 up
-n server link set eth0 up
-n client route add default via 10.0.0.254
-n server route add default via 10.0.1.254
netns exec router sysctl -q -w net.ipv4.ip_forward=1";

/// What the client does, why, and how many messages come of it at least.
const SCENES: [(&str, &str, usize); 5] = [
    (
        "Echo through the router, there and back",
        "ping -c 2 -i 0.2 10.0.1.2",
        4,
    ),
    (
        "A port where nobody listens",
        "traceroute -n -q 1 -f 2 -m 2 10.0.1.2",
        1,
    ),
    (
        "A TTL that ends at the router",
        "ping -c 1 -W 1 -t 1 10.0.1.2",
        1,
    ),
    (
        "A packet too big for the server's link",
        "ping -c 1 -W 1 -M do -s 1400 10.0.1.2",
        1,
    ),
    ("A network that nobody knows", "ping -c 1 -W 1 192.0.2.1", 1),
];

fn main() -> Result<ExitCode> {
    for words in PLACES.lines() {
        let output = ip(words).output().context("run ip")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "ip {words}: {said}");
    }
    println!("client 10.0.0.1  <->  router, mtu 1300 behind it  <->  10.0.1.2 server");
    let listeners = [Listener::start("client")?, Listener::start("server")?];

    let mut silent = 0;
    for (what, words, expected) in SCENES {
        println!("\n{what}\n$ {words}");
        // That it fails is what most of them are for.
        ip(&format!("netns exec client {words}"))
            .output()
            .with_context(|| format!("run {words}"))?;
        let mut lines: Vec<String> = Vec::new();
        for listener in &listeners {
            while let Ok(line) = listener.stdout.recv_timeout(QUIET) {
                lines.push(format!("{line}   <- seen by the {}", listener.place));
            }
        }
        // Each begins with its time.
        lines.sort();
        for line in &lines {
            println!("  {line}");
        }
        let shown = lines.len();
        if shown < expected {
            println!("  {shown} messages, at least {expected} were expected");
            silent += 1;
        }
    }

    println!();
    for listener in listeners {
        let place = listener.place;
        println!("{place}: {}", listener.end()?);
    }
    Ok(ExitCode::from(silent))
}

/// iproute2's, and not the shell's own.
fn ip(words: &str) -> Command {
    let mut command = Command::new("/bin/ip");
    command.args(words.split_whitespace());
    command
}

/// `icmptap listen` in a network namespace.
struct Listener {
    place: &'static str,
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Listener {
    /// On return it listens.
    fn start(place: &'static str) -> Result<Self> {
        let mut command = ip(&format!("netns exec {place} icmptap listen"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("run icmptap listen")?;
        let stdout = lines(child.stdout.take().context("a pipe")?);
        let stderr = lines(child.stderr.take().context("a pipe")?);
        let listener = Self {
            place,
            child,
            stdout,
            stderr,
        };
        let mut said = String::new();
        loop {
            match listener.stderr.recv_timeout(PATIENCE) {
                Ok(line) if line.contains("listening on") => return Ok(listener),
                Ok(line) => said.push_str(&(line + "\n")),
                Err(_) => bail!("icmptap listen does not listen at the {place}: {said}"),
            }
        }
    }

    /// Ends it as Ctrl-C does; what it says of its counters.
    fn end(mut self) -> Result<String> {
        kill_process(Pid::from_child(&self.child), Signal::INT).context("end icmptap listen")?;
        let status = self.child.wait().context("wait for icmptap listen")?;
        let said: Vec<_> = self.stderr.iter().collect();
        ensure!(status.success(), "icmptap listen: {status}: {said:?}");
        said.last().cloned().context("it told no counters")
    }
}

/// Line by line, as they come.
fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut lines = BufReader::new(from).lines();
        while let Some(Ok(line)) = lines.next() {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}
