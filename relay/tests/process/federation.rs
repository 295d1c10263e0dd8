//! Two relays that forward to each other, over TCP, and are killed meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tempfile::TempDir;
use tokio::time::timeout;
use undertone_protocol::codec::Signed;
use undertone_protocol::federation::{AnswerKey, Circuit, Outgoing, OutgoingItem, RoutingKey, Waiting};
use undertone_protocol::ids::{Handle, MailboxId, PayloadHash, PublishId, Secret};
use undertone_protocol::receipts::Outcome;
use undertone_protocol::token::{ProofInput, Step, TokenGrant};
use undertone_protocol::wire::frame::Body;
use undertone_protocol::wire::{self, Frame};
use undertone_transport::{Identity, RelayAddress};

use super::sides::{Device, Relay, init_at};

const OWNER: u8 = 20;
const SENDER: u8 = 21;
/// Ids that no compression shortens, so that they are found in files if they are there.
const MAILBOX: MailboxId =
    MailboxId::new([62, 145, 7, 211, 88, 19, 240, 5, 133, 77, 201, 46, 9, 178, 99, 31]);
const HANDLE: [u8; 8] = [171, 14, 92, 203, 55, 8, 129, 240];
/// The secret of every mailbox in `sides`.
const SECRET: [u8; 32] = [6; 32];
const ROUND: u32 = 60;
/// So long nothing more may come, once all is there.
const QUIET: Duration = Duration::from_secs(3);
const HOUR: Duration = Duration::from_secs(3_600);

/// A relay that keeps its port.
struct Kept {
    dir: TempDir,
    relay: Option<Relay>,
    address: RelayAddress,
}

impl Kept {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        init_at(dir.path(), port);
        let relay = Relay::start(dir.path()).await;
        let address = relay.address.clone();
        Self { dir, relay: Some(relay), address }
    }

    async fn kill(&mut self) {
        let mut relay = self.relay.take().unwrap();
        relay.signal("-KILL");
        relay.exit_code().await;
    }

    async fn start(&mut self) {
        for _ in 0..20 {
            if let Ok(relay) = Relay::try_start(self.dir.path()).await {
                assert_eq!(relay.address, self.address);
                self.relay = Some(relay);
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("the port is taken");
    }

    /// Changes what its configuration says.
    fn configure(&self, shown: &str, wanted: &str) {
        let file = self.dir.path().join("relay.toml");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(shown), "{text}");
        fs::write(file, text.replace(shown, wanted)).unwrap();
    }

    /// All that it wrote.
    fn files(&self) -> Vec<u8> {
        let mut all = Vec::new();
        read_all(self.dir.path(), &mut all);
        all
    }
}

fn read_all(dir: &Path, all: &mut Vec<u8>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, all);
        } else if let Ok(bytes) = fs::read(&path) {
            all.extend(bytes);
        }
    }
}

fn has(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|part| part == needle)
}

/// The sender, who hands in at its own relay, and never meets the other.
struct Sender {
    device: Device,
    destination: RelayAddress,
    circuit: Circuit,
    rng: ChaCha20Rng,
    /// Handed in, and not said to wait.
    handed: BTreeMap<PublishId, Bytes>,
    keys: BTreeMap<PublishId, AnswerKey>,
    answered: BTreeSet<PublishId>,
}

impl Sender {
    async fn new(own: &RelayAddress, destination: &RelayAddress) -> Self {
        let mut device = Device::connect(own, SENDER).await;
        device.register_as(MailboxId::new([9; 16])).await;
        let key = routing_key(&mut device, destination).await;
        let mut rng = ChaCha20Rng::seed_from_u64(4);
        let circuit = Circuit::set_up(&key, &mut rng).unwrap();
        let (handed, keys, answered) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { device, destination: destination.clone(), circuit, rng, handed, keys, answered }
    }

