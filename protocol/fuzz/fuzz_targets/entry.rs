//! A sealed entry: as it comes, and with its header bound to its body and signed anew.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use prost::Message;
use undertone_fuzz::{same, signed};
use undertone_protocol::codec::Label;
use undertone_protocol::entry::SignedEntry;
use undertone_protocol::wire;

fuzz_target!(|data: &[u8]| {
    let Ok(sealed) = wire::SealedEntry::decode(Bytes::copy_from_slice(data)) else { return };
    check(sealed.clone());
    check(bound(sealed));
});

fn check(sealed: wire::SealedEntry) {
    let Ok(read) = SignedEntry::verify(sealed) else { return };
    assert!(read.header.parents().count() <= read.header.heads.len() + 1);
    same(&read, SignedEntry::verify(read.to_wire()));
    same(&read, SignedEntry::from_stored(read.header_bytes.clone(), read.signature, read.body.bytes.clone()));
}

fn bound(mut sealed: wire::SealedEntry) -> wire::SealedEntry {
    if let Ok(mut header) = wire::EntryHeader::decode(sealed.header.clone()) {
        header.body_hash = Bytes::copy_from_slice(blake3::hash(&sealed.body).as_bytes());
        sealed.header = header.encode_to_vec().into();
    }
    sealed.signature = Bytes::copy_from_slice(&signed(Label::Entry, 11, &sealed.header).signature);
    sealed
}
