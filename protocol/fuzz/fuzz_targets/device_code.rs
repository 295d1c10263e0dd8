//! A new device's code: the bytes as text, and as the body of one whose checksum is right.
#![no_main]

use data_encoding::BASE64URL_NOPAD;
use libfuzzer_sys::fuzz_target;
use undertone_fuzz::same;
use undertone_protocol::keys::DeviceCode;

fuzz_target!(|data: &[u8]| {
    if let Ok(code) = std::str::from_utf8(data) {
        check(code);
    }
    let sum = blake3::hash(data);
    let whole = [data, &sum.as_bytes()[..4]].concat();
    check(&format!("undertone:device/{}", BASE64URL_NOPAD.encode(&whole)));
});

fn check(code: &str) {
    if let Ok(read) = DeviceCode::parse(code) {
        same(&read, DeviceCode::parse(&read.to_string()));
    }
}
