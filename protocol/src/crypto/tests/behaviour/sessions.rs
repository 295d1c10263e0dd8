//! Olm sessions.

use super::Pair;
use crate::crypto::CryptoError;

suite!(
    prekey_messages_until_an_answer,
    a_prekey_serves_once,
    a_fallback_prekey_serves_again_and_says_so,
    old_fallback_prekeys_die,
    only_the_named_identity_may_open,
    a_repeat_is_refused_and_changes_nothing,
    messages_come_out_of_order,
    forty_skipped_messages_are_kept,
    too_many_skipped_wedge_the_chain,
    sessions_of_others_are_refused,
    a_prekey_message_of_another_session_is_refused,
    turns_ratchet,
);

fn prekey_messages_until_an_answer(mut pair: Pair) {
    let (mut alice, mut bob) = pair.opened();
    let id = pair.crypto.session_id(&alice).unwrap();
    assert_eq!(pair.crypto.session_id(&bob).unwrap(), id);
    let second = pair.crypto.encrypt(&mut alice, b"second").unwrap();
    assert!(second.prekey);
    let info = pair.crypto.prekey_info(&second).unwrap();
    assert_eq!((info.session, info.identity), (id, pair.alice_key));
    assert_eq!(pair.crypto.decrypt(&mut bob, &second).unwrap(), b"second");
    let answer = pair.crypto.encrypt(&mut bob, b"answer").unwrap();
    assert_eq!(pair.crypto.prekey_info(&answer), Err(CryptoError::NotPrekey));
    pair.crypto.decrypt(&mut alice, &answer).unwrap();
    let third = pair.crypto.encrypt(&mut alice, b"third").unwrap();
    assert!(!third.prekey);
    assert_eq!(pair.crypto.decrypt(&mut bob, &third).unwrap(), b"third");
}

fn a_prekey_serves_once(mut pair: Pair) {
    let prekeys = pair.crypto.new_prekeys(&mut pair.bob, 2).unwrap();
    assert_ne!(prekeys[0], prekeys[1]);
    let [mut first, mut second] = [pair.open(&prekeys[0]), pair.open(&prekeys[0])];
    let hello = pair.crypto.encrypt(&mut first, b"first").unwrap();
    pair.crypto.accept_session(&mut pair.bob, &pair.alice_key, &hello).unwrap();
    let before = pair.bob.clone();
    let missing = Err(CryptoError::MissingPrekey(prekeys[0]));
    let late = pair.crypto.encrypt(&mut second, b"second").unwrap();
    assert_eq!(pair.crypto.accept_session(&mut pair.bob, &pair.alice_key, &late), missing);
    assert_eq!(pair.crypto.accept_session(&mut pair.bob, &pair.alice_key, &hello), missing);
    assert_eq!(pair.bob, before);
    let mut third = pair.open(&prekeys[1]);
    let hello = pair.crypto.encrypt(&mut third, b"third").unwrap();
    pair.crypto.accept_session(&mut pair.bob, &pair.alice_key, &hello).unwrap();
}

fn a_fallback_prekey_serves_again_and_says_so(mut pair: Pair) {
    let fallback = pair.crypto.new_fallback_prekey(&mut pair.bob).unwrap();
    let [mut first, mut second] = [pair.open(&fallback), pair.open(&fallback)];
    let mut seen = Vec::new();
    for session in [&mut first, &mut second] {
        let hello = pair.crypto.encrypt(session, b"hello").unwrap();
        let accepted = pair.crypto.accept_session(&mut pair.bob, &pair.alice_key, &hello).unwrap();
        assert!(accepted.fallback);
        assert_eq!(accepted.info, pair.crypto.prekey_info(&hello).unwrap());
        // Olm itself takes the repeat, so that the ratchet key is what tells.
        let repeat = pair.crypto.accept_session(&mut pair.bob, &pair.alice_key, &hello).unwrap();
        assert_eq!(repeat.info.ratchet_key, accepted.info.ratchet_key);
        seen.push(accepted.info.ratchet_key);
    }
    assert_ne!(seen[0], seen[1]);
}

fn old_fallback_prekeys_die(mut pair: Pair) {
    let keys: Vec<_> = (0..3).map(|_| pair.crypto.new_fallback_prekey(&mut pair.bob).unwrap()).collect();
    let hellos: Vec<_> = keys
        .iter()
        .map(|key| {
            let mut session = pair.open(key);
            pair.crypto.encrypt(&mut session, b"hello").unwrap()
        })
        .collect();
    let accepts = |pair: &mut Pair, hello| {
        pair.crypto.accept_session(&mut pair.bob, &pair.alice_key, hello).map(|accepted| accepted.plaintext)
    };
    assert_eq!(accepts(&mut pair, &hellos[0]), Err(CryptoError::MissingPrekey(keys[0])));
    assert!(accepts(&mut pair, &hellos[1]).is_ok());
    pair.crypto.forget_previous_fallback(&mut pair.bob).unwrap();
    assert_eq!(accepts(&mut pair, &hellos[1]), Err(CryptoError::MissingPrekey(keys[1])));
    assert!(accepts(&mut pair, &hellos[2]).is_ok());
}

