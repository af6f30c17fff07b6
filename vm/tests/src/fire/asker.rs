//! A socket that asks whatever it is given, and knows what may be answered.

use icmptap_proto::event::{Batch, is_batch};
use icmptap_proto::imp2;
use icmptap_proto::nlmsg::{DONE, ERROR, Message, messages};
use icmptap_proto::reply::{
    Counters, CpuStats, Done, Family, Info, Parameters, Refusal, Stats, Status, SubscriptionInfo,
};
use icmptap_proto::request;
use icmptap_sys as sys;
use rustix::io::Errno;

use super::netlink::{Asked, is_length_true, number, number_imp2};
use super::requests::{Allowed, Requests};
use super::tally::Tally;
use crate::net::Namespace;
use crate::netlink::{Socket, header};

const SUBSCRIBE: u8 = sys::ICMPTAP_CMD_SUBSCRIBE as u8;
const FLUSH: u8 = sys::ICMPTAP_CMD_FLUSH as u8;
const GET_STATS: u8 = sys::ICMPTAP_CMD_GET_STATS as u8;
const UNSUBSCRIBE: u8 = sys::ICMPTAP_CMD_UNSUBSCRIBE as u8;
const GET_INFO: u8 = sys::ICMPTAP_CMD_GET_INFO as u8;

/// Room for any answers, so that none may be missing.
const ROOMY: usize = 4 << 20;
/// Room for so little that answers find none.
const CRAMPED: usize = 0;

/// The protocol that a socket speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Generic netlink, to the family.
    Generic,
    /// IMP2.
    Imp2,
}

/// What a socket is like.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// What it speaks.
    pub protocol: Protocol,
    /// Whether who opened it may change anything.
    pub privileged: bool,
    /// Whether it is told why it is refused.
    pub hears_reasons: bool,
    /// Whether its answers may get lost for want of room.
    pub cramped: bool,
}

/// The family's message type, asked of the controller.
pub fn family() -> u16 {
    try_family().expect("a family")
}

/// The same, if the module is there.
pub fn try_family() -> Option<u16> {
    let socket = Socket::open(sys::NETLINK_GENERIC);
    socket.send(&request::get_family(1)).expect("send");
    let datagram = socket.receive().expect("an answer");
    let message = messages(&datagram).next().expect("a message");
    let body = message.expect("whole").generic().ok()?;
    Some(Family::decode(&body).ok()?.id.0)
}

/// What all askers share.
pub struct Desk {
    /// The family's message type.
    family: u16,
    /// What the specification says.
    pub requests: Requests,
    /// What became of the requests.
    pub tally: Tally,
    /// Programs that the kernel took.
    pub programs: u64,
    seq: u32,
    buffer: Vec<u8>,
}

impl Desk {
    /// For the module that is loaded.
    pub fn open() -> Self {
        let family = family();
        Self {
            family,
            requests: Requests::new(family),
            tally: Tally::default(),
            programs: 0,
            // 0 is in what nobody asked for.
            seq: 1,
            buffer: vec![0; 512 << 10],
        }
    }
}

/// A socket, and what is known of it.
pub struct Asker {
    socket: Socket,
    kind: Kind,
    /// Whether it has a subscription, as far as its answers say.
    pub subscribed: bool,
    /// Events since the last subscription's end.
    events: u64,
}

/// A datagram, and what is answered to it.
struct Round<'a> {
    datagram: &'a [u8],
    asked: &'a [Asked],
    /// To each of those.
    answers: Vec<Answer>,
    /// What no number belongs to: answers to what has none.
    nameless: Answer,
}

/// What was answered to one request.
#[derive(Debug, Default, Clone)]
struct Answer {
    /// Messages with what was asked for.
    replies: u32,
    /// Acknowledgements and ends of dumps (0), and errnos.
    ends: Vec<i32>,
}

impl Asker {
    /// Opens a socket in `namespace`.
    pub fn open(namespace: &Namespace, kind: Kind) -> Self {
        let number = match kind.protocol {
            Protocol::Generic => sys::NETLINK_GENERIC,
            Protocol::Imp2 => sys::NL_IMP2,
        };
        let socket = match kind.privileged {
            true => namespace.enter(|| Socket::open(number)),
            false => namespace.enter_unprivileged(|| Socket::open(number)),
        };
        socket.set_receive_buffer(if kind.cramped { CRAMPED } else { ROOMY });
        if kind.hears_reasons {
            socket.hear_reasons();
        }
        Self {
            socket,
            kind,
            subscribed: false,
            events: 0,
        }
    }

