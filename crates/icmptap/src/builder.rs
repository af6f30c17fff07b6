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

/// The kernel's default.
#[cfg(feature = "pcap")]
const DEFAULT_HOOKS: Hooks = Hooks::PREROUTING;

/// Sets what to subscribe to. The kernel's defaults apply to what is not set.
///
/// A packet is selected if hook, family, ICMP type, interface and filter all accept
/// it. Packets that sampling then skips are counted as `sampled_out`. The others are
/// matched: each gets a sequence number, and becomes an event or a loss.
///
/// ```no_run
/// use icmptap::{Families, Hook, IfIndex, Subscription, icmp::v4};
///
/// let subscription = Subscription::builder()
///     .hooks([Hook::Prerouting, Hook::Output])
///     .families(Families::IPV4)
///     .icmp_types([v4::Type::DESTINATION_UNREACHABLE, v4::Type::TIME_EXCEEDED])
///     .interface(IfIndex::from_name("eth0")?)
///     .subscribe()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    /// The hooks at which packets are seen. Default: prerouting.
    pub fn hooks(mut self, hooks: impl Into<Hooks>) -> Self {
        self.options.hooks = Some(hooks.into());
        self
    }

    /// The protocol families. Default: all that the module supports.
    pub fn families(mut self, families: impl Into<Families>) -> Self {
        self.options.families = Some(families.into());
        self
    }

    /// How many bytes of each packet an event has, from the IP header on. Default: 576.
    pub fn snaplen(mut self, snaplen: Snaplen) -> Self {
        self.options.snaplen = Some(snaplen);
        self
    }

    /// The size of a full batch of events, in bytes. Default: 3,776.
    pub fn batch(mut self, batch: BatchSize) -> Self {
        self.options.batch = Some(batch);
        self
    }

    /// The longest time that an event waits in a batch. Default: 1,000 µs.
    pub fn flush_interval(mut self, interval: FlushInterval) -> Self {
        self.options.flush_interval = Some(interval);
        self
    }

    /// The size of the socket's receive buffer in bytes, as the kernel counts them.
    /// Default: 4 MiB. [`Subscription::receive_buffer`] returns the size in force.
    pub fn receive_buffer(mut self, bytes: usize) -> Self {
        self.receive_buffer = Some(bytes);
        self
    }

    /// The types of ICMP for IPv4. Default: all. ICMPv6 is still selected, unless
    /// [`families`](Self::families) or [`icmpv6_types`](Self::icmpv6_types) excludes it.
    /// Packets without a type (later fragments, and packets that are too short) are selected
    /// only if all types are.
    pub fn icmp_types(mut self, types: impl Into<TypeSet>) -> Self {
        self.options.icmp_types = Some(types.into());
        self
    }

    /// The types of ICMPv6. Default: all. As [`icmp_types`](Self::icmp_types), for IPv6.
    pub fn icmpv6_types(mut self, types: impl Into<TypeSet>) -> Self {
        self.options.icmpv6_types = Some(types.into());
        self
    }

    /// The interface by which packets arrive or leave. Default: any. It is an interface
    /// of the network namespace in which the subscription is made; the kernel refuses it
    /// together with [`all_netns`](Self::all_netns), because other namespaces use the
    /// same index for other interfaces.
    pub fn interface(mut self, index: IfIndex) -> Self {
        self.options.interface = Some(index);
        self
    }

    /// A filter in tcpdump's language (`pcap-filter(7)`), such as
    /// `icmp6 and ip6[40] == 135`, which libpcap compiles. It sees a packet from its IP
    /// header on, and can ask for nothing in front of that.
    ///
    /// `icmp6` selects every ICMPv6 message, as `ip6` does; as libpcap compiles it, it
    /// would miss those behind extension headers. Other ways to ask for ICMPv6 do miss
    /// them: see [`overlooks_extension_headers`](Self::overlooks_extension_headers).
    /// `inbound` and `outbound` can be used at hooks at which packets arrive, or at which
    /// they leave; at others [`subscribe`](Self::subscribe) fails with
    /// [`AmbiguousDirection`](crate::AmbiguousDirection).
    ///
    /// Names of hosts and networks are resolved, which may take a while. libpcap is loaded
    /// by this method, and not needed otherwise. A statically linked program cannot load
    /// it, and runs `tcpdump` to compile the filter.
    ///
    /// ```no_run
    /// use icmptap::Subscription;
    ///
    /// let subscription = Subscription::builder()
    ///     .filter("icmp6 and host fe80::1")?
    ///     .subscribe()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The filter is malformed, or there is no libpcap.
    #[cfg(feature = "pcap")]
    pub fn filter(mut self, expression: &str) -> Result<Self, FilterError> {
        self.options.filter = Some(filter::compile(expression)?);
        self.is_expression = true;
        Ok(self)
    }

    /// Whether the filter looks for ICMPv6 directly behind the IPv6 header only, as those
    /// that libpcap compiles from `icmp6[0] == 130` and `ip6 proto 58` do. It then misses
    /// messages behind an extension header, such as those of multicast listener discovery,
    /// which [`icmpv6_types`](Self::icmpv6_types) selects.
    #[cfg(feature = "pcap")]
    #[must_use]
    pub fn overlooks_extension_headers(&self) -> bool {
        let filter = self.options.filter.as_ref();
        filter.is_some_and(filter::overlooks_extension_headers)
    }

    /// A filter as a classic BPF program, which the kernel runs on each packet from its
    /// IP header on. It accepts a packet by returning a number other than 0. If the
    /// kernel cannot run the program, [`subscribe`](Self::subscribe) fails.
    ///
    /// # Errors
    /// The program has more instructions than any kernel accepts.
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

    /// Delivers every Nth selected packet. Default: every packet.
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.options.sampling = Some(sampling);
        self
    }

    /// Limits the number of events per second. Default: no limit. Events above the
    /// limit are lost, and counted as `lost_ratelimit`.
    pub fn rate_limit(mut self, limit: RateLimit) -> Self {
        self.options.rate_limit = Some(limit);
        self
    }

    /// What the kernel does with matched packets. Default: it accepts them.
    /// [`Verdict::Drop`] drops all of them while the subscription exists, including
    /// those whose events are lost.
    pub fn verdict(mut self, verdict: Verdict) -> Self {
        self.options.verdict = Some(verdict);
        self
    }

    /// Sees the packets of every network namespace, including those created later,
    /// instead of the current one only. This needs CAP_NET_ADMIN in the initial user
    /// namespace, and a current network namespace that belongs to the initial user
    /// namespace: whoever owns another user namespace could read the socket's messages there.
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
    /// [`Error::Direction`] for a filter with `inbound` or `outbound` at the wrong hooks.
    pub fn subscribe(&self) -> Result<Subscription, Error> {
        self.session().map(Subscription::new)
    }

    /// Subscribes, for tasks of tokio.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    ///
    /// # Panics
    /// If called outside a tokio runtime, or in one without I/O.
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
