//! A subscription without the wait: what blocking and async ones share.

use icmptap_proto::{
    BatchSize, Snaplen,
    event::{EventRef, EventSpan},
    reply::{Info, Parameters},
    request::{self, SubscribeOptions},
};

use crate::{
    Client, Error, Item, Items, Operation, Received, Stopper, Summary,
    core::{Empty, Step},
    socket::Socket,
};

/// Bytes of an `EVENTS` message around one packet, padding included, with some
/// left for a newer kernel's longer headers.
const OVERHEAD: u32 = 256;

#[derive(Debug)]
pub(crate) struct Session {
    client: Client,
    module: Info,
    parameters: Parameters,
    receive_buffer: usize,
    stopper: Stopper,
}

impl Session {
    pub(crate) fn start(options: &SubscribeOptions, receive_buffer: usize) -> Result<Self, Error> {
        let mut client = Client::open()?;
        let module = client.info()?;
        if let Some(option) = options.unknown_to(module.schema_version) {
            let needed = option.since();
            return Err(Error::too_old(
                Operation::Subscribe,
                Some(option),
                needed,
                module,
            ));
        }
        let receive_buffer = client.socket.set_receive_buffer(receive_buffer)?;
        client.make_room(room(options.batch, options.snaplen));
        let parameters = client.ask(
            Operation::Subscribe,
            |family, seq| request::subscribe(family, seq, options),
            Parameters::decode,
        )?;
        client.make_room(room(Some(parameters.batch), Some(parameters.snaplen)));
        Ok(Self {
            client,
            module,
            parameters,
            receive_buffer,
            stopper: Stopper::new()?,
        })
    }

    pub(crate) fn module(&self) -> &Info {
        &self.module
    }

    pub(crate) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    pub(crate) fn receive_buffer(&self) -> usize {
        self.receive_buffer
    }

    pub(crate) fn stopper(&self) -> &Stopper {
        &self.stopper
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.client.socket
    }

    /// What comes next, of what is there. [`Step::NeedsData`]: nothing is, wait
    /// until [`socket`](Self::socket) has something or the stopper was used.
    pub(crate) fn next(&mut self) -> Result<Step, Error> {
        loop {
            match self.client.core.advance()? {
                Step::NeedsData => {}
                step => return Ok(step),
            }
            if self.stopper.is_stopped() {
                self.stop()?;
            }
            let Client { socket, core, .. } = &mut self.client;
            match socket.receive(core.buffer()) {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => return Err(core.note(error)),
            }
            match core.on_empty()? {
                Empty::Send(again) => socket.send(&again)?,
                Empty::Wait => return Ok(Step::NeedsData),
            }
        }
    }

    /// The next event of the batch that is being handed out. `None`:
    /// [`next`](Self::next) knows what comes instead.
    #[inline]
    pub(crate) fn next_event(&mut self) -> Option<EventSpan> {
        self.client.core.next_event()
    }

    /// The event of [`next_event`](Self::next_event).
    #[inline]
    pub(crate) fn event(&self, span: EventSpan) -> EventRef<'_> {
        self.client.core.event(span)
    }

    /// What a step leads to. `None`: nothing, or the end.
    pub(crate) fn item(&mut self, step: Step) -> Option<Item<'_>> {
        match step {
            Step::Event => {
                let span = self.next_event()?;
                Some(Item::Event(self.event(span)))
            }
            Step::Lost(lost) => Some(Item::Lost(lost)),
            Step::NeedsData | Step::Ended => None,
        }
    }

    /// As [`item`](Self::item), with the other events of the batch.
    pub(crate) fn items(&mut self, step: Step) -> Option<Items<'_>> {
        match step {
            Step::Event => Some(Items::Events(self.client.core.events())),
            Step::Lost(lost) => Some(Items::Lost(lost)),
            Step::NeedsData | Step::Ended => None,
        }
    }

    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        if !self.client.core.is_running() {
            return Ok(());
        }
        self.client
            .exchange(Operation::Flush, request::flush, |_| Ok(()))
            .map(drop)
    }

    pub(crate) fn stop(&mut self) -> Result<(), Error> {
        match self.client.core.stop() {
            Some(request) => self.client.socket.send(&request),
            None => Ok(()),
        }
    }

    /// What a step gives that was waited for until a deadline.
    pub(crate) fn received<T>(step: Step, item: Option<T>) -> Received<T> {
        match (item, step) {
            (Some(item), _) => Received::Item(item),
            (None, Step::Ended) => Received::Ended,
            (None, _) => Received::TimedOut,
        }
    }

    /// Once it has ended.
    pub(crate) fn summary(&self) -> Result<Summary, Error> {
        let counters = self.client.core.counters();
        let counters = counters.ok_or(Error::no_reply(Operation::Unsubscribe, 1))?;
        Ok(Summary::new(counters, self.client.core.tally()))
    }
}

/// Whether something that was received while the end was waited for was the end. What
/// is damaged is counted already.
pub(crate) fn is_end<T>(received: Result<Option<T>, Error>) -> Result<bool, Error> {
    match received {
        Ok(item) => Ok(item.is_none()),
        Err(error) if error.is_recoverable() => Ok(false),
        Err(error) => Err(error),
    }
}

/// The largest message to expect: a full batch, or one packet if that is more.
fn room(batch: Option<BatchSize>, snaplen: Option<Snaplen>) -> usize {
    let batch = batch.map_or(0, |batch| batch.0);
    let alone = snaplen.map_or(0, |snaplen| snaplen.0.saturating_add(OVERHEAD));
    batch.max(alone) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_not_the_end_and_other_errors_are() {
        let damage = || Error::Truncated { need: 2, had: 1 };
        assert!(matches!(is_end(Ok(Some(1))), Ok(false)));
        assert!(matches!(is_end(Ok(None::<u8>)), Ok(true)));
        assert!(matches!(is_end::<u8>(Err(damage())), Ok(false)));
        let other = is_end::<u8>(Err(Error::ModuleNotLoaded));
        assert!(matches!(other, Err(Error::ModuleNotLoaded)));
    }

    #[test]
    fn the_buffer_holds_a_full_batch_and_a_large_packet() {
        assert_eq!(room(Some(BatchSize(16_064)), Some(Snaplen(576))), 16_064);
        assert!(room(Some(BatchSize(3776)), Some(Snaplen(65_535))) > 65_535 + 96);
        assert_eq!(room(None, None), 0);
        let _ = room(None, Some(Snaplen(u32::MAX)));
    }
}
