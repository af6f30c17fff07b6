//! The IMP2 protocol: old programs, new manners.

use std::ffi::CStr;
use std::fs;
use std::net::Ipv4Addr;
use std::num::NonZero;

use icmptap_sys::{IMP2_CLOSE, IMP2_K_MSG, IMP2_U_PID, NL_IMP2, NLM_F_ACK, NLM_F_REQUEST};
use icmptap_vm_tests::listen::Listener;
use icmptap_vm_tests::net::{Namespace, Wire};
use icmptap_vm_tests::netlink::{Socket, errno, header};
use icmptap_vm_tests::packet::{flood, slab_objects};
use icmptap_vm_tests::probe::Probe;
use icmptap_vm_tests::process::{Process, run, times, wait_until};
use icmptap_vm_tests::{imp2, module};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType, socket_with};
use rustix::process::Signal;
use rustix::system::{delete_module, init_module};

const REGISTER: u16 = IMP2_U_PID as u16;
const CLOSE: u16 = IMP2_CLOSE as u16;
const REQUEST: u16 = NLM_F_REQUEST as u16;
const ACK: u16 = REQUEST | NLM_F_ACK as u16;
const HEADER: u32 = 16;

const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EINVAL: i32 = 22;
const EOPNOTSUPP: i32 = 95;

fn ping(wire: &Wire, count: u32) {
    wire.left.run(&format!("ping -c {count} -i 0.05 10.0.0.2"));
}

fn socket(namespace: &Namespace) -> Socket {
    namespace.enter(|| Socket::open(NL_IMP2))
}

/// Sends a request that asks for an answer; returns its errno.
fn ask(socket: &Socket, kind: u16) -> i32 {
    socket.send(&header(HEADER, kind, ACK, 0)).expect("send");
    errno(&socket.receive().expect("an answer"))
}

/// The next message, which has to be a packet from left to right.
fn expect_packet(socket: &Socket) {
    let message = socket.receive().expect("a packet");
    assert_eq!(message.len(), 24);
    assert_eq!(message[..4], 24_u32.to_ne_bytes());
    assert_eq!(message[4..6], (IMP2_K_MSG as u16).to_ne_bytes());
    assert_eq!(message[16..20], Wire::LEFT.octets());
    assert_eq!(message[20..24], Wire::RIGHT.octets());
}

#[test]
fn an_old_program_prints_one_line_per_packet() {
    let wire = Wire::new();
    let client = imp2::start(&wire.right);
    ping(&wire, 5);
    assert_eq!(client.take(5), vec!["src: 10.0.0.1, dest: 10.0.0.2"; 5]);
    let (status, more, _) = client.end_by(Signal::INT);
    assert!(status.success(), "{status}");
    assert!(more.is_empty(), "{more:?}");
}

#[test]
fn two_clients_get_everything_each() {
    let wire = Wire::new();
    let (one, two) = (imp2::start(&wire.right), imp2::start(&wire.right));
    ping(&wire, 3);
    for client in [&one, &two] {
        assert_eq!(client.take(3), vec!["src: 10.0.0.1, dest: 10.0.0.2"; 3]);
        client.is_silent();
    }
    one.end_by(Signal::INT);
    ping(&wire, 1);
    assert_eq!(two.take(1).len(), 1);
}

#[test]
fn close_ends_it_and_the_socket_stays() {
    let wire = Wire::new();
    let socket = socket(&wire.right);
    assert_eq!(ask(&socket, REGISTER), 0);
    ping(&wire, 1);
    expect_packet(&socket);
    assert_eq!(ask(&socket, CLOSE), 0);
    ping(&wire, 1);
    assert_eq!(socket.receive(), None);
    assert_eq!(ask(&socket, CLOSE), ENOENT);
    assert_eq!(ask(&socket, REGISTER), 0);
    ping(&wire, 1);
    expect_packet(&socket);
}

