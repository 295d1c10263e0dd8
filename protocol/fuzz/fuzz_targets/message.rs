//! A conversation message: the bytes as a payload, and as the Megolm message in a payload that is sealed rightly,
//! as any member could.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use undertone_fuzz::{Ratchets, Steps};
use undertone_protocol::crypto::{MegolmMessage, Vodozemac, decrypt_content};

static RATCHETS: LazyLock<Ratchets> = LazyLock::new(undertone_fuzz::recorded::ratchets);

fuzz_target!(|data: &[u8]| {
    let mut steps = Steps(data);
    let Some(index) = steps.byte().map(u32::from) else { return };
    let (key, receiver) = (&RATCHETS.header_key, &RATCHETS.receiver);
    let _ = decrypt_content(&Vodozemac, key, receiver, index, steps.0);
    let message = MegolmMessage { index, bytes: steps.0.to_vec() };
    let Ok(payload) = key.seal(&message) else { return };
    assert_eq!(key.open(index, &payload).as_ref(), Ok(&message.bytes));
    let _ = decrypt_content(&Vodozemac, key, receiver, index, &payload);
});
