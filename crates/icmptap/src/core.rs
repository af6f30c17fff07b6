//! A subscription without its socket: which message is what, and what that
//! means. Bytes in, steps out; tested with bytes.

use std::collections::VecDeque;

use icmptap_proto::{
    DecodeError, FamilyId,
    event::{self, Batch, Cursor, EventRef, EventSpan, is_batch},
    nlmsg::{self, Generic, Message},
    reply::{Counters, Done, Refusal, Status},
    request,
    sequence::{Lost, SequenceError, Tracker},
};
use rustix::io::Errno;

use crate::{Error, Operation, socket::Datagram};

/// How often the same is asked, for want of an answer or because a list changed while
/// it was read.
pub(crate) const TRIES: u32 = 10;

/// The answer to a request.
#[derive(Debug)]
pub(crate) enum Answer<T> {
    Ack,
    Reply(T),
    Refused(Refusal),
}

/// What a dump has brought until now.
#[derive(Debug)]
pub(crate) struct Dump<T> {
    pub(crate) items: Vec<T>,
    /// What it lists has changed meanwhile.
    pub(crate) interrupted: bool,
    pub(crate) end: Option<DumpEnd>,
}

#[derive(Debug)]
pub(crate) enum DumpEnd {
    Complete,
    Refused(Refusal),
}

impl<T> Dump<T> {
    pub(crate) fn new() -> Self {
        Self {
            items: Vec::new(),
            interrupted: false,
            end: None,
        }
    }
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// An event: [`Core::next_event`] has it, and [`Core::events`] those behind it
    /// as well.
    Event,
    Lost(Lost),
    /// Everything that was received has been handed out.
    NeedsData,
    /// The subscription has ended, and nothing is left.
    Ended,
}

/// What to do when the socket has nothing.
#[derive(Debug)]
pub(crate) enum Empty {
    Wait,
    /// The answer to UNSUBSCRIBE was lost: ask again.
    Send(Vec<u8>),
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Running,
    Ending { seq: u32, tries: u32 },
    Ended(Counters),
}

#[derive(Debug)]
pub(crate) struct Core {
    family: FamilyId,
    last_seq: u32,
    phase: Phase,
    /// What is being handed out, and how far that has come.
    current: Datagram,
    next_message: usize,
    cursor: Cursor,
    /// Batches that came while an answer was waited for.
    stash: VecDeque<Vec<u8>>,
    tracker: Tracker,
    tally: Tally,
}

/// What was seen on this side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) received: u64,
    pub(crate) lost_in_gaps: u64,
    pub(crate) disagreements: u64,
    pub(crate) damaged: u64,
}

impl Core {
    pub(crate) fn new(room: usize) -> Self {
        Self {
            family: FamilyId(0),
            last_seq: 0,
            phase: Phase::Running,
            current: Datagram::with_room(room),
            next_message: 0,
            cursor: Cursor::default(),
            stash: VecDeque::new(),
            tracker: Tracker::default(),
            tally: Tally::default(),
        }
    }

    pub(crate) fn set_family(&mut self, family: FamilyId) {
        self.family = family;
    }

    pub(crate) fn family(&self) -> FamilyId {
        self.family
    }

    /// The number of a new request.
    pub(crate) fn next_seq(&mut self) -> u32 {
        // 0 is what events carry.
        self.last_seq = self.last_seq.checked_add(1).unwrap_or(1);
        self.last_seq
    }

