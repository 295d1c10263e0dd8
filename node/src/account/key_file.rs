use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use data_encoding::HEXLOWER;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use undertone_protocol::ids::Secret;
use zeroize::Zeroizing;

use super::AccountError;

const VERSION: u32 = 1;
const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 24;
const SEALED_BYTES: usize = Secret::LEN + 16;

/// Of a new file. RFC 9106, section 4, names 64 MiB and 3 passes where memory is scarce, with 4 lanes; one
/// lane, because this derivation runs on one thread.
const COST: Cost = Cost { memory_kib: 64 * 1024, passes: 3, lanes: 1 };
/// The most that a file may ask for: whoever alters it must not take the machine's memory or time.
const COST_MAX: Cost = Cost { memory_kib: 1024 * 1024, passes: 16, lanes: 16 };

/// What Argon2id costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Cost {
    /// Memory, in KiB.
    memory_kib: u32,
    /// How often it is gone through.
    passes: u32,
    /// Parts that could be filled in parallel.
    lanes: u32,
}

/// `account.key`: the database's key under the passphrase. Binary values are in lower-case hexadecimal.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeyFile {
    version: u32,
    /// Argon2id, version 1.3.
    argon2id: Cost,
    /// 16 bytes.
    salt: String,
    /// 24 bytes, of XChaCha20-Poly1305.
    nonce: String,
    /// The sealed key with its tag, 48 bytes.
    key: String,
    #[serde(skip)]
    path: std::path::PathBuf,
}

/// What is read first: another version may have other fields.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl KeyFile {
    /// Reads the file's text; `path` is for messages.
    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, AccountError> {
        let damaged = |error: serde_json::Error| AccountError::DamagedKeyFile {
            path: path.to_owned(),
            why: error.to_string(),
        };
        let Versioned { version: found } = serde_json::from_str(text).map_err(damaged)?;
        if found != VERSION {
            return Err(AccountError::NewerKeyFile { path: path.to_owned(), found, known: VERSION });
        }
        let file: Self = serde_json::from_str(text).map_err(damaged)?;
        Ok(Self { path: path.to_owned(), ..file })
    }

    /// The file's text.
    pub(super) fn to_text(&self) -> String {
        // It fails for maps with other keys than text only.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    fn damaged(&self, why: impl Into<String>) -> AccountError {
        AccountError::DamagedKeyFile { path: self.path.clone(), why: why.into() }
    }

    fn bytes<const N: usize>(&self, field: &str, text: &str) -> Result<[u8; N], AccountError> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.ok_or_else(|| self.damaged(format!("{field} must be {N} bytes in hexadecimal")))
    }

    /// Binds the parameters to the sealed key.
    fn associated(&self) -> String {
        let Cost { memory_kib, passes, lanes } = self.argon2id;
        format!("undertone v{} account key {memory_kib} {passes} {lanes} {}", self.version, self.salt)
    }
}

/// Seals the database's key under the passphrase.
pub(super) fn wrap(
    key: &Secret,
    passphrase: &str,
    rng: &mut impl CryptoRng,
) -> Result<KeyFile, AccountError> {
    let (mut salt, mut nonce) = ([0; SALT_BYTES], [0; NONCE_BYTES]);
    rng.fill_bytes(&mut salt);
    rng.fill_bytes(&mut nonce);
    let file = KeyFile {
        version: VERSION,
        argon2id: COST,
        salt: HEXLOWER.encode(&salt),
        nonce: HEXLOWER.encode(&nonce),
        key: String::new(),
        path: std::path::PathBuf::new(),
    };
    let associated = file.associated();
    let payload = Payload { msg: key.expose(), aad: associated.as_bytes() };
    let sealed = XChaCha20Poly1305::new(derive(passphrase, &salt, COST)?.expose().into())
        .encrypt(&nonce.into(), payload)
        .map_err(|error| AccountError::Derivation(error.to_string()))?;
    Ok(KeyFile { key: HEXLOWER.encode(&sealed), ..file })
}

/// Opens the database's key with the passphrase.
pub(super) fn unwrap(file: &KeyFile, passphrase: &str) -> Result<Secret, AccountError> {
    let cost = file.argon2id;
    if cost.memory_kib > COST_MAX.memory_kib || cost.passes > COST_MAX.passes || cost.lanes > COST_MAX.lanes {
        return Err(file.damaged("it asks for more memory or time than any version does"));
    }
    let salt = file.bytes::<SALT_BYTES>("salt", &file.salt)?;
    let nonce = file.bytes::<NONCE_BYTES>("nonce", &file.nonce)?;
    let sealed = file.bytes::<SEALED_BYTES>("key", &file.key)?;
    let associated = file.associated();
    let payload = Payload { msg: &sealed, aad: associated.as_bytes() };
    let key = XChaCha20Poly1305::new(derive(passphrase, &salt, cost)?.expose().into())
        .decrypt(&nonce.into(), payload)
        .map_err(|_| AccountError::WrongPassphrase)?;
    Secret::from_slice(&Zeroizing::new(key)).map_err(|error| file.damaged(error.to_string()))
}

fn derive(passphrase: &str, salt: &[u8; SALT_BYTES], cost: Cost) -> Result<Secret, AccountError> {
    let failed = |error: argon2::Error| AccountError::Derivation(error.to_string());
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(Secret::LEN)).map_err(failed)?;
    let mut key = Zeroizing::new([0; Secret::LEN]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, &mut *key)
        .map_err(failed)?;
    Ok(Secret::new(*key))
}
