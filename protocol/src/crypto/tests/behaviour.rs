//! What every implementation of [`Crypto`] must do: the same tests for vodozemac and for the model.

use proptest::prelude::*;

use crate::crypto::*;
use crate::ids::CurveKey;
use crate::testing::ModelCrypto;

/// Two devices that know each other's identity keys.
struct Pair {
    crypto: Box<dyn Crypto>,
    alice: AccountState,
    bob: AccountState,
    alice_key: CurveKey,
    bob_key: CurveKey,
}

fn pair(mut crypto: Box<dyn Crypto>) -> Pair {
    let (alice, bob) = (crypto.new_account(), crypto.new_account());
    let alice_key = crypto.identity_key(&alice).unwrap();
    let bob_key = crypto.identity_key(&bob).unwrap();
    assert_ne!(alice_key, bob_key);
    Pair { crypto, alice, bob, alice_key, bob_key }
}

impl Pair {
    /// A session of Alice's to one of Bob's prekeys.
    fn open(&mut self, prekey: &CurveKey) -> SessionState {
        self.crypto.open_session(&self.alice, &self.bob_key, prekey).unwrap()
    }

    /// Both ends of a session; nobody has answered.
    fn opened(&mut self) -> (SessionState, SessionState) {
        let prekey = self.crypto.new_prekeys(&mut self.bob, 1).unwrap()[0];
        let mut alice = self.open(&prekey);
        let hello = self.crypto.encrypt(&mut alice, b"hello").unwrap();
        let accepted = self.crypto.accept_session(&mut self.bob, &self.alice_key, &hello).unwrap();
        assert_eq!(accepted.plaintext, b"hello");
        assert!(!accepted.fallback);
        (alice, accepted.session)
    }

    /// Both ends of a session after an answer.
    fn established(&mut self) -> (SessionState, SessionState) {
        let (mut alice, mut bob) = self.opened();
        let answer = self.crypto.encrypt(&mut bob, b"answer").unwrap();
        assert!(!answer.prekey);
        assert_eq!(self.crypto.decrypt(&mut alice, &answer).unwrap(), b"answer");
        (alice, bob)
    }
}

macro_rules! suite {
    ($($test:ident),* $(,)?) => {
        mod vodozemac {
            $(#[test] fn $test() { super::$test(super::pair(Box::new(super::Vodozemac))); })*
        }
        mod model {
            $(#[test] fn $test() { super::$test(super::pair(Box::new(super::ModelCrypto::new([7; 32])))); })*
        }
    };
}

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
    altered_olm_messages_are_refused,
    altered_prekey_messages_are_refused,
    weak_keys_are_refused,
    corrupt_states_are_refused,
    sender_keys_ratchet_one_way,
    sender_key_messages_repeat,
    indices_can_be_forgotten,
    altered_sender_key_messages_are_refused,
    altered_session_keys_are_refused,
    states_do_not_print,
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

fn sender_keys_ratchet_one_way(mut pair: Pair) {
    let crypto = &mut pair.crypto;
    let mut sender = crypto.new_sender_key();
    let early = crypto.import_sender_key(&crypto.sender_key_info(&sender).unwrap().session_key).unwrap();
    assert_eq!(early.first_index, 0);
    let messages: Vec<_> =
        (0..5u8).map(|text| crypto.encrypt_message(&mut sender, &[text]).unwrap()).collect();
    let info = crypto.sender_key_info(&sender).unwrap();
    assert_eq!(info.next_index, 5);
    assert_eq!(info.session_key.len(), SESSION_KEY_BYTES);
    let late = crypto.import_sender_key(&info.session_key).unwrap();
    assert_eq!((late.session, late.first_index), (early.session, 5));
    for (index, message) in (0..5u32).zip(&messages).rev() {
        assert_eq!(message.index, index);
        let plaintext = vec![u8::try_from(index).unwrap()];
        let opened = crypto.decrypt_message(&early.receiver, &message.bytes);
        assert_eq!(opened, Ok(MegolmPlaintext { index, plaintext }));
        let unknown = Err(CryptoError::UnknownIndex { first: 5, index });
        assert_eq!(crypto.decrypt_message(&late.receiver, &message.bytes), unknown);
    }
    let next = crypto.encrypt_message(&mut sender, b"next").unwrap();
    assert_eq!(crypto.decrypt_message(&late.receiver, &next.bytes).unwrap().plaintext, b"next");
}

fn sender_key_messages_repeat(mut pair: Pair) {
    let mut sender = pair.crypto.new_sender_key();
    let key = pair.crypto.sender_key_info(&sender).unwrap().session_key;
    let receiver = pair.crypto.import_sender_key(&key).unwrap().receiver;
    let message = pair.crypto.encrypt_message(&mut sender, b"again").unwrap();
    for _ in 0..2 {
        assert_eq!(pair.crypto.decrypt_message(&receiver, &message.bytes).unwrap().plaintext, b"again");
    }
}

fn indices_can_be_forgotten(mut pair: Pair) {
    let mut sender = pair.crypto.new_sender_key();
    let key = pair.crypto.sender_key_info(&sender).unwrap().session_key;
    let mut receiver = pair.crypto.import_sender_key(&key).unwrap().receiver;
    let messages: Vec<_> =
        (0..3u8).map(|text| pair.crypto.encrypt_message(&mut sender, &[text]).unwrap()).collect();
    pair.crypto.forget_below(&mut receiver, 2).unwrap();
    pair.crypto.forget_below(&mut receiver, 1).unwrap();
    let unknown = Err(CryptoError::UnknownIndex { first: 2, index: 1 });
    assert_eq!(pair.crypto.decrypt_message(&receiver, &messages[1].bytes), unknown);
    assert_eq!(pair.crypto.decrypt_message(&receiver, &messages[2].bytes).unwrap().plaintext, [2]);
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

#[test]
fn one_seed_makes_one_model() {
    let run = |seed| {
        let mut crypto = ModelCrypto::new([seed; 32]);
        let mut sender = crypto.new_sender_key();
        let message = crypto.encrypt_message(&mut sender, b"text").unwrap();
        (crypto.new_account(), sender, message)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
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
        feed(pair(Box::new(ModelCrypto::new([3; 32]))), &bytes);
        feed(pair(Box::new(Vodozemac)), &bytes);
        feed(pair(Box::new(Vodozemac)), &[&[version], &bytes[..]].concat());
    }
}
