//! A subscription that collects beside the test.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use icmptap::event::Event;
use icmptap::reply::Counters;
use icmptap::{Builder, OwnedItem, Stopper, Subscription, Summary};

use crate::net::{Namespace, settle};

/// Subscribes in `namespace`.
pub fn subscribe(namespace: &Namespace, builder: &Builder) -> Subscription {
    namespace.enter(|| builder.subscribe()).expect("subscribe")
}

/// Collects what a subscription hands out, until [`Listener::stop`].
pub struct Listener {
    stopper: Stopper,
    thread: JoinHandle<Heard>,
}

/// What a [`Listener`] heard.
pub struct Heard {
    /// Every event, in the order in which they were handed out.
    pub events: Vec<Event>,
    /// Events reported as lost between them.
    pub lost: u64,
    /// The counters of both sides, which agree.
    pub summary: Summary,
}

impl Listener {
    /// Subscribes in `namespace`, with the kernel's defaults.
    pub fn start(namespace: &Namespace) -> Self {
        Self::with(namespace, Subscription::builder())
    }

    /// Subscribes in `namespace`.
    pub fn with(namespace: &Namespace, builder: Builder) -> Self {
        Self::slow(namespace, builder, Duration::ZERO)
    }

    /// Subscribes in `namespace`, and rests after each item.
    pub fn slow(namespace: &Namespace, builder: Builder, rest: Duration) -> Self {
        let subscription = subscribe(namespace, &builder);
        Self {
            stopper: subscription.stopper(),
            thread: thread::spawn(move || collect(subscription, rest)),
        }
    }

    /// Ends the subscription. What was sent until now is in what it returns.
    pub fn stop(self) -> Heard {
        settle();
        self.stopper.stop();
        self.thread.join().expect("the listener")
    }
}

impl Heard {
    /// Checks the law of conservation, with nothing left in a batch, and that what
    /// was heard and what was missed is what the kernel counted. `what` is for people.
    pub fn lawful(&self, what: &str) -> Counters {
        let counters = self.summary.counters;
        assert_eq!(counters.queued, 0, "{what}");
        assert_eq!(self.summary.received, self.events.len() as u64, "{what}");
        assert_eq!(self.summary.received, counters.delivered, "{what}");
        assert_eq!(
            self.lost + self.summary.trailing_lost(),
            counters.lost(),
            "{what}: gaps"
        );
        assert_eq!(
            counters.matched,
            counters.delivered
                + counters.lost_overrun
                + counters.lost_nomem
                + counters.lost_ratelimit
                + counters.queued,
            "{what}"
        );
        counters
    }
}

fn collect(mut subscription: Subscription, rest: Duration) -> Heard {
    let (mut events, mut lost) = (Vec::new(), 0);
    for item in subscription.iter() {
        thread::sleep(rest);
        match item.expect("receive") {
            OwnedItem::Event(event) => events.push(event),
            OwnedItem::Lost(gap) => lost += gap.count,
        }
    }
    let summary = subscription.finish().expect("finish");
    summary.audit().expect("both sides agree");
    Heard {
        events,
        lost,
        summary,
    }
}
