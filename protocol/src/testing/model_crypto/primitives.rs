use data_encoding::BASE64_NOPAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Thirty-two bytes of any meaning. A state holds them as one string: as a list of numbers they were an eighth of a world's
/// time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bytes32(pub(super) [u8; 32]);

impl std::ops::Deref for Bytes32 {
    type Target = [u8; 32];

    fn deref(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Serialize for Bytes32 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&BASE64_NOPAD.encode_display(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes32 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = BASE64_NOPAD.decode(<&str>::deserialize(deserializer)?.as_bytes());
        let bytes = bytes.ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| D::Error::custom("not 32 bytes in Base64"))
    }
}

/// The model's randomness: BLAKE3-keyed(seed, counter).
#[derive(Debug)]
pub(super) struct Draws {
    seed: [u8; 32],
    drawn: u64,
}

impl Draws {
    pub(super) const fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: 0 }
    }

    pub(super) fn draw(&mut self) -> Bytes32 {
        self.drawn += 1;
        Bytes32(*blake3::keyed_hash(&self.seed, &self.drawn.to_be_bytes()).as_bytes())
    }
}

/// A hash of parts under a label; no two sequences of parts have the same bytes.
pub(super) fn hash(label: &str, parts: &[&[u8]]) -> Bytes32 {
    let mut hasher = blake3::Hasher::new_derive_key(label);
    for part in parts {
        hasher.update(&(part.len() as u64).to_be_bytes()).update(part);
    }
    Bytes32(*hasher.finalize().as_bytes())
}

/// The public key of a secret one.
pub(super) fn public(secret: &Bytes32) -> Bytes32 {
    hash("model public key", &[&secret.0])
}

/// What two keys share.
pub(super) fn shared(one: &Bytes32, other: &Bytes32) -> Bytes32 {
    let (low, high) = if one < other { (one, other) } else { (other, one) };
    hash("model shared secret", &[&low.0, &high.0])
}

/// Encrypts, and decrypts.
pub(super) fn crypt(key: &Bytes32, text: &[u8]) -> Vec<u8> {
    let mut stream = vec![0; text.len()];
    blake3::Hasher::new_keyed(key).update(b"stream").finalize_xof().fill(&mut stream);
    stream.iter().zip(text).map(|(pad, byte)| pad ^ byte).collect()
}
