//! A netlink socket that talks to the kernel and to nobody else.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Instant,
};

use icmptap_proto::PortId;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{
        AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, getsockname,
        netlink::SocketAddrNetlink, recvfrom, sendto, socket_with, sockopt,
    },
};

use crate::{Error, stop::Stopper, sys};

/// The receive buffer's size unless told otherwise, in bytes.
pub(crate) const RECEIVE_BUFFER: usize = 4 << 20;

/// The kernel's port id.
const KERNEL: u32 = 0;

/// A buffer, and how much of it the last message fills.
#[derive(Debug)]
pub(crate) struct Datagram {
    buffer: Vec<u8>,
    len: usize,
}

impl Datagram {
    pub(crate) fn with_room(bytes: usize) -> Self {
        Self {
            buffer: vec![0; bytes],
            len: 0,
        }
    }

    pub(crate) fn make_room(&mut self, bytes: usize) {
        if self.buffer.len() < bytes {
            self.buffer.resize(bytes, 0);
        }
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.len]
    }

    pub(crate) fn copy_from(&mut self, bytes: &[u8]) {
        self.make_room(bytes.len());
        self.buffer[..bytes.len()].copy_from_slice(bytes);
        self.len = bytes.len();
    }
}

/// Non-blocking: [`Socket::wait`] is where time passes.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
}

