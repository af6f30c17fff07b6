//! Packets at random, good, broken and in pieces, through every hook, with four
//! subscriptions that keep more or less of each: what is delivered is what was sent,
//! and what was sent well is delivered or counted as lost.
//!
//! left - router - right. The router listens; left sends frames through it and to it,
//! and, by a second wire, across a bridge in it, which leaves VLAN tags on; raw sockets
//! in the router send from it. On the right nobody answers.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use icmptap::event::{Event, Vlan};
use icmptap::{Client, Family, FlushInterval, Hook, OwnedItem, Received, Snaplen, Subscription};
use icmptap_vm_tests::fire::packets::{
    damage, facts, fragment_v4, ipv4, ipv6, is_sum_right, known_by, seen, sum,
};
use icmptap_vm_tests::fire::tally::Tally;
use icmptap_vm_tests::fire::{iterations, random};
use icmptap_vm_tests::listen::subscribe;
use icmptap_vm_tests::net::{Namespace, connect, settle};
use icmptap_vm_tests::packet::number::HOP_BY_HOP;
use icmptap_vm_tests::packet::{Ipv4, Sender, hold_a_flood};
use icmptap_vm_tests::process::on_each_cpu;
use socket2::{Domain, Socket, Type};

/// The first keeps whole packets, by which the others are judged.
const SNAPLENS: [u32; 4] = [65_535, 128, 1, 0];
/// Packets between two looks at what was delivered; each has a number of 16 bits.
const BURST: u16 = 1000;

const LEFT: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 1);
/// Of datagrams that are sent in pieces: no stray piece may get between them.
const PIECES: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 2);
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 254);
const RIGHT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// Behind a path that takes no more than 1,500 bytes at once.
const NARROW: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);
/// Where what raw sockets send claims to be from.
const LOCAL: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 77);
const LEFT6: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 1);
const ROUTER6: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0xfe);
const RIGHT6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);
const LOCAL6: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0x77);
/// As long as a packet gets here.
const MOST: usize = 60_000;

/// How a packet goes, and so which hooks see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Through,
    To,
    From,
    /// From left to right as well, and IP is never asked.
    Across,
    /// A piece of one to the router, which puts it together before INPUT.
    Piece,
    /// What it puts together then.
    Whole,
    /// From a socket for which the router writes the header.
    Written,
}

impl Way {
    fn hooks(self) -> &'static [Hook] {
        match self {
            Way::Through | Way::Across => &[Hook::Prerouting, Hook::Forward, Hook::Postrouting],
            Way::To => &[Hook::Prerouting, Hook::Input],
            Way::From | Way::Written => &[Hook::Output, Hook::Postrouting],
            Way::Piece => &[Hook::Prerouting],
            Way::Whole => &[Hook::Input],
        }
    }

    /// Whether the router has written the IP header, or all but the addresses of it.
    fn has_new_header(self) -> bool {
        matches!(self, Way::Whole | Way::Written)
    }
}

/// What was sent.
struct Sent {
    family: Family,
    way: Way,
    /// As the router sees it; of [`Way::Written`] the ICMP message.
    bytes: Vec<u8>,
    /// What a record has to say of its tag.
    vlan: Option<Vlan>,
    /// Whether nothing is wrong with it that lets the kernel drop it.
    good: bool,
    /// Whether its bytes are in several pieces of memory.
    nonlinear: Option<&'static str>,
    delivered: Vec<Hook>,
}

/// Two hosts and, between them, a router that is a bridge as well.
struct Topology {
    left: Namespace,
    router: Namespace,
    right: Namespace,
}

