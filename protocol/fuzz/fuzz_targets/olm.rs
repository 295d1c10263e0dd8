//! An Olm message to a recorded account and session. What is refused changes nothing.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use undertone_fuzz::{Ratchets, Steps};
use undertone_protocol::crypto::{Crypto, OlmMessage, Vodozemac};

static RATCHETS: LazyLock<Ratchets> = LazyLock::new(undertone_fuzz::recorded::ratchets);

fuzz_target!(|data: &[u8]| {
    let mut steps = Steps(data);
    let Some(kind) = steps.byte() else { return };
    let message = OlmMessage { prekey: kind % 2 == 0, ciphertext: steps.0.to_vec() };
    let genuine = RATCHETS.messages.contains(&message);

    let mut session = RATCHETS.session.clone();
    if Vodozemac.decrypt(&mut session, &message).is_err() {
        assert_eq!(session, RATCHETS.session);
    } else {
        assert!(genuine, "a message that nobody made");
    }
    let mut account = RATCHETS.account.clone();
    let accepted = Vodozemac.accept_session(&mut account, &RATCHETS.peer, &message);
    if accepted.is_err() {
        assert_eq!(account, RATCHETS.account);
    } else {
        assert!(genuine, "a session that nobody opened");
    }
});
