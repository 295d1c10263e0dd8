use std::collections::BTreeSet;

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use undertone_protocol::entry::EntryBody;
use undertone_protocol::ids::{EntryId, Secret};
use undertone_protocol::keys::DeviceKey;
use undertone_protocol::log::Frontier;

use super::*;
use crate::store::{CutReason, MemoryStore, NodeStore, NodeTx};

const CONVERSATION: ConversationId = ConversationId::new([1; 32]);
const NOW: Timestamp = Timestamp::from_ms(9);

fn key(author: u8) -> DeviceKey {
    DeviceKey::from_seed(&Secret::new([author; 32]))
}

/// Number `seq` of device `author`, that follows `heads`.
fn entry(author: u8, seq: u64, claimed_ms: u64, heads: &[EntryId]) -> SignedEntry {
    let body = EntryBody::text("text", &mut ChaCha20Rng::from_seed([9; 32])).unwrap();
    let header = EntryHeader {
        conversation: CONVERSATION,
        device: key(author).device(),
        seq,
        prev: (seq > 1).then(|| EntryId::new([0xee; 32])),
        heads: heads.to_vec(),
        claimed: Timestamp::from_ms(claimed_ms),
        membership_heads: Vec::new(),
        body_hash: body.hash(),
        expires: None,
    };
    SignedEntry::issue(key(author).signing_key(), header, body)
}

fn with_store(test: impl FnOnce(&mut dyn NodeTx)) {
    let done = MemoryStore::default().transaction(|tx| {
        test(tx);
        Ok(())
    });
    done.unwrap();
}

fn take(tx: &mut dyn NodeTx, entry: &SignedEntry) {
    insert(tx, entry.clone(), NOW).unwrap();
}

/// What is held of device 1, and what is missing: first and last number of each gap.
fn held_of_1(tx: &dyn NodeTx) -> (FrontierItem, Vec<(u64, u64)>) {
    let item = frontier_of(tx, &CONVERSATION, &key(1).device()).unwrap();
    let gaps = tx.gaps(&CONVERSATION).unwrap();
    (item, gaps.into_iter().map(|(_, gap)| (gap.from, gap.through)).collect())
}

fn begin(tx: &mut dyn NodeTx, seq: u64) {
    begin_at(tx, &CONVERSATION, &key(1).device(), seq).unwrap();
}

#[test]
fn what_was_written_before_somebody_came_is_not_missing() {
    with_store(|tx| {
        begin(tx, 5);
        let nothing_yet = FrontierItem { seq: 4, ..FrontierItem::default() };
        assert_eq!(held_of_1(tx), (nothing_yet, vec![]));
        let fifth = entry(1, 5, 0, &[]);
        take(tx, &fifth);
        let held = FrontierItem { seq: 5, head: Some(fifth.id), ..FrontierItem::default() };
        assert_eq!(held_of_1(tx), (held.clone(), vec![]));
        // From there on what lacks is missing.
        take(tx, &entry(1, 8, 0, &[]));
        let ranges = vec![SeqRange { from: 8, through: 8 }];
        assert_eq!(held_of_1(tx), (FrontierItem { ranges, ..held }, vec![(6, 7)]));
    });
}

/// What others are told of device 1. It is well formed.
fn told_of_1(tx: &dyn NodeTx) -> FrontierItem {
    let mut told = Frontier::default();
    for (device, item) in held(tx, &CONVERSATION).unwrap() {
        told.set(device, item);
    }
    assert_eq!(Frontier::from_wire(told.to_wire()).as_ref(), Ok(&told));
    told.get(&key(1).device()).cloned().unwrap_or_default()
}

