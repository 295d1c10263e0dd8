//! `vectors/log.json`: what another implementation can check itself against, with `spec/log.md`.

use ed25519_dalek::SigningKey;
use prost::Message;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};

use super::model::Replica;
use crate::codec::{Label, Signed, sign};
use crate::entry::{
    AccountRecord, AccountState, Act, Annotation, BlockedFrom, Content, DeviceChange, EntryBody, EntryHeader,
    SignedEntry, Text,
};
use crate::ids::{ConversationId, CurveKey, DeviceId, DeviceListHash, EntryId, Handle, Secret, UserId};
use crate::keys::{
    Certificate, DeviceKey, DeviceList, DeviceRevoke, DeviceRevokeFields, IdentityKey, ListedDevice, Name,
};
use crate::testing::schema::fields;
use crate::testing::vectors::{assert_stored, hex};
use crate::time::Timestamp;
use crate::wire;

const DAY_MS: u64 = 24 * 3_600_000;
const START_MS: u64 = 1_700_000_000_000;
const CONVERSATION: ConversationId = ConversationId::new([3; 32]);

/// Makes entries as one device after another.
struct Writer {
    seed: u8,
    last: Option<SignedEntry>,
}

impl Writer {
    fn write(&mut self, text: &str, heads: &[EntryId], claimed_ms: u64) -> SignedEntry {
        let key = SigningKey::from_bytes(&[self.seed; 32]);
        let body =
            EntryBody::text(text, &mut ChaCha20Rng::from_seed(*blake3::hash(text.as_bytes()).as_bytes()));
        let body = body.unwrap();
        let header = EntryHeader {
            conversation: CONVERSATION,
            device: DeviceId::new(key.verifying_key().to_bytes()),
            seq: self.last.as_ref().map_or(1, |last| last.header.seq + 1),
            prev: self.last.as_ref().map(|last| last.id),
            heads: heads.to_vec(),
            claimed: Timestamp::from_ms(claimed_ms),
            membership_heads: vec![DeviceListHash::new([6; 32]), DeviceListHash::new([7; 32])],
            body_hash: body.hash(),
            expires: None,
        };
        let entry = SignedEntry::issue(&key, header, body);
        self.last = Some(entry.clone());
        entry
    }
}

/// Two devices: a fast clock, a slow one, and what is written without having seen the other's.
fn entries() -> Vec<SignedEntry> {
    let [mut ann, mut bob] = [11, 12].map(|seed| Writer { seed, last: None });
    let first = ann.write("first", &[], START_MS);
    let fast = bob.write("from a clock that is a year fast", &[first.id], START_MS + 365 * DAY_MS);
    let unseen = ann.write("written at the same time", &[first.id], START_MS + 60_000);
    let slow = ann.write("from a clock that is set back", &[fast.id, unseen.id], 1_000);
    let last = bob.write("last", &[slow.id], START_MS + 2 * DAY_MS);
    vec![first, fast, unseen, slow, last]
}

