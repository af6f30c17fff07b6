//! Batches and their events.
//!
//! Layouts: `struct icmptap_batch` and `struct icmptap_record` in
//! `kernel/uapi/linux/icmptap.h`.

use std::{
    fmt,
    mem::{offset_of, size_of},
    net::IpAddr,
    time::{Duration, SystemTime},
};

use icmptap_sys as sys;

use crate::{
    Cpu, Family, Hook, IfIndex, Netns,
    icmp::{Icmp, Type, v4, v6},
    ip::Ip,
    nlmsg::{DecodeError, Generic, need, u16_at, u32_at, u64_at},
    record::{Extent, HDRLEN, Header, NO_HOOK, header_length},
};
pub use crate::{
    checksum::Checksum,
    metadata::{Metadata, Tapped},
};

/// Whether a message of the family `icmptap` is a batch of events.
#[must_use]
pub fn is_batch(message: &Generic<'_>) -> bool {
    u32::from(message.command) == sys::ICMPTAP_CMD_EVENTS
}

/// One `EVENTS` message: consecutive events of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Batch<'a> {
    /// The CPU, which identifies the stream.
    pub cpu: Cpu,
    /// The number of events.
    pub count: u32,
    /// The sequence number of the first event; the others are consecutive.
    pub seq: u64,
    /// Events lost on this stream before this batch, since the subscription
    /// began.
    pub lost: u64,
    records: &'a [u8],
    at: usize,
}

impl<'a> Batch<'a> {
    /// Decodes the batch's header. [`events`](Self::events) decodes the events.
    ///
    /// # Errors
    /// If the header is shorter than this version needs, or truncated.
    pub fn decode(message: &Generic<'a>) -> Result<Self, DecodeError> {
        let (bytes, at) = (message.body, message.at);
        let known = size_of::<sys::icmptap_batch>();
        need("a batch header", bytes, at, known)?;
        let hdrlen = usize::from(u16_at(bytes, offset_of!(sys::icmptap_batch, hdrlen)));
        header_length("a batch's hdrlen", hdrlen, known, at)?;
        need("a batch header", bytes, at, hdrlen)?;
        Ok(Self {
            cpu: Cpu(u32_at(bytes, offset_of!(sys::icmptap_batch, cpu))),
            count: u32_at(bytes, offset_of!(sys::icmptap_batch, count)),
            seq: u64_at(bytes, offset_of!(sys::icmptap_batch, seq)),
            lost: u64_at(bytes, offset_of!(sys::icmptap_batch, lost)),
            records: &bytes[hdrlen..],
            at: at + hdrlen,
        })
    }

    /// Iterates over the events, in order. An error ends the iteration, because the
    /// start of the next event is then unknown.
    #[inline]
    pub fn events(&self) -> Events<'a> {
        Events {
            rest: self.records,
            from: self.cursor(),
        }
    }

    /// A place in this batch, to come back to without keeping it borrowed. For the
    /// crate `icmptap` alone.
    #[doc(hidden)]
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor {
            at: self.at,
            end: self.at + self.records.len(),
            left: self.count,
            cpu: self.cpu,
            end_seq: self.seq.wrapping_add(self.count.into()),
        }
    }
}

/// See [`Batch::events`].
#[derive(Debug, Clone)]
#[must_use = "iterators are lazy"]
pub struct Events<'a> {
    /// From the next record to the end of the message.
    rest: &'a [u8],
    /// `at` alone is behind: it follows from `rest`.
    from: Cursor,
}

