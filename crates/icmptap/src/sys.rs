//! What our crates for system calls leave to the caller.
#![allow(unsafe_code)]

#[cfg(feature = "tokio")]
use std::os::fd::OwnedFd;
use std::{
    ffi::c_int,
    io,
    mem::size_of_val,
    os::fd::{AsRawFd, BorrowedFd},
};

#[cfg(feature = "tokio")]
use tokio::io::{Interest, unix::AsyncFd};

/// Sets a boolean option of level `SOL_NETLINK` (`netlink(7)`).
pub(crate) fn enable(socket: BorrowedFd<'_>, option: c_int) -> io::Result<()> {
    let on: c_int = 1;
    // SAFETY: the pointer and the length are those of `on`, which the kernel
    // only reads, and which lives until the call returns.
    let rc = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_NETLINK,
            option,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    if rc == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Makes tokio watch for something to read.
///
/// # Panics
/// Outside a tokio runtime, or if that has no I/O.
#[cfg(feature = "tokio")]
pub(crate) fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is open, and as long as the result has it, it is
    // neither closed nor replaced by another one.
    let watched = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
    watched.map_err(Into::into)
}
