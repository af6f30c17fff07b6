//! Packets made by hand, right and wrong, put onto a wire as frames: the kernel
//! of the sending end has no say in what is in them.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use etherparse::{IpFragOffset, IpNumber, Ipv4Header, Ipv4Options};
use icmptap::event::Vlan;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::net::{Namespace, Wire, settle};
use crate::process::{SetWhenDropped, is_slow, on_each_cpu};
pub use crate::sys::link_address;

const ETH_P_IP: u16 = 0x0800;
const ETH_P_IPV6: u16 = 0x86dd;
const ETH_P_8021Q: u16 = 0x8100;
const ETH_P_8021AD: u16 = 0x88a8;

/// IANA's protocol numbers, of which IPv6's extension headers have some.
pub mod number {
    #![allow(missing_docs, reason = "the names are IANA's")]

    pub const HOP_BY_HOP: u8 = 0;
    pub const ICMP: u8 = 1;
    pub const UDP: u8 = 17;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const AUTH: u8 = 51;
    pub const ICMPV6: u8 = 58;
    pub const NO_NEXT: u8 = 59;
    pub const DESTINATION: u8 = 60;
}

/// An IPv4 packet.
#[derive(Clone)]
pub struct Ipv4 {
    /// [`Wire::LEFT`] at first.
    pub src: Ipv4Addr,
    /// [`Wire::RIGHT`] at first.
    pub dst: Ipv4Addr,
    /// Identification.
    pub id: u16,
    /// IANA protocol number.
    pub protocol: u8,
    /// A multiple of 4, up to 40 bytes.
    pub options: Vec<u8>,
    /// In bytes, a multiple of 8.
    pub fragment_offset: u16,
    /// More fragments follow.
    pub more_fragments: bool,
    /// What follows the header.
    pub payload: Vec<u8>,
}

impl Ipv4 {
    /// Protocol ICMP, neither options nor fragments.
    pub fn icmp(payload: impl Into<Vec<u8>>) -> Self {
        Self {
            src: Wire::LEFT,
            dst: Wire::RIGHT,
            id: 0,
            protocol: number::ICMP,
            options: Vec::new(),
            fragment_offset: 0,
            more_fragments: false,
            payload: payload.into(),
        }
    }

    /// The packet as it goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let length = self.payload.len().try_into().expect("short");
        let mut header = Ipv4Header::new(
            length,
            64,
            IpNumber(self.protocol),
            self.src.octets(),
            self.dst.octets(),
        )
        .expect("a header");
        header.identification = self.id;
        header.options = Ipv4Options::try_from(&self.options[..]).expect("options");
        header
            .set_payload_len(self.payload.len())
            .expect("short with its options");
        header.fragment_offset =
            IpFragOffset::try_new(self.fragment_offset / 8).expect("an offset");
        header.more_fragments = self.more_fragments;
        header.dont_fragment = false;
        header.header_checksum = header.calc_header_checksum();

        let mut bytes = header.to_bytes().to_vec();
        bytes.extend(&self.payload);
        bytes
    }
}

/// An IPv6 packet.
#[derive(Clone)]
pub struct Ipv6 {
    /// [`Wire::LEFT6`] at first.
    pub src: Ipv6Addr,
    /// [`Wire::RIGHT6`] at first.
    pub dst: Ipv6Addr,
    /// 255 at first, as neighbour discovery demands.
    pub hop_limit: u8,
    /// Extension headers: the number of each, and its bytes, whose first is
    /// filled in with the number of what follows.
    pub extensions: Vec<(u8, Vec<u8>)>,
    /// What follows them: IANA protocol number.
    pub protocol: u8,
    /// What follows the headers.
    pub payload: Vec<u8>,
}

impl Ipv6 {
    /// Protocol ICMPv6, no extension headers, the payload as it is.
    pub fn icmp(payload: impl Into<Vec<u8>>) -> Self {
        Self {
            src: Wire::LEFT6,
            dst: Wire::RIGHT6,
            hop_limit: 255,
            extensions: Vec::new(),
            protocol: number::ICMPV6,
            payload: payload.into(),
        }
    }

    /// The same with the ICMPv6 checksum of its payload and addresses.
    pub fn summed(mut self) -> Self {
        self.payload[2..4].fill(0);
        let sum = checksum_v6(self.src, self.dst, &self.payload);
        self.payload[2..4].copy_from_slice(&sum.to_be_bytes());
        self
    }