impl<'a> Events<'a> {
    /// As [`next`](Iterator::next), in fewer instructions. Returns `None` at the
    /// end or on malformed data; `next` gives the error. For the crate `icmptap`
    /// alone.
    #[doc(hidden)]
    #[inline]
    pub fn next_whole(&mut self) -> Option<EventRef<'a>> {
        if self.from.left == 0 {
            return None;
        }
        let Extent {
            hdrlen,
            caplen,
            len,
        } = Extent::decode(self.rest)?;
        let (record, rest) = self.rest.split_at_checked(len)?;
        let header = Header(record.first_chunk()?);
        let packet = record.get(hdrlen..hdrlen + caplen)?;
        let event = EventRef {
            cpu: self.from.cpu,
            seq: self.from.seq(),
            header,
            packet,
        };
        self.rest = rest;
        self.from.left -= 1;
        Some(event)
    }

    /// Where it has come to. For the crate `icmptap` alone.
    #[doc(hidden)]
    #[inline]
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor {
            at: self.from.end - self.rest.len(),
            ..self.from
        }
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = Result<EventRef<'a>, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if let Some(event) = self.next_whole() {
            return Some(Ok(event));
        }
        let mut cursor = self.cursor();
        let error = cursor.end(self.rest);
        self.rest = &[];
        self.from = cursor;
        error.map(Err)
    }
}

/// A place in a batch: see [`Batch::cursor`].
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Cursor {
    at: usize,
    end: usize,
    left: u32,
    cpu: Cpu,
    /// The sequence number behind the last event: so that nothing but `left` counts.
    end_seq: u64,
}

/// Behind the last event of no batch.
impl Default for Cursor {
    fn default() -> Self {
        Self {
            at: 0,
            end: 0,
            left: 0,
            cpu: Cpu(0),
            end_seq: 0,
        }
    }
}

impl Cursor {
    /// The events from here on, in the datagram that holds the batch.
    /// [`Events::cursor`] leads back.
    #[inline]
    pub fn events_in(self, datagram: &[u8]) -> Events<'_> {
        Events {
            rest: self.rest(datagram),
            from: self,
        }
    }

    /// Where the next event lies in the datagram that holds the batch. `None`
    /// after the last, and after an error.
    #[inline]
    pub fn next_in(&mut self, datagram: &[u8]) -> Option<Result<EventSpan, DecodeError>> {
        match self.next_whole_in(datagram) {
            Some(span) => Some(Ok(span)),
            None => self.end(self.rest(datagram)).map(Err),
        }
    }

    /// As [`next_in`](Self::next_in), in fewer instructions. Returns `None` at the
    /// end or on malformed data; `next_in` gives the error.
    #[inline]
    pub fn next_whole_in(&mut self, datagram: &[u8]) -> Option<EventSpan> {
        let rest = datagram.get(self.at..self.end)?;
        if self.left == 0 {
            return None;
        }
        let extent = Extent::decode(rest)?;
        let packet = self.at + extent.hdrlen;
        let span = EventSpan {
            cpu: self.cpu,
            seq: self.seq(),
            at: self.at,
            packet,
            packet_end: packet + extent.caplen,
        };
        self.at += extent.len;
        self.left -= 1;
        Some(span)
    }

    /// The next event's sequence number.
    #[inline]
    fn seq(self) -> u64 {
        self.end_seq.wrapping_sub(self.left.into())
    }

    /// How many events are left, as the batch has it.
    #[inline]
    #[must_use]
    pub fn left(self) -> u32 {
        self.left
    }

    /// From the next record to the end of the message.
    #[inline]
    fn rest(self, datagram: &[u8]) -> &[u8] {
        datagram.get(self.at..self.end).unwrap_or_default()
    }

    /// There is no next event: is that as it should be?
    #[cold]
    fn end(&mut self, rest: &[u8]) -> Option<DecodeError> {
        let at = self.at;
        let left = std::mem::take(&mut self.left);
        self.at = self.end;
        if left > 0 {
            return Some(Extent::objection(rest, at));
        }
        (!rest.is_empty()).then_some(DecodeError::Value {
            what: "the batch's count",
            at,
            value: 0,
            expected: "and bytes follow the last record",
        })
    }
}

/// Where an event lies in its datagram: see [`Cursor::next_in`].
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct EventSpan {
    cpu: Cpu,
    seq: u64,
    at: usize,
    packet: usize,
    packet_end: usize,
}

impl EventSpan {
    /// The event.
    ///
    /// # Panics
    /// If this is not the datagram in which the span was found, and shorter.
    #[inline]
    #[must_use]
    pub fn event(self, datagram: &[u8]) -> EventRef<'_> {
        let header = datagram[self.at..].first_chunk();
        EventRef {
            cpu: self.cpu,
            seq: self.seq,
            header: Header(header.expect("the record is whole")),
            packet: &datagram[self.packet..self.packet_end],
        }
    }
}

