use serde::{Deserialize, Serialize};

use super::primitives::{Bytes32, Draws, crypt, hash, public, shared};
use crate::codec::Malformed;
use crate::crypto::state_bytes::{load, save};
use crate::crypto::{AcceptedSession, AccountState, CryptoError, OlmMessage, PrekeyInfo, SessionState};
use crate::ids::{CurveKey, OlmSessionId};

const PREKEYS_MAX: usize = 5_000;
const RECEIVING_CHAINS_MAX: usize = 5;
const GAP_MAX: u64 = 2_000;
const SKIPPED_MAX: usize = 40;

#[derive(Serialize, Deserialize)]
pub(super) struct Account {
    identity: Bytes32,
    prekeys: Vec<Bytes32>,
    fallback: Option<Bytes32>,
    previous_fallback: Option<Bytes32>,
}

impl Account {
    pub(super) fn new(draws: &mut Draws) -> Self {
        Self { identity: draws.draw(), prekeys: Vec::new(), fallback: None, previous_fallback: None }
    }

    pub(super) fn load(state: &AccountState) -> Result<Self, CryptoError> {
        load("model account", state.as_bytes())
    }

    pub(super) fn save(&self) -> AccountState {
        AccountState::from_bytes(save(self))
    }

    pub(super) fn identity(&self) -> CurveKey {
        CurveKey::new(public(&self.identity).0)
    }

    pub(super) fn new_prekeys(&mut self, draws: &mut Draws, count: usize) -> Vec<CurveKey> {
        let created: Vec<_> = (0..count).map(|_| draws.draw()).collect();
        self.prekeys.extend_from_slice(&created);
        self.prekeys.drain(..self.prekeys.len().saturating_sub(PREKEYS_MAX));
        created.iter().map(|secret| CurveKey::new(public(secret).0)).collect()
    }

    pub(super) fn new_fallback(&mut self, draws: &mut Draws) -> CurveKey {
        let created = draws.draw();
        self.previous_fallback = self.fallback.replace(created);
        CurveKey::new(public(&created).0)
    }

    pub(super) fn forget_previous_fallback(&mut self) {
        self.previous_fallback = None;
    }

    /// Whether the prekey is a fallback prekey; `None` when it is none of ours.
    fn is_fallback(&self, prekey: &Bytes32) -> Option<bool> {
        if self.prekeys.iter().any(|secret| public(secret) == *prekey) {
            return Some(false);
        }
        let mut fallbacks = self.fallback.iter().chain(&self.previous_fallback);
        fallbacks.any(|secret| public(secret) == *prekey).then_some(true)
    }

    fn use_up(&mut self, prekey: &Bytes32) {
        self.prekeys.retain(|secret| public(secret) != *prekey);
    }
}

/// The keys that name a session.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Keys {
    identity: Bytes32,
    base: Bytes32,
    prekey: Bytes32,
}

impl Keys {
    fn id(&self) -> OlmSessionId {
        OlmSessionId::new(hash("model session", &[&self.identity[..], &self.base[..], &self.prekey[..]]).0)
    }

    fn info(&self, message: &Message) -> PrekeyInfo {
        PrekeyInfo {
            session: self.id(),
            identity: CurveKey::new(self.identity.0),
            ratchet_key: CurveKey::new(message.ratchet.0),
            prekey: CurveKey::new(self.prekey.0),
        }
    }

    /// Root and first chain, from the initiator's keys and the peer's.
    fn agree(&self, peer_identity: &Bytes32) -> (Bytes32, Bytes32) {
        let secret = hash(
            "model handshake",
            &[
                &shared(&self.identity, &self.prekey)[..],
                &shared(&self.base, peer_identity)[..],
                &shared(&self.base, &self.prekey)[..],
            ],
        );
        (hash("model root", &[&secret[..]]), hash("model chain", &[&secret[..]]))
    }
}

#[derive(Serialize, Deserialize)]
enum Sending {
    Active { own: Bytes32, chain: Bytes32, index: u64 },
    Inactive { remote: Bytes32 },
}

#[derive(Serialize, Deserialize)]
pub(super) struct Session {
    keys: Keys,
    root: Bytes32,
    sending: Sending,
    receiving: Vec<Chain>,
}

