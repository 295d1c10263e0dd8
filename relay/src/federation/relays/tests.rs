use ed25519_dalek::SigningKey;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use undertone_protocol::codec::{Label, sign};
use undertone_protocol::limits::RELAY_RECORD_LIFE;

use super::*;
use crate::federation::Policy;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::store::{MemoryStore, usage::usage};

const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Lets a world's relays do something at a time, durably.
fn at<R>(
    store: &mut MemoryStore,
    now: Timestamp,
    work: impl FnOnce(&Cx<'_>, &mut Overlay<'_, MemoryStore>) -> R,
) -> R {
    let (limits, policy, key) = (Limits::default(), Policy::default(), SigningKey::from_bytes(&[5; 32]));
    let (mut rng, mut metrics, mut acts) = (ChaCha20Rng::seed_from_u64(1), Metrics::default(), Vec::new());
    let (rng, metrics, acts) = (&mut rng, &mut metrics, &mut acts);
    let cx = Cx { now, limits: &limits, policy: &policy, key: &key, rng, metrics, acts };
    let mut tx = Overlay::new(store);
    let result = work(&cx, &mut tx);
    let batch = tx.into_batch();
    store.commit(batch).unwrap();
    result
}

fn own(relays: &mut Relays, store: &mut MemoryStore, now: Timestamp) -> Option<RelayRecord> {
    let signed = at(store, now, |cx, tx| relays.own(cx, tx)).unwrap()?;
    Some(RelayRecord::verify(Signed::from_wire(signed).unwrap()).unwrap())
}

/// After a start, with these addresses.
fn started(address: &str) -> Relays {
    let mut relays = Relays::default();
    relays.announce(vec![address.to_owned()]);
    relays
}

fn key_of(number: u16) -> SigningKey {
    let mut seed = [200; 32];
    seed[..2].copy_from_slice(&number.to_be_bytes());
    SigningKey::from_bytes(&seed)
}

fn record_of(number: u16, address: &str, issued: Timestamp) -> RelayRecord {
    RelayRecord::issue(&key_of(number), vec![address.to_owned()], issued).unwrap()
}

fn learn(relays: &mut Relays, store: &mut MemoryStore, record: &RelayRecord, now: Timestamp) -> Learned {
    at(store, now, |cx, tx| relays.learn(record.clone(), cx, tx)).unwrap()
}

#[test]
fn a_record_is_kept_for_a_day_and_a_restart_never_goes_backwards() {
    let (mut relays, mut store) = (started("/ip4/192.0.2.1/tcp/1"), MemoryStore::new());
    let first = own(&mut relays, &mut store, NOW).unwrap();
    assert_eq!(own(&mut relays, &mut store, NOW.after(DAY).before(MINUTE)), Some(first.clone()));
    let again = own(&mut started("/ip4/192.0.2.1/tcp/1"), &mut store, NOW.after(MINUTE));
    assert_eq!(again, Some(first.clone()), "the same after a restart");
    let next = own(&mut relays, &mut store, NOW.after(DAY)).unwrap();
    assert!(next.issued == NOW.after(DAY) && next.address == first.address);
    // Its clock was set back by a few minutes while it moved.
    let moved = own(&mut started("/ip4/192.0.2.1/tcp/2"), &mut store, NOW.after(DAY).before(5 * MINUTE));
    let moved = moved.unwrap();
    assert_eq!(moved.address.addresses, ["/ip4/192.0.2.1/tcp/2"]);
    assert!(moved.is_newer_than(Some(&next), NOW.after(DAY)));
    assert!(own(&mut Relays::default(), &mut store, NOW).is_none(), "it need not say anything");
}

#[test]
fn a_clock_that_was_far_ahead_keeps_nothing_out() {
    let mut store = MemoryStore::new();
    own(&mut started("/ip4/192.0.2.1/tcp/1"), &mut store, NOW.after(300 * DAY)).unwrap();
    let right = own(&mut started("/ip4/192.0.2.1/tcp/1"), &mut store, NOW).unwrap();
    assert_eq!(right.issued, NOW);
    let (mut relays, mut store) = (Relays::default(), MemoryStore::new());
    let ahead = record_of(1, "/ip4/192.0.2.1/tcp/1", NOW.after(300 * DAY));
    assert_eq!(learn(&mut relays, &mut store, &ahead, NOW), Learned::Nothing);
    assert_eq!(learn(&mut relays, &mut store, &ahead, NOW.after(300 * DAY)), Learned::Moved);
    let right = record_of(1, "/ip4/192.0.2.2/tcp/1", NOW);
    assert_eq!(learn(&mut relays, &mut store, &right, NOW), Learned::Moved, "our own clock was ahead");
}

#[test]
fn the_newest_counts_and_what_ended_does_not() {
    let (mut relays, mut store) = (Relays::default(), MemoryStore::new());
    let old = record_of(1, "/ip4/192.0.2.1/tcp/1", NOW);
    let new = record_of(1, "/ip4/192.0.2.2/tcp/1", NOW.after(MINUTE));
    let same = record_of(1, "/ip4/192.0.2.2/tcp/1", NOW.after(2 * MINUTE));
    let said = [&old, &new, &old, &same].map(|record| learn(&mut relays, &mut store, record, NOW));
    assert_eq!(said, [Learned::Moved, Learned::Moved, Learned::Nothing, Learned::Same]);
    let relay = old.address.relay;
    assert_eq!(relays.addresses(&relay, NOW), ["/ip4/192.0.2.2/tcp/1"]);
    let end = NOW.after(2 * MINUTE).after(RELAY_RECORD_LIFE);
    assert!(relays.addresses(&relay, end).is_empty());
    at(&mut store, end, |cx, tx| relays.sweep(cx.now, tx)).unwrap();
    assert!(relays.others.is_empty());
}

