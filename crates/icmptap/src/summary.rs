//! The counters of both sides of a subscription, and whether they agree.

use std::fmt;

use icmptap_proto::reply::Counters;

use crate::core::Tally;

/// The counters of both sides of a subscription, at its end.
///
/// With the feature `serde` it is written as it is. For the last line of a stream of JSON see
/// `json::Line::summary`.
///
/// ```no_run
/// # let subscription = icmptap::Subscription::builder().subscribe()?;
/// let summary = subscription.finish()?;
/// println!("{summary}");
/// if let Err(difference) = summary.audit() {
///     eprintln!("the counters do not agree: {difference}");
/// }
/// # Ok::<(), icmptap::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Summary {
    /// What the kernel counted.
    pub counters: Counters,
    /// Events that were received.
    pub received: u64,
    /// Events that are missing between sequence numbers. Losses after the last batch of
    /// a stream leave no gap: see [`trailing_lost`](Self::trailing_lost).
    pub lost_in_gaps: u64,
    /// Batches whose sequence numbers contradict the kernel's count of losses.
    pub disagreements: u64,
    /// Messages that were damaged or truncated. Events in them that could not be decoded
    /// count as delivered and not as received.
    pub damaged: u64,
}

impl Summary {
    pub(crate) fn new(counters: Counters, tally: Tally) -> Self {
        let Tally {
            received,
            lost_in_gaps,
            disagreements,
            damaged,
        } = tally;
        Self {
            counters,
            received,
            lost_in_gaps,
            disagreements,
            damaged,
        }
    }

    /// Events lost after the last batch of their stream.
    #[must_use]
    pub fn trailing_lost(&self) -> u64 {
        self.counters.lost().saturating_sub(self.lost_in_gaps)
    }

    /// Checks that the counters of both sides agree, to the last event.
    ///
    /// # Errors
    /// The first difference found.
    pub fn audit(&self) -> Result<(), AuditError> {
        let Counters {
            matched,
            delivered,
            queued,
            ..
        } = self.counters;
        let lost = self.counters.lost();
        if u128::from(matched) != u128::from(delivered) + u128::from(lost) + u128::from(queued) {
            return Err(AuditError::Conservation {
                matched,
                delivered,
                lost,
                queued,
            });
        }
        if self.disagreements > 0 {
            return Err(AuditError::Sequence {
                batches: self.disagreements,
            });
        }
        if self.damaged > 0 {
            return Err(AuditError::Damaged {
                messages: self.damaged,
            });
        }
        if self.received != delivered {
            return Err(AuditError::Received {
                received: self.received,
                delivered,
            });
        }
        if self.lost_in_gaps > lost {
            return Err(AuditError::Gaps {
                gaps: self.lost_in_gaps,
                lost,
            });
        }
        Ok(())
    }
}

/// Like tcpdump's last line: `6 received, 18 matched, 12 lost (10 receive buffer
/// full, 2 rate limit), 90 sampled out, damaged messages: 1`. What is 0 after `lost` is
/// left out.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counters {
            matched,
            lost_overrun,
            lost_nomem,
            lost_ratelimit,
            sampled_out,
            ..
        } = self.counters;
        let (received, lost) = (self.received, self.counters.lost());
        write!(f, "{received} received, {matched} matched, {lost} lost")?;
        let causes: Vec<String> = [
            (lost_overrun, "receive buffer full"),
            (lost_nomem, "no memory"),
            (lost_ratelimit, "rate limit"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, cause)| format!("{count} {cause}"))
        .collect();
        if !causes.is_empty() {
            write!(f, " ({})", causes.join(", "))?;
        }
        if sampled_out > 0 {
            write!(f, ", {sampled_out} sampled out")?;
        }
        if self.damaged > 0 {
            write!(f, ", damaged messages: {}", self.damaged)?;
        }
        Ok(())
    }
}

/// A difference between the counters: a defect, here or in the kernel module. Events may be
/// missing that no counter tells of: please report it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The kernel's counters do not add up.
    #[error("{matched} matched is not {delivered} delivered + {lost} lost + {queued} queued")]
    Conservation {
        /// Packets that got a sequence number.
        matched: u64,
        /// Events put into the receive buffer.
        delivered: u64,
        /// Events lost, whatever the cause.
        lost: u64,
        /// Events in a batch that was not sent.
        queued: u64,
    },
    /// Not everything that was delivered was received.
    #[error("{received} received is not {delivered} delivered")]
    Received {
        /// Counted here.
        received: u64,
        /// Counted by the kernel.
        delivered: u64,
    },
    /// Messages were damaged or cut, so that not everything was received.
    #[error("damaged messages: {messages}")]
    Damaged {
        /// How many messages.
        messages: u64,
    },
    /// More is missing than the kernel lost.
    #[error("{gaps} missing in the sequence numbers is more than {lost} lost")]
    Gaps {
        /// Counted here.
        gaps: u64,
        /// Counted by the kernel.
        lost: u64,
    },
    /// Sequence numbers contradict the kernel's count of losses.
    #[error("the sequence numbers of {batches} batches contradict the count of losses")]
    Sequence {
        /// How many batches.
        batches: u64,
    },
}

