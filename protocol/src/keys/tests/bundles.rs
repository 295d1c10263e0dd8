use bytes::Bytes;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::fixtures::{bundle, certificate, device, identity, list, mailbox};
use crate::codec::{Label, Signed, sign};
use crate::ids::{CurveKey, Locator, Secret};
use crate::keys::*;
use crate::testing::hostile::{altered, assert_only_original, mutated};
use crate::wire;

const LOCATOR: Locator = Locator::new([4; 32]);

fn verify(signed: Signed) -> Result<Bundle, KeysError> {
    Bundle::verify(signed, &identity(1).user(), &device(11).device())
}

fn reissued(change: impl FnOnce(&mut BundleFields)) -> Signed {
    let mut fields = bundle(&identity(1), 11).fields;
    change(&mut fields);
    Bundle::issue(&device(11), fields).signed
}

#[test]
fn a_bundle_round_trips_and_holds_as_signed_only() {
    let bundle = bundle(&identity(1), 11);
    assert_eq!(verify(bundle.signed.clone()), Ok(bundle.clone()));
    assert_only_original(&bundle.signed, |signed| verify(signed).is_ok());
    let other = sign(Label::Prekey, device(11).signing_key(), bundle.signed.body.clone());
    assert!(matches!(verify(other), Err(KeysError::BadSignature(_))), "another label");
    let other = sign(Label::Bundle, device(12).signing_key(), bundle.signed.body);
    assert!(matches!(verify(other), Err(KeysError::BadSignature(_))), "another device's signature");
}

#[test]
fn a_bundle_speaks_for_one_device_of_one_user() {
    let signed = bundle(&identity(1), 11).signed;
    let of =
        |user: u8, seed: u8| Bundle::verify(signed.clone(), &identity(user).user(), &device(seed).device());
    assert_eq!(of(2, 11), Err(KeysError::WrongUser));
    assert_eq!(of(1, 12), Err(KeysError::WrongDevice));
    let foreign_list = reissued(|fields| fields.device_list = list(&identity(2), None, &[11]));
    assert_eq!(verify(foreign_list), Err(KeysError::WrongUser));
    let unlisted = reissued(|fields| fields.device_list = list(&identity(1), None, &[12]));
    assert_eq!(verify(unlisted), Err(KeysError::NotListed));
    let revoked = ListedDevice { certificate: certificate(&identity(1), 11), revoked: true };
    let revoked =
        reissued(|fields| fields.device_list = DeviceList::issue(&identity(1), None, vec![revoked]));
    assert_eq!(verify(revoked), Err(KeysError::NotListed));
    let olm = Certificate::issue(
        &identity(1),
        device(11).device(),
        CurveKey::new([99; 32]),
        Name::new("device 11").unwrap(),
        super::fixtures::NOW,
    );
    let other_certificate = reissued(|fields| fields.certificate = olm);
    assert_eq!(
        verify(other_certificate),
        Err(KeysError::NotListed),
        "another certificate than the listed one"
    );
}

#[test]
fn an_ill_formed_bundle_is_refused_though_signed() {
    type Change = fn(&mut wire::Bundle);
    let changes: [(&str, Change); 10] = [
        ("version", |body| body.version = 2),
        ("suite", |body| body.suite = 0),
        ("certificate", |body| body.certificate = None),
        ("device list", |body| body.device_list = None),
        ("X-Wing key", |body| body.xwing_key = vec![9; 1_215].into()),
        ("prekey", |body| body.fallback_prekey = Bytes::new()),
        ("9 mailboxes", |body| body.mailboxes = vec![mailbox(1).to_wire(); 9]),
        ("no address", |body| body.mailboxes[0].relay.as_mut().unwrap().addresses.clear()),
        ("9 addresses", |body| {
            body.mailboxes[0].relay.as_mut().unwrap().addresses = vec!["/ip4/1.1.1.1/tcp/1".to_owned(); 9];
        }),
        ("a long address", |body| {
            body.mailboxes[0].relay.as_mut().unwrap().addresses = vec!["x".repeat(257)];
        }),
    ];
    let signed = bundle(&identity(1), 11).signed;
    for (what, change) in changes {
        let other = altered(Label::Bundle, device(11).signing_key(), &signed, change);
        assert!(matches!(verify(other), Err(KeysError::Malformed(_))), "{what}");
    }
}

