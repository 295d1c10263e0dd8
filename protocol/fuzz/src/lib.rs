//! What the fuzz targets share: the keys of the test vectors, signing, recorded ratchets, and a reader
//! that turns fuzzed bytes into steps.

use std::fmt::Debug;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use undertone_protocol::codec::{Label, Signed, sign};
use undertone_protocol::crypto::{AccountState, HeaderKey, ReceiverKeyState, SessionState};
use undertone_protocol::ids::{CurveKey, DeviceId, Secret, UserId};
use undertone_protocol::keys::{DeviceKey, IdentityKey};

pub mod circuit;
pub mod recorded;

/// The identity that the vectors call user 1.
pub fn identity() -> IdentityKey {
    identity_of(1)
}

/// The identity of user `seed`.
pub fn identity_of(seed: u8) -> IdentityKey {
    IdentityKey::from_seed(&Secret::new([seed; 32]))
}

/// A device of the vectors: 11 is of user 1, 12 of user 2.
pub fn device(seed: u8) -> DeviceKey {
    DeviceKey::from_seed(&Secret::new([seed; 32]))
}

/// The public key of user `seed`.
pub fn user(seed: u8) -> UserId {
    IdentityKey::from_seed(&Secret::new([seed; 32])).user()
}

/// The public key of a device.
pub fn device_id(seed: u8) -> DeviceId {
    device(seed).device()
}

/// `body` signed by the key of this seed, as its maker could: what is behind the signature gets reached.
pub fn signed(label: Label, seed: u8, body: &[u8]) -> Signed {
    sign(label, &SigningKey::from_bytes(&[seed; 32]), Bytes::copy_from_slice(body))
}

/// What was accepted once must be accepted again after it was written anew, and mean the same.
pub fn same<T: PartialEq + Debug, E: Debug>(first: &T, again: Result<T, E>) {
    let again = again.expect("what was accepted is accepted again");
    assert_eq!(first, &again);
}

/// Fuzzed bytes as a series of steps. At their end there is nothing more to take.
pub struct Steps<'a>(pub &'a [u8]);

impl<'a> Steps<'a> {
    /// One byte.
    pub fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    /// A big-endian length of two bytes, then that many bytes, or as many as there are.
    pub fn chunk(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (chunk, rest) = rest.split_at(length);
        self.0 = rest;
        Some(chunk)
    }

    /// Which of `count` things; `None` when there are none.
    pub fn choice(&mut self, count: usize) -> Option<usize> {
        usize::from(self.byte()?).checked_rem(count)
    }
}

/// Recorded ends of Olm and Megolm sessions.
pub struct Ratchets {
    /// The receiving device's account, with prekeys.
    pub account: AccountState,
    /// The sender's Olm identity key.
    pub peer: CurveKey,
    /// The receiving device's session.
    pub session: SessionState,
    /// The receiving end.
    pub receiver: ReceiverKeyState,
    /// Hides the sender key's messages.
    pub header_key: HeaderKey,
}
