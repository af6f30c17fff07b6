//! A subscription: events in the order of arrival, losses between them, and
//! counters that must agree at the end.

use std::time::Instant;

use icmptap_proto::{
    BatchSize, Families, FlushInterval, Hooks, Snaplen,
    event::{Event, EventRef},
    reply::{Counters, Parameters},
    request::{self, Wishes},
    sequence::Lost,
};

use crate::{
    Client, Error, Operation, Stopper,
    core::{Empty, Step, Tally},
};

/// The receive buffer's size unless told otherwise, in bytes.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Bytes of an `EVENTS` message around one packet, padding included, with some
/// left for a newer kernel's longer headers.
const OVERHEAD: u32 = 256;

/// What to subscribe to. What is not set is the kernel's choice.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    wishes: Wishes,
    receive_buffer: Option<usize>,
}

impl Builder {
    /// Where to look; prerouting unless told otherwise.
    pub fn hooks(mut self, hooks: Hooks) -> Self {
        self.wishes.hooks = Some(hooks);
        self
    }

    /// What to look for; every family the module can tap unless told otherwise.
    pub fn families(mut self, families: Families) -> Self {
        self.wishes.families = Some(families);
        self
    }

    /// Packet bytes to keep; 576 unless told otherwise.
    pub fn snaplen(mut self, snaplen: Snaplen) -> Self {
        self.wishes.snaplen = Some(snaplen);
        self
    }

    /// Bytes of a full batch; 3,776 unless told otherwise.
    pub fn batch(mut self, batch: BatchSize) -> Self {
        self.wishes.batch = Some(batch);
        self
    }

    /// Longest wait in a batch; 1,000 µs unless told otherwise.
    pub fn flush_interval(mut self, interval: FlushInterval) -> Self {
        self.wishes.flush_interval = Some(interval);
        self
    }

    /// Bytes of the socket's receive buffer, as the kernel counts them; 4 MiB
    /// unless told otherwise. [`Subscription::receive_buffer`] says what came
    /// of it.
    pub fn receive_buffer(mut self, bytes: usize) -> Self {
        self.receive_buffer = Some(bytes);
        self
    }

    /// Subscribes.
    ///
    /// # Errors
    /// [`Error::ModuleNotLoaded`], [`Error::NotPermitted`] without
    /// CAP_NET_ADMIN, [`Error::Refused`] for a value the module does not take.
    pub fn subscribe(&self) -> Result<Subscription, Error> {
        let mut client = Client::open()?;
        let receive_buffer = client
            .socket
            .set_receive_buffer(self.receive_buffer.unwrap_or(RECEIVE_BUFFER))?;
        client.make_room(room(self.wishes.batch, self.wishes.snaplen));
        let parameters = client.ask(
            Operation::Subscribe,
            |family, seq| request::subscribe(family, seq, &self.wishes),
            Parameters::decode,
        )?;
        client.make_room(room(Some(parameters.batch), Some(parameters.snaplen)));
        Ok(Subscription {
            client,
            parameters,
            receive_buffer,
            stopper: Stopper::new()?,
        })
    }
}

/// The largest message to expect: a full batch, or one packet if that is more.
fn room(batch: Option<BatchSize>, snaplen: Option<Snaplen>) -> usize {
    let batch = batch.map_or(0, |batch| batch.0);
    let alone = snaplen.map_or(0, |snaplen| snaplen.0.saturating_add(OVERHEAD));
    batch.max(alone) as usize
}

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
    pub fn to_owned(&self) -> OwnedItem {
        match self {
            Self::Event(event) => OwnedItem::Event(event.to_owned()),
            Self::Lost(lost) => OwnedItem::Lost(*lost),
        }
    }
}

/// What a wait with a deadline ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received<'a> {
    /// Something.
    Item(Item<'a>),
    /// Nothing, and the deadline has passed.
    Nothing,
    /// The subscription has ended and everything was handed out.
    Ended,
}

/// Receives ICMP messages from the kernel, from [`Builder::subscribe`] on.
///
/// It ends by [`stop`](Self::stop) or a [`Stopper`]; what was delivered before
/// is still handed out. [`finish`](Self::finish) gives the counters. Dropping
/// it ends it too.
#[derive(Debug)]
pub struct Subscription {
    client: Client,
    parameters: Parameters,
    receive_buffer: usize,
    stopper: Stopper,
}

