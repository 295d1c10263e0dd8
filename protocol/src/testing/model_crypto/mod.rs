//! A deterministic model of Olm and Megolm for the simulation.
//!
//! It behaves as vodozemac does where the protocol can notice: prekeys are used once, prekey messages
//! until an answer came, the same windows of skipped keys, refusal of repeats and of altered bytes, wedged
//! sessions, Megolm's one-way index. It gives **no secrecy**: "Diffie-Hellman" is a hash of the two
//! public keys, and a "signature" a hash that anybody can make.

mod megolm;
mod olm;
mod primitives;

use crate::crypto::{
    AcceptedSession, AccountState, Crypto, CryptoError, ImportedSenderKey, MegolmMessage, MegolmPlaintext,
    OlmMessage, PrekeyInfo, ReceiverKeyState, SenderKeyInfo, SenderKeyState, SessionState,
};
use crate::ids::{CurveKey, OlmSessionId};
use primitives::Draws;

/// The model. Two devices, and two lives of one device, need two seeds: equal seeds make equal keys.
#[derive(Debug)]
pub struct ModelCrypto {
    draws: Draws,
}

impl ModelCrypto {
    /// All that it "draws at random" follows from the seed and the sequence of calls.
    pub const fn new(seed: [u8; 32]) -> Self {
        Self { draws: Draws::new(seed) }
    }
}

impl Crypto for ModelCrypto {
    fn new_account(&mut self) -> AccountState {
        olm::Account::new(&mut self.draws).save()
    }

    fn identity_key(&self, account: &AccountState) -> Result<CurveKey, CryptoError> {
        Ok(olm::Account::load(account)?.identity())
    }

    fn new_prekeys(
        &mut self,
        account: &mut AccountState,
        count: usize,
    ) -> Result<Vec<CurveKey>, CryptoError> {
        let mut opened = olm::Account::load(account)?;
        let created = opened.new_prekeys(&mut self.draws, count);
        *account = opened.save();
        Ok(created)
    }

    fn new_fallback_prekey(&mut self, account: &mut AccountState) -> Result<CurveKey, CryptoError> {
        let mut opened = olm::Account::load(account)?;
        let created = opened.new_fallback(&mut self.draws);
        *account = opened.save();
        Ok(created)
    }

    fn forget_previous_fallback(&mut self, account: &mut AccountState) -> Result<(), CryptoError> {
        let mut opened = olm::Account::load(account)?;
        opened.forget_previous_fallback();
        *account = opened.save();
        Ok(())
    }

    fn open_session(
        &mut self,
        account: &AccountState,
        peer_identity: &CurveKey,
        peer_prekey: &CurveKey,
    ) -> Result<SessionState, CryptoError> {
        let account = olm::Account::load(account)?;
        Ok(olm::Session::open(&mut self.draws, &account, peer_identity, peer_prekey)?.save())
    }

    fn prekey_info(&self, message: &OlmMessage) -> Result<PrekeyInfo, CryptoError> {
        olm::prekey_info(message)
    }

    fn accept_session(
        &mut self,
        account: &mut AccountState,
        peer_identity: &CurveKey,
        message: &OlmMessage,
    ) -> Result<AcceptedSession, CryptoError> {
        let mut opened = olm::Account::load(account)?;
        let accepted = olm::Session::accept(&mut opened, peer_identity, message)?;
        *account = opened.save();
        Ok(accepted)
    }

    fn encrypt(&mut self, session: &mut SessionState, plaintext: &[u8]) -> Result<OlmMessage, CryptoError> {
        let mut opened = olm::Session::load(session)?;
        let message = opened.encrypt(&mut self.draws, plaintext);
        *session = opened.save();
        Ok(message)
    }

    fn decrypt(&mut self, session: &mut SessionState, message: &OlmMessage) -> Result<Vec<u8>, CryptoError> {
        let mut opened = olm::Session::load(session)?;
        let plaintext = opened.decrypt(message)?;
        *session = opened.save();
        Ok(plaintext)
    }

    fn session_id(&self, session: &SessionState) -> Result<OlmSessionId, CryptoError> {
        Ok(olm::Session::load(session)?.id())
    }

    fn new_sender_key(&mut self) -> SenderKeyState {
        megolm::SenderKey::new(&mut self.draws).save()
    }

    fn sender_key_info(&self, sender_key: &SenderKeyState) -> Result<SenderKeyInfo, CryptoError> {
        Ok(megolm::SenderKey::load(sender_key)?.info())
    }

    fn encrypt_message(
        &mut self,
        sender_key: &mut SenderKeyState,
        plaintext: &[u8],
    ) -> Result<MegolmMessage, CryptoError> {
        let mut opened = megolm::SenderKey::load(sender_key)?;
        let message = opened.encrypt(plaintext)?;
        *sender_key = opened.save();
        Ok(message)
    }

    fn import_sender_key(&self, session_key: &[u8]) -> Result<ImportedSenderKey, CryptoError> {
        megolm::import(session_key)
    }

    fn decrypt_message(
        &self,
        receiver: &ReceiverKeyState,
        message: &[u8],
    ) -> Result<MegolmPlaintext, CryptoError> {
        megolm::Receiver::load(receiver)?.decrypt(message)
    }

    fn forget_below(&mut self, receiver: &mut ReceiverKeyState, index: u32) -> Result<(), CryptoError> {
        let mut opened = megolm::Receiver::load(receiver)?;
        opened.forget_below(index);
        *receiver = opened.save();
        Ok(())
    }
}
