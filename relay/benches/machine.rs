//! The relay's machine over its real store, with a sync for every batch: what 64 senders cost that publish
//! at once, and what 64 devices cost that drain. `cargo bench -p undertone-relay`.

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::cell::RefCell;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ed25519_dalek::SigningKey;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tempfile::TempDir;
use undertone_protocol::ids::{DeviceId, Handle, MailboxId, PayloadHash, PublishId, Secret};
use undertone_protocol::time::Timestamp;
use undertone_protocol::token::{ProofInput, Step, TokenGrant};
use undertone_protocol::wire::{self, Frame, frame::Body};
use undertone_relay::core::{ConnId, Input, Output, Relay};
use undertone_relay::limits::{Limits, Registration};
use undertone_relay::store::{FjallOptions, FjallStore, MemoryStore, Overlay, Store};

criterion_group!(benches, relay);
criterion_main!(benches);

/// Senders, and mailboxes that they write to.
const SIDES: u8 = 64;
const PAYLOAD_BYTES: usize = 1_024;

/// A relay on which every mailbox is attached, without credit.
struct World {
    relay: Relay,
    store: Box<dyn Store>,
    now: Timestamp,
    rng: ChaCha20Rng,
    /// Messages that each mailbox was given.
    rounds: u64,
    _dir: TempDir,
}

impl World {
    fn on_disk() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = FjallStore::open(&dir.path().join("store"), FjallOptions::default()).unwrap();
        Self::new(Box::new(store), dir)
    }

    fn in_memory() -> Self {
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
            mailbox_class_0_bytes_max: u64::MAX,
            ..Limits::default()
        };
        let relay =
            Relay::new(limits, Registration::Open, SigningKey::from_bytes(&[5; 32]), Box::new(rng.clone()));
        let now = Timestamp::from_ms(1_700_000_000_000);
        let mut world = Self { relay, store, now, rng, rounds: 0, _dir: dir };
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

    /// One drain of the shell: all inputs on one overlay, one commit.
    fn handle(&mut self, inputs: Vec<Input>) -> Vec<Output> {
        let mut overlay = Overlay::new(self.store.as_ref());
        let mut outputs = Vec::new();
        for input in inputs {
            self.relay.handle(input, self.now, &mut overlay, &mut outputs).unwrap();
        }
        let batch = overlay.into_batch();
        if !batch.is_empty() {
            self.store.commit(batch).unwrap();
        }
        outputs
    }

    /// One new message from each sender to its mailbox.
    fn publishes(&mut self) -> Vec<Input> {
        self.rounds += 1;
        let expiry = self.now.after(Duration::from_secs(24 * 3600));
        let grant = TokenGrant::issue(&secret(), Step::named(Handle::new([1; 8])));
        let relay = self.relay.id();
        all(|side| {
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
            vec![input(side, Body::Publish(publish))]
        })
    }

    /// Stores one message for each mailbox; what delivers them, and what acknowledges them.
    fn publish_all(&mut self) -> (Vec<Input>, Vec<Input>) {
        let publishes = self.publishes();
        self.handle(publishes);
        (self.credits(), self.acks())
    }

    fn credits(&self) -> Vec<Input> {
        let credit = wire::Credit { class: 0, messages: self.rounds, bytes: u64::MAX };
        all(|side| vec![input(side, Body::Credit(credit))])
    }

    fn acks(&self) -> Vec<Input> {
        all(|side| {
            vec![input(side, Body::Ack(wire::Ack { class: 0, through: self.rounds, ranges: Vec::new() }))]
        })
    }
}

fn all(inputs: impl FnMut(u8) -> Vec<Input>) -> Vec<Input> {
    (0..SIDES).flat_map(inputs).collect()
}

fn conn(side: u8) -> ConnId {
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

fn relay(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("relay");
    group.throughput(Throughput::Elements(SIDES.into()));
    for (place, world) in [("on disk", World::on_disk as fn() -> World), ("in memory", World::in_memory)] {
        // 64 publishes and one commit.
        let storing = RefCell::new(world());
        group.bench_function(format!("store 64 {place}"), |bencher| {
            bencher.iter_batched(
                || storing.borrow_mut().publishes(),
                |inputs| storing.borrow_mut().handle(inputs),
                BatchSize::PerIteration,
            );
        });
        // 64 deliveries and what they put out; their acknowledgements and one commit.
        let draining = RefCell::new(world());
        group.bench_function(format!("drain 64 {place}"), |bencher| {
            bencher.iter_batched(
                || draining.borrow_mut().publish_all(),
                |(credits, acks)| {
                    let mut world = draining.borrow_mut();
                    (world.handle(credits), world.handle(acks))
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}
