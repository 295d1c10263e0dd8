use data_encoding::BASE64_NOPAD;
use vodozemac::megolm::{
    self, GroupSession, GroupSessionPickle, InboundGroupSession, InboundGroupSessionPickle, SessionKey,
};
use vodozemac::olm::{self, Account, AccountPickle, PreKeyMessage, Session, SessionPickle};
use vodozemac::{Curve25519PublicKey, DecodeError};
use zeroize::Zeroizing;

use super::ratchet::{
    AcceptedSession, AccountState, Crypto, ImportedSenderKey, MegolmMessage, MegolmPlaintext, OlmMessage,
    PrekeyInfo, ReceiverKeyState, SenderKeyInfo, SenderKeyState, SessionState,
};
use super::state_bytes::{load, save};
use super::{CryptoError, SESSION_KEY_BYTES};
use crate::codec::Malformed;
use crate::ids::{CurveKey, OlmSessionId, SessionId};

/// Olm and Megolm by vodozemac, with full 32-byte authentication codes (its version 2 of both). Draws
/// its randomness from the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct Vodozemac;

const fn olm_config() -> olm::SessionConfig {
    olm::SessionConfig::version_2()
}

const fn megolm_config() -> megolm::SessionConfig {
    megolm::SessionConfig::version_2()
}

impl Crypto for Vodozemac {
    #[expect(clippy::disallowed_methods, reason = "the one place that may draw OS randomness")]
    fn new_account(&mut self) -> AccountState {
        save_account(&Account::new())
    }

    fn identity_key(&self, account: &AccountState) -> Result<CurveKey, CryptoError> {
        Ok(ours(&load_account(account)?.curve25519_key()))
    }

    fn new_prekeys(
        &mut self,
        account: &mut AccountState,
        count: usize,
    ) -> Result<Vec<CurveKey>, CryptoError> {
        let mut opened = load_account(account)?;
        let created = opened.generate_one_time_keys(count).created;
        opened.mark_keys_as_published();
        *account = save_account(&opened);
        Ok(created.iter().map(ours).collect())
    }

    fn new_fallback_prekey(&mut self, account: &mut AccountState) -> Result<CurveKey, CryptoError> {
        let mut opened = load_account(account)?;
        opened.generate_fallback_key();
        let created = opened.fallback_key().into_values().next();
        let created = created.ok_or(CryptoError::CorruptState(ACCOUNT))?;
        opened.mark_keys_as_published();
        *account = save_account(&opened);
        Ok(ours(&created))
    }

    fn forget_previous_fallback(&mut self, account: &mut AccountState) -> Result<(), CryptoError> {
        let mut opened = load_account(account)?;
        opened.forget_fallback_key();
        *account = save_account(&opened);
        Ok(())
    }

    fn open_session(
        &mut self,
        account: &AccountState,
        peer_identity: &CurveKey,
        peer_prekey: &CurveKey,
    ) -> Result<SessionState, CryptoError> {
        let session = load_account(account)?
            .create_outbound_session(olm_config(), theirs(peer_identity), theirs(peer_prekey))
            .map_err(creation_error)?;
        Ok(save_session(&session))
    }

    fn prekey_info(&self, message: &OlmMessage) -> Result<PrekeyInfo, CryptoError> {
        info(&prekey_message(message)?)
    }

    fn accept_session(
        &mut self,
        account: &mut AccountState,
        peer_identity: &CurveKey,
        message: &OlmMessage,
    ) -> Result<AcceptedSession, CryptoError> {
        let message = prekey_message(message)?;
        let mut opened = load_account(account)?;
        let prekeys = opened.stored_one_time_key_count();
        let created = opened
            .create_inbound_session(olm_config(), theirs(peer_identity), &message)
            .map_err(creation_error)?;
        // A one-time prekey is used up, a fallback prekey is not.
        let fallback = opened.stored_one_time_key_count() == prekeys;
        let info = info(&message)?;
        *account = save_account(&opened);
        Ok(AcceptedSession {
            session: save_session(&created.session),
            plaintext: created.plaintext,
            info,
            fallback,
        })
    }

    fn encrypt(&mut self, session: &mut SessionState, plaintext: &[u8]) -> Result<OlmMessage, CryptoError> {
        let mut opened = load_session(session)?;
        let message = opened.encrypt(plaintext).map_err(|_| CryptoError::WeakKey)?;
        *session = save_session(&opened);
        let (kind, ciphertext) = message.to_parts();
        Ok(OlmMessage { prekey: kind == 0, ciphertext })
    }

