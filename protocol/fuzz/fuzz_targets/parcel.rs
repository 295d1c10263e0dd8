//! A parcel, as both relays read it.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use undertone_fuzz::same;
use undertone_protocol::federation::Parcel;

fuzz_target!(|data: &[u8]| {
    let Ok(read) = Parcel::read(&Bytes::copy_from_slice(data)) else { return };
    same(&read, Parcel::read(&read.encode()));
});