impl Topology {
    fn new() -> Self {
        let [left, router, right] = [(); 3].map(|()| Namespace::new());
        for namespace in [&left, &router, &right] {
            namespace.enable_ipv6();
        }
        connect((&left, "eth0", LEFT), (&router, "eth0", ROUTER));
        connect(
            (&right, "eth0", [10, 0, 0, 1].into()),
            (&router, "eth1", [10, 0, 0, 254].into()),
        );
        for (end, port, net) in [(&left, "port0", 2), (&right, "port1", 3)] {
            let address = |host| [10, 0, net, host].into();
            connect((end, "eth1", address(1)), (&router, port, address(254)));
            router.ip(&format!("link set {port} mtu 65535"));
            end.ip("link set eth0 mtu 65535\nlink set eth1 mtu 65535");
        }
        router.bridge(&["port0", "port1"]);
        let [to_left, to_right] = [&left, &right].map(|to| {
            let bytes = to.mac("eth0").into_iter();
            bytes
                .map(|byte| format!("{byte:02x}"))
                .collect::<Vec<_>>()
                .join(":")
        });
        router.ip(&format!(
            "link set eth0 mtu 65535\n\
             link set eth1 mtu 65535\n\
             addr add {ROUTER6}/64 dev eth0 nodad\n\
             addr add fd00::fe/64 dev eth1 nodad\n\
             neigh add {LEFT} lladdr {to_left} nud permanent dev eth0\n\
             neigh add {LEFT6} lladdr {to_left} nud permanent dev eth0\n\
             neigh add {RIGHT} lladdr {to_right} nud permanent dev eth1\n\
             neigh add {NARROW} lladdr {to_right} nud permanent dev eth1\n\
             neigh add {RIGHT6} lladdr {to_right} nud permanent dev eth1\n\
             route add {NARROW}/32 dev eth1 mtu lock 1500\n"
        ));
        // Pieces that never become a whole do not take the others' room, and do not
        // stay for long; but a slow kernel needs a second for those of a whole.
        router.run(
            "sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
             net.ipv4.icmp_echo_ignore_all=1 net.ipv6.icmp.echo_ignore_all=1 \
             net.ipv4.ipfrag_high_thresh=268435456 net.ipv4.ipfrag_time=20 \
             net.ipv4.ipfrag_max_dist=0",
        );
        hold_a_flood();
        Self {
            left,
            router,
            right,
        }
    }
}

/// What sends, and what it has sent since the last look.
struct Gun<'a> {
    rng: &'a mut Rng,
    wire: Sender,
    across: Sender,
    raw: [Socket; 2],
    icmp: Socket,
    sent: Vec<Sent>,
    /// Identification of the last fragment by itself: of two with the same, the kernel
    /// might make a whole.
    fragment: u16,
    tally: Tally,
}

impl<'a> Gun<'a> {
    fn new(topology: &Topology, rng: &'a mut Rng) -> Self {
        // IPPROTO_RAW: headers are given.
        let raw = |domain, protocol: i32| {
            let open = || Socket::new(domain, Type::RAW, Some(protocol.into())).expect("socket");
            topology.router.enter(open)
        };
        Self {
            rng,
            wire: Sender::between(&topology.left, &topology.router),
            across: Sender::on("eth1", &topology.left, &topology.right),
            raw: [raw(Domain::IPV4, 255), raw(Domain::IPV6, 255)],
            icmp: raw(Domain::IPV4, 1),
            sent: Vec::new(),
            fragment: 0,
            tally: Tally::default(),
        }
    }

