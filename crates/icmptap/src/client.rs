//! Questions and answers on a generic netlink socket.

use icmptap_proto::{
    DecodeError, FamilyId,
    nlmsg::Generic,
    reply::{Family, Info},
    request,
};
use rustix::net::netlink;

use crate::{
    Error, Operation,
    core::{Answer, Core},
    socket::{Datagram, Socket},
};

/// Large enough for what a subscription gets by default.
const ROOM: usize = 32 * 1024;

/// A socket that has found the module.
#[derive(Debug)]
pub struct Client {
    pub(crate) socket: Socket,
    pub(crate) core: Core,
    /// For answers, so that events being handed out stay where they are.
    scratch: Datagram,
}

impl Client {
    /// Opens a socket and finds the module's family. Needs no privileges.
    ///
    /// # Errors
    /// [`Error::ModuleNotLoaded`].
    pub fn open() -> Result<Self, Error> {
        let mut client = Self {
            socket: Socket::open(netlink::GENERIC)?,
            core: Core::new(ROOM),
            scratch: Datagram::with_room(ROOM),
        };
        let family = client.ask(
            Operation::FindFamily,
            |_, seq| request::get_family(seq),
            Family::decode,
        )?;
        client.core.set_family(family.id);
        Ok(client)
    }

    /// What the module is and can do. Needs no privileges.
    ///
    /// # Errors
    /// If the module answers nothing sensible.
    pub fn info(&mut self) -> Result<Info, Error> {
        self.ask(Operation::GetInfo, request::get_info, Info::decode)
    }

    /// Makes room for messages of this size.
    pub(crate) fn make_room(&mut self, bytes: usize) {
        self.core.buffer().make_room(bytes);
        self.scratch.make_room(bytes);
    }

    /// Sends a request that has a reply, and gives the reply.
    pub(crate) fn ask<T>(
        &mut self,
        operation: Operation,
        request: impl FnOnce(FamilyId, u32) -> Vec<u8>,
        decode: fn(&Generic<'_>) -> Result<T, DecodeError>,
    ) -> Result<T, Error> {
        match self.exchange(operation, request, decode)? {
            Answer::Reply(reply) => Ok(reply),
            // Acknowledged without a reply.
            _ => Err(Error::NoReply { operation }),
        }
    }

    /// Sends a request and gives its answer. Events that come first are kept.
    pub(crate) fn exchange<T>(
        &mut self,
        operation: Operation,
        request: impl FnOnce(FamilyId, u32) -> Vec<u8>,
        decode: fn(&Generic<'_>) -> Result<T, DecodeError>,
    ) -> Result<Answer<T>, Error> {
        let seq = self.core.next_seq();
        let request = request(self.core.family(), seq);
        self.socket.send(&request)?;
        // The kernel answers before send returns: no need to wait.
        while self.socket.receive(&mut self.scratch)? {
            match self.core.sort(self.scratch.bytes(), seq, decode)? {
                Some(Answer::Refused(refusal)) => {
                    return Err(Error::refused(operation, refusal, &request));
                }
                Some(answer) => return Ok(answer),
                None => {}
            }
        }
        Err(Error::NoReply { operation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel's own answer, on a machine without the module.
    #[test]
    fn a_missing_module_is_said_to_be_missing() {
        match Client::open() {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(
                    error.to_string(),
                    "module not loaded: sudo modprobe icmptap"
                );
            }
        }
    }
}
