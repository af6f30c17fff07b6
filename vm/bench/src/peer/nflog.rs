//! NFLOG, by libnetfilter_log (`c/nflog.c`): a rule of nftables logs to a group.

use icmptap_vm_tests::net::Namespace;

use super::{Peer, Reader};
use crate::traffic::SNAPLEN;

const GROUP: u32 = 5;
/// Events until a message is sent, and bytes of a message: one event in each; what is
/// often recommended; and as many as find room, in what fills a slab bucket.
const SETTINGS: [(u32, u32); 5] = [
    (1, 4096),
    (64, 16 << 10),
    (1000, 3776),
    (1000, 16_064),
    (1000, 65_216),
];

pub(super) fn peers() -> Vec<Peer> {
    let peer = |(threshold, buffer): (u32, u32)| Peer {
        name: "NFLOG",
        settings: format!("qthreshold {threshold}, nlbufsiz {buffer}"),
        lacks: &[],
        prepare,
        reader: Reader::Program(format!("bench-nflog {GROUP} {threshold} {buffer}")),
    };
    SETTINGS.map(peer).into()
}

fn prepare(namespace: &Namespace) {
    super::rule(namespace, &format!("log group {GROUP} snaplen {SNAPLEN}"));
}
