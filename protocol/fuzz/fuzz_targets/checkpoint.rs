//! A device's own checkpoint, as a relay gives it back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use undertone_fuzz::{device, device_id, signed};
use undertone_protocol::codec::Label;
use undertone_protocol::keys::Checkpoint;

fuzz_target!(|data: &[u8]| {
    let Ok(read) = Checkpoint::verify(signed(Label::Checkpoint, 11, data), &device_id(11)) else { return };
    let again = Checkpoint::verify(Checkpoint::issue(&device(11), read.next).signed, &device_id(11));
    assert_eq!(Ok(read.next), again.map(|again| again.next));
});
