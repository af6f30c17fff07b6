//! What to subscribe to.

use icmptap_proto::{
    BatchSize, Families, FlushInterval, Hooks, IfIndex, Instruction, ProgramTooLong, RateLimit,
    Sampling, Snaplen, TypeSet, Verdict, request::SubscribeOptions,
};

#[cfg(feature = "tokio")]
use crate::AsyncSubscription;
#[cfg(feature = "pcap")]
use crate::filter::{self, FilterError};
use crate::{Error, Subscription, session::Session, socket::RECEIVE_BUFFER};

/// Where the kernel looks unless told otherwise: prerouting.
#[cfg(feature = "pcap")]
const DEFAULT_HOOKS: Hooks = Hooks::PREROUTING;

/// What to subscribe to. What is not set is the kernel's choice.
///
/// A packet is wanted if hook, family, ICMP type, interface and filter all want
/// it. What sampling then passes over is counted as `sampled_out`; the rest is
/// matched: each packet gets a sequence number, and is an event or a loss.
#[derive(Debug, Clone, Default)]
#[must_use = "a builder does nothing until it subscribes"]
pub struct Builder {
    options: SubscribeOptions,
    receive_buffer: Option<usize>,
    /// Whether the filter was an expression, in which `inbound` has a meaning.
    #[cfg(feature = "pcap")]
    is_expression: bool,
}

impl Builder {
    /// Where to look; prerouting unless told otherwise.
    pub fn hooks(mut self, hooks: impl Into<Hooks>) -> Self {
        self.options.hooks = Some(hooks.into());
        self
    }

    /// What to look for; every family the module can tap unless told otherwise.
    pub fn families(mut self, families: impl Into<Families>) -> Self {
        self.options.families = Some(families.into());
        self
    }

    /// Packet bytes to keep; 576 unless told otherwise.
    pub fn snaplen(mut self, snaplen: Snaplen) -> Self {
        self.options.snaplen = Some(snaplen);
        self
    }

    /// Bytes of a full batch; 3,776 unless told otherwise.
    pub fn batch(mut self, batch: BatchSize) -> Self {
        self.options.batch = Some(batch);
        self
    }

    /// Longest wait in a batch; 1,000 µs unless told otherwise.
    pub fn flush_interval(mut self, interval: FlushInterval) -> Self {
        self.options.flush_interval = Some(interval);
        self
    }

    /// Bytes of the socket's receive buffer, as the kernel counts them; 4 MiB
    /// unless told otherwise. [`Subscription::receive_buffer`] says what came
    /// of it.
    pub fn receive_buffer(mut self, bytes: usize) -> Self {
        self.receive_buffer = Some(bytes);
        self
    }

    /// Types of ICMP to take; all unless told otherwise. A packet that has no
    /// type (a later fragment, or one that is too short) is taken only if all
    /// are.
    pub fn icmp_types(mut self, types: impl Into<TypeSet>) -> Self {
        self.options.icmp_types = Some(types.into());
        self
    }

    /// Types of ICMPv6 to take, in the same way.
    pub fn icmpv6_types(mut self, types: impl Into<TypeSet>) -> Self {
        self.options.icmpv6_types = Some(types.into());
        self
    }

    /// The interface that packets come in or leave by; any unless told
    /// otherwise. It is one of the network namespace that the subscription is
    /// made in: with [`all_netns`](Self::all_netns) the kernel refuses it, as its
    /// number is another interface's elsewhere.
    pub fn interface(mut self, index: IfIndex) -> Self {
        self.options.interface = Some(index);
        self
    }

    /// A filter in tcpdump's language (`pcap-filter(7)`), such as
    /// `icmp6 and ip6[40] == 135`, which libpcap compiles. It sees a packet from
    /// its IP header on: what is in front of that cannot be asked for.
    ///
    /// `icmp6` finds every ICMPv6 message, as `ip6` does; libpcap's own would miss those
    /// behind extension headers. Other ways to ask for ICMPv6 still miss them:
    /// [`overlooks_extension_headers`](Self::overlooks_extension_headers) tells.
    /// `inbound` and `outbound` mean what they say at the hooks where packets come in or
    /// leave, and are refused by [`subscribe`](Self::subscribe) at others
    /// ([`AmbiguousDirection`](crate::AmbiguousDirection)).
    ///
    /// Names of hosts and networks are looked up, which may take a while.
    /// libpcap is loaded when this is called and not needed otherwise. A program
    /// that is linked statically cannot load it, and lets `tcpdump` compile the
    /// filter.
    ///
    /// # Errors
    /// The filter is not well formed, or there is no libpcap.
    #[cfg(feature = "pcap")]
    pub fn filter(mut self, expression: &str) -> Result<Self, FilterError> {
        self.options.filter = Some(filter::compile(expression)?);
        self.is_expression = true;
        Ok(self)
    }

