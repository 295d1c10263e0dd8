//! The bytes of ratchet states: vodozemac's own sealing of them is deterministic, so they are written plain
//! and sealed by the device's store.

use zeroize::{Zeroize, Zeroizing};

use super::CryptoError;

/// Serialises a state into bytes that are erased when dropped, growth included.
pub(crate) fn save(state: &impl serde::Serialize) -> Zeroizing<Vec<u8>> {
    let mut out = ErasedWriter(Zeroizing::new(Vec::with_capacity(4_096)));
    // Neither writing to memory nor these plain structures can fail. Were it to, the truncated bytes
    // would be refused as a corrupt state on reading.
    let _written = serde_json::to_writer(&mut out, state);
    out.0
}

/// Reads what [`save`] wrote.
pub(crate) fn load<T: serde::de::DeserializeOwned>(
    what: &'static str,
    bytes: &[u8],
) -> Result<T, CryptoError> {
    // The parser's message may quote the bytes, so it is dropped.
    serde_json::from_slice(bytes).map_err(|_| CryptoError::CorruptState(what))
}

/// A buffer that leaves no copy of its content behind when it grows.
struct ErasedWriter(Zeroizing<Vec<u8>>);

impl std::io::Write for ErasedWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let needed = self.0.len().saturating_add(bytes.len());
        if needed > self.0.capacity() {
            let mut larger = Vec::with_capacity(needed.saturating_mul(2));
            larger.extend_from_slice(&self.0);
            self.0.zeroize();
            self.0 = Zeroizing::new(larger);
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
