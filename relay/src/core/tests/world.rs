//! A relay over a memory store, driven as a shell drives it.

use std::cell::Cell;
use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use prost::Message;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use undertone_protocol::codec::{Label, Signed};
use undertone_protocol::ids::{DeviceId, Handle, MailboxId, PayloadHash, PublishId, Secret};
use undertone_protocol::time::Timestamp;
use undertone_protocol::token::{ProofInput, Step, TokenGrant};
use undertone_protocol::wire::{self, RefusalCode, ResultCode, frame::Body};

use crate::core::{ConnId, Input, Output, Relay};
use crate::limits::{Limits, Registration};
use crate::store::usage::MAILBOX_DISK_BYTES;
use crate::store::{Batch, MemoryStore, Overlay, Store, StoreError};

pub(super) struct World {
    pub(super) relay: Relay,
    pub(super) store: MemoryStore,
    pub(super) now: Timestamp,
    publishes: u8,
    /// What is drawn after each start is something else.
    starts: u64,
}

const FIRST_START: u64 = 7;

pub(super) const A: ConnId = ConnId::new(1);
pub(super) const B: ConnId = ConnId::new(2);
pub(super) const C: ConnId = ConnId::new(3);

pub(super) fn secret() -> Secret {
    Secret::new([9; 32])
}

pub(super) fn mailbox(number: u8) -> MailboxId {
    MailboxId::new([number; 16])
}

pub(super) fn device(number: u8) -> DeviceId {
    DeviceId::new([number; 32])
}

pub(super) fn step(number: u8) -> Step {
    Step::named(Handle::new([number; 8]))
}

pub(super) fn grant(number: u8) -> TokenGrant {
    TokenGrant::issue(&secret(), step(number))
}

fn relay(limits: Limits, registration: Registration, start: u64) -> Relay {
    let rng = Box::new(ChaCha20Rng::seed_from_u64(start));
    Relay::new(limits, registration, SigningKey::from_bytes(&[5; 32]), rng)
}

impl World {
    pub(super) fn new(limits: Limits) -> Self {
        Self::with(limits, Registration::Open)
    }

    pub(super) fn with(limits: Limits, registration: Registration) -> Self {
        let now = Timestamp::from_ms(1_700_000_000_000);
        let relay = relay(limits, registration, FIRST_START);
        Self { relay, store: MemoryStore::new(), now, publishes: 0, starts: FIRST_START }
    }

    /// A world in which A owns mailbox 1, and A (device 1) and B (device 2) said hello.
    pub(super) fn ready(limits: Limits) -> Self {
        let mut world = Self::new(limits);
        world.hello(A, 1);
        world.hello(B, 2);
        world.register(A, 1, 1);
        world
    }

    /// The process dies and comes back: the store stays.
    pub(super) fn restart(&mut self) {
        self.starts += 1;
        self.relay = relay(self.relay.limits.clone(), self.relay.registration, self.starts);
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
    }

    /// Inputs on one overlay, a commit, then the outputs.
    pub(super) fn drain(&mut self, inputs: Vec<Input>) -> Vec<Output> {
        let (inputs, read): (Vec<_>, Vec<_>) = inputs.into_iter().map(as_read).unzip();
        let mut out = Vec::new();
        let mut tx = Overlay::new(&self.store);
        for input in inputs {
            self.relay.handle(input, self.now, &mut tx, &mut out).unwrap();
        }
        let batch = tx.into_batch();
        self.store.commit(batch).unwrap();
        assert!(read.iter().all(Bytes::is_unique), "a frame is kept: {out:?}");
        out
    }

    /// What the disk quota counts beside the mailboxes themselves.
    pub(super) fn disk(&self) -> u64 {
        let gauges = self.relay.gauges(&Overlay::new(&self.store)).unwrap();
        gauges.disk_bytes - gauges.mailboxes * MAILBOX_DISK_BYTES
    }

    pub(super) fn tick(&mut self) -> Vec<Output> {
        self.drain(vec![Input::Tick])
    }

