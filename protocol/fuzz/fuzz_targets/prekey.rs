//! A one-time prekey, signed by its device.
#![no_main]

use libfuzzer_sys::fuzz_target;
use undertone_fuzz::{device, device_id, signed};
use undertone_protocol::codec::Label;
use undertone_protocol::keys::Prekey;

fuzz_target!(|data: &[u8]| {
    let Ok(read) = Prekey::verify(signed(Label::Prekey, 11, data), &device_id(11)) else { return };
    let again = Prekey::verify(Prekey::issue(&device(11), read.key).signed, &device_id(11));
    assert_eq!(Ok(read.key), again.map(|again| again.key));
});