#[test]
fn a_prekey_is_its_devices() {
    let key = CurveKey::new([3; 32]);
    let prekey = Prekey::issue(&device(11), key);
    let verify = |signed: Signed| Prekey::verify(signed, &device(11).device());
    assert_eq!(verify(prekey.signed.clone()).unwrap().key, key);
    assert_only_original(&prekey.signed, |signed| verify(signed).is_ok());
    assert_eq!(Prekey::verify(prekey.signed.clone(), &device(12).device()), Err(KeysError::WrongDevice));
    let version =
        altered(Label::Prekey, device(11).signing_key(), &prekey.signed, |body: &mut wire::Prekey| {
            body.version = 2;
        });
    assert!(matches!(verify(version), Err(KeysError::Malformed(_))));
    let other = sign(Label::Prekey, device(12).signing_key(), prekey.signed.body);
    assert!(matches!(verify(other), Err(KeysError::BadSignature(_))));
}

fn sealed(blob: SealedBlob, signed: &Signed) -> Bytes {
    seal_blob(blob, signed, &Secret::new([5; 32]), &LOCATOR, &mut ChaCha20Rng::from_seed([6; 32]))
}

#[test]
fn a_blob_opens_with_its_key_at_its_place_only() {
    let signed = Prekey::issue(&device(11), CurveKey::new([3; 32])).signed;
    let blob = sealed(SealedBlob::Prekey, &signed);
    let key = Secret::new([5; 32]);
    let open = |blob: &[u8]| open_blob(SealedBlob::Prekey, blob, &key, &LOCATOR);
    assert_eq!(open(&blob), Ok(signed.clone()));
    let other_key = open_blob(SealedBlob::Prekey, &blob, &Secret::new([6; 32]), &LOCATOR);
    assert_eq!(other_key, Err(KeysError::WrongKey));
    let other_place = open_blob(SealedBlob::Prekey, &blob, &key, &Locator::new([5; 32]));
    assert_eq!(other_place, Err(KeysError::WrongKey));
    assert!(matches!(open_blob(SealedBlob::Bundle, &blob, &key, &LOCATOR), Err(KeysError::Malformed(_))));
    let mut posing = blob.to_vec();
    posing[2] = 0x10;
    assert_eq!(open_blob(SealedBlob::Bundle, &posing, &key, &LOCATOR), Err(KeysError::WrongKey));
    for at in 0..blob.len() {
        let mut other = blob.to_vec();
        other[at] ^= 1 << (at % 8);
        assert!(open(&other).is_err(), "byte {at}");
        assert!(open(&blob[..at]).is_err(), "cut to {at} bytes");
    }
}

proptest! {
    #[test]
    fn any_blob_is_read_without_panic(blob: Vec<u8>, headed: bool) {
        let bytes = if headed { [&[1, 1, 0x10][..], &blob].concat() } else { blob };
        prop_assert!(open_blob(SealedBlob::Bundle, &bytes, &Secret::new([5; 32]), &LOCATOR).is_err());
    }

    #[test]
    fn any_signed_bytes_are_read_without_panic(body: Vec<u8>, edits: Vec<(usize, u8)>) {
        let key = device(11);
        prop_assert!(verify(sign(Label::Bundle, key.signing_key(), body.clone())).is_err());
        let prekey = sign(Label::Prekey, key.signing_key(), body);
        prop_assert!(Prekey::verify(prekey, &key.device()).is_err());
        let edited = mutated(Label::Bundle, key.signing_key(), &bundle(&identity(1), 11).signed, &edits);
        if let Ok(read) = verify(edited) {
            prop_assert_eq!(read.fields.certificate.device, key.device());
            prop_assert_eq!(read.fields.xwing_key.len(), 1_216);
        }
    }
}