#[test]
fn registering_twice_is_registering_once() {
    let wire = Wire::new();
    let socket = socket(&wire.right);
    socket.hear_reasons();
    assert_eq!(ask(&socket, REGISTER), 0);
    socket
        .send(&header(HEADER, REGISTER, ACK, 0))
        .expect("send");
    let answer = socket.receive().expect("an answer");
    assert_eq!(errno(&answer), 0);
    assert_eq!(answer.len(), 36, "a success has no reason: {answer:?}");
    ping(&wire, 1);
    expect_packet(&socket);
    assert_eq!(socket.receive(), None);
}

#[test]
fn a_killed_client_is_forgotten() {
    let wire = Wire::new();
    let client = imp2::start(&wire.right);
    assert_eq!(module::references(), 0, "it holds only its own module");
    assert_eq!(module::IMP2.references(), 2, "a socket, and a subscription");
    client.end_by(Signal::KILL);
    wait_until("nobody holds the modules", module::are_free);
    ping(&wire, 1);
    module::reload("");
}

#[test]
fn a_claimed_port_is_not_believed() {
    let wire = Wire::new();
    let (liar, victim) = (socket(&wire.right), socket(&wire.right));
    liar.send(&header(HEADER, REGISTER, ACK, victim.port()))
        .expect("send");
    assert_eq!(errno(&liar.receive().expect("an answer")), 0);
    ping(&wire, 1);
    expect_packet(&liar);
    assert_eq!(victim.receive(), None);

    // Nor can it end what another one has.
    assert_eq!(ask(&victim, REGISTER), 0);
    liar.send(&header(HEADER, CLOSE, ACK, victim.port()))
        .expect("send");
    assert_eq!(errno(&liar.receive().expect("an answer")), 0);
    ping(&wire, 1);
    expect_packet(&victim);
    assert_eq!(liar.receive(), None);
}

#[test]
fn without_being_asked_success_is_silent() {
    let wire = Wire::new();
    let socket = socket(&wire.right);
    for kind in [REGISTER, CLOSE] {
        socket
            .send(&header(HEADER, kind, REQUEST, 0))
            .expect("send");
        assert_eq!(socket.receive(), None);
    }
    // An error is told in any case.
    socket
        .send(&header(HEADER, CLOSE, REQUEST, 0))
        .expect("send");
    assert_eq!(errno(&socket.receive().expect("an answer")), ENOENT);
}

#[test]
fn nor_is_who_is_not_permitted_answered_without_a_request() {
    let namespace = Namespace::new();
    namespace.enter_unprivileged(|| {
        let socket = Socket::open(NL_IMP2);
        for kind in [REGISTER, CLOSE] {
            for flags in [0, NLM_F_ACK as u16, 0x300] {
                socket.send(&header(HEADER, kind, flags, 0)).expect("send");
                assert_eq!(socket.receive(), None, "{kind}, {flags}");
            }
        }
        // It asks, and so it is told.
        socket
            .send(&header(HEADER, REGISTER, REQUEST, 0))
            .expect("send");
        assert_eq!(errno(&socket.receive().expect("an answer")), EPERM);
    });
}

#[test]
fn an_old_program_that_is_not_permitted_prints_no_packet() {
    let namespace = Namespace::new();
    let words = format!(
        "/usr/bin/setpriv --reuid 1000 --regid 1000 --clear-groups {}",
        imp2::install()
    );
    let client = Process::start(namespace.command(&words));
    client.wait_for("registered");
    client.is_silent();
    assert!(
        run("dmesg").contains("NLM_F_REQUEST"),
        "the log has no word"
    );
    client.end_by(Signal::INT);
}

/// As the original client sends it. It would take an answer for a packet's addresses.
#[test]
fn what_is_no_request_is_done_and_gets_no_answer() {
    let wire = Wire::new();
    let socket = socket(&wire.right);
    let tell = |datagram: &[u8]| socket.send(datagram).expect("send");
    for flags in [0, NLM_F_ACK as u16] {
        tell(&header(HEADER, REGISTER, flags, 0));
        assert_eq!(socket.receive(), None);
        ping(&wire, 1);
        expect_packet(&socket);
        tell(&header(HEADER, CLOSE, flags, 0));
        // And these are refused.
        tell(&header(HEADER, CLOSE, flags, 0));
        tell(&header(HEADER, IMP2_K_MSG as u16, flags, 0));
        tell(&header(HEADER + 1, REGISTER, flags, 0));
        for length in 1..HEADER as usize {
            tell(&header(HEADER, REGISTER, flags, 0)[..length]);
        }
        assert_eq!(socket.receive(), None);
    }
    assert_eq!(ask(&socket, CLOSE), ENOENT);
}