    /// Looks for the answer to request `seq`; puts events aside, in order.
    pub(crate) fn sort<T>(
        &mut self,
        datagram: &[u8],
        seq: u32,
        decode: fn(&Generic<'_>) -> Result<T, DecodeError>,
    ) -> Result<Option<Answer<T>>, Error> {
        let mut answer = None;
        self.sort_out(datagram, seq, |message| {
            answer = Some(if message.kind == nlmsg::ERROR {
                match Status::decode(message)? {
                    Status::Ack => Answer::Ack,
                    Status::Refused(refusal) => Answer::Refused(refusal),
                }
            } else {
                Answer::Reply(decode(&message.generic()?)?)
            });
            Ok(())
        })?;
        Ok(answer)
    }

    /// Adds to `dump` what answers request `seq`; puts events aside, in order.
    pub(crate) fn sort_dump<T>(
        &mut self,
        datagram: &[u8],
        seq: u32,
        decode: fn(&Generic<'_>) -> Result<T, DecodeError>,
        dump: &mut Dump<T>,
    ) -> Result<(), Error> {
        self.sort_out(datagram, seq, |message| {
            dump.interrupted |= message.is_interrupted();
            match message.kind {
                nlmsg::DONE => {
                    dump.end = Some(match Done::decode(message)? {
                        Done::Complete => DumpEnd::Complete,
                        Done::Failed(refusal) => DumpEnd::Refused(refusal),
                    });
                }
                nlmsg::ERROR => {
                    dump.end = Some(match Status::decode(message)? {
                        Status::Ack => DumpEnd::Complete,
                        Status::Refused(refusal) => DumpEnd::Refused(refusal),
                    });
                }
                _ => dump.items.push(decode(&message.generic()?)?),
            }
            Ok(())
        })
    }

    fn sort_out(
        &mut self,
        datagram: &[u8],
        seq: u32,
        mut answer: impl FnMut(&Message<'_>) -> Result<(), DecodeError>,
    ) -> Result<(), Error> {
        let mut messages = nlmsg::messages(datagram);
        let mut start = 0;
        while let Some(message) = messages.next() {
            let message = message?;
            let end = messages.offset();
            if self.is_events(&message)? {
                self.stash.push_back(datagram[start..end].to_owned());
            } else if message.seq == seq {
                answer(&message)?;
            }
            start = end;
        }
        Ok(())
    }

    /// Throws away the batches that came while an answer was waited for.
    pub(crate) fn forget(&mut self) {
        self.stash.clear();
    }

    fn is_events(&self, message: &Message<'_>) -> Result<bool, DecodeError> {
        Ok(message.kind == self.family.0 && is_batch(&message.generic()?))
    }

    /// Begins the end: gives the UNSUBSCRIBE to send, once.
    pub(crate) fn stop(&mut self) -> Option<Vec<u8>> {
        if !matches!(self.phase, Phase::Running) {
            return None;
        }
        Some(self.unsubscribe(1))
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running)
    }

    fn unsubscribe(&mut self, tries: u32) -> Vec<u8> {
        let seq = self.next_seq();
        self.phase = Phase::Ending { seq, tries };
        request::unsubscribe(self.family, seq)
    }

    /// The socket has nothing. The kernel answers before `send` returns, so an
    /// answer that is not there was lost: the receive buffer was full. It is empty now,
    /// and nothing fills it again.
    pub(crate) fn on_empty(&mut self) -> Result<Empty, Error> {
        match self.phase {
            Phase::Ending { tries, .. } if tries < TRIES => {
                Ok(Empty::Send(self.unsubscribe(tries + 1)))
            }
            Phase::Ending { tries, .. } => Err(Error::no_reply(Operation::Unsubscribe, tries)),
            Phase::Running | Phase::Ended(_) => Ok(Empty::Wait),
        }
    }

    /// Where to receive the next datagram, after [`Step::NeedsData`].
    pub(crate) fn buffer(&mut self) -> &mut Datagram {
        self.next_message = 0;
        self.cursor = Cursor::default();
        &mut self.current
    }

    /// What comes next. After an error it goes on behind what was damaged.
    pub(crate) fn advance(&mut self) -> Result<Step, Error> {
        self.step().map_err(|error| self.note(error))
    }

    fn step(&mut self) -> Result<Step, Error> {
        loop {
            let mut cursor = self.cursor;
            match cursor.next_in(self.current.bytes()) {
                Some(Ok(_)) => return Ok(Step::Event),
                Some(Err(error)) => {
                    self.cursor = cursor;
                    return Err(error.into());
                }
                None => {}
            }
            let mut messages = nlmsg::messages_from(self.current.bytes(), self.next_message);
            let message = messages.next();
            self.next_message = messages.offset();
            if let Some(message) = message {
                if let Some(lost) = take(
                    message?,
                    self.family,
                    &mut self.phase,
                    &mut self.cursor,
                    &mut self.tracker,
                    &mut self.tally,
                )? {
                    return Ok(Step::Lost(lost));
                }
            } else if let Some(bytes) = self.stash.pop_front() {
                self.current.copy_from(&bytes);
                self.next_message = 0;
            } else if let Phase::Ended(_) = self.phase {
                return Ok(Step::Ended);
            } else {
                return Ok(Step::NeedsData);
            }
        }
    }

    /// The next event of the batch that is being handed out. `None`:
    /// [`advance`](Self::advance) knows what comes instead.
    #[inline]
    pub(crate) fn next_event(&mut self) -> Option<EventSpan> {
        let span = self.cursor.next_whole_in(self.current.bytes())?;
        self.tally.received += 1;
        Some(span)
    }

    /// The event of [`next_event`](Self::next_event).
    #[inline]
    pub(crate) fn event(&self, span: EventSpan) -> EventRef<'_> {
        span.event(self.current.bytes())
    }

    /// What is left of the batch that is being handed out.
    pub(crate) fn events(&mut self) -> Events<'_> {
        Events {
            rest: self.cursor.events_in(self.current.bytes()),
            cursor: &mut self.cursor,
            received: &mut self.tally.received,
        }
    }

