//! The older protocol: only addresses, one message per packet, no counters.

use std::{
    collections::VecDeque,
    num::NonZeroU32,
    os::fd::{AsFd, BorrowedFd},
    time::Instant,
};

use icmptap_proto::{
    imp2::{self, Packet},
    nlmsg,
    reply::Status,
};
use rustix::{io::Errno, net::Protocol};

use crate::{
    Error, Operation, Received, Stopper,
    core::TRIES,
    exchange::Wire,
    socket::{Datagram, RECEIVE_BUFFER, Socket},
};

const NL_IMP2: Protocol = Protocol::from_raw(NonZeroU32::new(imp2::PROTOCOL).unwrap());
/// A message has 24 bytes; a refusal with its words somewhat more.
const ROOM: usize = 4096;

/// A client of the older protocol IMP2: the addresses of IPv4 ICMP packets, without
/// counters. Dropping it ends the registration.
///
/// ```no_run
/// use icmptap::Imp2;
///
/// let mut client = Imp2::register()?;
/// while let Some(packet) = client.recv()? {
///     println!("{} > {}", packet.src, packet.dst);
/// }
/// # Ok::<(), icmptap::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a registration ends when it is dropped"]
pub struct Imp2 {
    socket: Socket,
    buffer: Datagram,
    packets: VecDeque<Packet>,
    stopper: Stopper,
    seq: u32,
}

impl Imp2 {
    /// Registers with `IMP2_U_PID`, and waits for the kernel's answer.
    ///
    /// # Errors
    /// [`Error::Imp2NotLoaded`], [`Error::NotPermitted`] without CAP_NET_ADMIN.
    pub fn register() -> Result<Self, Error> {
        let mut client = Self {
            socket: Socket::open(NL_IMP2).map_err(Error::of_imp2)?,
            buffer: Datagram::with_room(ROOM),
            packets: VecDeque::new(),
            stopper: Stopper::new()?,
            seq: 0,
        };
        client.socket.set_receive_buffer(RECEIVE_BUFFER)?;
        client.exchange(Operation::Imp2Register, imp2::register)?;
        Ok(client)
    }

    /// Returns a handle that ends [`recv`](Self::recv) from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Waits for the next packet. Returns `None` once it was stopped.
    ///
    /// # Errors
    /// A message from the kernel is damaged, or a system call failed.
    pub fn recv(&mut self) -> Result<Option<Packet>, Error> {
        Ok(match self.receive(None)? {
            Received::Item(packet) => Some(packet),
            Received::TimedOut | Received::Ended => None,
        })
    }

    /// Waits for the next packet until `deadline`. If that has passed already, returns a
    /// packet that is there and does not wait.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn recv_before(&mut self, deadline: Instant) -> Result<Received<Packet>, Error> {
        self.receive(Some(deadline))
    }

    fn receive(&mut self, deadline: Option<Instant>) -> Result<Received<Packet>, Error> {
        loop {
            if let Some(packet) = self.packets.pop_front() {
                return Ok(Received::Item(packet));
            }
            if self.stopper.is_stopped() {
                return Ok(Received::Ended);
            }
            if self.socket.receive(&mut self.buffer)? {
                take(self.buffer.bytes(), 0, &mut self.packets)?;
            } else if !self.socket.wait(Some(&self.stopper), deadline)? {
                return Ok(Received::TimedOut);
            }
        }
    }

    /// Ends the registration with `IMP2_CLOSE`. Returns the packets that had arrived
    /// and were not returned yet.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn close(mut self) -> Result<Vec<Packet>, Error> {
        match self.exchange(Operation::Imp2Close, imp2::close) {
            // In a flood there may be no room for the answer. The end of the
            // socket, which comes now, ends the registration in any case.
            Ok(()) | Err(Error::NoReply { .. }) => Ok(self.packets.into()),
            Err(error) => Err(error),
        }
    }

    fn exchange(&mut self, operation: Operation, request: fn(u32) -> Vec<u8>) -> Result<(), Error> {
        let Self {
            socket,
            buffer,
            packets,
            seq,
            ..
        } = self;
        ask(socket, buffer, packets, seq, operation, request)
    }
}