impl Socket {
    pub(crate) fn open(protocol: Protocol) -> Result<Self, Error> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            flags,
            Some(protocol),
        )
        .map_err(|errno| match errno {
            Errno::PROTONOSUPPORT => Error::ModuleNotLoaded,
            errno => Error::io("open a netlink socket")(errno),
        })?;
        for option in [
            // Why a request is refused, in words; without sending it back.
            libc::NETLINK_EXT_ACK,
            libc::NETLINK_CAP_ACK,
            // Loss shows in the sequence numbers. Without this, one overrun
            // makes the kernel refuse everything until the buffer is empty.
            libc::NETLINK_NO_ENOBUFS,
        ] {
            sys::enable(fd.as_fd(), option).map_err(|source| Error::Io {
                tried: "set a netlink socket's options",
                source,
            })?;
        }
        Ok(Self { fd })
    }

    /// Asks for a receive buffer of `bytes`, as the kernel counts them
    /// (overhead included). Gives what is in force.
    pub(crate) fn set_receive_buffer(&self, bytes: usize) -> Result<usize, Error> {
        // The kernel doubles what it is told, to allow for overhead.
        let half = bytes / 2;
        if sockopt::set_socket_recv_buffer_size_force(&self.fd, half).is_err() {
            sockopt::set_socket_recv_buffer_size(&self.fd, half)
                .map_err(Error::io("set the receive buffer's size"))?;
        }
        self.receive_buffer()
    }

    /// Its address in its network namespace.
    pub(crate) fn port(&self) -> Result<PortId, Error> {
        getsockname(&self.fd)
            .and_then(SocketAddrNetlink::try_from)
            .map(|address| PortId(address.pid()))
            .map_err(Error::io("read a netlink socket's address"))
    }

    /// Bytes of the receive buffer in force.
    pub(crate) fn receive_buffer(&self) -> Result<usize, Error> {
        sockopt::socket_recv_buffer_size(&self.fd)
            .map_err(Error::io("read the receive buffer's size"))
    }

    pub(crate) fn send(&self, message: &[u8]) -> Result<(), Error> {
        sendto(
            &self.fd,
            message,
            SendFlags::empty(),
            &SocketAddrNetlink::new(KERNEL, 0),
        )
        .map(drop)
        .map_err(|errno| match errno {
            // The protocol's kernel side has gone.
            Errno::CONNREFUSED => Error::ModuleNotLoaded,
            errno => Error::io("send to the kernel")(errno),
        })
    }

    /// Receives the next message from the kernel, if there is one; others are
    /// thrown away.
    pub(crate) fn receive(&self, into: &mut Datagram) -> Result<bool, Error> {
        into.len = 0;
        loop {
            let had = into.buffer.len();
            // TRUNC: gives the message's whole length, even if it is cut.
            let (need, from) = match recvfrom(&self.fd, &mut into.buffer, RecvFlags::TRUNC) {
                Ok((_, need, from)) => (need, from),
                Err(Errno::AGAIN) => return Ok(false),
                // Only reports a loss, which is counted elsewhere.
                Err(Errno::INTR | Errno::NOBUFS) => continue,
                Err(errno) => return Err(Error::io("receive from the kernel")(errno)),
            };
            let from = from.and_then(|address| SocketAddrNetlink::try_from(address).ok());
            if from.is_none_or(|address| address.pid() != KERNEL) {
                continue;
            }
            if need > had {
                into.make_room(need);
                return Err(Error::Truncated { need, had });
            }
            into.len = need;
            return Ok(true);
        }
    }

    /// Waits until there is something to receive, the stopper was used, or the
    /// deadline has passed: then it gives `false`. May wake for no reason.
    pub(crate) fn wait(
        &self,
        stopper: Option<&Stopper>,
        deadline: Option<Instant>,
    ) -> Result<bool, Error> {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.map(|left| {
            // A wait too long for the kernel's type is as good as none.
            Timespec::try_from(left).unwrap_or(Timespec {
                tv_sec: i64::MAX,
                tv_nsec: 0,
            })
        });
        let mut fds = vec![PollFd::new(&self.fd, PollFlags::IN)];
        fds.extend(stopper.map(|stopper| PollFd::from_borrowed_fd(stopper.as_fd(), PollFlags::IN)));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(0) => Ok(false),
            Ok(_) | Err(Errno::INTR) => Ok(true),
            Err(errno) => Err(Error::io("wait for the kernel")(errno)),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use icmptap_proto::request;
    use rustix::net::{bind, getsockname, netlink};

    use super::*;

    #[test]
    fn a_message_longer_than_the_buffer_is_an_error_and_the_next_one_fits() {
        let socket = Socket::open(netlink::GENERIC).unwrap();
        let mut datagram = Datagram::with_room(20);
        socket.send(&request::get_family(1)).unwrap();
        let error = socket.receive(&mut datagram).unwrap_err();
        let Error::Truncated { need, had: 20 } = error else {
            panic!("{error}")
        };
        assert!(datagram.bytes().is_empty());
        socket.send(&request::get_family(2)).unwrap();
        assert!(socket.receive(&mut datagram).unwrap());
        assert_eq!(datagram.bytes().len(), need);
        assert!(!socket.receive(&mut datagram).unwrap(), "nothing more");
    }

    #[test]
    fn only_the_kernel_is_listened_to() {
        let socket = Socket::open(netlink::USERSOCK).unwrap();
        bind(&socket.fd, &SocketAddrNetlink::new(0, 0)).unwrap();
        let address = SocketAddrNetlink::try_from(getsockname(&socket.fd).unwrap()).unwrap();
        let other = Socket::open(netlink::USERSOCK).unwrap();
        sendto(
            &other.fd,
            &request::get_family(1),
            SendFlags::empty(),
            &address,
        )
        .unwrap();
        assert!(
            socket.wait(None, Some(Instant::now())).unwrap(),
            "it did arrive"
        );
        assert!(!socket.receive(&mut Datagram::with_room(100)).unwrap());
    }

    #[test]
    fn the_receive_buffer_is_as_large_as_asked_for() {
        let socket = Socket::open(netlink::GENERIC).unwrap();
        assert_eq!(socket.set_receive_buffer(64 << 10).unwrap(), 64 << 10);
    }

    #[test]
    fn a_wait_ends_at_its_deadline_or_by_a_stopper() {
        let socket = Socket::open(netlink::GENERIC).unwrap();
        let soon = Some(Instant::now() + Duration::from_millis(20));
        assert!(!socket.wait(None, soon).unwrap());
        let stopper = Stopper::new().unwrap();
        let other = stopper.clone();
        let thread = thread::spawn(move || other.stop());
        assert!(socket.wait(Some(&stopper), None).unwrap());
        thread.join().unwrap();
        assert!(stopper.is_stopped());
    }
}
