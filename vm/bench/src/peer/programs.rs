//! Whole programs, as people run them: what they print goes nowhere.

use super::{Ends, Foreign, Peer, Reader};
use crate::traffic::SNAPLEN;

/// Of the link's header on `lo`, which tcpdump's snaplen counts as well.
const LINK: u32 = 14;
/// icmptap's default, and a larger one.
const BATCHES: [u32; 2] = [3776, 16_064];

pub(super) fn peers() -> Vec<Peer> {
    let snaplen = SNAPLEN + LINK;
    let tcpdump = format!("tcpdump -i lo -Q in -n -Z root -B 4096 -s {snaplen}");
    let listen = |name, output: &str| {
        let command = format!("icmptap listen -n --snaplen {SNAPLEN}{output}");
        BATCHES.map(|batch| peer(name, format!("{command} --batch {batch}"), true))
    };
    let mut peers = vec![
        peer("tcpdump -w", format!("{tcpdump} -w /dev/null icmp"), false),
        peer("tcpdump", format!("{tcpdump} icmp"), true),
    ];
    peers.extend(listen("icmptap listen", ""));
    peers.extend(listen("icmptap listen -o json", " -o json"));
    peers
}

fn peer(name: &'static str, command: String, prints: bool) -> Peer {
    Peer {
        name,
        settings: command.clone(),
        lacks: &[],
        prepare: |_| (),
        reader: Reader::Foreign(Foreign {
            command,
            ready: "listening on",
            prints,
            ends: Ends::Itself,
        }),
    }
}