fn only_the_named_identity_may_open(mut pair: Pair) {
    let prekey = pair.crypto.new_prekeys(&mut pair.bob, 1).unwrap()[0];
    let mut session = pair.open(&prekey);
    let hello = pair.crypto.encrypt(&mut session, b"hello").unwrap();
    let result = pair.crypto.accept_session(&mut pair.bob, &pair.bob_key, &hello);
    assert_eq!(result, Err(CryptoError::OtherIdentity));
    assert!(pair.crypto.accept_session(&mut pair.bob, &pair.alice_key, &hello).is_ok());
}

fn a_repeat_is_refused_and_changes_nothing(mut pair: Pair) {
    let (mut alice, mut bob) = pair.established();
    let message = pair.crypto.encrypt(&mut alice, b"once").unwrap();
    assert_eq!(pair.crypto.decrypt(&mut bob, &message).unwrap(), b"once");
    let before = bob.clone();
    assert_eq!(pair.crypto.decrypt(&mut bob, &message), Err(CryptoError::MissingMessageKey(0)));
    assert_eq!(bob, before);
}

fn messages_come_out_of_order(mut pair: Pair) {
    let (mut alice, mut bob) = pair.established();
    let messages: Vec<_> = (0..20u8).map(|text| pair.crypto.encrypt(&mut alice, &[text]).unwrap()).collect();
    for text in [3u8, 0, 19, 7, 1, 18, 2] {
        assert_eq!(pair.crypto.decrypt(&mut bob, &messages[usize::from(text)]).unwrap(), [text]);
        let repeat = pair.crypto.decrypt(&mut bob, &messages[usize::from(text)]);
        assert_eq!(repeat, Err(CryptoError::MissingMessageKey(u64::from(text))));
    }
}

fn forty_skipped_messages_are_kept(mut pair: Pair) {
    let (mut alice, mut bob) = pair.established();
    let messages: Vec<_> = (0..=41u8).map(|text| pair.crypto.encrypt(&mut alice, &[text]).unwrap()).collect();
    pair.crypto.decrypt(&mut bob, &messages[41]).unwrap();
    assert_eq!(pair.crypto.decrypt(&mut bob, &messages[0]), Err(CryptoError::MissingMessageKey(0)));
    for text in 1..=40u8 {
        assert_eq!(pair.crypto.decrypt(&mut bob, &messages[usize::from(text)]).unwrap(), [text]);
    }
}

fn too_many_skipped_wedge_the_chain(mut pair: Pair) {
    let (mut alice, mut bob) = pair.established();
    for _ in 0..2_001 {
        pair.crypto.encrypt(&mut alice, b"lost").unwrap();
    }
    let before = bob.clone();
    let message = pair.crypto.encrypt(&mut alice, b"late").unwrap();
    let error = pair.crypto.decrypt(&mut bob, &message).unwrap_err();
    assert_eq!(error, CryptoError::TooManySkipped { skipped: 2_001, max: 2_000 });
    assert!(error.wants_new_session());
    assert_eq!(bob, before);
}

fn sessions_of_others_are_refused(mut pair: Pair) {
    let (mut alice, _) = pair.established();
    let (_, mut bob) = pair.established();
    let message = pair.crypto.encrypt(&mut alice, b"other").unwrap();
    let before = bob.clone();
    assert_eq!(pair.crypto.decrypt(&mut bob, &message), Err(CryptoError::BadMac));
    assert_eq!(bob, before);
}

fn a_prekey_message_of_another_session_is_refused(mut pair: Pair) {
    let (mut alice, _) = pair.opened();
    let (_, mut bob) = pair.opened();
    let message = pair.crypto.encrypt(&mut alice, b"other").unwrap();
    assert_eq!(pair.crypto.decrypt(&mut bob, &message), Err(CryptoError::OtherSession));
}

fn turns_ratchet(mut pair: Pair) {
    let (mut alice, mut bob) = pair.established();
    // Held back over more turns than receiving chains are kept.
    let old = pair.crypto.encrypt(&mut alice, b"old").unwrap();
    for turn in 0..8u8 {
        let ping = pair.crypto.encrypt(&mut alice, &[turn]).unwrap();
        assert_eq!(pair.crypto.decrypt(&mut bob, &ping).unwrap(), [turn]);
        let pong = pair.crypto.encrypt(&mut bob, &[turn]).unwrap();
        assert_eq!(pair.crypto.decrypt(&mut alice, &pong).unwrap(), [turn]);
        if turn == 2 {
            let mut copy = bob.clone();
            assert_eq!(pair.crypto.decrypt(&mut copy, &old).unwrap(), b"old");
        }
    }
    let error = pair.crypto.decrypt(&mut bob, &old).unwrap_err();
    assert_eq!(error, CryptoError::BadMac);
}
