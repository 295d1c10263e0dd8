//! A relay with 64 mailboxes, and what is said to it.

use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use prost::Message;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tempfile::TempDir;
use undertone_protocol::ids::{DeviceId, Handle, MailboxId, PayloadHash, PublishId, Secret};
use undertone_protocol::time::Timestamp;
use undertone_protocol::token::{ProofInput, Step, TokenGrant};
use undertone_protocol::wire::{self, Frame, frame::Body};
use undertone_relay::core::{ConnId, Input, Output, Relay};
use undertone_relay::limits::{Limits, Registration};
use undertone_relay::store::{FjallOptions, FjallStore, MemoryStore, Store};
use undertone_relay::writer::Writer;

/// Senders, and mailboxes that they write to.
pub(crate) const SIDES: u8 = 64;
const PAYLOAD_BYTES: usize = 1_024;

/// A relay on which every mailbox is attached, without credit.
pub(crate) struct World {
    pub(crate) writer: Writer,
    pub(crate) now: Timestamp,
    rng: ChaCha20Rng,
    /// Messages that each mailbox was given.
    rounds: u64,
    /// That what was put out last was sent.
    sent: Vec<Input>,
    _dir: TempDir,
}

impl World {
    pub(crate) fn on_disk() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = FjallStore::open(&dir.path().join("store"), FjallOptions::default()).unwrap();
        Self::new(Box::new(store), dir)
    }

    pub(crate) fn in_memory() -> Self {
        Self::new(Box::new(MemoryStore::new()), tempfile::tempdir().unwrap())
    }

    fn new(store: Box<dyn Store>, dir: TempDir) -> Self {
        let rng = ChaCha20Rng::seed_from_u64(7);
        let most = u32::MAX;
        let limits = Limits {
            frames_per_minute: most,
            publishes_per_minute: most,
            token_publishes_per_minute: most,
            registrations_per_minute: most,
            mailbox_class_0_messages_max: most.into(),
            mailbox_class_0_known_messages_max: most.into(),
            mailbox_class_0_bytes_max: u64::MAX,
            disk_bytes_max: u64::MAX,
            ..Limits::default()
        };
        let relay =
            Relay::new(limits, Registration::Open, SigningKey::from_bytes(&[5; 32]), Box::new(rng.clone()));
        let now = Timestamp::from_ms(1_700_000_000_000);
        let writer = Writer::new(relay, store);
        let mut world = Self { writer, now, rng, rounds: 0, sent: Vec::new(), _dir: dir };
        world.handle(all(|side| {
            vec![
                Input::Connected { conn: conn(side), device: DeviceId::new([side; 32]) },
                input(side, Body::Hello(wire::Hello { version_min: 1, version_max: 1 })),
                input(
                    side,
                    Body::Register(wire::Register {
                        mailbox: mailbox(side).to_wire(),
                        secret: Bytes::copy_from_slice(secret().expose()),
                        epoch: 1,
                        invitation: Bytes::new(),
                    }),
                ),
                input(
                    side,
                    Body::Attach(wire::Attach { mailbox: mailbox(side).to_wire(), ..Default::default() }),
                ),
            ]
        }));
        world
    }

    /// One drain of the shell: all inputs on one overlay, one commit. The frames count as sent with the next.
    pub(crate) fn handle(&mut self, inputs: Vec<Input>) -> Vec<Output> {
        let mut all = std::mem::take(&mut self.sent);
        all.extend(inputs);
        let mut outputs = Vec::new();
        self.writer.drain(all, self.now, |released| outputs.extend(released)).unwrap();
        self.sent.extend(outputs.iter().filter_map(sent));
        outputs
    }

    /// One new message from each sender to its mailbox.
    pub(crate) fn publishes(&mut self) -> Vec<Input> {
        self.rounds += 1;
        (0..SIDES).map(|side| self.publish(side)).collect()
    }

    /// A new message from a sender to its mailbox.
    pub(crate) fn publish(&mut self, side: u8) -> Input {
        let expiry = self.now.after(Duration::from_secs(24 * 3600));
        let grant = TokenGrant::issue(&secret(), Step::named(Handle::new([1; 8])));
        let relay = self.writer.relay().id();
        let mut payload = vec![0; PAYLOAD_BYTES];
        self.rng.fill_bytes(&mut payload);
        let payload = Bytes::from(payload);
        let publish_id = PublishId::new([side; 16]);
        let payload_hash = PayloadHash::of(&payload);
        let proof = grant.prove(&ProofInput { publish_id, payload_hash, relay, expiry });
        let recipients = vec![proof.to_recipient(mailbox(side), 1, grant.path())];
        let route = wire::Route { kind: Some(wire::route::Kind::Open(wire::OpenRoute { recipients })) };
        let item = wire::PublishItem { payload, class: 0, expiry_ms: expiry.as_ms(), route: Some(route) };
        let publish = wire::Publish { publish_id: publish_id.to_wire(), items: vec![item] };
        input(side, Body::Publish(publish))
    }

    /// Stores one message for each mailbox; what delivers them, and what acknowledges them.
    pub(crate) fn publish_all(&mut self) -> (Vec<Input>, Vec<Input>) {
        let publishes = self.publishes();
        self.handle(publishes);
        let rounds = self.rounds;
        (all(|side| vec![credit(side, rounds)]), all(|side| vec![ack(side, rounds)]))
    }
}

/// That a frame which was put out was sent.
pub(crate) fn sent(output: &Output) -> Option<Input> {
    match output {
        Output::Send { conn, frame } => {
            Some(Input::Sent { conn: *conn, bytes: u64::try_from(frame.encoded_len()).unwrap() })
        }
        Output::Close { .. } | Output::Dial { .. } | Output::Find(_) => None,
    }
}

fn all(inputs: impl FnMut(u8) -> Vec<Input>) -> Vec<Input> {
    (0..SIDES).flat_map(inputs).collect()
}

/// A mailbox may be delivered so many messages in all.
pub(crate) fn credit(side: u8, messages: u64) -> Input {
    input(side, Body::Credit(wire::Credit { class: 0, messages, bytes: u64::MAX }))
}

/// All messages of a mailbox through this one have come.
pub(crate) fn ack(side: u8, through: u64) -> Input {
    input(side, Body::Ack(wire::Ack { class: 0, through, ranges: Vec::new() }))
}

pub(crate) fn conn(side: u8) -> ConnId {
    ConnId::new(side.into())
}

fn mailbox(side: u8) -> MailboxId {
    MailboxId::new([side; 16])
}

fn secret() -> Secret {
    Secret::new([9; 32])
}

fn input(side: u8, body: Body) -> Input {
    Input::Frame { conn: conn(side), frame: Frame { request: 1, body: Some(body) } }
}