impl Subscription {
    /// Sets what to subscribe to.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The parameters in force.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Bytes of the receive buffer in force (`SO_RCVBUF`).
    pub fn receive_buffer(&self) -> usize {
        self.receive_buffer
    }

    /// Ends this subscription from another thread.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Waits for the next item. `None`: it was stopped and everything was
    /// handed out.
    ///
    /// # Errors
    /// What was received is damaged or cut, or the end was refused. After
    /// [`Error::Decode`] and [`Error::Truncated`] the next call goes on.
    pub fn recv(&mut self) -> Result<Option<Item<'_>>, Error> {
        match self.receive(None)? {
            Received::Item(item) => Ok(Some(item)),
            Received::Nothing | Received::Ended => Ok(None),
        }
    }

    /// Waits for the next item until then. A deadline that has passed does not
    /// wait, and gives what is there.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn recv_before(&mut self, deadline: Instant) -> Result<Received<'_>, Error> {
        self.receive(Some(deadline))
    }

    fn receive(&mut self, deadline: Option<Instant>) -> Result<Received<'_>, Error> {
        loop {
            match self.client.core.advance()? {
                Step::Event(header, packet) => {
                    let event = EventRef::new(header, self.client.core.lend(packet));
                    return Ok(Received::Item(Item::Event(event)));
                }
                Step::Lost(lost) => return Ok(Received::Item(Item::Lost(lost))),
                Step::Ended => return Ok(Received::Ended),
                Step::Hungry => {}
            }
            if self.stopper.is_stopped() {
                self.stop()?;
            }
            let Client { socket, core, .. } = &mut self.client;
            if socket.receive(core.buffer())? {
                continue;
            }
            match core.on_empty()? {
                Empty::Send(again) => socket.send(&again)?,
                Empty::Wait => {
                    if !socket.wait(Some(&self.stopper), deadline)? {
                        return Ok(Received::Nothing);
                    }
                }
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
        if !self.client.core.is_running() {
            return Ok(());
        }
        self.client
            .exchange(Operation::Flush, request::flush, |_| Ok(()))
            .map(drop)
    }

    /// Stops: no packet that arrives from now on is matched. What was matched
    /// before is still handed out, then it ends. Does nothing the second time.
    ///
    /// # Errors
    /// If the kernel cannot be told.
    pub fn stop(&mut self) -> Result<(), Error> {
        match self.client.core.stop() {
            Some(request) => self.client.socket.send(&request),
            None => Ok(()),
        }
    }

    /// Stops if it still runs, takes what is left without handing it out (it
    /// counts as received), and gives the counters of both sides.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn finish(mut self) -> Result<Summary, Error> {
        self.stop()?;
        while self.recv()?.is_some() {}
        let counters = self.client.core.counters().ok_or(Error::NoReply {
            operation: Operation::Unsubscribe,
        })?;
        Ok(Summary::new(counters, self.client.core.tally()))
    }
}

/// See [`Subscription::iter`].
#[derive(Debug)]
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

/// The counters of both sides, at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// What the kernel counted.
    pub counters: Counters,
    /// Events that were received.
    pub received: u64,
    /// Events missing in the sequence numbers. What was lost after the last
    /// batch of a stream leaves no gap: see [`trailing_lost`](Self::trailing_lost).
    pub lost_in_gaps: u64,
    /// Batches whose sequence numbers contradict the kernel's count of losses.
    pub disagreements: u64,
}

impl Summary {
    fn new(counters: Counters, tally: Tally) -> Self {
        let Tally {
            received,
            lost_in_gaps,
            disagreements,
        } = tally;
        Self {
            counters,
            received,
            lost_in_gaps,
            disagreements,
        }
    }

    /// Events lost after the last batch of their stream.
    pub fn trailing_lost(&self) -> u64 {
        self.counters.lost().saturating_sub(self.lost_in_gaps)
    }

    /// Whether both sides agree, to the last event.
    ///
    /// # Errors
    /// The first thing that does not agree.
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

/// Counters that do not agree: a defect, here or in the kernel module.
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
