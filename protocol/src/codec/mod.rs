//! Exact bytes: decoding within bounds, and signatures over labelled bytes (`spec/crypto.md`).

mod malformed;
mod padding;
mod signed;
#[cfg(any(test, feature = "testing"))]
mod verified;

pub use malformed::{Malformed, decode, required, version_and_suite};
pub use padding::{pad, padded_len, unpad};
pub use signed::{BadSignature, Label, Signature, Signed, sign, verify};
#[cfg(any(test, feature = "testing"))]
pub use verified::VerifiedOnce;
