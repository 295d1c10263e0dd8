//! What one message costs its author and its readers: signing, sealing, opening, verifying; and what a log
//! costs that brings many entries into order. `cargo bench -p undertone-protocol`.

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ed25519_dalek::SigningKey;
use prost::Message;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use undertone_protocol::codec::{decode, pad, unpad};
use undertone_protocol::crypto::{
    Crypto, HeaderKey, ReceiverKeyState, SenderKeyState, Vodozemac, decrypt_content, encrypt_content,
};
use undertone_protocol::entry::{EntryBody, EntryHeader, SignedEntry};
use undertone_protocol::ids::{ConversationId, DeviceId, EntryId};
use undertone_protocol::log::{Frontier, FrontierItem, OrderKey, effective_time};
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire;

criterion_group!(benches, entries, logs);
criterion_main!(benches);

/// Bytes of a text message.
const TEXTS: [usize; 2] = [100, 1_024];
/// Entries of a log.
const LOGS: [u64; 2] = [1_000, 100_000];
const NOW: u64 = 1_700_000_000_000;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn body(length: usize) -> EntryBody {
    EntryBody::text(&"m".repeat(length), &mut ChaCha20Rng::seed_from_u64(1)).unwrap()
}

fn sign(key: &SigningKey, body: EntryBody) -> SignedEntry {
    let header = EntryHeader {
        conversation: ConversationId::new([1; ConversationId::LEN]),
        device: DeviceId::new(key.verifying_key().to_bytes()),
        seq: 2,
        prev: Some(EntryId::new([3; 32])),
        heads: vec![EntryId::new([4; 32])],
        claimed: Timestamp::from_ms(NOW),
        membership_heads: Vec::new(),
        body_hash: body.hash(),
        expires: None,
    };
    SignedEntry::issue(key, header, body)
}

/// A sender key at its first index, and its receiving end.
fn session() -> (SenderKeyState, HeaderKey, ReceiverKeyState) {
    let mut crypto = Vodozemac;
    let sender = crypto.new_sender_key();
    let info = crypto.sender_key_info(&sender).unwrap();
    let receiver = crypto.import_sender_key(&info.session_key).unwrap().receiver;
    (sender, HeaderKey::random(&mut ChaCha20Rng::seed_from_u64(2)), receiver)
}

fn seal(sender: &SenderKeyState, header_key: &HeaderKey, entry: &SignedEntry) -> Vec<u8> {
    let mut sender = sender.clone();
    let content = entry.to_wire().encode_to_vec();
    header_key.seal(&encrypt_content(&mut Vodozemac, &mut sender, content).unwrap()).unwrap()
}

fn open(header_key: &HeaderKey, receiver: &ReceiverKeyState, payload: &[u8]) -> wire::SealedEntry {
    let content = decrypt_content(&Vodozemac, header_key, receiver, 0, payload).unwrap();
    decode("sealed entry", &content.into(), usize::MAX).unwrap()
}

fn entries(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("entry");
    for length in TEXTS {
        let (sender, header_key, receiver) = session();
        let (key, body) = (key(), body(length));
        let entry = sign(&key, body.clone());
        let sealed = entry.to_wire();
        let payload = seal(&sender, &header_key, &entry);
        let id = |name| BenchmarkId::new(name, length);
        group.bench_function(id("sign"), |bencher| {
            bencher.iter_batched(|| body.clone(), |body| sign(&key, body), BatchSize::SmallInput);
        });
        group.bench_function(id("seal"), |bencher| bencher.iter(|| seal(&sender, &header_key, &entry)));
        group.bench_function(id("open"), |bencher| bencher.iter(|| open(&header_key, &receiver, &payload)));
        group.bench_function(id("verify"), |bencher| {
            let verify = |sealed| SignedEntry::verify(sealed).unwrap();
            bencher.iter_batched(|| sealed.clone(), verify, BatchSize::SmallInput);
        });
        group.bench_function(id("sign, seal, open, verify"), |bencher| {
            let whole = |body| {
                let payload = seal(&sender, &header_key, &sign(&key, body));
                SignedEntry::verify(open(&header_key, &receiver, &payload)).unwrap()
            };
            bencher.iter_batched(|| body.clone(), whole, BatchSize::SmallInput);
        });
        group.bench_function(id("pad, unpad"), |bencher| {
            let padding = |content| unpad(&pad(content)).unwrap().len();
            bencher.iter_batched(|| vec![7; length], padding, BatchSize::SmallInput);
        });
    }
    group.finish();
}

fn logs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("log");
    for count in LOGS {
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new("order", count), |bencher| bencher.iter(|| order(count)));
    }
    group.throughput(Throughput::Elements(1_000));
    let frontier = frontier();
    let asked: Vec<DeviceId> = (0..1_000).map(device).collect();
    group.bench_function("frontier of 1,000 devices covers", |bencher| {
        bencher.iter(|| asked.iter().filter(|device| black_box(&frontier).covers(device, 11)).count());
    });
    group.finish();
}

/// Where each entry of a log stands, and all of them in that order. Four devices write in turn; some claim
/// times before their parents'.
fn order(count: u64) -> Vec<OrderKey> {
    let mut latest = None;
    let mut keys: Vec<OrderKey> = (0..count)
        .map(|number| {
            let claimed = Timestamp::from_ms(NOW + number * 7_919 % 10_007);
            let effective = effective_time(claimed, latest);
            // Every fourth entry stands beside the one before it.
            if number % 4 != 0 {
                latest = Some(effective);
            }
            let device = DeviceId::new([u8::try_from(number % 4).unwrap(); 32]);
            OrderKey {
                effective,
                device,
                entry: EntryId::new(wide(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))),
            }
        })
        .collect();
    keys.sort_unstable();
    keys
}

/// What is held of 1,000 devices.
fn frontier() -> Frontier {
    let mut frontier = Frontier::default();
    for number in 0..1_000 {
        let item = FrontierItem { seq: 10, head: Some(EntryId::new([1; 32])), ..FrontierItem::default() };
        frontier.set(device(number), item);
    }
    frontier
}

fn device(number: u64) -> DeviceId {
    DeviceId::new(wide(number))
}

fn wide(number: u64) -> [u8; 32] {
    let mut id = [0; 32];
    id.iter_mut().zip(number.to_be_bytes()).for_each(|(to, from)| *to = from);
    id
}
