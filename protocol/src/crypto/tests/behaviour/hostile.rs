//! What is altered, foreign, weak or corrupt is refused, and changes nothing.

use proptest::prelude::*;

use super::{Pair, on_the_model, on_vodozemac};
use crate::crypto::{AccountState, CryptoError, OlmMessage, ReceiverKeyState, SenderKeyState, SessionState};
use crate::ids::CurveKey;

suite!(
    altered_olm_messages_are_refused,
    altered_prekey_messages_are_refused,
    weak_keys_are_refused,
    corrupt_states_are_refused,
    altered_sender_key_messages_are_refused,
    altered_session_keys_are_refused,
    states_do_not_print,
);

/// Every bit of `good`, flipped, one at a time.
fn flips(good: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..good.len() * 8).map(|bit| {
        let mut bad = good.to_vec();
        bad[bit / 8] ^= 1 << (bit % 8);
        bad
    })
}

/// Every proper beginning of `good`, and `good` with a byte appended.
fn cuts(good: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let longer = [good, &[0]].concat();
    (0..good.len()).map(|length| good[..length].to_vec()).chain([longer])
}

fn altered_olm_messages_are_refused(mut pair: Pair) {
    let (mut alice, bob) = pair.established();
    let good = pair.crypto.encrypt(&mut alice, b"text").unwrap();
    for ciphertext in flips(&good.ciphertext).chain(cuts(&good.ciphertext)) {
        let mut state = bob.clone();
        let bad = OlmMessage { prekey: false, ciphertext };
        assert!(pair.crypto.decrypt(&mut state, &bad).is_err());
        assert_eq!(state, bob);
    }
    let mut state = bob;
    assert_eq!(pair.crypto.decrypt(&mut state, &good).unwrap(), b"text");
}

fn altered_prekey_messages_are_refused(mut pair: Pair) {
    let prekey = pair.crypto.new_prekeys(&mut pair.bob, 1).unwrap()[0];
    let mut alice = pair.open(&prekey);
    let good = pair.crypto.encrypt(&mut alice, b"text").unwrap();
    let before = pair.bob.clone();
    for ciphertext in flips(&good.ciphertext).chain(cuts(&good.ciphertext)) {
        let bad = OlmMessage { prekey: true, ciphertext };
        assert!(pair.crypto.accept_session(&mut pair.bob, &pair.alice_key, &bad).is_err());
        assert_eq!(pair.bob, before);
    }
    let accepted = pair.crypto.accept_session(&mut pair.bob, &pair.alice_key, &good).unwrap();
    let second = pair.crypto.encrypt(&mut alice, b"second").unwrap();
    for ciphertext in flips(&second.ciphertext) {
        let mut state = accepted.session.clone();
        let bad = OlmMessage { prekey: true, ciphertext };
        assert!(pair.crypto.decrypt(&mut state, &bad).is_err());
        assert_eq!(state, accepted.session);
    }
}

fn weak_keys_are_refused(mut pair: Pair) {
    let prekey = pair.crypto.new_prekeys(&mut pair.bob, 1).unwrap()[0];
    let zero = CurveKey::new([0; 32]);
    assert_eq!(pair.crypto.open_session(&pair.alice, &zero, &prekey), Err(CryptoError::WeakKey));
    assert_eq!(pair.crypto.open_session(&pair.alice, &pair.bob_key, &zero), Err(CryptoError::WeakKey));
}

fn corrupt_states_are_refused(mut pair: Pair) {
    let corrupt = |error: CryptoError| matches!(error, CryptoError::CorruptState(_));
    for bytes in [&b""[..], b"{}", b"[1,2]", b"\xff"] {
        let bytes = || zeroize::Zeroizing::new(bytes.to_vec());
        let mut account = AccountState::from_bytes(bytes());
        assert!(corrupt(pair.crypto.identity_key(&account).unwrap_err()));
        assert!(corrupt(pair.crypto.new_prekeys(&mut account, 1).unwrap_err()));
        let mut session = SessionState::from_bytes(bytes());
        assert!(corrupt(pair.crypto.encrypt(&mut session, b"").unwrap_err()));
        let mut sender = SenderKeyState::from_bytes(bytes());
        assert!(corrupt(pair.crypto.encrypt_message(&mut sender, b"").unwrap_err()));
        let receiver = ReceiverKeyState::from_bytes(bytes());
        assert!(corrupt(pair.crypto.decrypt_message(&receiver, b"").unwrap_err()));
    }
}

fn altered_sender_key_messages_are_refused(mut pair: Pair) {
    let mut sender = pair.crypto.new_sender_key();
    let key = pair.crypto.sender_key_info(&sender).unwrap().session_key;
    let receiver = pair.crypto.import_sender_key(&key).unwrap().receiver;
    let good = pair.crypto.encrypt_message(&mut sender, b"text").unwrap().bytes;
    for bad in flips(&good).chain(cuts(&good)) {
        assert!(pair.crypto.decrypt_message(&receiver, &bad).is_err());
    }
    let mut other = pair.crypto.new_sender_key();
    let foreign = pair.crypto.encrypt_message(&mut other, b"text").unwrap();
    assert_eq!(pair.crypto.decrypt_message(&receiver, &foreign.bytes), Err(CryptoError::BadSignature));
}

fn altered_session_keys_are_refused(mut pair: Pair) {
    let sender = pair.crypto.new_sender_key();
    let good = pair.crypto.sender_key_info(&sender).unwrap().session_key;
    for bad in flips(&good).chain(cuts(&good)) {
        assert!(matches!(pair.crypto.import_sender_key(&bad), Err(CryptoError::Malformed(_))));
    }
}

fn states_do_not_print(mut pair: Pair) {
    let (session, _) = pair.opened();
    let sender = pair.crypto.new_sender_key();
    let info = pair.crypto.sender_key_info(&sender).unwrap();
    assert_eq!(
        format!("{:?} {session:?} {sender:?}", pair.bob),
        "AccountState(..) SessionState(..) SenderKeyState(..)"
    );
    assert!(!format!("{info:?}").contains("session_key"));
}

/// Arbitrary bytes to everything that takes a peer's bytes: an answer, no panic, no change.
fn feed(mut pair: Pair, bytes: &[u8]) {
    let (alice, bob) = pair.opened();
    let before = (pair.bob.clone(), alice.clone(), bob.clone());
    for prekey in [true, false] {
        let message = OlmMessage { prekey, ciphertext: bytes.to_vec() };
        let (mut alice, mut bob) = (alice.clone(), bob.clone());
        assert!(pair.crypto.prekey_info(&message).is_err() || prekey);
        assert!(pair.crypto.accept_session(&mut pair.bob, &pair.alice_key, &message).is_err());
        assert!(pair.crypto.decrypt(&mut alice, &message).is_err());
        assert!(pair.crypto.decrypt(&mut bob, &message).is_err());
        assert_eq!((pair.bob.clone(), alice, bob), before);
    }
    assert!(pair.crypto.import_sender_key(bytes).is_err());
    let sender = pair.crypto.new_sender_key();
    let key = pair.crypto.sender_key_info(&sender).unwrap().session_key;
    let receiver = pair.crypto.import_sender_key(&key).unwrap().receiver;
    assert!(pair.crypto.decrypt_message(&receiver, bytes).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400), version in 0u8..5) {
        feed(on_the_model(), &bytes);
        feed(on_vodozemac(), &bytes);
        feed(on_vodozemac(), &[&[version], &bytes[..]].concat());
    }
}
