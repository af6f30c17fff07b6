//! The subscription for tokio, which differs from the blocking one in how it waits.

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
/// The asynchronous form of [`Subscription`](crate::Subscription), for tasks of tokio.
/// [`recv`](Self::recv) returns borrowed items. As a [`futures_core::Stream`] it yields owned
/// ones: `next` needs `StreamExt` of the crate `futures_util` or `tokio_stream`. For a
/// deadline use `tokio::time::timeout`, since `recv` is cancel safe.
/// [`stop`](Self::stop) or a [`Stopper`] ends it; events that were delivered before
/// can still be received. [`finish`](Self::finish) ends it and returns the counters
/// of both sides. Dropping it ends it as well.
///
/// ```no_run
/// use icmptap::{Item, Subscription};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut subscription = Subscription::builder().subscribe_async()?;
/// let stopper = subscription.stopper();
/// tokio::spawn(async move {
///     if tokio::signal::ctrl_c().await.is_ok() {
///         stopper.stop();
///     }
/// });
/// while let Some(item) = subscription.recv().await? {
///     match item {
///         Item::Event(event) => println!("{event}"),
///         Item::Lost(lost) => println!("{lost}"),
///     }
/// }
/// subscription.finish().await?.audit()?;
/// # Ok(())
/// # }
/// ```
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
        let stopped = watch(session.stopper())?;
        Ok(Self {
            session,
            socket,
            stopped,
        })
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

    /// Bytes of the receive buffer in force (`SO_RCVBUF`).
    #[must_use]
    pub fn receive_buffer(&self) -> usize {
        self.session.receive_buffer()
    }

    /// Returns a handle that stops this subscription from another task or thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.session.stopper().clone()
    }

    /// Waits for the next item. Returns `None` once the subscription was stopped and
    /// all items have been returned. Cancel safe: no item is lost if the future is
    /// dropped.
    ///
    /// # Errors
    /// A message from the kernel is damaged or was truncated, a system call failed, or
    /// the kernel refused to end the subscription. After a
    /// [recoverable](Error::is_recoverable) error, call again for the next item.
    pub async fn recv(&mut self) -> Result<Option<Item<'_>>, Error> {
        let step = poll_fn(|cx| self.poll_step(cx)).await?;
        Ok(self.session.item(step))
    }

    /// Waits for the next batch, and returns its events as an iterator, or a loss. This
    /// costs less per event than [`recv`](Self::recv). Events that are not taken from
    /// the iterator are returned by the next call. Returns `None` as `recv` does, and is
    /// cancel safe.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub async fn recv_many(&mut self) -> Result<Option<Items<'_>>, Error> {
        let step = poll_fn(|cx| self.poll_step(cx)).await?;
        Ok(self.session.items(step))
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

/// Yields owned items until the subscription is stopped.
/// [Recoverable](Error::is_recoverable) errors are yielded, and the stream continues.
impl Stream for AsyncSubscription {
    type Item = Result<OwnedItem, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let item =
            ready!(this.poll_step(cx)).map(|step| this.session.item(step).map(|i| i.to_owned()));
        Poll::Ready(item.transpose())
    }
}

/// The socket: see [`Subscription`](crate::Subscription#impl-AsFd-for-Subscription).
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
