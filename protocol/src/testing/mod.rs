//! What tests and the simulation use in place of the real thing. Only with the feature `testing`.

pub mod membership_model;
mod model_crypto;

#[cfg(test)]
pub(crate) use given::Given;
pub use model_crypto::ModelCrypto;

pub use crate::codec::VerifiedOnce;

#[cfg(test)]
mod given;
#[cfg(test)]
pub(crate) mod hostile;
#[cfg(test)]
pub(crate) mod schema;
#[cfg(test)]
pub(crate) mod vectors;