    /// The final counters, once the subscription has ended.
    pub(crate) fn counters(&self) -> Option<Counters> {
        match self.phase {
            Phase::Ended(counters) => Some(counters),
            _ => None,
        }
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// Counts the error if a message was damaged or cut.
    pub(crate) fn note(&mut self, error: Error) -> Error {
        self.tally.damaged += u64::from(error.is_recoverable());
        error
    }
}

/// Iterates over the events of one batch, in order: see
/// [`Subscription::recv_many`](crate::Subscription::recv_many).
///
/// If it is dropped before its end, the subscription returns the remaining events next.
#[derive(Debug)]
#[must_use = "iterators are lazy"]
pub struct Events<'a> {
    rest: event::Events<'a>,
    /// Where the subscription goes on.
    cursor: &'a mut Cursor,
    received: &'a mut u64,
}

impl<'a> Iterator for Events<'a> {
    type Item = EventRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<EventRef<'a>> {
        // What is damaged ends it, and is the subscription's next error.
        self.rest.next_whole()
    }
}

impl Drop for Events<'_> {
    #[inline]
    fn drop(&mut self) {
        let before = self.cursor.left();
        *self.cursor = self.rest.cursor();
        *self.received += u64::from(before - self.cursor.left());
    }
}

/// Takes in one message. It borrows `current`, so the rest of the core comes in
/// pieces.
fn take(
    message: Message<'_>,
    family: FamilyId,
    phase: &mut Phase,
    cursor: &mut Cursor,
    tracker: &mut Tracker,
    tally: &mut Tally,
) -> Result<Option<Lost>, Error> {
    if message.kind == family.0 {
        let generic = message.generic()?;
        if is_batch(&generic) {
            let batch = Batch::decode(&generic)?;
            *cursor = batch.cursor();
            let lost = match tracker.observe(&batch) {
                Ok(lost) => lost,
                Err(error) => {
                    tally.disagreements += 1;
                    match error {
                        SequenceError::Disagree { cpu, gap, .. } => {
                            (gap > 0).then_some(Lost { cpu, count: gap })
                        }
                        _ => None,
                    }
                }
            };
            tally.lost_in_gaps += lost.map_or(0, |lost| lost.count);
            return Ok(lost);
        }
        if matches!(phase, Phase::Ending { seq, .. } if *seq == message.seq) {
            *phase = Phase::Ended(Counters::decode(&generic)?);
        }
    } else if message.kind == nlmsg::ERROR
        && matches!(phase, Phase::Ending { seq, .. } if *seq == message.seq)
        && let Status::Refused(refusal) = Status::decode(&message)?
        // No room for the counters: on_empty() asks again.
        && refusal.errno != Errno::AGAIN.raw_os_error()
    {
        return Err(Error::refused(Operation::Unsubscribe, refusal, &[]));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use icmptap_proto::{
        Cpu,
        reply::{CpuStats, Parameters},
        testing::{self, FAMILY, Record},
    };

    use super::*;

    fn core() -> Core {
        let mut core = Core::new(64);
        core.set_family(FAMILY);
        core
    }

    fn events(seq: u64, lost: u64, count: usize) -> Vec<u8> {
        let ping = Record::of_ipv4(testing::icmpv4(8, 0, [0, 7, 0, 1], b"x"));
        testing::events(0, seq, lost, &vec![ping; count])
    }

    fn receive(core: &mut Core, datagram: &[u8]) {
        core.buffer().copy_from(datagram);
    }

    /// Everything up to hunger or the end, one letter each.
    fn steps(core: &mut Core) -> String {
        let mut steps = String::new();
        loop {
            match core.advance().expect("no error") {
                Step::Event => {
                    let span = core.next_event().expect("as it says");
                    assert!(!core.event(span).packet().is_empty());
                    steps.push('e');
                }
                Step::Lost(lost) => steps.push_str(&lost.count.to_string()),
                Step::NeedsData => return steps + "?",
                Step::Ended => return steps + ".",
            }
        }
    }

    /// Sequence numbers of the next ones, that many of those that came at once.
    fn take(core: &mut Core, count: usize) -> Vec<u64> {
        assert_eq!(core.advance().unwrap(), Step::Event);
        core.events()
            .take(count)
            .filter_map(|event| event.seq())
            .collect()
    }

    #[test]
    fn events_that_come_before_the_answer_are_kept_in_order() {
        let mut core = core();
        let seq = core.next_seq();
        let sort = |core: &mut Core, bytes: &[u8]| core.sort(bytes, seq, Parameters::decode);
        assert!(sort(&mut core, &events(0, 0, 2)).unwrap().is_none());
        // One datagram with the answer between two batches.
        let mut datagram = events(3, 1, 1);
        datagram.extend(testing::subscribed(seq));
        datagram.extend(events(4, 1, 1));
        assert!(matches!(
            sort(&mut core, &datagram).unwrap(),
            Some(Answer::Reply(_))
        ));
        assert_eq!(steps(&mut core), "ee1ee?");
        receive(&mut core, &events(5, 1, 3));
        assert_eq!(steps(&mut core), "eee?");
    }

    #[test]
    fn an_answer_in_the_middle_of_a_batch_disturbs_nothing() {
        let mut core = core();
        receive(&mut core, &events(0, 0, 3));
        assert_eq!(take(&mut core, 1), [0]);
        let seq = core.next_seq();
        core.sort(&events(3, 0, 2), seq, Parameters::decode)
            .unwrap();
        let answer = core
            .sort(&testing::status(seq, 0), seq, Parameters::decode)
            .unwrap();
        assert!(matches!(answer, Some(Answer::Ack)));
        assert_eq!(steps(&mut core), "eeee?");
    }

    #[test]
    fn a_dump_is_collected_to_its_end() {
        let mut core = core();
        let seq = core.next_seq();
        let mut dump = Dump::new();
        let mut sort = |bytes: &[u8]| {
            core.sort_dump(bytes, seq, CpuStats::decode, &mut dump)
                .unwrap();
            (dump.items.len(), dump.interrupted, dump.end.is_some())
        };
        let counters = Counters::default();
        let mut datagram = testing::cpu_stats(seq, 0, &counters);
        datagram.extend(testing::cpu_stats(seq, 1, &counters));
        assert_eq!(sort(&datagram), (2, false, false));
        let others = testing::cpu_stats(seq + 1, 7, &counters);
        assert_eq!(sort(&others), (2, false, false));
        assert_eq!(sort(&events(0, 0, 2)), (2, false, false));
        let mut datagram = testing::cpu_stats(seq, 2, &counters);
        datagram.extend(testing::done(seq, 0, true));
        assert_eq!(sort(&datagram), (3, true, true));
        assert!(matches!(dump.end, Some(DumpEnd::Complete)));
        assert_eq!(steps(&mut core), "ee?", "events are kept");
    }

    #[test]
    fn a_dump_may_be_refused_before_or_in_it() {
        for bytes in [testing::status(1, 1), testing::done(1, 1, false)] {
            let mut dump = Dump::new();
            core()
                .sort_dump(&bytes, 1, CpuStats::decode, &mut dump)
                .unwrap();
            assert!(matches!(dump.end, Some(DumpEnd::Refused(refusal)) if refusal.errno == 1));
        }
    }

    #[test]
    fn answers_to_others_are_not_ours() {
        let mut core = core();
        let seq = core.next_seq();
        let answer = core
            .sort(&testing::status(seq + 1, 1), seq, Parameters::decode)
            .unwrap();
        assert!(answer.is_none());
    }

    #[test]
    fn what_was_delivered_before_the_end_is_handed_out() {
        let mut core = core();
        receive(&mut core, &events(0, 0, 2));
        assert_eq!(take(&mut core, 1), [0]);
        assert!(core.stop().is_some());
        assert!(core.stop().is_none(), "asked only once");
        assert_eq!(steps(&mut core), "e?");
        receive(&mut core, &events(5, 3, 2));
        assert_eq!(steps(&mut core), "3ee?");
        let seq = core.last_seq;
        receive(&mut core, &testing::unsubscribed(seq, [8, 4, 4, 0, 0]));
        assert_eq!(steps(&mut core), ".");
        let expected = Tally {
            received: 4,
            lost_in_gaps: 3,
            ..Tally::default()
        };
        assert_eq!(core.tally(), expected);
        assert_eq!(core.counters().unwrap().lost(), 4);
    }

    #[test]
    fn a_lost_answer_to_the_end_is_asked_for_again() {
        let mut core = core();
        core.stop().unwrap();
        let first = core.last_seq;
        // The kernel had room for the refusal, not for the counters.
        receive(&mut core, &testing::status(first, 11));
        assert_eq!(steps(&mut core), "?");
        for _ in 1..TRIES {
            assert!(matches!(core.on_empty(), Ok(Empty::Send(_))));
        }
        assert!(
            matches!(core.on_empty(), Err(Error::NoReply { tries: TRIES, .. })),
            "not for ever"
        );
    }

    #[test]
    fn an_empty_socket_is_waited_for() {
        assert!(matches!(core().on_empty(), Ok(Empty::Wait)));
    }

    #[test]
    fn a_refused_end_is_an_error() {
        let mut core = core();
        core.stop().unwrap();
        let seq = core.last_seq;
        receive(
            &mut core,
            &testing::refusal(seq, 2, Some(("this socket is not subscribed", 0))),
        );
        let error = core.advance().unwrap_err().to_string();
        assert!(error.contains("this socket is not subscribed"), "{error}");
    }

    #[test]
    fn numbers_that_contradict_each_other_are_counted_and_not_fatal() {
        let mut core = core();
        receive(&mut core, &events(2, 1, 1));
        assert_eq!(steps(&mut core), "2e?");
        assert_eq!(core.tally().disagreements, 1);
    }

    #[test]
    fn what_is_not_taken_of_many_comes_next() {
        let mut core = core();
        receive(&mut core, &events(5, 5, 4));
        assert_eq!(
            core.advance().unwrap(),
            Step::Lost(Lost {
                cpu: Cpu(0),
                count: 5
            })
        );
        assert_eq!(take(&mut core, 2), [5, 6]);
        assert_eq!(core.tally().received, 2);
        let span = core.next_event().unwrap();
        assert_eq!(core.event(span).seq(), Some(7));
        assert_eq!(take(&mut core, 9), [8]);
        assert_eq!(core.tally().received, 4);
        assert_eq!(steps(&mut core), "?");
        assert_eq!(core.events().count(), 0, "there is no batch");
        assert_eq!(core.tally().received, 4);
    }

    #[test]
    fn damage_ends_many_events_and_is_the_next_error() {
        let mut core = core();
        let mut bytes = events(0, 0, 3);
        let len = (bytes.len() - 48) / 3;
        bytes[48 + 2 * len] = 7;
        receive(&mut core, &bytes);
        assert_eq!(core.advance().unwrap(), Step::Event);
        assert_eq!(core.events().count(), 2);
        assert_eq!(core.tally().received, 2);
        assert!(matches!(core.advance(), Err(Error::Decode(_))));
        assert_eq!(steps(&mut core), "?");
    }

    #[test]
    fn damage_is_counted_and_the_final_counters_come() {
        let mut core = core();
        core.stop().unwrap();
        let seq = core.last_seq;
        let mut bytes = events(0, 0, 2);
        bytes[48] = 7;
        bytes.extend(testing::unsubscribed(seq, [2, 2, 0, 0, 0]));
        receive(&mut core, &bytes);
        assert!(core.advance().unwrap_err().is_recoverable());
        assert_eq!(steps(&mut core), ".");
        assert_eq!(core.tally().damaged, 1);
        assert_eq!(core.counters().unwrap().delivered, 2);
        // What is refused is no damage.
        core.note(Error::ModuleNotLoaded);
        assert_eq!(core.tally().damaged, 1);
    }

    #[test]
    fn damage_is_an_error_and_the_next_batch_comes() {
        let mut core = core();
        let mut bytes = events(0, 0, 2);
        bytes[48] = 7;
        receive(&mut core, &bytes);
        assert!(matches!(core.advance(), Err(Error::Decode(_))));
        assert_eq!(steps(&mut core), "?");
        receive(&mut core, &events(2, 0, 1));
        assert_eq!(steps(&mut core), "e?");
    }
}