impl Session {
    pub(super) fn open(
        draws: &mut Draws,
        account: &Account,
        peer_identity: &CurveKey,
        peer_prekey: &CurveKey,
    ) -> Result<Self, CryptoError> {
        if [peer_identity, peer_prekey].iter().any(|key| *key.as_bytes() == [0; 32]) {
            return Err(CryptoError::WeakKey);
        }
        let base = public(&draws.draw());
        let keys =
            Keys { identity: public(&account.identity), base, prekey: Bytes32(*peer_prekey.as_bytes()) };
        let (root, chain) = keys.agree(&Bytes32(*peer_identity.as_bytes()));
        let sending = Sending::Active { own: public(&draws.draw()), chain, index: 0 };
        Ok(Self { keys, root, sending, receiving: Vec::new() })
    }

    pub(super) fn accept(
        account: &mut Account,
        peer_identity: &CurveKey,
        message: &OlmMessage,
    ) -> Result<AcceptedSession, CryptoError> {
        let (keys, message) = split_prekey(message)?;
        if *keys.identity != *peer_identity.as_bytes() {
            return Err(CryptoError::OtherIdentity);
        }
        let fallback = account
            .is_fallback(&keys.prekey)
            .ok_or(CryptoError::MissingPrekey(CurveKey::new(keys.prekey.0)))?;
        let (root, chain) = keys.agree(&public(&account.identity));
        let mut chain = Chain::new(message.ratchet, chain);
        let plaintext = chain.decrypt(&message)?;
        let sending = Sending::Inactive { remote: message.ratchet };
        let session = Self { keys, root, sending, receiving: vec![chain] }.save();
        account.use_up(&keys.prekey);
        Ok(AcceptedSession { session, plaintext, info: keys.info(&message), fallback })
    }

    pub(super) fn load(state: &SessionState) -> Result<Self, CryptoError> {
        load("model session", state.as_bytes())
    }

    pub(super) fn save(&self) -> SessionState {
        SessionState::from_bytes(save(self))
    }

    pub(super) fn id(&self) -> OlmSessionId {
        self.keys.id()
    }

    pub(super) fn encrypt(&mut self, draws: &mut Draws, plaintext: &[u8]) -> OlmMessage {
        let (own, chain, index) = match self.sending {
            Sending::Active { own, chain, index } => (own, chain, index),
            Sending::Inactive { remote } => {
                let own = public(&draws.draw());
                let (root, chain) = advance(&self.root, &own, &remote);
                self.root = root;
                (own, chain, 0)
            }
        };
        self.sending = Sending::Active { own, chain: next(&chain), index: index + 1 };
        let message = Message::seal(own, index, &message_key(&chain), plaintext);
        let prekey = self.receiving.is_empty();
        let head: &[&[u8]] =
            if prekey { &[&self.keys.identity[..], &self.keys.base[..], &self.keys.prekey[..]] } else { &[] };
        OlmMessage { prekey, ciphertext: [head.concat(), message.to_bytes()].concat() }
    }

    pub(super) fn decrypt(&mut self, message: &OlmMessage) -> Result<Vec<u8>, CryptoError> {
        let message = if message.prekey {
            let (keys, message) = split_prekey(message)?;
            if keys != self.keys {
                return Err(CryptoError::OtherSession);
            }
            message
        } else {
            Message::from_bytes(&message.ciphertext)?
        };
        if let Some(chain) = self.receiving.iter_mut().find(|chain| chain.ratchet == message.ratchet) {
            return chain.decrypt(&message);
        }
        let Sending::Active { own, .. } = self.sending else { return Err(CryptoError::BadMac) };
        let (root, chain) = advance(&self.root, &own, &message.ratchet);
        let mut chain = Chain::new(message.ratchet, chain);
        let plaintext = chain.decrypt(&message)?;
        self.root = root;
        self.sending = Sending::Inactive { remote: message.ratchet };
        self.receiving.push(chain);
        self.receiving.drain(..self.receiving.len().saturating_sub(RECEIVING_CHAINS_MAX));
        Ok(plaintext)
    }
}

/// One direction between two turns.
#[derive(Serialize, Deserialize)]
struct Chain {
    ratchet: Bytes32,
    chain: Bytes32,
    index: u64,
    skipped: Vec<(u64, Bytes32)>,
}

impl Chain {
    const fn new(ratchet: Bytes32, chain: Bytes32) -> Self {
        Self { ratchet, chain, index: 0, skipped: Vec::new() }
    }

