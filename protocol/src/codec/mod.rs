//! Exact bytes: decoding within bounds, and signatures over labelled bytes (`spec/crypto.md`).

mod malformed;
mod padding;
mod signed;

pub use malformed::{Malformed, decode, required, version_and_suite};
pub use padding::{pad, padded_len, unpad};
pub use signed::{BadSignature, Label, Signature, Signed, sign, verify};