/// A text with all that it may have, in the place of which another one comes.
fn messages() -> [(&'static str, Content); 7] {
    let text = Text {
        text: "hello @Bob".to_owned(),
        reply_to: Some(EntryId::new([5; 32])),
        forwarded: true,
        mentions: vec![UserId::new([1; 32]), UserId::new([2; 32])],
    };
    let edit = Text { reply_to: None, forwarded: false, ..text.clone() };
    let annotation = |act| Content::Annotation(Annotation { entry: EntryId::new([4; 32]), act });
    [
        ("text", Content::Text(text)),
        ("reaction", annotation(Act::Reaction("👍".to_owned()))),
        ("edit", annotation(Act::Edit(edit))),
        ("delete", annotation(Act::Delete)),
        ("pin", annotation(Act::Pin(true))),
        ("drop", annotation(Act::Drop)),
        ("hidden", Content::Hidden(vec![EntryId::new([4; 32]), EntryId::new([5; 32])])),
    ]
}

/// The bodies of all kinds. The list and the revocation in them are of user 1, whose key signs both.
fn contents() -> Value {
    let user = IdentityKey::from_seed(&Secret::new([1; 32]));
    let [first, second] = device_lists(&user);
    let revocation = DeviceRevokeFields {
        user: user.user(),
        list: second.hash(),
        device: DeviceKey::from_seed(&Secret::new([11; 32])).device(),
        conversation: CONVERSATION,
        cut: Some((3, EntryId::new([4; 32]))),
    };
    let devices = Content::Devices(DeviceChange {
        device_list: second.signed.clone(),
        revocations: vec![DeviceRevoke::issue(&user, revocation).signed],
    });
    let record = AccountRecord {
        user: UserId::new([2; 32]),
        replaces: vec![EntryId::new([5; 32])],
        state: AccountState::Blocked { since: Timestamp::from_ms(START_MS), was: BlockedFrom::Accepted },
        name: Name::new("Bob").unwrap(),
        verified: true,
        token: Handle::new([6; 8]),
        invitation: Some(Handle::new([7; 8])),
        device_list: Some(first.signed),
        bundles: Vec::new(),
        grants: Vec::new(),
    };
    let body = |content| {
        let body = EntryBody::new(content, &mut ChaCha20Rng::from_seed([8; 32])).unwrap();
        assert_eq!(EntryBody::from_bytes(body.bytes.clone()), Ok(body.clone()));
        json!({ "body": hex(&body.bytes), "fields": fields("EntryBody", &body.bytes) })
    };
    let mut contents = json!({
        "devices": body(devices),
        "operation": body(Content::Operation(operation())),
        "account": body(Content::Account(Box::new(record))),
        "signer_seed": hex(user.seed().expose()),
        "signer": user.user().to_hex(),
    });
    for (name, content) in messages() {
        contents[name] = body(content);
    }
    contents
}

/// Device 11 leaves the group that the conversation is.
fn operation() -> Signed {
    let operation = wire::Operation {
        version: 1,
        suite: 1,
        group: CONVERSATION.to_wire(),
        device: SigningKey::from_bytes(&[11; 32]).verifying_key().to_bytes().to_vec().into(),
        certificate: vec![9; 32].into(),
        parents: vec![vec![6; 32].into()],
        number: 4,
        action: Some(wire::operation::Action::Leave(wire::LeaveGroup::default())),
    };
    sign(Label::Operation, &SigningKey::from_bytes(&[11; 32]), operation.encode_to_vec())
}

/// One device, and then another in its place.
fn device_lists(user: &IdentityKey) -> [DeviceList; 2] {
    let listed = |seed: u8, revoked| {
        let device = DeviceKey::from_seed(&Secret::new([seed; 32])).device();
        let name = Name::new(&format!("device {seed}")).unwrap();
        let olm_key = CurveKey::new([seed; 32]);
        let certificate = Certificate::issue(user, device, olm_key, name, Timestamp::from_ms(START_MS));
        ListedDevice { certificate, revoked }
    };
    let first = DeviceList::issue(user, None, vec![listed(11, false)]);
    let second = DeviceList::issue(user, Some(&first), vec![listed(11, true), listed(13, false)]);
    [first, second]
}

fn computed() -> Value {
    let entries = entries();
    let mut replica = Replica::default();
    for entry in &entries {
        replica.insert(entry.id, entry.header.clone());
    }
    let of = |entry: &SignedEntry| {
        json!({
            "header": hex(&entry.header_bytes),
            "header_fields": fields("EntryHeader", &entry.header_bytes),
            "signature": hex(entry.signature),
            "body": hex(&entry.body.bytes),
            "body_fields": fields("EntryBody", &entry.body.bytes),
            "body_hash": hex(entry.header.body_hash),
            "id": entry.id.to_hex(),
            "effective_ms": replica.key(&entry.id).effective.as_ms(),
        })
    };
    let seeds = [11, 12].map(|seed| hex([seed; 32]));
    json!({
        "device_seeds": seeds,
        "entries": entries.iter().map(of).collect::<Vec<_>>(),
        "contents": contents(),
        "order": replica.order().iter().map(|key| key.entry.to_hex()).collect::<Vec<_>>(),
    })
}

#[test]
fn the_stored_vectors_are_what_we_compute() {
    assert_stored("log.json", &computed());
}

#[test]
fn the_entries_verify() {
    for entry in entries() {
        assert_eq!(SignedEntry::verify(entry.to_wire()), Ok(entry));
    }
}