    /// Sends one packet, or a few that belong together; returns how many.
    fn fire(&mut self, id: u16) -> u64 {
        match self.rng.u32(..300) {
            0..3 => return self.pieces(id),
            3 => return self.written(),
            _ => {}
        }
        let way = [Way::Through, Way::To, Way::From, Way::Across][self.rng.usize(..4)];
        let is_v4 = self.rng.u32(..5) < 3;
        let good = self.rng.u32(..3) > 0;
        let mut way_of_it = way;
        let mut bytes = if is_v4 {
            let (src, dst) = match way {
                Way::Through | Way::Across => (LEFT, RIGHT),
                Way::To => (LEFT, ROUTER),
                _ => (LOCAL, RIGHT),
            };
            if self.rng.u32(..10) == 0 {
                if way == Way::To {
                    way_of_it = Way::Piece;
                }
                self.fragment = self.fragment.wrapping_add(1);
                fragment_v4(self.rng, self.fragment, src, dst)
            } else {
                ipv4(self.rng, id, src, dst, MOST)
            }
        } else {
            let (src, dst) = match way {
                Way::Through | Way::Across => (LEFT6, RIGHT6),
                Way::To => (LEFT6, ROUTER6),
                _ => (LOCAL6, RIGHT6),
            };
            ipv6(self.rng, id, src, dst, MOST)
        };
        if !good {
            damage(self.rng, &mut bytes);
            // A damaged piece may be none any more.
            way_of_it = way;
        }
        let name = format!(
            "{} {way:?}, {}",
            if is_v4 { "IPv4" } else { "IPv6" },
            if good { "good" } else { "damaged" },
        );
        let mut vlan = None;
        if way == Way::From {
            if is_v4 && bytes[4..6] == [0, 0] {
                // Which the socket would replace.
                bytes[4..6].copy_from_slice(&id.to_be_bytes());
            }
            let nth = usize::from(!is_v4);
            let to: IpAddr = if is_v4 { RIGHT.into() } else { RIGHT6.into() };
            let to = SocketAddr::new(to, 0).into();
            if let Err(error) = self.raw[nth].send_to(&bytes, &to) {
                assert!(!good, "{name}: {error}");
                self.tally.add(&name, "refused by sendto()");
                return 1;
            }
            if is_v4 {
                // Which the socket makes right.
                let length = (bytes.len() as u16).to_be_bytes();
                if bytes[0] & 0xf >= 5 {
                    bytes[2..4].copy_from_slice(&length);
                    sum(&mut bytes);
                }
            }
        } else {
            vlan = self.launch(way, &bytes);
            bytes = seen(&bytes).to_vec();
        }
        self.tally.add(&name, "sent");
        self.note(is_v4, way_of_it, bytes, good);
        self.sent.last_mut().expect("just noted").vlan = vlan;
        1
    }

    /// Puts a frame onto the wire of this way, with or without a tag; returns the one
    /// that the hooks see. IP is given none, and takes those of no VLAN off.
    fn launch(&mut self, way: Way, packet: &[u8]) -> Option<Vlan> {
        let across = way == Way::Across;
        let mut tag = Vlan {
            tci: self.rng.u16(..),
            provider: self.rng.bool(),
        };
        if !across {
            tag.tci &= 0xf000;
        }
        let wire = if across { &self.across } else { &self.wire };
        let is_tagged = self.rng.u32(..4) < if across { 3 } else { 1 };
        if !is_tagged {
            wire.send(packet);
            return None;
        }
        wire.send_tagged(tag, packet);
        across.then_some(tag)
    }

    fn note(&mut self, is_v4: bool, way: Way, bytes: Vec<u8>, good: bool) {
        let family = if is_v4 { Family::Ipv4 } else { Family::Ipv6 };
        // packet_alloc_skb(): of a frame of a page and more, only the Ethernet header
        // is in the linear part; what the kernel reads of it, it pulls there.
        let paged = !matches!(way, Way::From) && bytes.len() + 14 >= 4096;
        // Where a kernel has br_nf_check_hbh_len(), no options cross a bridge that are not
        // in the linear part, however good they are.
        let stays = way == Way::Across
            && !is_v4
            && bytes.get(6) == Some(&HOP_BY_HOP)
            && bytes.len() + 18 >= 4096;
        self.sent.push(Sent {
            family,
            way,
            good: good && !stays && facts(family, &bytes).is_some(),
            bytes,
            vlan: None,
            nonlinear: paged.then_some("in pages, from a packet socket"),
            delivered: Vec::new(),
        });
    }

