//! What is left out since its device forked ("Forks" in `spec/groups.md`), found anew from signed bytes.

use std::collections::{BTreeMap, BTreeSet};

use super::super::reference::Id;

/// An operation, as far as it matters where it stands.
pub(super) struct Stands {
    pub(super) device: Id,
    pub(super) number: u32,
    pub(super) parents: Vec<Id>,
}

/// Of these operations, by hash, those that are anchored; `forks` is the least number of each device that forked.
pub(super) fn anchored(operations: &BTreeMap<Id, Stands>, forks: &BTreeMap<Id, u32>) -> BTreeSet<Id> {
    let by_itself = |stands: &Stands| {
        stands.parents.is_empty() || forks.get(&stands.device).is_none_or(|fork| stands.number < *fork)
    };
    let mut open: Vec<Id> =
        operations.iter().filter(|(_, stands)| by_itself(stands)).map(|(hash, _)| *hash).collect();
    let mut anchored = BTreeSet::new();
    while let Some(hash) = open.pop() {
        if anchored.insert(hash) {
            open.extend(operations.get(&hash).into_iter().flat_map(|stands| &stands.parents));
        }
    }
    anchored
}

/// Where each device forks, by all pairs of operations of one device with one number.
pub(super) fn forks<'a>(operations: impl Iterator<Item = (&'a [u8], Id, u32)>) -> BTreeMap<Id, u32> {
    let mut given: BTreeMap<(Id, u32), BTreeSet<&[u8]>> = BTreeMap::new();
    for (bytes, device, number) in operations {
        given.entry((device, number)).or_default().insert(bytes);
    }
    let mut forks = BTreeMap::new();
    for ((device, number), _) in given.into_iter().filter(|(_, bytes)| bytes.len() > 1) {
        // Numbers ascend.
        forks.entry(device).or_insert(number);
    }
    forks
}
