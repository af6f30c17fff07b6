//! Decoding allocates nothing, whatever the event is. Its own program, because the
//! allocator that counts is the whole process's.

use icmptap_proto::{
    event::Batch,
    nlmsg,
    testing::{self, Record, messages, walk},
};

/// Allocations made while everything in the datagram is read, and the number of
/// parts met.
fn read(datagram: &[u8]) -> (u64, usize) {
    let mut parts = 0;
    let info = allocation_counter::measure(|| {
        for message in nlmsg::messages(datagram) {
            let batch = Batch::decode(&message.unwrap().generic().unwrap()).unwrap();
            for event in batch.events() {
                parts += walk(&event.unwrap());
            }
        }
    });
    (info.count_total, parts)
}

#[test]
fn no_event_allocates() {
    for (name, record) in messages() {
        let (allocations, parts) = read(&testing::events(0, 0, 0, &[record]));
        assert_eq!(allocations, 0, "{name}");
        assert!(parts >= 2, "{name}: the hook and the family at least");
    }
}

#[test]
fn no_batch_allocates() {
    let records: Vec<Record> = messages().into_iter().map(|(_, record)| record).collect();
    let (allocations, parts) = read(&testing::events(0, 0, 0, &records));
    assert_eq!(allocations, 0);
    assert!(parts > 3 * records.len(), "{parts}: it walks the lists too");
}

#[test]
fn the_counter_counts() {
    let info = allocation_counter::measure(|| drop(std::hint::black_box(vec![0u8; 10])));
    assert_eq!(info.count_total, 1);
}
