//! What every implementation of [`Crypto`] must do: the same tests for vodozemac and for the model.

use crate::crypto::{AccountState, Crypto, SessionState, Vodozemac};
use crate::ids::CurveKey;
use crate::testing::ModelCrypto;

/// Makes a test of each function, for both implementations.
macro_rules! suite {
    ($($test:ident),* $(,)?) => {
        mod vodozemac {
            $(#[test] fn $test() { super::$test(super::super::on_vodozemac()); })*
        }
        mod model {
            $(#[test] fn $test() { super::$test(super::super::on_the_model()); })*
        }
    };
}

mod hostile;
mod sender_keys;
mod sessions;

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

fn on_vodozemac() -> Pair {
    pair(Box::new(Vodozemac))
}

fn on_the_model() -> Pair {
    pair(Box::new(ModelCrypto::new([7; 32])))
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
