//! The system call `bpf`, and the memory of a ring.

use std::ffi::{CStr, c_long, c_void};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::{io, slice};

/// A kind of program.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Kind {
    /// `BPF_PROG_TYPE_SCHED_CLS`
    Tc = 3,
    /// `BPF_PROG_TYPE_NETFILTER`
    Netfilter = 32,
}

/// `BPF_NETFILTER` of `enum bpf_attach_type`.
const ATTACH_NETFILTER: u32 = 45;

/// A map, of one number or a ring.
pub(crate) struct Map(OwnedFd);

impl Map {
    /// One number of 64 bits.
    pub(crate) fn number_map() -> io::Result<Map> {
        // BPF_MAP_TYPE_ARRAY: keys of 4 bytes.
        Map::create([2, 4, 8, 1])
    }

    /// A ring of so many bytes, a power of two.
    pub(crate) fn ring(bytes: u32) -> io::Result<Map> {
        // BPF_MAP_TYPE_RINGBUF
        Map::create([27, 0, 0, bytes])
    }

    fn create(attributes: [u32; 4]) -> io::Result<Map> {
        // BPF_MAP_CREATE
        call(0, &attributes).map(Map)
    }

    /// What a program calls it.
    pub(crate) fn number(&self) -> i32 {
        self.0.as_raw_fd()
    }

    /// Of a map of one number: that.
    pub(crate) fn value(&self) -> io::Result<u64> {
        #[repr(C)]
        struct Attributes {
            map: u32,
            key: u64,
            value: u64,
            flags: u64,
        }
        let (key, mut value) = (0u32, 0u64);
        let attributes = Attributes {
            map: self.number().cast_unsigned(),
            key: ptr::from_ref(&key).expose_provenance() as u64,
            value: ptr::from_mut(&mut value).expose_provenance() as u64,
            flags: 0,
        };
        // BPF_MAP_LOOKUP_ELEM
        raw_call(1, &attributes)?;
        Ok(value)
    }
}

impl AsFd for Map {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Has the kernel look at a program and take it. The error is what it says of it.
pub(crate) fn load(kind: Kind, instructions: &[u64]) -> io::Result<OwnedFd> {
    #[repr(C)]
    #[derive(Default)]
    struct Attributes {
        kind: u32,
        count: u32,
        instructions: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log: u64,
        kernel_version: u32,
        flags: u32,
        name: [u8; 16],
        ifindex: u32,
        attach: u32,
    }
    const LICENSE: &CStr = c"GPL";
    let mut log = vec![0u8; 1 << 18];
    let attributes = Attributes {
        kind: kind as u32,
        count: instructions.len() as u32,
        instructions: instructions.as_ptr().expose_provenance() as u64,
        license: LICENSE.as_ptr().expose_provenance() as u64,
        log_level: 1,
        log_size: log.len() as u32,
        log: log.as_mut_ptr().expose_provenance() as u64,
        name: *b"icmptap_bench\0\0\0",
        attach: match kind {
            Kind::Tc => 0,
            Kind::Netfilter => ATTACH_NETFILTER,
        },
        ..Attributes::default()
    };
    // BPF_PROG_LOAD
    call(5, &attributes).map_err(|error| {
        let end = log.iter().position(|byte| *byte == 0).unwrap_or(0);
        let log = String::from_utf8_lossy(&log[..end]);
        io::Error::new(error.kind(), format!("{error}\n{log}"))
    })
}

/// Calls a netfilter program for IPv4 packets that come into this network namespace,
/// until dropped.
pub(crate) fn link_prerouting(program: BorrowedFd<'_>, priority: i32) -> io::Result<OwnedFd> {
    let attributes = [
        program.as_raw_fd(),
        0,
        ATTACH_NETFILTER.cast_signed(),
        0,
        // NFPROTO_IPV4, NF_INET_PRE_ROUTING
        2,
        0,
        priority,
        0,
    ];
    // BPF_LINK_CREATE
    call(28, &attributes)
}

/// A command that gives a file descriptor.
fn call<T>(command: i32, attributes: &T) -> io::Result<OwnedFd> {
    let fd = raw_call(command, attributes)?;
    let fd = i32::try_from(fd).expect("a file descriptor");
    // SAFETY: it is new, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn raw_call<T>(command: i32, attributes: &T) -> io::Result<c_long> {
    // SAFETY: the kernel reads so many bytes from where they are; what they point to
    // outlives the call, and is written where it is a lookup's value or a log.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            ptr::from_ref(attributes).cast::<c_void>(),
            size_of::<T>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

/// A ring's memory (`kernel/bpf/ringbuf.c`): a page with our position, a page with
/// the kernel's, and the data, twice, so that no record is in two pieces.
pub(crate) struct Ring {
    consumer: NonNull<u8>,
    producer: NonNull<u8>,
    size: usize,
    page: usize,
    position: usize,
}

/// In front of each record.
const HEADER: usize = 8;
const BUSY: u32 = 1 << 31;
const DISCARD: u32 = 1 << 30;

impl Ring {
    /// Maps the ring, which is of this size.
    pub(crate) fn map(map: &Map, size: usize) -> io::Result<Ring> {
        // SAFETY: a question.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let one = |len, protection, at: usize| {
            // SAFETY: a new mapping, wherever the kernel likes.
            let address = unsafe {
                libc::mmap(
                    ptr::null_mut(),
                    len,
                    protection,
                    libc::MAP_SHARED,
                    map.number(),
                    at as libc::off_t,
                )
            };
            if address == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            Ok(NonNull::new(address.cast()).expect("not at 0"))
        };
        let consumer = one(page, libc::PROT_READ | libc::PROT_WRITE, 0)?;
        let producer = one(page + 2 * size, libc::PROT_READ, page)?;
        Ok(Ring {
            consumer,
            producer,
            size,
            page,
            position: 0,
        })
    }

    /// Gives all records that are there, and then their room back to the kernel.
    pub(crate) fn take(&mut self, mut each: impl FnMut(&[u8])) -> bool {
        // SAFETY: the mapping begins with the kernel's position, which it changes
        // atomically.
        let end = unsafe { AtomicUsize::from_ptr(self.producer.as_ptr().cast()) };
        let end = end.load(Ordering::Acquire);
        let start = self.position;
        while self.position < end {
            // SAFETY: within the data, aligned, as each record is to 8 bytes.
            let header = unsafe {
                let at = self.page + (self.position & (self.size - 1));
                self.producer.add(at)
            };
            // SAFETY: a record begins with its length, which the kernel changes
            // atomically.
            let length = unsafe { AtomicU32::from_ptr(header.as_ptr().cast()) };
            let length = length.load(Ordering::Acquire);
            if length & BUSY != 0 {
                break;
            }
            let bytes = (length & !DISCARD) as usize;
            if length & DISCARD == 0 {
                // SAFETY: the kernel wrote so many bytes behind the header, and
                // writes no more until it has the room back.
                each(unsafe { slice::from_raw_parts(header.add(HEADER).as_ptr(), bytes) });
            }
            self.position += (HEADER + bytes).next_multiple_of(8);
        }
        // SAFETY: this mapping begins with our position, which the kernel reads
        // atomically.
        let consumer = unsafe { AtomicUsize::from_ptr(self.consumer.as_ptr().cast()) };
        consumer.store(self.position, Ordering::Release);
        self.position > start
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: mapped in `map`, and nobody borrows it any more.
        unsafe {
            libc::munmap(self.consumer.as_ptr().cast(), self.page);
            libc::munmap(self.producer.as_ptr().cast(), self.page + 2 * self.size);
        }
    }
}
