//! The thread that owns machine and store, with a store that can fail, over the loopback interface.

use std::time::Duration;

use bytes::Bytes;
use rand_core::UnwrapErr;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use undertone_protocol::ids::{RelayId, Secret};
use undertone_protocol::wire::frame::Body;
use undertone_protocol::wire::{Frame, GoodbyeCode, Hello, Register};
use undertone_transport::{
    DialOptions, GateLimits, Identity, LinkId, LinkReceiver, ListenOptions, QueueLimits, ServerEvent, dial,
    listen,
};

use super::driver::Driver;
use super::inlets::{DIALS_MAX, Inlets};
use crate::core::Relay;
use crate::gateway::{DialEvent, Dialler};
use crate::key;
use crate::limits::{Limits, Registration};
use crate::store::{Batch, MemoryStore, Store, StoreError};

/// Longer than any of these tests may take; only a hang reaches it.
const HANG: Duration = Duration::from_secs(60);

/// Reads, but its disk is full.
struct FullDisk(MemoryStore);

impl Store for FullDisk {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.0.get(key)
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        self.0.range(from, to, limit)
    }

    fn commit(&mut self, _: Batch) -> Result<(), StoreError> {
        Err(StoreError::Backend("no space left".to_owned()))
    }
}

async fn next(receiver: &mut LinkReceiver) -> Option<Body> {
    timeout(HANG, receiver.next()).await.unwrap().unwrap().body
}

#[tokio::test]
async fn what_could_not_be_stored_is_not_answered() {
    let secret = Secret::new([1; 32]);
    let identity = key::identity(&secret);
    let options = ListenOptions {
        gate: GateLimits { connections_max: 4, pending_max: 4, per_ip_max: 4, per_device_max: 4 },
        handshake: HANG,
        queue: QueueLimits { frames_max: 16, bytes_max: 1 << 20 },
        events_max: 16,
        event_bytes_max: 1 << 20,
        listen_backlog: 4,
        certificate: None,
        finder: None,
    };
    let any = ["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
    let (listener, events) = listen(&identity, &any, options).await.unwrap();
    let (_questions, questions) = mpsc::channel(1);
    let (_stop, stop) = oneshot::channel();
    let rng = Box::new(UnwrapErr(getrandom::SysRng));
    let relay = Relay::new(Limits::default(), Registration::Open, key::signing_key(&secret), rng);
    let store = Box::new(FullDisk(MemoryStore::new()));
    let (dialler, dials) = Dialler::new(tokio::runtime::Handle::current(), identity.clone(), HANG);
    let driver = Driver::new(relay, store, (dialler, None), Inlets::new(events, dials, questions, stop), 16);
    let running = tokio::spawn(driver.run());

    let device = Identity::from_secret(&Secret::new([2; 32]));
    let (sender, mut receiver) =
        dial(&device, identity.relay_id(), listener.addresses(), DialOptions::default()).await.unwrap();
    let ask = |request, body| sender.try_send(Frame { request, body: Some(body) }).unwrap();
    ask(1, Body::Hello(Hello { version_min: 1, version_max: 1 }));
    assert!(matches!(next(&mut receiver).await, Some(Body::Welcome(_))), "nothing to store, so answered");
    let register = Register {
        mailbox: Bytes::from_static(&[3; 16]),
        secret: Bytes::from_static(&[4; 32]),
        epoch: 1,
        invitation: Bytes::new(),
    };
    ask(2, Body::Register(register));
    let Some(Body::Goodbye(goodbye)) = next(&mut receiver).await else { panic!("no goodbye") };
    assert_eq!(goodbye.code(), GoodbyeCode::ShuttingDown);
    let ended = timeout(HANG, running).await.unwrap().unwrap();
    assert!(matches!(ended, Err(StoreError::Backend(_))), "{ended:?}");
}

/// However much devices or other relays say, the others get their turn, and so does an operator.
#[tokio::test]
async fn nobody_has_to_wait_for_who_talks_much() {
    let (to_events, events) = mpsc::channel(1_000);
    let (to_dials, dials) = mpsc::channel(1_000);
    let (to_questions, questions) = mpsc::channel(1_000);
    let (_stop, stop) = oneshot::channel();
    let mut inlets = Inlets::new(events, dials, questions, stop);
    let event = || ServerEvent::Sent { link: LinkId(1), bytes: 1 };
    let dial = || DialEvent::Failed { relay: RelayId::new([1; 32]) };
    let taken = async |inlets: &mut Inlets| {
        let turn = inlets.turn(HANG, 16).await;
        (turn.events.len(), turn.dials.len(), usize::from(turn.question.is_some()))
    };
    for _ in 0..4 * DIALS_MAX {
        to_dials.try_send(dial()).unwrap();
        to_questions.try_send(oneshot::channel().0).unwrap();
    }
    to_events.try_send(event()).unwrap();
    assert_eq!(taken(&mut inlets).await, (1, DIALS_MAX, 1));
    for _ in 0..64 {
        to_events.try_send(event()).unwrap();
    }
    assert_eq!(taken(&mut inlets).await, (16, DIALS_MAX, 1));
    assert_eq!(taken(&mut inlets).await, (16, DIALS_MAX, 1));
}