    pub(super) fn send(&mut self, conn: ConnId, body: Body) -> Vec<Output> {
        self.drain(vec![Input::Frame { conn, frame: wire::Frame { request: 7, body: Some(body) } }])
    }

    /// Without a request number.
    pub(super) fn tell(&mut self, conn: ConnId, body: Body) -> Vec<Output> {
        self.drain(vec![Input::Frame { conn, frame: wire::Frame { request: 0, body: Some(body) } }])
    }

    pub(super) fn hello(&mut self, conn: ConnId, number: u8) {
        let hello = Body::Hello(wire::Hello { version_min: 1, version_max: 1 });
        self.drain(vec![Input::Connected { conn, device: device(number) }]);
        let out = self.send(conn, hello);
        assert!(matches!(answer(&out), Body::Welcome(_)), "{out:?}");
    }

    pub(super) fn register(&mut self, conn: ConnId, number: u8, epoch: u32) -> Bytes {
        match answer(&self.send(conn, register(number, epoch))) {
            Body::Registered(registered) => registered.generation,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn attach(&mut self, conn: ConnId, number: u8) -> Vec<Output> {
        self.send(conn, attach(number, 1_000, 1_000_000))
    }

    /// A publish of one payload from B to mailbox 1, for an hour.
    pub(super) fn publish(&mut self, payload: &[u8], grant: &TokenGrant) -> wire::RecipientResult {
        let expiry = self.now.after(Duration::from_secs(3_600));
        self.publish_to(B, &[1], payload, 0, expiry, grant).0.remove(0)
    }

    /// A publish of one payload to several mailboxes: the results, and everything that was put out.
    pub(super) fn publish_to(
        &mut self,
        conn: ConnId,
        mailboxes: &[u8],
        payload: &[u8],
        class: u32,
        expiry: Timestamp,
        grant: &TokenGrant,
    ) -> (Vec<wire::RecipientResult>, Vec<Output>) {
        let publish = self.make(mailboxes, payload, class, expiry, grant);
        let out = self.send(conn, Body::Publish(publish));
        (self.results(&out), out)
    }

    pub(super) fn make(
        &mut self,
        mailboxes: &[u8],
        payload: &[u8],
        class: u32,
        expiry: Timestamp,
        grant: &TokenGrant,
    ) -> wire::Publish {
        self.publishes = self.publishes.wrapping_add(1);
        let publish_id = PublishId::new([self.publishes; 16]);
        let input =
            ProofInput { publish_id, payload_hash: PayloadHash::of(payload), relay: self.relay.id(), expiry };
        let proof = grant.prove(&input);
        let recipients =
            mailboxes.iter().map(|number| proof.to_recipient(mailbox(*number), 1, grant.path())).collect();
        let route = wire::Route { kind: Some(wire::route::Kind::Open(wire::OpenRoute { recipients })) };
        let item = wire::PublishItem {
            payload: Bytes::copy_from_slice(payload),
            class,
            expiry_ms: expiry.as_ms(),
            route: Some(route),
        };
        wire::Publish { publish_id: publish_id.to_wire(), items: vec![item] }
    }

    /// The results of the one item, after the receipt's signature and hash were checked.
    pub(super) fn results(&self, out: &[Output]) -> Vec<wire::RecipientResult> {
        let Body::Published(published) = answer(out) else { panic!("{out:?}") };
        let signed = Signed::required("published", "receipt", published.receipt).unwrap();
        signed.verify(Label::Custody, self.relay.id().as_bytes()).unwrap();
        let mut receipt = wire::CustodyReceipt::decode(signed.body).unwrap();
        assert_eq!(receipt.items.len(), 1);
        receipt.items.remove(0).recipients
    }
}

/// A store that counts what is read of ranges.
pub(super) struct Counting {
    pub(super) store: MemoryStore,
    /// How often somebody looked for what is there.
    pub(super) looks: Cell<u64>,
    /// What they found, in pairs.
    pub(super) found: Cell<usize>,
}

impl Counting {
    pub(super) fn over(store: &MemoryStore) -> Self {
        Self { store: store.clone(), looks: Cell::new(0), found: Cell::new(0) }
    }
}

impl Store for Counting {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.store.get(key)
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let found = self.store.range(from, to, limit)?;
        self.looks.set(self.looks.get() + 1);
        self.found.set(self.found.get() + found.len());
        Ok(found)
    }

    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        self.store.commit(batch)
    }
}

