//! Ending a wait from elsewhere.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::event::{EventfdFlags, eventfd};

use crate::Error;

/// Ends a subscription from another thread: the subscription is stopped,
/// hands out what was delivered before, and ends.
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

    /// Stops. Does nothing the second time. May be called in a signal handler.
    pub fn stop(&self) {
        self.shared.stopped.store(true, Ordering::Release);
        // Fails only when the counter is full: then it wakes as well.
        let _ = rustix::io::write(&self.shared.fd, &1u64.to_ne_bytes());
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.shared.stopped.load(Ordering::Acquire)
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.shared.fd.as_fd()
    }
}
