//! Checks that a capture has everything that was written, and that the kernel matched.

use std::collections::HashMap;

use icmptap::AuditError;
use icmptap_proto::{Cpu, sequence::Lost};

use crate::{Captured, Item, Session, Totals};

/// Maximum number of tracked streams. A capture with more was not written by this crate.
const MAX_STREAMS: usize = 1 << 16;

/// Checks the items of one capture, which may be in several files, in order.
#[derive(Debug, Default)]
pub struct Audit {
    sessions: HashMap<Session, Tally>,
    /// In order of first appearance.
    order: Vec<Session>,
    streams: HashMap<(Session, Cpu), Stream>,
    /// Items of untracked streams, because there are too many.
    unfollowed: u64,
}

#[derive(Debug, Default)]
struct Tally {
    /// The first file was read.
    has_beginning: bool,
    counts: Counts,
    totals: Option<Totals>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    events: u64,
    lost: u64,
    missing: u64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Stream {
    /// The next sequence number. `None`: earlier events are in a file that was not read.
    due: Option<u64>,
    /// Losses since the last event.
    lost: u64,
}

/// What is missing before an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
pub struct Gap {
    /// A loss that only this event reports: the item that reported it is missing from the
    /// capture.
    pub lost: Option<Lost>,
    /// Events that the capture neither contains nor reports as lost: they were removed, or
    /// are in a file that was not read.
    pub missing: u64,
}

/// The result of the check for one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The session.
    pub session: Session,
    /// Its events that were read.
    pub events: u64,
    /// Its losses that were read, or that its events report.
    pub lost: u64,
    /// Its events that were neither read nor reported as lost.
    pub missing: u64,
    /// Its final counters, if the capture has them.
    pub totals: Option<Totals>,
    /// The verdict.
    pub verdict: Verdict,
}

/// Whether a session is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Verdict {
    /// Every packet that the kernel matched was either written as an event or counted as
    /// lost, and everything that was written was read.
    #[error("complete")]
    Complete,
    /// There are no counters: the capture is still being written, was truncated, or
    /// continues in a file that was not read.
    #[error("the capture has no end: it still goes on, was killed, or goes on in another file")]
    NoEnd,
    /// It began in a file that was not read.
    #[error("the capture began in another file, so that it cannot be checked as a whole")]
    NoBeginning,
    /// Part of what was written is missing.
    #[error(
        "{written_events} events and {written_lost} losses were written, and {events} and {lost} \
         are there"
    )]
    Incomplete {
        /// Events that were written.
        written_events: u64,
        /// Losses that were written.
        written_lost: u64,
        /// Events that were read.
        events: u64,
        /// Losses that were read.
        lost: u64,
    },
    /// The counters are inconsistent.
    #[error("the counters do not agree: {0}")]
    Counters(AuditError),
}

impl Audit {
    /// Creates an audit without items.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Records an item. Returns what is missing before it, for events only.
    pub fn observe(&mut self, item: &Item) -> Gap {
        match item {
            Item::Section { session, part: 0 } => {
                if let Some(tally) = self.session(session) {
                    tally.has_beginning = true;
                }
            }
            Item::Event(captured) => return self.event(captured),
            Item::Lost(lost) => {
                let Lost { cpu, count } = lost.lost;
                if let Some((counts, stream)) = self.stream(&lost.session, cpu) {
                    counts.lost = counts.lost.saturating_add(count);
                    stream.lost = stream.lost.saturating_add(count);
                }
            }
            Item::Totals { session, totals } => {
                if let Some(tally) = self.session(session) {
                    tally.totals = Some(*totals);
                }
            }
            Item::Section { .. } | Item::Interface(_) | Item::Netns(_) | Item::Dropped { .. } => {}
        }
        Gap::default()
    }