#[cfg(test)]
mod tests {
    use icmptap_proto::{nlmsg, testing};

    use super::*;

    /// `counters`: matched, delivered, lost_overrun, lost_nomem, queued.
    fn summary(counters: [u64; 5], received: u64, gaps: u64, disagreements: u64) -> Summary {
        let bytes = testing::unsubscribed(1, counters);
        let message = nlmsg::messages(&bytes).next().unwrap().unwrap();
        let counters = Counters::decode(&message.generic().unwrap()).unwrap();
        Summary::new(
            counters,
            Tally {
                received,
                lost_in_gaps: gaps,
                disagreements,
                damaged: 0,
            },
        )
    }

    #[test]
    fn an_audit_passes_only_if_everything_agrees() {
        let good = summary([10, 6, 3, 1, 0], 6, 3, 0);
        assert_eq!(good.audit(), Ok(()));
        assert_eq!(good.trailing_lost(), 1);
        let fails = |summary: Summary| summary.audit().unwrap_err().to_string();
        assert_eq!(
            fails(summary([11, 6, 3, 1, 0], 6, 3, 0)),
            "11 matched is not 6 delivered + 4 lost + 0 queued"
        );
        assert_eq!(
            fails(summary([10, 6, 3, 1, 0], 5, 3, 0)),
            "5 received is not 6 delivered"
        );
        assert_eq!(
            fails(summary([10, 6, 3, 1, 0], 6, 5, 0)),
            "5 missing in the sequence numbers is more than 4 lost"
        );
        assert_eq!(
            fails(summary([10, 6, 3, 1, 0], 6, 3, 2)),
            "the sequence numbers of 2 batches contradict the count of losses"
        );
        // What the rate limit took is lost like the rest.
        let mut counters = Counters::default();
        (counters.matched, counters.delivered) = (10, 6);
        (counters.lost_ratelimit, counters.sampled_out) = (4, 99);
        let tally = |lost_in_gaps| Tally {
            received: 6,
            lost_in_gaps,
            ..Tally::default()
        };
        assert_eq!(Summary::new(counters, tally(4)).audit(), Ok(()));
        assert_eq!(Summary::new(counters, tally(1)).trailing_lost(), 3);
        counters.lost_ratelimit = 3;
        assert_eq!(
            fails(Summary::new(counters, tally(3))),
            "10 matched is not 6 delivered + 3 lost + 0 queued"
        );
        let mut damaged = summary([10, 6, 3, 1, 0], 5, 3, 0);
        damaged.damaged = 1;
        assert_eq!(fails(damaged), "damaged messages: 1");
        assert!(damaged.to_string().ends_with(", damaged messages: 1"));
        // Counters that no addition survives do not panic.
        assert!(summary([u64::MAX; 5], 1, u64::MAX, 0).audit().is_err());
    }

    #[cfg(feature = "serde")]
    #[test]
    fn it_is_read_back() {
        let summary = summary([10, 6, 3, 1, 0], 6, 3, 2);
        let text = serde_json::to_string(&summary).unwrap();
        assert_eq!(serde_json::from_str::<Summary>(&text).unwrap(), summary);
        assert!(text.starts_with(r#"{"counters":{"matched":10,"delivered":6,"lost_overrun":3,"#));
    }

    #[test]
    fn it_names_causes_where_there_are_losses() {
        let line = |counters| summary(counters, 6, 0, 0).to_string();
        assert_eq!(line([6, 6, 0, 0, 0]), "6 received, 6 matched, 0 lost");
        assert_eq!(
            line([18, 6, 10, 2, 0]),
            "6 received, 18 matched, 12 lost (10 receive buffer full, 2 no memory)"
        );
        assert!(line([8, 6, 0, 2, 0]).ends_with("2 lost (2 no memory)"));
        let mut summary = summary([10, 6, 0, 0, 0], 6, 0, 0);
        summary.counters.lost_ratelimit = 4;
        summary.counters.sampled_out = 90;
        assert_eq!(
            summary.to_string(),
            "6 received, 10 matched, 4 lost (4 rate limit), 90 sampled out"
        );
    }
}
