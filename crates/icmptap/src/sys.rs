//! The one system call that rustix does not have: netlink's socket options.
#![allow(unsafe_code)]

use std::{
    ffi::c_int,
    io,
    mem::size_of_val,
    os::fd::{AsRawFd, BorrowedFd},
};

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