/// A packet that the kernel saw, and where and when; borrowed from the receive buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventRef<'a> {
    cpu: Cpu,
    seq: u64,
    pub(crate) header: Header<'a>,
    packet: &'a [u8],
}

/// A packet that the kernel saw, which owns its bytes. [`Event::as_ref`] gives an
/// [`EventRef`], which has the methods that read it. [`Event::new`] makes one from what a
/// capture has of it.
#[derive(Clone)]
pub struct Event {
    pub(crate) cpu: Cpu,
    pub(crate) seq: u64,
    pub(crate) header: [u8; HDRLEN],
    pub(crate) packet: Box<[u8]>,
}

impl Event {
    /// The event in its borrowed form, which has the methods that read it.
    #[must_use]
    pub fn as_ref(&self) -> EventRef<'_> {
        EventRef {
            cpu: self.cpu,
            seq: self.seq,
            header: Header(&self.header),
            packet: &self.packet,
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl<'a> EventRef<'a> {
    /// Copies the packet into an event that owns it.
    #[must_use]
    pub fn to_owned(&self) -> Event {
        Event {
            cpu: self.cpu,
            seq: self.seq,
            header: *self.header.0,
            packet: self.packet.into(),
        }
    }

    /// Whether the module saw it at a hook. If not, another program captured it, and
    /// [`cpu`](Self::cpu), [`seq`](Self::seq), [`netns`](Self::netns),
    /// [`hook`](Self::hook) and [`mark`](Self::mark) are not known.
    #[inline]
    #[must_use]
    pub fn is_tapped(&self) -> bool {
        self.header.hook() != NO_HOOK
    }

    #[inline]
    fn tapped<T>(&self, value: T) -> Option<T> {
        self.is_tapped().then_some(value)
    }

    /// The CPU that saw it. `None` if another program captured it.
    #[inline]
    #[must_use]
    pub fn cpu(&self) -> Option<Cpu> {
        self.tapped(self.cpu)
    }

    /// Its sequence number in the stream of its CPU. `None` if another program
    /// captured it.
    #[inline]
    #[must_use]
    pub fn seq(&self) -> Option<u64> {
        self.tapped(self.seq)
    }

    /// When it was seen. 1970 begins for a packet whose capture has no time (a simple
    /// packet block of pcapng).
    #[must_use]
    pub fn time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(self.header.time_ns())
    }

    /// When it was seen: nanoseconds since 1970 (`CLOCK_REALTIME`); 0 for a packet
    /// whose capture has no time.
    #[inline]
    #[must_use]
    pub fn time_ns(&self) -> u64 {
        self.header.time_ns()
    }

    /// The network namespace. `None` if another program captured it.
    #[inline]
    #[must_use]
    pub fn netns(&self) -> Option<Netns> {
        self.tapped(Netns(self.header.netns()))
    }

    /// The interface on which it arrived, if the hook knows it.
    #[inline]
    #[must_use]
    pub fn iif(&self) -> Option<IfIndex> {
        (self.header.iif() != 0).then_some(IfIndex(self.header.iif()))
    }

    /// The interface by which it leaves, if the hook knows it.
    #[inline]
    #[must_use]
    pub fn oif(&self) -> Option<IfIndex> {
        (self.header.oif() != 0).then_some(IfIndex(self.header.oif()))
    }

    /// The packet's mark (`skb->mark`); 0 if none was set. `None` if another program
    /// captured it.
    #[inline]
    #[must_use]
    pub fn mark(&self) -> Option<u32> {
        self.tapped(self.header.mark())
    }

    /// The VLAN tag, if the packet has one.
    #[must_use]
    pub fn vlan(&self) -> Option<Vlan> {
        self.flag(sys::ICMPTAP_F_VLAN).then_some(Vlan {
            tci: self.header.vlan_tci(),
            provider: self.flag(sys::ICMPTAP_F_VLAN_AD),
        })
    }

    /// The protocol family.
    #[inline]
    #[must_use]
    pub fn family(&self) -> Family {
        Family::from_number(self.header.family())
    }

    /// The hook that saw it. `None` if another program captured it.
    #[inline]
    #[must_use]
    pub fn hook(&self) -> Option<Hook> {
        self.tapped(Hook::from_number(self.header.hook()))
    }

    /// The packet's bytes from its IP header on, truncated to the snaplen.
    #[inline]
    #[must_use]
    pub fn packet(&self) -> &'a [u8] {
        self.packet
    }

