//! `vectors/dialogue.json`: one client with its home relay, from `Hello` to `Goodbye`, with the length before each
//! frame. Payloads, bundles and prekeys are stand-ins, since a relay takes any bytes; proofs and receipts are real.

use std::collections::BTreeSet;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use prost::Message;
use serde_json::{Value, json};

use super::{bytes, list, read, text};
use crate::codec::Signed;
use crate::ids::{Handle, MailboxId, PayloadHash, PublishId, RelayId, Secret};
use crate::keys::{Checkpoint, DeviceKey};
use crate::limits::{CREDIT_CLASS_0, CREDIT_CLASS_1, ENVELOPE_TTL_MAX};
use crate::receipts::{CustodyReceipt, Denial, ItemOutcome, Outcome};
use crate::testing::schema::fields;
use crate::testing::vectors::{assert_stored, hex};
use crate::time::Timestamp;
use crate::token::{Proof, ProofInput, Step, TokenGrant, check};
use crate::wire::frame::Body;
use crate::wire::{self, Frame};

const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);
const WEEK_MS: u64 = 7 * 24 * 3_600_000;
/// The client's own mailbox, and the one that it writes to. The relay knows the secrets of both.
const OWN: (MailboxId, Secret) = (MailboxId::new([2; 16]), Secret::new([42; 32]));
const THEIRS: (MailboxId, Secret) = (MailboxId::new([1; 16]), Secret::new([41; 32]));

fn relay() -> SigningKey {
    SigningKey::from_bytes(&[21; 32])
}

fn relay_id() -> RelayId {
    RelayId::new(relay().verifying_key().to_bytes())
}

fn of(byte: u8, length: usize) -> Bytes {
    vec![byte; length].into()
}

/// What is said, in order.
#[derive(Default)]
struct Script(Vec<Value>);

impl Script {
    fn say(&mut self, from: &str, request: u64, body: Body, why: &str) {
        let frame = Frame { request, body: Some(body) }.encode_to_vec();
        let length = u32::try_from(frame.len()).unwrap().to_be_bytes();
        self.0.push(json!({
            "from": from,
            "why": why,
            "bytes": hex([&length[..], &frame].concat()),
            "fields": fields("Frame", &frame),
        }));
    }

    fn client(&mut self, request: u64, body: Body, why: &str) {
        self.say("client", request, body, why);
    }

    fn relay(&mut self, request: u64, body: Body, why: &str) {
        self.say("relay", request, body, why);
    }
}

fn greeting(script: &mut Script) {
    let hello = wire::Hello { version_min: 1, version_max: 1 };
    script.client(1, Body::Hello(hello), "The first frame: the versions that the client speaks.");
    let welcome = wire::Welcome { version: 1, now_ms: NOW.as_ms(), record: None };
    script.relay(1, Body::Welcome(welcome), "The version for both. The clock decides nothing at the client.");
    let register = wire::Register {
        mailbox: OWN.0.to_wire(),
        secret: Bytes::copy_from_slice(OWN.1.expose()),
        epoch: 1,
        invitation: Bytes::new(),
    };
    script.client(2, Body::Register(register), "At a home relay this goes first, each time.");
    let registered = wire::Registered { generation: of(9, 8) };
    let why = "Unknown to the client: it counts from 0, and tells the relay all that it should keep.";
    script.relay(2, Body::Registered(registered), why);
}

fn upkeep(script: &mut Script) {
    let ack = |class| wire::Ack { class, through: 0, ranges: Vec::new() };
    let credit = |class, (messages, bytes)| wire::Credit { class, messages, bytes };
    let attach = wire::Attach {
        mailbox: OWN.0.to_wire(),
        generation: of(9, 8),
        acks: vec![ack(0), ack(1)],
        credits: vec![credit(0, CREDIT_CLASS_0), credit(1, CREDIT_CLASS_1)],
    };
    script.client(3, Body::Attach(attach), "Nothing was committed yet; the first credit is the window.");
    let put =
        wire::PutBundle { locator: of(8, 32), bundle: Bytes::from_static(b"stands for a sealed bundle") };
    script.client(4, Body::PutBundle(put), "Behind the attach, without waiting for its answer.");
    let introduction = wire::PutIntroduction {
        mailbox: OWN.0.to_wire(),
        handle: of(7, 8),
        uses: 1,
        not_after_ms: NOW.as_ms() + WEEK_MS,
    };
    script.client(5, Body::PutIntroduction(introduction), "An open invitation, for one use and a week.");
    let prekeys = |batch, prekeys| wire::PutPrekeys { locator: of(8, 32), batch, prekeys };
    script.client(6, Body::PutPrekeys(prekeys(0, Vec::new())), "Asks how many prekeys are left.");
    let attached = wire::Attached { generation: of(9, 8), checkpoint: None };
    script.relay(3, Body::Attached(attached), "Deliveries come from here on.");
    script.relay(4, Body::Done(wire::Done {}), "The bundle is stored durably.");
    script.relay(5, Body::Done(wire::Done {}), "Now the link may be shown.");
    script.relay(
        6,
        Body::PrekeysLeft(wire::PrekeysLeft { left: 0, batch: 0 }),
        "Below half of 40: more are due.",
    );
    let batch = [10, 11].map(|byte| of(byte, 30)).to_vec();
    let why = "Batch 1, stored by the client before it is sent. (40 prekeys; two are shown.)";
    script.client(7, Body::PutPrekeys(prekeys(1, batch)), why);
    script.relay(7, Body::PrekeysLeft(wire::PrekeysLeft { left: 2, batch: 1 }), "Batch 1 is confirmed.");
    let checkpoint = Checkpoint::issue(&DeviceKey::from_seed(&Secret::new([12; 32])), 3).signed.to_wire();
    let put = wire::PutCheckpoint { checkpoint: Some(checkpoint) };
    script.client(8, Body::PutCheckpoint(put), "Two envelopes were made: they go out behind it.");
    script.relay(8, Body::Done(wire::Done {}), "It comes back with the next attach.");
}

