//! What is captured: echo requests of 84 bytes to `lo`, which nobody answers. And
//! what is not.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Barrier;
use std::sync::mpsc::channel;
use std::{array, fs, thread};

use anyhow::{Context, Result, ensure};
use icmptap_vm_tests::net::Namespace;
use icmptap_vm_tests::packet::echo;
use icmptap_vm_tests::process::on_each_cpu;
use socket2::{Domain, Protocol, SockAddr, SockFilter, Socket, Type};

use crate::fold::{Event, Fold};
use crate::sys;

/// From the IP header on.
pub(crate) const LENGTH: u32 = 84;
/// What a reader asks for.
pub(crate) const SNAPLEN: u32 = 128;

/// IPv4's and ICMP's, or UDP's.
const HEADERS: u32 = 28;

const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);
/// Of all that is captured.
pub(crate) const ECHO_REQUEST: u8 = 8;
/// Of `lo`, which is the first interface of its namespace.
pub(crate) const INTERFACE: u32 = 1;
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
    messages: Vec<(Vec<u8>, SockAddr)>,
    /// Where UDP goes, to be dropped.
    _sink: Option<Socket>,
}

impl Sender {
    /// In the thread's network namespace, of packets of so many bytes.
    pub(crate) fn new(length: u32) -> Result<Sender> {
        let open = |mark| {
            let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
            // It gets what is sent to its own address, and nothing is. (With headers of
            // our own the kernel would make a route for each packet, and its memory's
            // return come at any time.)
            socket.bind(&SocketAddrV4::new(SOURCE, 0).into())?;
            socket.set_mark(mark)?;
            anyhow::Ok(socket)
        };
        let data = vec![0; (length - HEADERS) as usize];
        Ok(Sender {
            sockets: [open(MARKS[0])?, open(MARKS[1])?],
            messages: messages(|nth| echo(1, nth, &data), 0),
            _sink: None,
        })
    }

    /// The same packets, but for their protocol, which is UDP.
    pub(crate) fn udp() -> Result<Sender> {
        const PORT: u16 = 9;
        let open = || Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP));
        let sink = open()?;
        // Takes nothing: a queue would be full at some time, and then cost less.
        sink.attach_filter(&[SockFilter::new(
            (libc::BPF_RET | libc::BPF_K) as u16,
            0,
            0,
            0,
        )])?;
        sink.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, PORT).into())?;
        Ok(Sender {
            sockets: [open()?, open()?],
            messages: messages(|_| vec![0; (LENGTH - HEADERS) as usize], PORT),
            _sink: Some(sink),
        })
    }

    /// Each packet has passed the hook when this returns.
    pub(crate) fn send(&self, count: u64) -> Result<()> {
        self.send_and(count, || ())
    }

    /// The same, and something after each.
    fn send_and(&self, count: u64, after_each: impl Fn()) -> Result<()> {
        for nth in 0..count as usize {
            let (message, to) = &self.messages[nth % DESTINATIONS];
            let sent = self.sockets[nth % MARKS.len()].send_to(message, to);
            sent.context("send a packet")?;
            after_each();
        }
        Ok(())
    }
}

/// When all CPUs sent, in nanoseconds of the clock that does not jump.
pub(crate) struct Flood {
    /// When the first began.
    pub(crate) start: u64,
    /// When the last was done.
    pub(crate) end: u64,
}

/// Sends so many packets on each CPU of the guest, all at the same time, and does
/// something after each.
pub(crate) fn flood(namespace: &Namespace, count: u64, after_each: fn()) -> Result<Flood> {
    let cpus = thread::available_parallelism()?.get();
    let all_are_there = Barrier::new(cpus);
    let send = || {
        // Whatever came of it, the others wait.
        let sender = Sender::new(LENGTH);
        all_are_there.wait();
        let start = sys::clock(libc::CLOCK_MONOTONIC)?;
        sender?.send_and(count, after_each)?;
        Ok((start, sys::clock(libc::CLOCK_MONOTONIC)?))
    };
    let (done, times) = channel();
    namespace.enter(move || {
        on_each_cpu(|| done.send(send()).expect("somebody waits for it"));
    });
    let times: Vec<(u64, u64)> = times.iter().collect::<Result<_>>()?;
    ensure!(times.len() == cpus, "not every CPU sent");
    let starts = times.iter().map(|(start, _)| *start);
    let ends = times.iter().map(|(_, end)| *end);
    Ok(Flood {
        start: starts.min().context("no CPU")?,
        end: ends.max().context("no CPU")?,
    })
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

fn messages(message: impl Fn(u16) -> Vec<u8>, port: u16) -> Vec<(Vec<u8>, SockAddr)> {
    let all = (0..DESTINATIONS).map(|nth| {
        let to = SocketAddrV4::new(destination(nth), port);
        (message(nth as u16), to.into())
    });
    all.collect()
}

fn destination(nth: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, 1 + nth as u8)
}
