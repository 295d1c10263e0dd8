//! Formats, rules and machines of Undertone.
//!
//! Nothing in here does I/O, reads a clock or draws randomness from the operating system: time comes
//! in as [`time::Timestamp`], randomness as a `rand_core::CryptoRng`. The one exception is the real
//! implementation of [`crypto::Crypto`], because vodozemac draws its own randomness.
//!
//! The byte-exact specification is in `protocol/spec/`.

pub mod codec;
pub mod crypto;
pub mod delivery;
pub mod entry;
pub mod federation;
pub mod ids;
pub mod keys;
pub mod limits;
pub mod log;
pub mod membership;
pub mod receipts;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
pub mod token;
pub mod wire;

#[cfg(test)]
mod tests;
