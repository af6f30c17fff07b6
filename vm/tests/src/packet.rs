//! IPv4 packets made by hand, right and wrong, put onto a wire as frames: the
//! kernel of the sending end has no say in what is in them.

use std::fs;
use std::net::Ipv4Addr;

use etherparse::{IpFragOffset, IpNumber, Ipv4Header, Ipv4Options};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::net::{Namespace, Wire, settle};
use crate::process::run;
use crate::sys::link_address;

const ETH_P_IP: u16 = 0x0800;

/// A packet from [`Wire::LEFT`] to [`Wire::RIGHT`].
#[derive(Clone)]
pub struct Ipv4 {
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
            protocol: IpNumber::ICMP.0,
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
            Wire::LEFT.octets(),
            Wire::RIGHT.octets(),
        )
        .expect("a header");
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

/// Sends frames from the left end of a [`Wire`] to the right one.
pub struct Sender {
    socket: Socket,
    header: Vec<u8>,
}

impl Sender {
    /// Opens the sender.
    pub fn new(wire: &Wire) -> Self {
        let (index, source) = wire.left.enter(|| (attribute("ifindex"), mac()));
        let mut header = wire.right.enter(mac);
        header.extend(source);
        header.extend(ETH_P_IP.to_be_bytes());

        let socket = wire.left.enter(|| {
            let protocol = socket2::Protocol::from(i32::from(ETH_P_IP.to_be()));
            Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).expect("socket")
        });
        let index = index.parse().expect("an index");
        socket.bind(&link_address(index, ETH_P_IP)).expect("bind");
        Self { socket, header }
    }

    /// Sends an IPv4 packet, whatever it is.
    pub fn send(&self, packet: &[u8]) {
        let frame = [&self.header[..], packet].concat();
        let sent = self.socket.send(&frame).expect("send");
        assert_eq!(sent, frame.len());
    }
}

/// Sends `count` echo requests from `namespace` to `to`, as fast as can be and
/// without a look at replies, and waits until they have arrived. The first has
/// sequence number 0.
pub fn flood(namespace: &Namespace, to: Ipv4Addr, count: u32) {
    // Or some of those that wait for a busy CPU are dropped, before any hook.
    fs::write("/proc/sys/net/core/netdev_max_backlog", "1000000").expect("sysctl");
    let socket = namespace.enter(|| {
        Socket::new(Domain::IPV4, Type::RAW, Some(socket2::Protocol::ICMPV4)).expect("socket")
    });
    let to = SockAddr::from(std::net::SocketAddrV4::new(to, 0));
    for seq in 0..count {
        let request = echo(0x1234, seq as u16, &[0; 56]);
        socket.send_to(&request, &to).expect("send");
    }
    settle();
}

/// Of `eth0` in the thread's network namespace.
fn attribute(name: &str) -> String {
    // Sysfs shows the network namespace in which it was mounted: ask netlink.
    let link = run("ip -json link show eth0");
    let link: serde_json::Value = serde_json::from_str(&link).expect("JSON");
    match &link[0][name] {
        serde_json::Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

fn mac() -> Vec<u8> {
    attribute("address")
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16).expect("hexadecimal"))
        .collect()
}

/// Active objects of a slab cache, from `/proc/slabinfo`.
pub fn slab_objects(cache: &str) -> u64 {
    let text = fs::read_to_string("/proc/slabinfo").expect("slabinfo");
    text.lines()
        .find_map(|line| line.strip_prefix(cache)?.split_whitespace().next())
        .and_then(|count| count.parse().ok())
        .unwrap_or_else(|| panic!("no cache {cache}"))
}
