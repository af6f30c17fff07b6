//! What no crate does safely: clocks of other processes, a scheduling class, and the
//! ring of a packet socket.
#![allow(unsafe_code)]

pub(crate) mod bpf;

use std::ffi::c_int;
use std::mem::offset_of;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{io, slice};

/// The clock of the CPU time that all threads of a process took (`CPUCLOCK_SCHED`
/// of `linux/posix-timers.h`; what `clock_getcpuclockid` gives).
pub(crate) fn cpu_clock_of(process: u32) -> libc::clockid_t {
    ((!process << 3) | 2).cast_signed()
}

/// Nanoseconds.
pub(crate) fn clock(clock: libc::clockid_t) -> io::Result<u64> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes a timespec to where one is.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// From now on this process runs only when no other wants to.
pub(crate) fn become_idle_class() -> io::Result<()> {
    let none = libc::sched_param { sched_priority: 0 };
    // SAFETY: the kernel reads a sched_param from where one is.
    if unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const none) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Sets an option of a socket, plain data.
pub(crate) fn set_option<T: Copy>(
    socket: BorrowedFd<'_>,
    level: c_int,
    option: c_int,
    value: &T,
) -> io::Result<()> {
    // SAFETY: the kernel reads so many bytes from where they are.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const *value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Of an `AF_PACKET` socket: what its ring had no room for since the last time.
pub(crate) fn take_drops(socket: BorrowedFd<'_>) -> io::Result<u32> {
    let mut stats = libc::tpacket_stats_v3 {
        tp_packets: 0,
        tp_drops: 0,
        tp_freeze_q_cnt: 0,
    };
    let mut length = size_of_val(&stats) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes, all of which are the struct's.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut stats).cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(stats.tp_drops)
}

/// The ring of a TPACKET_V3 socket, in our memory: blocks that are the kernel's until
/// it has filled them.
pub(crate) struct Ring {
    start: NonNull<u8>,
    block_size: usize,
    blocks: usize,
}

impl Ring {
    /// Maps the ring that the socket was given, which is of this size.
    pub(crate) fn map(
        socket: BorrowedFd<'_>,
        block_size: usize,
        blocks: usize,
    ) -> io::Result<Ring> {
        // SAFETY: a new mapping, wherever the kernel likes.
        let address = unsafe {
            libc::mmap(
                ptr::null_mut(),
                block_size * blocks,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                socket.as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Ring {
            start: NonNull::new(address.cast()).expect("not at 0"),
            block_size,
            blocks,
        })
    }

    fn status(&self, nth: usize) -> &AtomicU32 {
        const AT: usize = offset_of!(libc::tpacket_block_desc, hdr)
            + offset_of!(libc::tpacket_hdr_v1, block_status);
        assert!(nth < self.blocks);
        // SAFETY: within the mapping, aligned, as each block begins with its
        // descriptor; the kernel changes it, too, atomically.
        unsafe { AtomicU32::from_ptr(self.start.add(nth * self.block_size + AT).as_ptr().cast()) }
    }

    /// The bytes of a block, if it is ours.
    pub(crate) fn block(&self, nth: usize) -> Option<&[u8]> {
        if self.status(nth).load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return None;
        }
        // SAFETY: within the mapping; the kernel writes nothing there until it is
        // given back, for which `give_back` needs all borrows to have ended.
        let block = unsafe {
            let start = self.start.add(nth * self.block_size);
            slice::from_raw_parts(start.as_ptr(), self.block_size)
        };
        Some(block)
    }

    /// Lets the kernel fill a block again.
    pub(crate) fn give_back(&mut self, nth: usize) {
        self.status(nth)
            .store(libc::TP_STATUS_KERNEL, Ordering::Release);
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: mapped in `map`, and nobody borrows it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.block_size * self.blocks) };
    }
}
