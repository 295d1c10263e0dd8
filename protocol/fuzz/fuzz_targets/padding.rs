//! Padding.
#![no_main]

use libfuzzer_sys::fuzz_target;
use undertone_protocol::codec::{pad, padded_len, unpad};

fuzz_target!(|data: &[u8]| {
    if let Ok(content) = unpad(data) {
        assert!(content.len() < data.len());
    }
    let padded = pad(data.to_vec());
    assert_eq!(padded.len(), padded_len(data.len()));
    assert_eq!(unpad(&padded), Ok(data));
});