    /// A datagram in pieces of more than a socket buffer has to spare, so that they
    /// are chained and not copied together (inet_frag_reasm_finish()).
    fn pieces(&mut self, id: u16) -> u64 {
        let mut payload = vec![0; self.rng.usize(2..30) * 1480];
        self.rng.fill(&mut payload);
        let whole = Ipv4 {
            src: PIECES,
            dst: ROUTER,
            id,
            ..Ipv4::icmp(payload)
        };
        let mut pieces: Vec<_> = whole
            .payload
            .chunks(1480)
            .enumerate()
            .map(|(nth, part)| Ipv4 {
                fragment_offset: nth as u16 * 1480,
                more_fragments: (nth + 1) * 1480 < whole.payload.len(),
                payload: part.to_vec(),
                ..whole.clone()
            })
            .collect();
        if self.rng.bool() {
            self.rng.shuffle(&mut pieces);
        }
        for piece in &pieces {
            let bytes = piece.bytes();
            self.wire.send(&bytes);
            self.tally.add("IPv4 pieces of a whole", "sent");
            self.note(true, Way::Piece, bytes, true);
        }
        self.note(true, Way::Whole, whole.bytes(), true);
        let last = self.sent.last_mut().expect("just noted");
        last.nonlinear = Some("chained, put together from pieces");
        pieces.len() as u64
    }

    /// A message that does not fit one piece of memory (__ip_append_data()): behind
    /// the narrow path one socket buffer for each 1,500 bytes, chained; else one with
    /// all but the headers in pages.
    fn written(&mut self) -> u64 {
        let narrow = self.rng.bool();
        let mut message = vec![0; self.rng.usize(20_000..MOST)];
        self.rng.fill(&mut message);
        let to = SocketAddr::new(if narrow { NARROW } else { RIGHT }.into(), 0);
        self.icmp.send_to(&message, &to.into()).expect("send");
        self.tally.add("IPv4 From, long, by ping's socket", "sent");
        let facts_of = Ipv4 {
            src: Ipv4Addr::new(10, 0, 0, 254),
            dst: if narrow { NARROW } else { RIGHT },
            ..Ipv4::icmp(message)
        };
        self.note(true, Way::Written, facts_of.bytes(), true);
        let last = self.sent.last_mut().expect("just noted");
        last.nonlinear = Some(match narrow {
            true => "chained, made of more than the path's MTU",
            false => "in pages, made of more than a buffer's head",
        });
        1
    }
}

/// The start of what follows an IPv4 header without options.
fn payload(packet: &[u8]) -> &[u8] {
    &packet[20..packet.len().min(100)]
}

/// By what a sent packet is known again.
fn key(sent: &Sent) -> Vec<u8> {
    match sent.way.has_new_header() {
        true => payload(&sent.bytes).to_vec(),
        false => known_by(sent.family, &sent.bytes),
    }
}

/// Whether the router may have made this of what was sent, of which it has the key.
fn is_from(sent: &Sent, hook: Hook, packet: &[u8]) -> bool {
    if sent.way.has_new_header() {
        let length = u16::from_be_bytes([packet[2], packet[3]]);
        return packet[12..] == sent.bytes[12..]
            && usize::from(length) == packet.len()
            && packet[6] & 0x3f == 0
            && packet[7] == 0
            && is_sum_right(packet);
    }
    let forwarded = sent.way == Way::Through && hook != Hook::Prerouting;
    let at = if sent.family == Family::Ipv4 { 8 } else { 7 };
    let ttl = sent.bytes[at].wrapping_sub(u8::from(forwarded));
    let has_options = sent.family == Family::Ipv4 && sent.bytes[0] & 0xf > 5;
    // A bridge reads the options, too, and corrects no sum.
    let across = sent.way == Way::Across;
    let is_read = hook == Hook::Input || across && hook != Hook::Prerouting;
    let may_change = forwarded || has_options && is_read;
    // Between a change of the options and the new sum there are two hooks.
    let is_summed = !has_options || hook == Hook::Postrouting && !across;
    let is_sum = sent.family != Family::Ipv4 || !is_summed || is_sum_right(packet);
    // Of a header's first 20 bytes the key has said the rest.
    let behind = match sent.family {
        Family::Ipv4 => usize::from(sent.bytes[0] & 0xf).max(5) * 4,
        _ => 40,
    };
    let is_rest = packet.get(behind..) == sent.bytes.get(behind..);
    packet[at] == ttl && (packet == sent.bytes || may_change && is_sum && is_rest)
}

