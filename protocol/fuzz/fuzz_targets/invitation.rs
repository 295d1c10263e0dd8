//! An invitation: the bytes as a link, and as the body of a link whose checksum is right.
#![no_main]

use data_encoding::BASE64URL_NOPAD;
use libfuzzer_sys::fuzz_target;
use undertone_fuzz::same;
use undertone_protocol::keys::Invitation;

fuzz_target!(|data: &[u8]| {
    if let Ok(link) = std::str::from_utf8(data) {
        check(link);
    }
    let sum = blake3::hash(data);
    let whole = [data, &sum.as_bytes()[..4]].concat();
    check(&format!("undertone:invite/{}", BASE64URL_NOPAD.encode(&whole)));
});

fn check(link: &str) {
    if let Ok(read) = Invitation::parse(link) {
        same(&read, Invitation::parse(&read.to_string()));
    }
}
