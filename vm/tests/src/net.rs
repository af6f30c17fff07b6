//! Network namespaces and the wires between them.

use std::fs::{self, File};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{panic, process, thread};

use rustix::fd::AsFd;
use rustix::thread::{
    CapabilitySet, LinkNameSpaceType, capabilities, move_into_link_name_space, set_capabilities,
};

use crate::process::{command, run, succeed, succeed_with, wait_until};
use crate::sys;

/// A network namespace, deleted with its last process when dropped.
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// A new one, with nothing but `lo`, which is up. Without IPv6, which has
    /// much to say by itself: see [`enable_ipv6`](Self::enable_ipv6).
    #[expect(clippy::new_without_default, reason = "it makes a thing in the kernel")]
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let nth = COUNT.fetch_add(1, Ordering::Relaxed);
        let namespace = Self {
            name: format!("t{}-{nth}", process::id()),
        };
        run(&format!("ip netns add {}", namespace.name));
        namespace.set_ipv6(false);
        namespace.ip("link set lo up");
        namespace
    }

    /// Turns IPv6 on, for the interfaces that are here and those to come.
    pub fn enable_ipv6(&self) {
        self.set_ipv6(true);
    }

    fn set_ipv6(&self, on: bool) {
        self.enter(|| {
            for which in ["all", "default"] {
                let path = format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6");
                fs::write(&path, if on { "0" } else { "1" })
                    .unwrap_or_else(|error| panic!("{path}: {error}"));
            }
        });
    }

    /// A [`Command`] that runs in here, from words divided by spaces.
    pub fn command(&self, words: &str) -> Command {
        command(&format!("ip netns exec {} {words}", self.name))
    }

    /// Runs `words` in here to their end, which has to be a success; returns
    /// stdout.
    pub fn run(&self, words: &str) -> String {
        succeed(&mut self.command(words))
    }

    /// Runs a function in here, on a thread of its own. Sockets that it makes
    /// stay in here.
    pub fn enter<T: Send>(&self, function: impl FnOnce() -> T + Send) -> T {
        let result = thread::scope(|scope| {
            scope
                .spawn(|| {
                    move_into_link_name_space(
                        self.file().as_fd(),
                        Some(LinkNameSpaceType::Network),
                    )
                    .expect("setns");
                    function()
                })
                .join()
        });
        result.unwrap_or_else(|panic| panic::resume_unwind(panic))
    }

    /// As [`enter`](Self::enter), without the right to change anything in here.
    pub fn enter_unprivileged<T: Send>(&self, function: impl FnOnce() -> T + Send) -> T {
        self.enter(|| {
            // Of this thread only; the others keep theirs.
            let mut sets = capabilities(None).expect("capget");
            sets.effective.remove(CapabilitySet::NET_ADMIN);
            set_capabilities(None, sets).expect("capset");
            function()
        })
    }

    /// Runs `ip` in here, once for all lines.
    pub fn ip(&self, lines: &str) {
        let mut command = command(&format!("ip -netns {} -batch -", self.name));
        succeed_with(&mut command, lines);
    }

    /// What `ip -json link show` says of an interface in here, by its key.
    pub fn link(&self, interface: &str, key: &str) -> String {
        let links = self.run(&format!("ip -json link show {interface}"));
        let links: serde_json::Value = serde_json::from_str(&links).expect("JSON");
        match &links[0][key] {
            serde_json::Value::String(text) => text.clone(),
            value => value.to_string(),
        }
    }

    /// The inode number by which the kernel names it.
    pub fn inode(&self) -> u64 {
        self.file().metadata().expect("stat").ino()
    }

    fn file(&self) -> File {
        let path = format!("/run/netns/{}", self.name);
        File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // No panic within a panic; what is left over ends with the guest.
        let _ = command(&format!("ip netns del {}", self.name)).status();
    }
}

/// Moves this thread into a namespace without a name, which lives no longer than
/// it, or says why not. What the kernel does for it, it does within the call.
pub fn try_new_namespace() -> rustix::io::Result<()> {
    sys::new_network_namespace()
}

/// Two namespaces and a veth pair between them, `eth0` at both ends.
pub struct Wire {
    /// Has [`Wire::LEFT`].
    pub left: Namespace,
    /// Has [`Wire::RIGHT`].
    pub right: Namespace,
}

impl Wire {
    /// The address of the left end, in a /24 with the right end's.
    pub const LEFT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    /// The address of the right end.
    pub const RIGHT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
    /// The IPv6 address of the left end, for those who give it one.
    pub const LEFT6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
    /// The IPv6 address of the right end, for those who give it one.
    pub const RIGHT6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);

    /// A new one, with both ends up. They know each other's link address: a
    /// flood that waits for it would lose what the kernel cannot hold.
    #[expect(clippy::new_without_default, reason = "it makes things in the kernel")]
    pub fn new() -> Self {
        let wire = Self {
            left: Namespace::new(),
            right: Namespace::new(),
        };
        wire.connect()
    }

    /// The same with IPv6, and addresses of both families.
    pub fn with_ipv6() -> Self {
        let wire = Self {
            left: Namespace::new(),
            right: Namespace::new(),
        };
        wire.left.enable_ipv6();
        wire.right.enable_ipv6();
        let wire = wire.connect();
        for (namespace, address) in [(&wire.left, Self::LEFT6), (&wire.right, Self::RIGHT6)] {
            namespace.ip(&format!("addr add {address}/64 dev eth0 nodad"));
        }
        wire
    }

    fn connect(self) -> Self {
        connect(
            (&self.left, "eth0", Self::LEFT),
            (&self.right, "eth0", Self::RIGHT),
        );
        for (from, to, address) in [
            (&self.left, &self.right, Self::RIGHT),
            (&self.right, &self.left, Self::LEFT),
        ] {
            let link = to.link("eth0", "address");
            from.ip(&format!(
                "neigh add {address} lladdr {link} nud permanent dev eth0"
            ));
        }
        self
    }
}

/// One end of a wire: where, the interface's name, its address (a /24).
pub type End<'a> = (&'a Namespace, &'a str, Ipv4Addr);

/// Joins two namespaces by a veth pair.
pub fn connect(one: End<'_>, two: End<'_>) {
    run(&format!(
        "ip link add {} netns {} type veth peer name {} netns {}",
        one.1, one.0.name, two.1, two.0.name
    ));
    for (namespace, interface, address) in [one, two] {
        namespace.ip(&format!(
            "addr add {address}/24 dev {interface}\nlink set {interface} up\n"
        ));
    }
}

/// Waits until what was sent has arrived: packets queue for a busy CPU before
/// they reach any hook.
pub fn settle() {
    wait_until("what was sent has arrived", || {
        let waiting = backlog();
        // The last one may be on its way between queue and hook.
        thread::sleep(Duration::from_millis(10));
        waiting == 0 && backlog() == 0
    });
}

/// Packets that wait for a CPU, on all of them: `softnet_backlog_len` in the
/// kernel's `net/core/net-procfs.c`.
fn backlog() -> u32 {
    let text = fs::read_to_string("/proc/net/softnet_stat").expect("softnet_stat");
    text.lines()
        .map(|line| line.split_whitespace().nth(11).expect("twelve columns"))
        .map(|length| u32::from_str_radix(length, 16).expect("hexadecimal"))
        .sum()
}
