//! A request and its answer, on a socket on which events come in as well.
//!
//! The kernel answers before `send` returns, so that nothing has to be waited for. What
//! finds no room in the receive buffer is lost, an answer too, and nothing says so: who
//! has read what was there and found none asks again. `docs/protocol.md` says why that
//! does no harm.

use icmptap_proto::{DecodeError, FamilyId, nlmsg::Generic, reply::Refusal};
use rustix::io::Errno;

use crate::{
    Error, Operation,
    core::{Answer, Core, Dump, DumpEnd, TRIES},
    socket::{Datagram, Socket},
};

/// What it takes of a socket.
pub(crate) trait Wire {
    fn send(&self, message: &[u8]) -> Result<(), Error>;

    /// The next message that is there, if there is one.
    fn receive(&self, into: &mut Datagram) -> Result<bool, Error>;

    /// Bytes of the receive buffer.
    fn receive_buffer(&self) -> Result<usize, Error>;
}

impl Wire for Socket {
    fn send(&self, message: &[u8]) -> Result<(), Error> {
        self.send(message)
    }

    fn receive(&self, into: &mut Datagram) -> Result<bool, Error> {
        self.receive(into)
    }

    fn receive_buffer(&self) -> Result<usize, Error> {
        self.receive_buffer()
    }
}

/// What takes part in it.
pub(crate) struct Exchange<'a, W> {
    pub(crate) wire: &'a W,
    pub(crate) core: &'a mut Core,
    /// For answers, so that events being handed out stay where they are.
    pub(crate) scratch: &'a mut Datagram,
}

