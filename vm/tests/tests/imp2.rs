//! The IMP2 protocol: old programs, new manners.

use std::net::Ipv4Addr;

use icmptap_sys::{IMP2_CLOSE, IMP2_K_MSG, IMP2_U_PID, NL_IMP2, NLM_F_ACK, NLM_F_REQUEST};
use icmptap_vm_tests::net::{Namespace, Wire};
use icmptap_vm_tests::netlink::{Socket, errno, header};
use icmptap_vm_tests::packet::{flood, slab_objects};
use icmptap_vm_tests::process::{Process, wait_until};
use icmptap_vm_tests::{imp2, module};
use rustix::process::Signal;

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

/// As the original clients do, which take whatever comes for a packet.
#[test]
fn what_is_no_request_is_not_answered() {
    let wire = Wire::new();
    let right = socket(&wire.right);
    let says_nothing = |socket: &Socket, datagram: &[u8]| {
        socket.send(datagram).expect("send");
        assert_eq!(socket.receive(), None, "{datagram:?}");
    };
    for flags in [0, NLM_F_ACK as u16, 0x300] {
        // Wrong in every way.
        says_nothing(&right, &header(HEADER, CLOSE, flags, 0));
        says_nothing(&right, &header(HEADER, IMP2_K_MSG as u16, flags, 0));
        says_nothing(&right, &header(1000, REGISTER, flags, 0));
        // Not permitted.
        wire.right.enter_unprivileged(|| {
            let socket = Socket::open(NL_IMP2);
            says_nothing(&socket, &header(HEADER, REGISTER, flags, 0));
            assert_eq!(ask(&socket, CLOSE), ENOENT);
        });
        // And right.
        says_nothing(&right, &header(HEADER, REGISTER, flags, 0));
        ping(&wire, 1);
        expect_packet(&right);
        says_nothing(&right, &header(HEADER, CLOSE, flags, 0));
        ping(&wire, 1);
        assert_eq!(right.receive(), None);
    }
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
    assert!(dmesg().contains("NLM_F_REQUEST"), "the log has no word");
    client.end_by(Signal::INT);
}

fn dmesg() -> String {
    icmptap_vm_tests::process::run("dmesg")
}

#[test]
fn garbage_is_refused() {
    let namespace = Namespace::new();
    let socket = socket(&namespace);
    let refused = |datagram: &[u8]| {
        socket.send(datagram).expect("send");
        errno(&socket.receive().expect("an answer"))
    };

    for length in 1..HEADER as usize {
        // Too short to say that it is a request.
        let short = &header(HEADER, REGISTER, REQUEST, 0)[..length];
        socket.send(short).expect("send");
        assert_eq!(socket.receive(), None, "{length} bytes");
    }
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
    const COUNT: u32 = 10_000;
    module::IMP2.reload("verdict=drop");
    let wire = Wire::new();
    let client = Process::start(wire.right.command(imp2::install()));
    client.wait_for("registered");
    // The caches fill first, so that they do not look like a leak.
    flood(&wire.left, Wire::RIGHT, COUNT);
    assert_eq!(client.take(1)[0], line(Wire::LEFT, Wire::RIGHT));

    let before = slab_objects("skbuff_head_cache");
    flood(&wire.left, Wire::RIGHT, COUNT);
    wait_until("the buffers are free again", || {
        slab_objects("skbuff_head_cache") < before + u64::from(COUNT) / 10
    });

    client.end_by(Signal::INT);
    module::IMP2.reload("");
}

fn line(src: Ipv4Addr, dest: Ipv4Addr) -> String {
    format!("src: {src}, dest: {dest}")
}
