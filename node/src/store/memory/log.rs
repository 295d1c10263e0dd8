use std::collections::BTreeMap;

use undertone_protocol::entry::ActKind;
use undertone_protocol::ids::{ConversationId, DeviceId, EntryId};
use undertone_protocol::log::{FrontierItem, OrderKey};
use undertone_protocol::time::Timestamp;

use super::tables::Tables;
use crate::store::records::{expiry, said};
use crate::store::{Cut, Gap, LogTx, StoreError, StoredEntry};

impl LogTx for Tables {
    fn entry(&self, id: &EntryId) -> Result<Option<StoredEntry>, StoreError> {
        Ok(self.entries.get(id).cloned())
    }

    fn entries_at(
        &self,
        conversation: &ConversationId,
        device: &DeviceId,
        seq: u64,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let first = (*conversation, *device, seq, EntryId::new([0; 32]));
        let rows =
            self.entries_by_seq.from(first, move |(c, d, s, _)| (*c, *d, *s) == (first.0, first.1, seq));
        Ok(rows.filter_map(|((.., id), ())| self.entries.get(id).cloned()).collect())
    }

    fn entries_of(
        &self,
        conversation: &ConversationId,
        device: &DeviceId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let first = (*conversation, *device, from, EntryId::new([0; 32]));
        let rows = self.entries_by_seq.from(first, move |(c, d, ..)| (*c, *d) == (first.0, first.1));
        Ok(rows.take(limit).filter_map(|((.., id), ())| self.entries.get(id).cloned()).collect())
    }

    fn put_entry(&mut self, entry: &StoredEntry) -> Result<(), StoreError> {
        self.insert_or_move_entry(entry);
        Ok(())
    }

    fn drop_body(&mut self, entry: &EntryId) -> Result<(), StoreError> {
        let Some(stored) = self.entries.get(entry).cloned() else { return Ok(()) };
        self.set_expiry(entry, None);
        self.entries.put(*entry, StoredEntry { entry: stored.entry.without_body(), ..stored });
        Ok(())
    }

    fn put_expiry(&mut self, entry: &EntryId, at: Option<Timestamp>) -> Result<(), StoreError> {
        if self.entries.get(entry).is_some_and(|stored| !stored.entry.body.is_gone()) {
            self.set_expiry(entry, at);
        }
        Ok(())
    }

    fn expired(&self, moment: Timestamp, limit: usize) -> Result<Vec<EntryId>, StoreError> {
        let first = (Timestamp::ZERO, EntryId::new([0; EntryId::LEN]));
        let rows = self.expiring.from(first, move |(at, _)| *at <= moment);
        Ok(rows.take(limit).map(|((_, id), ())| *id).collect())
    }

    fn next_expiry(&self) -> Result<Option<Timestamp>, StoreError> {
        let first = (Timestamp::ZERO, EntryId::new([0; EntryId::LEN]));
        Ok(self.expiring.from(first, |_| true).next().map(|((at, _), ())| *at))
    }

    fn children(&self, parent: &EntryId) -> Result<Vec<EntryId>, StoreError> {
        Ok(self.children_of(parent).collect())
    }

    fn heads(&self, conversation: &ConversationId, limit: usize) -> Result<Vec<EntryId>, StoreError> {
        Ok(self.heads_back(conversation).take(limit).collect())
    }

    fn history(
        &self,
        conversation: &ConversationId,
        before: Option<&OrderKey>,
        limit: usize,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let places = self.places_back(conversation, before);
        let entries = places.filter_map(|place| self.entries.get(&place.entry));
        let mut entries: Vec<_> =
            entries.filter(|stored| !self.is_cut_off(stored)).take(limit).cloned().collect();
        entries.reverse();
        Ok(entries)
    }

    fn entries_within(
        &self,
        conversation: &ConversationId,
        first: &EntryId,
        last: &EntryId,
        limit: usize,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let rows = self.entries.from(*first, |id| id <= last).map(|(_, stored)| stored);
        let rows = rows.filter(|stored| stored.entry.header.conversation == *conversation);
        Ok(rows.take(limit).cloned().collect())
    }

    fn annotations(
        &self,
        conversation: &ConversationId,
        target: &EntryId,
        limit: usize,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let counting = self.annotations_of(conversation, target).filter(|(kind, _)| kind.is_some());
        let mut of: BTreeMap<_, StoredEntry> = BTreeMap::new();
        for (kind, stored) in counting {
            let which = (kind, stored.entry.header.device);
            // By number: of deletions the first counts, else the last.
            if kind != Some(ActKind::Delete) || !of.contains_key(&which) {
                of.insert(which, stored.clone());
            }
        }
        Ok(of.into_values().take(limit).collect())
    }