/// The token that the owner of the other mailbox gave this client.
fn grant() -> TokenGrant {
    TokenGrant::issue(&THEIRS.1, Step::named(Handle::new([6; 8])))
}

const KEY: &[u8] = b"stands for a key package in its envelope";
const MESSAGE: &[u8] = b"stands for the message that it opens";

fn publish(id: u8, payloads: &[&'static [u8]], now: Timestamp) -> wire::Publish {
    let (publish_id, expiry) = (PublishId::new([id; 16]), now.after(ENVELOPE_TTL_MAX));
    let item = |payload: &&'static [u8]| {
        let input =
            ProofInput { publish_id, payload_hash: PayloadHash::of(payload), relay: relay_id(), expiry };
        let recipient = grant().prove(&input).to_recipient(THEIRS.0, 1, grant().path());
        let route = wire::OpenRoute { recipients: vec![recipient] };
        wire::PublishItem {
            payload: Bytes::from_static(payload),
            class: 0,
            expiry_ms: expiry.as_ms(),
            route: Some(wire::Route { kind: Some(wire::route::Kind::Open(route)) }),
        }
    };
    wire::Publish { publish_id: publish_id.to_wire(), items: payloads.iter().map(item).collect() }
}

fn published(publish: &wire::Publish, outcome: Outcome) -> wire::Published {
    let item = |item: &wire::PublishItem| ItemOutcome {
        payload_hash: PayloadHash::of(&item.payload),
        recipients: vec![outcome],
    };
    let receipt = CustodyReceipt {
        publish_id: PublishId::from_slice(&publish.publish_id).unwrap(),
        items: publish.items.iter().map(item).collect(),
    };
    wire::Published { receipt: Some(receipt.sign(&relay()).to_wire()) }
}

fn sending(script: &mut Script) {
    script.client(9, Body::GetBundle(wire::GetBundle { locator: of(81, 32) }), "The other device's bundle.");
    let bundle = Bytes::from_static(b"stands for their sealed bundle");
    let answer = wire::BundleAnswer { bundle, prekey: of(12, 30) };
    script.relay(9, Body::Bundle(answer), "With a one-time prekey that nobody else gets.");
    let first = publish(5, &[KEY, MESSAGE], NOW);
    let stored = published(&first, Outcome::Stored { held_until: NOW.after(ENVELOPE_TTL_MAX) });
    let why = "A key package and its message in one publish, the key first; each with a proof of its own.";
    script.client(10, Body::Publish(first), why);
    script.relay(
        10,
        Body::Published(stored),
        "A receipt signed by the relay: both are in custody for 21 days.",
    );
    let later = NOW.after(std::time::Duration::from_secs(3_600));
    let again = publish(6, &[MESSAGE], later);
    let held = published(&again, Outcome::Duplicate { held_until: later.after(ENVELOPE_TTL_MAX) });
    let why = "As after a lost answer: the same payload, a new publish id and expiry, so a new proof.";
    script.client(11, Body::Publish(again), why);
    script.relay(11, Body::Published(held), "It was held already, and is now for longer.");
    let last = publish(7, &[KEY], later);
    let revoked = published(&last, Outcome::Denied(Denial::Revoked));
    script.client(12, Body::Publish(last), "After the owner took the token back.");
    script.relay(12, Body::Published(revoked), "Published all the same: the denial stands in the receipt.");
}

fn receiving(script: &mut Script) {
    let deliver = |class, seq| wire::Deliver { class, seq, payload: of(9, 20) };
    script.relay(0, Body::Deliver(deliver(1, 1)), "Nothing is asked, so the request number is 0.");
    let ack = |class, through| wire::Ack { class, through, ranges: Vec::new() };
    script.client(0, Body::Ack(ack(1, 1)), "After the transaction that took it is durable. Not answered.");
    script.relay(0, Body::Deliver(deliver(0, 128)), "1 to 127 of class 0 came before, of 20 bytes each.");
    script.client(0, Body::Ack(ack(0, 128)), "One for all of them.");
    let (messages, bytes) = CREDIT_CLASS_0;
    let credit = wire::Credit { class: 0, messages: 128 + messages, bytes: 128 * 20 + bytes };
    script.client(0, Body::Credit(credit), "Half of the window is used up: what came, plus the window.");
}