    /// What it is like.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Sends a datagram, whose messages it numbers, reads what is answered, and
    /// judges it. Returns the number of requests in it that somebody has looked at.
    pub fn ask(&mut self, desk: &mut Desk, datagram: &mut [u8]) -> u64 {
        let asked = match self.kind.protocol {
            Protocol::Generic => number(datagram, &mut desk.seq),
            Protocol::Imp2 => Vec::from_iter(number_imp2(datagram, &mut desk.seq)),
        };
        // Without an address, it counts who opened the socket.
        if let Err(error) = self.socket.send_unaddressed(datagram) {
            desk.tally.add("refused by sendmsg()", &error.to_string());
            return 0;
        }
        if self.kind.cramped {
            let looked_at =
                |asked: &&Asked| asked.is_handled() || self.kind.protocol == Protocol::Imp2;
            let count = asked.iter().filter(looked_at).count() as u64;
            desk.tally
                .add_many("answers that may be lost", "asked for", count);
            return count;
        }
        let mut round = Round {
            datagram,
            asked: &asked,
            answers: vec![Answer::default(); asked.len()],
            nameless: Answer::default(),
        };
        self.read(desk, &mut round);
        match self.kind.protocol {
            Protocol::Generic => self.judge(desk, &round),
            Protocol::Imp2 => self.judge_imp2(desk, &round),
        }
    }

    /// Reads away what is there, if anything; it may be anything.
    pub fn drain(&mut self, desk: &mut Desk) {
        if self.kind.cramped {
            // That something found no room is what it is for.
            while !matches!(self.socket.receive_now(&mut desk.buffer), Ok(None)) {}
            return;
        }
        let mut round = Round {
            datagram: &[],
            asked: &[],
            answers: Vec::new(),
            nameless: Answer::default(),
        };
        self.read(desk, &mut round);
        assert!(round.nameless.ends.is_empty(), "an answer to nobody");
    }

    fn read(&mut self, desk: &mut Desk, round: &mut Round<'_>) {
        let mut buffer = std::mem::take(&mut desk.buffer);
        while !round.is_settled(desk.family, self) {
            let datagram = match self.socket.receive_now(&mut buffer) {
                Ok(Some(datagram)) => datagram,
                Ok(None) => break,
                Err(error) => panic!("receive: {error}"),
            };
            for message in messages(datagram) {
                let message = message.expect("a whole message");
                self.hear(desk, round, &message);
            }
        }
        desk.buffer = buffer;
    }

    /// Takes one message from the kernel, which has to be well formed.
    fn hear(&mut self, desk: &mut Desk, round: &mut Round<'_>, message: &Message<'_>) {
        if self.kind.protocol == Protocol::Imp2 && imp2::is_packet(message) {
            imp2::Packet::decode(message).expect("a packet");
            self.events += 1;
            return;
        }
        if message.kind == desk.family {
            let body = message.generic().expect("generic");
            if is_batch(&body) {
                let batch = Batch::decode(&body).expect("a batch");
                let events = batch.events().map(|event| event.expect("an event"));
                assert_eq!(events.count(), batch.count as usize);
                self.events += u64::from(batch.count);
                return;
            }
        }
        let nth = round
            .asked
            .iter()
            .position(|asked| asked.seq == message.seq);
        let answer = match nth {
            Some(nth) => &mut round.answers[nth],
            None => &mut round.nameless,
        };
        let asked = nth.map(|nth| &round.asked[nth]);
        match message.kind {
            ERROR => {
                let status = Status::decode(message).expect("a status");
                answer.ends.push(match &status {
                    Status::Ack => 0,
                    Status::Refused(refusal) => refusal.errno,
                });
                if let (Some(asked), Status::Refused(refusal)) = (asked, status) {
                    self.judge_refusal(desk, round, asked, &refusal);
                }
            }
            DONE => {
                let done = Done::decode(message).expect("an end");
                assert_eq!(done, Done::Complete, "{asked:?}");
                answer.ends.push(0);
            }
            kind => {
                answer.replies += 1;
                if kind == desk.family {
                    let asked = asked.expect("a reply has the number of its request");
                    self.judge_reply(desk, round, asked, message);
                }
            }
        }
    }

