use std::collections::BTreeMap;

use super::input::Input;
use crate::ids::{DeviceId, EntryId, OperationHash, UserId};

/// Stands for names by ids that compare as the names do, byte by byte: where the rules compare hashes, names are
/// compared.
pub(super) struct Names {
    by_name: BTreeMap<String, [u8; 32]>,
    by_id: BTreeMap<[u8; 32], String>,
}

impl Names {
    /// All names that stand in the input.
    pub(super) fn of(input: &Input) -> Self {
        let mut by_name: BTreeMap<String, [u8; 32]> =
            all(input).map(|name| (name.to_owned(), [0; 32])).collect();
        for (number, id) in (1_u64..).zip(by_name.values_mut()) {
            id.iter_mut().rev().zip(number.to_le_bytes()).for_each(|(to, from)| *to = from);
        }
        let by_id = by_name.iter().map(|(name, id)| (*id, name.clone())).collect();
        Self { by_name, by_id }
    }

    fn id(&self, name: &str) -> [u8; 32] {
        self.by_name.get(name).copied().unwrap_or_default()
    }

    fn name(&self, id: &[u8; 32]) -> String {
        self.by_id.get(id).cloned().unwrap_or_default()
    }

    pub(super) fn hash(&self, name: &str) -> OperationHash {
        OperationHash::new(self.id(name))
    }

    pub(super) fn user(&self, name: &str) -> UserId {
        UserId::new(self.id(name))
    }

    pub(super) fn device(&self, name: &str) -> DeviceId {
        DeviceId::new(self.id(name))
    }

    pub(super) fn entry(&self, name: &str) -> EntryId {
        EntryId::new(self.id(name))
    }

    pub(super) fn of_hash(&self, hash: &OperationHash) -> String {
        self.name(hash.as_bytes())
    }

    pub(super) fn of_user(&self, user: &UserId) -> String {
        self.name(user.as_bytes())
    }

    pub(super) fn of_device(&self, device: &DeviceId) -> String {
        self.name(device.as_bytes())
    }
}

fn all(input: &Input) -> impl Iterator<Item = &str> {
    let operations = input.operations.iter().flat_map(|operation| {
        let cuts = operation.cut.iter().flatten();
        let cuts = cuts.flat_map(|cut| {
            [Some(cut.device.as_str()), cut.operation.as_deref(), cut.entry.as_deref()].into_iter().flatten()
        });
        let optional = [&operation.user, &operation.successor, &operation.link].into_iter().flatten();
        let parents = operation.parents.iter().chain(optional).map(String::as_str);
        [operation.id.as_str(), &operation.author, operation.device()].into_iter().chain(parents).chain(cuts)
    });
    let entries = input.entries.iter().flat_map(|entry| {
        let others = entry.heads.iter().chain(&entry.parents).map(String::as_str);
        [entry.id.as_str(), &entry.author, entry.device()].into_iter().chain(others)
    });
    operations.chain(entries)
}
