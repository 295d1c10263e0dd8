use bytes::Bytes;

use super::proof::{Proof, ProofInput};
use super::step::{Step, next_key, path_from_wire};
use crate::codec::Malformed;
use crate::ids::Secret;
use crate::limits::TOKEN_STEPS_MAX;
use crate::wire;

/// A token with its secret `k_n`: whoever holds it may deliver, or hand on a narrower one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenGrant {
    path: Vec<Step>,
    key: Secret,
}

impl TokenGrant {
    /// The first step from a mailbox's secret K.
    pub fn issue(mailbox_secret: &Secret, step: Step) -> Self {
        let key = next_key(mailbox_secret, &step);
        Self { path: vec![step], key }
    }

    /// A narrower token; `None` when it has [`TOKEN_STEPS_MAX`] steps already.
    pub fn extend(&self, step: Step) -> Option<Self> {
        if self.path.len() >= TOKEN_STEPS_MAX {
            return None;
        }
        let key = next_key(&self.key, &step);
        let mut path = self.path.clone();
        path.push(step);
        Some(Self { path, key })
    }

    /// The steps, first one first.
    pub fn path(&self) -> &[Step] {
        &self.path
    }

    /// Proves the right to deliver one payload.
    pub fn prove(&self, input: &ProofInput) -> Proof {
        Proof::under(&self.key, input)
    }

    /// Checks the form.
    pub fn from_wire(grant: &wire::TokenGrant) -> Result<Self, Malformed> {
        let path = path_from_wire(&grant.path)?;
        Ok(Self { path, key: Secret::from_slice(&grant.key)? })
    }

    /// For the wire. It carries the secret: seal it.
    pub fn to_wire(&self) -> wire::TokenGrant {
        wire::TokenGrant {
            path: self.path.iter().map(Step::to_wire).collect(),
            key: Bytes::copy_from_slice(self.key.expose()),
        }
    }
}
