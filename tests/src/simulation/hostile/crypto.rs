//! What it says and hears goes through its hands here; all else is as with anybody.

use undertone_protocol::crypto::{
    AcceptedSession, AccountState, Crypto, CryptoError, ImportedSenderKey, MegolmMessage, MegolmPlaintext,
    OlmMessage, PrekeyInfo, ReceiverKeyState, SenderKeyInfo, SenderKeyState, SessionState,
};
use undertone_protocol::ids::{CurveKey, OlmSessionId};

use super::HostileCrypto;

impl Crypto for HostileCrypto {
    fn encrypt(&mut self, session: &mut SessionState, plaintext: &[u8]) -> Result<OlmMessage, CryptoError> {
        let instead = self.instead_of_pairwise(plaintext);
        self.inner.encrypt(session, instead.as_deref().unwrap_or(plaintext))
    }

    fn encrypt_message(
        &mut self,
        sender_key: &mut SenderKeyState,
        plaintext: &[u8],
    ) -> Result<MegolmMessage, CryptoError> {
        let instead = self.instead_of_entry(plaintext);
        self.inner.encrypt_message(sender_key, instead.as_deref().unwrap_or(plaintext))
    }

    fn decrypt_message(
        &self,
        receiver: &ReceiverKeyState,
        message: &[u8],
    ) -> Result<MegolmPlaintext, CryptoError> {
        let decrypted = self.inner.decrypt_message(receiver, message)?;
        self.hear(&decrypted.plaintext);
        Ok(decrypted)
    }

    fn new_account(&mut self) -> AccountState {
        self.inner.new_account()
    }

    fn identity_key(&self, account: &AccountState) -> Result<CurveKey, CryptoError> {
        self.inner.identity_key(account)
    }

    fn new_prekeys(
        &mut self,
        account: &mut AccountState,
        count: usize,
    ) -> Result<Vec<CurveKey>, CryptoError> {
        self.inner.new_prekeys(account, count)
    }

    fn new_fallback_prekey(&mut self, account: &mut AccountState) -> Result<CurveKey, CryptoError> {
        self.inner.new_fallback_prekey(account)
    }

    fn forget_previous_fallback(&mut self, account: &mut AccountState) -> Result<(), CryptoError> {
        self.inner.forget_previous_fallback(account)
    }

    fn open_session(
        &mut self,
        account: &AccountState,
        peer_identity: &CurveKey,
        peer_prekey: &CurveKey,
    ) -> Result<SessionState, CryptoError> {
        self.inner.open_session(account, peer_identity, peer_prekey)
    }

    fn prekey_info(&self, message: &OlmMessage) -> Result<PrekeyInfo, CryptoError> {
        self.inner.prekey_info(message)
    }

    fn accept_session(
        &mut self,
        account: &mut AccountState,
        peer_identity: &CurveKey,
        message: &OlmMessage,
    ) -> Result<AcceptedSession, CryptoError> {
        self.inner.accept_session(account, peer_identity, message)
    }

    fn decrypt(&mut self, session: &mut SessionState, message: &OlmMessage) -> Result<Vec<u8>, CryptoError> {
        let plaintext = self.inner.decrypt(session, message)?;
        Ok(self.without_own(&plaintext).unwrap_or(plaintext))
    }

    fn session_id(&self, session: &SessionState) -> Result<OlmSessionId, CryptoError> {
        self.inner.session_id(session)
    }

    fn new_sender_key(&mut self) -> SenderKeyState {
        self.inner.new_sender_key()
    }

    fn sender_key_info(&self, sender_key: &SenderKeyState) -> Result<SenderKeyInfo, CryptoError> {
        self.inner.sender_key_info(sender_key)
    }

    fn import_sender_key(&self, session_key: &[u8]) -> Result<ImportedSenderKey, CryptoError> {
        self.inner.import_sender_key(session_key)
    }

    fn forget_below(&mut self, receiver: &mut ReceiverKeyState, index: u32) -> Result<(), CryptoError> {
        self.inner.forget_below(receiver, index)
    }
}
