//! What the family answers to requests, right and wrong.

use icmptap::reply::Refusal;
use icmptap::{BatchSize, Client, Subscription};
use icmptap_proto::nlmsg::messages;
use icmptap_proto::reply::{Family, Status};
use icmptap_proto::request;
use icmptap_sys as sys;
use icmptap_vm_tests::module;
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
        let message = self.message(command, flags, attributes);
        self.socket.send(&message).expect("send");
    }

    fn message(&self, command: u32, flags: u32, attributes: &[u8]) -> Vec<u8> {
        let mut bytes = ((20 + attributes.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(self.family.to_ne_bytes());
        bytes.extend(((sys::NLM_F_REQUEST | flags) as u16).to_ne_bytes());
        bytes.extend(1_u32.to_ne_bytes());
        bytes.extend(0_u32.to_ne_bytes());
        bytes.extend([command as u8, 1, 0, 0]);
        bytes.extend(attributes);
        bytes
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
    assert_eq!(parameters.hooks.bits(), 1);
    assert_eq!(
        parameters.families.bits(),
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
    let _limit = module::Changed::parameter("max_per_netns", "201");
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

/// The bytes of one classic BPF instruction.
fn insn(code: u16, jt: u8, jf: u8, k: u32) -> Vec<u8> {
    let mut bytes = code.to_ne_bytes().to_vec();
    bytes.extend([jt, jf]);
    bytes.extend(k.to_ne_bytes());
    bytes
}

#[test]
fn a_bad_filter_is_refused_with_the_reason() {
    let asker = Asker::new();
    let info = Client::open()
        .and_then(|mut client| client.info())
        .expect("info");
    let most = info.filter_max as usize;
    let ret = || insn(0x06, 0, 0, 1);
    let cases = [
        (vec![], EINVAL, "no array of instructions"),
        (ret()[..7].to_vec(), EINVAL, "no array of instructions"),
        (
            [ret(), vec![6]].concat(),
            EINVAL,
            "no array of instructions",
        ),
        (ret().repeat(most + 1), ERANGE, ""),
        (insn(0x00, 0, 0, 1), EINVAL, "does not end with a return"),
        (
            [insn(0x15, 1, 0, 0), ret()].concat(),
            EINVAL,
            "jump leads out",
        ),
        (
            [insn(0x05, 0, 0, 1), ret()].concat(),
            EINVAL,
            "jump leads out",
        ),
        (
            [insn(0x34, 0, 0, 0), ret()].concat(),
            EINVAL,
            "divides by zero",
        ),
        (
            [insn(0x94, 0, 0, 0), ret()].concat(),
            EINVAL,
            "divides by zero",
        ),
        ([insn(0x64, 0, 0, 32), ret()].concat(), EINVAL, "shifts"),
        (
            [insn(0x60, 0, 0, 16), ret()].concat(),
            EINVAL,
            "memory word",
        ),
        (
            [insn(0x60, 0, 0, 3), ret()].concat(),
            EINVAL,
            "reads memory before it is written",
        ),
        (
            [insn(0xffff, 0, 0, 0), ret()].concat(),
            EINVAL,
            "an unknown instruction",
        ),
    ];
    for (program, errno, words) in cases {
        // Something right in front of it, as above.
        let right = attribute(sys::ICMPTAP_SUB_SNAPLEN, &64_u32.to_ne_bytes());
        let wrong = attribute(sys::ICMPTAP_SUB_FILTER, &program);
        let refusal = asker.refused(
            sys::ICMPTAP_CMD_SUBSCRIBE,
            &[right, wrong].concat(),
            errno,
            words,
        );
        assert_eq!(refusal.offset, Some(28), "{refusal:?}");
    }
    let longest = attribute(sys::ICMPTAP_SUB_FILTER, &ret().repeat(most));
    assert_eq!(asker.ask(sys::ICMPTAP_CMD_SUBSCRIBE, &longest), None);
    assert_eq!(asker.ask(sys::ICMPTAP_CMD_UNSUBSCRIBE, &[]), None);
}

/// What each attribute of a subscription takes at most, by its length.
fn right_value(kind: u32) -> Option<Vec<u8>> {
    let number = |value: u32| Some(value.to_ne_bytes().to_vec());
    match kind {
        sys::ICMPTAP_SUB_HOOKS | sys::ICMPTAP_SUB_FAMILIES | sys::ICMPTAP_SUB_SAMPLE => number(1),
        sys::ICMPTAP_SUB_BATCH => number(4096),
        sys::ICMPTAP_SUB_SNAPLEN
        | sys::ICMPTAP_SUB_FLUSH_US
        | sys::ICMPTAP_SUB_IFINDEX
        | sys::ICMPTAP_SUB_RATE
        | sys::ICMPTAP_SUB_VERDICT => number(0),
        sys::ICMPTAP_SUB_ICMP_TYPES | sys::ICMPTAP_SUB_ICMPV6_TYPES => Some(vec![0xff; 32]),
        sys::ICMPTAP_SUB_FILTER => Some(insn(0x06, 0, 0, 1)),
        sys::ICMPTAP_SUB_ALL_NETNS => Some(Vec::new()),
        _ => None,
    }
}

#[test]
fn each_attribute_is_taken_once_and_at_its_length() {
    let asker = Asker::new();
    let mut taken = 0;
    for kind in 1..=sys::ICMPTAP_SUB_MAX {
        let Some(value) = right_value(kind) else {
            // From the kernel only, as which the counters are a nest.
            let flags = match kind {
                sys::ICMPTAP_SUB_COUNTERS => sys::NLA_F_NESTED,
                _ => 0,
            };
            for value in [&[][..], &[0; 4], &[0; 32]] {
                let refusal = asker.refused(
                    sys::ICMPTAP_CMD_SUBSCRIBE,
                    &attribute(kind | flags, value),
                    EINVAL,
                    "from the kernel only",
                );
                assert_eq!(refusal.offset, Some(20), "attribute {kind}");
            }
            continue;
        };
        taken += 1;
        let right = attribute(kind, &value);
        assert_eq!(
            asker.ask(sys::ICMPTAP_CMD_SUBSCRIBE, &right),
            None,
            "{kind}"
        );
        assert_eq!(asker.ask(sys::ICMPTAP_CMD_UNSUBSCRIBE, &[]), None);

        let twice = [right.clone(), right.clone()].concat();
        let refusal = asker.refused(sys::ICMPTAP_CMD_SUBSCRIBE, &twice, EINVAL, "here twice");
        let second = 20 + right.len() as u32;
        assert_eq!(refusal.offset, Some(second), "attribute {kind}");

        let longer = [&value[..], &[0]].concat();
        let shorter = &value[..value.len().saturating_sub(1)];
        for wrong in [&longer[..], shorter] {
            if wrong == value {
                continue;
            }
            let wrong = attribute(kind, wrong);
            let refusal = asker.ask(sys::ICMPTAP_CMD_SUBSCRIBE, &wrong);
            let refusal = refusal.unwrap_or_else(|| panic!("attribute {kind} was taken"));
            assert!([EINVAL, ERANGE].contains(&refusal.errno), "{refusal:?}");
            assert_eq!(refusal.offset, Some(20), "attribute {kind}: {refusal:?}");
        }
    }
    assert_eq!(taken, 13);
}

/// "A session" in docs/protocol.md, with its lengths and the order in it.
#[test]
fn the_session_of_the_description() {
    let asker = Asker::new();
    let ask = |command: u32| -> Vec<u8> {
        let mut bytes = 20_u32.to_ne_bytes().to_vec();
        bytes.extend(asker.family.to_ne_bytes());
        bytes.extend([1, 0, 1, 0, 0, 0, 0, 0, 0, 0, command as u8, 1, 0, 0]);
        asker.socket.send(&bytes).expect("send");
        asker.socket.receive().expect("an answer")
    };
    // Length and type of each attribute, flags and all.
    let attributes = |mut bytes: &[u8]| {
        let mut found = Vec::new();
        while let [a, b, c, d, ..] = bytes {
            let length = u16::from_ne_bytes([*a, *b]);
            found.push((length, u16::from_ne_bytes([*c, *d])));
            bytes = &bytes[usize::from(length).next_multiple_of(4)..];
        }
        found
    };
    let reply = ask(sys::ICMPTAP_CMD_SUBSCRIBE);
    assert_eq!(reply.len(), 172);
    let (number, types) = (8, 36);
    assert_eq!(
        attributes(&reply[20..]),
        [
            (number, 1),
            (number, 2),
            (number, 3),
            (number, 4),
            (number, 5),
            (number, 12),
            (number, 13),
            (number, 14),
            (types, 7),
            (types, 8),
            (number, 9),
            (number, 11),
        ]
    );
    let reply = ask(sys::ICMPTAP_CMD_UNSUBSCRIBE);
    assert_eq!(reply.len(), 108);
    assert_eq!(attributes(&reply[20..]), [(88, 0x8006)]);
    let counters: Vec<_> = (2..=8).map(|kind| (12, kind)).collect();
    assert_eq!(attributes(&reply[24..]), counters);
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

/// Many of what takes long would be one system call that no signal ends, and generic netlink
/// waits for it.
#[test]
fn what_may_take_long_comes_first_in_its_datagram() {
    let asker = Asker::new();
    let message = |command| asker.message(command, sys::NLM_F_ACK, &[]);
    let answers = |commands: &[u32]| -> Vec<_> {
        let datagram: Vec<_> = commands.iter().flat_map(|it| message(*it)).collect();
        asker.socket.send(&datagram).expect("send");
        let mut answers = Vec::new();
        while answers.len() < commands.len() {
            let datagram = asker.socket.receive().expect("an answer");
            for message in messages(&datagram) {
                let message = message.expect("whole");
                if u32::from(message.kind) == sys::NLMSG_ERROR {
                    answers.push(Status::decode(&message).expect("well formed"));
                }
            }
        }
        answers
    };
    let (info, subscribe) = (sys::ICMPTAP_CMD_GET_INFO, sys::ICMPTAP_CMD_SUBSCRIBE);
    let (flush, unsubscribe) = (sys::ICMPTAP_CMD_FLUSH, sys::ICMPTAP_CMD_UNSUBSCRIBE);
    for (first, waits) in [
        (info, subscribe),
        (subscribe, unsubscribe),
        (flush, flush),
        (unsubscribe, subscribe),
        (sys::ICMPTAP_CMD_GET_STATS, sys::ICMPTAP_CMD_GET_STATS),
    ] {
        let answers = answers(&[first, waits, info]);
        let [Status::Ack, Status::Refused(refusal), Status::Ack] = &answers[..] else {
            panic!("{first}, {waits}: {answers:?}");
        };
        assert_eq!(refusal.errno, EINVAL, "{refusal:?}");
        let why = refusal.message.as_deref().expect("a sentence");
        assert!(why.contains("the first message of its datagram"), "{why}");
    }
}

/// Who cannot be told that it has begun would not know what arrives then.
#[test]
fn without_room_for_the_reply_no_subscription_begins() {
    let asker = Namespace::new().enter(Asker::new);
    asker.socket.set_receive_buffer(0);
    for _ in 0..16 {
        asker.send(sys::ICMPTAP_CMD_GET_INFO, 0, &[]);
    }
    asker.send(sys::ICMPTAP_CMD_SUBSCRIBE, 0, &[]);
    asker.socket.drain();
    asker.refused(sys::ICMPTAP_CMD_FLUSH, &[], ENOENT, "not subscribed");
    assert_eq!(asker.ask(sys::ICMPTAP_CMD_SUBSCRIBE, &[]), None);
    assert_eq!(asker.ask(sys::ICMPTAP_CMD_UNSUBSCRIBE, &[]), None);
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
