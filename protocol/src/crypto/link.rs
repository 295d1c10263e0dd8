//! What answers a device's code: sealed under the key that the code carries (`spec/devices.md`).

use rand_core::CryptoRng;

use super::payload::{Parsed, link_header, open_at, parse, seal_at};
use super::unpadded;
use crate::codec::{Malformed, pad};
use crate::ids::Secret;

/// Seals an answer: `version ‖ suite ‖ kind ‖ nonce (12, random) ‖ ChaCha20-Poly1305(key, nonce, padded content)`,
/// with all before the ciphertext as associated data.
pub fn seal_link(key: &Secret, content: Vec<u8>, rng: &mut impl CryptoRng) -> Result<Vec<u8>, Malformed> {
    let mut nonce = [0; 12];
    rng.fill_bytes(&mut nonce);
    seal_at(key, nonce.into(), link_header(&nonce), &pad(content))
        .ok_or_else(|| Malformed::new("link", "too large for an envelope"))
}

/// Opens what [`seal_link`] sealed. Whoever sealed it had seen the code.
pub fn open_link(key: &Secret, payload: &[u8]) -> Result<Vec<u8>, Malformed> {
    let Parsed::Link(link) = parse(payload)? else {
        return Err(Malformed::new("link", "a payload of another kind"));
    };
    let padded = open_at(key, (*link.nonce).into(), link.header, link.ciphertext)
        .ok_or_else(|| Malformed::new("link", "the code's key does not open it"))?;
    unpadded(padded)
}
