//! A request or an accept, signed by its device.
#![no_main]

use libfuzzer_sys::fuzz_target;
use undertone_fuzz::{device, device_id, signed, user};
use undertone_protocol::codec::{Label, Signed};
use undertone_protocol::keys::{Introduction, KeysError};

fuzz_target!(|data: &[u8]| {
    let Ok(read) = verify(signed(Label::Introduction, 11, data)) else { return };
    let again = Introduction::issue(&device(11), read.fields.clone());
    let again = verify(again.signed).expect("what was accepted is accepted again");
    assert_eq!(read.fields, again.fields);
});

fn verify(signed: Signed) -> Result<Introduction, KeysError> {
    Introduction::verify(signed, &user(2), &device_id(12))
}
