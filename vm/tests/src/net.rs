//! Network namespaces and the wires between them.
//!
//! Made by system calls and rtnetlink: a slow kernel takes longer to start `ip`
//! than for all that `ip` then does, and each test makes several of them.

use std::fs::{self, File};
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::pin::pin;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use std::{panic, process, thread};

use futures_core::Stream;
use rtnetlink::packet_route::address::AddressHeaderFlags;
use rtnetlink::packet_route::link::{InfoData, InfoVeth, LinkAttribute};
use rtnetlink::{Handle, LinkUnspec, LinkVeth};
use rustix::fd::AsFd;
use rustix::mount::{UnmountFlags, mount_bind, unmount};
use rustix::net::netdevice::name_to_index;
use rustix::thread::{
    CapabilitySet, LinkNameSpaceType, capabilities, move_into_link_name_space, set_capabilities,
};

use crate::process::{Process, command, succeed, succeed_with, wait_until};
use crate::sys;

/// Where `ip netns` looks for namespaces.
const NAMED: &str = "/run/netns";

/// A network namespace, deleted with its last process when dropped.
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// A new one, with nothing but `lo`, which is up. Without IPv6, which has
    /// much to say by itself: see [`enable_ipv6`](Self::enable_ipv6).
    #[expect(clippy::new_without_default, reason = "it makes a thing in the kernel")]
    pub fn new() -> Self {
        let namespace = Self::unmade();
        let made = thread::scope(|scope| scope.spawn(|| namespace.make()).join());
        made.unwrap_or_else(|panic| panic::resume_unwind(panic));
        namespace
    }

    /// A name of its own.
    fn unmade() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let nth = COUNT.fetch_add(1, Ordering::Relaxed);
        Self {
            name: format!("t{}-{nth}", process::id()),
        }
    }

    /// Makes the file to mount it on.
    fn place(&self) -> String {
        fs::create_dir_all(NAMED).unwrap_or_else(|error| panic!("{NAMED}: {error}"));
        let path = self.path();
        File::create_new(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        path
    }

    /// Makes it, on this thread, which is in it from then on.
    fn make(&self) {
        let path = self.place();
        sys::new_network_namespace().expect("unshare");
        mount_bind("/proc/thread-self/ns/net", &path)
            .unwrap_or_else(|error| panic!("mount on {path}: {error}"));
        set_ipv6(false);
        configure(async |handle| {
            let lo = LinkUnspec::new_with_name("lo").up().build();
            handle.link().set(lo).execute().await.expect("lo up");
        });
    }

    /// The one that a process is in.
    fn of(process: u32) -> Self {
        let namespace = Self::unmade();
        let path = namespace.place();
        mount_bind(format!("/proc/{process}/ns/net"), &path)
            .unwrap_or_else(|error| panic!("mount on {path}: {error}"));
        namespace
    }

    /// Turns IPv6 on, for the interfaces that are here and those to come.
    pub fn enable_ipv6(&self) {
        self.enter(|| set_ipv6(true));
    }

    /// A [`Command`] that runs in here, from words divided by spaces.
    pub fn command(&self, words: &str) -> Command {
        let mut command = command(words);
        sys::start_in(&mut command, self.file().into());
        command
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

    /// Runs `tc` in here, once for all lines.
    pub fn tc(&self, lines: &str) {
        succeed_with(&mut self.command("tc -batch -"), lines);
    }

    /// Makes these interfaces in here the ports of a bridge. What crosses it passes
    /// netfilter's hooks of the IP families, with its VLAN tag on, if it has one.
    pub fn bridge(&self, ports: &[&str]) {
        load_modules(&["bridge", "br_netfilter"]);
        let masters = ports
            .iter()
            .map(|port| format!("link set {port} master br0\n"));
        self.ip(&format!(
            "link add br0 type bridge\nlink set br0 up\n{}",
            masters.collect::<String>()
        ));
        self.run("sysctl -q -w net.bridge.bridge-nf-filter-vlan-tagged=1");
        // The kernel notices some time later that a wire has another end.
        for port in ports {
            wait_until("the bridge forwards", || {
                let state = self.run(&format!("ip -detail link show {port}"));
                state.contains("state forwarding")
            });
        }
    }

    /// The number of an interface in here.
    pub fn interface(&self, name: &str) -> u32 {
        self.enter(|| index(name))
    }

    /// The link-layer address of an interface in here.
    pub fn mac(&self, interface: &str) -> Vec<u8> {
        self.enter(|| {
            configure(async |handle| {
                let get = handle.link().get().match_name(interface);
                let mut links = pin!(get.execute());
                let link = poll_fn(|context| links.as_mut().poll_next(context)).await;
                let attributes = link.expect("an answer").expect("a link").attributes;
                let mut addresses =
                    attributes
                        .into_iter()
                        .filter_map(|attribute| match attribute {
                            LinkAttribute::Address(address) => Some(address),
                            _ => None,
                        });
                addresses.next().expect("an address")
            })
        })
    }

    /// Gives an interface in here an address at once, an IPv6 one too.
    fn add_address(&self, interface: &str, address: impl Into<IpAddr>, prefix: u8) {
        let address = address.into();
        self.enter(|| {
            configure(async |handle| {
                let mut add = handle.address().add(index(interface), address, prefix);
                if address.is_ipv6() {
                    add.message_mut().header.flags |= AddressHeaderFlags::Nodad;
                }
                add.execute().await.expect("an address");
            });
        });
    }

    /// The name by which `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The inode number by which the kernel names it.
    pub fn inode(&self) -> u64 {
        self.file().metadata().expect("stat").ino()
    }

    fn file(&self) -> File {
        let path = self.path();
        File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn path(&self) -> String {
        format!("{NAMED}/{}", self.name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // No panic within a panic; what is left over ends with the guest.
        let _ = unmount(self.path(), UnmountFlags::DETACH);
        let _ = fs::remove_file(self.path());
    }
}

/// Of the thread's namespace.
fn set_ipv6(on: bool) {
    for which in ["all", "default"] {
        let path = format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6");
        fs::write(&path, if on { "0" } else { "1" })
            .unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}

/// The number of an interface in the thread's namespace.
fn index(interface: &str) -> u32 {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None);
    name_to_index(socket.expect("socket"), interface)
        .unwrap_or_else(|error| panic!("{interface}: {error}"))
}

/// Speaks rtnetlink in the thread's namespace.
fn configure<T>(work: impl AsyncFnOnce(Handle) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build();
    runtime.expect("a runtime").block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection().expect("a netlink socket");
        tokio::spawn(connection);
        work(handle).await
    })
}

/// Moves this thread into a namespace without a name, which lives no longer than
/// it, or says why not. What the kernel does for it, it does within the call.
pub fn try_new_namespace() -> rustix::io::Result<()> {
    sys::new_network_namespace()
}

/// Has the kernel load modules of its own, one after the other. Who needs one of them in
/// several threads at once comes here first: `modprobe` takes a module that is being loaded
/// for one that is there.
pub fn load_modules(names: &[&str]) {
    for name in names {
        succeed(&mut command(&format!("modprobe {name}")));
    }
}

/// A network namespace of another user namespace than the initial one: user 1000 made
/// both, without any rights, as `unshare --user --net` does.
pub struct Foreign {
    /// In here all is as in others, for root.
    pub namespace: Namespace,
    _holder: Process,
}

impl Foreign {
    /// A new one, with nothing but `lo`, which is up, and without IPv6.
    #[expect(clippy::new_without_default, reason = "it makes a thing in the kernel")]
    pub fn new() -> Self {
        let mut command = as_foreigner();
        command.args(["sh", "-c", "echo here; exec sleep 100000"]);
        let holder = Process::start(command);
        holder.take(1);
        let namespace = Namespace::of(holder.id());
        namespace.enter(|| set_ipv6(false));
        namespace.ip("link set lo up");
        Self {
            namespace,
            _holder: holder,
        }
    }
}

/// What starts a program as user 1000, in new namespaces where it has all rights.
pub fn as_foreigner() -> Command {
    command(
        "setpriv --reuid 1000 --regid 1000 --clear-groups \
         unshare --user --map-root-user --net",
    )
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
            namespace.add_address("eth0", address, 64);
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
            let mac = to.mac("eth0");
            from.enter(|| {
                configure(async |handle| {
                    let neighbours = handle.neighbours();
                    let add = neighbours.add(index("eth0"), address.into());
                    add.link_layer_address(&mac)
                        .execute()
                        .await
                        .expect("a neighbour");
                });
            });
        }
        self
    }
}

