//! The blocking subscription: events in order of arrival, losses between them, and
//! counters at the end that must agree.

use std::{
    fmt,
    os::fd::{AsFd, BorrowedFd},
    time::Instant,
};

use icmptap_proto::{
    Protocol, SubscriptionId,
    event::{Event, EventRef},
    reply::{Info, Parameters},
    sequence::Lost,
};

use crate::{
    Builder, Client, Error, Events, Operation, Received, Stopper, Summary,
    core::Step,
    session::{Session, is_end},
};

/// An event or a loss, borrowed from the buffer of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// A packet that the kernel saw.
    Event(EventRef<'a>),
    /// Packets whose events were lost at this place in the stream: see [`Lost`].
    Lost(Lost),
}

/// An event or a loss that owns its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnedItem {
    /// A packet that the kernel saw.
    Event(Event),
    /// Packets whose events were lost at this place in the stream: see [`Lost`].
    Lost(Lost),
}

impl Item<'_> {
    /// Copies the packet into an item that owns it.
    #[must_use]
    pub fn to_owned(&self) -> OwnedItem {
        match self {
            Self::Event(event) => OwnedItem::Event(event.to_owned()),
            Self::Lost(lost) => OwnedItem::Lost(*lost),
        }
    }
}

/// One line, as the event or the loss writes it.
impl fmt::Display for Item<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(event) => event.fmt(f),
            Self::Lost(lost) => lost.fmt(f),
        }
    }
}

/// One line, as the event or the loss writes it.
impl fmt::Display for OwnedItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(event) => event.fmt(f),
            Self::Lost(lost) => lost.fmt(f),
        }
    }
}

/// The events of a batch, or a loss. It borrows the subscription, which can be used again only
/// when it is dropped: after the `match` on it, not within.
#[derive(Debug)]
pub enum Items<'a> {
    /// At least one event.
    Events(Events<'a>),
    /// Packets whose events were lost at this place in the stream: see [`Lost`].
    Lost(Lost),
}

/// Receives ICMP messages from the kernel, from [`Builder::subscribe`] on.
///
/// [`stop`](Self::stop) or a [`Stopper`] ends it; events that were delivered before
/// can still be received. [`finish`](Self::finish) ends it and returns the counters
/// of both sides. Dropping it ends it as well.
///
/// ```no_run
/// use icmptap::{Hooks, Item, Snaplen, Subscription};
///
/// let mut subscription = Subscription::builder()
///     .hooks(Hooks::INPUT | Hooks::OUTPUT)
///     .snaplen(Snaplen(128))
///     .subscribe()?;
/// for _ in 0..100 {
///     match subscription.recv()? {
///         Some(Item::Event(event)) => println!("{event}"),
///         Some(Item::Lost(lost)) => println!("{lost}"),
///         None => break,
///     }
/// }
/// let summary = subscription.finish()?;
/// println!("{summary}");
/// summary.audit()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a subscription ends when it is dropped"]
pub struct Subscription {
    session: Session,
}

