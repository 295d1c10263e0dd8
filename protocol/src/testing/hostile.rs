//! What tests do to signed bytes.

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use prost::Message;

use crate::codec::{Label, Signed, sign};

/// One bit in every byte of body and signature, every length of the body: nothing but the original may pass.
pub(crate) fn assert_only_original(signed: &Signed, accepts: impl Fn(Signed) -> bool) {
    assert!(accepts(signed.clone()), "the original must pass");
    for at in 0..signed.body.len() {
        let mut body = signed.body.to_vec();
        body[at] ^= 1 << (at % 8);
        assert!(!accepts(Signed { body: body.into(), ..signed.clone() }), "bit {} of byte {at}", at % 8);
    }
    for at in 0..signed.signature.len() {
        let mut other = signed.clone();
        other.signature[at] ^= 1 << (at % 8);
        assert!(!accepts(other), "bit {} of byte {at} of the signature", at % 8);
    }
    for length in 0..signed.body.len() {
        let body = signed.body.slice(..length);
        assert!(!accepts(Signed { body, ..signed.clone() }), "cut to {length} bytes");
    }
    let body: Bytes = [signed.body.as_ref(), &[0]].concat().into();
    assert!(!accepts(Signed { body, ..signed.clone() }), "one byte more");
}

/// The body changed and signed anew, as its maker could.
pub(crate) fn altered<M: Message + Default>(
    label: Label,
    key: &SigningKey,
    signed: &Signed,
    change: impl FnOnce(&mut M),
) -> Signed {
    let mut body = M::decode(signed.body.clone()).unwrap();
    change(&mut body);
    sign(label, key, body.encode_to_vec())
}

/// Some bytes of the body changed and signed anew.
pub(crate) fn mutated(label: Label, key: &SigningKey, signed: &Signed, edits: &[(usize, u8)]) -> Signed {
    let mut body = signed.body.to_vec();
    for (at, byte) in edits {
        let at = at % body.len();
        body[at] = *byte;
    }
    sign(label, key, body)
}
