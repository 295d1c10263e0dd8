//! An Olm message to a recorded account and session. What is refused changes nothing, and what is accepted leaves
//! a state that can be read. (vodozemac skips its authentication codes when it is built for fuzzing, so that what
//! lies behind them gets reached: altered messages pass here.)
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
    decrypt(&message);
    accept(&message);
});

fn decrypt(message: &OlmMessage) {
    let mut session = RATCHETS.session.clone();
    match Vodozemac.decrypt(&mut session, message) {
        Ok(_) => assert!(Vodozemac.session_id(&session).is_ok()),
        Err(_) => assert_eq!(session, RATCHETS.session),
    }
}

fn accept(message: &OlmMessage) {
    let mut account = RATCHETS.account.clone();
    match Vodozemac.accept_session(&mut account, &RATCHETS.peer, message) {
        Ok(accepted) => assert_eq!(Vodozemac.session_id(&accepted.session), Ok(accepted.info.session)),
        Err(_) => assert_eq!(account, RATCHETS.account),
    }
}