/// A number without a gap goes with the entry that has it: before that came, only what is beyond is told.
#[test]
fn what_is_held_of_a_device_that_began_late_can_be_told() {
    with_store(|tx| {
        begin(tx, 5);
        assert_eq!(told_of_1(tx), FrontierItem::default());
        let sixth = entry(1, 6, 0, &[]);
        take(tx, &sixth);
        let ranges = vec![SeqRange { from: 6, through: 6 }];
        let beyond = FrontierItem { ranges, ends: vec![sixth.id], ..FrontierItem::default() };
        assert_eq!(told_of_1(tx), beyond);
        // Lost or not.
        let missing = gaps::of(tx, &CONVERSATION, &key(1).device()).unwrap();
        for gap in missing {
            tx.put_gap(&CONVERSATION, &key(1).device(), &Gap { days: u32::MAX, ..gap }).unwrap();
        }
        pass_over(tx, &CONVERSATION, &key(1).device(), NOW).unwrap();
        assert_eq!(told_of_1(tx), beyond);
        let fifth = entry(1, 5, 0, &[]);
        take(tx, &fifth);
        assert_eq!(told_of_1(tx).seq, 6);
    });
}

/// Another own device may have brought something of it first.
#[test]
fn what_came_before_the_word_on_it_is_no_end_of_a_gap() {
    with_store(|tx| {
        let later = [6, 7, 9].map(|seq| entry(1, seq, 0, &[]));
        later.iter().for_each(|entry| take(tx, entry));
        assert_eq!(held_of_1(tx).1, [(1, 5), (8, 8)]);
        begin(tx, 5);
        assert_eq!(held_of_1(tx).1, [(5, 5), (8, 8)]);
        assert_eq!(told_of_1(tx).seq, 0);
        take(tx, &entry(1, 5, 0, &[]));
        let ranges = vec![SeqRange { from: 9, through: 9 }];
        assert_eq!(
            held_of_1(tx),
            (FrontierItem { seq: 7, head: Some(later[1].id), ranges, ends: Vec::new() }, vec![(8, 8)])
        );
    });
    with_store(|tx| {
        let sixth = entry(1, 6, 0, &[]);
        take(tx, &sixth);
        begin(tx, 6);
        assert_eq!(
            held_of_1(tx),
            (FrontierItem { seq: 6, head: Some(sixth.id), ..FrontierItem::default() }, vec![])
        );
    });
}

/// The first word on it holds, and what is held already says more than any.
#[test]
fn a_device_begins_once() {
    with_store(|tx| {
        for seq in [0, 1] {
            begin(tx, seq);
            assert_eq!(tx.frontier(&CONVERSATION).unwrap(), []);
        }
        for seq in [3, 7, 2] {
            begin(tx, seq);
            assert_eq!(held_of_1(tx).0.seq, 2);
        }
    });
    with_store(|tx| {
        let first = entry(1, 1, 0, &[]);
        take(tx, &first);
        begin(tx, 5);
        let held = FrontierItem { seq: 1, head: Some(first.id), ..FrontierItem::default() };
        assert_eq!(held_of_1(tx), (held, vec![]));
    });
}

/// The history that a group shows to who comes later.
#[test]
fn what_was_written_before_is_taken_all_the_same() {
    with_store(|tx| {
        begin(tx, 5);
        let third = entry(1, 3, 0, &[]);
        take(tx, &third);
        assert_eq!(held_of_1(tx), (FrontierItem { seq: 4, ..FrontierItem::default() }, vec![]));
        let history = tx.history(&CONVERSATION, None, 9).unwrap();
        assert_eq!(history.iter().map(|stored| stored.entry.id).collect::<Vec<_>>(), [third.id]);
    });
}

/// When the entries stand, in the order of `entries`.
fn effective_ms(tx: &dyn NodeTx, entries: &[&SignedEntry]) -> Vec<u64> {
    entries.iter().map(|entry| tx.entry(&entry.id).unwrap().unwrap().effective.as_ms()).collect()
}

fn judge(tx: &mut dyn NodeTx, entry: &SignedEntry, is_void: bool) {
    let stored = tx.entry(&entry.id).unwrap().unwrap();
    set_void(tx, &stored, is_void).unwrap();
    assert_eq!(tx.is_void(&entry.id).unwrap(), is_void);
    assert_eq!(counts(tx, &stored).unwrap(), !is_void);
}

