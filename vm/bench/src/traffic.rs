//! What is captured: echo requests of 84 bytes to `lo`, which nobody answers.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::{array, fs};

use anyhow::{Context, Result};
use icmptap_vm_tests::net::Namespace;
use icmptap_vm_tests::packet::{Ipv4, echo};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::fold::{Event, Fold};

/// From the IP header on.
pub(crate) const LENGTH: u32 = 84;
/// What a reader asks for.
pub(crate) const SNAPLEN: u32 = 128;

const SOURCE: Ipv4Addr = Ipv4Addr::LOCALHOST;
const ECHO_REQUEST: u8 = 8;
/// Of `lo`, which is the first interface of its namespace.
const INTERFACE: u32 = 1;
const MARKS: [u32; 2] = [3, 5];
/// The address of the nth packet is the nth of these, and so on again.
const DESTINATIONS: usize = 64;

/// A network namespace in which requests are not answered: the answers would be
/// captured as well.
pub(crate) fn namespace() -> Result<Namespace> {
    let namespace = Namespace::new();
    namespace.enter(|| fs::write("/proc/sys/net/ipv4/icmp_echo_ignore_all", "1"))?;
    Ok(namespace)
}

/// Sends.
pub(crate) struct Sender {
    /// With different marks, in turn.
    sockets: [Socket; MARKS.len()],
    packets: Vec<(Vec<u8>, SockAddr)>,
}

impl Sender {
    /// In the thread's network namespace.
    pub(crate) fn new() -> Result<Sender> {
        let open = |mark| {
            // Of a protocol of which none is ever received: a socket of ICMP's would
            // get its own requests.
            let raw = Protocol::from(libc::IPPROTO_RAW);
            let socket = Socket::new(Domain::IPV4, Type::RAW, Some(raw))?;
            socket.set_mark(mark)?;
            anyhow::Ok(socket)
        };
        let [first, second] = MARKS.map(open);
        let packets = (0..DESTINATIONS).map(|nth| {
            let dst = destination(nth);
            let mut packet = Ipv4::icmp(echo(1, nth as u16, &[0; 56]));
            (packet.src, packet.dst, packet.id) = (SOURCE, dst, 1);
            (packet.bytes(), SocketAddrV4::new(dst, 0).into())
        });
        Ok(Sender {
            sockets: [
                first.context("a raw socket")?,
                second.context("a raw socket")?,
            ],
            packets: packets.collect(),
        })
    }

    /// Each packet has passed the hook when this returns.
    pub(crate) fn send(&self, count: u64) -> Result<()> {
        for nth in 0..count as usize {
            let (packet, to) = &self.packets[nth % DESTINATIONS];
            let sent = self.sockets[nth % MARKS.len()].send_to(packet, to);
            sent.context("send a packet")?;
        }
        Ok(())
    }
}

/// What a reader sees of so many.
pub(crate) fn expected(count: u64) -> Fold {
    let mut fold = Fold::default();
    let events: [Event; DESTINATIONS] = array::from_fn(|nth| Event {
        time_ns: 0,
        interface: INTERFACE,
        mark: MARKS[nth % MARKS.len()],
        len: LENGTH,
        caplen: LENGTH.min(SNAPLEN),
        src: SOURCE.to_bits(),
        dst: destination(nth).to_bits(),
        icmp_type: ECHO_REQUEST,
    });
    for nth in 0..count as usize {
        fold.add(&events[nth % DESTINATIONS]);
    }
    fold
}

fn destination(nth: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, 1 + nth as u8)
}
