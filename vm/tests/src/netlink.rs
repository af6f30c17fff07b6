//! A netlink socket that sends whatever a test wants, right or wrong.

use std::iter::{once_with, repeat_with};
use std::num::NonZero;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::{Errno, Result};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, bind, getsockname,
    recv, send, sendto, socket_with,
};

use socket2::{SockFilter, SockRef};

use crate::sys::enable_netlink;

/// How long an answer may take that is expected not to come.
const NEVER: Duration = Duration::from_millis(300);

/// A socket, bound to a port that the kernel chose.
pub struct Socket(OwnedFd);

impl Socket {
    /// Opens one in the thread's network namespace. `protocol` is a
    /// `NETLINK_*` number.
    pub fn open(protocol: u32) -> Self {
        Self::open_at(protocol, 0).expect("bind")
    }

    /// The same with this port id, which may be somebody's
    /// ([`Errno::ADDRINUSE`]).
    pub fn open_at(protocol: u32, port: u32) -> Result<Self> {
        let fd = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            // The kernel takes none for 0, `NETLINK_ROUTE`.
            NonZero::new(protocol).map(Protocol::from_raw),
        )
        .expect("socket");
        bind(&fd, &SocketAddrNetlink::new(port, 0))?;
        Ok(Self(fd))
    }

    /// Its port id.
    pub fn port(&self) -> u32 {
        let address = getsockname(&self.0).expect("getsockname");
        SocketAddrNetlink::try_from(address).expect("netlink").pid()
    }

    /// Has the kernel say why it refuses (`NETLINK_EXT_ACK`), and not repeat the
    /// request (`NETLINK_CAP_ACK`).
    pub fn hear_reasons(&self) {
        for option in [libc::NETLINK_EXT_ACK, libc::NETLINK_CAP_ACK] {
            enable_netlink(self.0.as_fd(), option);
        }
    }

    /// Has it go on when something found no room (`NETLINK_NO_ENOBUFS`).
    pub fn bear_losses(&self) {
        enable_netlink(self.0.as_fd(), libc::NETLINK_NO_ENOBUFS);
    }

    /// Sends a datagram to the kernel.
    pub fn send(&self, datagram: &[u8]) -> Result<usize> {
        sendto(
            &self.0,
            datagram,
            SendFlags::empty(),
            &SocketAddrNetlink::new(0, 0),
        )
    }

    /// The same without an address, which is the kernel's all the same: then it
    /// counts who opened the socket, too.
    pub fn send_unaddressed(&self, datagram: &[u8]) -> Result<usize> {
        send(&self.0, datagram, SendFlags::empty())
    }

    /// Gives it room for so many bytes of messages, as the kernel counts them,
    /// whatever the limit.
    pub fn set_receive_buffer(&self, bytes: usize) {
        set_socket_recv_buffer_size_force(&self.0, bytes).expect("SO_RCVBUFFORCE");
    }

    /// Has the kernel look long at each message, and then drop it: its receive buffer is
    /// never full, and each message is dear.
    pub fn drop_at_length(&self) {
        let instruction = |code, k| SockFilter::new(code as u16, 0, 0, k);
        // "Where does the payload begin?", of what has none.
        let offset = (libc::SKF_AD_OFF + libc::SKF_AD_PAY_OFFSET) as u32;
        let ask = || instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset);
        let drop = || instruction(libc::BPF_RET | libc::BPF_K, 0);
        let program: Vec<_> = repeat_with(ask)
            .take(4_000)
            .chain(once_with(drop))
            .collect();
        SockRef::from(&self.0)
            .attach_filter(&program)
            .expect("SO_ATTACH_FILTER, for which optmem_max has to be raised");
    }

    /// The next datagram that is here already, in `buffer`. [`Errno::NOBUFS`] says
    /// that some found no room.
    pub fn receive_now<'a>(&self, buffer: &'a mut [u8]) -> Result<Option<&'a [u8]>> {
        let flags = RecvFlags::TRUNC | RecvFlags::DONTWAIT;
        match recv(&self.0, &mut *buffer, flags) {
            Ok((_, length)) => Ok(Some(buffer.get(..length).expect("a truncated datagram"))),
            Err(Errno::AGAIN) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The next datagram, or `None` if none comes.
    pub fn receive(&self) -> Option<Vec<u8>> {
        Some(self.next()?.expect("recv"))
    }

    /// Takes all that is there, whatever was lost.
    pub fn drain(&self) {
        while let Some(next) = self.next() {
            assert!(next.is_ok() || next == Err(Errno::NOBUFS), "{next:?}");
        }
    }

    fn next(&self) -> Option<Result<Vec<u8>>> {
        let wait = Timespec::try_from(NEVER).expect("short");
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        if poll(&mut fds, Some(&wait)).expect("poll") == 0 {
            return None;
        }
        let mut buffer = vec![0; 128 * 1024];
        let received = recv(&self.0, &mut buffer[..], RecvFlags::TRUNC);
        Some(received.map(|(_, length)| {
            assert!(length <= buffer.len(), "truncated");
            buffer.truncate(length);
            buffer
        }))
    }

    /// The next datagram that is there, into memory that is there: allocates
    /// nothing. [`Errno::AGAIN`](rustix::io::Errno::AGAIN) if there is none.
    pub fn receive_into(&self, buffer: &mut [u8]) -> Result<usize> {
        let flags = RecvFlags::TRUNC | RecvFlags::DONTWAIT;
        let (_, length) = recv(&self.0, &mut *buffer, flags)?;
        assert!(length <= buffer.len(), "truncated");
        Ok(length)
    }
}

/// A netlink message without payload. `length` is what its header claims.
pub fn header(length: u32, kind: u16, flags: u16, port: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(1_u32.to_ne_bytes());
    bytes.extend(port.to_ne_bytes());
    bytes
}

/// What a datagram says that has to be an `NLMSG_ERROR`: 0 or a positive errno.
pub fn errno(datagram: &[u8]) -> i32 {
    let kind = u16::from_ne_bytes(datagram[4..6].try_into().expect("a header"));
    assert_eq!(u32::from(kind), icmptap_sys::NLMSG_ERROR, "{datagram:?}");
    -i32::from_ne_bytes(datagram[16..20].try_into().expect("an error"))
}
