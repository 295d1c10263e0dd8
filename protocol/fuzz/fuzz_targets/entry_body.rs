//! An entry's body.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use undertone_fuzz::same;
use undertone_protocol::entry::{Content, EntryBody};
use undertone_protocol::limits::TEXT_BYTES_MAX;

fuzz_target!(|data: &[u8]| {
    let Ok(read) = EntryBody::from_bytes(Bytes::copy_from_slice(data)) else { return };
    if let Content::Text(text) = &read.content {
        assert!((1..=TEXT_BYTES_MAX).contains(&text.len()));
    }
    assert_eq!(read.hash(), *blake3::hash(data).as_bytes());
    same(&read, EntryBody::from_bytes(read.bytes.clone()));
});
