//! What no crate does safely: netlink's socket options, a link-layer address, a
//! namespace for one thread, and for a program, and KCOV.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_ulong};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{io, slice};

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};
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
pub fn link_address(index: u32, ethertype: u16) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: ethertype.to_be(),
        sll_ifindex: index as i32,
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
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }
}

/// Has a program start in this network namespace.
pub(crate) fn start_in(command: &mut Command, namespace: OwnedFd) {
    let enter = move || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(io::Error::from)
    };
    // SAFETY: between fork and exec, `enter` makes one system call; it neither
    // allocates nor takes a lock.
    unsafe { command.pre_exec(enter) };
}

/// KCOV of the thread that made it, which notes each point of instrumented code
/// that it passes. (Not `Send`: the kernel looks at the thread.)
pub(crate) struct Kcov {
    file: File,
    /// How many points are noted, and then those.
    words: NonNull<AtomicU64>,
}

impl Kcov {
    /// Points until [`take`](Self::take); further ones are passed over.
    const POINTS: usize = 1 << 16;

    // linux/kcov.h: _IOR('c', 1, unsigned long), _IO('c', 100), _IO('c', 101).
    const INIT_TRACE: c_ulong = 0x8008_6301;
    const ENABLE: c_ulong = 0x6364;
    const DISABLE: c_ulong = 0x6365;
    const TRACE_PC: c_ulong = 0;

    /// Starts to note the calling thread's points in `file`, an open
    /// `/sys/kernel/debug/kcov`.
    pub(crate) fn start(file: File) -> Self {
        let kcov = Self {
            words: Self::map(&file),
            file,
        };
        kcov.ioctl(Self::ENABLE, Self::TRACE_PC);
        kcov
    }

    fn map(file: &File) -> NonNull<AtomicU64> {
        // SAFETY: takes a number, and touches none of our memory.
        let result =
            unsafe { libc::ioctl(file.as_raw_fd(), Self::INIT_TRACE, Self::POINTS as c_ulong) };
        assert_eq!(result, 0, "KCOV: {}", io::Error::last_os_error());
        // SAFETY: a new mapping, wherever the kernel likes.
        let address = unsafe {
            libc::mmap(
                ptr::null_mut(),
                Self::POINTS * size_of::<u64>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        let failed = address == libc::MAP_FAILED;
        assert!(!failed, "mmap KCOV: {}", io::Error::last_os_error());
        NonNull::new(address.cast()).expect("not at 0")
    }

    fn ioctl(&self, request: c_ulong, argument: c_ulong) {
        // SAFETY: takes a number, and touches none of our memory.
        let result = unsafe { libc::ioctl(self.file.as_raw_fd(), request, argument) };
        assert_eq!(result, 0, "KCOV: {}", io::Error::last_os_error());
    }

    /// Hands out the points passed since the last time.
    pub(crate) fn take(&self, mut see: impl FnMut(u64)) {
        // SAFETY: so many were mapped in `map`, until `drop`; whoever else writes
        // there is the kernel, on behalf of this thread, and not now.
        let words = unsafe { slice::from_raw_parts(self.words.as_ptr(), Self::POINTS) };
        let count = words[0].swap(0, Ordering::Relaxed) as usize;
        for word in &words[1..=count] {
            see(word.load(Ordering::Relaxed));
        }
    }
}

impl Drop for Kcov {
    fn drop(&mut self) {
        self.ioctl(Self::DISABLE, 0);
        let length = Self::POINTS * size_of::<u64>();
        // SAFETY: mapped in `map`, and nobody borrows it any more.
        unsafe { libc::munmap(self.words.as_ptr().cast(), length) };
    }
}