impl<W: Wire> Exchange<'_, W> {
    /// Sends a request and gives its answer. Events that come first are kept.
    pub(crate) fn ask<T>(
        mut self,
        operation: Operation,
        request: impl Fn(FamilyId, u32) -> Vec<u8>,
        decode: fn(&Generic<'_>) -> Result<T, DecodeError>,
    ) -> Result<Answer<T>, Error> {
        let mut refused = None;
        for _ in 0..TRIES {
            let seq = self.core.next_seq();
            let request = request(self.core.family(), seq);
            self.wire.send(&request)?;
            match self.look_for(seq, decode)? {
                Some(Answer::Refused(refusal)) => {
                    let is_for_want_of_room = for_want_of_room(&refusal);
                    let error = Error::refused(operation, refusal, &request);
                    if !is_for_want_of_room {
                        return Err(error);
                    }
                    refused = Some(error);
                }
                Some(answer) => return Ok(answer),
                None => refused = None,
            }
            if operation == Operation::Subscribe {
                self.forget_what_never_was()?;
            }
        }
        Err(refused.unwrap_or_else(|| Error::no_reply(operation, TRIES)))
    }

    /// Reads until the answer: on and on in a flood, but not beyond what was there when
    /// the request had been carried out.
    fn look_for<T>(
        &mut self,
        seq: u32,
        decode: fn(&Generic<'_>) -> Result<T, DecodeError>,
    ) -> Result<Option<Answer<T>>, Error> {
        let mut there = self.wire.receive_buffer()?;
        while there > 0 && self.wire.receive(self.scratch)? {
            there = there.saturating_sub(self.scratch.bytes().len());
            let answer = self.core.sort(self.scratch.bytes(), seq, decode)?;
            if answer.is_some() {
                return Ok(answer);
            }
        }
        Ok(None)
    }

    /// A subscription without room for its reply was undone. A module older than schema
    /// version 3 sent events of it all the same, which are not of the next one.
    fn forget_what_never_was(&mut self) -> Result<(), Error> {
        // 0 is what nothing is answered to.
        self.look_for(0, |_| Ok(()))?;
        self.core.forget();
        Ok(())
    }

    /// Sends a request whose reply is a list, and gives all of it.
    pub(crate) fn list<T>(
        mut self,
        operation: Operation,
        request: impl Fn(FamilyId, u32) -> Vec<u8>,
        decode: fn(&Generic<'_>) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, Error> {
        let mut changed = false;
        for _ in 0..TRIES {
            let seq = self.core.next_seq();
            let request = request(self.core.family(), seq);
            self.wire.send(&request)?;
            let dump = self.collect(seq, decode)?;
            match dump.end {
                Some(DumpEnd::Complete) if !dump.interrupted => return Ok(dump.items),
                Some(DumpEnd::Refused(refusal)) if !for_want_of_room(&refusal) => {
                    return Err(Error::refused(operation, refusal, &request));
                }
                end => changed = end.is_some(),
            }
        }
        Err(match changed {
            true => Error::Changing { operation },
            false => Error::no_reply(operation, TRIES),
        })
    }

    /// To the end in any case: before it the kernel begins no other dump. It writes the
    /// next part while this one is received: no need to wait.
    fn collect<T>(
        &mut self,
        seq: u32,
        decode: fn(&Generic<'_>) -> Result<T, DecodeError>,
    ) -> Result<Dump<T>, Error> {
        let mut dump = Dump::new();
        let mut damage = None;
        while dump.end.is_none() && self.wire.receive(self.scratch)? {
            let bytes = self.scratch.bytes();
            if let Err(error) = self.core.sort_dump(bytes, seq, decode, &mut dump) {
                damage.get_or_insert(error);
            }
        }
        match damage {
            Some(error) => Err(error),
            None => Ok(dump),
        }
    }
}

/// The kernel found room to say that there was none.
fn for_want_of_room(refusal: &Refusal) -> bool {
    [Errno::AGAIN, Errno::NOBUFS].contains(&Errno::from_raw_os_error(refusal.errno))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{cell::RefCell, collections::VecDeque};

    use icmptap_proto::{
        BootId,
        reply::{Counters, CpuStats, Info, Parameters, Stats},
        request::{self, SubscribeOptions},
        testing::{self, FAMILY, Record},
    };

    use super::*;
    use crate::core::Step;

    /// A kernel that does as the test says: for each request in turn, what is in the
    /// receive buffer when it has been carried out.
    pub(crate) struct Script {
        turns: RefCell<VecDeque<Turn>>,
        there: RefCell<VecDeque<Vec<u8>>>,
        sent: RefCell<u32>,
        room: usize,
    }

    /// Takes the request's number.
    pub(crate) type Turn = Box<dyn Fn(u32) -> Vec<Vec<u8>>>;

    impl Script {
        pub(crate) fn of(turns: Vec<Turn>) -> Self {
            Self {
                turns: RefCell::new(turns.into()),
                there: RefCell::default(),
                sent: RefCell::default(),
                room: 1 << 20,
            }
        }
    }

    impl Wire for Script {
        fn send(&self, message: &[u8]) -> Result<(), Error> {
            *self.sent.borrow_mut() += 1;
            let seq = u32::from_ne_bytes(message[8..12].try_into().unwrap());
            if let Some(turn) = self.turns.borrow_mut().pop_front() {
                self.there.borrow_mut().extend(turn(seq));
            }
            Ok(())
        }

        fn receive(&self, into: &mut Datagram) -> Result<bool, Error> {
            let next = self.there.borrow_mut().pop_front();
            if let Some(bytes) = &next {
                into.copy_from(bytes);
            }
            Ok(next.is_some())
        }

        fn receive_buffer(&self) -> Result<usize, Error> {
            Ok(self.room)
        }
    }

    fn events(seq: u64, count: usize) -> Vec<u8> {
        let ping = Record::of_ipv4(testing::icmpv4(8, 0, [0, 7, 0, 1], b"x"));
        testing::events(0, seq, 0, &vec![ping; count])
    }

    fn nothing() -> Turn {
        Box::new(|_| vec![])
    }

    fn answer(answer: fn(u32) -> Vec<u8>) -> Turn {
        Box::new(move |seq| vec![answer(seq)])
    }

    fn core() -> Core {
        let mut core = Core::new(64);
        core.set_family(FAMILY);
        core
    }

    fn on<R>(script: &Script, core: &mut Core, work: impl FnOnce(Exchange<'_, Script>) -> R) -> R {
        work(Exchange {
            wire: script,
            core,
            scratch: &mut Datagram::with_room(64),
        })
    }

    fn subscribe(exchange: Exchange<'_, Script>) -> Result<Answer<Parameters>, Error> {
        let options = SubscribeOptions::default();
        exchange.ask(
            Operation::Subscribe,
            |family, seq| request::subscribe(family, seq, &options),
            Parameters::decode,
        )
    }

    /// How many events come, of how many batches whose numbers are right.
    fn drained(core: &mut Core) -> (u64, u64) {
        while core.advance().unwrap() != Step::NeedsData {
            core.next_event();
        }
        let tally = core.tally();
        (tally.received, tally.disagreements)
    }

    #[test]
    fn every_question_is_asked_again_whose_answer_is_lost() {
        let turns = || vec![nothing(), nothing(), nothing()];
        let with = |turn: Turn| Script::of(turns().into_iter().chain([turn]).collect());

        let script = with(answer(|seq| testing::info(seq, BootId([1; 16]))));
        let info = on(&script, &mut core(), |exchange| {
            exchange.ask(Operation::GetInfo, request::get_info, Info::decode)
        });
        assert!(matches!(info, Ok(Answer::Reply(_))));
        assert_eq!(*script.sent.borrow(), 4);

        let script = with(answer(|seq| testing::stats(seq, &Counters::default())));
        let stats = on(&script, &mut core(), |exchange| {
            exchange.ask(Operation::GetStats, request::get_stats, Stats::decode)
        });
        assert!(matches!(stats, Ok(Answer::Reply(_))));

        let script = with(answer(|seq| testing::status(seq, 0)));
        let flushed = on(&script, &mut core(), |exchange| {
            exchange.ask(Operation::Flush, request::flush, |_| Ok(()))
        });
        assert!(matches!(flushed, Ok(Answer::Ack)));

        let script = with(answer(testing::subscribed));
        assert!(matches!(
            on(&script, &mut core(), subscribe),
            Ok(Answer::Reply(_))
        ));

        let script = with(Box::new(|seq| {
            let counters = Counters::default();
            vec![
                testing::cpu_stats(seq, 0, &counters),
                testing::done(seq, 0, false),
            ]
        }));
        let list = on(&script, &mut core(), |exchange| {
            exchange.list(
                Operation::GetStats,
                request::get_stats_per_cpu,
                CpuStats::decode,
            )
        });
        assert_eq!(list.unwrap().len(), 1);
        assert_eq!(*script.sent.borrow(), 4);
    }

    #[test]
    fn it_is_not_asked_for_ever() {
        let script = Script::of(vec![]);
        let error = on(&script, &mut core(), subscribe).unwrap_err();
        assert_eq!(*script.sent.borrow(), TRIES);
        assert_eq!(
            error.to_string(),
            "subscribing: asked 10 times, and no answer found room in the receive buffer, try a \
             larger one"
        );

        let script = Script::of(vec![]);
        let list = on(&script, &mut core(), |exchange| {
            exchange.list(
                Operation::GetStats,
                request::get_stats_per_cpu,
                CpuStats::decode,
            )
        });
        assert!(matches!(list, Err(Error::NoReply { tries: TRIES, .. })));
        assert_eq!(*script.sent.borrow(), TRIES);
    }

    #[test]
    fn room_for_a_refusal_only_is_no_refusal() {
        let again = || answer(|seq| testing::status(seq, 11));
        let script = Script::of(vec![
            again(),
            nothing(),
            again(),
            answer(testing::subscribed),
        ]);
        assert!(on(&script, &mut core(), subscribe).is_ok());

        // Unless it stays so: the kernel says more than we do.
        let loading =
            || answer(|seq| testing::refusal(seq, 11, Some(("the module is being loaded", 0))));
        let script = Script::of((0..TRIES).map(|_| loading()).collect());
        let error = on(&script, &mut core(), subscribe).unwrap_err().to_string();
        assert!(error.contains("the module is being loaded"), "{error}");
    }

    #[test]
    fn other_refusals_are_final() {
        let script = Script::of(vec![answer(|seq| testing::status(seq, 16))]);
        let error = on(&script, &mut core(), subscribe).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
        assert_eq!(*script.sent.borrow(), 1);
    }

    /// A module of schema version 2 sends events before it can say that there is no room
    /// for its reply. They belong to nobody, and have the numbers of the next ones.
    #[test]
    fn events_of_what_was_undone_are_not_of_what_is_begun() {
        let script = Script::of(vec![
            Box::new(|_| vec![events(0, 2), events(2, 1)]),
            Box::new(|seq| vec![events(0, 1), testing::status(seq, 11), events(1, 1)]),
            Box::new(|seq| vec![testing::subscribed(seq), events(0, 3)]),
        ]);
        let mut core = core();
        on(&script, &mut core, subscribe).unwrap();
        assert_eq!(drained(&mut core), (0, 0));
        // What came behind the reply is still to be received.
        core.buffer().copy_from(&script.there.borrow()[0]);
        assert_eq!(drained(&mut core), (3, 0));
    }

    #[test]
    fn events_that_come_while_it_is_asked_again_are_kept() {
        let script = Script::of(vec![
            Box::new(|_| vec![events(0, 2)]),
            Box::new(|seq| vec![events(2, 2), testing::status(seq, 0)]),
        ]);
        let mut core = core();
        let flushed = on(&script, &mut core, |exchange| {
            exchange.ask(Operation::Flush, request::flush, |_| Ok(()))
        });
        assert!(matches!(flushed, Ok(Answer::Ack)));
        assert_eq!(drained(&mut core), (4, 0));
    }

    #[test]
    fn in_a_flood_it_reads_no_more_than_was_there() {
        let batch = events(0, 9).len();
        let mut script = Script::of(vec![
            Box::new(|_| (0..100).map(|nth| events(nth * 9, 9)).collect()),
            nothing(),
        ]);
        script.room = 10 * batch;
        let flushed = on(&script, &mut core(), |exchange| {
            exchange.ask(Operation::Flush, request::flush, |_| Ok(()))
        });
        assert!(matches!(flushed, Err(Error::NoReply { .. })));
        assert_eq!(script.there.borrow().len(), 0);
        assert_eq!(*script.sent.borrow(), TRIES);
    }

    #[test]
    fn a_list_that_keeps_changing_is_said_to() {
        let changing = || -> Turn { Box::new(|seq| vec![testing::done(seq, 0, true)]) };
        let ask = |script: &Script| {
            on(script, &mut core(), |exchange| {
                exchange.list(
                    Operation::GetSubscriptions,
                    request::get_stats_per_cpu,
                    CpuStats::decode,
                )
            })
        };
        let script = Script::of((0..TRIES).map(|_| changing()).collect());
        assert!(matches!(ask(&script), Err(Error::Changing { .. })));
        let quiet = answer(|seq| testing::done(seq, 0, false));
        let script = Script::of(vec![changing(), nothing(), quiet]);
        assert!(ask(&script).unwrap().is_empty());
    }
}