    fn event(&mut self, captured: &Captured) -> Gap {
        let event = captured.event.as_ref();
        let (Some(session), Some(cpu), Some(seq)) = (captured.session, event.cpu(), event.seq())
        else {
            return Gap::default();
        };
        let dropped = captured.dropped;
        let Some((counts, stream)) = self.stream(&session, cpu) else {
            return Gap::default();
        };
        let told = std::mem::take(&mut stream.lost);
        // If a file that was not read had the beginning, what is missing cannot be told.
        // Nor where files come in the wrong order, which then lack events in the end.
        let gap = match stream.due {
            Some(due) => seq.saturating_sub(due),
            None => told.max(dropped),
        };
        stream.due = stream.due.max(Some(seq.saturating_add(1)));
        let only_here = dropped.min(gap).saturating_sub(told);
        let missing = gap.saturating_sub(told).saturating_sub(only_here);
        counts.events += 1;
        counts.lost = counts.lost.saturating_add(only_here);
        counts.missing = counts.missing.saturating_add(missing);
        Gap {
            lost: (only_here > 0).then_some(Lost {
                cpu,
                count: only_here,
            }),
            missing,
        }
    }

    fn session(&mut self, session: &Session) -> Option<&mut Tally> {
        if !self.sessions.contains_key(session) {
            if self.sessions.len() == MAX_STREAMS {
                self.unfollowed += 1;
                return None;
            }
            self.order.push(*session);
        }
        Some(self.sessions.entry(*session).or_default())
    }

    fn stream(&mut self, session: &Session, cpu: Cpu) -> Option<(&mut Counts, &mut Stream)> {
        let has_beginning = self.session(session)?.has_beginning;
        let key = (*session, cpu);
        if self.streams.len() == MAX_STREAMS && !self.streams.contains_key(&key) {
            self.unfollowed += 1;
            return None;
        }
        let stream = self.streams.entry(key).or_insert(Stream {
            due: has_beginning.then_some(0),
            lost: 0,
        });
        let tally = self.sessions.get_mut(session)?;
        Some((&mut tally.counts, stream))
    }

    /// Events and losses that were not tracked, because there were too many streams.
    #[must_use]
    pub fn unfollowed(&self) -> u64 {
        self.unfollowed
    }

    /// One report for each session, in order of first appearance.
    pub fn reports(&self) -> impl Iterator<Item = Report> {
        self.order.iter().map(|session| {
            let tally = &self.sessions[session];
            let Counts {
                events,
                lost,
                missing,
            } = tally.counts;
            Report {
                session: *session,
                events,
                lost,
                missing,
                totals: tally.totals,
                verdict: tally.verdict(),
            }
        })
    }
}

impl Tally {
    fn verdict(&self) -> Verdict {
        let Counts { events, lost, .. } = self.counts;
        let Some(totals) = &self.totals else {
            return Verdict::NoEnd;
        };
        if let Err(error) = totals.audit() {
            return Verdict::Counters(error);
        }
        if !self.has_beginning {
            return Verdict::NoBeginning;
        }
        if (events, lost) != (totals.events, totals.lost) {
            return Verdict::Incomplete {
                written_events: totals.events,
                written_lost: totals.lost,
                events,
                lost,
            };
        }
        Verdict::Complete
    }
}

#[cfg(test)]
mod tests {
    use icmptap::{Summary, reply::Counters};
    use icmptap_proto::{
        Hook, Netns,
        event::{Event, Metadata, Tapped},
        testing::icmpv4,
    };

    use super::*;
    use crate::{SessionLost, note::tests::session};

    fn event(cpu: u32, seq: u64, dropped: u64) -> Item {
        let packet = icmpv4(8, 0, [0; 4], &[]);
        let (metadata, packet) = Metadata::of_packet(1, &packet, 28).unwrap();
        let metadata = Metadata {
            tapped: Some(Tapped {
                cpu: Cpu(cpu),
                seq,
                netns: Netns(1),
                hook: Hook::Input,
                mark: 0,
            }),
            ..metadata
        };
        Item::Event(Captured {
            event: Event::new(&metadata, packet),
            session: Some(session()),
            dropped,
            interface: None,
        })
    }

