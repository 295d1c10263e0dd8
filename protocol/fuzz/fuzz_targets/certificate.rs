//! A device certificate, signed by its user.
#![no_main]

use libfuzzer_sys::fuzz_target;
use undertone_fuzz::{identity, same, signed};
use undertone_protocol::codec::Label;
use undertone_protocol::keys::Certificate;

fuzz_target!(|data: &[u8]| {
    let Ok(read) = Certificate::verify(signed(Label::Certificate, 1, data)) else { return };
    let again = Certificate::issue(&identity(), read.device, read.olm_key, read.name.clone(), read.created);
    let again =
        Certificate::verify(again.signed).map(|again| Certificate { signed: read.signed.clone(), ..again });
    same(&read, again);
});
