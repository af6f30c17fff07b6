//! A subscriber written from docs/protocol.md alone: one socket, the requests that it
//! sends, and every message in the order in which it came.

use icmptap_proto::FamilyId;
use icmptap_proto::event::{Batch, is_batch};
use icmptap_proto::nlmsg::{ERROR, Message, messages};
use icmptap_proto::reply::{Counters, Refusal, Status};
use icmptap_proto::request::{self, SubscribeOptions};
use icmptap_proto::sequence::Tracker;
use icmptap_sys as sys;
use rustix::io::{Errno, Result};

use crate::netlink::Socket;

/// As often as one asks again whose answer found no room.
const TRIES: u32 = 10;

/// A socket that subscribes.
pub struct Subscriber {
    socket: Socket,
    family: FamilyId,
    seq: u32,
    /// What is known of the subscription's streams.
    tracker: Tracker,
    /// Events of the subscription.
    received: u64,
    buffer: Vec<u8>,
}

/// What came of a request.
#[derive(Debug)]
pub struct Asked {
    /// The answer, if there was one.
    pub answer: Option<Answer>,
    /// Batches that came before it.
    pub batches_before: usize,
}

/// An answer.
#[derive(Debug)]
pub enum Answer {
    /// What was asked for, or an acknowledgement.
    Done(Option<Counters>),
    /// A refusal.
    Refused(Refusal),
}

impl Asked {
    /// Was it done?
    pub fn is_done(&self) -> bool {
        matches!(self.answer, Some(Answer::Done(_)))
    }

    /// The errno of a refusal.
    pub fn errno(&self) -> Option<Errno> {
        match &self.answer {
            Some(Answer::Refused(refusal)) => Some(Errno::from_raw_os_error(refusal.errno)),
            _ => None,
        }
    }

    /// The refusal that it has to be.
    pub fn refusal(self) -> Refusal {
        match self.answer {
            Some(Answer::Refused(refusal)) => refusal,
            other => panic!("no refusal, but {other:?}"),
        }
    }
}

impl Subscriber {
    /// Opens a socket in the thread's network namespace. `family` is the family's
    /// message type.
    pub fn open(family: u16) -> Self {
        Self::open_at(family, 0).expect("bind")
    }

    /// The same with this port id.
    pub fn open_at(family: u16, port: u32) -> Result<Self> {
        let socket = Socket::open_at(sys::NETLINK_GENERIC, port)?;
        socket.hear_reasons();
        socket.bear_losses();
        Ok(Self {
            socket,
            family: FamilyId(family),
            seq: 0,
            tracker: Tracker::default(),
            received: 0,
            buffer: vec![0; 128 << 10],
        })
    }

    /// Its port id.
    pub fn port(&self) -> u32 {
        self.socket.port()
    }

    /// As [`Socket::set_receive_buffer`].
    pub fn set_receive_buffer(&self, bytes: usize) {
        self.socket.set_receive_buffer(bytes);
    }

    /// As [`Socket::drop_at_length`].
    pub fn drop_at_length(&self) {
        self.socket.drop_at_length();
    }

    /// Sends a request, whose answer stays where it is; returns its number.
    pub fn send(&mut self, request: impl FnOnce(FamilyId, u32) -> Vec<u8>) -> u32 {
        self.seq += 1;
        let request = request(self.family, self.seq);
        self.socket.send(&request).expect("send");
        self.seq
    }

    /// Sends a request, and looks for its answer in what is there when that is done.
    pub fn ask(&mut self, request: impl FnOnce(FamilyId, u32) -> Vec<u8>) -> Asked {
        let seq = self.send(request);
        let mut asked = Asked {
            answer: None,
            batches_before: 0,
        };
        // In a flood there is always more: no further than the answer.
        while asked.answer.is_none() && self.take(seq, &mut asked) {}
        asked
    }

    /// Asks for a subscription.
    pub fn subscribe(&mut self, options: &SubscribeOptions) -> Asked {
        self.ask(|family, seq| request::subscribe(family, seq, options))
    }

    /// Takes the next batches that are there already, `most` of them, and checks
    /// their numbers. Returns how many there were.
    pub fn read(&mut self, most: usize) -> usize {
        let mut asked = Asked {
            answer: None,
            batches_before: 0,
        };
        while asked.batches_before < most && self.take(0, &mut asked) {}
        asked.batches_before
    }

    /// Ends the subscription, and checks that both sides counted the same.
    pub fn end(&mut self) -> Counters {
        for _ in 0..TRIES {
            let asked = self.ask(request::unsubscribe);
            // Nothing comes any more.
            self.read(usize::MAX);
            match asked.answer {
                Some(Answer::Done(counters)) => {
                    let counters = counters.expect("the counters");
                    assert_eq!(counters.delivered, self.received, "{counters:?}");
                    assert_eq!(
                        counters.matched,
                        counters.delivered + counters.lost(),
                        "{counters:?}"
                    );
                    self.tracker = Tracker::default();
                    self.received = 0;
                    return counters;
                }
                Some(Answer::Refused(refusal)) if refusal.errno != Errno::AGAIN.raw_os_error() => {
                    panic!("UNSUBSCRIBE: {refusal:?}")
                }
                _ => {}
            }
        }
        panic!("UNSUBSCRIBE is not answered");
    }

    /// Takes the next datagram, if there is one.
    fn take(&mut self, seq: u32, asked: &mut Asked) -> bool {
        let mut buffer = std::mem::take(&mut self.buffer);
        let datagram = self.socket.receive_now(&mut buffer).expect("receive");
        let is_there = datagram.is_some();
        for message in messages(datagram.unwrap_or_default()) {
            let message = message.expect("whole");
            if message.kind == self.family.0 && is_batch(&message.generic().expect("generic")) {
                asked.batches_before += usize::from(asked.answer.is_none());
                self.note(&message);
            } else if message.seq == seq {
                asked.answer = Some(answer(&message));
            }
        }
        self.buffer = buffer;
        is_there
    }

    fn note(&mut self, message: &Message<'_>) {
        let batch = Batch::decode(&message.generic().expect("generic")).expect("a batch");
        self.received += u64::from(batch.count);
        if let Err(error) = self.tracker.observe(&batch) {
            panic!(
                "a batch from {} with {} lost: {error}",
                batch.seq, batch.lost
            );
        }
    }
}

fn answer(message: &Message<'_>) -> Answer {
    if message.kind == ERROR {
        return match Status::decode(message).expect("well formed") {
            Status::Ack => Answer::Done(None),
            Status::Refused(refusal) => Answer::Refused(refusal),
        };
    }
    let body = message.generic().expect("generic");
    let ended = u32::from(body.command) == sys::ICMPTAP_CMD_UNSUBSCRIBE;
    Answer::Done(ended.then(|| Counters::decode(&body).expect("counters")))
}
