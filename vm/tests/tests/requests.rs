//! What the family answers to requests, right and wrong.

use icmptap::reply::Refusal;
use icmptap::{BatchSize, Client, Instruction, Subscription};
use icmptap_proto::nlmsg::messages;
use icmptap_proto::reply::{Family, Status};
use icmptap_proto::request;
use icmptap_sys as sys;
use icmptap_vm_tests::net::Namespace;
use icmptap_vm_tests::netlink::Socket;

const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EBUSY: i32 = 16;
const EINVAL: i32 = 22;
const ERANGE: i32 = 34;
const EOPNOTSUPP: i32 = 95;

/// A generic netlink socket that hears the kernel's reasons.
struct Asker {
    socket: Socket,
    family: u16,
}

impl Asker {
    fn new() -> Self {
        let socket = Socket::open(sys::NETLINK_GENERIC);
        socket.hear_reasons();
        socket.send(&request::get_family(1)).expect("send");
        let datagram = socket.receive().expect("an answer");
        let message = messages(&datagram)
            .next()
            .expect("a message")
            .expect("whole");
        let family = Family::decode(&message.generic().expect("generic")).expect("a family");
        Self {
            socket,
            family: family.id.0,
        }
    }

    fn send(&self, command: u32, flags: u32, attributes: &[u8]) {
        let mut bytes = ((20 + attributes.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(self.family.to_ne_bytes());
        bytes.extend(((sys::NLM_F_REQUEST | flags) as u16).to_ne_bytes());
        bytes.extend(1_u32.to_ne_bytes());
        bytes.extend(0_u32.to_ne_bytes());
        bytes.extend([command as u8, 1, 0, 0]);
        bytes.extend(attributes);
        self.socket.send(&bytes).expect("send");
    }

    /// Asks; returns the refusal, or `None` for success of any kind.
    fn ask(&self, command: u32, attributes: &[u8]) -> Option<Refusal> {
        let flags = match command {
            // There is no other way to ask for it.
            sys::ICMPTAP_CMD_GET_SUBSCRIPTION => sys::NLM_F_DUMP,
            _ => sys::NLM_F_ACK,
        };
        self.send(command, flags, attributes);
        loop {
            let datagram = self.socket.receive().expect("an answer");
            for message in messages(&datagram) {
                let message = message.expect("whole");
                if u32::from(message.kind) != sys::NLMSG_ERROR {
                    continue;
                }
                return match Status::decode(&message).expect("well formed") {
                    Status::Ack => None,
                    Status::Refused(refusal) => Some(refusal),
                };
            }
        }
    }

    /// Asks for what has to be refused, with a sentence that contains `words`.
    fn refused(&self, command: u32, attributes: &[u8], errno: i32, words: &str) -> Refusal {
        let refusal = self.ask(command, attributes).expect("a refusal");
        assert_eq!(refusal.errno, errno, "{refusal:?}");
        let message = refusal.message.clone().unwrap_or_default();
        assert!(
            message.contains(words),
            "{refusal:?} does not say {words:?}"
        );
        refusal
    }
}

fn attribute(kind: u32, value: &[u8]) -> Vec<u8> {
    let mut bytes = ((4 + value.len()) as u16).to_ne_bytes().to_vec();
    bytes.extend((kind as u16).to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

#[test]
fn values_out_of_range_are_refused_by_attribute() {
    let asker = Asker::new();
    let info = Client::open()
        .and_then(|mut client| client.info())
        .expect("info");
    let cases = [
        (sys::ICMPTAP_SUB_HOOKS, 0, EINVAL, "at least one hook"),
        (sys::ICMPTAP_SUB_HOOKS, 1 << 31, EINVAL, ""),
        (sys::ICMPTAP_SUB_FAMILIES, 0, EINVAL, "at least one family"),
        (sys::ICMPTAP_SUB_FAMILIES, 1 << 7, EINVAL, ""),
        (
            sys::ICMPTAP_SUB_SNAPLEN,
            info.snaplen_max.0 + 1,
            ERANGE,
            "out of range",
        ),
        (
            sys::ICMPTAP_SUB_BATCH,
            info.batch_min.0 - 1,
            ERANGE,
            "out of range",
        ),
        (
            sys::ICMPTAP_SUB_BATCH,
            info.batch_max.0 + 1,
            ERANGE,
            "out of range",
        ),
        (
            sys::ICMPTAP_SUB_FLUSH_US,
            info.flush_max.us + 1,
            ERANGE,
            "out of range",
        ),
        (sys::ICMPTAP_SUB_IFINDEX, 1 << 31, ERANGE, "out of range"),
        (sys::ICMPTAP_SUB_SAMPLE, 0, ERANGE, "out of range"),
        (sys::ICMPTAP_SUB_RATE, 1_000_000_001, ERANGE, "out of range"),
        (sys::ICMPTAP_SUB_VERDICT, 2, ERANGE, "out of range"),
    ];
    for (kind, value, errno, words) in cases {
        // Something right in front of it: the offset has to be the wrong one's.
        let right = attribute(sys::ICMPTAP_SUB_SNAPLEN, &64_u32.to_ne_bytes());
        let wrong = attribute(kind, &u32::to_ne_bytes(value));
        let refusal = asker.refused(
            sys::ICMPTAP_CMD_SUBSCRIBE,
            &[right, wrong].concat(),
            errno,
            words,
        );
        assert_eq!(
            refusal.offset,
            Some(28),
            "attribute {kind} = {value}: {refusal:?}"
        );
    }
}

#[test]
fn limits_are_allowed_and_come_back() {
    let info = Client::open()
        .and_then(|mut client| client.info())
        .expect("info");
    let builder = Subscription::builder()
        .snaplen(info.snaplen_max)
        .batch(info.batch_max)
        .flush_interval(info.flush_max)
        .hooks(info.hooks)
        .families(info.families);
    let subscription = builder.subscribe().expect("subscribe");
    let parameters = subscription.parameters();
    assert_eq!(parameters.snaplen, info.snaplen_max);
    assert_eq!(parameters.batch, info.batch_max);
    assert_eq!(parameters.flush_interval, info.flush_max);
    assert_eq!(parameters.hooks, info.hooks);
    assert_eq!(parameters.families, info.families);
}

#[test]
fn the_defaults_are_those_of_the_description() {
    let subscription = Subscription::builder().subscribe().expect("subscribe");
    let parameters = subscription.parameters();
    assert_eq!(parameters.hooks.0, 1);
    assert_eq!(
        parameters.families.0,
        sys::ICMPTAP_FAMILY_IPV4 | sys::ICMPTAP_FAMILY_IPV6
    );
    assert_eq!(parameters.snaplen.0, 576);
    assert_eq!(parameters.batch.0, 3776);
    assert_eq!(parameters.flush_interval.us, 1000);
}

#[test]
fn a_batch_fills_its_bucket_and_is_not_above_what_was_asked_for() {
    for (wish, expected) in [
        (3775, 1728),
        (3776, 3776),
        (3777, 3776),
        (7871, 3776),
        (7872, 7872),
    ] {
        let builder = Subscription::builder().batch(BatchSize(wish));
        let subscription = builder.subscribe().expect("subscribe");
        assert_eq!(
            subscription.parameters().batch,
            BatchSize(expected),
            "{wish}"
        );
    }
}

#[test]
fn the_longest_filter_is_taken() {
    let info = Client::open()
        .and_then(|mut client| client.info())
        .expect("info");
    let ret = Instruction {
        code: 6,
        jt: 0,
        jf: 0,
        k: 1,
    };
    let program = vec![ret; info.filter_max as usize];
    let builder = Subscription::builder().filter_program(program);
    let subscription = builder.expect("short").subscribe().expect("subscribe");
    assert_eq!(subscription.parameters().filter_len, info.filter_max);

    let asker = Asker::new();
    let one: Vec<u8> = [6, 0, 0, 0, 1, 0, 0, 0].repeat(info.filter_max as usize + 1);
    let filter = attribute(sys::ICMPTAP_SUB_FILTER, &one);
    asker.refused(sys::ICMPTAP_CMD_SUBSCRIBE, &filter, ERANGE, "");
}

#[test]
fn an_attribute_is_there_once() {
    let asker = Asker::new();
    let some = attribute(sys::ICMPTAP_SUB_SNAPLEN, &64_u32.to_ne_bytes());
    let other = attribute(sys::ICMPTAP_SUB_RATE, &64_u32.to_ne_bytes());
    let twice = [&some[..], &other, &some].concat();
    let refusal = asker.refused(sys::ICMPTAP_CMD_SUBSCRIBE, &twice, EINVAL, "twice");
    assert_eq!(refusal.offset, Some(36), "{refusal:?}");

    // Older kernels do not pass on why a list is refused.
    let twice = attribute(sys::ICMPTAP_SUB_ALL_NETNS, &[]).repeat(2);
    asker.refused(sys::ICMPTAP_CMD_GET_SUBSCRIPTION, &twice, EINVAL, "");
}

/// What does not fit into one part of a list may have changed by the next.
#[test]
fn a_list_that_changes_while_it_is_read_says_so() {
    let many: Vec<_> = (0..200)
        .map(|_| Subscription::builder().subscribe().expect("subscribe"))
        .collect();
    let asker = Asker::new();
    let interrupted = |change: &dyn Fn()| {
        asker.send(sys::ICMPTAP_CMD_GET_SUBSCRIPTION, sys::NLM_F_DUMP, &[]);
        let mut interrupted = false;
        for nth in 0.. {
            let datagram = asker.socket.receive().expect("a part");
            for message in messages(&datagram) {
                let message = message.expect("whole");
                interrupted |= message.is_interrupted();
                if u32::from(message.kind) == sys::NLMSG_DONE {
                    assert!(nth > 1, "it came in one part");
                    return interrupted;
                }
            }
            if nth == 0 {
                change();
            }
        }
        unreachable!("it has an end");
    };
    assert!(!interrupted(&|| ()));
    assert!(interrupted(&|| {
        Subscription::builder()
            .subscribe()
            .map(drop)
            .expect("another")
    }));
    drop(many);
}

#[test]
fn attributes_of_the_wrong_kind_are_refused() {
    let asker = Asker::new();
    let subscribe = |bytes: &[u8], errno| {
        asker.refused(sys::ICMPTAP_CMD_SUBSCRIBE, bytes, errno, "");
    };
    subscribe(&attribute(sys::ICMPTAP_SUB_SNAPLEN, &[1, 0]), EINVAL);
    subscribe(&attribute(sys::ICMPTAP_SUB_SNAPLEN, &[0; 8]), EINVAL);
    for kind in [
        sys::ICMPTAP_SUB_COUNTERS,
        sys::ICMPTAP_SUB_FILTER_LEN,
        sys::ICMPTAP_SUB_PORTID,
        sys::ICMPTAP_SUB_PROTOCOL,
        sys::ICMPTAP_SUB_NETNS,
        sys::ICMPTAP_SUB_PID,
        sys::ICMPTAP_SUB_COMM,
    ] {
        let bytes = attribute(kind, &[0; 4]);
        asker.refused(sys::ICMPTAP_CMD_SUBSCRIBE, &bytes, EINVAL, "kernel only");
    }
    for kind in [sys::ICMPTAP_SUB_ICMP_TYPES, sys::ICMPTAP_SUB_ICMPV6_TYPES] {
        subscribe(&attribute(kind, &[0; 31]), ERANGE);
        subscribe(&attribute(kind, &[0; 33]), ERANGE);
    }
    // One instruction and a half.
    let filter = attribute(
        sys::ICMPTAP_SUB_FILTER,
        &[6, 0, 0, 0, 1, 0, 0, 0, 6, 0, 0, 0],
    );
    asker.refused(sys::ICMPTAP_CMD_SUBSCRIBE, &filter, EINVAL, "of 8 bytes");
    subscribe(&attribute(sys::ICMPTAP_SUB_MAX + 1, &[0; 4]), EINVAL);
    subscribe(&attribute(0x3fff, &[0; 4]), EINVAL);
    // Longer than the message, and shorter than its own header.
    subscribe(&[200, 0, 3, 0, 0, 0, 0, 0], EINVAL);
    subscribe(&[2, 0, 3, 0], EINVAL);

    let some = attribute(sys::ICMPTAP_SUB_SNAPLEN, &[0; 4]);
    for command in [
        sys::ICMPTAP_CMD_GET_INFO,
        sys::ICMPTAP_CMD_UNSUBSCRIBE,
        sys::ICMPTAP_CMD_FLUSH,
        sys::ICMPTAP_CMD_GET_STATS,
        sys::ICMPTAP_CMD_GET_SUBSCRIPTION,
    ] {
        asker.refused(command, &some, EINVAL, "");
    }
    for command in [0, sys::ICMPTAP_CMD_EVENTS, sys::ICMPTAP_CMD_MAX + 1, 255] {
        asker.refused(command, &[], EOPNOTSUPP, "");
    }
}

#[test]
fn a_socket_has_one_subscription() {
    let asker = Asker::new();
    let ask = |command| asker.ask(command, &[]);
    asker.refused(sys::ICMPTAP_CMD_FLUSH, &[], ENOENT, "not subscribed");
    asker.refused(sys::ICMPTAP_CMD_UNSUBSCRIBE, &[], ENOENT, "not subscribed");
    assert_eq!(ask(sys::ICMPTAP_CMD_SUBSCRIBE), None);
    asker.refused(sys::ICMPTAP_CMD_SUBSCRIBE, &[], EBUSY, "subscribed already");
    assert_eq!(ask(sys::ICMPTAP_CMD_FLUSH), None);
    assert_eq!(ask(sys::ICMPTAP_CMD_UNSUBSCRIBE), None);
    assert_eq!(ask(sys::ICMPTAP_CMD_SUBSCRIBE), None);
    assert_eq!(ask(sys::ICMPTAP_CMD_UNSUBSCRIBE), None);
}

#[test]
fn another_socket_cannot_end_a_subscription() {
    let (one, two) = (Asker::new(), Asker::new());
    assert_eq!(one.ask(sys::ICMPTAP_CMD_SUBSCRIBE, &[]), None);
    two.refused(sys::ICMPTAP_CMD_UNSUBSCRIBE, &[], ENOENT, "");
    assert_eq!(one.ask(sys::ICMPTAP_CMD_UNSUBSCRIBE, &[]), None);
}

#[test]
fn anyone_may_ask_and_only_net_admin_may_subscribe() {
    let namespace = Namespace::new();
    namespace.enter_unprivileged(|| {
        let asker = Asker::new();
        assert_eq!(asker.ask(sys::ICMPTAP_CMD_GET_INFO, &[]), None);
        asker.refused(sys::ICMPTAP_CMD_SUBSCRIBE, &[], EPERM, "CAP_NET_ADMIN");
    });
}