    /// The packet as it goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let numbers: Vec<u8> = self.extensions.iter().map(|(number, _)| *number).collect();
        let follows = |nth| *numbers.get(nth).unwrap_or(&self.protocol);
        let mut rest = Vec::new();
        for (nth, (_, bytes)) in self.extensions.iter().enumerate() {
            rest.push(follows(nth + 1));
            rest.extend(&bytes[1..]);
        }
        rest.extend(&self.payload);

        let mut bytes = vec![0x60, 0, 0, 0];
        bytes.extend(u16::try_from(rest.len()).expect("short").to_be_bytes());
        bytes.extend([follows(0), self.hop_limit]);
        bytes.extend(self.src.octets());
        bytes.extend(self.dst.octets());
        bytes.extend(rest);
        bytes
    }
}

/// The checksum of an ICMPv6 message between these two: with the pseudo header
/// (RFC 8200, section 8.1).
pub fn checksum_v6(src: Ipv6Addr, dst: Ipv6Addr, message: &[u8]) -> u16 {
    let length = u32::try_from(message.len()).expect("short");
    let mut bytes = [src.octets(), dst.octets()].concat();
    bytes.extend(length.to_be_bytes());
    bytes.extend([0, 0, 0, number::ICMPV6]);
    bytes.extend(message);
    checksum(&bytes)
}

/// An echo request with its checksum: an ICMP message.
pub fn echo(id: u16, seq: u16, data: &[u8]) -> Vec<u8> {
    message(8, 0, [id.to_be_bytes(), seq.to_be_bytes()].concat(), data)
}

/// An ICMP message with its checksum; `rest` is the second word of its header.
pub fn message(icmp_type: u8, code: u8, rest: impl Into<Vec<u8>>, data: &[u8]) -> Vec<u8> {
    let mut message = vec![icmp_type, code, 0, 0];
    message.extend(rest.into());
    message.extend(data);
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

/// The Internet checksum (RFC 1071).
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = bytes.chunks(2).fold(0_u32, |sum, pair| {
        sum + u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]))
    });
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Sends frames from one end of a [`Wire`] to the other.
pub struct Sender {
    socket: Socket,
    /// Destination and source.
    addresses: Vec<u8>,
}

impl Sender {
    /// From the left end to the right one.
    pub fn new(wire: &Wire) -> Self {
        Self::between(&wire.left, &wire.right)
    }

    /// From one `eth0` to the other, whose wire it is.
    pub fn between(from: &Namespace, to: &Namespace) -> Self {
        Self::on("eth0", from, to)
    }

    /// From one interface to that of the same name elsewhere.
    pub fn on(interface: &str, from: &Namespace, to: &Namespace) -> Self {
        let index = from.interface(interface);
        let addresses = [to.mac(interface), from.mac(interface)].concat();

        let socket = from.enter(|| {
            let protocol = socket2::Protocol::from(i32::from(ETH_P_IP.to_be()));
            Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).expect("socket")
        });
        socket.bind(&link_address(index, ETH_P_IP)).expect("bind");
        Self { socket, addresses }
    }

    /// Sends a packet, whatever it is: as IPv6 if it says so, else as IPv4.
    pub fn send(&self, packet: &[u8]) {
        self.frame(&ethertype(packet).to_be_bytes(), packet);
    }

    /// The same with a VLAN tag.
    pub fn send_tagged(&self, vlan: Vlan, packet: &[u8]) {
        let tag = match vlan.provider {
            false => ETH_P_8021Q,
            true => ETH_P_8021AD,
        };
        let header = [tag, vlan.tci, ethertype(packet)].map(u16::to_be_bytes);
        self.frame(&header.concat(), packet);
    }

    fn frame(&self, header: &[u8], packet: &[u8]) {
        let frame = [&self.addresses, header, packet].concat();
        let sent = self.socket.send(&frame).expect("send");
        assert_eq!(sent, frame.len());
    }
}

/// Sends pings to the `lo` of a network namespace, in both families where it has
/// both. They pass OUTPUT and POST_ROUTING on the thread that sends.
pub struct Pinger {
    sockets: Vec<(Socket, SockAddr)>,
}

