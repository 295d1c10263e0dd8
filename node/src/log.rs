//! The log of a conversation in a store: entries are merged, put in order, and counted in frontiers
//! (spec: `log.md`).

use std::collections::BTreeSet;

use undertone_protocol::entry::{EntryHeader, SignedEntry};
use undertone_protocol::ids::{ConversationId, DeviceId};
use undertone_protocol::limits::FRONTIER_RANGES_MAX;
use undertone_protocol::log::{FrontierItem, SeqRange, effective_time};
use undertone_protocol::time::Timestamp;

use crate::gaps;
use crate::store::{Cut, Gap, LogTx, StoreError, StoredEntry};

/// Entries looked at in one go.
const PAGE: usize = 256;

/// From some number on nothing of a device counts in a conversation; of several cuts the lowest holds. What stands
/// on entries that count no more may move.
pub fn cut(
    tx: &mut dyn LogTx,
    conversation: &ConversationId,
    device: &DeviceId,
    cut: Cut,
) -> Result<(), StoreError> {
    if tx.cut(conversation, device)?.is_some_and(|known| known.through <= cut.through) {
        return Ok(());
    }
    tx.put_cut(conversation, device, &cut)?;
    let mut from = cut.through.saturating_add(1);
    loop {
        let page = tx.entries_of(conversation, device, from, PAGE)?;
        let last = page.last().map(|last| last.entry.header.seq);
        for stored in page {
            move_children(tx, &stored)?;
        }
        // Whoever cheats may have given an entry the largest number that there is.
        let Some(next) = last.and_then(|last| last.checked_add(1)) else { return Ok(()) };
        from = next;
    }
}

/// Whether an entry is not beyond a cut of its device.
pub fn counts(tx: &dyn LogTx, stored: &StoredEntry) -> Result<bool, StoreError> {
    let EntryHeader { conversation, device, seq, .. } = &stored.entry.header;
    Ok(tx.cut(conversation, device)?.is_none_or(|cut| *seq <= cut.through))
}

/// What is held of a device, but for what is beyond its cut.
pub fn up_to(item: &FrontierItem, cut: &Cut) -> FrontierItem {
    let mut item = item.clone();
    if item.seq > cut.through {
        item.seq = cut.through;
        item.head = cut.head;
    }
    item.ranges.retain(|range| range.from <= cut.through);
    for range in &mut item.ranges {
        range.through = range.through.min(cut.through);
    }
    item
}

/// Merges a verified entry, whatever came before it; what stands on it may move. `None` when it is there already.
pub fn insert(
    tx: &mut dyn LogTx,
    entry: SignedEntry,
    now: Timestamp,
) -> Result<Option<StoredEntry>, StoreError> {
    if tx.entry(&entry.id)?.is_some() {
        return Ok(None);
    }
    let effective = effective(tx, &entry)?;
    let stored = StoredEntry { entry, effective, received: now };
    tx.put_entry(&stored)?;
    move_children(tx, &stored)?;
    advance(tx, &stored.entry.header, now)?;
    Ok(Some(stored))
}

fn effective(tx: &dyn LogTx, entry: &SignedEntry) -> Result<Timestamp, StoreError> {
    let mut latest = None;
    for parent in entry.header.parents() {
        if let Some(parent) = tx.entry(&parent)?
            && counts(tx, &parent)?
        {
            latest = latest.max(Some(parent.effective));
        }
    }
    Ok(effective_time(entry.header.claimed, latest))
}

/// A parent came after its children: what stands on it may move. An entry stands later than all its
/// parents, so in order of time each is settled when it is looked at.
fn move_children(tx: &mut dyn LogTx, parent: &StoredEntry) -> Result<(), StoreError> {
    let mut moved = BTreeSet::from([(parent.effective, parent.entry.id)]);
    while let Some((_, parent)) = moved.pop_first() {
        for child in tx.children(&parent)? {
            let Some(mut child) = tx.entry(&child)? else { continue };
            let effective = effective(tx, &child.entry)?;
            if effective != child.effective {
                moved.remove(&(child.effective, child.entry.id));
                child.effective = effective;
                tx.put_entry(&child)?;
                moved.insert((effective, child.entry.id));
            }
        }
    }
    Ok(())
}

/// What is held of a device; the default before its first entry.
pub fn frontier_of(
    tx: &dyn LogTx,
    conversation: &ConversationId,
    device: &DeviceId,
) -> Result<FrontierItem, StoreError> {
    let frontier = tx.frontier(conversation)?;
    Ok(frontier.into_iter().find(|(other, _)| other == device).map(|(_, item)| item).unwrap_or_default())
}

/// What is held of each device, as others may be told: what is lost is no part of it, though the frontier passed over
/// it here.
pub fn held(
    tx: &dyn LogTx,
    conversation: &ConversationId,
) -> Result<Vec<(DeviceId, FrontierItem)>, StoreError> {
    let mut frontier = tx.frontier(conversation)?;
    let gaps = tx.gaps(conversation)?;
    for (device, item) in &mut frontier {
        let gaps: Vec<Gap> = gaps.iter().filter(|(of, _)| of == device).map(|(_, gap)| *gap).collect();
        let unpassed = gaps::unpassed(item, &gaps);
        if unpassed.seq != item.seq {
            let head = tx.entries_at(conversation, device, unpassed.seq)?;
            *item = FrontierItem { head: head.first().map(|stored| stored.entry.id), ..unpassed };
        }
    }
    Ok(frontier)
}

/// Passes over what is lost of a device, to what is held behind it.
pub fn pass_over(
    tx: &mut dyn LogTx,
    conversation: &ConversationId,
    device: &DeviceId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let item = frontier_of(tx, conversation, device)?;
    settle(tx, conversation, device, item, 0, now)
}