/// One end of a wire: where, the interface's name, its address (a /24).
pub type End<'a> = (&'a Namespace, &'a str, Ipv4Addr);

/// Held while a pair is made. The first one makes the kernel load `veth`; a second that
/// comes meanwhile is refused (`EOPNOTSUPP`), as busybox's modprobe takes a module that
/// is being loaded for one that is there.
static VETH: Mutex<()> = Mutex::new(());

/// Joins two namespaces by a veth pair.
pub fn connect(one: End<'_>, two: End<'_>) {
    let other = two.0.file();
    let peer = LinkUnspec::new_with_name(two.1)
        .append_extra_attribute(LinkAttribute::NetNsFd(other.as_raw_fd()))
        .build();
    let pair = LinkVeth::new(one.1, two.1).set_info_data(InfoData::Veth(InfoVeth::Peer(peer)));
    one.0.enter(|| {
        // Somebody's panic is one, not everybody's.
        let _held = VETH.lock().unwrap_or_else(PoisonError::into_inner);
        configure(async |handle| {
            let add = handle.link().add(pair.build());
            add.execute().await.expect("a veth pair");
        });
    });
    for (namespace, interface, address) in [one, two] {
        namespace.add_address(interface, address, 24);
        namespace.enter(|| {
            configure(async |handle| {
                let up = LinkUnspec::new_with_name(interface).up().build();
                handle.link().set(up).execute().await.expect("it is up");
            });
        });
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