impl Pinger {
    /// For this one.
    pub fn new(namespace: &Namespace) -> Self {
        let (v4, v6) = (Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into());
        let raw = |domain, protocol| {
            let open = || Socket::new(domain, Type::RAW, Some(protocol)).expect("socket");
            namespace.enter(open)
        };
        let v4: (_, IpAddr) = (raw(Domain::IPV4, socket2::Protocol::ICMPV4), v4);
        let v6 = (raw(Domain::IPV6, socket2::Protocol::ICMPV6), v6);
        let sockets = [v4, v6];
        Self {
            sockets: sockets
                .map(|(socket, address)| (socket, SocketAddr::new(address, 0).into()))
                .into(),
        }
    }

    /// Sends an ICMP message of each family.
    pub fn send(&self, v4: &[u8], v6: &[u8]) {
        for ((socket, address), message) in self.sockets.iter().zip([v4, v6]) {
            // Dropped by a subscription, or no IPv6 here: neither is an error.
            let _ = socket.send_to(message, address);
        }
    }
}

/// How long a CPU sends in a flood before it rests, if it does.
const BURST: Duration = Duration::from_millis(20);

/// Does some work while every CPU sends pings in `namespace`.
pub fn in_a_flood<T>(namespace: &Namespace, work: impl FnOnce() -> T) -> T {
    lose_a_flood();
    let is_over = AtomicBool::new(false);
    let flood = || {
        let pinger = Pinger::new(namespace);
        let request = echo(1, 1, &[0; 56]);
        while !is_over.load(Ordering::Relaxed) {
            let start = Instant::now();
            while start.elapsed() < BURST {
                pinger.send(&request, &request);
            }
            // A slow kernel does nothing else in a flood that never rests, and ends no
            // grace period: with our module or without.
            if is_slow() {
                thread::sleep(start.elapsed());
            }
        }
    };
    thread::scope(|scope| {
        let _end = SetWhenDropped(&is_over);
        scope.spawn(|| on_each_cpu(flood));
        work()
    })
}

fn ethertype(packet: &[u8]) -> u16 {
    match packet.first().map(|byte| byte >> 4) {
        Some(6) => ETH_P_IPV6,
        _ => ETH_P_IP,
    }
}

/// Bytes, for a whole flood.
const SEND_BUFFER: usize = 256 << 20;

/// Sends `count` echo requests from `namespace` to `to`, as fast as can be and
/// without a look at replies, and waits until they have arrived. The first has
/// sequence number 0.
pub fn flood(namespace: &Namespace, to: Ipv4Addr, count: u32) {
    hold_a_flood();
    let socket = namespace.enter(|| {
        // So are those that wait for the answer to ARP, beyond some 270.
        let queue = "/proc/sys/net/ipv4/neigh/eth0/unres_qlen_bytes";
        fs::write(queue, SEND_BUFFER.to_string()).expect("sysctl");
        Socket::new(Domain::IPV4, Type::RAW, Some(socket2::Protocol::ICMPV4)).expect("socket")
    });
    socket.set_send_buffer_size(SEND_BUFFER).expect("SO_SNDBUF");
    let to = SockAddr::from(std::net::SocketAddrV4::new(to, 0));
    for seq in 0..count {
        let request = echo(0x1234, seq as u16, &[0; 56]);
        socket.send_to(&request, &to).expect("send");
    }
    settle();
}

/// Has the kernel hold what a flood leaves for a busy CPU. Or some of it is dropped,
/// before any hook; and as it counts as sent only then, a small send buffer would
/// refuse more.
pub fn hold_a_flood() {
    for (name, value) in [("netdev_max_backlog", 1_000_000), ("wmem_max", SEND_BUFFER)] {
        fs::write(format!("/proc/sys/net/core/{name}"), value.to_string()).expect("sysctl");
    }
}

/// Has the kernel drop what a flood leaves for a busy CPU, as it does by itself: one
/// that goes on and on would take all memory otherwise.
fn lose_a_flood() {
    fs::write("/proc/sys/net/core/netdev_max_backlog", "1000").expect("sysctl");
}

/// Active objects of a slab cache, from `/proc/slabinfo`.
pub fn slab_objects(cache: &str) -> u64 {
    let text = fs::read_to_string("/proc/slabinfo").expect("slabinfo");
    text.lines()
        .find_map(|line| line.strip_prefix(cache)?.split_whitespace().next())
        .and_then(|count| count.parse().ok())
        .unwrap_or_else(|| panic!("no cache {cache}"))
}
