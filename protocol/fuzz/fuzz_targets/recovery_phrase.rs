//! A recovery phrase as somebody types it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use undertone_protocol::keys::{IdentityKey, RecoveryPhrase};

fuzz_target!(|words: &str| {
    let Ok(phrase) = RecoveryPhrase::parse(words) else { return };
    let again = RecoveryPhrase::parse(&phrase.words()).expect("the words of a phrase are a phrase");
    assert_eq!(IdentityKey::from_phrase(&phrase).user(), IdentityKey::from_phrase(&again).user());
});