/// The socket: see [`Subscription`](crate::Subscription#impl-AsFd-for-Subscription).
impl AsFd for Imp2 {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// As [`Exchange::ask`](crate::exchange::Exchange::ask).
fn ask(
    wire: &impl Wire,
    buffer: &mut Datagram,
    packets: &mut VecDeque<Packet>,
    seq: &mut u32,
    operation: Operation,
    request: fn(u32) -> Vec<u8>,
) -> Result<(), Error> {
    for nth in 1..=TRIES {
        *seq += 1;
        wire.send(&request(*seq)).map_err(Error::of_imp2)?;
        let mut there = wire.receive_buffer()?;
        while there > 0 && wire.receive(buffer)? {
            there = there.saturating_sub(buffer.bytes().len());
            match take(buffer.bytes(), *seq, packets)? {
                Some(Status::Ack) => return Ok(()),
                Some(Status::Refused(refusal)) => {
                    // It was done before, and only the answer was lost.
                    let again = nth > 1 && operation == Operation::Imp2Close;
                    if again && refusal.errno == Errno::NOENT.raw_os_error() {
                        return Ok(());
                    }
                    return Err(Error::refused(operation, refusal, &[]));
                }
                None => {}
            }
        }
    }
    Err(Error::no_reply(operation, TRIES))
}

/// Puts packets aside, and gives the answer to request `seq`.
fn take(
    datagram: &[u8],
    seq: u32,
    packets: &mut VecDeque<Packet>,
) -> Result<Option<Status>, Error> {
    let mut answer = None;
    for message in nlmsg::messages(datagram) {
        let message = message?;
        if imp2::is_packet(&message) {
            packets.push_back(Packet::decode(&message)?);
        } else if message.kind == nlmsg::ERROR && message.seq == seq {
            answer = Some(Status::decode(&message)?);
        }
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use icmptap_proto::testing;

    use super::*;
    use crate::exchange::tests::{Script, Turn};

    fn packet(src: [u8; 4]) -> Vec<u8> {
        let mut bytes = 24u32.to_ne_bytes().to_vec();
        bytes.extend(1u16.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(src);
        bytes.extend([10, 0, 0, 2]);
        bytes
    }

    /// The kernel's own answer, on a machine without the module.
    #[test]
    fn a_missing_module_is_said_to_be_missing() {
        if let Err(error @ (Error::ModuleNotLoaded | Error::Imp2NotLoaded)) = Imp2::register() {
            assert_eq!(
                error.to_string(),
                "module not loaded: sudo modprobe icmptap_imp2"
            );
        }
    }

    #[test]
    fn packets_that_come_before_the_answer_are_kept() {
        let mut packets = VecDeque::new();
        let mut datagram = packet([10, 0, 0, 1]);
        datagram.extend(testing::status(1, 0));
        assert_eq!(take(&packet([10, 0, 0, 9]), 1, &mut packets).unwrap(), None);
        assert_eq!(take(&datagram, 1, &mut packets).unwrap(), Some(Status::Ack));
        let sources: Vec<String> = packets
            .iter()
            .map(|packet| packet.src.to_string())
            .collect();
        assert_eq!(sources, ["10.0.0.9", "10.0.0.1"]);
    }

    #[test]
    fn what_is_not_answered_is_asked_again() {
        let nothing = || -> Turn { Box::new(|_| vec![packet([10, 0, 0, 1])]) };
        let status = |errno| -> Turn { Box::new(move |seq| vec![testing::status(seq, errno)]) };
        let run = |turns: Vec<Turn>, operation, request| {
            let mut packets = VecDeque::new();
            let buffer = &mut Datagram::with_room(ROOM);
            let script = Script::of(turns);
            let result = ask(&script, buffer, &mut packets, &mut 0, operation, request);
            (result, packets.len())
        };
        let register = |turns| run(turns, Operation::Imp2Register, imp2::register);
        let close = |turns| run(turns, Operation::Imp2Close, imp2::close);

        assert!(matches!(
            register(vec![nothing(), nothing(), status(0)]),
            (Ok(()), 2)
        ));
        assert!(matches!(
            register(vec![nothing(), status(1)]),
            (Err(Error::NotPermitted { .. }), 1)
        ));
        assert!(matches!(
            register(vec![]),
            (Err(Error::NoReply { tries: TRIES, .. }), 0)
        ));
        // Closed by the first, of which nothing was heard.
        assert!(matches!(close(vec![nothing(), status(2)]), (Ok(()), 1)));
        assert!(matches!(
            close(vec![status(2)]),
            (Err(Error::Refused { .. }), 0)
        ));
    }

    #[test]
    fn a_refusal_is_seen() {
        let answer = take(&testing::status(1, 1), 1, &mut VecDeque::new()).unwrap();
        assert!(matches!(answer, Some(Status::Refused(refusal)) if refusal.errno == 1));
    }
}
