use std::fmt;

use bip39::Mnemonic;
use ed25519_dalek::SigningKey;
use rand_core::CryptoRng;

use crate::ids::{DeviceId, Secret, UserId};

const IDENTITY_LABEL: &str = "undertone v1 identity seed from recovery phrase";

/// A user's identity: signs device certificates, device lists and revocations of devices, nothing else. It can always
/// be made again from the recovery phrase.
pub struct IdentityKey(SigningKey);

impl IdentityKey {
    /// The identity that a recovery phrase stands for.
    pub fn from_phrase(phrase: &RecoveryPhrase) -> Self {
        let seed = blake3::derive_key(IDENTITY_LABEL, phrase.entropy.expose());
        Self(SigningKey::from_bytes(&seed))
    }

    /// From its stored seed.
    pub fn from_seed(seed: &Secret) -> Self {
        Self(SigningKey::from_bytes(seed.expose()))
    }

    /// The seed, to be stored encrypted.
    pub fn seed(&self) -> Secret {
        Secret::new(self.0.to_bytes())
    }

    /// The public key.
    pub fn user(&self) -> UserId {
        UserId::new(self.0.verifying_key().to_bytes())
    }

    pub(super) fn signing_key(&self) -> &SigningKey {
        &self.0
    }
}

/// A device's signing key, which is its libp2p identity too.
#[derive(Clone)]
pub struct DeviceKey(SigningKey);

impl DeviceKey {
    /// A new one.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self::from_seed(&Secret::random(rng))
    }

    /// From its stored seed.
    pub fn from_seed(seed: &Secret) -> Self {
        Self(SigningKey::from_bytes(seed.expose()))
    }

    /// The seed, to be stored encrypted.
    pub fn seed(&self) -> Secret {
        Secret::new(self.0.to_bytes())
    }

    /// The public key.
    pub fn device(&self) -> DeviceId {
        DeviceId::new(self.0.verifying_key().to_bytes())
    }

    /// For signing what a device signs.
    pub fn signing_key(&self) -> &SigningKey {
        &self.0
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceKey({})", self.device().short())
    }
}

const WORDS: usize = 24;

/// 24 words (BIP-39, English) that make the identity again.
pub struct RecoveryPhrase {
    entropy: Secret,
}

/// Words that are no recovery phrase. Whoever typed them is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryPhraseError {
    /// Not as many words as it has.
    #[error("a recovery phrase has 24 words, got {0}")]
    WrongLength(usize),
    /// A word that is in none, by its place, from 1 on.
    #[error("no recovery phrase has the word that is number {0}: look whether it is spelled right")]
    UnknownWord(usize),
    /// All words are in the list, but not together.
    #[error("the words don't fit together: one is wrong, or two changed places")]
    Checksum,
}

impl RecoveryPhrase {
    /// A new one.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self { entropy: Secret::random(rng) }
    }

    /// Reads 24 words, separated by spaces.
    pub fn parse(words: &str) -> Result<Self, RecoveryPhraseError> {
        let count = words.split_whitespace().count();
        let mnemonic = match Mnemonic::parse_normalized(&words.trim().to_lowercase()) {
            _ if count != WORDS => return Err(RecoveryPhraseError::WrongLength(count)),
            Ok(mnemonic) => mnemonic,
            Err(bip39::Error::UnknownWord(index)) => {
                return Err(RecoveryPhraseError::UnknownWord(index.saturating_add(1)));
            }
            Err(_) => return Err(RecoveryPhraseError::Checksum),
        };
        let entropy = Secret::from_slice(&mnemonic.to_entropy());
        entropy.map(|entropy| Self { entropy }).map_err(|_| RecoveryPhraseError::WrongLength(count))
    }

    /// The 24 words. Show them once, keep them nowhere.
    pub fn words(&self) -> String {
        // 32 bytes always are 24 words; an empty string can't come out.
        Mnemonic::from_entropy(self.entropy.expose()).map(|mnemonic| mnemonic.to_string()).unwrap_or_default()
    }
}