    fn decrypt(&mut self, session: &mut SessionState, message: &OlmMessage) -> Result<Vec<u8>, CryptoError> {
        let mut opened = load_session(session)?;
        let message = if message.prekey {
            let message = prekey_message(message)?;
            // vodozemac ignores these keys here, so nothing else would notice that they were altered.
            if message.session_keys() != opened.session_keys() {
                return Err(CryptoError::OtherSession);
            }
            olm::OlmMessage::PreKey(message)
        } else {
            olm::OlmMessage::Normal(normal_message(&message.ciphertext)?)
        };
        let plaintext = opened.decrypt(&message).map_err(olm_error)?;
        *session = save_session(&opened);
        Ok(plaintext)
    }

    fn session_id(&self, session: &SessionState) -> Result<OlmSessionId, CryptoError> {
        olm_session_id(&load_session(session)?.session_id())
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that may draw OS randomness")]
    fn new_sender_key(&mut self) -> SenderKeyState {
        save_sender_key(&GroupSession::new(megolm_config()))
    }

    fn sender_key_info(&self, sender_key: &SenderKeyState) -> Result<SenderKeyInfo, CryptoError> {
        let opened = load_sender_key(sender_key)?;
        Ok(SenderKeyInfo {
            session: megolm_session_id(&opened.session_id())?,
            next_index: opened.message_index(),
            session_key: Zeroizing::new(opened.session_key().to_bytes()),
        })
    }

    fn encrypt_message(
        &mut self,
        sender_key: &mut SenderKeyState,
        plaintext: &[u8],
    ) -> Result<MegolmMessage, CryptoError> {
        let mut opened = load_sender_key(sender_key)?;
        if opened.message_index() == u32::MAX {
            return Err(CryptoError::Exhausted);
        }
        let message = opened.encrypt(plaintext);
        *sender_key = save_sender_key(&opened);
        Ok(MegolmMessage { index: message.message_index(), bytes: message.to_bytes() })
    }

    fn import_sender_key(&self, session_key: &[u8]) -> Result<ImportedSenderKey, CryptoError> {
        if session_key.len() != SESSION_KEY_BYTES {
            return Err(malformed_key(format!("{} bytes, must be {SESSION_KEY_BYTES}", session_key.len())));
        }
        let key = SessionKey::from_bytes(session_key).map_err(|error| malformed_key(error.to_string()))?;
        let opened = InboundGroupSession::new(&key, megolm_config());
        Ok(ImportedSenderKey {
            session: megolm_session_id(&opened.session_id())?,
            first_index: opened.first_known_index(),
            receiver: save_receiver(&opened),
        })
    }

    fn decrypt_message(
        &self,
        receiver: &ReceiverKeyState,
        message: &[u8],
    ) -> Result<MegolmPlaintext, CryptoError> {
        let mut opened = load_receiver(receiver)?;
        let decoded = megolm::MegolmMessage::from_bytes(message).map_err(megolm_decode_error)?;
        if decoded.to_bytes() != message {
            return Err(Malformed::new("Megolm message", "not in canonical form").into());
        }
        let decrypted = opened.decrypt(&decoded).map_err(megolm_error)?;
        Ok(MegolmPlaintext { index: decrypted.message_index, plaintext: decrypted.plaintext })
    }

    fn forget_below(&mut self, receiver: &mut ReceiverKeyState, index: u32) -> Result<(), CryptoError> {
        let mut opened = load_receiver(receiver)?;
        if opened.advance_to(index) {
            *receiver = save_receiver(&opened);
        }
        Ok(())
    }
}

const ACCOUNT: &str = "Olm account";
const SESSION: &str = "Olm session";
const SENDER_KEY: &str = "sender key";
const RECEIVER_KEY: &str = "receiver key";

fn save_account(account: &Account) -> AccountState {
    AccountState::from_bytes(save(&account.pickle()))
}

fn load_account(state: &AccountState) -> Result<Account, CryptoError> {
    load::<AccountPickle>(ACCOUNT, state.as_bytes()).map(Account::from_pickle)
}

fn save_session(session: &Session) -> SessionState {
    SessionState::from_bytes(save(&session.pickle()))
}

fn load_session(state: &SessionState) -> Result<Session, CryptoError> {
    load::<SessionPickle>(SESSION, state.as_bytes()).map(Session::from_pickle)
}

fn save_sender_key(sender_key: &GroupSession) -> SenderKeyState {
    SenderKeyState::from_bytes(save(&sender_key.pickle()))
}

fn load_sender_key(state: &SenderKeyState) -> Result<GroupSession, CryptoError> {
    load::<GroupSessionPickle>(SENDER_KEY, state.as_bytes()).map(GroupSession::from_pickle)
}

fn save_receiver(receiver: &InboundGroupSession) -> ReceiverKeyState {
    ReceiverKeyState::from_bytes(save(&receiver.pickle()))
}

fn load_receiver(state: &ReceiverKeyState) -> Result<InboundGroupSession, CryptoError> {
    load::<InboundGroupSessionPickle>(RECEIVER_KEY, state.as_bytes()).map(InboundGroupSession::from_pickle)
}

fn ours(key: &Curve25519PublicKey) -> CurveKey {
    CurveKey::new(key.to_bytes())
}

fn theirs(key: &CurveKey) -> Curve25519PublicKey {
    Curve25519PublicKey::from_bytes(*key.as_bytes())
}

fn info(message: &PreKeyMessage) -> Result<PrekeyInfo, CryptoError> {
    let keys = message.session_keys();
    Ok(PrekeyInfo {
        session: olm_session_id(&keys.session_id())?,
        identity: ours(&keys.identity_key),
        ratchet_key: ours(&message.message().ratchet_key()),
        prekey: ours(&keys.one_time_key),
    })
}

fn olm_session_id(base64: &str) -> Result<OlmSessionId, CryptoError> {
    let bytes = BASE64_NOPAD.decode(base64.as_bytes()).ok();
    bytes.and_then(|bytes| OlmSessionId::from_slice(&bytes).ok()).ok_or(CryptoError::CorruptState(SESSION))
}

fn megolm_session_id(base64: &str) -> Result<SessionId, CryptoError> {
    let bytes = BASE64_NOPAD.decode(base64.as_bytes()).ok();
    bytes.and_then(|bytes| SessionId::from_slice(&bytes).ok()).ok_or(CryptoError::CorruptState(SENDER_KEY))
}

/// Decoding tolerates other forms of the same message; the format allows one.
fn prekey_message(message: &OlmMessage) -> Result<PreKeyMessage, CryptoError> {
    if !message.prekey {
        return Err(CryptoError::NotPrekey);
    }
    let decoded = PreKeyMessage::from_bytes(&message.ciphertext).map_err(olm_decode_error)?;
    let keys = [decoded.identity_key(), decoded.base_key(), decoded.one_time_key()];
    if decoded.to_bytes() != message.ciphertext || !keys.iter().all(|key| is_reduced(key.as_bytes())) {
        return Err(not_canonical());
    }
    Ok(decoded)
}

/// Whether a Curve25519 key is its number's one encoding: below 2^255 - 19. X25519 reduces others, and
/// nothing in Olm authenticates the bytes of the keys that open a session.
fn is_reduced(key: &[u8; 32]) -> bool {
    let [lowest, middle @ .., highest] = key;
    *highest < 0x7f || (*highest == 0x7f && (*lowest < 0xed || middle.iter().any(|&byte| byte != 0xff)))
}

fn normal_message(bytes: &[u8]) -> Result<olm::Message, CryptoError> {
    let decoded = olm::Message::from_bytes(bytes).map_err(olm_decode_error)?;
    if decoded.to_bytes() != bytes {
        return Err(not_canonical());
    }
    Ok(decoded)
}

fn not_canonical() -> CryptoError {
    Malformed::new("Olm message", "not in canonical form").into()
}

fn malformed_key(why: String) -> CryptoError {
    Malformed::new("sender key", why).into()
}

fn olm_decode_error(error: DecodeError) -> CryptoError {
    Malformed::new("Olm message", error.to_string()).into()
}

fn megolm_decode_error(error: DecodeError) -> CryptoError {
    Malformed::new("Megolm message", error.to_string()).into()
}

fn creation_error(error: olm::SessionCreationError) -> CryptoError {
    use olm::SessionCreationError as Error;
    match error {
        Error::MissingOneTimeKey(key) => CryptoError::MissingPrekey(ours(&key)),
        Error::MismatchedIdentityKey(..) => CryptoError::OtherIdentity,
        Error::MismatchedSessionConfig { .. } => {
            Malformed::new("Olm message", "another version than the suite's").into()
        }
        Error::Decryption(error) => olm_error(error),
        Error::NonContributoryKey => CryptoError::WeakKey,
    }
}

fn olm_error(error: olm::DecryptionError) -> CryptoError {
    use olm::DecryptionError as Error;
    match error {
        Error::InvalidMAC(_) | Error::InvalidPadding(_) => CryptoError::BadMac,
        Error::InvalidMACLength(..) => Malformed::new("Olm message", error.to_string()).into(),
        Error::NonContributoryKey => CryptoError::WeakKey,
        Error::MissingMessageKey(index) => CryptoError::MissingMessageKey(index),
        Error::TooBigMessageGap(skipped, max) => CryptoError::TooManySkipped { skipped, max },
    }
}

fn megolm_error(error: megolm::DecryptionError) -> CryptoError {
    use megolm::DecryptionError as Error;
    match error {
        Error::Signature(_) => CryptoError::BadSignature,
        Error::InvalidMAC(_) | Error::InvalidPadding(_) => CryptoError::BadMac,
        Error::InvalidMACLength(..) => Malformed::new("Megolm message", error.to_string()).into(),
        Error::UnknownMessageIndex(first, index) => CryptoError::UnknownIndex { first, index },
    }
}
