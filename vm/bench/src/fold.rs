//! What a reader does with an event: it looks at every field and folds it into
//! sums, which have to be those of what was sent. So no compiler drops a look, and
//! no reader passes an event over.

use serde::{Deserialize, Serialize};

/// What a reader has to look at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Event {
    /// Nanoseconds since 1970.
    pub(crate) time_ns: u64,
    /// It came in by this one.
    pub(crate) interface: u32,
    pub(crate) mark: u32,
    /// Of the packet, from its IP header on.
    pub(crate) len: u32,
    /// Of what was kept of it.
    pub(crate) caplen: u32,
    /// In host byte order, as the next one.
    pub(crate) src: u32,
    pub(crate) dst: u32,
    pub(crate) icmp_type: u8,
}

/// Sums of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fold {
    pub(crate) count: u64,
    /// Events that the reader knows it missed.
    pub(crate) lost: u64,
    /// Of sources and destinations.
    pub(crate) addresses: u64,
    pub(crate) marks: u64,
    /// Of interfaces, lengths and types.
    pub(crate) others: u64,
    pub(crate) first_ns: u64,
    pub(crate) last_ns: u64,
    /// Events that are older than the one before.
    pub(crate) backwards: u64,
}

impl Fold {
    #[inline]
    pub(crate) fn add(&mut self, event: &Event) {
        if self.count == 0 {
            self.first_ns = event.time_ns;
        }
        self.count += 1;
        self.addresses += u64::from(event.src) + u64::from(event.dst);
        self.marks += u64::from(event.mark);
        self.others += u64::from(event.interface)
            + u64::from(event.len)
            + u64::from(event.caplen)
            + u64::from(event.icmp_type);
        self.backwards += u64::from(event.time_ns < self.last_ns);
        self.last_ns = event.time_ns;
    }

    /// Whether nothing is to come, of so many.
    #[inline]
    pub(crate) fn is_complete(&self, count: u64) -> bool {
        self.count + self.lost >= count
    }
}
