use std::collections::BTreeMap;

use crate::entry::EntryHeader;
use crate::ids::EntryId;
use crate::log::{OrderKey, effective_time};
use crate::time::Timestamp;

/// A log as a replica keeps it: whatever comes is put in its place at once, and what stands on it moves.
#[derive(Default)]
pub(super) struct Replica {
    entries: BTreeMap<EntryId, (EntryHeader, Timestamp)>,
}

impl Replica {
    pub(super) fn insert(&mut self, id: EntryId, header: EntryHeader) {
        let effective = self.effective(&header);
        self.entries.insert(id, (header, effective));
        let mut moved = vec![id];
        while let Some(parent) = moved.pop() {
            for child in self.children(&parent) {
                let effective = self.effective(&self.entries[&child].0);
                let (_, known) = self.entries.get_mut(&child).unwrap();
                if effective != *known {
                    *known = effective;
                    moved.push(child);
                }
            }
        }
    }

    /// The keys in the order in which the entries are shown.
    pub(super) fn order(&self) -> Vec<OrderKey> {
        let mut keys: Vec<OrderKey> = self
            .entries
            .iter()
            .map(|(id, (header, effective))| OrderKey {
                effective: *effective,
                device: header.device,
                entry: *id,
            })
            .collect();
        keys.sort();
        keys
    }

    pub(super) fn key(&self, id: &EntryId) -> OrderKey {
        let (header, effective) = &self.entries[id];
        OrderKey { effective: *effective, device: header.device, entry: *id }
    }

    fn effective(&self, header: &EntryHeader) -> Timestamp {
        let parents = header.parents().filter_map(|parent| self.entries.get(&parent));
        effective_time(header.claimed, parents.map(|(_, effective)| *effective).max())
    }

    fn children(&self, parent: &EntryId) -> Vec<EntryId> {
        let is_child = |header: &EntryHeader| header.parents().any(|other| other == *parent);
        self.entries.iter().filter(|(_, (header, _))| is_child(header)).map(|(id, _)| *id).collect()
    }
}
