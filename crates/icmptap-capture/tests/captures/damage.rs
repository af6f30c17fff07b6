//! Captures that are cut, damaged or made to do harm.

use crate::common::{capture, pcap, read};
use icmptap_capture::{Item, ReadError, Reader};
use proptest::{collection::vec, prelude::*};

/// Where blocks end, with the file's start.
fn ends(bytes: &[u8]) -> Vec<usize> {
    let word = |at: usize| u32::from_le_bytes(*bytes[at..].first_chunk().unwrap()) as usize;
    let mut ends = vec![0];
    while let Some(end) = ends.last().copied().filter(|end| *end < bytes.len()) {
        let len = match bytes[0] {
            // pcapng
            0x0a => word(end + 4),
            _ if end == 0 => 24,
            _ => 16 + word(end + 8),
        };
        ends.push(end + len);
    }
    ends
}

#[test]
fn what_is_whole_is_given_and_the_place_of_the_cut_is_said() {
    for bytes in [capture(), pcap()] {
        let ends = ends(&bytes);
        assert_eq!(ends.last(), Some(&bytes.len()));
        let (all, error) = read(&bytes);
        assert!(error.is_none() && all.len() >= 3);
        for cut in 0..bytes.len() {
            let (items, error) = read(&bytes[..cut]);
            assert_eq!(items, all[..items.len()], "cut at {cut}");
            let start = ends.iter().rev().find(|end| **end <= cut).unwrap();
            match error {
                Some(ReadError::Empty) => assert_eq!(cut, 0),
                Some(ReadError::NotACapture { .. }) => assert!((1..4).contains(&cut)),
                Some(ReadError::Cut {
                    offset, missing, ..
                }) => {
                    assert_eq!(offset as usize, *start, "cut at {cut}");
                    // Of a block whose length is not there, only that is missing.
                    assert!(missing > 0 && ends.iter().any(|end| cut + missing as usize <= *end));
                }
                None => assert_eq!(cut, *start),
                Some(error) => panic!("cut at {cut}: {error}"),
            }
        }
    }
}

#[test]
fn after_an_error_it_ends() {
    let bytes = capture();
    let mut reader = Reader::new(&bytes[..bytes.len() - 5]);
    let last = reader.by_ref().last().unwrap();
    let error = last.unwrap_err().to_string();
    assert!(
        error.starts_with("it ends in a statistics block at byte ")
            && error.ends_with(": 5 more bytes should follow"),
        "{error}"
    );
    assert!(reader.next().is_none());
}

/// A length that is too long takes no memory, and is an error at its place.
#[test]
fn a_hostile_length_is_refused() {
    let mut bytes = capture();
    let second = ends(&bytes)[1];
    let claim = |bytes: &mut Vec<u8>, len: u32| {
        bytes[second + 4..second + 8].copy_from_slice(&len.to_le_bytes());
        read(bytes).1.unwrap().to_string()
    };
    let at = |rest: &str| format!("an interface block at byte {second}: its length is {rest}");
    assert_eq!(
        claim(&mut bytes, 0xffff_fffc),
        at("4294967292, and no program writes more than 16777216")
    );
    assert_eq!(
        claim(&mut bytes, 30),
        at("30, and should be a multiple of 4 and 12 at least")
    );
    assert_eq!(
        claim(&mut bytes, 8),
        at("8, and should be a multiple of 4 and 12 at least")
    );
    let error = claim(&mut bytes, 16 << 20);
    assert!(
        error.starts_with(&format!("it ends in an interface block at byte {second}: ")),
        "{error}"
    );

    let mut bytes = pcap();
    bytes[24 + 8..24 + 12].copy_from_slice(&0x7fff_ffffu32.to_le_bytes());
    assert_eq!(
        read(&bytes).1.unwrap().to_string(),
        "a packet at byte 24: it has 2147483647 bytes, and no program keeps more than 262144"
    );
}

/// Of a block that nobody needs, only the length is looked at, however long it is.
#[test]
fn unknown_blocks_are_passed_over() {
    let ours = capture();
    let first = ends(&ours)[1];
    let len = 40u32 << 20;
    let mut bytes = ours[..first].to_vec();
    bytes.extend(0x0bad_u32.to_le_bytes());
    bytes.extend(len.to_le_bytes());
    bytes.resize(bytes.len() + len as usize - 12, 7);
    bytes.extend(len.to_le_bytes());
    let end = bytes.len();
    bytes.extend(&ours[first..]);
    let (items, error) = read(&bytes);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(items, read(&ours).0);
    bytes[end - 4] ^= 4;
    let error = read(&bytes).1.unwrap().to_string();
    assert!(
        error.starts_with(&format!("a block at byte {first}: ")),
        "{error}"
    );
    let cut = read(&bytes[..end - 5]).1.unwrap();
    assert!(matches!(cut, ReadError::Cut { missing: 5, .. }), "{cut}");
}

#[test]
fn what_is_no_capture_is_said_to_be_none() {
    assert_eq!(read(b"").1.unwrap().to_string(), "it is empty");
    assert_eq!(
        read(b"\x1f\x8b\x08\0 packed").1.unwrap().to_string(),
        "this is neither pcapng nor pcap: it starts with 1f 8b 08 00"
    );
    let mut wireless = pcap();
    wireless[20] = 127;
    let error = read(&wireless).1.unwrap().to_string();
    assert!(
        error.starts_with("its packets have headers of link type 127, "),
        "{error}"
    );
}

/// One bit: another event, or an error, and no event is made of nothing.
#[test]
fn a_flipped_bit_does_no_harm() {
    let bytes = capture();
    let (all, _) = read(&bytes);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let (items, error) = read(&damaged);
            assert!(items.len() <= all.len(), "byte {at}, bit {bit}");
            if let Some(error) = error {
                assert!(!error.to_string().is_empty());
            }
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..400), kind in 0..5usize) {
        let starts = [
            &[][..],
            &[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0],
            &[0x0a, 0x0d, 0x0d, 0x0a, 0, 0, 0, 28, 0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0],
            &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0],
            &[0xa1, 0xb2, 0x3c, 0x4d, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 113],
        ];
        let all = [starts[kind], &bytes].concat();
        exercise(&all);
    }

    #[test]
    fn damaged_captures_never_panic(changes in vec((any::<usize>(), any::<u8>()), 1..20)) {
        for mut bytes in [capture(), pcap()] {
            for (at, byte) in &changes {
                let at = at % bytes.len();
                bytes[at] = *byte;
            }
            exercise(&bytes);
        }
    }
}

/// Asks everything of what is read.
fn exercise(bytes: &[u8]) {
    for item in Reader::new(bytes) {
        match item {
            Ok(Item::Event(captured)) => {
                icmptap_proto::testing::walk(&captured.event.as_ref());
            }
            Ok(item) => assert!(!format!("{item:?}").is_empty()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}