impl Subscription {
    /// Returns a builder, which sets what to subscribe to.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn new(session: Session) -> Self {
        Self { session }
    }

    /// The parameters in force, as the kernel answered.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        self.session.parameters()
    }

    /// What the module is and can do.
    #[must_use]
    pub fn module(&self) -> &Info {
        self.session.module()
    }

    /// Its number, which no other subscription has until the module is unloaded. `None`:
    /// the module is too old to tell.
    ///
    /// # Errors
    /// If the module cannot be asked, or the calling thread is in another network
    /// namespace.
    pub fn id(&self) -> Result<Option<SubscriptionId>, Error> {
        let port = self.session.socket().port()?;
        let all = match Client::open()?.subscriptions(false) {
            Err(Error::ModuleTooOld { .. }) => return Ok(None),
            all => all?,
        };
        let this = all
            .iter()
            .find(|other| other.port == port && other.protocol == Protocol::Generic);
        this.map(|this| this.id)
            .ok_or(Error::no_reply(Operation::GetSubscriptions, 1))
    }

    /// Bytes of the receive buffer in force (`SO_RCVBUF`).
    #[must_use]
    pub fn receive_buffer(&self) -> usize {
        self.session.receive_buffer()
    }

    /// Returns a handle that stops this subscription from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.session.stopper().clone()
    }

    /// Waits for the next item. Returns `None` once the subscription was stopped and
    /// all items have been returned.
    ///
    /// # Errors
    /// A message from the kernel is damaged or was truncated, a system call failed, or
    /// the kernel refused to end the subscription. After a
    /// [recoverable](Error::is_recoverable) error, call again for the next item.
    #[inline(always)]
    pub fn recv(&mut self) -> Result<Option<Item<'_>>, Error> {
        // For all events of a batch but the first: so that it becomes a part of the
        // caller's loop.
        match self.session.next_event() {
            Some(span) => Ok(Some(Item::Event(self.session.event(span)))),
            None => self.recv_next_batch(),
        }
    }

    #[inline(never)]
    fn recv_next_batch(&mut self) -> Result<Option<Item<'_>>, Error> {
        let step = self.wait(None)?;
        Ok(self.session.item(step))
    }

    /// Waits for the next batch, and returns its events as an iterator, or a loss. This
    /// costs less per event than [`recv`](Self::recv). Events that are not taken from
    /// the iterator are returned by the next call. Returns `None` as `recv` does.
    ///
    /// ```no_run
    /// # use icmptap::{Items, Subscription};
    /// # let mut subscription = Subscription::builder().subscribe()?;
    /// while let Some(items) = subscription.recv_many()? {
    ///     match items {
    ///         Items::Events(events) => {
    ///             for event in events {
    ///                 println!("{event}");
    ///             }
    ///         }
    ///         Items::Lost(lost) => println!("{lost}"),
    ///     }
    /// }
    /// # Ok::<(), icmptap::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn recv_many(&mut self) -> Result<Option<Items<'_>>, Error> {
        let step = self.wait(None)?;
        Ok(self.session.items(step))
    }

    /// Waits for the next item until `deadline`. If that has passed already, as
    /// [`Instant::now`] has, returns an item that is there and does not wait.
    ///
    /// ```no_run
    /// # use icmptap::{Received, Subscription};
    /// # let mut subscription = Subscription::builder().subscribe()?;
    /// use std::time::{Duration, Instant};
    ///
    /// match subscription.recv_before(Instant::now() + Duration::from_secs(1))? {
    ///     Received::Item(item) => println!("{item:?}"),
    ///     Received::TimedOut => println!("nothing for a second"),
    ///     Received::Ended => println!("stopped"),
    /// }
    /// # Ok::<(), icmptap::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn recv_before(&mut self, deadline: Instant) -> Result<Received<Item<'_>>, Error> {
        if let Some(span) = self.session.next_event() {
            return Ok(Received::Item(Item::Event(self.session.event(span))));
        }
        let step = self.wait(Some(deadline))?;
        Ok(Session::received(step, self.session.item(step)))
    }

    /// As [`recv_many`](Self::recv_many), but waits until `deadline` only, as
    /// [`recv_before`](Self::recv_before).
    ///
    /// ```no_run
    /// use std::time::{Duration, Instant};
    ///
    /// use icmptap::{Items, Received, Subscription};
    ///
    /// fn show(items: Items<'_>) {
    ///     match items {
    ///         Items::Events(events) => events.for_each(|event| println!("{event}")),
    ///         Items::Lost(lost) => println!("{lost}"),
    ///     }
    /// }
    ///
    /// let mut subscription = Subscription::builder().subscribe()?;
    /// let deadline = Instant::now() + Duration::from_secs(10);
    /// while let Received::Item(items) = subscription.recv_many_before(deadline)? {
    ///     show(items);
    /// }
    /// // What was matched before the end is still there.
    /// subscription.stop()?;
    /// while let Some(items) = subscription.recv_many()? {
    ///     show(items);
    /// }
    /// println!("{}", subscription.finish()?);
    /// # Ok::<(), icmptap::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn recv_many_before(&mut self, deadline: Instant) -> Result<Received<Items<'_>>, Error> {
        let step = self.wait(Some(deadline))?;
        Ok(Session::received(step, self.session.items(step)))
    }

    /// [`Step::NeedsData`]: the deadline has passed.
    fn wait(&mut self, deadline: Option<Instant>) -> Result<Step, Error> {
        loop {
            match self.session.next()? {
                Step::NeedsData => {}
                step => return Ok(step),
            }
            let stopper = Some(self.session.stopper());
            if !self.session.socket().wait(stopper, deadline)? {
                return Ok(Step::NeedsData);
            }
        }
    }

    /// Iterates over owned items until the subscription is stopped.
    /// [Recoverable](Error::is_recoverable) errors are yielded and iteration
    /// continues.
    pub fn iter(&mut self) -> Iter<'_> {
        Iter { subscription: self }
    }

    /// Makes the kernel send the events that wait in batches. The next calls return
    /// them.
    ///
    /// # Errors
    /// The kernel refused, or its answer found no room in the receive buffer.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.session.flush()
    }

    /// Ends the subscription: packets that arrive from now on are not matched. Events
    /// that were matched before can still be received. Does nothing the second time.
    ///
    /// # Errors
    /// The request could not be sent to the kernel.
    pub fn stop(&mut self) -> Result<(), Error> {
        self.session.stop()
    }

    /// Stops the subscription if it still runs, receives the remaining items without
    /// returning them (they count as received), and returns the counters of both sides.
    /// Damaged and truncated messages are skipped, and counted as
    /// [`damaged`](Summary::damaged).
    ///
    /// # Errors
    /// The request could not be sent, or the kernel refused it.
    pub fn finish(mut self) -> Result<Summary, Error> {
        self.stop()?;
        while !is_end(self.recv())? {}
        self.session.summary()
    }
}

/// The socket, for `poll`: readable when the kernel has sent something. Do not read from
/// it. A subscription may hold items that it has received already: call
/// [`recv_before`](Subscription::recv_before) with [`Instant::now`] until it returns
/// [`Received::TimedOut`], and only then wait. A [`Stopper`] does not make the socket
/// readable, but has a descriptor of its own.
///
/// ```no_run
/// use std::{os::fd::AsFd, time::Instant};
///
/// use icmptap::{Received, Subscription};
/// use rustix::event::{PollFd, PollFlags, poll};
///
/// let mut subscription = Subscription::builder().subscribe()?;
/// let stopper = subscription.stopper();
/// loop {
///     match subscription.recv_before(Instant::now())? {
///         Received::Item(item) => println!("{item}"),
///         Received::TimedOut => {
///             let mut fds = [
///                 PollFd::from_borrowed_fd(subscription.as_fd(), PollFlags::IN),
///                 PollFd::from_borrowed_fd(stopper.as_fd(), PollFlags::IN),
///             ];
///             poll(&mut fds, None)?;
///         }
///         Received::Ended => break,
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl AsFd for Subscription {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.session.socket().as_fd()
    }
}

/// Iterates over owned items: `for item in subscription.iter()`. See [`Subscription::iter`].
#[derive(Debug)]
#[must_use = "iterators are lazy"]
pub struct Iter<'a> {
    subscription: &'a mut Subscription,
}

impl Iterator for Iter<'_> {
    type Item = Result<OwnedItem, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.subscription
            .recv()
            .map(|item| item.map(|item| item.to_owned()))
            .transpose()
    }
}
