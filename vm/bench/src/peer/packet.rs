//! A packet socket with a TPACKET_V3 ring in shared memory and a BPF filter, which is
//! how a fast sniffer captures.
//!
//! On `lo` each packet passes twice; it is taken as it comes in. The mark is not among
//! what such a ring has.

use std::mem::offset_of;
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::{Context, Result};
use icmptap_vm_tests::packet::link_address;
use socket2::{Domain, SockFilter, Socket, Type};

use super::{Field, Peer, Source, comes};
use crate::fold::{Event, Fold};
use crate::sys::{self, Ring};
use crate::traffic::{INTERFACE, SNAPLEN};

/// What all peers have, in bytes.
const MEMORY: u32 = 4 << 20;
const BLOCKS: [u32; 3] = [1 << 16, 1 << 18, 1 << 20];
/// A block that is not full is handed over after so many milliseconds, the fewest
/// there are.
const RETIRE_MS: u32 = 1;
/// When nothing has come for so long, what was dropped is asked for.
const A_WHILE: Duration = Duration::from_millis(200);

pub(super) fn peers() -> Vec<Peer> {
    let peer = |block: u32| Peer {
        lacks: &[Field::Mark],
        ..Peer::new(
            "AF_PACKET",
            format!(
                "TPACKET_V3, {} blocks of {} KiB, BPF",
                MEMORY / block,
                block >> 10
            ),
            move || Ok(Box::new(Sniffer::open(block)?)),
        )
    };
    BLOCKS.map(peer).into()
}

struct Sniffer {
    socket: Socket,
    ring: Ring,
    blocks: usize,
    next: usize,
}

impl Sniffer {
    fn open(block: u32) -> Result<Sniffer> {
        // What the link has in front is not captured; and nothing is until it is bound.
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, None).context("packet socket")?;
        let set = |option, value: u32| {
            sys::set_option(socket.as_fd(), libc::SOL_PACKET, option, &value)
                .with_context(|| format!("option {option}"))
        };
        set(
            libc::PACKET_VERSION,
            libc::tpacket_versions::TPACKET_V3 as u32,
        )?;
        set(libc::PACKET_IGNORE_OUTGOING, 1)?;
        let blocks = MEMORY / block;
        let frame = 256;
        let ring = libc::tpacket_req3 {
            tp_block_size: block,
            tp_block_nr: blocks,
            tp_frame_size: frame,
            tp_frame_nr: MEMORY / frame,
            tp_retire_blk_tov: RETIRE_MS,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        sys::set_option(
            socket.as_fd(),
            libc::SOL_PACKET,
            libc::PACKET_RX_RING,
            &ring,
        )
        .context("PACKET_RX_RING")?;
        socket.attach_filter(&icmp())?;
        socket.bind(&link_address(INTERFACE, libc::ETH_P_IP as u16))?;
        let blocks = blocks as usize;
        Ok(Sniffer {
            ring: Ring::map(socket.as_fd(), block as usize, blocks)?,
            socket,
            blocks,
            next: 0,
        })
    }
}

/// Keeps the beginning of packets of ICMP's protocol number.
fn icmp() -> [SockFilter; 4] {
    const PROTOCOL: u32 = 9;
    let add = |code: u32, yes, no, k| SockFilter::new(code as u16, yes, no, k);
    [
        add(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, 0, PROTOCOL),
        add(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            0,
            1,
            libc::IPPROTO_ICMP.cast_unsigned(),
        ),
        add(libc::BPF_RET | libc::BPF_K, 0, 0, SNAPLEN),
        add(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
    ]
}

impl Source for Sniffer {
    fn read(&mut self, fold: &mut Fold, count: u64) -> Result<()> {
        while !fold.is_complete(count) {
            if let Some(block) = self.ring.block(self.next) {
                take(block, fold)?;
                self.ring.give_back(self.next);
                self.next = (self.next + 1) % self.blocks;
                continue;
            }
            if !comes(&self.socket, A_WHILE)? {
                fold.lost += u64::from(sys::take_drops(self.socket.as_fd())?);
            }
        }
        Ok(())
    }
}

/// Folds a block's packets.
fn take(block: &[u8], fold: &mut Fold) -> Result<()> {
    const HEADER: usize = offset_of!(libc::tpacket_block_desc, hdr);
    const LINK: usize = (size_of::<libc::tpacket3_hdr>()).next_multiple_of(libc::TPACKET_ALIGNMENT);
    let field = |at| u32_at(block, HEADER + at);
    let packets = field(offset_of!(libc::tpacket_hdr_v1, num_pkts));
    let mut at = field(offset_of!(libc::tpacket_hdr_v1, offset_to_first_pkt)) as usize;
    for _ in 0..packets {
        let entry = block.get(at..).context("a packet beyond its block")?;
        let field = |at| u32_at(entry, at);
        let seconds = field(offset_of!(libc::tpacket3_hdr, tp_sec));
        let net = u16_at(entry, offset_of!(libc::tpacket3_hdr, tp_net));
        let caplen = field(offset_of!(libc::tpacket3_hdr, tp_snaplen));
        let packet = entry.get(usize::from(net)..).context("no packet")?;
        let packet = packet
            .get(..caplen as usize)
            .context("a packet that is cut")?;
        let header_len = usize::from(packet[0] & 0xf) * 4;
        fold.add(&Event {
            time_ns: u64::from(seconds) * 1_000_000_000
                + u64::from(field(offset_of!(libc::tpacket3_hdr, tp_nsec))),
            interface: field(LINK + offset_of!(libc::sockaddr_ll, sll_ifindex)),
            mark: 0,
            len: field(offset_of!(libc::tpacket3_hdr, tp_len)),
            caplen,
            src: u32::from_be(u32_at(packet, 12)),
            dst: u32::from_be(u32_at(packet, 16)),
            icmp_type: packet[header_len],
        });
        at += field(offset_of!(libc::tpacket3_hdr, tp_next_offset)) as usize;
    }
    Ok(())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}