    fn edits(
        &self,
        conversation: &ConversationId,
        target: &EntryId,
        limit: usize,
    ) -> Result<Vec<EntryId>, StoreError> {
        let (device, none) = (DeviceId::new([0; DeviceId::LEN]), EntryId::new([0; EntryId::LEN]));
        let first = (*conversation, *target, Some(ActKind::Edit), device, 0, none);
        let rows = self
            .annotations
            .from(first, move |(c, t, kind, ..)| (*c, *t, *kind) == (first.0, first.1, first.2));
        Ok(rows.take(limit).map(|((.., id), ())| *id).collect())
    }

    fn is_hidden(&self, conversation: &ConversationId, target: &EntryId) -> Result<bool, StoreError> {
        Ok(self.annotations_of(conversation, target).any(|(kind, _)| kind.is_none()))
    }

    fn frontier(&self, conversation: &ConversationId) -> Result<Vec<(DeviceId, FrontierItem)>, StoreError> {
        let first = (*conversation, DeviceId::new([0; 32]));
        let rows = self.frontiers.from(first, move |(of, _)| *of == first.0);
        Ok(rows.map(|((_, device), item)| (*device, item.clone())).collect())
    }

    fn put_frontier(
        &mut self,
        conversation: &ConversationId,
        device: &DeviceId,
        item: &FrontierItem,
    ) -> Result<(), StoreError> {
        self.frontiers.put((*conversation, *device), item.clone());
        Ok(())
    }

    fn gaps(&self, conversation: &ConversationId) -> Result<Vec<(DeviceId, Gap)>, StoreError> {
        let first = (*conversation, DeviceId::new([0; 32]), 0);
        let rows = self.gaps.from(first, move |(of, ..)| *of == first.0);
        Ok(rows.map(|((_, device, _), gap)| (*device, *gap)).collect())
    }

    fn put_gap(
        &mut self,
        conversation: &ConversationId,
        device: &DeviceId,
        gap: &Gap,
    ) -> Result<(), StoreError> {
        self.gaps.put((*conversation, *device, gap.from), *gap);
        Ok(())
    }

    fn delete_gap(
        &mut self,
        conversation: &ConversationId,
        device: &DeviceId,
        from: u64,
    ) -> Result<(), StoreError> {
        self.gaps.remove(&(*conversation, *device, from));
        Ok(())
    }

    fn cut(&self, conversation: &ConversationId, device: &DeviceId) -> Result<Option<Cut>, StoreError> {
        Ok(self.cuts.get(&(*conversation, *device)).cloned())
    }

    fn put_cut(
        &mut self,
        conversation: &ConversationId,
        device: &DeviceId,
        cut: &Cut,
    ) -> Result<(), StoreError> {
        self.cuts.put((*conversation, *device), cut.clone());
        Ok(())
    }

    fn cuts(&self, conversation: &ConversationId) -> Result<Vec<(DeviceId, Cut)>, StoreError> {
        let first = (*conversation, DeviceId::new([0; 32]));
        let rows = self.cuts.from(first, move |(of, _)| *of == first.0);
        Ok(rows.map(|((_, device), cut)| (*device, cut.clone())).collect())
    }

    fn is_void(&self, entry: &EntryId) -> Result<bool, StoreError> {
        Ok(self.voids.contains(entry))
    }

    fn put_void(&mut self, entry: &EntryId, is_void: bool) -> Result<(), StoreError> {
        if is_void {
            self.voids.put(*entry, ());
        } else {
            self.voids.remove(entry);
        }
        Ok(())
    }
}

impl Tables {
    fn insert_or_move_entry(&mut self, stored: &StoredEntry) {
        let id = stored.entry.id;
        match self.entries.get(&id).cloned() {
            None => self.insert_entry(stored.clone()),
            Some(held) => self.move_entry(held, stored.effective, stored.received),
        }
    }

