//! An entry's body.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use undertone_fuzz::same;
use undertone_protocol::entry::{Act, Annotation, Content, EntryBody};
use undertone_protocol::limits::{MENTIONS_MAX, REACTION_BYTES_MAX, TEXT_BYTES_MAX};

fuzz_target!(|data: &[u8]| {
    let Ok(read) = EntryBody::from_bytes(Bytes::copy_from_slice(data)) else { return };
    if let Content::Text(text) = &read.content {
        assert!((1..=TEXT_BYTES_MAX).contains(&text.text.len()));
        assert!(text.mentions.is_sorted() && text.mentions.len() <= MENTIONS_MAX);
    }
    if let Content::Annotation(Annotation { act: Act::Reaction(reaction), .. }) = &read.content {
        assert!(reaction.len() <= REACTION_BYTES_MAX);
    }
    assert_eq!(read.hash(), *blake3::hash(data).as_bytes());
    same(&read, EntryBody::from_bytes(read.bytes.clone()));
});
