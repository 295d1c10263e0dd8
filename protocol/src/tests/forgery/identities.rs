use ed25519_dalek::SigningKey;
use proptest::prelude::*;

use super::{Signer, damage, holds_as_signed};
use crate::codec::Label;
use crate::ids::{ConversationId, CurveKey, DeviceId, EntryId, Secret};
use crate::keys::*;
use crate::time::Timestamp;

fn user() -> (IdentityKey, SigningKey) {
    (IdentityKey::from_seed(&Secret::new([1; 32])), SigningKey::from_bytes(&[1; 32]))
}

fn name() -> impl Strategy<Value = Name> {
    "[a-zA-Zé0-9][a-z é]{0,20}[a-z]".prop_map(|name| Name::new(&name).unwrap())
}

prop_compose! {
    fn certificate()(device: [u8; 32], olm: [u8; 32], name in name(), created_ms: u64) -> Certificate {
        let created = Timestamp::from_ms(created_ms);
        Certificate::issue(&user().0, DeviceId::new(device), CurveKey::new(olm), name, created)
    }
}

fn devices() -> impl Strategy<Value = Vec<ListedDevice>> {
    let listed = (certificate(), any::<bool>())
        .prop_map(|(certificate, revoked)| ListedDevice { certificate, revoked });
    prop::collection::vec(listed, 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// In the place of another device's it is no use: a bundle must come from the device that is asked for, under the
    /// very certificate that the list has.
    #[test]
    fn certificates(certificate in certificate(), other in certificate(), damage in damage()) {
        let (identity, key) = user();
        let signer = Signer(Label::Certificate, &key);
        holds_as_signed(&certificate.signed, signer, &damage, |signed| Certificate::verify(signed).is_ok())?;
        let listed = ListedDevice { certificate: certificate.clone(), revoked: false };
        let list = DeviceList::issue(&identity, None, vec![listed]);
        prop_assert_eq!(list.active_device(&certificate.device), Some(&certificate));
        prop_assert_eq!(list.active_device(&other.device), None);
    }

    /// One that came before, again, replaces nothing: not the one after it, nor itself.
    #[test]
    fn device_lists(first in devices(), more in devices(), damage in damage()) {
        let (identity, key) = user();
        let first = DeviceList::issue(&identity, None, first);
        let all = first.devices.iter().chain(&more).cloned().collect();
        let second = DeviceList::issue(&identity, Some(&first), all);
        for list in [&first, &second] {
            let signer = Signer(Label::DeviceList, &key);
            holds_as_signed(&list.signed, signer, &damage, |signed| DeviceList::verify(signed).is_ok())?;
        }
        prop_assert_eq!(second.judge(Some(&first)), ListVerdict::Newer);
        prop_assert_eq!(first.judge(Some(&second)), ListVerdict::Older);
        prop_assert_eq!(second.judge(Some(&second)), ListVerdict::Same);
    }

    #[test]
    fn revocations(device: [u8; 32], conversation: [u8; 32], cut in prop::option::of((1u64.., any::<[u8; 32]>())), damage in damage()) {
        let (identity, key) = user();
        let list = DeviceList::issue(&identity, None, Vec::new());
        let fields = DeviceRevokeFields {
            user: identity.user(),
            list: list.hash(),
            device: DeviceId::new(device),
            conversation: ConversationId::new(conversation),
            cut: cut.map(|(seq, head)| (seq, EntryId::new(head))),
        };
        let revoke = DeviceRevoke::issue(&identity, fields);
        let signer = Signer(Label::DeviceRevoke, &key);
        holds_as_signed(&revoke.signed, signer, &damage, |signed| DeviceRevoke::verify(signed).is_ok())?;
        prop_assert_eq!(DeviceRevoke::verify(revoke.signed.clone()), Ok(revoke));
    }

    /// A prekey of one device serves no other.
    #[test]
    fn prekeys(curve: [u8; 32], seed: [u8; 32], damage in damage()) {
        let device = DeviceKey::from_seed(&Secret::new(seed));
        let prekey = Prekey::issue(&device, CurveKey::new(curve));
        let signer = Signer(Label::Prekey, device.signing_key());
        holds_as_signed(&prekey.signed, signer, &damage, |signed| Prekey::verify(signed, &device.device()).is_ok())?;
        let other = DeviceId::new([7; 32]);
        prop_assert_eq!(Prekey::verify(prekey.signed, &other), Err(KeysError::WrongDevice));
    }

    #[test]
    fn checkpoints(next: u64, seed: [u8; 32], damage in damage()) {
        let device = DeviceKey::from_seed(&Secret::new(seed));
        let checkpoint = Checkpoint::issue(&device, next);
        let signer = Signer(Label::Checkpoint, device.signing_key());
        holds_as_signed(&checkpoint.signed, signer, &damage, |signed| {
            Checkpoint::verify(signed, &device.device()).is_ok()
        })?;
        prop_assert_eq!(Checkpoint::verify(checkpoint.signed.clone(), &device.device()), Ok(checkpoint));
    }
}
