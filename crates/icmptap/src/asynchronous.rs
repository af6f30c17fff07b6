//! A subscription for tokio: the blocking one with another wait.

use std::{
    future::poll_fn,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use icmptap_proto::reply::{Info, Parameters};
use tokio::{io::unix::AsyncFd, task::coop};

use crate::{
    Error, Item, Items, OwnedItem, Stopper, Summary,
    core::Step,
    session::{Session, is_end},
    sys,
};

/// Receives ICMP messages from the kernel, from
/// [`Builder::subscribe_async`](crate::Builder::subscribe_async) on.
///
/// It is a [`Subscription`](crate::Subscription) that waits as a task of tokio
/// does: [`recv`](Self::recv) lends items, the [`Stream`] gives them for keeps.
/// It ends by [`stop`](Self::stop) or a [`Stopper`]; what was delivered before
/// is still handed out. [`finish`](Self::finish) gives the counters. Dropping
/// it ends it too.
#[derive(Debug)]
#[must_use = "a subscription ends when it is dropped"]
pub struct AsyncSubscription {
    session: Session,
    /// Copies of the descriptors of the session's socket and of its stopper.
    socket: AsyncFd<OwnedFd>,
    stopped: AsyncFd<OwnedFd>,
}

impl AsyncSubscription {
    pub(crate) fn new(session: Session) -> Result<Self, Error> {
        let socket = watch(session.socket())?;
        let stopped = watch(&session.stopper().fd())?;
        Ok(Self {
            session,
            socket,
            stopped,
        })
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

    /// Ends this subscription from elsewhere.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.session.stopper().clone()
    }

    /// Waits for the next item. `None`: it was stopped and everything was
    /// handed out. Nothing is lost if the wait is given up.
    ///
    /// # Errors
    /// What was received is damaged or cut, or the end was refused. After
    /// [`Error::Decode`] and [`Error::Truncated`] the next call goes on.
    pub async fn recv(&mut self) -> Result<Option<Item<'_>>, Error> {
        let step = poll_fn(|cx| self.poll_step(cx)).await?;
        Ok(self.session.item(step))
    }

    /// Waits for what comes next, and lends all events that the kernel sent with
    /// it: the cheapest way to many of them. `None`: as [`recv`](Self::recv).
    /// Nothing is lost if the wait is given up.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub async fn recv_many(&mut self) -> Result<Option<Items<'_>>, Error> {
        let step = poll_fn(|cx| self.poll_step(cx)).await?;
        Ok(self.session.items(step))
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
    pub async fn finish(mut self) -> Result<Summary, Error> {
        self.stop()?;
        while !is_end(self.recv().await)? {}
        self.session.summary()
    }

    /// Never [`Step::NeedsData`].
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<Step, Error>> {
        // In a flood it would never wait, and nobody else would run.
        let turn = ready!(coop::poll_proceed(cx));
        loop {
            match self.session.next() {
                Ok(Step::NeedsData) => {}
                result => {
                    turn.made_progress();
                    return Poll::Ready(result);
                }
            }
            // What is ready from before is forgotten, and looked at once more.
            let socket = clear(&self.socket, cx)?;
            let stopped = clear(&self.stopped, cx)?;
            if !socket && !stopped {
                return Poll::Pending;
            }
        }
    }
}

/// Items for keeps, until it is stopped. After an error it goes on if
/// [`recv`](AsyncSubscription::recv) would.
impl Stream for AsyncSubscription {
    type Item = Result<OwnedItem, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let item =
            ready!(this.poll_step(cx)).map(|step| this.session.item(step).map(|i| i.to_owned()));
        Poll::Ready(item.transpose())
    }
}

/// The socket, as of [`Subscription`](crate::Subscription).
impl AsFd for AsyncSubscription {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.session.socket().as_fd()
    }
}

fn watch(fd: &impl AsFd) -> Result<AsyncFd<OwnedFd>, Error> {
    let copy = fd.as_fd().try_clone_to_owned();
    copy.and_then(sys::watch).map_err(|source| Error::Io {
        tried: "watch a socket with tokio",
        source,
    })
}

/// Whether it was marked as ready; now it is not. If it was not, the task is
/// woken once it is.
fn clear(fd: &AsyncFd<OwnedFd>, cx: &mut Context<'_>) -> Result<bool, Error> {
    match fd.poll_read_ready(cx) {
        Poll::Ready(Ok(mut guard)) => {
            guard.clear_ready();
            Ok(true)
        }
        Poll::Ready(Err(source)) => Err(Error::Io {
            tried: "wait for the kernel",
            source,
        }),
        Poll::Pending => Ok(false),
    }
}