#[test]
fn garbage_is_refused() {
    let namespace = Namespace::new();
    let socket = socket(&namespace);
    let refused = |datagram: &[u8]| {
        socket.send(datagram).expect("send");
        errno(&socket.receive().expect("an answer"))
    };

    for claimed in [0, 1, 15, 17, 1000, u32::MAX] {
        assert_eq!(
            refused(&header(claimed, REGISTER, REQUEST, 0)),
            EINVAL,
            "claims {claimed}"
        );
    }
    for kind in [IMP2_K_MSG as u16, 3, 0x10, 0xffff] {
        assert_eq!(
            refused(&header(HEADER, kind, REQUEST, 0)),
            EOPNOTSUPP,
            "type {kind}"
        );
    }
    let noise: Vec<u8> = (0..4096_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8 | 1)
        .collect();
    assert_ne!(refused(&noise), 0);
    // None of it registered anybody.
    assert_eq!(ask(&socket, CLOSE), ENOENT);
}

#[test]
fn a_long_message_registers_like_a_short_one() {
    let wire = Wire::new();
    let socket = socket(&wire.right);
    let mut datagram = header(HEADER + 1000, REGISTER, ACK, 0);
    datagram.extend([0xff; 1000]);
    socket.send(&datagram).expect("send");
    assert_eq!(errno(&socket.receive().expect("an answer")), 0);
    ping(&wire, 1);
    expect_packet(&socket);
}

#[test]
fn the_unprivileged_get_eperm() {
    let namespace = Namespace::new();
    namespace.enter_unprivileged(|| {
        let socket = Socket::open(NL_IMP2);
        assert_eq!(ask(&socket, REGISTER), EPERM);
        assert_eq!(ask(&socket, CLOSE), ENOENT);
    });
}

#[test]
fn the_verdict_is_a_parameter() {
    let verdict = || module::IMP2.parameter("verdict");
    let set = |verdict| module::IMP2.set_parameter("verdict", verdict);
    assert_eq!(verdict(), "accept");
    set("drop").expect("drop");
    assert_eq!(verdict(), "drop");
    set("accept").expect("accept");
    let error = set("stolen").expect_err("no such verdict");
    assert_eq!(error.raw_os_error(), Some(EINVAL));
    assert_eq!(verdict(), "accept");
}

#[test]
fn drop_swallows_until_the_client_leaves() {
    module::IMP2.reload("verdict=drop");
    let wire = Wire::new();
    let lost = |wire: &Wire| {
        let status = wire
            .left
            .command("ping -c 2 -i 0.05 -W 1 10.0.0.2")
            .status();
        !status.expect("ping").success()
    };

    assert!(!lost(&wire), "nobody is registered yet");
    let client = imp2::start(&wire.right);
    assert!(lost(&wire), "a client is registered");
    assert_eq!(client.take(2), vec!["src: 10.0.0.1, dest: 10.0.0.2"; 2]);
    client.end_by(Signal::INT);
    assert!(!lost(&wire), "the client left");

    let client = imp2::start(&wire.right);
    assert!(lost(&wire));
    client.end_by(Signal::KILL);
    wait_until("pings get through again", || !lost(&wire));

    module::IMP2.reload("");
}

#[test]
fn what_is_dropped_does_not_leak() {
    let count = times(10_000, 3_000);
    module::IMP2.reload("verdict=drop");
    let wire = Wire::new();
    let client = Process::start(wire.right.command(imp2::install()));
    client.wait_for("registered");
    // The caches fill first, so that they do not look like a leak.
    flood(&wire.left, Wire::RIGHT, count);
    assert_eq!(client.take(1)[0], line(Wire::LEFT, Wire::RIGHT));

    let before = slab_objects("skbuff_head_cache");
    flood(&wire.left, Wire::RIGHT, count);
    wait_until("the buffers are free again", || {
        slab_objects("skbuff_head_cache") < before + u64::from(count) / 10
    });

    client.end_by(Signal::INT);
    module::IMP2.reload("");
}