/// Whoever was put out pushes nobody on any more, however far ahead their clock was.
#[test]
fn what_stands_on_a_void_entry_moves_and_moves_back() {
    with_store(|tx| {
        let root = entry(1, 1, 100, &[]);
        let ahead = entry(2, 1, 5_000, &[root.id]);
        let answer = entry(3, 1, 200, &[ahead.id, root.id]);
        let further = entry(4, 1, 300, &[answer.id]);
        let all = [&root, &ahead, &answer, &further];
        all.iter().for_each(|entry| take(tx, entry));
        assert_eq!(effective_ms(tx, &all), [100, 5_000, 5_001, 5_002]);
        for _ in 0..2 {
            judge(tx, &ahead, true);
            assert_eq!(effective_ms(tx, &all), [100, 5_000, 200, 300]);
        }
        let shown = tx.history(&CONVERSATION, None, 9).unwrap();
        let shown: Vec<_> = shown.iter().map(|stored| stored.entry.id).collect();
        assert_eq!(shown, [root.id, answer.id, further.id]);
        judge(tx, &ahead, false);
        assert_eq!(effective_ms(tx, &all), [100, 5_000, 5_001, 5_002]);
    });
}

#[test]
fn what_comes_later_does_not_stand_on_a_void_entry() {
    with_store(|tx| {
        let ahead = entry(2, 1, 5_000, &[]);
        let answer = entry(3, 1, 200, &[ahead.id]);
        take(tx, &ahead);
        judge(tx, &ahead, true);
        take(tx, &answer);
        assert_eq!(effective_ms(tx, &[&ahead, &answer]), [5_000, 200]);
    });
}

/// Entries that follow some before them, each by a device of its own: claimed time, parents, and whether it is void.
fn conversations() -> impl Strategy<Value = Vec<(u64, Vec<usize>, bool)>> {
    let entry = (0..200_000_000_u64, proptest::collection::vec(0..64_usize, 0..4), proptest::bool::ANY);
    proptest::collection::vec(entry, 1..12)
}

fn written(rows: &[(u64, Vec<usize>, bool)]) -> Vec<SignedEntry> {
    let mut entries: Vec<SignedEntry> = Vec::new();
    for (author, (claimed, parents, _)) in (0..).zip(rows) {
        let known = entries.len();
        let before = parents.iter().filter_map(|parent| entries.get(parent.checked_rem(known)?));
        let heads: Vec<EntryId> = before.map(|parent| parent.id).collect();
        entries.push(entry(author, 1, *claimed, &heads));
    }
    entries
}

/// When each stands, computed from the first on.
fn from_scratch(rows: &[(u64, Vec<usize>, bool)], entries: &[SignedEntry]) -> Vec<u64> {
    let mut times: Vec<Timestamp> = Vec::new();
    for entry in entries {
        let counting = (0..times.len())
            .filter(|before| !rows[*before].2 && entry.header.heads.contains(&entries[*before].id));
        let latest = counting.map(|before| times[before]).max();
        times.push(effective_time(entry.header.claimed, latest));
    }
    times.iter().map(|time| time.as_ms()).collect()
}

proptest! {
    /// In whatever order entries come and are judged, first wrongly or not, they stand where they do from scratch.
    #[test]
    fn no_order_of_judging_decides(
        rows in conversations(),
        order in proptest::collection::vec((0..64_usize, proptest::bool::ANY), 0..40),
    ) {
        let entries = written(&rows);
        let all: Vec<&SignedEntry> = entries.iter().collect();
        with_store(|tx| {
            for (which, is_void) in order {
                let entry = &entries[which % entries.len()];
                take(tx, entry);
                judge(tx, entry, is_void);
            }
            for (entry, row) in entries.iter().zip(&rows).rev() {
                take(tx, entry);
                judge(tx, entry, row.2);
            }
            assert_eq!(effective_ms(tx, &all), from_scratch(&rows, &entries));
        });
    }

    /// In whatever order they come, from where somebody came in nothing lacks when all are there.
    #[test]
    fn a_device_that_begins_late_comes_to_an_end(first in 1..40_u64, order in proptest::collection::vec(0..64_usize, 1..20)) {
        with_store(|tx| {
            begin(tx, first);
            let last = first + order.len() as u64 - 1;
            let mut left: Vec<u64> = (first..=last).collect();
            for at in order {
                let seq = left.remove(at % left.len());
                take(tx, &entry(1, seq, 0, &[]));
                told_of_1(tx);
                let (_, gaps) = held_of_1(tx);
                assert!(gaps.iter().all(|(from, through)| *from >= first && through < &last));
            }
            let held = FrontierItem { seq: last, head: Some(entry(1, last, 0, &[]).id), ..FrontierItem::default() };
            assert_eq!(held_of_1(tx), (held, vec![]));
        });
    }
}