    /// The length of the whole packet in bytes, from its IP header on.
    #[inline]
    #[must_use]
    pub fn original_len(&self) -> u32 {
        self.header.origlen()
    }

    /// Whether the packet was truncated: [`packet`](Self::packet) has fewer bytes than
    /// [`original_len`](Self::original_len).
    #[inline]
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.flag(sys::ICMPTAP_F_TRUNCATED)
    }

    /// Whether it is a fragment. Only the first fragment of a packet has the ICMP header.
    #[inline]
    #[must_use]
    pub fn is_fragment(&self) -> bool {
        self.flag(sys::ICMPTAP_F_FRAGMENT)
    }

    /// Whether the packet itself, not only the part that was captured, is too short for
    /// an ICMP header.
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        self.flag(sys::ICMPTAP_F_MALFORMED)
    }

    /// The ICMP type and code, as numbers. `None` in a later fragment, and if the packet
    /// is too short.
    #[inline]
    #[must_use]
    pub fn icmp_type_and_code(&self) -> Option<(u8, u8)> {
        (!self.flag(sys::ICMPTAP_F_NO_ICMP))
            .then_some((self.header.icmp_type(), self.header.icmp_code()))
    }

    /// The bytes of the ICMP message that were captured, from its header on. Empty if the
    /// snaplen ends before it. `None` if there is no ICMP header.
    #[inline]
    #[must_use]
    pub fn icmp_bytes(&self) -> Option<&'a [u8]> {
        self.icmp_type_and_code()?;
        Some(
            self.packet
                .get(usize::from(self.header.icmp_offset())..)
                .unwrap_or_default(),
        )
    }

    /// The ICMP type, with its family. `None` if there is no ICMP header, and for a family
    /// that this version does not know.
    #[inline]
    #[must_use]
    pub fn icmp_type(&self) -> Option<Type> {
        let (number, _) = self.icmp_type_and_code()?;
        match self.family() {
            Family::Ipv4 => Some(v4::Type(number).into()),
            Family::Ipv6 => Some(v6::Type(number).into()),
            _ => None,
        }
    }

    /// The decoded ICMP message. `None` if there is no ICMP header, and for a family that
    /// this version does not know.
    #[inline(always)]
    #[must_use]
    pub fn icmp(&self) -> Option<Icmp<'a>> {
        let icmp_type = self.icmp_type()?;
        let bytes = self.icmp_bytes()?;
        let len = self.icmp_len();
        let bytes = &bytes[..bytes.len().min(len.unwrap_or(usize::MAX))];
        Some(Icmp::decode(icmp_type, self.header.icmp_code(), bytes, len))
    }

    /// The source address, if it was captured.
    #[inline]
    #[must_use]
    pub fn src(&self) -> Option<IpAddr> {
        self.addresses().map(|(src, _)| src)
    }

    /// The destination address, if it was captured.
    #[inline]
    #[must_use]
    pub fn dst(&self) -> Option<IpAddr> {
        self.addresses().map(|(_, dst)| dst)
    }

    /// The source and destination addresses, if they were captured.
    #[inline]
    #[must_use]
    pub fn addresses(&self) -> Option<(IpAddr, IpAddr)> {
        Ip::decode(self.packet).map(|ip| (ip.src(), ip.dst()))
    }

    /// Time to live (IPv4) or hop limit (IPv6), if it was captured.
    pub fn ttl(&self) -> Option<u8> {
        Ip::decode(self.packet).map(Ip::ttl)
    }

    /// The fragment offset in bytes; 0 for a first fragment, and for a packet that is not
    /// fragmented. `None` if it was not captured.
    #[must_use]
    pub fn fragment_offset(&self) -> Option<u16> {
        match Ip::decode(self.packet)? {
            Ip::V4(header) => Some(header.fragment_offset()),
            Ip::V6(header) => header.extensions(self.packet).fragment_offset(),
        }
    }

    /// The length of the ICMP message in bytes, according to the IP header; padding that
    /// a device added is not counted. `None` for a fragment, and if the IP header was not
    /// captured.
    #[inline]
    fn icmp_len(&self) -> Option<usize> {
        if self.is_fragment() {
            return None;
        }
        let total = match Ip::decode(self.packet)?.total_len() {
            Some(len) => len.min(self.header.origlen()),
            None => self.header.origlen(),
        };
        (total as usize).checked_sub(self.header.icmp_offset().into())
    }

    /// What the kernel knew of the ICMP checksum when it saw the packet:
    /// [`ChecksumState::None`] too if another program captured it.
    #[must_use]
    pub fn checksum_state(&self) -> ChecksumState {
        let state = u32::from(self.header.flags()) & sys::ICMPTAP_CSUM_MASK;
        match state >> sys::ICMPTAP_CSUM_SHIFT {
            sys::ICMPTAP_CSUM_UNNECESSARY => ChecksumState::Unnecessary,
            sys::ICMPTAP_CSUM_COMPLETE => ChecksumState::Complete,
            sys::ICMPTAP_CSUM_PARTIAL => ChecksumState::Partial,
            _ => ChecksumState::None,
        }
    }

    /// The ICMP checksum, computed from the bytes (RFC 792, RFC 4443). Unknown
    /// if bytes are missing, for a fragment, for one that the device was yet to
    /// fill in, and for an IPv6 packet on a source route: the address of its
    /// last destination is in the sum, and not always in the packet. The sum of a
    /// packet with a Home Address option has that address in it (RFC 6275 section
    /// 11.3.1); if the option is not formed as it has to be, it is unknown.
    #[must_use]
    pub fn checksum(&self) -> Checksum {
        if self.is_fragment()
            || self.is_malformed()
            || self.checksum_state() == ChecksumState::Partial
        {
            return Checksum::Unknown;
        }
        let computed = || {
            let ip = Ip::decode(self.packet)?;
            // As the header has it, even if that is more than there was.
            let len = (ip.total_len()? as usize).checked_sub(self.header.icmp_offset().into())?;
            let message = self.icmp_bytes()?.get(..len).filter(|_| len >= 4)?;
            match ip {
                Ip::V4(_) if self.family() == Family::Ipv4 => Some(Checksum::of([message, &[]])),
                Ip::V6(header) if self.family() == Family::Ipv6 => {
                    let pseudo = header.pseudo_header(self.packet, len as u32)?;
                    Some(Checksum::of([message, &pseudo]))
                }
                _ => None,
            }
        };
        computed().unwrap_or(Checksum::Unknown)
    }

    #[inline]
    fn flag(&self, bit: u32) -> bool {
        u32::from(self.header.flags()) & bit != 0
    }
}

/// A VLAN tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vlan {
    /// Priority, drop eligibility and VLAN id, as in the tag.
    pub tci: u16,
    /// Whether it is a service provider's tag (802.1ad) instead of a customer's (802.1Q).
    pub provider: bool,
}

impl Vlan {
    /// The VLAN identifier, 0 to 4,095.
    #[must_use]
    pub fn id(self) -> u16 {
        self.tci & 0x0fff
    }

    /// The priority, 0 to 7.
    #[must_use]
    pub fn priority(self) -> u8 {
        (self.tci >> 13) as u8
    }
}

/// What the kernel knew of a checksum (`skb->ip_summed`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ChecksumState {
    /// Nothing (`CHECKSUM_NONE`).
    None,
    /// The device or the sender guarantees it (`CHECKSUM_UNNECESSARY`).
    Unnecessary,
    /// The device has computed the sum, and nobody has compared it (`CHECKSUM_COMPLETE`).
    Complete,
    /// It is not in the packet yet; the device will insert it (`CHECKSUM_PARTIAL`).
    Partial,
}