fn line(src: Ipv4Addr, dest: Ipv4Addr) -> String {
    format!("src: {src}, dest: {dest}")
}

/// A socket of the protocol, as anybody may open it.
fn open_by_anybody(namespace: &Namespace) -> Result<OwnedFd, Errno> {
    namespace.enter_unprivileged(|| {
        let protocol = NonZero::new(NL_IMP2).map(Protocol::from_raw);
        let flags = SocketFlags::CLOEXEC;
        socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)
    })
}

#[test]
fn a_socket_loads_nothing() {
    let namespace = Namespace::new();
    module::IMP2.unload();
    let beside = open_by_anybody(&namespace).err();
    let loaded = module::IMP2.is_loaded();
    module::ICMPTAP.unload();
    let alone = open_by_anybody(&namespace).err();
    let any = module::BOTH.iter().any(|module| module.is_loaded());
    if !any {
        module::load("");
    }
    assert_eq!(
        [beside, alone],
        [Some(Errno::PROTONOSUPPORT), Some(Errno::PROTONOSUPPORT)]
    );
    assert!(!loaded && !any, "it was loaded for a socket");
    // By this name the kernel would ask for it, where depmod knows the modules.
    let alias = format!("alias=net-pf-16-proto-{NL_IMP2}");
    for module in module::BOTH {
        let bytes = fs::read(module.file()).expect("the module");
        let mut windows = bytes.windows(alias.len());
        let has_it = windows.any(|bytes| bytes == alias.as_bytes());
        assert!(!has_it, "{} has {alias}", module.name);
    }
}

/// Where another module has the number, icmptap has to be there all the same: so it may
/// not even try to have it.
#[test]
fn icmptap_itself_takes_no_protocol() {
    // Which number it is, the kernel does not tell before it counts.
    let made = Probe::new("icmptap_made", "p:icmptap_made __netlink_kernel_create");
    module::unload();
    let namespace = || drop(Namespace::new());
    let without = made.during(namespace);
    let loading = made.during(|| module::ICMPTAP.load(""));
    let with = made.during(namespace);
    let loading_imp2 = made.during(|| module::IMP2.load(""));
    let with_imp2 = made.during(namespace);
    assert!(without > 0, "a namespace without netlink");
    assert_eq!((loading, with), (0, without));
    assert!(loading_imp2 > 0 && with_imp2 == without + 1);
}

/// A module that has the number: ours, with another name.
struct Another;

impl Another {
    const NAME: &CStr = c"another_imp2";

    fn load() -> Self {
        let mut bytes = fs::read(module::IMP2.file()).expect("the module");
        let (old, new) = (module::IMP2.name.as_bytes(), Self::NAME.to_bytes());
        assert_eq!(old.len(), new.len());
        let places: Vec<_> = bytes
            .windows(old.len())
            .enumerate()
            .filter_map(|(place, name)| (name == old).then_some(place))
            .collect();
        for place in places {
            bytes[place..][..new.len()].copy_from_slice(new);
        }
        init_module(&bytes, c"").expect("a module of another name");
        Self
    }
}

impl Drop for Another {
    fn drop(&mut self) {
        // No panic within a panic.
        let _ = delete_module(Self::NAME, 0);
    }
}

#[test]
fn where_another_module_has_the_number_icmptap_works_without_imp2() {
    module::IMP2.unload();
    let another = Another::load();
    let refused = module::IMP2.try_load("");
    let wire = Wire::new();
    let listener = Listener::start(&wire.right);
    ping(&wire, 3);
    let heard = listener.stop().events.len();
    drop(another);
    module::IMP2.load("");
    assert!(refused.is_err(), "it was loaded all the same");
    assert!(
        run("dmesg").contains("netlink protocol 31"),
        "and not a word"
    );
    assert_eq!(heard, 3);
}