#[test]
fn who_was_forwarded_with_is_known_after_a_restart() {
    let (mut relays, mut store) = (Relays::default(), MemoryStore::new());
    let [used, said] = [1, 2].map(|number| record_of(number, "/ip4/192.0.2.1/tcp/1", NOW));
    learn(&mut relays, &mut store, &used, NOW);
    learn(&mut relays, &mut store, &said, NOW);
    at(&mut store, NOW, |cx, tx| relays.used(&used.address.relay, cx, tx)).unwrap();
    let newer = record_of(1, "/ip4/192.0.2.2/tcp/1", NOW.after(MINUTE));
    learn(&mut relays, &mut store, &newer, NOW);
    let mut again = Relays::default();
    at(&mut store, NOW, |_, tx| again.load(&RelayId::new([1; 32]), tx)).unwrap();
    assert_eq!(again.addresses(&used.address.relay, NOW), ["/ip4/192.0.2.2/tcp/1"]);
    assert!(again.addresses(&said.address.relay, NOW).is_empty());
    assert_eq!(usage(&Overlay::new(&store)).unwrap().disk_bytes, RELAY_DISK_BYTES);
    at(&mut store, NOW.after(31 * DAY), |cx, tx| again.sweep(cx.now, tx)).unwrap();
    assert_eq!(usage(&Overlay::new(&store)).unwrap().disk_bytes, 0);
    assert!(store.range(Table::Relay.key().as_ref(), &[255], 9).unwrap().is_empty());
}

#[test]
fn relays_that_only_say_where_they_are_make_room() {
    let (mut relays, mut store) = (Relays::default(), MemoryStore::new());
    let record = |number| record_of(number, "/ip4/192.0.2.1/tcp/1", NOW);
    for number in 0..4_096 {
        let now = NOW.after(Duration::from_millis(number.into()));
        learn(&mut relays, &mut store, &record(number), now);
    }
    at(&mut store, NOW, |cx, tx| relays.used(&record(0).address.relay, cx, tx)).unwrap();
    assert_eq!(learn(&mut relays, &mut store, &record(5_000), NOW), Learned::Moved);
    assert_eq!(relays.others.len(), RELAYS_KNOWN_MAX);
    let knows = |number| !relays.addresses(&record(number).address.relay, NOW).is_empty();
    assert!(knows(0) && knows(5_000) && knows(2) && !knows(1));
}

#[test]
fn where_all_were_forwarded_with_the_one_of_longest_ago_makes_room() {
    let (mut relays, mut store) = (Relays::default(), MemoryStore::new());
    let record = |number| record_of(number, "/ip4/192.0.2.1/tcp/1", NOW);
    for number in 0..4_096u16 {
        learn(&mut relays, &mut store, &record(number), NOW);
        let now = NOW.after(Duration::from_secs((u64::from(number) + 1_000) % 4_096));
        at(&mut store, now, |cx, tx| relays.used(&record(number).address.relay, cx, tx)).unwrap();
    }
    let oldest = record(3_096);
    assert_eq!(learn(&mut relays, &mut store, &record(5_000), NOW), Learned::Moved);
    assert_eq!(learn(&mut relays, &mut store, &record(5_001), NOW), Learned::Moved, "not at another's cost");
    let knows = |relays: &Relays, number| !relays.addresses(&record(number).address.relay, NOW).is_empty();
    let known = |relays: &Relays| [3_096, 3_097, 5_000, 5_001].map(|number| knows(relays, number));
    assert_eq!((relays.others.len(), known(&relays)), (RELAYS_KNOWN_MAX, [false, true, false, true]));
    assert!(store.get(key(&oldest.address.relay).as_ref()).unwrap().is_none(), "on the disk neither");
    assert_eq!(usage(&Overlay::new(&store)).unwrap().disk_bytes, 4_095 * RELAY_DISK_BYTES);
}

#[test]
fn a_record_that_an_earlier_build_took_for_ever_is_forgotten() {
    let (mut relays, mut store) = (Relays::default(), MemoryStore::new());
    let good = record_of(1, "/ip4/192.0.2.1/tcp/1", NOW);
    let taken = record_of(2, "/ip4/192.0.2.1/tcp/1", NOW);
    let body = wire::RelayRecord::decode(taken.signed.body.clone()).unwrap();
    let endless = wire::RelayRecord { not_after_ms: u64::MAX, ..body };
    let signed = sign(Label::RelayRecord, &key_of(2), endless.encode_to_vec());
    let endless = RelayRecord { signed, ..taken };
    at(&mut store, NOW, |cx, tx| {
        for record in [&good, &endless] {
            write(tx, record, NOW, cx.limits.disk_bytes_max).unwrap();
        }
    });
    at(&mut store, NOW, |_, tx| relays.load(&RelayId::new([1; 32]), tx)).unwrap();
    let held: Vec<_> = relays.others.keys().collect();
    assert_eq!(held, [&good.address.relay]);
    assert!(store.get(key(&endless.address.relay).as_ref()).unwrap().is_none());
    assert_eq!(usage(&Overlay::new(&store)).unwrap().disk_bytes, RELAY_DISK_BYTES);
}
