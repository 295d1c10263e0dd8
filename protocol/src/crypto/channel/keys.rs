use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable, HpkeError, Kem, OpModeR, OpModeS, Serializable};
use rand_core::CryptoRng;

use crate::crypto::payload::{self, ENC_BYTES};
use crate::crypto::xwing::{XWingKey, XWingPublic};
use crate::ids::{DeviceId, Secret, Tag};
use crate::limits::SUITE;
use zeroize::Zeroizing;

const INFO: &[u8] = b"undertone v1 channel";
const CHANNEL_KEY: &[u8] = b"undertone v1 channel key";
const HEADER_KEY: &[u8] = b"undertone v1 channel header key";

type EncappedKey = <XWing as Kem>::EncappedKey;

/// The two keys that both ends of a channel export from its HPKE context (RFC 9180, section 5.3).
/// HPKE's own sealing is never used: its order of messages is not ours.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ChannelKeys {
    /// Seals contents.
    pub(super) channel: Secret,
    /// Makes tags.
    pub(super) header: Secret,
}

impl ChannelKeys {
    /// Sets a channel up, with its encapsulation.
    pub(super) fn set_up(
        rng: &mut impl CryptoRng,
        recipient: &DeviceId,
        xwing: &XWingPublic,
    ) -> Result<(Self, Box<[u8; ENC_BYTES]>), HpkeError> {
        let (encapped, context) = hpke::setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeS::Base,
            xwing.key(),
            &info(recipient),
            rng,
        )?;
        let mut enc = Box::new([0; ENC_BYTES]);
        encapped.write_exact(enc.as_mut_slice());
        let keys = Self::export(|label, out| context.export(label, out))?;
        Ok((keys, enc))
    }

    /// The recipient's end.
    pub(super) fn receive(
        own: &DeviceId,
        xwing: &XWingKey,
        enc: &[u8; ENC_BYTES],
    ) -> Result<Self, HpkeError> {
        let encapped = EncappedKey::from_bytes(enc)?;
        let context = hpke::setup_receiver::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeR::Base,
            &xwing.private(),
            &encapped,
            &info(own),
        )?;
        Self::export(|label, out| context.export(label, out))
    }

    fn export(export: impl Fn(&[u8], &mut [u8]) -> Result<(), HpkeError>) -> Result<Self, HpkeError> {
        let key = |label| {
            let mut out = Zeroizing::new([0; 32]);
            export(label, out.as_mut_slice())?;
            Ok(Secret::new(*out))
        };
        Ok(Self { channel: key(CHANNEL_KEY)?, header: key(HEADER_KEY)? })
    }

    pub(super) fn tag(&self, index: u64) -> Tag {
        payload::tag(&self.header, index)
    }
}

/// `label ‖ 0x00 ‖ suite ‖ recipient device`.
fn info(recipient: &DeviceId) -> Vec<u8> {
    [INFO, &[0, SUITE], recipient.as_bytes()].concat()
}
