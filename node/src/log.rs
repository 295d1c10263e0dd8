//! The log of a conversation in a store: entries are merged, put in order, and counted in frontiers
//! (spec: `log.md`).

use std::collections::BTreeSet;

use undertone_protocol::entry::{EntryHeader, SignedEntry};
use undertone_protocol::ids::{ConversationId, DeviceId, EntryId};
use undertone_protocol::limits::FRONTIER_RANGES_MAX;
use undertone_protocol::log::{FrontierItem, SeqRange, effective_time};
use undertone_protocol::time::Timestamp;

use crate::gaps;
use crate::store::{Cut, CutReason, Gap, LogTx, StoreError, StoredEntry};

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
    let known = tx.cut(conversation, device)?;
    if known.as_ref().is_some_and(|known| known.through < cut.through || *known == cut) {
        return Ok(());
    }
    // At one number a fork tells more: all have to know of it.
    if known.is_some_and(|known| known.through == cut.through && cut.why != CutReason::Forked) {
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

/// Whether an entry is not beyond a cut of its device, nor void.
pub fn counts(tx: &dyn LogTx, stored: &StoredEntry) -> Result<bool, StoreError> {
    let EntryHeader { conversation, device, seq, .. } = &stored.entry.header;
    Ok(tx.cut(conversation, device)?.is_none_or(|cut| *seq <= cut.through)
        && !tx.is_void(&stored.entry.id)?)
}

/// The cut of a device before a number that it used twice.
pub fn fork(
    tx: &dyn LogTx,
    conversation: &ConversationId,
    device: &DeviceId,
) -> Result<Option<Cut>, StoreError> {
    Ok(tx.cut(conversation, device)?.filter(|cut| cut.why == CutReason::Forked))
}

/// Notes whether an entry counts in its group. What stands on it may move.
pub fn set_void(tx: &mut dyn LogTx, stored: &StoredEntry, is_void: bool) -> Result<(), StoreError> {
    if tx.is_void(&stored.entry.id)? == is_void {
        return Ok(());
    }
    tx.put_void(&stored.entry.id, is_void)?;
    move_children(tx, stored)
}

/// What is held of a device, but for what is beyond its cut.
pub fn up_to(
    tx: &dyn LogTx,
    conversation: &ConversationId,
    device: &DeviceId,
    item: &FrontierItem,
    cut: &Cut,
) -> Result<FrontierItem, StoreError> {
    let mut item = item.clone();
    if item.seq > cut.through {
        // What a second entry says of those before it need not be so.
        let here = tx.entries_at(conversation, device, cut.through)?;
        item.head = here.first().map(|stored| stored.entry.id);
        item.seq = if item.head.is_some() { cut.through } else { 0 };
    }
    item.ends.clear();
    item.ranges.retain(|range| range.from <= cut.through);
    for range in &mut item.ranges {
        range.through = range.through.min(cut.through);
    }
    Ok(item)
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
            && parent.entry.header.conversation == entry.header.conversation
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
        // Of a device that begins later ([`begin_at`]) no entry goes with the number before its first one.
        if item.head.is_none() {
            item.seq = 0;
        }
        item.ends = ends_of(tx, conversation, device, &item.ranges)?;
    }
    frontier.retain(|(_, item)| *item != FrontierItem::default());
    Ok(frontier)
}

/// The entries with which ranges end; nothing, where of one that is not known.
fn ends_of(
    tx: &dyn LogTx,
    conversation: &ConversationId,
    device: &DeviceId,
    ranges: &[SeqRange],
) -> Result<Vec<EntryId>, StoreError> {
    let mut ends = Vec::with_capacity(ranges.len());
    for range in ranges {
        let held = tx.entries_at(conversation, device, range.through)?;
        ends.extend(held.first().map(|stored| stored.entry.id));
    }
    Ok(if ends.len() == ranges.len() { ends } else { Vec::new() })
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

/// Of a device whose first entry is not held: what it wrote before a number is not for this one, so it is not missing.
/// Later words change nothing, or it could hide what it kept from this one.
pub fn begin_at(
    tx: &mut dyn LogTx,
    conversation: &ConversationId,
    device: &DeviceId,
    seq: u64,
) -> Result<(), StoreError> {
    let mut item = frontier_of(tx, conversation, device)?;
    let before = seq.saturating_sub(1);
    if item.seq > 0 || before == 0 {
        return Ok(());
    }
    item.seq = before;
    item.head = tx.entries_at(conversation, device, before)?.first().map(|held| held.entry.id);
    let missing = gaps::of(tx, conversation, device)?;
    let for_this_one = missing.iter().filter(|gap| gap.through >= seq);
    let after: Vec<Gap> = for_this_one.map(|gap| Gap { from: gap.from.max(seq), ..*gap }).collect();
    climb(tx, conversation, device, &after, &mut item)?;
    tx.put_frontier(conversation, device, &item)?;
    gaps::keep(tx, conversation, device, &missing, &after)
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
    // Behind the largest number that there is comes nothing.
    while let Some(next) = item.seq.checked_add(1) {
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
mod tests;