fn ending(script: &mut Script) {
    let revoke = wire::RevokeToken { mailbox: OWN.0.to_wire(), epoch: 1, handles: vec![of(6, 8)] };
    script.client(13, Body::RevokeToken(revoke), "Takes a token of the own mailbox back.");
    script.relay(13, Body::Done(wire::Done {}), "Every path that begins so is refused from now on.");
    let introduction =
        wire::PutIntroduction { mailbox: of(3, 16), handle: of(7, 8), uses: 1, not_after_ms: 1 };
    script.client(14, Body::PutIntroduction(introduction), "For a mailbox that was never registered.");
    let text = "no such mailbox".to_owned();
    let refusal = wire::Refusal { code: wire::RefusalCode::Unknown.into(), text, retry_after_ms: 0 };
    script.relay(14, Body::Refusal(refusal), "Nothing of it was carried out; the connection stays.");
    script.client(0, Body::Ping(wire::Ping { nonce: 5 }), "Nothing was sent for 25 s.");
    script.relay(0, Body::Pong(wire::Pong { nonce: 5 }), "The same nonce.");
    let text = "the relay stops".to_owned();
    let goodbye = wire::Goodbye { code: wire::GoodbyeCode::ShuttingDown.into(), text };
    script.relay(
        0,
        Body::Goodbye(goodbye),
        "Its last frame. The client closes, and calls again after the backoff.",
    );
}

fn computed() -> Value {
    let mut script = Script::default();
    greeting(&mut script);
    upkeep(&mut script);
    sending(&mut script);
    receiving(&mut script);
    ending(&mut script);
    let mailbox = |(mailbox, secret): (MailboxId, Secret)| json!({ "mailbox": mailbox.to_hex(), "secret": hex(secret.expose()) });
    json!({
        "relay_seed": hex(relay().to_bytes()),
        "relay": relay_id().to_hex(),
        "client_seed": hex([12; 32]),
        "client_mailbox": mailbox(OWN),
        "recipient_mailbox": mailbox(THEIRS),
        "token": { "path": fields("TokenGrant", grant().to_wire().encode_to_vec())["path"], "key": hex(grant().to_wire().key) },
        "frames": script.0,
    })
}

#[test]
fn the_stored_dialogue_is_what_we_compute() {
    assert_stored("dialogue.json", &computed());
}

/// As a reader of the file alone: lengths, numbers, proofs and receipts fit.
#[test]
fn the_dialogue_keeps_the_rules() {
    let (mut open, mut publishes, mut kinds) = (Vec::new(), Vec::new(), BTreeSet::new());
    for said in list(&read("dialogue.json")["frames"]) {
        let bytes = bytes(&said["bytes"]);
        let (length, body) = bytes.split_first_chunk().unwrap();
        assert_eq!(usize::try_from(u32::from_be_bytes(*length)).unwrap(), body.len());
        let frame = Frame::decode(body).unwrap();
        kinds.insert(list_of_fields(&said["fields"]));
        match (text(&said["from"]), frame.request) {
            (_, 0) => {}
            ("client", request) => open.push(request),
            (_, request) => assert_eq!(open.remove(0), request, "answers come in the order of the requests"),
        }
        match frame.body.unwrap() {
            Body::Publish(publish) => publishes.push(proved(publish)),
            Body::Published(published) => answers(&publishes.pop().unwrap(), published),
            _ => {}
        }
    }
    assert!(open.is_empty() && publishes.is_empty());
    assert_eq!(kinds.len(), 24, "a frame of each kind, those of federation left out");
}

fn list_of_fields(fields: &Value) -> String {
    fields.as_object().unwrap().keys().find(|name| *name != "request").unwrap().clone()
}

fn proved(publish: wire::Publish) -> wire::Publish {
    let publish_id = PublishId::from_slice(&publish.publish_id).unwrap();
    for item in &publish.items {
        let Some(wire::route::Kind::Open(route)) = item.route.clone().unwrap().kind else {
            panic!("no route")
        };
        let (proof, path) = Proof::from_recipient(&route.recipients[0]).unwrap();
        let expiry = Timestamp::from_ms(item.expiry_ms);
        let payload_hash = PayloadHash::of(&item.payload);
        let input = ProofInput { publish_id, payload_hash, relay: relay_id(), expiry };
        assert_eq!(check(&THEIRS.1, &path, &proof, &input, 0, NOW), Ok(()));
    }
    publish
}

fn answers(publish: &wire::Publish, published: wire::Published) {
    let signed = Signed::from_wire(published.receipt.unwrap()).unwrap();
    let receipt = CustodyReceipt::verify(&signed, &relay_id()).unwrap();
    assert_eq!(receipt.publish_id.as_bytes()[..], publish.publish_id[..]);
    let hashes = receipt.items.iter().map(|item| item.payload_hash);
    assert!(hashes.eq(publish.items.iter().map(|item| PayloadHash::of(&item.payload))));
}