/// An input as the transport gives it, and the bytes that were read for it: what is in a frame is a part of those.
pub(super) fn as_read(input: Input) -> (Input, Bytes) {
    match input {
        Input::Frame { conn, frame } if frame.encoded_len() > 0 => {
            let read = Bytes::from(frame.encode_to_vec());
            (Input::Frame { conn, frame: wire::Frame::decode(read.clone()).unwrap() }, read)
        }
        input => (input, Bytes::from(vec![0])),
    }
}

pub(super) fn register(number: u8, epoch: u32) -> Body {
    let secret = Bytes::copy_from_slice(secret().expose());
    Body::Register(wire::Register {
        mailbox: mailbox(number).to_wire(),
        secret,
        epoch,
        invitation: Bytes::new(),
    })
}

pub(super) fn credit(class: u32, messages: u64, bytes: u64) -> wire::Credit {
    wire::Credit { class, messages, bytes }
}

pub(super) fn attach(number: u8, messages: u64, bytes: u64) -> Body {
    let credits = vec![credit(0, messages, bytes), credit(1, messages, bytes)];
    Body::Attach(wire::Attach { mailbox: mailbox(number).to_wire(), credits, ..Default::default() })
}

pub(super) fn ack(class: u32, through: u64, ranges: &[(u64, u64)]) -> wire::Ack {
    let ranges = ranges.iter().map(|(from, through)| wire::Range { from: *from, through: *through });
    wire::Ack { class, through, ranges: ranges.collect() }
}

/// The answer to request 7; there is exactly one.
pub(super) fn answer(out: &[Output]) -> Body {
    let mut answers = out.iter().filter_map(|output| match output {
        Output::Send { frame, .. } if frame.request == 7 => frame.body.clone(),
        _ => None,
    });
    let first = answers.next().unwrap_or_else(|| panic!("no answer in {out:?}"));
    assert_eq!(answers.next(), None);
    first
}

pub(super) fn refusal(out: &[Output]) -> RefusalCode {
    match answer(out) {
        Body::Refusal(refusal) => refusal.code(),
        other => panic!("{other:?}"),
    }
}

/// (class, sequence number, payload) of what was delivered to a connection, in order.
pub(super) fn deliveries(out: &[Output], to: ConnId) -> Vec<(u32, u64, Bytes)> {
    let found = out.iter().filter_map(|output| match output {
        Output::Send { conn, frame } if *conn == to => match &frame.body {
            Some(Body::Deliver(deliver)) => Some((deliver.class, deliver.seq, deliver.payload.clone())),
            _ => None,
        },
        _ => None,
    });
    found.collect()
}

/// The code with which a connection was ended.
pub(super) fn ended(out: &[Output], to: ConnId) -> Option<wire::GoodbyeCode> {
    let closed = out.iter().any(|output| matches!(output, Output::Close { conn } if *conn == to));
    out.iter().find_map(|output| match output {
        Output::Send { conn, frame } if *conn == to && closed => match &frame.body {
            Some(Body::Goodbye(goodbye)) => Some(goodbye.code()),
            _ => None,
        },
        _ => None,
    })
}

pub(super) fn code(result: &wire::RecipientResult) -> ResultCode {
    result.code()
}

impl World {
    /// Every key and value of the store in one run of bytes.
    pub(super) fn store_bytes(&self) -> Vec<u8> {
        let pairs = self.store.range(&[], &[255], usize::MAX).unwrap();
        pairs.iter().flat_map(|(key, value)| key.iter().chain(value.iter()).copied()).collect()
    }
}
