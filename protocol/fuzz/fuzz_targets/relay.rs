//! The relay's machine on a store in memory: any frames on any connections, valid publishes, time, restarts.
//! It goes on answering, keeps within its disk, and stores no more than a fixed multiple of what came in.
#![no_main]

use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use libfuzzer_sys::fuzz_target;
use prost::Message;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use undertone_fuzz::Steps;
use undertone_protocol::ids::{DeviceId, Handle, MailboxId, PayloadHash, PublishId, Secret};
use undertone_protocol::time::Timestamp;
use undertone_protocol::token::{ProofInput, Step, TokenGrant};
use undertone_protocol::wire::{self, frame::Body};
use undertone_relay::core::{ConnId, Input, Output, Relay};
use undertone_relay::limits::{Limits, Registration};
use undertone_relay::store::{MemoryStore, Overlay, Store};

const STEPS_MAX: usize = 200;
const CONNECTIONS: u64 = 4;
const DISK_BYTES_MAX: u64 = 20_000;
/// What one drain may put out: a full credit of deliveries to each connection, and answers.
const OUT_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Stored bytes for each byte that came in, and for a relay that has nothing yet. A frame of a few bytes makes
/// records of a few hundred.
const STORED_PER_BYTE: usize = 100;
const STORED_AT_FIRST: usize = 4_096;

fuzz_target!(|data: &[u8]| {
    let mut world = World::new();
    let mut steps = Steps(data);
    for _ in 0..STEPS_MAX {
        let Some(input) = world.next(&mut steps) else { break };
        world.drain(input);
        world.check(data.len());
    }
    world.still_answers();
});

struct World {
    relay: Relay,
    store: MemoryStore,
    now: Timestamp,
    publishes: u8,
}

fn relay() -> Relay {
    let limits =
        Limits { disk_bytes_max: DISK_BYTES_MAX, mailboxes_max: 8, connections_max: 5, ..Limits::default() };
    let rng = Box::new(ChaCha20Rng::from_seed([7; 32]));
    Relay::new(limits, Registration::Open, SigningKey::from_bytes(&[5; 32]), rng)
}

fn conn(byte: u8) -> ConnId {
    ConnId::new(u64::from(byte) % CONNECTIONS)
}

fn frame(conn: ConnId, body: Body) -> Input {
    Input::Frame { conn, frame: wire::Frame { request: 7, body: Some(body) } }
}

impl World {
    /// Connections 0 and 1 said hello; 0 owns mailbox 1 and reads it.
    fn new() -> Self {
        let now = Timestamp::from_ms(1_700_000_000_000);
        let mut world = Self { relay: relay(), store: MemoryStore::new(), now, publishes: 0 };
        let mailbox = Bytes::from_static(&[1; 16]);
        let register = wire::Register {
            mailbox: mailbox.clone(),
            secret: Bytes::from_static(&[3; 32]),
            epoch: 1,
            invitation: Bytes::new(),
        };
        let credits = [0, 1].map(|class| wire::Credit { class, messages: 100, bytes: 100_000 });
        let attach = wire::Attach { mailbox, credits: credits.to_vec(), ..Default::default() };
        for number in [0, 1] {
            world.connect(number);
        }
        world.drain(frame(conn(0), Body::Register(register)));
        world.drain(frame(conn(0), Body::Attach(attach)));
        world
    }

    fn connect(&mut self, number: u8) -> Vec<Output> {
        let conn = ConnId::new(u64::from(number));
        self.drain(Input::Connected { conn, device: DeviceId::new([number % 3; 32]) });
        self.drain(frame(conn, Body::Hello(wire::Hello { version_min: 1, version_max: 1 })))
    }

    fn next(&mut self, steps: &mut Steps<'_>) -> Option<Input> {
        Some(match steps.byte()? % 8 {
            0 => {
                let number = steps.byte()?;
                Input::Connected { conn: conn(number), device: DeviceId::new([number % 3; 32]) }
            }
            1 => Input::Disconnected { conn: conn(steps.byte()?) },
            2 => {
                self.now = self.now.after(Duration::from_secs(1 << (steps.byte()? % 22)));
                Input::Tick
            }
            3 => Input::Sent { conn: conn(steps.byte()?), bytes: u64::from(steps.byte()?) << 8 },
            4 => {
                self.relay = relay();
                Input::Tick
            }
            5 => {
                let (class, mailbox) = (steps.byte()?, steps.byte()?);
                let publish = self.publish(steps.chunk()?, class % 3, mailbox % 3);
                frame(conn(1), Body::Publish(publish))
            }
            _ => {
                let conn = conn(steps.byte()?);
                // The shell decodes; what doesn't decode never gets here.
                let frame = wire::Frame::decode(steps.chunk()?).unwrap_or_default();
                Input::Frame { conn, frame }
            }
        })
    }

    /// With a right proof for mailboxes under the secret of mailbox 1.
    fn publish(&mut self, payload: &[u8], class: u8, mailbox: u8) -> wire::Publish {
        self.publishes = self.publishes.wrapping_add(1);
        let publish_id = PublishId::new([self.publishes; 16]);
        let expiry = self.now.after(Duration::from_secs(3_600));
        let input =
            ProofInput { publish_id, payload_hash: PayloadHash::of(payload), relay: self.relay.id(), expiry };
        let grant = TokenGrant::issue(&Secret::new([3; 32]), Step::named(Handle::new([mailbox; 8])));
        let proof = grant.prove(&input);
        let recipients = [mailbox, 1].map(|to| proof.to_recipient(MailboxId::new([to; 16]), 1, grant.path()));
        let route = wire::OpenRoute { recipients: recipients.to_vec() };
        let item = wire::PublishItem {
            payload: Bytes::copy_from_slice(payload),
            class: u32::from(class),
            expiry_ms: expiry.as_ms(),
            route: Some(wire::Route { kind: Some(wire::route::Kind::Open(route)) }),
        };
        wire::Publish { publish_id: publish_id.to_wire(), items: vec![item] }
    }

    fn drain(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        let mut tx = Overlay::new(&self.store);
        self.relay.handle(input, self.now, &mut tx, &mut out).expect("memory does not fail");
        let batch = tx.into_batch();
        self.store.commit(batch).expect("memory does not fail");
        let sent = out.iter().map(|output| match output {
            Output::Send { frame, .. } => frame.encoded_len(),
            Output::Close { .. } | Output::Dial { .. } | Output::Find(_) => 0,
        });
        assert!(sent.sum::<usize>() <= OUT_BYTES_MAX);
        out
    }

    fn check(&self, came: usize) {
        let gauges = self.relay.gauges(&Overlay::new(&self.store)).expect("memory does not fail");
        assert!(gauges.disk_bytes <= DISK_BYTES_MAX);
        assert!(gauges.attached <= gauges.connections && gauges.connections <= 5);
        assert!(gauges.mailboxes <= 8);
        let pairs = self.store.range(&[], &[255; 64], usize::MAX).expect("memory does not fail");
        let stored: usize = pairs.iter().map(|(key, value)| key.len() + value.len()).sum();
        assert!(stored <= STORED_AT_FIRST + STORED_PER_BYTE * came, "{stored} bytes of {came}");
    }

    fn still_answers(&mut self) {
        let out = self.connect(9);
        assert!(out.iter().any(|output| match output {
            Output::Send { frame, .. } => matches!(frame.body, Some(Body::Welcome(_))),
            Output::Close { .. } | Output::Dial { .. } | Output::Find(_) => false,
        }));
    }
}
