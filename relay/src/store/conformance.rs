//! What every backend must do. A backend's tests call [`suite`] with a way to open it.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{Batch, Overlay, Store};

/// How a backend is opened, closed and crashed. Each value stands for one store on its own medium.
pub(super) trait Backend {
    /// The store.
    type Store: Store;
    /// A new, empty medium.
    fn new() -> Self;
    /// Opens what is on the medium.
    fn open(&mut self) -> Self::Store;
    /// Ends the store without any goodbye to it, and opens what is on the medium.
    fn crash(&mut self, store: Self::Store) -> Self::Store;
}

/// Everything.
pub(super) fn suite<B: Backend>(cases: u32) {
    batches_apply_whole_and_in_order::<B>();
    ranges_are_half_open_ascending_and_limited::<B>();
    commits_survive_reopen_and_crash::<B>();
    large_values_and_empty_batches::<B>();
    agrees_with_a_map::<B>(cases);
}

type Map = BTreeMap<Bytes, Bytes>;
type Write = (Vec<u8>, Option<Vec<u8>>);

fn batch(writes: &[Write]) -> Batch {
    let mut batch = Batch::default();
    for (key, value) in writes {
        match value {
            Some(value) => batch.put(key.clone(), value.clone()),
            None => batch.delete(key.clone()),
        }
    }
    batch
}

fn everything(store: &impl Store) -> Vec<(Bytes, Bytes)> {
    store.range(b"a", b"z", usize::MAX).unwrap()
}

fn batches_apply_whole_and_in_order<B: Backend>() {
    let mut backend = B::new();
    let mut store = backend.open();
    store.commit(batch(&[(b"k1".into(), Some(b"1".into())), (b"k2".into(), Some(b"2".into()))])).unwrap();
    let mut second = Batch::default();
    second.put(&b"k1"[..], &b"gone"[..]);
    second.delete(&b"k1"[..]);
    second.delete(&b"k2"[..]);
    second.put(&b"k2"[..], &b"last"[..]);
    second.delete(&b"never there"[..]);
    store.commit(second).unwrap();
    assert_eq!(store.get(b"k1").unwrap(), None);
    assert_eq!(store.get(b"k2").unwrap(), Some(Bytes::from_static(b"last")));
    assert_eq!(store.get(b"never there").unwrap(), None);
}

fn ranges_are_half_open_ascending_and_limited<B: Backend>() {
    let mut backend = B::new();
    let mut store = backend.open();
    let keys: [&[u8]; 5] = [b"b", b"b\x00", b"b\xff\xff", b"c", b"d"];
    let writes: Vec<Write> = keys.iter().map(|key| (key.to_vec(), Some(vec![7]))).collect();
    store.commit(batch(&writes)).unwrap();
    let found = |from: &[u8], to: &[u8], limit| -> Vec<Bytes> {
        store.range(from, to, limit).unwrap().into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(found(b"b", b"d", 9), [&b"b"[..], b"b\x00", b"b\xff\xff", b"c"]);
    assert_eq!(found(b"b\x00", b"d", 2), [&b"b\x00"[..], b"b\xff\xff"]);
    assert!(found(b"b", b"d", 0).is_empty());
    assert!(found(b"d", b"b", 9).is_empty());
    assert!(found(b"b", b"b", 9).is_empty());
}

fn commits_survive_reopen_and_crash<B: Backend>() {
    let mut backend = B::new();
    let mut store = backend.open();
    store.commit(batch(&[(b"a1".into(), Some(b"x".into())), (b"a2".into(), Some(b"y".into()))])).unwrap();
    store = backend.crash(store);
    assert_eq!(everything(&store).len(), 2);
    store.commit(batch(&[(b"a1".into(), None), (b"a3".into(), Some(b"z".into()))])).unwrap();
    store = backend.crash(store);
    let keys: Vec<Bytes> = everything(&store).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, [&b"a2"[..], b"a3"]);
}

fn large_values_and_empty_batches<B: Backend>() {
    let mut backend = B::new();
    let mut store = backend.open();
    let large = vec![0xa5; 64 * 1024];
    store
        .commit(batch(&[(b"large".into(), Some(large.clone())), (b"empty".into(), Some(Vec::new()))]))
        .unwrap();
    store.commit(Batch::default()).unwrap();
    store = backend.crash(store);
    assert_eq!(store.get(b"large").unwrap(), Some(large.into()));
    assert_eq!(store.get(b"empty").unwrap(), Some(Bytes::new()));
}

#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<Write>),
    /// Writes that an overlay held when it was dropped.
    Abandon(Vec<Write>),
    Range(Vec<u8>, Vec<u8>, usize),
    Crash,
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), Just(0xff)], 0..3).prop_map(|mut tail| {
        tail.insert(0, b'k');
        tail
    })
}

fn writes() -> impl Strategy<Value = Vec<Write>> {
    let value = proptest::option::weighted(0.7, proptest::collection::vec(any::<u8>(), 0..20));
    proptest::collection::vec((key(), value), 0..6)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => writes().prop_map(Step::Commit),
        1 => writes().prop_map(Step::Abandon),
        3 => (key(), key(), 0usize..8).prop_map(|(from, to, limit)| Step::Range(from, to, limit)),
        1 => Just(Step::Crash),
    ]
}

fn agrees_with_a_map<B: Backend>(cases: u32) {
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let steps = proptest::collection::vec(step(), 1..25);
    runner.run(&steps, |steps| walk::<B>(&steps)).unwrap();
}

fn walk<B: Backend>(steps: &[Step]) -> Result<(), TestCaseError> {
    let mut backend = B::new();
    let mut store = backend.open();
    let mut model = Map::new();
    for step in steps {
        match step {
            Step::Commit(writes) => {
                let pending = through_overlay(&store, &model, writes)?;
                store.commit(pending).unwrap();
                apply(&mut model, writes);
            }
            Step::Abandon(writes) => drop(through_overlay(&store, &model, writes)?),
            Step::Range(from, to, limit) => {
                prop_assert_eq!(
                    store.range(from, to, *limit).unwrap(),
                    model_range(&model, from, to, *limit)
                );
            }
            Step::Crash => store = backend.crash(store),
        }
        prop_assert_eq!(everything(&store), model.clone().into_iter().collect::<Vec<_>>());
    }
    Ok(())
}

/// Writes through an overlay, whose view must be the model's with the writes applied.
fn through_overlay(store: &impl Store, model: &Map, writes: &[Write]) -> Result<Batch, TestCaseError> {
    let mut overlay = Overlay::new(store);
    let mut expected = model.clone();
    for (key, value) in writes {
        match value {
            Some(value) => overlay.put(key.clone(), value.clone()),
            None => overlay.delete(key.clone()),
        }
        apply(&mut expected, &[(key.clone(), value.clone())]);
        prop_assert_eq!(overlay.get(key).unwrap(), expected.get(&key[..]).cloned());
        for limit in 0..5 {
            prop_assert_eq!(
                overlay.range(b"k", b"kb", limit).unwrap(),
                model_range(&expected, b"k", b"kb", limit)
            );
        }
    }
    Ok(overlay.into_batch())
}

fn apply(model: &mut Map, writes: &[Write]) {
    for (key, value) in writes {
        match value {
            Some(value) => model.insert(key.clone().into(), value.clone().into()),
            None => model.remove(&key[..]),
        };
    }
}

fn model_range(model: &Map, from: &[u8], to: &[u8], limit: usize) -> Vec<(Bytes, Bytes)> {
    model
        .iter()
        .filter(|(key, _)| &key[..] >= from && &key[..] < to)
        .take(limit)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
