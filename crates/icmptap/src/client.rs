//! Questions and answers on a generic netlink socket.

use icmptap_proto::{
    DecodeError, FamilyId,
    nlmsg::Generic,
    reply::{CpuStats, Family, Info, Stats, SubscriptionInfo},
    request,
};
use rustix::{io::Errno, net::netlink};

use crate::{
    Error, Operation,
    core::{Answer, Core},
    exchange::Exchange,
    socket::{Datagram, Socket},
};

/// Large enough for what a subscription gets by default.
const ROOM: usize = 32 * 1024;

/// Asks the module about itself, its statistics and its subscriptions.
///
/// ```no_run
/// use icmptap::{Client, Name};
///
/// let mut client = Client::open()?;
/// let info = client.info()?;
/// println!("module {}, hooks {}", info.module_version, info.hooks);
/// println!("{} events lost", client.stats()?.counters.lost());
/// for subscription in client.subscriptions(false)? {
///     // The process chose its name: `Name` escapes what a terminal would act on.
///     let command = Name::from(subscription.command.as_str());
///     println!("{command}: {}", subscription.parameters.hooks);
/// }
/// # Ok::<(), icmptap::Error>(())
/// ```
#[derive(Debug)]
pub struct Client {
    pub(crate) socket: Socket,
    pub(crate) core: Core,
    /// For answers, so that events being handed out stay where they are.
    scratch: Datagram,
}

impl Client {
    /// Opens a socket and looks up the module's netlink family. Needs no privileges.
    ///
    /// # Errors
    /// [`Error::ModuleNotLoaded`] if there is no such family.
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
    /// The module did not answer, or the answer is malformed.
    pub fn info(&mut self) -> Result<Info, Error> {
        self.ask(Operation::GetInfo, request::get_info, Info::decode)
    }

    /// The counters of all subscriptions of this network namespace, current and past,
    /// added up.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] without CAP_NET_ADMIN, [`Error::ModuleTooOld`].
    pub fn stats(&mut self) -> Result<Stats, Error> {
        let result = self.ask(Operation::GetStats, request::get_stats, Stats::decode);
        self.explain(Operation::GetStats, result)
    }

    /// As [`stats`](Self::stats), for each CPU, ordered by CPU number.
    ///
    /// # Errors
    /// As [`stats`](Self::stats).
    pub fn stats_per_cpu(&mut self) -> Result<Vec<CpuStats>, Error> {
        let result = self.dump(
            Operation::GetStats,
            request::get_stats_per_cpu,
            CpuStats::decode,
        );
        self.explain(Operation::GetStats, result)
    }

    /// The current subscriptions of both protocols: those of this network namespace, or
    /// with `all_netns` those of every one, which needs CAP_NET_ADMIN in the initial
    /// user namespace.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] without CAP_NET_ADMIN, [`Error::ModuleTooOld`],
    /// [`Error::Changing`] if the list changed during every attempt to read it.
    pub fn subscriptions(&mut self, all_netns: bool) -> Result<Vec<SubscriptionInfo>, Error> {
        let result = self.dump(
            Operation::GetSubscriptions,
            |family, seq| request::get_subscriptions(family, seq, all_netns),
            SubscriptionInfo::decode,
        );
        self.explain(Operation::GetSubscriptions, result)
    }

    /// A module of schema version 1 does not know the command.
    fn explain<T>(&mut self, operation: Operation, result: Result<T, Error>) -> Result<T, Error> {
        match result {
            Err(Error::Refused { ref source, .. })
                if source.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) =>
            {
                match self.info()? {
                    module if module.schema_version < 2 => {
                        Err(Error::too_old(operation, None, 2, module))
                    }
                    _ => result,
                }
            }
            result => result,
        }
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
        request: impl Fn(FamilyId, u32) -> Vec<u8>,
        decode: fn(&Generic<'_>) -> Result<T, DecodeError>,
    ) -> Result<T, Error> {
        match self.exchange(operation, request, decode)? {
            Answer::Reply(reply) => Ok(reply),
            // Acknowledged without a reply.
            _ => Err(Error::no_reply(operation, 1)),
        }
    }

    /// Sends a request and gives its answer. Events that come first are kept.
    pub(crate) fn exchange<T>(
        &mut self,
        operation: Operation,
        request: impl Fn(FamilyId, u32) -> Vec<u8>,
        decode: fn(&Generic<'_>) -> Result<T, DecodeError>,
    ) -> Result<Answer<T>, Error> {
        self.begin().ask(operation, request, decode)
    }

    /// Sends a request whose reply is a list, and gives all of it.
    fn dump<T>(
        &mut self,
        operation: Operation,
        request: impl Fn(FamilyId, u32) -> Vec<u8>,
        decode: fn(&Generic<'_>) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, Error> {
        self.begin().list(operation, request, decode)
    }

    fn begin(&mut self) -> Exchange<'_, Socket> {
        Exchange {
            wire: &self.socket,
            core: &mut self.core,
            scratch: &mut self.scratch,
        }
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
