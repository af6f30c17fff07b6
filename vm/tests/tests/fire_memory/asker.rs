//! A netlink socket that asks while allocations fail.

use icmptap_proto::nlmsg::messages;
use icmptap_proto::reply::{Family, Status};
use icmptap_proto::{FamilyId, request};
use icmptap_sys as abi;
use icmptap_vm_tests::fault::{Watch, nth};
use icmptap_vm_tests::netlink::Socket;
use rustix::io::Errno;

use crate::tally::Tally;

/// A socket with memory for what it is answered: the thread must not need any
/// while its allocations fail.
pub(crate) struct Asker {
    socket: Socket,
    buffer: Vec<u8>,
    length: usize,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Acknowledged, or replied to.
    Done,
    /// By netlink or by the module.
    Refused(Errno),
    /// There was no memory for the answer.
    Silence,
}

impl Ending {
    /// Refused for want of memory? No other refusal is right here.
    pub(crate) fn is_refused(self) -> bool {
        match self {
            Self::Refused(errno) => {
                assert!(matches!(errno, Errno::NOMEM | Errno::NOBUFS), "{errno}");
                true
            }
            Self::Done | Self::Silence => false,
        }
    }
}

impl Asker {
    /// In the thread's network namespace.
    pub(crate) fn new(protocol: u32) -> Self {
        Self {
            socket: Socket::open(protocol),
            buffer: vec![1; 512 * 1024],
            length: 0,
        }
    }

    /// Asks generic netlink for our family.
    pub(crate) fn family(&mut self) -> FamilyId {
        assert_eq!(self.ask(&request::get_family(1)), Ending::Done);
        let message = messages(&self.buffer[..self.length]).next();
        let message = message.expect("a message").expect("whole");
        let family = Family::decode(&message.generic().expect("generic"));
        family.expect("a family").id
    }

    /// Sends a request and takes all answers, and all events.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Ending {
        self.length = 0;
        if let Err(error) = self.socket.send(request) {
            return Ending::Refused(error);
        }
        loop {
            match self.socket.receive_into(&mut self.buffer[self.length..]) {
                Ok(length) => self.length += length.next_multiple_of(4),
                Err(Errno::AGAIN) => break,
                // No memory for an answer, or for the next part of a dump.
                Err(Errno::NOBUFS | Errno::NOMEM) => (),
                Err(error) => panic!("receive: {error}"),
            }
        }
        self.ending()
    }

    fn ending(&self) -> Ending {
        let mut ending = Ending::Silence;
        for message in messages(&self.buffer[..self.length]) {
            let message = message.expect("whole");
            match u32::from(message.kind) {
                abi::NLMSG_ERROR => match Status::decode(&message).expect("well formed") {
                    Status::Ack => ending = Ending::Done,
                    Status::Refused(refusal) => {
                        return Ending::Refused(Errno::from_raw_os_error(refusal.errno));
                    }
                },
                // An event, which says nothing of the request.
                _ if message.seq == 0 => (),
                _ => ending = Ending::Done,
            }
        }
        ending
    }

    /// Has the first, the second, the third, … allocation of a request fail, until
    /// it has no more. `prepare` comes before each, `check` sees how it ended.
    pub(crate) fn each(
        &mut self,
        (watch, tally): (&Watch, &mut Tally),
        what: &str,
        request: &[u8],
        mut prepare: impl FnMut(&mut Self),
        mut check: impl FnMut(&mut Self, Ending),
    ) {
        let ((), stacks) = watch.during(|| {
            for count in 1.. {
                prepare(self);
                let (ending, left) = nth(count, || self.ask(request));
                check(self, ending);
                if left > 0 {
                    assert_eq!(ending, Ending::Done, "{what}, with nothing that fails");
                    println!("measured: {what}: {} allocations", count - 1);
                    break;
                }
            }
        });
        tally.add(&stacks);
    }
}
