use std::collections::{BTreeMap, BTreeSet};

use super::super::reference::{self, Entry, Id};
use super::operations::Membership;

/// What was ever said in the group, with the rules to judge it by.
pub(super) struct Told {
    pub(super) membership: Membership,
    pub(super) entries: BTreeMap<Id, Entry>,
    pub(super) users: BTreeMap<Id, Id>,
    /// Who was ever put out, or left.
    pub(super) out: BTreeSet<Id>,
    /// The device that cheats.
    pub(super) cheat: Option<Id>,
    /// What some device of a member holds that is not lost.
    pub(super) there: BTreeSet<Id>,
    /// The latest that a clock of any device shows, or may have shown.
    pub(super) latest_ms: u64,
    /// Texts that were dropped by what does not count any more, or because they are over.
    pub(super) gone: BTreeSet<String>,
}

impl Told {
    /// Entries that count, for whoever holds these.
    pub(super) fn counting(&mut self, there: &BTreeSet<Id>) -> Result<BTreeMap<Id, Entry>, String> {
        let mut counting = BTreeMap::new();
        let ends = self.ends(there);
        for (id, entry) in &self.entries {
            if ends.get(&entry.device).is_some_and(|end| entry.seq > *end) {
                continue;
            }
            let Some(user) = self.users.get(&entry.device) else { continue };
            let of_device = self.entries.iter().filter(|(_, other)| other.device == entry.device);
            let of_device = of_device.filter(|(id, _)| there.contains(*id));
            let not_before = of_device.filter(|(_, other)| other.seq >= entry.seq);
            let not_before: Vec<Id> = not_before.map(|(id, _)| *id).collect();
            if self.membership.counts(user, &entry.device, &entry.membership_heads, &not_before)? {
                counting.insert(*id, entry.clone());
            }
        }
        Ok(counting)
    }

    /// Where devices forked, by these entries alone.
    pub(super) fn ends(&self, there: &BTreeSet<Id>) -> BTreeMap<Id, u64> {
        let held = self.entries.iter().filter(|(id, _)| there.contains(*id));
        reference::forked(&held.map(|(id, entry)| (*id, entry.clone())).collect())
    }

    /// The operations, and the entries that a device holds, for the report of a failure.
    pub(super) fn described(&mut self, held: &BTreeSet<Id>, counting: &BTreeMap<Id, Entry>) -> String {
        let mut lines = vec![self.membership.described()];
        for (id, entry) in self.entries.iter().filter(|(id, _)| held.contains(*id)) {
            let user = self.users.get(&entry.device).map(reference::hex).unwrap_or_default();
            let heads = self.membership.called(&entry.membership_heads);
            let (counts, seq) = (counting.contains_key(id), entry.seq);
            lines.push(format!("{} {user} {seq} at {heads}, counts: {counts}", reference::hex(id)));
        }
        lines.join("\n")
    }

    /// Those that were written by who was an admin, as they knew.
    pub(super) fn of_admins(&mut self, entries: &BTreeMap<Id, Entry>) -> Result<BTreeSet<Id>, String> {
        let mut admins = BTreeSet::new();
        for (id, entry) in entries {
            let roles = self.membership.members_at(&entry.membership_heads)?;
            let role = self.users.get(&entry.device).and_then(|user| roles.get(user));
            if role.is_some_and(|role| *role <= 1) {
                admins.insert(*id);
            }
        }
        Ok(admins)
    }
}
