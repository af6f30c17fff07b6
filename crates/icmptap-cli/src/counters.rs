//! The kernel's counters, as columns.

use icmptap::reply;

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