    /// The state of a subscription follows from the answers, which come in the order
    /// of the requests.
    fn judge_reply(
        &mut self,
        desk: &mut Desk,
        round: &Round<'_>,
        asked: &Asked,
        message: &Message<'_>,
    ) {
        let request = &round.datagram[asked.range.clone()];
        let body = message.generic().expect("generic");
        assert_eq!(
            body.command, request[16],
            "a reply has its request's command"
        );
        let allowed = desk.requests.allow(request);
        assert_ne!(allowed, Allowed::No, "{} was answered", hex(request));
        assert!(self.kind.privileged || body.command == GET_INFO);
        match (u32::from(body.command), asked.is_dump()) {
            (sys::ICMPTAP_CMD_GET_INFO, false) => drop(Info::decode(&body).expect("info")),
            (sys::ICMPTAP_CMD_SUBSCRIBE, false) => {
                let parameters = Parameters::decode(&body).expect("parameters");
                desk.programs += u64::from(parameters.filter_len > 0);
                assert!(!self.subscribed, "subscribed twice: {}", hex(request));
                self.subscribed = true;
            }
            (sys::ICMPTAP_CMD_UNSUBSCRIBE, false) => {
                let counters = Counters::decode(&body).expect("counters");
                check(&counters);
                assert_eq!(counters.queued, 0);
                assert_eq!(counters.delivered, self.events, "{counters:?}");
                assert!(self.subscribed, "unsubscribed what was not");
                desk.tally.add_many("packets", "matched", counters.matched);
                self.subscribed = false;
                self.events = 0;
            }
            (sys::ICMPTAP_CMD_GET_SUBSCRIPTION, true) => {
                check(
                    &SubscriptionInfo::decode(&body)
                        .expect("a subscription")
                        .counters,
                );
            }
            (sys::ICMPTAP_CMD_GET_STATS, false) => {
                check(&Stats::decode(&body).expect("statistics").counters);
            }
            (sys::ICMPTAP_CMD_GET_STATS, true) => {
                check(
                    &CpuStats::decode(&body)
                        .expect("a CPU's statistics")
                        .counters,
                );
            }
            other => panic!("{other:?} has no reply"),
        }
    }

    fn judge_refusal(&mut self, desk: &Desk, round: &Round<'_>, asked: &Asked, refusal: &Refusal) {
        if self.kind.protocol != Protocol::Generic || asked.kind != desk.family {
            return;
        }
        let request = &round.datagram[asked.range.clone()];
        let Some(command) = request.get(16) else {
            return;
        };
        let what = || format!("{refusal:?} of {}", hex(request));
        let errno = Errno::from_raw_os_error(refusal.errno);
        match errno {
            Errno::PERM => assert!(!self.kind.privileged, "{}", what()),
            Errno::BUSY if *command == SUBSCRIBE => assert!(self.subscribed, "{}", what()),
            // While another dump of this datagram has not ended.
            Errno::BUSY => assert!(asked.is_dump(), "{}", what()),
            Errno::NOENT => assert!(!self.subscribed, "{}", what()),
            Errno::USERS => assert!(!self.subscribed && *command == SUBSCRIBE, "{}", what()),
            Errno::INVAL | Errno::RANGE | Errno::OPNOTSUPP => {
                let allowed = request.len() >= 20 && desk.requests.allow(request) == Allowed::Yes;
                // What may take long comes first in its datagram.
                let is_long = [SUBSCRIBE, UNSUBSCRIBE, FLUSH].contains(command)
                    || *command == GET_STATS && !asked.is_dump();
                let comes_late = is_long && asked.range.start > 0 && errno == Errno::INVAL;
                assert!(!allowed || comes_late, "{}", what());
            }
            _ => panic!("{}", what()),
        }
        let is_own = matches!(
            errno,
            Errno::PERM | Errno::BUSY | Errno::NOENT | Errno::USERS
        );
        // Some kernels leave out the sentence about a dump.
        if is_own && self.kind.hears_reasons && !asked.is_dump() {
            assert!(refusal.message.is_some(), "{}", what());
        }
    }

    fn judge(&mut self, desk: &mut Desk, round: &Round<'_>) -> u64 {
        for (asked, answer) in round.asked.iter().zip(&round.answers) {
            let request = &round.datagram[asked.range.clone()];
            let what = || format!("{asked:?}, {answer:?}: {}", hex(request));
            let is_ours = asked.is_handled() && asked.kind == desk.family;
            let command = request.get(16).copied().unwrap_or_default();
            let end = answer.ends.first().copied();
            assert!(answer.ends.len() <= 1, "{}", what());
            if !asked.is_handled() {
                assert_eq!(answer.replies, 0, "{}", what());
                assert_eq!(end, asked.wants_ack().then_some(0), "{}", what());
            } else if is_ours {
                let is_silent = !asked.wants_ack() && !asked.is_dump() && command == FLUSH;
                assert!(
                    is_silent || end.is_some() || answer.replies > 0,
                    "{}",
                    what()
                );
                let must_end = asked.wants_ack() || asked.is_dump();
                assert!(!must_end || end.is_some(), "{}", what());
                if end.is_some_and(|errno| errno != 0) || command == FLUSH {
                    assert_eq!(answer.replies, 0, "{}", what());
                } else if !asked.is_dump() {
                    assert_eq!(answer.replies, 1, "{}", what());
                }
                if command == FLUSH && end.unwrap_or(0) == 0 {
                    assert!(self.kind.privileged && request.len() >= 20, "{}", what());
                }
            } else {
                assert!(
                    !asked.wants_ack() || end.is_some() || asked.is_dump(),
                    "{}",
                    what()
                );
            }
            let name = match (is_ours, desk.requests.name(command)) {
                (true, Some(name)) => format!("genl {name}"),
                (true, None) => "genl, other commands".to_owned(),
                (false, _) if asked.is_handled() => "genl, other types".to_owned(),
                (false, _) => "genl, passed over by netlink".to_owned(),
            };
            desk.tally.add(&name, &became(end));
        }
        assert!(round.nameless.ends.is_empty(), "an answer to nobody");
        if round.asked.is_empty() {
            desk.tally
                .add("datagrams that netlink passes over", "unanswered");
        }
        round
            .asked
            .iter()
            .filter(|asked| asked.is_handled())
            .count() as u64
    }