    /// Hands a payload in.
    fn forward(&mut self, payload: &[u8]) {
        let (forward_id, now) = (PublishId::random(&mut self.rng), self.device.now());
        let expiry = now.after(HOUR);
        let token = TokenGrant::issue(&Secret::new(SECRET), Step::named(Handle::new(HANDLE)));
        let payload_hash = PayloadHash::of(payload);
        let relay = self.destination.relay;
        let proof = token.prove(&ProofInput { publish_id: forward_id, payload_hash, relay, expiry });
        let recipients = vec![proof.to_recipient(MAILBOX, 1, token.path())];
        let item = OutgoingItem { payload: Bytes::copy_from_slice(payload), class: 0, expiry, recipients };
        let outgoing = Outgoing { forward_id, not_after: now.after(HOUR), items: vec![item] };
        let (parcel, key) = self.circuit.seal(outgoing).unwrap();
        self.keys.insert(forward_id, key);
        self.device.tell(forward(&self.destination, parcel.clone()));
        self.handed.insert(forward_id, parcel);
    }

    /// Takes what its relay says; false when that is gone.
    async fn hear(&mut self) -> bool {
        let Ok(Frame { body: Some(body), .. }) = self.device.next().await else { return false };
        match body {
            Body::Waiting(waiting) => {
                let signed = Signed::from_wire(waiting.notice.unwrap()).unwrap();
                let waiting = Waiting::verify(&signed, &self.device.relay_id()).unwrap();
                self.handed.remove(&waiting.forward_id);
            }
            Body::Forwarded(forwarded) => {
                let id = PublishId::from_slice(&forwarded.forward_id).unwrap();
                let receipt = self.keys[&id].open(&forwarded).unwrap();
                let outcome = receipt.items[0].recipients[0];
                assert!(matches!(outcome, Outcome::Stored { .. }), "{outcome:?}");
                self.answered.insert(id);
                let forward_ids = vec![forwarded.forward_id];
                self.device.tell(Body::ForwardsTaken(wire::ForwardsTaken { forward_ids }));
            }
            Body::Done(_) => {}
            other => panic!("{other:?}"),
        }
        true
    }

    /// Until all that was handed in waits, or its relay is gone.
    async fn until_waiting(&mut self) -> bool {
        while !self.handed.is_empty() {
            if !self.hear().await {
                return false;
            }
        }
        true
    }

    async fn reconnect(&mut self, own: &RelayAddress) {
        self.device = Device::connect(own, SENDER).await;
        let again: Vec<Bytes> = self.handed.values().cloned().collect();
        for parcel in again {
            self.device.tell(forward(&self.destination, parcel));
        }
    }
}

fn forward(destination: &RelayAddress, parcel: Bytes) -> Body {
    Body::Forward(wire::Forward { destination: Some(named(destination)), parcel })
}

fn named(relay: &RelayAddress) -> wire::RelayAddress {
    wire::RelayAddress { relay: relay.relay.to_wire(), addresses: vec![relay.address.to_string()] }
}