struct Reader {
    subscription: Subscription,
    snaplen: u32,
    /// What the others did not have yet, the last time.
    early: Vec<Event>,
}

impl Reader {
    fn new(router: &Namespace, snaplen: u32) -> Self {
        let builder = Subscription::builder()
            .hooks(Hook::ALL)
            .snaplen(Snaplen(snaplen))
            // In full batches: alone, each would cost more than the packet itself.
            .flush_interval(FlushInterval { us: 1_000_000 })
            .receive_buffer(96 << 20);
        Self {
            subscription: subscribe(router, &builder),
            snaplen,
            early: Vec::new(),
        }
    }

    /// What the kernel has counted as lost, said or not.
    fn lost_so_far(&self, router: &Namespace) -> u64 {
        let ask = || Client::open().and_then(|mut client| client.subscriptions(false));
        let subscriptions = router.enter(ask).expect("a dump");
        let mut here = subscriptions.iter();
        let mine = here.find(|it| it.parameters.snaplen.0 == self.snaplen);
        mine.expect("it is there").counters.lost()
    }

    fn read(&mut self) -> Vec<Event> {
        self.subscription.flush().expect("flush");
        let mut events = Vec::new();
        loop {
            match self.subscription.recv_before(Instant::now()) {
                Ok(Received::Item(item)) => match item.to_owned() {
                    OwnedItem::Event(event) => events.push(event),
                    // The kernel is asked for the number.
                    OwnedItem::Lost(_) => {}
                },
                Ok(Received::TimedOut) => return events,
                other => panic!("{other:?}"),
            }
        }
    }
}

/// One packet at one hook: the same for all subscriptions that see it.
fn moment(event: &Event) -> (u32, u64, u8) {
    let event = event.as_ref();
    let (cpu, hook) = (event.cpu().expect("tapped"), event.hook().expect("tapped"));
    (cpu.0, event.time_ns(), hook.number())
}

/// What one CPU has done.
struct Done {
    sent: Tally,
    delivered: Tally,
    count: u64,
    compared: u64,
    summaries: Vec<String>,
}

#[test]
fn what_is_delivered_is_what_was_sent() {
    let mut rng = random();
    let cpus = thread::available_parallelism().expect("CPUs").get();
    let each = iterations(20_000, 200_000).div_ceil(cpus as u64);
    // Each CPU has namespaces of its own: of two in one, packets would come in two
    // orders, and what was sent would not follow from the seed.
    let rngs = Mutex::new(Vec::from_iter((0..cpus).map(|_| rng.fork())));
    let done = Mutex::new(Vec::new());
    on_each_cpu(|| {
        let rng = rngs.lock().expect("no panic").pop();
        let shot = shoot(rng.expect("one for each CPU"), each);
        done.lock().expect("no panic").push(shot);
    });

    let (mut sent, mut delivered) = (Tally::default(), Tally::default());
    let (mut count, mut compared) = (0, 0);
    for done in done.into_inner().expect("no panic") {
        sent.merge(&done.sent);
        delivered.merge(&done.delivered);
        count += done.count;
        compared += done.compared;
        for summary in done.summaries {
            println!("measured: {summary}");
        }
    }
    print!("{sent}{delivered}");
    println!("measured: {count} packets sent, {compared} bytes compared");
    for how in [
        "in pages, from a packet socket",
        "chained, put together from pieces",
        "chained, made of more than the path's MTU",
        "in pages, made of more than a buffer's head",
    ] {
        assert!(delivered.of(&format!("nonlinear, {how}")) > 0, "{how}");
    }
    for flag in ["FRAGMENT", "MALFORMED", "VLAN", "VLAN_AD"] {
        let what = format!("delivered, flag {flag}");
        assert!(delivered.of(&what) > 0, "{what}");
    }
}

