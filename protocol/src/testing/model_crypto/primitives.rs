/// Thirty-two bytes of any meaning.
pub(super) type Bytes32 = [u8; 32];

/// The model's randomness: BLAKE3-keyed(seed, counter).
#[derive(Debug)]
pub(super) struct Draws {
    seed: Bytes32,
    drawn: u64,
}

impl Draws {
    pub(super) const fn new(seed: Bytes32) -> Self {
        Self { seed, drawn: 0 }
    }

    pub(super) fn draw(&mut self) -> Bytes32 {
        self.drawn += 1;
        *blake3::keyed_hash(&self.seed, &self.drawn.to_be_bytes()).as_bytes()
    }
}

/// A hash of parts under a label; no two sequences of parts have the same bytes.
pub(super) fn hash(label: &str, parts: &[&[u8]]) -> Bytes32 {
    let mut hasher = blake3::Hasher::new_derive_key(label);
    for part in parts {
        hasher.update(&(part.len() as u64).to_be_bytes()).update(part);
    }
    *hasher.finalize().as_bytes()
}

/// The public key of a secret one.
pub(super) fn public(secret: &Bytes32) -> Bytes32 {
    hash("model public key", &[secret])
}

/// What two keys share.
pub(super) fn shared(one: &Bytes32, other: &Bytes32) -> Bytes32 {
    let (low, high) = if one < other { (one, other) } else { (other, one) };
    hash("model shared secret", &[low, high])
}

/// Encrypts, and decrypts.
pub(super) fn crypt(key: &Bytes32, text: &[u8]) -> Vec<u8> {
    let mut stream = vec![0; text.len()];
    blake3::Hasher::new_keyed(key).update(b"stream").finalize_xof().fill(&mut stream);
    stream.iter().zip(text).map(|(pad, byte)| pad ^ byte).collect()
}
