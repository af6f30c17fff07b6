//! Stopping a subscription from another thread.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::event::{EventfdFlags, eventfd};

use crate::Error;

/// Stops a subscription from another thread. The subscription returns the items that
/// were delivered before, and then ends.
///
/// ```no_run
/// # let mut subscription = icmptap::Subscription::builder().subscribe()?;
/// use std::{thread, time::Duration};
///
/// let stopper = subscription.stopper();
/// thread::spawn(move || {
///     thread::sleep(Duration::from_secs(10));
///     stopper.stop();
/// });
/// while let Some(item) = subscription.recv()? {
///     println!("{item:?}");
/// }
/// # Ok::<(), icmptap::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Stopper {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Wakes a wait.
    fd: OwnedFd,
    /// Seen where there is no wait because events keep coming.
    stopped: AtomicBool,
}

impl Stopper {
    pub(crate) fn new() -> Result<Self, Error> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(Error::io("make an eventfd"))?;
        Ok(Self {
            shared: Arc::new(Shared {
                fd,
                stopped: AtomicBool::new(false),
            }),
        })
    }

    /// Stops the subscription. Does nothing the second time. May be called in a signal
    /// handler.
    pub fn stop(&self) {
        self.shared.stopped.store(true, Ordering::Release);
        // Fails only when the counter is full: then it wakes as well.
        let _ = rustix::io::write(&self.shared.fd, &1u64.to_ne_bytes());
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.shared.stopped.load(Ordering::Acquire)
    }
}

/// For `poll`: readable once it has stopped the subscription. Do not read from it.
impl AsFd for Stopper {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    #[test]
    fn it_is_readable_once_it_has_stopped() {
        let stopper = Stopper::new().unwrap();
        let is_readable = || {
            let mut fds = [PollFd::from_borrowed_fd(stopper.as_fd(), PollFlags::IN)];
            poll(&mut fds, Some(&Timespec::default())).unwrap() == 1
        };
        assert!(!is_readable());
        stopper.stop();
        assert!(is_readable());
        assert!(stopper.is_stopped());
    }
}
