//! Delivery tokens: chains of keyed hashes that a mailbox's owner starts and anybody may narrow.
//!
//! `spec/tokens.md`; the construction is that of macaroons (Birgisson et al., NDSS 2014). With K the
//! mailbox's secret, `k_0 = K` and `k_i = BLAKE3-keyed(k_{i-1}, step_i)`. Whoever knows `k_n` may add
//! a step or prove the right to deliver; nobody can take a step away.

mod grant;
mod proof;
mod step;

pub use grant::TokenGrant;
pub use proof::{Proof, ProofInput, TokenDenied, check};
pub use step::{CLASS_0, CLASS_1, CLASS_2, DELIVER, PRESENCE, Step};

#[cfg(test)]
mod tests;
