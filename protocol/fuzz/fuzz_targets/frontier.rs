//! A frontier.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use prost::Message;
use undertone_fuzz::same;
use undertone_protocol::log::Frontier;
use undertone_protocol::wire;

fuzz_target!(|data: &[u8]| {
    let Ok(frontier) = wire::Frontier::decode(Bytes::copy_from_slice(data)) else { return };
    let Ok(read) = Frontier::from_wire(frontier) else { return };
    same(&read, Frontier::from_wire(read.to_wire()));
    let mut last = 0_u64;
    for (device, item) in read.items() {
        assert!(!read.covers(device, 0));
        assert_eq!(read.covers(device, item.last()), item.last() > 0);
        assert!(item.seq <= item.last() && item.count() <= item.last());
        last = last.saturating_add(item.last());
    }
    assert!(read.count() <= last);
});
