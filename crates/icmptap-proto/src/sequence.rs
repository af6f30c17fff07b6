//! Loss, from sequence numbers: each stream counts its events, and what is
//! missing in the count was lost.

use std::collections::BTreeMap;

use crate::{Cpu, event::Batch};

/// Events that were matched and never arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// On which CPU.
    pub cpu: Cpu,
    /// How many.
    pub count: u64,
}

/// A batch whose numbers cannot be: a defect in the kernel or in here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SequenceError {
    /// The sequence numbers leave a gap of one size, and the kernel counted
    /// another number of losses.
    #[error("cpu {cpu}: the sequence numbers lack {gap} events, the kernel counts {counted} lost")]
    Disagree {
        /// The stream.
        cpu: Cpu,
        /// Numbers missing in the sequence.
        gap: u64,
        /// Losses the batch header adds.
        counted: u64,
    },
    /// A number that was used before.
    #[error("cpu {cpu}: sequence number {found} after {expected} was due")]
    Backwards {
        /// The stream.
        cpu: Cpu,
        /// The number that was due.
        expected: u64,
        /// The number that came.
        found: u64,
    },
}

/// What is known of one subscription's streams.
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
    /// Takes note of a batch, in the order of arrival. Says what was lost on
    /// its stream just before it.
    ///
    /// A stream's first event has number 0.
    ///
    /// # Errors
    /// If the numbers contradict each other. The batch is taken note of all the
    /// same, and the next one is compared with this one.
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
