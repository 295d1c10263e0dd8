//! Megolm: the bytes as a session key, and as a message to a recorded receiver.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use undertone_fuzz::Ratchets;
use undertone_protocol::crypto::{Crypto, Vodozemac};

static RATCHETS: LazyLock<Ratchets> = LazyLock::new(undertone_fuzz::recorded::ratchets);

fuzz_target!(|data: &[u8]| {
    let mut crypto = Vodozemac;
    if let Ok(mut imported) = crypto.import_sender_key(data) {
        crypto
            .forget_below(&mut imported.receiver, imported.first_index)
            .expect("an imported key can be read");
    }
    let _ = crypto.decrypt_message(&RATCHETS.receiver, data);
});