/// Moves what is held of a device forward by a new entry.
fn advance(tx: &mut dyn LogTx, header: &EntryHeader, now: Timestamp) -> Result<(), StoreError> {
    let EntryHeader { conversation, device, seq, .. } = header;
    let item = frontier_of(tx, conversation, device)?;
    settle(tx, conversation, device, item, *seq, now)
}

fn settle(
    tx: &mut dyn LogTx,
    conversation: &ConversationId,
    device: &DeviceId,
    mut item: FrontierItem,
    came: u64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let was_full = item.ranges.len() == FRONTIER_RANGES_MAX;
    let missing = gaps::of(tx, conversation, device)?;
    note_beyond(&mut item, came);
    climb(tx, conversation, device, &missing, &mut item)?;
    if was_full {
        note_left_out(tx, conversation, device, &mut item)?;
    }
    tx.put_frontier(conversation, device, &item)?;
    let after = gaps::followed(&missing, &item, came, now);
    gaps::keep(tx, conversation, device, &missing, &after)
}

/// Moves a frontier to the next number that is neither held nor lost.
fn climb(
    tx: &dyn LogTx,
    conversation: &ConversationId,
    device: &DeviceId,
    missing: &[Gap],
    item: &mut FrontierItem,
) -> Result<(), StoreError> {
    loop {
        let next = item.seq.saturating_add(1);
        // The store knows better than the ranges, which are bounded.
        if let Some(held) = tx.entries_at(conversation, device, next)?.first() {
            (item.seq, item.head) = (next, Some(held.entry.id));
        } else if let Some(gap) = missing.iter().find(|gap| gap.is_lost() && gap.from == next)
            && item.last() > gap.through
        {
            item.seq = gap.through;
        } else {
            break;
        }
    }
    item.ranges.retain(|range| range.through > item.seq);
    for range in &mut item.ranges {
        range.from = range.from.max(item.seq.saturating_add(1));
    }
    Ok(())
}

/// Notes what the ranges had no room for.
fn note_left_out(
    tx: &dyn LogTx,
    conversation: &ConversationId,
    device: &DeviceId,
    item: &mut FrontierItem,
) -> Result<(), StoreError> {
    while item.ranges.len() < FRONTIER_RANGES_MAX {
        let last = item.last();
        for stored in tx.entries_of(conversation, device, last.saturating_add(1), PAGE)? {
            note_beyond(item, stored.entry.header.seq);
        }
        if item.last() == last {
            break;
        }
    }
    Ok(())
}

/// Adds a number beyond a gap to the ranges; where they are full it is left out, and only acknowledged
/// when the gap closes.
fn note_beyond(item: &mut FrontierItem, seq: u64) {
    if seq <= item.seq.saturating_add(1) || item.covers(seq) {
        return;
    }
    let before = item.ranges.iter().position(|range| range.through == seq.saturating_sub(1));
    let after = item.ranges.iter().position(|range| Some(range.from) == seq.checked_add(1));
    match (before, after) {
        (Some(before), Some(after)) => {
            let through = item.ranges.get(after).map_or(seq, |range| range.through);
            item.ranges.remove(after);
            if let Some(range) = item.ranges.get_mut(before) {
                range.through = through;
            }
        }
        (Some(before), None) => {
            if let Some(range) = item.ranges.get_mut(before) {
                range.through = seq;
            }
        }
        (None, Some(after)) => {
            if let Some(range) = item.ranges.get_mut(after) {
                range.from = seq;
            }
        }
        (None, None) if item.ranges.len() < FRONTIER_RANGES_MAX => {
            let at = item.ranges.iter().position(|range| range.from > seq).unwrap_or(item.ranges.len());
            item.ranges.insert(at, SeqRange { from: seq, through: seq });
        }
        (None, None) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;
    use undertone_protocol::entry::EntryBody;
    use undertone_protocol::ids::{EntryId, Secret};
    use undertone_protocol::keys::DeviceKey;

    use super::*;
    use crate::store::{CutReason, MemoryStore, NodeStore};

    #[test]
    fn the_largest_number_is_noted() {
        let mut item = FrontierItem::default();
        for seq in [u64::MAX, u64::MAX - 1, u64::MAX - 3] {
            note_beyond(&mut item, seq);
        }
        let range = |from, through| SeqRange { from, through };
        assert_eq!(item.ranges, [range(u64::MAX - 3, u64::MAX - 3), range(u64::MAX - 1, u64::MAX)]);
    }

    #[test]
    fn a_cut_before_the_largest_number_comes_to_an_end() {
        let key = DeviceKey::from_seed(&Secret::new([3; 32]));
        let conversation = ConversationId::new([4; 32]);
        let body = EntryBody::text("the last of all", &mut ChaCha20Rng::seed_from_u64(5)).unwrap();
        let header = EntryHeader {
            conversation,
            device: key.device(),
            seq: u64::MAX,
            prev: Some(EntryId::new([6; 32])),
            heads: vec![],
            claimed: Timestamp::from_ms(7),
            membership_heads: vec![],
            body_hash: body.hash(),
            expires: None,
        };
        let entry = SignedEntry::issue(key.signing_key(), header, body);
        let (sender, done) = std::sync::mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let cut = Cut { through: 1, head: None, why: CutReason::Forked };
            let held = MemoryStore::default().transaction(|tx| {
                insert(tx, entry.clone(), Timestamp::from_ms(8))?;
                super::cut(tx, &conversation, &entry.header.device, cut)?;
                let stored = tx.entry(&entry.id)?.unwrap();
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
}