    fn insert_entry(&mut self, stored: StoredEntry) {
        let header = &stored.entry.header;
        let id = stored.entry.id;
        let place = place(&stored);
        self.entries_in_order.put(place, ());
        self.entries_by_seq.put((header.conversation, header.device, header.seq, id), ());
        let is_here = |entry: &StoredEntry| entry.entry.header.conversation == header.conversation;
        if !self.children_of(&id).any(|child| self.entries.get(&child).is_some_and(is_here)) {
            self.heads.put(place, ());
        }
        for parent in header.parents() {
            self.parents.put((parent, id), ());
            if let Some(held) = self.entries.get(&parent).filter(|held| is_here(held)) {
                let place = self::place(held);
                self.heads.remove(&place);
            }
        }
        for (target, kind) in said(&stored.entry.body.content) {
            self.annotations.put((header.conversation, target, kind, header.device, header.seq, id), ());
        }
        self.set_expiry(&id, expiry(&stored.entry));
        self.entries.put(id, stored);
    }

    fn set_expiry(&mut self, entry: &EntryId, at: Option<Timestamp>) {
        if let Some(before) = self.expiries.get(entry).copied() {
            self.expiring.remove(&(before, *entry));
            self.expiries.remove(entry);
        }
        if let Some(at) = at {
            self.expiring.put((at, *entry), ());
            self.expiries.put(*entry, at);
        }
    }

    fn move_entry(&mut self, held: StoredEntry, effective: Timestamp, received: Timestamp) {
        let before = place(&held);
        let moved = StoredEntry { effective, received, ..held };
        let after = place(&moved);
        self.entries_in_order.remove(&before);
        self.entries_in_order.put(after, ());
        if self.heads.contains(&before) {
            self.heads.remove(&before);
            self.heads.put(after, ());
        }
        self.entries.put(moved.entry.id, moved);
    }

    fn children_of(&self, parent: &EntryId) -> impl Iterator<Item = EntryId> {
        let parent = *parent;
        let first = (parent, EntryId::new([0; EntryId::LEN]));
        self.parents.from(first, move |(of, _)| *of == parent).map(|((_, child), ())| *child)
    }

    /// What entries of a conversation that count say of another one, by act, device, number and id.
    fn annotations_of(
        &self,
        conversation: &ConversationId,
        target: &EntryId,
    ) -> impl Iterator<Item = (Option<ActKind>, &StoredEntry)> {
        let (conversation, target) = (*conversation, *target);
        let nothing = (DeviceId::new([0; DeviceId::LEN]), 0, EntryId::new([0; EntryId::LEN]));
        let first = (conversation, target, None, nothing.0, nothing.1, nothing.2);
        let rows = self.annotations.from(first, move |(c, t, ..)| (*c, *t) == (conversation, target));
        let rows = rows.filter_map(|((_, _, kind, .., entry), ())| Some((*kind, self.entries.get(entry)?)));
        rows.filter(|(_, stored)| !self.is_cut_off(stored))
    }

    fn is_cut_off(&self, stored: &StoredEntry) -> bool {
        let header = &stored.entry.header;
        let cut = self.cuts.get(&(header.conversation, header.device));
        cut.is_some_and(|cut| header.seq > cut.through) || self.voids.contains(&stored.entry.id)
    }

    /// The places in a conversation before `before`, the last one first.
    fn places_back(
        &self,
        conversation: &ConversationId,
        before: Option<&OrderKey>,
    ) -> impl Iterator<Item = &OrderKey> {
        let first = (*conversation, FIRST);
        let places = match before {
            Some(before) => self.entries_in_order.before(first, (*conversation, *before)),
            None => self.entries_in_order.through(first, (*conversation, LAST)),
        };
        places.rev().map(|((_, place), ())| place)
    }

    /// The heads of a conversation, the last one first.
    fn heads_back(&self, conversation: &ConversationId) -> impl Iterator<Item = EntryId> {
        let bounds = ((*conversation, FIRST), (*conversation, LAST));
        self.heads.through(bounds.0, bounds.1).rev().map(|((_, place), ())| place.entry)
    }
}

const FIRST: OrderKey = OrderKey {
    effective: Timestamp::ZERO,
    device: DeviceId::new([0; DeviceId::LEN]),
    entry: EntryId::new([0; EntryId::LEN]),
};
const LAST: OrderKey = OrderKey {
    effective: Timestamp::from_ms(u64::MAX),
    device: DeviceId::new([u8::MAX; DeviceId::LEN]),
    entry: EntryId::new([u8::MAX; EntryId::LEN]),
};

fn place(stored: &StoredEntry) -> (ConversationId, OrderKey) {
    let header = &stored.entry.header;
    let key = OrderKey { effective: stored.effective, device: header.device, entry: stored.entry.id };
    (header.conversation, key)
}
