use undertone_protocol::ids::{ConversationId, DeviceId, EntryId};
use undertone_protocol::log::OrderKey;
use undertone_protocol::time::Timestamp;

use super::tables::Tables;
use crate::store::StoredEntry;

impl Tables {
    pub(super) fn insert_or_move_entry(&mut self, stored: &StoredEntry) {
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
        if self.children_of(&id).next().is_none() {
            self.heads.put(place, ());
        }
        for parent in header.parents() {
            self.parents.put((parent, id), ());
            if let Some(held) = self.entries.get(&parent) {
                let place = self::place(held);
                self.heads.remove(&place);
            }
        }
        self.entries.put(id, stored);
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

    /// Whether it is not beyond a cut of its device.
    pub(super) fn counts(&self, stored: &StoredEntry) -> bool {
        let header = &stored.entry.header;
        let cut = self.cuts.get(&(header.conversation, header.device));
        cut.is_none_or(|cut| header.seq <= cut.through)
    }

    pub(super) fn children_of(&self, parent: &EntryId) -> impl Iterator<Item = EntryId> {
        let parent = *parent;
        let first = (parent, EntryId::new([0; EntryId::LEN]));
        self.parents.from(first, move |(of, _)| *of == parent).map(|((_, child), ())| *child)
    }

    /// The places in a conversation before `before`, the last one first.
    pub(super) fn places_back(
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
    pub(super) fn heads_back(&self, conversation: &ConversationId) -> impl Iterator<Item = EntryId> {
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