    fn decrypt(&mut self, message: &Message) -> Result<Vec<u8>, CryptoError> {
        let gap = message.index.saturating_sub(self.index);
        if gap > GAP_MAX {
            return Err(CryptoError::TooManySkipped { skipped: gap, max: GAP_MAX });
        }
        if message.index < self.index {
            let at = self.skipped.iter().position(|(index, _)| *index == message.index);
            let at = at.ok_or(CryptoError::MissingMessageKey(message.index))?;
            let (_, key) = self.skipped.get(at).ok_or(CryptoError::MissingMessageKey(message.index))?;
            let plaintext = message.open(key)?;
            self.skipped.remove(at);
            return Ok(plaintext);
        }
        let mut chain = self.chain;
        let mut skipped = Vec::new();
        for index in self.index..message.index {
            skipped.push((index, message_key(&chain)));
            chain = next(&chain);
        }
        let plaintext = message.open(&message_key(&chain))?;
        self.chain = next(&chain);
        self.index = message.index + 1;
        self.skipped.append(&mut skipped);
        self.skipped.drain(..self.skipped.len().saturating_sub(SKIPPED_MAX));
        Ok(plaintext)
    }
}

fn advance(root: &Bytes32, own: &Bytes32, remote: &Bytes32) -> (Bytes32, Bytes32) {
    let shared = shared(own, remote);
    (hash("model root", &[&root[..], &shared[..]]), hash("model chain", &[&root[..], &shared[..]]))
}

fn next(chain: &Bytes32) -> Bytes32 {
    hash("model next", &[&chain[..]])
}

fn message_key(chain: &Bytes32) -> Bytes32 {
    hash("model message key", &[&chain[..]])
}

/// `ratchet key ‖ index ‖ authentication code ‖ ciphertext`.
struct Message {
    ratchet: Bytes32,
    index: u64,
    mac: Bytes32,
    ciphertext: Vec<u8>,
}

impl Message {
    fn seal(ratchet: Bytes32, index: u64, key: &Bytes32, plaintext: &[u8]) -> Self {
        let ciphertext = crypt(key, plaintext);
        Self { ratchet, index, mac: mac(key, &ratchet, index, &ciphertext), ciphertext }
    }

    fn open(&self, key: &Bytes32) -> Result<Vec<u8>, CryptoError> {
        if mac(key, &self.ratchet, self.index, &self.ciphertext) != self.mac {
            return Err(CryptoError::BadMac);
        }
        Ok(crypt(key, &self.ciphertext))
    }

    fn to_bytes(&self) -> Vec<u8> {
        [&self.ratchet[..], &self.index.to_be_bytes(), &self.mac[..], &self.ciphertext].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, CryptoError> {
        let (ratchet, rest) = bytes.split_first_chunk().ok_or_else(too_short)?;
        let (index, rest) = rest.split_first_chunk().ok_or_else(too_short)?;
        let (mac, ciphertext) = rest.split_first_chunk().ok_or_else(too_short)?;
        let index = u64::from_be_bytes(*index);
        Ok(Self { ratchet: Bytes32(*ratchet), index, mac: Bytes32(*mac), ciphertext: ciphertext.to_vec() })
    }
}

fn mac(key: &Bytes32, ratchet: &Bytes32, index: u64, ciphertext: &[u8]) -> Bytes32 {
    hash("model mac", &[&key[..], &ratchet[..], &index.to_be_bytes(), ciphertext])
}

pub(super) fn prekey_info(message: &OlmMessage) -> Result<PrekeyInfo, CryptoError> {
    split_prekey(message).map(|(keys, message)| keys.info(&message))
}

fn split_prekey(message: &OlmMessage) -> Result<(Keys, Message), CryptoError> {
    if !message.prekey {
        return Err(CryptoError::NotPrekey);
    }
    let (identity, rest) = message.ciphertext.split_first_chunk().ok_or_else(too_short)?;
    let (base, rest) = rest.split_first_chunk().ok_or_else(too_short)?;
    let (prekey, rest) = rest.split_first_chunk().ok_or_else(too_short)?;
    let keys = Keys { identity: Bytes32(*identity), base: Bytes32(*base), prekey: Bytes32(*prekey) };
    Ok((keys, Message::from_bytes(rest)?))
}

fn too_short() -> CryptoError {
    Malformed::new("Olm message", "too short").into()
}
