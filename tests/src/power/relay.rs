use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use anyhow::{Context, ensure};
use bytes::Bytes;
use undertone_relay::store::{FjallOptions, FjallStore, Overlay, Store};

use super::record::{IDLE, Said, content, say};

/// They wait for their record as clients do; what waits at one moment is committed at once.
const PRODUCERS: usize = 8;
/// How many records of a producer stay; each new one takes the place of the oldest, as envelopes come and go.
const RECORDS_HELD: u64 = 16;
const RECORD_BYTES_MAX: u64 = 64 * 1024;

/// The last number of each producer.
type Numbers = [u64; PRODUCERS];

/// Its one key holds the last number of all producers.
const SUM: &[u8] = b"sum";

/// producer → its last number.
fn last_key(producer: usize) -> Vec<u8> {
    [b"last".as_slice(), &producer.to_be_bytes()].concat()
}

/// producer, number → the record.
fn record_key(producer: usize, number: u64) -> Vec<u8> {
    [b"record".as_slice(), &producer.to_be_bytes(), &number.to_be_bytes()].concat()
}

fn open(dir: &Path) -> anyhow::Result<FjallStore> {
    Ok(FjallStore::open(&dir.join("store"), FjallOptions::default())?)
}

/// Producers hand in their records, and this thread commits what waits, as the relay's own thread does.
pub(super) fn write(dir: &Path) -> anyhow::Result<()> {
    let mut store = open(dir)?;
    let mut last = numbers(&store)?;
    say(&[Said::Opened(last.to_vec())])?;
    thread::sleep(IDLE);
    let (hand_in, waiting) = sync_channel(PRODUCERS);
    let mut acknowledge = Vec::new();
    for (producer, last) in last.into_iter().enumerate() {
        let (acknowledged, wait) = sync_channel(1);
        acknowledge.push(acknowledged);
        let hand_in = hand_in.clone();
        thread::Builder::new().spawn(move || produce(producer, last, &hand_in, &wait))?;
    }
    loop {
        let first = waiting.recv().context("the producers ended")?;
        let batch: Vec<(usize, u64)> = [first].into_iter().chain(waiting.try_iter()).collect();
        let overlay = overlay(&store, &batch, &mut last);
        store.commit(overlay)?;
        say(&batch.iter().map(|(producer, number)| Said::Kept(*producer, *number)).collect::<Vec<_>>())?;
        for (producer, _) in batch {
            acknowledge.get(producer).context("an unknown producer")?.send(())?;
        }
    }
}

/// Hands in one record after the other, until the thread that commits is gone.
fn produce(producer: usize, last: u64, hand_in: &SyncSender<(usize, u64)>, wait: &Receiver<()>) {
    for number in last + 1.. {
        if hand_in.send((producer, number)).is_err() || wait.recv().is_err() {
            return;
        }
    }
}

fn overlay(store: &FjallStore, batch: &[(usize, u64)], last: &mut Numbers) -> undertone_relay::store::Batch {
    let mut overlay = Overlay::new(store);
    for &(producer, number) in batch {
        overlay.put(record_key(producer, number), content(producer, number, RECORD_BYTES_MAX));
        if let Some(old) = number.checked_sub(RECORDS_HELD) {
            overlay.delete(record_key(producer, old));
        }
        overlay.put(last_key(producer), number.to_be_bytes().to_vec());
        if let Some(last) = last.get_mut(producer) {
            *last = number;
        }
    }
    overlay.put(SUM, last.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<_>>());
    overlay.into_batch()
}

/// Opens the store, which counts its commits, and looks at everything that is there.
pub(super) fn check(dir: &Path) -> anyhow::Result<Vec<u64>> {
    let store = open(dir)?;
    let last = numbers(&store)?;
    for (producer, last) in last.into_iter().enumerate() {
        check_producer(&store, producer, last)?;
    }
    Ok(last.to_vec())
}

/// The last numbers as the last batch has them all together.
fn numbers(store: &FjallStore) -> anyhow::Result<Numbers> {
    let mut numbers = Numbers::default();
    let Some(sum) = store.get(SUM)? else { return Ok(numbers) };
    let (chunks, rest) = sum.as_chunks();
    ensure!(chunks.len() == PRODUCERS && rest.is_empty(), "a sum of {} bytes", sum.len());
    for (number, bytes) in numbers.iter_mut().zip(chunks) {
        *number = u64::from_be_bytes(*bytes);
    }
    Ok(numbers)
}

/// A producer's part of each batch is there whole: neither more nor less than its last number says.
fn check_producer(store: &FjallStore, producer: usize, last: u64) -> anyhow::Result<()> {
    let own = store.get(&last_key(producer))?;
    let expected = (last > 0).then(|| Bytes::copy_from_slice(&last.to_be_bytes()));
    ensure!(own == expected, "producer {producer}: half a batch: {own:?} in the place of {last}");
    let (from, to) = (record_key(producer, 0), record_key(producer, u64::MAX));
    let held = store.range(&from, &to, usize::MAX)?;
    let numbers: Vec<u64> = ((last.saturating_sub(RECORDS_HELD) + 1)..=last).collect();
    let keys: Vec<Bytes> = numbers.iter().map(|number| record_key(producer, *number).into()).collect();
    let there: Vec<&Bytes> = held.iter().map(|(key, _)| key).collect();
    ensure!(
        there == keys.iter().collect::<Vec<_>>(),
        "producer {producer}: {} records in the place of {} through {last}",
        there.len(),
        last.saturating_sub(RECORDS_HELD) + 1,
    );
    for ((_, value), number) in held.iter().zip(numbers) {
        ensure!(
            *value == content(producer, number, RECORD_BYTES_MAX),
            "producer {producer}: record {number} has another content"
        );
    }
    Ok(())
}
