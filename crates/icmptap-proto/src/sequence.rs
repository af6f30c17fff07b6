//! Detects losses from sequence numbers. Each stream numbers its events without gaps; the
//! numbers that are missing belong to events that were lost.

use std::{collections::BTreeMap, fmt};

use crate::{Cpu, event::Batch};

/// Events that were matched and not delivered.
///
/// A loss on a CPU is found when the next batch of that CPU arrives. Losses after the last
/// batch of a CPU are only in the final counters, and so are the causes.
///
/// With the feature `serde` it is written as the line of a loss, which `json::Line` reads back:
/// `{"kind":"lost","cpu":3,"count":12}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(tag = "kind", rename = "lost"))]
pub struct Lost {
    /// The CPU whose stream they are missing from.
    pub cpu: Cpu,
    /// The number of events.
    pub count: u64,
}

/// `12 lost on cpu 3`
impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} lost on cpu {}", self.count, self.cpu)
    }
}

/// A batch whose numbers contradict earlier ones: a defect of the module or of this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SequenceError {
    /// The gap in the sequence numbers differs from the number of losses that the kernel
    /// counted.
    #[error("cpu {cpu}: the sequence numbers lack {gap} events, the kernel counts {counted} lost")]
    Disagree {
        /// The stream.
        cpu: Cpu,
        /// The size of the gap in the sequence numbers.
        gap: u64,
        /// The number of new losses, according to the batch's header.
        counted: u64,
    },
    /// A sequence number was used twice.
    #[error("cpu {cpu}: sequence number {found} after {expected} was due")]
    Backwards {
        /// The stream.
        cpu: Cpu,
        /// The number that was expected.
        expected: u64,
        /// The number that came.
        found: u64,
    },
}

/// Tracks the sequence numbers of one subscription's streams.
#[derive(Debug, Clone, Default)]
pub struct Tracker {
    streams: BTreeMap<Cpu, Stream>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Stream {
    due: u64,
    lost: u64,
}

impl Tracker {
    /// Records a batch; call it in order of arrival. Returns the events that were lost on
    /// the batch's stream just before it. The first event of a stream has number 0.
    ///
    /// # Errors
    /// The numbers contradict earlier ones. The batch is recorded nevertheless, and the
    /// next one is compared with it.
    pub fn observe(&mut self, batch: &Batch<'_>) -> Result<Option<Lost>, SequenceError> {
        let cpu = batch.cpu;
        let after = Stream {
            due: batch.seq.wrapping_add(batch.count.into()),
            lost: batch.lost,
        };
        let before = self.streams.insert(cpu, after).unwrap_or_default();
        let gap = batch.seq.wrapping_sub(before.due);
        if batch.seq < before.due {
            return Err(SequenceError::Backwards {
                cpu,
                expected: before.due,
                found: batch.seq,
            });
        }
        let counted = batch.lost.wrapping_sub(before.lost);
        if gap != counted {
            return Err(SequenceError::Disagree { cpu, gap, counted });
        }
        Ok(lost(cpu, gap))
    }
}

fn lost(cpu: Cpu, count: u64) -> Option<Lost> {
    (count > 0).then_some(Lost { cpu, count })
}