/// Sends `wanted` packets, on the CPU that this thread stays on.
fn shoot(mut rng: Rng, wanted: u64) -> Done {
    let topology = Topology::new();
    let mut gun = Gun::new(&topology, &mut rng);
    let mut readers = SNAPLENS.map(|snaplen| Reader::new(&topology.router, snaplen));
    settle();
    readers.iter_mut().for_each(|reader| drop(reader.read()));

    let mut delivered = Tally::default();
    let (mut count, mut compared, mut not_delivered) = (0, 0, 0);
    while count < wanted {
        for id in 1..=BURST {
            count += gun.fire(id);
        }
        compared += look(
            &topology.router,
            &mut readers,
            &mut gun.sent,
            &mut delivered,
        );
        let missing = |sent: &Sent| sent.good && sent.delivered.len() < sent.way.hooks().len();
        for _ in 0..3 {
            if gun.sent.iter().any(missing) {
                // A CPU that stood still has not come to the last ones yet, or the
                // kernel has lost some and has not said so.
                thread::sleep(Duration::from_millis(200));
                compared += look(
                    &topology.router,
                    &mut readers,
                    &mut gun.sent,
                    &mut delivered,
                );
            }
        }
        let count = gun.sent.iter().filter(|sent| missing(sent)).count() as u64;
        if count > 0 {
            not_delivered += count;
            let lost = readers[0].lost_so_far(&topology.router);
            let first = gun.sent.iter().find(|sent| missing(sent)).expect("one");
            let (family, way) = (first.family, first.way);
            let bytes = &first.bytes[..first.bytes.len().min(100)];
            assert!(
                not_delivered <= lost,
                "{not_delivered} not delivered, {lost} lost: {family} {way:?} {bytes:x?}, \
                 only at {:?}",
                first.delivered
            );
        }
        gun.sent.clear();
    }

    let summaries = readers.map(|reader| {
        let summary = reader.subscription.finish().expect("finish");
        summary.audit().expect("both sides agree");
        format!("snaplen {}: {summary}", reader.snaplen)
    });
    Done {
        sent: gun.tally,
        delivered,
        count,
        compared,
        summaries: summaries.into(),
    }
}

/// Reads what has come and compares it; returns the number of bytes compared.
fn look(
    router: &Namespace,
    readers: &mut [Reader; SNAPLENS.len()],
    sent: &mut [Sent],
    delivered: &mut Tally,
) -> u64 {
    settle();
    let [whole, parts @ ..] = readers.each_mut().map(Reader::read);
    let ours = compare(&whole, sent, delivered);
    let packets = ours
        .iter()
        .map(|event| event.as_ref().packet().len() as u64);
    let mut compared = packets.sum();
    let [reference, others @ ..] = readers;
    for (events, reader) in parts.into_iter().zip(others) {
        let known = [&reference.early[..], &whole].concat();
        compared += compare_parts(
            &known,
            &ours,
            events,
            reader,
            (reference, router),
            delivered,
        );
    }
    reference.early = whole;
    compared
}

