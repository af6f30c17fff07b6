//! The kernel's counters, as columns and as JSON.

use icmptap::reply;
use serde::Serialize;

/// The columns' headings.
pub(crate) const HEADINGS: [&str; 7] = [
    "matched",
    "delivered",
    "overrun",
    "nomem",
    "ratelimit",
    "queued",
    "sampled-out",
];

/// In the order of [`HEADINGS`].
pub(crate) fn cells(counters: &reply::Counters) -> [String; 7] {
    [
        counters.matched,
        counters.delivered,
        counters.lost_overrun,
        counters.lost_nomem,
        counters.lost_ratelimit,
        counters.queued,
        counters.sampled_out,
    ]
    .map(|count| count.to_string())
}

#[derive(Debug, Serialize)]
pub(crate) struct Counters {
    /// Packets that got a sequence number: the sum of all below but the last.
    matched: u64,
    /// Put into a receive buffer.
    delivered: u64,
    /// Lost because the receive buffer was full.
    lost_overrun: u64,
    /// Lost because there was no memory.
    lost_nomem: u64,
    /// Lost to the rate limit.
    lost_ratelimit: u64,
    /// In a batch that was not sent yet.
    queued: u64,
    /// Passed over by sampling.
    sampled_out: u64,
}

impl From<&reply::Counters> for Counters {
    fn from(counters: &reply::Counters) -> Self {
        Self {
            matched: counters.matched,
            delivered: counters.delivered,
            lost_overrun: counters.lost_overrun,
            lost_nomem: counters.lost_nomem,
            lost_ratelimit: counters.lost_ratelimit,
            queued: counters.queued,
            sampled_out: counters.sampled_out,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    /// A different number each, which the law allows.
    pub(crate) fn some() -> icmptap::reply::Counters {
        let mut counters = icmptap::reply::Counters::default();
        counters.matched = 21;
        counters.delivered = 6;
        counters.lost_overrun = 1;
        counters.lost_nomem = 2;
        counters.lost_ratelimit = 4;
        counters.queued = 8;
        counters.sampled_out = 100;
        counters
    }
}
