//! What it costs a node to merge a log of 100,000 entries into its store on disk, in the order of the log and in
//! any order, with a sync for every 64. `cargo bench -p undertone`.

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ed25519_dalek::SigningKey;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tempfile::TempDir;
use undertone::log;
use undertone::store::{NodeStore, SqliteStore};
use undertone_protocol::entry::{EntryBody, EntryHeader, SignedEntry};
use undertone_protocol::ids::{ConversationId, DeviceId, EntryId, Secret};
use undertone_protocol::time::Timestamp;

criterion_group!(benches, merge);
criterion_main!(benches);

const ENTRIES: u64 = 100_000;
/// Devices that write in turn.
const DEVICES: usize = 4;
/// Entries of one transaction.
const BATCH: usize = 64;
const NOW: u64 = 1_700_000_000_000;

fn merge(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("merge 100,000 entries");
    group.sample_size(10).throughput(Throughput::Elements(ENTRIES));
    let entries = entries();
    group.bench_function("in order", |bencher| {
        bencher.iter_batched(|| (store(), entries.clone()), merge_all, BatchSize::PerIteration);
    });
    let mut any_order = entries.clone();
    shuffle(&mut any_order);
    group.bench_function("in any order", |bencher| {
        bencher.iter_batched(|| (store(), any_order.clone()), merge_all, BatchSize::PerIteration);
    });
    group.finish();
}

/// An empty store, and the directory that holds it.
fn store() -> (SqliteStore, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (SqliteStore::open(&dir.path().join("node.db"), &Secret::new([7; 32])).unwrap(), dir)
}

/// Gives the store back, so that it is not removed while time is measured.
fn merge_all(
    ((mut store, dir), entries): ((SqliteStore, TempDir), Vec<SignedEntry>),
) -> (SqliteStore, TempDir) {
    let now = Timestamp::from_ms(NOW);
    for batch in entries.chunks(BATCH) {
        let merged = store.transaction(|tx| {
            for entry in batch {
                assert!(log::insert(tx, entry.clone(), now)?.is_some(), "an entry twice");
            }
            Ok(())
        });
        merged.unwrap();
    }
    (store, dir)
}

/// A log as its devices wrote it: each entry follows its author's last and the last of all; every fourth was
/// written without knowing the one before it.
fn entries() -> Vec<SignedEntry> {
    let conversation = ConversationId::new([1; ConversationId::LEN]);
    let keys: Vec<SigningKey> = (1..).take(DEVICES).map(|seed| SigningKey::from_bytes(&[seed; 32])).collect();
    let mut own: Vec<Option<EntryId>> = vec![None; DEVICES];
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let (mut last, mut before_last) = (None, None);
    let authors = (0..ENTRIES).zip(0_usize..).zip((0..DEVICES).cycle());
    authors
        .map(|((number, at), author)| {
            let (key, prev) = (keys.get(author).unwrap(), own.get_mut(author).unwrap());
            let body =
                EntryBody::text(&format!("message {number} of a long conversation"), &mut rng).unwrap();
            let seen = if at % 4 == 3 { before_last } else { last };
            let header = EntryHeader {
                conversation,
                device: DeviceId::new(key.verifying_key().to_bytes()),
                seq: u64::try_from(at / DEVICES).unwrap() + 1,
                prev: *prev,
                heads: Vec::from_iter(seen.filter(|seen| Some(*seen) != *prev)),
                claimed: Timestamp::from_ms(NOW + number),
                membership_heads: Vec::new(),
                body_hash: body.hash(),
                expires: None,
            };
            let entry = SignedEntry::issue(key, header, body);
            *prev = Some(entry.id);
            (before_last, last) = (last, Some(entry.id));
            entry
        })
        .collect()
}

/// Fisher and Yates.
fn shuffle(entries: &mut [SignedEntry]) {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    for end in (1..entries.len()).rev() {
        let below = u64::try_from(end).unwrap() + 1;
        entries.swap(end, usize::try_from(rng.next_u64() % below).unwrap());
    }
}