    fn lost(cpu: u32, count: u64) -> Item {
        Item::Lost(SessionLost {
            session: session(),
            lost: Lost {
                cpu: Cpu(cpu),
                count,
            },
        })
    }

    fn begin(part: u32) -> Item {
        Item::Section {
            session: session(),
            part,
        }
    }

    fn end(events: u64, lost: u64) -> Item {
        let mut counters = Counters::default();
        counters.matched = events + lost;
        counters.delivered = events;
        counters.lost_overrun = lost;
        let mut summary = Summary::default();
        (summary.counters, summary.received) = (counters, events);
        summary.lost_in_gaps = lost;
        Item::Totals {
            session: session(),
            totals: Totals {
                events,
                lost,
                summary,
            },
        }
    }

    /// The gaps, and the only report.
    fn audit(items: &[Item]) -> (Vec<(u64, u64)>, Report) {
        let mut audit = Audit::new();
        let gaps = items.iter().map(|item| audit.observe(item));
        let gaps = gaps.map(|gap| (gap.lost.map_or(0, |lost| lost.count), gap.missing));
        let gaps = gaps.filter(|gap| *gap != (0, 0)).collect();
        let reports: Vec<_> = audit.reports().collect();
        assert_eq!(reports.len(), 1);
        (gaps, reports[0])
    }

    #[test]
    fn what_is_all_there_is_complete() {
        let items = [
            begin(0),
            event(0, 0, 0),
            lost(1, 4),
            event(1, 4, 4),
            event(0, 1, 0),
            lost(0, 2),
            begin(1),
            event(0, 4, 2),
            end(4, 6),
        ];
        let (gaps, report) = audit(&items);
        assert_eq!((gaps, report.verdict), (vec![], Verdict::Complete));
        assert_eq!((report.events, report.lost, report.missing), (4, 6, 0));

        let (_, report) = audit(&items[..8]);
        assert_eq!(report.verdict, Verdict::NoEnd);
        let (gaps, report) = audit(&items[6..]);
        assert_eq!((gaps, report.verdict), (vec![(2, 0)], Verdict::NoBeginning));
    }

    #[test]
    fn what_was_taken_out_is_missed() {
        let (gaps, report) = audit(&[begin(0), event(0, 2, 0), event(0, 7, 1), end(3, 1)]);
        assert_eq!(gaps, [(0, 2), (1, 3)]);
        assert_eq!((report.lost, report.missing), (1, 5));
        assert_eq!(
            report.verdict.to_string(),
            "3 events and 1 losses were written, and 2 and 1 are there"
        );
        // A loss whose block was taken out: the event behind it knows.
        let (gaps, report) = audit(&[begin(0), event(0, 3, 3), end(1, 3)]);
        assert_eq!((gaps, report.verdict), (vec![(3, 0)], Verdict::Complete));
        let twice = [
            begin(0),
            event(0, 0, 0),
            event(0, 1, 0),
            event(0, 0, 0),
            end(2, 0),
        ];
        assert!(matches!(
            audit(&twice).1.verdict,
            Verdict::Incomplete { events: 3, .. }
        ));
    }

    #[test]
    fn counters_that_do_not_agree_are_told() {
        let Item::Totals {
            session,
            mut totals,
        } = end(1, 0)
        else {
            unreachable!()
        };
        totals.summary.counters.matched = 5;
        let (_, report) = audit(&[begin(0), event(0, 0, 0), Item::Totals { session, totals }]);
        assert_eq!(
            report.verdict.to_string(),
            "the counters do not agree: 5 matched is not 1 delivered + 0 lost + 0 queued"
        );
    }

    #[test]
    fn streams_that_are_followed_have_an_end() {
        let mut audit = Audit::new();
        for cpu in 0..MAX_STREAMS as u32 + 5 {
            assert_eq!(audit.observe(&event(cpu, 0, 0)), Gap::default());
        }
        assert_eq!(audit.unfollowed(), 5);
    }
}
