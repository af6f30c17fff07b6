//! Reads captures of icmptap and of other programs.

use std::{collections::VecDeque, io::Read, sync::Arc};

use icmptap_proto::event::{Event, Metadata};

use crate::{
    InterfaceName, NetnsName, ReadError, Session, SessionLost, Totals,
    input::Input,
    link,
    note::Note,
    pcap::reader::Pcap,
    pcapng::reader::{Block, Pcapng},
};

/// An item of a capture, in file order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item {
    /// A file written by icmptap begins or continues: its session, and its file number in a
    /// rotation, from 0.
    Section {
        /// The session of its events.
        session: Session,
        /// 0 unless earlier files have the beginning.
        part: u32,
    },
    /// The name of an interface at capture time. It precedes the interface's first packet.
    Interface(InterfaceName),
    /// The name of a network namespace at capture time. It precedes its first packet.
    Netns(NetnsName),
    /// An ICMP packet.
    Event(Captured),
    /// Lost packets, at the position where they are missing.
    Lost(SessionLost),
    /// The counters at the end of a session.
    Totals {
        /// The session.
        session: Session,
        /// The counters.
        totals: Totals,
    },
    /// Packets that another program, which wrote the capture, reports as lost.
    Dropped {
        /// Number of packets.
        count: u64,
    },
}

/// An ICMP packet of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Captured {
    /// The packet. [`is_tapped`](icmptap_proto::event::EventRef::is_tapped) tells whether the
    /// module saw it.
    pub event: Event,
    /// Its session, if the module saw it.
    pub session: Option<Session>,
    /// Packets that the capture reports as lost before this one. In icmptap's captures: those
    /// lost on the same CPU since its previous packet; they are also [`Item::Lost`].
    pub dropped: u64,
    /// The name of its interface in the capture.
    pub interface: Option<Arc<str>>,
}

/// Packets in a capture other than ICMP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PassedOver {
    /// Packets that are not ICMP.
    pub other_packets: u64,
    /// The unsupported link type of skipped packets; the first one if there are several.
    pub unknown_link: Option<u32>,
}

/// A packet with its link-layer header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub(crate) link_type: u32,
    pub(crate) time_ns: u64,
    pub(crate) original_len: u32,
    pub(crate) bytes: &'a [u8],
}

impl Frame<'_> {
    /// The event of a packet that another program captured. `None`: it is not ICMP.
    fn event(&self) -> Option<Event> {
        let link = link::header(self.link_type, self.bytes)?;
        let packet = self.bytes.get(link.ip..)?;
        let original_len = self.original_len.checked_sub(link.ip as u32)?;
        let (mut metadata, packet) = Metadata::of_packet(self.time_ns, packet, original_len)?;
        if let Some(vlan) = link.vlan {
            metadata = metadata.with_vlan(vlan);
        }
        (metadata.iif, metadata.oif) = (link.iif, link.oif);
        Some(Event::new(&metadata, packet))
    }
}

/// Reads a capture: pcapng or pcap, in either byte order, from a file or a pipe.
///
/// Yields everything before the first damage. If the rest is truncated or damaged, the last
/// item is one error with the position.
#[derive(Debug)]
pub struct Reader<R> {
    input: Input<R>,
    state: State,
    /// Further items of the current block.
    waiting: VecDeque<Item>,
    passed_over: PassedOver,
}

#[derive(Debug)]
enum State {
    Start,
    Pcapng { pcapng: Pcapng, has_start: bool },
    Pcap(Pcap),
    Ended,
}

impl<R: Read> Reader<R> {
    /// Creates a reader. The format is detected when the first item is read.
    pub fn new(read: R) -> Self {
        Self {
            input: Input::new(read),
            state: State::Start,
            waiting: VecDeque::new(),
            passed_over: PassedOver::default(),
        }
    }

    /// Packets that were skipped because they are not ICMP.
    pub fn passed_over(&self) -> PassedOver {
        self.passed_over
    }

    fn open(&mut self) -> Result<State, ReadError> {
        if !self.input.begin(4)? {
            return Err(ReadError::Empty);
        }
        let start = self.input.piece();
        if Pcapng::recognize(start) {
            Ok(State::Pcapng {
                pcapng: Pcapng::new(),
                has_start: true,
            })
        } else if let Some(recognized) = Pcap::recognize(start) {
            Pcap::open(&mut self.input, recognized).map(State::Pcap)
        } else {
            Err(ReadError::NotACapture {
                start: start.to_vec(),
            })
        }
    }

    fn advance(&mut self) -> Result<Option<Item>, ReadError> {
        if let Some(item) = self.waiting.pop_front() {
            return Ok(Some(item));
        }
        loop {
            match &mut self.state {
                State::Start => self.state = self.open()?,
                State::Ended => return Ok(None),
                State::Pcap(pcap) => {
                    let Some(frame) = pcap.next(&mut self.input)? else {
                        return Ok(None);
                    };
                    match frame.event() {
                        Some(event) => {
                            return Ok(Some(Item::Event(Captured {
                                event,
                                session: None,
                                dropped: 0,
                                interface: None,
                            })));
                        }
                        None => self.passed_over.other_packets += 1,
                    }
                }
                State::Pcapng { pcapng, has_start } => {
                    let has_start = std::mem::take(has_start);
                    let Some(block) = pcapng.next(&mut self.input, has_start)? else {
                        return Ok(None);
                    };
                    if let Some(item) = item(block, &mut self.passed_over, &mut self.waiting) {
                        return Ok(Some(item));
                    }
                }
            }
        }
    }
}

/// The items of a pcapng block; none if it is of no interest.
fn item(
    block: Block<'_>,
    passed_over: &mut PassedOver,
    waiting: &mut VecDeque<Item>,
) -> Option<Item> {
    match block {
        Block::Packet {
            frame,
            dropped,
            note: Some(Note::Packet { session, metadata }),
            interface,
        } => {
            let metadata = Metadata {
                time_ns: frame.time_ns,
                original_len: frame.original_len,
                ..metadata
            };
            Some(Item::Event(Captured {
                event: Event::new(&metadata, frame.bytes),
                session,
                dropped,
                interface,
            }))
        }
        Block::Packet {
            frame,
            dropped,
            interface,
            ..
        } => match frame.event() {
            Some(event) => Some(Item::Event(Captured {
                event,
                session: None,
                dropped,
                interface,
            })),
            None => {
                passed_over.other_packets += 1;
                None
            }
        },
        Block::Lost(lost) => Some(Item::Lost(lost)),
        Block::Notes(notes) => {
            waiting.extend(notes.into_iter().filter_map(about));
            waiting.pop_front()
        }
        Block::Dropped(count) => Some(Item::Dropped { count }),
        Block::UnknownLink(link_type) => {
            passed_over.unknown_link.get_or_insert(link_type);
            None
        }
        Block::Other => None,
    }
}

/// The item of a note that is not about a packet.
fn about(note: Note) -> Option<Item> {
    match note {
        Note::Section { session, part } => Some(Item::Section { session, part }),
        Note::Interface(name) => Some(Item::Interface(name)),
        Note::Netns(name) => Some(Item::Netns(name)),
        Note::Totals { session, totals } => Some(Item::Totals { session, totals }),
        Note::Packet { .. } => None,
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Item, ReadError>;

    /// The next item. Iteration ends after an error.
    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.state = State::Ended;
        }
        next
    }
}
