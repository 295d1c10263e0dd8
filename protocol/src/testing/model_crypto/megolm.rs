use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::primitives::{Bytes32, Draws, crypt, hash, public};
use crate::codec::Malformed;
use crate::crypto::state_bytes::{load, save};
use crate::crypto::{
    CryptoError, ImportedSenderKey, MegolmMessage, MegolmPlaintext, ReceiverKeyState, SESSION_KEY_BYTES,
    SenderKeyInfo, SenderKeyState,
};
use crate::ids::SessionId;

/// What fills a model's session key up to the size of a real one.
const FILL: usize = 128 - 32;
/// Ratcheting is one hash an index here, so it is bounded; sessions end far below.
const LEAD_MAX: u32 = 65_536;

#[derive(Serialize, Deserialize)]
pub(super) struct SenderKey {
    session: Bytes32,
    chain: Bytes32,
    index: u32,
}

impl SenderKey {
    pub(super) fn new(draws: &mut Draws) -> Self {
        Self { session: public(&draws.draw()), chain: draws.draw(), index: 0 }
    }

    pub(super) fn load(state: &SenderKeyState) -> Result<Self, CryptoError> {
        load("model sender key", state.as_bytes())
    }

    pub(super) fn save(&self) -> SenderKeyState {
        SenderKeyState::from_bytes(save(self))
    }

    pub(super) fn info(&self) -> SenderKeyInfo {
        let index = self.index.to_be_bytes();
        let body = [&index[..], &self.chain[..], &[0; FILL], &self.session[..]].concat();
        let signature = signature(&self.session, &body);
        SenderKeyInfo {
            session: SessionId::new(self.session.0),
            next_index: self.index,
            session_key: Zeroizing::new([&[VERSION], &body[..], &signature].concat()),
        }
    }

    pub(super) fn encrypt(&mut self, plaintext: &[u8]) -> Result<MegolmMessage, CryptoError> {
        let index = self.index;
        self.index = index.checked_add(1).ok_or(CryptoError::Exhausted)?;
        let key = message_key(&self.chain);
        self.chain = next(&self.chain);
        let ciphertext = crypt(&key, plaintext);
        let mac = mac(&key, index, &ciphertext);
        let body = [&index.to_be_bytes()[..], &mac[..], &ciphertext].concat();
        let signature = signature(&self.session, &body);
        Ok(MegolmMessage { index, bytes: [&signature[..], &body].concat() })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Receiver {
    session: Bytes32,
    chain: Bytes32,
    first: u32,
}

impl Receiver {
    pub(super) fn load(state: &ReceiverKeyState) -> Result<Self, CryptoError> {
        load("model receiver key", state.as_bytes())
    }

    pub(super) fn save(&self) -> ReceiverKeyState {
        ReceiverKeyState::from_bytes(save(self))
    }

    pub(super) fn decrypt(&self, message: &[u8]) -> Result<MegolmPlaintext, CryptoError> {
        let (found, body) = message.split_first_chunk::<64>().ok_or_else(|| malformed("Megolm message"))?;
        let (index, rest) = body.split_first_chunk::<4>().ok_or_else(|| malformed("Megolm message"))?;
        let (code, ciphertext) = rest.split_first_chunk::<32>().ok_or_else(|| malformed("Megolm message"))?;
        if *found != signature(&self.session, body) {
            return Err(CryptoError::BadSignature);
        }
        let index = u32::from_be_bytes(*index);
        let lead = index.checked_sub(self.first).filter(|lead| *lead <= LEAD_MAX);
        let lead = lead.ok_or(CryptoError::UnknownIndex { first: self.first, index })?;
        let key = message_key(&(0..lead).fold(self.chain, |chain, _| next(&chain)));
        if *code != *mac(&key, index, ciphertext) {
            return Err(CryptoError::BadMac);
        }
        Ok(MegolmPlaintext { index, plaintext: crypt(&key, ciphertext) })
    }

    pub(super) fn forget_below(&mut self, index: u32) {
        while self.first < index {
            self.chain = next(&self.chain);
            self.first += 1;
        }
    }
}

pub(super) fn import(session_key: &[u8]) -> Result<ImportedSenderKey, CryptoError> {
    let short = || malformed("sender key");
    if session_key.len() != SESSION_KEY_BYTES {
        return Err(short());
    }
    let (&[version], rest) = session_key.split_first_chunk().ok_or_else(short)?;
    let (body, found) = rest.split_last_chunk::<64>().ok_or_else(short)?;
    let (index, parts) = body.split_first_chunk().ok_or_else(short)?;
    let (chain, parts) = parts.split_first_chunk().ok_or_else(short)?;
    let session = Bytes32(*parts.last_chunk().ok_or_else(short)?);
    if version != VERSION || *found != signature(&session, body) {
        return Err(Malformed::new("sender key", "the signature does not verify").into());
    }
    let first = u32::from_be_bytes(*index);
    Ok(ImportedSenderKey {
        session: SessionId::new(session.0),
        first_index: first,
        receiver: Receiver { session, chain: Bytes32(*chain), first }.save(),
    })
}

const VERSION: u8 = 2;

fn next(chain: &Bytes32) -> Bytes32 {
    hash("model group next", &[&chain[..]])
}

fn message_key(chain: &Bytes32) -> Bytes32 {
    hash("model group message key", &[&chain[..]])
}

fn mac(key: &Bytes32, index: u32, ciphertext: &[u8]) -> Bytes32 {
    hash("model group mac", &[&key[..], &index.to_be_bytes(), ciphertext])
}

fn signature(session: &Bytes32, body: &[u8]) -> [u8; 64] {
    let mut out = [0; 64];
    let mut hasher = blake3::Hasher::new_derive_key("model signature");
    hasher.update(&session[..]).update(body).finalize_xof().fill(&mut out);
    out
}

fn malformed(what: &'static str) -> CryptoError {
    Malformed::new(what, "too short").into()
}