/// Compares the records of whole packets with what was sent; returns those that are
/// of what was sent, and not of what kernels said themselves.
fn compare<'a>(events: &'a [Event], sent: &mut [Sent], delivered: &mut Tally) -> Vec<&'a Event> {
    let mut by_key: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
    for (nth, sent) in sent.iter().enumerate() {
        by_key.entry(key(sent)).or_default().push(nth);
    }
    let mut ours_of_them = Vec::new();
    for whole in events {
        let event = whole.as_ref();
        let (hook, family, packet) = (
            event.hook().expect("tapped"),
            event.family(),
            event.packet(),
        );
        let what = || format!("{hook} {family}: {:x?}", &packet[..packet.len().min(200)]);
        assert_eq!(event.original_len() as usize, packet.len(), "{}", what());
        assert!(!event.is_truncated(), "{}", what());

        let known = by_key.get(&known_by(family, packet));
        let by_payload = (family == Family::Ipv4 && packet.len() > 20)
            .then(|| by_key.get(payload(packet)))
            .flatten();
        let candidates = known.into_iter().chain(by_payload).flatten();
        let found = candidates.copied().find(|nth| {
            let sent = &sent[*nth];
            sent.family == family
                && sent.way.hooks().contains(&hook)
                && !sent.delivered.contains(&hook)
                && is_from(sent, hook, packet)
        });
        let Some(found) = found else {
            let src = event.src().expect("a source");
            let ours: [IpAddr; 5] = [
                LEFT.into(),
                PIECES.into(),
                LOCAL.into(),
                LEFT6.into(),
                LOCAL6.into(),
            ];
            assert!(!ours.contains(&src), "nobody sent it: {}", what());
            delivered.add("what the kernels said themselves", &hook.to_string());
            continue;
        };
        let found = &mut sent[found];
        found.delivered.push(hook);
        ours_of_them.push(whole);
        let told = facts(family, packet).unwrap_or_else(|| panic!("not ICMP: {}", what()));
        assert_eq!(event.is_fragment(), told.fragment, "{}", what());
        assert_eq!(event.is_malformed(), told.malformed, "{}", what());
        assert_eq!(event.icmp_type_and_code(), told.type_and_code, "{}", what());
        assert_eq!(event.vlan(), found.vlan, "{}", what());
        delivered.add("delivered, snaplen 65535", &hook.to_string());
        if told.fragment {
            delivered.add("delivered, flag FRAGMENT", &hook.to_string());
        }
        if told.malformed {
            delivered.add("delivered, flag MALFORMED", &hook.to_string());
        }
        if let Some(tag) = found.vlan {
            let flag = if tag.provider { "VLAN_AD" } else { "VLAN" };
            delivered.add(&format!("delivered, flag {flag}"), &hook.to_string());
        }
        if let Some(how) = found.nonlinear {
            delivered.add(&format!("nonlinear, {how}"), &hook.to_string());
        }
    }
    ours_of_them
}

/// Compares records of parts of packets with those of whole ones, `known`; `ours` of
/// them have to be there. What kernels say themselves comes at any time, also while
/// one subscription was read and the next one was not.
fn compare_parts(
    known: &[Event],
    ours: &[&Event],
    events: Vec<Event>,
    reader: &mut Reader,
    (reference, router): (&Reader, &Namespace),
    delivered: &mut Tally,
) -> u64 {
    let snaplen = reader.snaplen;
    let by_moment: HashMap<_, _> = known.iter().map(|event| (moment(event), event)).collect();
    assert_eq!(by_moment.len(), known.len(), "two records of one moment");
    let here: HashSet<_> = events.iter().map(moment).collect();
    let there = |event: &&&Event| here.contains(&moment(event));
    let count = ours.iter().filter(there).count();
    assert!(
        count == ours.len() || reader.lost_so_far(router) > 0,
        "{count} of {} came",
        ours.len()
    );

    let what = format!("delivered, snaplen {snaplen}");
    let (mut compared, mut early) = (0, Vec::new());
    let late = std::mem::take(&mut reader.early);
    let again = late.len();
    for (nth, event) in late.into_iter().chain(events).enumerate() {
        let Some(whole) = by_moment.get(&moment(&event)) else {
            assert!(
                nth >= again || reference.lost_so_far(router) > 0,
                "only snaplen {snaplen} has {event:?}"
            );
            early.push(event);
            continue;
        };
        let (part, whole) = (event.as_ref(), whole.as_ref());
        let kept = whole.packet().len().min(snaplen as usize);
        assert_eq!(part.packet(), &whole.packet()[..kept]);
        assert_eq!(part.is_truncated(), kept < whole.packet().len());
        assert_eq!(part.original_len(), whole.original_len());
        assert_eq!(part.family(), whole.family());
        assert_eq!(part.is_fragment(), whole.is_fragment());
        assert_eq!(part.is_malformed(), whole.is_malformed());
        assert_eq!(part.icmp_type_and_code(), whole.icmp_type_and_code());
        assert_eq!((part.iif(), part.oif()), (whole.iif(), whole.oif()));
        assert_eq!(part.vlan(), whole.vlan());
        compared += kept as u64;
        delivered.add(&what, &part.hook().expect("tapped").to_string());
    }
    reader.early = early;
    compared
}
