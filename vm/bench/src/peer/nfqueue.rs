//! NFQUEUE, by libnetfilter_queue (`c/nfqueue.c`): a rule of nftables has each packet
//! wait for a verdict, which is that it goes on.

use icmptap_vm_tests::net::Namespace;

use super::{Peer, Reader};

const QUEUE: u32 = 5;
/// Packets in one verdict.
const VERDICTS: [u32; 2] = [1, 64];

pub(super) fn peers() -> Vec<Peer> {
    let peer = |verdicts: u32| Peer {
        name: "NFQUEUE",
        settings: format!("accept all, a verdict for {verdicts}"),
        lacks: &[],
        prepare,
        reader: Reader::Program(format!("bench-nfqueue {QUEUE} {verdicts}")),
    };
    VERDICTS.map(peer).into()
}

fn prepare(namespace: &Namespace) {
    super::rule(namespace, &format!("queue num {QUEUE}"));
}