    /// Whether the filter looks for ICMPv6 directly behind the IPv6 header, as libpcap
    /// compiles `icmp6[0] == 130` and `ip6 proto 58`: messages behind an extension
    /// header, which those of multicast listener discovery are, are then not found.
    /// [`icmpv6_types`](Self::icmpv6_types) finds them.
    #[cfg(feature = "pcap")]
    pub fn overlooks_extension_headers(&self) -> bool {
        let filter = self.options.filter.as_ref();
        filter.is_some_and(filter::overlooks_extension_headers)
    }

    /// A filter as the program that the kernel runs on a packet from its IP
    /// header on: classic BPF, which takes a packet by returning another number
    /// than 0. The kernel refuses a program that it cannot run when
    /// [`subscribe`](Self::subscribe) is called.
    ///
    /// # Errors
    /// It has more instructions than any kernel takes.
    pub fn filter_program(
        mut self,
        instructions: Vec<Instruction>,
    ) -> Result<Self, ProgramTooLong> {
        self.options.filter = Some(instructions.try_into()?);
        #[cfg(feature = "pcap")]
        {
            self.is_expression = false;
        }
        Ok(self)
    }

    /// Takes one packet in so many; every one unless told otherwise.
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.options.sampling = Some(sampling);
        self
    }

    /// Takes so many events per second at most; without limit unless told
    /// otherwise. What is beyond is lost, and counted as `lost_ratelimit`.
    pub fn rate_limit(mut self, limit: RateLimit) -> Self {
        self.options.rate_limit = Some(limit);
        self
    }

    /// What becomes of the packets that are matched; they go on unless told
    /// otherwise. [`Verdict::Drop`] holds while the subscription lives, for
    /// those that are lost as events as well.
    pub fn verdict(mut self, verdict: Verdict) -> Self {
        self.options.verdict = Some(verdict);
        self
    }

    /// Takes the packets of every network namespace, those to come included,
    /// and not only of the one that it is made in. Needs CAP_NET_ADMIN in the
    /// initial user namespace, and a socket in a network namespace that belongs to
    /// it: elsewhere others could read what this socket is sent.
    pub fn all_netns(mut self, all: bool) -> Self {
        self.options.all_netns = all;
        self
    }

    /// Subscribes.
    ///
    /// # Errors
    /// [`Error::ModuleNotLoaded`], [`Error::NotPermitted`] without
    /// CAP_NET_ADMIN, [`Error::ModuleTooOld`] for an option that the module does
    /// not know, [`Error::Refused`] for a value that it does not take,
    /// [`Error::Direction`] for a filter that cannot be told at its hooks.
    pub fn subscribe(&self) -> Result<Subscription, Error> {
        self.session().map(Subscription::new)
    }

    /// Subscribes, for use with tokio.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    ///
    /// # Panics
    /// Outside a tokio runtime, or if that has no I/O.
    #[cfg(feature = "tokio")]
    pub fn subscribe_async(&self) -> Result<AsyncSubscription, Error> {
        AsyncSubscription::new(self.session()?)
    }

    fn session(&self) -> Result<Session, Error> {
        let receive_buffer = self.receive_buffer.unwrap_or(RECEIVE_BUFFER);
        #[cfg(feature = "pcap")]
        if let (true, Some(filter)) = (self.is_expression, &self.options.filter) {
            let hooks = self.options.hooks.unwrap_or(DEFAULT_HOOKS);
            let mut options = self.options.clone();
            options.filter = Some(filter::direction::at(hooks, filter.clone())?);
            return Session::start(&options, receive_buffer);
        }
        Session::start(&self.options, receive_buffer)
    }
}
