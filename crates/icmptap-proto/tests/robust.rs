//! Whatever the bytes are: no panic, and no more work than they warrant. The
//! fuzzer in `fuzz/` has the same function and the same corpus.

use icmptap_proto::{
    icmp::{v4, v6},
    testing::{self, Record, corpus, exercise, messages},
};
use proptest::prelude::*;

#[test]
fn every_message_cut_everywhere() {
    for bytes in corpus() {
        for len in 0..=bytes.len() {
            exercise(&bytes[..len]);
        }
    }
}

#[test]
fn every_message_with_every_byte_damaged() {
    for bytes in corpus() {
        for at in 0..bytes.len() {
            for value in [0, 1, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] = value;
                exercise(&damaged);
            }
        }
    }
}

/// Both families' types that have names, and some that have none.
fn icmp_type() -> impl Strategy<Value = u8> {
    let named = v4::Type::NAMED
        .iter()
        .map(|icmp_type| icmp_type.0)
        .chain(v6::Type::NAMED.iter().map(|icmp_type| icmp_type.0))
        .collect::<Vec<_>>();
    prop_oneof![9 => prop::sample::select(named), 1 => any::<u8>()]
}

proptest! {
    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        exercise(&bytes);
    }

    #[test]
    fn random_messages(
        icmp_type in icmp_type(),
        code: u8,
        // Small numbers are likely lengths and types.
        data in prop::collection::vec(prop_oneof![any::<u8>(), 0u8..10], 0..400),
    ) {
        exercise(&[&[0, 0, icmp_type, code], &data[..]].concat());
    }

    #[test]
    fn damaged_events(
        at in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let messages = messages();
        let records: Vec<Record> =
            [at.get(&messages), at.get(&messages)].map(|(_, record)| record.clone()).into();
        let mut bytes = testing::events(1, 2, 3, &records);
        for (at, value) in damage {
            // nlmsg_len stays, so that what is inside is reached.
            let at = 4 + at.index(bytes.len() - 4);
            bytes[at] = value;
        }
        exercise(&bytes);
        exercise(&bytes[..cut.index(bytes.len())]);
    }
}