#[test]
fn the_largest_number_is_noted() {
    let mut item = FrontierItem::default();
    for seq in [u64::MAX, u64::MAX - 1, u64::MAX - 3] {
        note_beyond(&mut item, seq);
    }
    let range = |from, through| SeqRange { from, through };
    assert_eq!(item.ranges, [range(u64::MAX - 3, u64::MAX - 3), range(u64::MAX - 1, u64::MAX)]);
}

/// Nothing comes behind it.
#[test]
fn what_is_held_up_to_the_largest_number_comes_to_an_end() {
    let (sender, done) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        with_store(|tx| {
            begin(tx, u64::MAX);
            take(tx, &entry(1, u64::MAX, 7, &[]));
            sender.send(held_of_1(tx).0.seq).unwrap();
        });
    });
    assert_eq!(done.recv_timeout(std::time::Duration::from_secs(20)), Ok(u64::MAX));
}

#[test]
fn a_cut_before_the_largest_number_comes_to_an_end() {
    let last = entry(3, u64::MAX, 7, &[]);
    let (sender, done) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let cut = Cut { through: 1, head: None, why: CutReason::Forked };
        let held = MemoryStore::default().transaction(|tx| {
            insert(tx, last.clone(), NOW)?;
            super::cut(tx, &CONVERSATION, &last.header.device, cut)?;
            let stored = tx.entry(&last.id)?.unwrap();
            counts(tx, &stored)
        });
        sender.send(held.unwrap()).unwrap();
    });
    assert_eq!(done.recv_timeout(std::time::Duration::from_secs(20)), Ok(false));
}

proptest! {
    #[test]
    fn ranges_are_what_was_noted(seqs in proptest::collection::vec(2u64..50, 0..80)) {
        let mut item = FrontierItem::default();
        let mut model = BTreeSet::new();
        for seq in seqs {
            note_beyond(&mut item, seq);
            model.extend((seq > 1).then_some(seq));
        }
        let covered: BTreeSet<u64> = item.ranges.iter().flat_map(|range| range.from..=range.through).collect();
        prop_assert_eq!(&covered, &model);
        let apart = item.ranges.windows(2).all(|pair| pair[1].from > pair[0].through + 1);
        prop_assert!(apart, "{:?}", item.ranges);
    }
}

/// In a conversation that others may not hold.
#[test]
fn what_is_named_of_another_conversation_changes_nothing() {
    with_store(|tx| {
        let other = ConversationId::new([2; 32]);
        let far = entry(1, 1, 9_000_000, &[]);
        let header = EntryHeader { conversation: other, ..far.header.clone() };
        let far = SignedEntry::issue(key(1).signing_key(), header, far.body);
        let names_it = entry(2, 1, 7, &[far.id]);
        let late = entry(3, 1, 8, &[far.id]);
        take(tx, &names_it);
        take(tx, &far);
        take(tx, &late);
        for (named, at) in [(&names_it, 7), (&late, 8)] {
            assert_eq!(tx.entry(&named.id).unwrap().unwrap().effective, Timestamp::from_ms(at));
        }
        assert_eq!(tx.heads(&other, 16).unwrap(), [far.id]);
    });
}
