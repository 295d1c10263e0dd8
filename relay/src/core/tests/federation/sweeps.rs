//! What ended is found where it ended, and what a policy excludes is given up step by step.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use undertone_protocol::federation::DeadLetterReason;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{DeclinedCode, frame::Body};

use super::far::{Far, Manner, id};
use super::world::{DAY, Net, SENDER, dead, waiting};
use crate::core::Input;
use crate::federation::{Policy, PolicyKind};
use crate::limits::Limits;
use crate::store::table::{KeyReader, Table};
use crate::store::{Batch, MemoryStore, Overlay, Store, StoreError};

/// Notes where reads begin.
struct Watched<'a>(&'a mut MemoryStore, RefCell<Vec<Bytes>>);

impl Store for Watched<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.0.get(key)
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        self.1.borrow_mut().push(Bytes::copy_from_slice(from));
        self.0.range(from, to, limit)
    }

    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        self.0.commit(batch)
    }
}

/// What was removed leaves tombstones: a sweep begins behind them.
#[test]
fn a_sweep_begins_where_the_last_one_ended() {
    let mut net = Net::new();
    net.forward(b"hi");
    net.pass(DAY);
    let swept = net.now;
    let now = net.now.after(Duration::from_secs(60));
    for side in [&mut net.a, &mut net.b] {
        let watched = Watched(&mut side.store, RefCell::default());
        let mut tx = Overlay::new(&watched);
        side.relay.handle(Input::Tick, now, &mut tx, &mut Vec::new()).unwrap();
        let reads = watched.1.borrow();
        for table in [Table::Expiry, Table::ForwardEnd, Table::AnswerEnd, Table::DecidedEnd] {
            let from = reads.iter().find(|from| Table::of(from) == Some(table)).unwrap();
            let from = Timestamp::from_ms(KeyReader::new("from", from).u64().unwrap());
            assert!(from.after(Duration::from_secs(60)) >= swept, "{table:?} from {from:?} on");
        }
    }
}

/// Its numbers begin anew, and what is first in it is found.
#[test]
fn a_queue_that_was_emptied_goes_on() {
    let mut far = Far::with(Limits::default());
    far.manner.insert(1, Manner::Declines(DeclinedCode::RetryAfter, 1_000));
    far.forward(1, 10);
    far.pass(Duration::from_secs(5));
    far.manner.clear();
    far.pass(Duration::from_secs(5));
    assert_eq!(far.near.relay.metrics().forwards_answered, 1);
    far.forward(1, 10);
    assert_eq!((far.near.relay.metrics().forwards_answered, far.dials.len()), (2, 1));
}

#[test]
fn a_policy_holds_for_what_waits_already() {
    for kind in [PolicyKind::Allow, PolicyKind::Deny] {
        let mut far = Far::with(Limits { sweep_entries_per_tick: 2, ..Limits::default() });
        far.reachable = false;
        let mut excluded: Vec<_> = (0..5).map(|_| far.forward(1, 10)).collect();
        far.forward(2, 10);
        far.said();
        far.reachable = true;
        far.dials.clear();
        let listed = if kind == PolicyKind::Allow { id(2) } else { id(1) };
        let relay = std::mem::replace(&mut far.near, super::world::Side::new(7, Limits::default()));
        far.near = relay.with_policy(Policy { kind, relays: BTreeSet::from([listed]) });
        far.pass(Duration::from_secs(10));
        assert!(far.dials.iter().all(|(_, number)| *number == 2), "{:?}", far.dials);
        assert_eq!((far.took(1), far.took(2)), (0, 1));
        let relay = far.near.relay.id();
        let letters: Vec<Body> =
            far.said().into_iter().filter(|body| matches!(body, Body::DeadLetter(_))).collect();
        let mut given_up: Vec<_> = letters.iter().map(|body| dead(body, relay)).collect();
        given_up.sort_unstable();
        excluded.sort_unstable();
        let expected: Vec<_> = excluded.iter().map(|id| (*id, DeadLetterReason::Refused)).collect();
        assert_eq!(given_up, expected);
        far.near.assert_counted();
    }
}

#[test]
fn a_policy_holds_after_a_start() {
    let mut net = Net::new();
    net.seal(b"makes the circuit");
    net.reachable = false;
    net.cut();
    let key = net.forward(b"hi");
    net.input_a(Input::Disconnected { conn: SENDER });
    net.kill_a();
    net.reachable = true;
    net.dials.clear();
    net.a = net.a.with_policy(Policy { kind: PolicyKind::Allow, relays: BTreeSet::new() });
    net.pass(Duration::from_secs(60));
    net.said_a();
    net.greet_a();
    let said = net.said_a();
    assert_eq!(dead(&said[1], net.a.relay.id()), (key.forward_id, DeadLetterReason::Refused));
    assert!(net.dials.is_empty() && net.delivered().is_empty());
    net.a.assert_counted();
}

/// *Until* is what was said first, though the answer came long ago.
#[test]
fn a_forward_that_was_answered_gets_the_same_notice_again() {
    let mut net = Net::new();
    let (parcel, _) = net.seal(b"hi");
    net.hand_in(&parcel);
    let first = waiting(&net.said_a()[0], net.a.relay.id());
    net.pass(Duration::from_secs(3_600));
    net.hand_in(&parcel);
    assert_eq!(waiting(&net.said_a()[0], net.a.relay.id()), first);
}