async fn routing_key(device: &mut Device, of: &RelayAddress) -> RoutingKey {
    for _ in 0..100 {
        match device.ask(Body::GetRoutingKey(wire::GetRoutingKey { relay: Some(named(of)) })).await {
            Body::RoutingKey(answer) => {
                let signed = Signed::from_wire(answer.key.unwrap()).unwrap();
                return RoutingKey::verify(signed, &of.relay).unwrap();
            }
            Body::Refusal(refusal) => {
                assert_eq!(refusal.code(), wire::RefusalCode::RetryAfter, "{}", refusal.text);
                tokio::time::sleep(Duration::from_millis(refusal.retry_after_ms)).await;
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("no routing key");
}

/// What the owner got: each payload with the numbers that it came under.
#[derive(Default)]
struct Inbox(BTreeMap<Bytes, BTreeSet<u64>>);

impl Inbox {
    /// Takes deliveries until there are so many payloads, or the relay is gone.
    async fn fill(&mut self, owner: &mut Device, count: usize) -> bool {
        while self.0.len() < count {
            if !self.take(owner).await {
                return false;
            }
        }
        true
    }

    async fn take(&mut self, owner: &mut Device) -> bool {
        let Ok(Frame { body: Some(Body::Deliver(deliver)), .. }) = owner.next().await else { return false };
        self.0.entry(deliver.payload).or_default().insert(deliver.seq);
        let ack = wire::Ack { class: 0, through: deliver.seq, ranges: Vec::new() };
        owner.tell_nothing(Body::Ack(ack));
        true
    }
}

fn payload(number: u32) -> Vec<u8> {
    let mut payload = vec![0; 500];
    blake3::Hasher::new().update(&number.to_be_bytes()).finalize_xof().fill(&mut payload);
    payload
}

async fn owner(relay: &RelayAddress) -> Device {
    let mut owner = Device::connect(relay, OWNER).await;
    owner.register_as(MAILBOX).await;
    owner.attach_as(MAILBOX).await;
    owner
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_arrive_once_though_both_relays_are_killed() {
    let (mut a, mut b) = (Kept::new().await, Kept::new().await);
    let mut inbox = Inbox::default();
    let mut at_b = owner(&b.address).await;
    let mut sender = Sender::new(&a.address, &b.address).await;

    let mut numbers = 0..3 * ROUND;
    for number in numbers.by_ref().take(ROUND as usize) {
        sender.forward(&payload(number));
    }
    assert!(inbox.fill(&mut at_b, 10).await);
    b.kill().await;
    for number in numbers.by_ref().take(ROUND as usize) {
        sender.forward(&payload(number));
    }
    assert!(sender.until_waiting().await, "B's death is no matter for who hands in at A");
    let waits = a.files();
    assert!(has(&waits, &payload(2 * ROUND - 1)), "what waits is on A's disk");
    assert!(!has(&waits, MAILBOX.as_bytes()) && !has(&waits, &HANDLE), "and not for whom");
    b.start().await;
    let mut at_b = owner(&b.address).await;
    assert!(inbox.fill(&mut at_b, ROUND as usize + 10).await);

    for number in numbers {
        sender.forward(&payload(number));
    }
    assert!(inbox.fill(&mut at_b, ROUND as usize + 20).await);
    a.kill().await;
    while sender.hear().await {}
    a.start().await;
    sender.reconnect(&a.address).await;
    assert!(sender.until_waiting().await);
    assert!(inbox.fill(&mut at_b, 3 * ROUND as usize).await);
    while sender.answered.len() < 3 * ROUND as usize {
        assert!(sender.hear().await);
    }
    assert!(timeout(QUIET, inbox.take(&mut at_b)).await.is_err(), "nothing comes twice");
    for number in 0..3 * ROUND {
        let seqs = &inbox.0[payload(number).as_slice()];
        assert_eq!(seqs.len(), 1, "payload {number} was stored {} times", seqs.len());
    }
    let device = Identity::from_secret(&Secret::new([SENDER; 32])).device_id();
    let owner_hash = blake3::derive_key("undertone v1 relay owner", device.as_bytes());
    let stored = b.files();
    assert!(has(&stored, MAILBOX.as_bytes()), "B has the mailbox");
    for sign in [device.as_bytes(), &owner_hash] {
        assert!(!has(&stored, sign), "and nothing of the sender");
    }
}

/// Two relays that never met, and one that both know: what is for the one that moved arrives all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_moved_is_found_over_a_third_one() {
    let middle = Kept::new().await;
    let named = format!("peers = [\"{}\"]", middle.address);
    let (mut a, mut b) = (Kept::new().await, Kept::new().await);
    for relay in [&mut a, &mut b] {
        relay.kill().await;
        relay.configure("# peers = []", &named);
        relay.start().await;
    }
    let mut at_b = owner(&b.address).await;
    // Nobody is there any more.
    let nowhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut former = b.address.clone();
    former.address = format!("/ip4/127.0.0.1/tcp/{nowhere}").parse().unwrap();
    let mut sender = Sender::new(&a.address, &former).await;
    sender.forward(&payload(1));
    assert!(sender.until_waiting().await);
    let mut inbox = Inbox::default();
    assert!(inbox.fill(&mut at_b, 1).await);
}
