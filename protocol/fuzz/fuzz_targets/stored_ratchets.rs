//! Ratchets and entries as a device stored them. Nobody else writes there; still a damaged record must not stop it:
//! each use of it gives an answer or an error, and after an error the state is what it was.
#![no_main]

use std::sync::LazyLock;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use undertone_fuzz::recorded::{self, bytes};
use undertone_fuzz::{Ratchets, Steps};
use undertone_protocol::crypto::{
    AccountState, Crypto, OlmMessage, ReceiverKeyState, SenderKeyState, SessionState, Vodozemac,
};
use undertone_protocol::entry::SignedEntry;

static RATCHETS: LazyLock<Ratchets> = LazyLock::new(recorded::ratchets);
/// An opening message, one after it, and a Megolm message.
static MESSAGES: LazyLock<(OlmMessage, OlmMessage, Vec<u8>)> = LazyLock::new(|| {
    let recorded: Value =
        serde_json::from_str(include_str!("../../vectors/recorded-v1/ratchets.json")).unwrap();
    let olm = |message: &Value| OlmMessage {
        prekey: message["prekey"].as_bool().unwrap(),
        ciphertext: bytes(&message["ciphertext"]),
    };
    let (first, later) = (olm(&recorded["olm"]["first"]), olm(&recorded["olm"]["to_receiver"][2]));
    (first, later, bytes(&recorded["megolm"]["messages"][0]["message"]))
});

fuzz_target!(|data: &[u8]| {
    let mut steps = Steps(data);
    let Some(kind) = steps.byte() else { return };
    match kind % 5 {
        0 => account(AccountState::from_bytes(steps.0.to_vec().into())),
        1 => session(SessionState::from_bytes(steps.0.to_vec().into())),
        2 => sender_key(SenderKeyState::from_bytes(steps.0.to_vec().into())),
        3 => receiver_key(ReceiverKeyState::from_bytes(steps.0.to_vec().into())),
        _ => entry(&mut steps),
    }
});

fn account(stored: AccountState) {
    let (crypto, first) = (&mut Vodozemac, &MESSAGES.0);
    let _ = crypto.identity_key(&stored);
    let unchanged = |failed: bool, after: &AccountState| assert!(!failed || *after == stored);
    let mut after = stored.clone();
    let failed = crypto.new_prekeys(&mut after, 2).is_err();
    unchanged(failed, &after);
    let mut after = stored.clone();
    let failed = crypto.new_fallback_prekey(&mut after).is_err();
    unchanged(failed, &after);
    let mut after = stored.clone();
    let failed = crypto.forget_previous_fallback(&mut after).is_err();
    unchanged(failed, &after);
    let mut after = stored.clone();
    let failed = crypto.accept_session(&mut after, &RATCHETS.peer, first).is_err();
    unchanged(failed, &after);
    if let Ok(mut opened) = crypto.open_session(&stored, &RATCHETS.peer, &RATCHETS.peer) {
        let _ = crypto.encrypt(&mut opened, b"text");
    }
}

fn session(stored: SessionState) {
    let crypto = &mut Vodozemac;
    let _ = crypto.session_id(&stored);
    let mut after = stored.clone();
    if crypto.encrypt(&mut after, b"text").is_err() {
        assert_eq!(after, stored);
    }
    for message in [&MESSAGES.0, &MESSAGES.1] {
        let mut after = stored.clone();
        if crypto.decrypt(&mut after, message).is_err() {
            assert_eq!(after, stored);
        }
    }
}

fn sender_key(stored: SenderKeyState) {
    let crypto = &mut Vodozemac;
    let info = crypto.sender_key_info(&stored);
    let mut after = stored.clone();
    match crypto.encrypt_message(&mut after, b"text") {
        Ok(message) => assert_eq!(Ok(message.index), info.map(|info| info.next_index)),
        Err(_) => assert_eq!(after, stored),
    }
}

fn receiver_key(stored: ReceiverKeyState) {
    let crypto = &mut Vodozemac;
    let _ = crypto.decrypt_message(&stored, &MESSAGES.2);
    let mut after = stored.clone();
    if crypto.forget_below(&mut after, 64).is_err() {
        assert_eq!(after, stored);
    }
    let _ = crypto.decrypt_message(&after, &MESSAGES.2);
}

/// Header, signature and body, as they stand in three columns.
fn entry(steps: &mut Steps<'_>) {
    let Some(header) = steps.chunk() else { return };
    let (header, body) = (Bytes::copy_from_slice(header), Bytes::copy_from_slice(steps.0));
    let Ok(read) = SignedEntry::from_stored(header.clone(), [7; 64], body.clone()) else { return };
    assert_eq!((&read.header_bytes, &read.body.bytes), (&header, &body));
    let again = SignedEntry::from_stored(read.header_bytes.clone(), read.signature, read.body.bytes.clone());
    assert_eq!(again.as_ref(), Ok(&read));
    let _ = read.header.parents().count();
}
