//! One property for each structure that counts: whatever it says, nothing but the original passes. It is forged (by
//! another key, under another label), cut, changed by a bit, made longer, and used again where it does not belong.

mod entries;
mod envelopes;
mod identities;
mod tokens;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use proptest::prelude::*;

use crate::codec::{Label, Signed, sign};

/// What is done to bytes.
#[derive(Debug, Clone)]
enum Damage {
    /// One bit is another.
    Flip(prop::sample::Index, u8),
    /// The end is missing.
    Cut(prop::sample::Index),
    /// Something stands behind.
    Append(Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (any::<prop::sample::Index>(), 0u8..8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        any::<prop::sample::Index>().prop_map(Damage::Cut),
        prop::collection::vec(any::<u8>(), 1..40).prop_map(Damage::Append),
    ]
}

impl Damage {
    /// Always another string of bytes; `bytes` has one at least.
    fn applied(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        match self {
            Self::Flip(at, bit) => out[at.index(bytes.len())] ^= 1 << bit,
            Self::Cut(at) => out.truncate(at.index(bytes.len())),
            Self::Append(more) => out.extend(more),
        }
        out
    }
}

/// Key and label under which something is signed.
#[derive(Clone, Copy)]
struct Signer<'a>(Label, &'a SigningKey);

/// The original passes; damaged, signed by a stranger, or under another label it does not.
fn holds_as_signed(
    signed: &Signed,
    Signer(label, key): Signer<'_>,
    damage: &Damage,
    accepts: impl Fn(Signed) -> bool,
) -> Result<(), TestCaseError> {
    prop_assert!(accepts(signed.clone()));
    let body = Bytes::from(damage.applied(&signed.body));
    prop_assert!(!accepts(Signed { body, ..signed.clone() }), "the body");
    if let Ok(signature) = damage.applied(&signed.signature).try_into() {
        prop_assert!(!accepts(Signed { signature, ..signed.clone() }), "the signature");
    }
    let stranger = SigningKey::from_bytes(&[99; 32]);
    prop_assert!(!accepts(sign(label, &stranger, signed.body.clone())), "a stranger's signature");
    for other in LABELS.into_iter().filter(|other| *other != label) {
        prop_assert!(!accepts(sign(other, key, signed.body.clone())), "under {}", other.as_str());
    }
    Ok(())
}

const LABELS: [Label; 16] = [
    Label::Certificate,
    Label::DeviceList,
    Label::DeviceRevoke,
    Label::Bundle,
    Label::Prekey,
    Label::Checkpoint,
    Label::Introduction,
    Label::KeyPackage,
    Label::Entry,
    Label::Operation,
    Label::Acknowledgement,
    Label::Custody,
    Label::RoutingKey,
    Label::Waiting,
    Label::DeadLetter,
    Label::RelayRecord,
];
