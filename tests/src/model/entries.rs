//! Rule 15: which entries of the log count.

use std::collections::{BTreeMap, BTreeSet};

use super::op::{Device, EntryId, Group, Kind, Op, OpId, User, cut};
use super::resolver::Model;

/// An entry of the group's log, as far as membership goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub id: EntryId,
    /// The user whose device signed it.
    pub author: User,
    /// The device that signed it.
    pub device: Device,
    /// The entries that it names as parents.
    pub parents: Vec<EntryId>,
    /// Membership heads: the operations that its author knew.
    pub heads: Vec<OpId>,
}

/// Which of these entries count, once all these operations are known.
pub fn entries_count(group: Group, ops: &[Op], entries: &[Entry]) -> BTreeMap<EntryId, bool> {
    let model = Model::of(group, ops);
    let log: BTreeMap<EntryId, &Entry> = entries.iter().map(|entry| (entry.id, entry)).collect();
    entries.iter().map(|entry| (entry.id, entry_counts(&model, &log, entry))).collect()
}

/// Rule 15. Heads that are not held: not yet. A device that its heads show as revoked is as if its author were out.
pub fn entry_counts(model: &Model, log: &BTreeMap<EntryId, &Entry>, entry: &Entry) -> bool {
    let Some(known) = model.closure(&entry.heads) else { return false };
    if !model.view(&known).admits(entry.author, entry.device) {
        return false;
    }
    let counts = &model.view(&model.all()).counts;
    let news = counts.iter().filter(|(id, result)| result.is_ok() && !known.contains(id));
    let news: Vec<&Op> = news.filter_map(|(id, _)| model.op(*id)).collect();
    let within = |op: &&Op| is_within_cut(log, op, entry);
    let mut removes = news.iter().copied().filter(|op| removes(op, entry.author)).peekable();
    let mut revokes = news.iter().copied().filter(|op| revokes(op, entry.author, entry.device));
    (removes.peek().is_none() || removes.any(|op| within(&op))) && revokes.all(|op| within(&op))
}

fn removes(op: &Op, author: User) -> bool {
    matches!(op.kind, Kind::Remove { user, .. } if user == author)
}

fn revokes(op: &Op, author: User, of: Device) -> bool {
    matches!(op.kind, Kind::DeviceRevoke { user, device, .. } if user == author && device == of)
}

/// Whether an entry is the one that the cut names of its device, or in the past of that one. No cut: no entry is.
fn is_within_cut(log: &BTreeMap<EntryId, &Entry>, op: &Op, entry: &Entry) -> bool {
    let head = cut(op).get(&entry.device).and_then(|(_, head)| *head);
    head.is_some_and(|head| upto(log, head).contains(&entry.id))
}

/// An entry with all its past, as far as it is held.
pub(super) fn upto(log: &BTreeMap<EntryId, &Entry>, head: EntryId) -> BTreeSet<EntryId> {
    let (mut found, mut next) = (BTreeSet::new(), vec![head]);
    while let Some(id) = next.pop() {
        if let Some(entry) = log.get(&id)
            && found.insert(id)
        {
            next.extend(&entry.parents);
        }
    }
    found
}
