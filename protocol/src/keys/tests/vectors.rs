//! `vectors/identity.json`: what another implementation can check itself against, with `spec/identity.md`.

use prost::Message;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};

use super::devices;
use super::fixtures::{
    bundle, certificate, device, identity, introduction_fields, invitation, list, request,
};
use crate::codec::Signed;
use crate::crypto::seal_link;
use crate::ids::{CurveKey, Handle, Locator, Secret};
use crate::keys::*;
use crate::testing::vectors::{assert_stored, hex};

fn signed(signed: &Signed) -> Value {
    json!({ "body": hex(&signed.body), "signature": hex(signed.signature) })
}

fn phrase() -> Value {
    let words = format!("{} art", ["abandon"; 23].join(" "));
    let identity = IdentityKey::from_phrase(&RecoveryPhrase::parse(&words).unwrap());
    json!({
        "words": words,
        "identity_seed": hex(identity.seed().expose()),
        "user": identity.user().to_hex(),
    })
}

fn device_lists() -> Value {
    let key = identity(1);
    let first = list(&key, None, &[11]);
    let revoked = ListedDevice { certificate: certificate(&key, 11), revoked: true };
    let added = ListedDevice { certificate: certificate(&key, 13), revoked: false };
    let second = DeviceList::issue(&key, Some(&first), vec![revoked, added]);
    json!([first, second].map(|list| json!({
        "signed": signed(&list.signed),
        "hash": list.hash().to_hex(),
    })))
}

fn blob(blob: SealedBlob, content: &Signed) -> Value {
    let (key, locator) = (Secret::new([5; 32]), Locator::new([81; 32]));
    let sealed = seal_blob(blob, content, &key, &locator, &mut ChaCha20Rng::from_seed([6; 32]));
    json!({
        "signed": signed(content),
        "key": hex(key.expose()),
        "locator": locator.to_hex(),
        "nonce": hex(&sealed[3..15]),
        "sealed": hex(&sealed),
    })
}

/// The answer to the code: what is sealed, and as it is delivered.
fn device_link() -> Value {
    let link = devices::link().signed;
    let content = link.to_wire().encode_to_vec();
    let key = devices::code().key;
    let sealed = seal_link(&key, content, &mut ChaCha20Rng::from_seed([6; 32])).unwrap();
    json!({ "signed": signed(&link), "key": hex(key.expose()), "payload": hex(sealed) })
}

/// What comes after a contact's token when their list revoked a device.
fn next_handle() -> Value {
    let (former, list) = (Handle::new([7; 8]), list(&identity(1), None, &[11]).hash());
    json!({ "former": former.to_hex(), "list": list.to_hex(), "next": former.after(&list).to_hex() })
}

/// All of it, computed from fixed seeds.
fn computed() -> Value {
    let seeds = |key: &Secret, public: String| json!({ "seed": hex(key.expose()), "public_key": public });
    let introduction = |kind| signed(&Introduction::issue(&device(11), introduction_fields(kind)).signed);
    let identities = [1, 2].map(|seed| seeds(&identity(seed).seed(), identity(seed).user().to_hex()));
    let devices = [11, 12].map(|seed| seeds(&device(seed).seed(), device(seed).device().to_hex()));
    let link = invitation().to_string();
    json!({
        "phrase": phrase(),
        "identities": identities,
        "devices": devices,
        "direct_conversation": direct_conversation(&identity(1).user(), &identity(2).user()).to_hex(),
        "certificate": signed(&certificate(&identity(1), 11).signed),
        "device_lists": device_lists(),
        "bundle": blob(SealedBlob::Bundle, &bundle(&identity(1), 11).signed),
        "prekey": blob(SealedBlob::Prekey, &Prekey::issue(&device(11), CurveKey::new([3; 32])).signed),
        "invitation": link,
        "request": introduction(request()),
        "accept": introduction(IntroductionKind::Accept),
        "device_code": devices::code().to_string(),
        "link": device_link(),
        "device_revoke": signed(&devices::revoke().signed),
        "next_handle": next_handle(),
    })
}

#[test]
fn the_stored_vectors_are_what_we_compute() {
    assert_stored("identity.json", &computed());
}