    /// All of it follows from the message and the state. What is no request is acted on,
    /// and gets no answer.
    fn judge_imp2(&mut self, desk: &mut Desk, round: &Round<'_>) -> u64 {
        let Some(asked) = round.asked.first() else {
            // Nor has it room to say that it is one.
            let ends = &round.nameless.ends;
            assert!(ends.is_empty(), "{}", hex(round.datagram));
            desk.tally.add("IMP2, too short", "unanswered");
            return 1;
        };
        let answer = &round.answers[0];
        let what = || format!("{asked:?}, {answer:?}: {}", hex(round.datagram));
        let end = answer.ends.first().copied();
        let (name, expected) = match u32::from(asked.kind) {
            _ if !is_length_true(round.datagram) => ("IMP2, a wrong length", Some(Errno::INVAL)),
            sys::IMP2_U_PID if !self.kind.privileged => ("IMP2 U_PID", Some(Errno::PERM)),
            sys::IMP2_U_PID if !asked.is_request() => ("IMP2 U_PID, no request", None),
            // Or there are too many.
            sys::IMP2_U_PID if end == Some(Errno::USERS.raw_os_error()) && !self.subscribed => {
                ("IMP2 U_PID", Some(Errno::USERS))
            }
            sys::IMP2_U_PID => {
                self.subscribed = true;
                ("IMP2 U_PID", None)
            }
            sys::IMP2_CLOSE if !self.subscribed => ("IMP2 CLOSE", Some(Errno::NOENT)),
            sys::IMP2_CLOSE => {
                self.subscribed = false;
                ("IMP2 CLOSE", None)
            }
            _ => ("IMP2, other types", Some(Errno::OPNOTSUPP)),
        };
        let expected = match expected {
            _ if !asked.is_request() => None,
            None if !asked.wants_ack() => None,
            expected => Some(expected.map_or(0, Errno::raw_os_error)),
        };
        let ends = Vec::from_iter(expected);
        assert_eq!(answer.ends, ends, "{}", what());
        desk.tally.add(name, &became(end));
        if name == "IMP2 U_PID, no request" {
            // Nobody knows whether there were too many. Once more is no error.
            let flags = sys::NLM_F_REQUEST | sys::NLM_F_ACK;
            let mut again = header(16, sys::IMP2_U_PID as u16, flags as u16, 0);
            return 1 + self.ask(desk, &mut again);
        }
        1
    }
}

impl Round<'_> {
    /// Whether nothing can come any more, so that a look for it can be saved.
    fn is_settled(&self, family: u16, asker: &Asker) -> bool {
        let mut all = self.asked.iter().zip(&self.answers);
        !asker.subscribed
            && !self.asked.is_empty()
            && all.all(|(asked, answer)| {
                let is_certain = asked.wants_ack()
                    && (asker.kind.protocol == Protocol::Imp2 || asked.kind == family);
                is_certain && !answer.ends.is_empty()
            })
    }
}

/// The law of conservation.
fn check(counters: &Counters) {
    let found = counters.delivered + counters.lost() + counters.queued;
    assert_eq!(counters.matched, found, "{counters:?}");
}

/// A few words for how a request ended.
fn became(end: Option<i32>) -> String {
    match end {
        None => "unanswered or replied".to_owned(),
        Some(0) => "accepted".to_owned(),
        Some(errno) => name(errno).to_owned(),
    }
}

fn name(errno: i32) -> String {
    match Errno::from_raw_os_error(errno) {
        Errno::PERM => "EPERM".to_owned(),
        Errno::NOENT => "ENOENT".to_owned(),
        Errno::BUSY => "EBUSY".to_owned(),
        Errno::INVAL => "EINVAL".to_owned(),
        Errno::RANGE => "ERANGE".to_owned(),
        Errno::OPNOTSUPP => "EOPNOTSUPP".to_owned(),
        Errno::USERS => "EUSERS".to_owned(),
        _ => format!("errno {errno}"),
    }
}

/// The start of it, in hexadecimal.
fn hex(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(1000)];
    let digits: Vec<_> = start.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} bytes {}", bytes.len(), digits.join(" "))
}
