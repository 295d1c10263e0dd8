//! `vectors/identity.json`: what another implementation can check itself against, with `spec/identity.md`.

use data_encoding::BASE64URL_NOPAD;
use prost::Message;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};

use super::devices;
use super::fixtures::{
    bundle, certificate, device, identity, introduction_fields, invitation, lists, mailbox, mailbox_secret,
    request,
};
use crate::codec::Signed;
use crate::crypto::seal_link;
use crate::ids::{ConversationId, CurveKey, Handle, Locator, Secret};
use crate::keys::*;
use crate::testing::schema::{fields, signed};
use crate::testing::vectors::{assert_stored, hex};

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
    json!(lists().map(|list| json!({
        "signed": signed("DeviceList", &list.signed),
        "hash": list.hash().to_hex(),
    })))
}

/// What nobody but the mailboxes' owners and their relays know: the tokens in the other vectors were issued under it.
fn mailboxes() -> Value {
    json!([(1, 11), (2, 11), (3, 13)].map(|(seed, owner)| json!({
        "mailbox": mailbox(seed).mailbox.to_hex(),
        "relay": mailbox(seed).relay.relay.to_hex(),
        "device": device(owner).device().to_hex(),
        "secret": hex(mailbox_secret(seed).expose()),
    })))
}

fn blob(blob: SealedBlob, message: &str, content: &Signed) -> Value {
    let (key, locator) = (Secret::new([5; 32]), Locator::new([81; 32]));
    let sealed = seal_blob(blob, content, &key, &locator, &mut ChaCha20Rng::from_seed([6; 32]));
    json!({
        "signed": signed(message, content),
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
    json!({
        "signed": signed("Introduction", &link),
        "key": hex(key.expose()),
        "nonce": hex(&sealed[3..15]),
        "payload": hex(sealed),
    })
}

/// A text that people copy, and what is in it.
fn link(message: &str, text: &str) -> Value {
    let body = text.rsplit('/').next().unwrap();
    let body = BASE64URL_NOPAD.decode(body.as_bytes()).unwrap();
    let (body, checksum) = body.split_last_chunk::<4>().unwrap();
    json!({
        "text": text,
        "body": hex(body),
        "fields": fields(message, body),
        "checksum": hex(checksum),
    })
}

/// The same, to a group.
fn group_invitation() -> Invitation {
    let name = Name::new("The choir").unwrap();
    Invitation { group: Some(InvitedGroup { id: ConversationId::new([3; 32]), name }), ..invitation() }
}

/// From device 11 of user 1 to device 12 of user 2.
fn introduction(kind: IntroductionKind) -> Value {
    let introduction = Introduction::issue(&device(11), introduction_fields(kind));
    let mut value = signed("Introduction", &introduction.signed);
    value["from"] = json!({ "user": identity(1).user().to_hex(), "device": device(11).device().to_hex() });
    value["to"] = json!({ "user": identity(2).user().to_hex(), "device": device(12).device().to_hex() });
    value
}

/// What comes after a contact's token when their list revoked a device.
fn next_handle() -> Value {
    let (former, list) = (Handle::new([7; 8]), lists()[1].hash());
    json!({ "former": former.to_hex(), "list": list.to_hex(), "next": former.after(&list).to_hex() })
}

/// All of it, computed from fixed seeds.
fn computed() -> Value {
    let seeds = |key: &Secret, public: String| json!({ "seed": hex(key.expose()), "public_key": public });
    let identities = [1, 2].map(|seed| seeds(&identity(seed).seed(), identity(seed).user().to_hex()));
    let devices = [11, 12, 13].map(|seed| seeds(&device(seed).seed(), device(seed).device().to_hex()));
    json!({
        "phrase": phrase(),
        "identities": identities,
        "devices": devices,
        "mailboxes": mailboxes(),
        "direct_conversation": direct_conversation(&identity(1).user(), &identity(2).user()).to_hex(),
        "account_conversation": direct_conversation(&identity(1).user(), &identity(1).user()).to_hex(),
        "certificate": signed("Certificate", &certificate(&identity(1), 11).signed),
        "device_lists": device_lists(),
        "bundle": blob(SealedBlob::Bundle, "Bundle", &bundle(&identity(1), 11).signed),
        "prekey": blob(SealedBlob::Prekey, "Prekey", &Prekey::issue(&device(11), CurveKey::new([3; 32])).signed),
        "checkpoint": signed("Checkpoint", &Checkpoint::issue(&device(11), 300).signed),
        "invitation": link("Invitation", &invitation().to_string()),
        "group_invitation": link("Invitation", &group_invitation().to_string()),
        "request": introduction(request()),
        "accept": introduction(IntroductionKind::Accept),
        "member": introduction(IntroductionKind::Member { group: ConversationId::new([3; 32]) }),
        "device_code": link("DeviceCode", &devices::code().to_string()),
        "link": device_link(),
        "device_revoke": signed("DeviceRevoke", &devices::revoke().signed),
        "next_handle": next_handle(),
    })
}

#[test]
fn the_stored_vectors_are_what_we_compute() {
    assert_stored("identity.json", &computed());
}
