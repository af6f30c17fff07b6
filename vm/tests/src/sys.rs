//! The three things that no crate does safely: netlink's socket options, a
//! link-layer address, and a namespace for one thread.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use socket2::{SockAddr, SockAddrStorage};

/// Sets a boolean option of level `SOL_NETLINK`.
pub(crate) fn enable_netlink(socket: BorrowedFd<'_>, option: c_int) {
    let on: c_int = 1;
    // SAFETY: the kernel reads an int from where one is.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_NETLINK,
            option,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    assert_eq!(result, 0, "setsockopt: {}", io::Error::last_os_error());
}

/// `struct sockaddr_ll`: an interface, and the EtherType to send and receive.
pub(crate) fn link_address(index: i32, ethertype: u16) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: ethertype.to_be(),
        sll_ifindex: index,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: the storage is large enough for any address, and this one is
    // plain old data, valid up to the length given.
    unsafe {
        *storage.view_as::<libc::sockaddr_ll>() = address;
        SockAddr::new(storage, size_of::<libc::sockaddr_ll>() as u32)
    }
}

/// Moves the thread, and no other, into a network namespace that is made for it.
pub(crate) fn new_network_namespace() -> rustix::io::Result<()> {
    // SAFETY: the file descriptors, of which this could be a danger to others,
    // stay shared.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }
}
