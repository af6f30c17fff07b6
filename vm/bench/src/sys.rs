//! What no crate does safely: clocks of other processes, and a scheduling class.
#![allow(unsafe_code)]

use std::io;

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
