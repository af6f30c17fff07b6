//! A subscription: events in the order of arrival, losses between them, and
//! counters that must agree at the end.

use std::{
    os::fd::{AsFd, BorrowedFd},
    time::Instant,
};

use icmptap_proto::{
    event::{Event, EventRef},
    reply::{Info, Parameters},
    sequence::Lost,
};

use crate::{
    Builder, Error, Events, Received, Stopper, Summary,
    core::Step,
    session::{Session, is_end},
};

/// What a subscription hands out, borrowed from its buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// A packet.
    Event(EventRef<'a>),
    /// Packets that did not make it, at the place where they are missing.
    Lost(Lost),
}

/// What a subscription hands out, for keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnedItem {
    /// A packet.
    Event(Event),
    /// Packets that did not make it, at the place where they are missing.
    Lost(Lost),
}

impl Item<'_> {
    /// Copies the packet, so that the item can be kept.
    #[must_use]
    pub fn to_owned(&self) -> OwnedItem {
        match self {
            Self::Event(event) => OwnedItem::Event(event.to_owned()),
            Self::Lost(lost) => OwnedItem::Lost(*lost),
        }
    }
}

/// What a subscription hands out at once.
#[derive(Debug)]
pub enum Items<'a> {
    /// At least one packet.
    Events(Events<'a>),
    /// Packets that did not make it, at the place where they are missing.
    Lost(Lost),
}

/// Receives ICMP messages from the kernel, from [`Builder::subscribe`] on.
///
/// It ends by [`stop`](Self::stop) or a [`Stopper`]; what was delivered before
/// is still handed out. [`finish`](Self::finish) gives the counters. Dropping
/// it ends it too.
#[derive(Debug)]
#[must_use = "a subscription ends when it is dropped"]
pub struct Subscription {
    session: Session,
}

impl Subscription {
    /// Sets what to subscribe to.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn new(session: Session) -> Self {
        Self { session }
    }

    /// The parameters in force.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        self.session.parameters()
    }

    /// What the module is and can do.
    #[must_use]
    pub fn module(&self) -> &Info {
        self.session.module()
    }

    /// Bytes of the receive buffer in force (`SO_RCVBUF`).
    #[must_use]
    pub fn receive_buffer(&self) -> usize {
        self.session.receive_buffer()
    }

    /// Ends this subscription from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.session.stopper().clone()
    }

    /// Waits for the next item. `None`: it was stopped and everything was
    /// handed out.
    ///
    /// # Errors
    /// What was received is damaged or cut, or the end was refused. After
    /// [`Error::Decode`] and [`Error::Truncated`] the next call goes on.
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

    /// Waits for what comes next, and lends all events that the kernel sent with
    /// it: the cheapest way to many of them. `None`: as [`recv`](Self::recv).
    ///
    /// ```no_run
    /// # use icmptap::{Items, Subscription};
    /// # let mut subscription = Subscription::builder().subscribe()?;
    /// while let Some(items) = subscription.recv_many()? {
    ///     match items {
    ///         Items::Events(events) => {
    ///             for event in events {
    ///                 println!("{:?} > {:?}", event.src(), event.dst());
    ///             }
    ///         }
    ///         Items::Lost(lost) => println!("{} lost on cpu {}", lost.count, lost.cpu),
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

    /// Waits for the next item until then. A deadline that has passed does not
    /// wait, and gives what is there.
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

    /// As [`recv_many`](Self::recv_many), with a deadline as
    /// [`recv_before`](Self::recv_before) has one.
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

    /// Items for keeps, until it is stopped. After an error it goes on if
    /// [`recv`](Self::recv) would.
    pub fn iter(&mut self) -> Iter<'_> {
        Iter { subscription: self }
    }

    /// Makes the kernel send what is batched. It comes with the next items.
    ///
    /// # Errors
    /// If the kernel refuses, or its answer finds no room.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.session.flush()
    }

    /// Stops: no packet that arrives from now on is matched. What was matched
    /// before is still handed out, then it ends. Does nothing the second time.
    ///
    /// # Errors
    /// If the kernel cannot be told.
    pub fn stop(&mut self) -> Result<(), Error> {
        self.session.stop()
    }

    /// Stops if it still runs, takes what is left without handing it out (it
    /// counts as received), and gives the counters of both sides.
    ///
    /// What is damaged or cut is passed over, and counted as
    /// [`damaged`](Summary::damaged).
    ///
    /// # Errors
    /// If the kernel cannot be told, or refuses.
    pub fn finish(mut self) -> Result<Summary, Error> {
        self.stop()?;
        while !is_end(self.recv())? {}
        self.session.summary()
    }
}

/// The socket: readable when the kernel has sent something. Items that were
/// received before are not seen by `poll`: wait only after
/// [`recv_before`](Subscription::recv_before) with a deadline that has passed gave
/// [`Received::TimedOut`]. Reading from it directly takes events away.
impl AsFd for Subscription {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.session.socket().as_fd()
    }
}

/// See [`Subscription::iter`].
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
