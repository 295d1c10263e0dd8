//! Holds `vectors/dialogue.json` against the relay's machine: what the client says in it is answered as it stands there.
//! (Generation, times and texts are the relay's own.)

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use prost::Message;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::Value;
use undertone_fuzz::device_id;
use undertone_fuzz::recorded::bytes;
use undertone_protocol::codec::Signed;
use undertone_protocol::ids::{Handle, MailboxId, PayloadHash, PublishId, Secret};
use undertone_protocol::receipts::{CustodyReceipt, Outcome};
use undertone_protocol::time::Timestamp;
use undertone_protocol::token::{ProofInput, Step, TokenGrant};
use undertone_protocol::wire::{self, frame::Body};
use undertone_relay::core::{ConnId, Input, Output, Relay};
use undertone_relay::limits::{Limits, Registration};
use undertone_relay::store::{MemoryStore, Overlay, Store};

/// The client of the dialogue, and the device that it writes to.
const CLIENT: ConnId = ConnId::new(0);
const OTHER: ConnId = ConnId::new(1);

struct World {
    relay: Relay,
    store: MemoryStore,
    now: Timestamp,
    /// What the relay said to the client and the dialogue did not come to yet.
    said: VecDeque<wire::Frame>,
}

fn main() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors/dialogue.json");
    let dialogue: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let mut world = World::new();
    let frames = dialogue["frames"].as_array().unwrap();
    for line in frames {
        let frame = wire::Frame::decode(&bytes(&line["bytes"])[4..]).unwrap();
        if line["from"] == "client" {
            world.client(frame);
        } else {
            world.expect(&frame, line["why"].as_str().unwrap());
        }
    }
    assert!(world.said.is_empty(), "the relay says more than the dialogue: {:?}", world.said);
    println!("{} frames as they stand there", frames.len());
}

impl World {
    /// The other device has a mailbox, a bundle and a prekey.
    fn new() -> Self {
        let rng = Box::new(ChaCha20Rng::from_seed([7; 32]));
        let key = SigningKey::from_bytes(&[21; 32]);
        let relay = Relay::new(Limits::default(), Registration::Open, key, rng);
        let now = Timestamp::from_ms(1_700_000_000_000);
        let mut world = Self { relay, store: MemoryStore::new(), now, said: VecDeque::new() };
        world.drain(Input::Connected { conn: CLIENT, device: device_id(12) });
        world.drain(Input::Connected { conn: OTHER, device: device_id(11) });
        let bundle = Bytes::from_static(b"stands for their sealed bundle");
        let locator = Bytes::from_static(&[81; 32]);
        let prekeys = vec![Bytes::from_static(&[12; 30])];
        for body in [
            Body::Hello(wire::Hello { version_min: 1, version_max: 1 }),
            Body::Register(wire::Register {
                mailbox: Bytes::from_static(&[1; 16]),
                secret: Bytes::from_static(&[41; 32]),
                epoch: 1,
                invitation: Bytes::new(),
            }),
            Body::PutBundle(wire::PutBundle { locator: locator.clone(), bundle }),
            Body::PutPrekeys(wire::PutPrekeys { locator, batch: 1, prekeys }),
        ] {
            world.other(body);
        }
        world
    }

    fn client(&mut self, frame: wire::Frame) {
        if let Some(Body::Publish(publish)) = &frame.body {
            // The second and the third one come an hour later, the third after its token was taken back.
            let expiry = Timestamp::from_ms(publish.items[0].expiry_ms);
            self.now = expiry.before(Duration::from_secs(21 * 24 * 3_600));
            if publish.publish_id[0] == 7 {
                let handles = vec![Bytes::from_static(&[6; 8])];
                let mailbox = Bytes::from_static(&[1; 16]);
                self.other(Body::RevokeToken(wire::RevokeToken { mailbox, epoch: 1, handles }));
            }
        }
        self.drain(Input::Frame { conn: CLIENT, frame });
    }

    fn other(&mut self, body: Body) {
        self.drain(Input::Frame { conn: OTHER, frame: wire::Frame { request: 1, body: Some(body) } });
    }

    /// Publishes so many payloads of 20 bytes to the client, all of them different.
    fn publish(&mut self, class: u32, count: u8) {
        let grant = TokenGrant::issue(&Secret::new([42; 32]), Step::named(Handle::new([3; 8])));
        let expiry = self.now.after(Duration::from_secs(3_600));
        for number in 0..count {
            let payload = [vec![9; 18], vec![class as u8, number]].concat();
            let publish_id = PublishId::new([number; 16]);
            let payload_hash = PayloadHash::of(&payload);
            let input = ProofInput { publish_id, payload_hash, relay: self.relay.id(), expiry };
            let recipient = grant.prove(&input).to_recipient(MailboxId::new([2; 16]), 1, grant.path());
            let route = wire::OpenRoute { recipients: vec![recipient] };
            let item = wire::PublishItem {
                payload: payload.into(),
                class,
                expiry_ms: expiry.as_ms(),
                route: Some(wire::Route { kind: Some(wire::route::Kind::Open(route)) }),
            };
            self.other(Body::Publish(wire::Publish { publish_id: publish_id.to_wire(), items: vec![item] }));
        }
    }

    fn drain(&mut self, input: Input) {
        let mut out = Vec::new();
        let mut tx = Overlay::new(&self.store);
        self.relay.handle(input, self.now, &mut tx, &mut out).unwrap();
        let batch = tx.into_batch();
        self.store.commit(batch).unwrap();
        self.said.extend(out.into_iter().filter_map(|output| match output {
            Output::Send { conn: CLIENT, frame, .. } => Some(frame),
            Output::Send { .. } | Output::Close { .. } | Output::Dial { .. } | Output::Find(_) => None,
        }));
    }

    fn expect(&mut self, expected: &wire::Frame, why: &str) {
        match &expected.body {
            // The shell's word, when the process ends.
            Some(Body::Goodbye(_)) => return,
            Some(Body::Deliver(deliver)) => {
                self.publish(deliver.class, u8::try_from(deliver.seq).unwrap());
                // Those before it were left out.
                self.said.drain(..self.said.len() - 1);
            }
            _ => {}
        }
        let said = self.said.pop_front().unwrap_or_else(|| panic!("nothing said where: {why}"));
        assert_eq!(said.request, expected.request, "{why}");
        match (said.body.unwrap(), expected.body.clone().unwrap()) {
            (Body::Registered(_), Body::Registered(_)) | (Body::Attached(_), Body::Attached(_)) => {}
            (Body::Refusal(said), Body::Refusal(expected)) => {
                assert_eq!((said.code, said.retry_after_ms), (expected.code, expected.retry_after_ms));
            }
            (Body::Deliver(said), Body::Deliver(expected)) => {
                let parts = |deliver: &wire::Deliver| (deliver.class, deliver.seq, deliver.payload.len());
                assert_eq!(parts(&said), parts(&expected), "{why}");
            }
            (Body::Published(said), Body::Published(expected)) => {
                assert_eq!(self.outcomes(said), self.outcomes(expected), "{why}");
            }
            (said, expected) => assert_eq!(said, expected, "{why}"),
        }
    }

    fn outcomes(&self, published: wire::Published) -> (PublishId, Vec<(PayloadHash, Vec<Outcome>)>) {
        let signed = Signed::from_wire(published.receipt.unwrap()).unwrap();
        let receipt = CustodyReceipt::verify(&signed, &self.relay.id()).unwrap();
        let items = receipt.items.into_iter().map(|item| (item.payload_hash, item.recipients));
        (receipt.publish_id, items.collect())
    }
}
