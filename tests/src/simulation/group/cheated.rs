//! Where a member cheats: what the others must agree on all the same.

use std::collections::{BTreeMap, BTreeSet};

use super::super::failed::{Check, Failed};
use super::super::reference::{self, Id};
use super::super::world::World;
use super::found::Found;
use super::told::Told;

impl World {
    /// All who are in know the same fork of whoever cheats, so nothing beyond it counts anywhere; and the devices of one
    /// user hold the same of them.
    ///
    /// Whoever cheats may tell one device of a user that what comes first is not for it, and send it to another one.
    /// Of different users they need not hold the same: whoever cheats sends an entry to some members only, and what they
    /// still can send, nobody else hands on but for a gap, once a day ("History"). Two entries with one number of which one
    /// went to some and the other to others are found with what the device writes next, which names one of them.
    pub(super) fn agree_on_cheat(
        &mut self,
        all: &BTreeMap<usize, Found>,
        members: &BTreeMap<Id, u32>,
        told: &Told,
    ) -> Result<(), Failed> {
        let Some(cheat) = told.cheat else { return Ok(()) };
        self.report.cheated_groups += 1;
        let is_in = |index: &usize| {
            let node = self.nodes.get(*index).filter(|_| !self.revoked.contains(index));
            node.is_some_and(|node| members.contains_key(node.user.as_bytes()))
        };
        let all: Vec<(usize, &Found)> =
            all.iter().map(|(index, found)| (*index, found)).filter(|(index, _)| is_in(index)).collect();
        self.report.cheats_in +=
            u64::from(told.users.get(&cheat).is_some_and(|user| members.contains_key(user)));
        let ends: Vec<Option<u64>> =
            all.iter().map(|(_, found)| told.ends(&found.held).get(&cheat).copied()).collect();
        let least = ends.iter().flatten().min().copied();
        self.report.cheats_forked += u64::from(least.is_some() || told.membership.forks.contains_key(&cheat));
        let mut of_user: BTreeMap<Id, (usize, &Found, BTreeSet<Id>)> = BTreeMap::new();
        for ((index, found), end) in all.iter().zip(ends) {
            let Some(node) = self.nodes.get(*index) else { continue };
            let title = format!("{} {}", node.name, node.device.short());
            let through = end.unwrap_or(u64::MAX);
            let theirs = |id: &&Id| {
                told.entries.get(*id).is_some_and(|entry| entry.device == cheat && entry.seq <= through)
            };
            let held: BTreeSet<Id> = found.held.iter().filter(theirs).copied().collect();
            let last = held.iter().filter_map(|id| told.entries.get(id)).map(|entry| entry.seq).max();
            if least.is_some_and(|least| last.is_some_and(|last| last > least)) {
                let what = format!(
                    "{title}: knows of a fork at {end:?}, holds {last:?}, others know of one at {least:?}"
                );
                return Err(Failed::by(Check::Converged, what));
            }
            let (other, other_found, first) =
                of_user.entry(*node.user.as_bytes()).or_insert_with(|| (*index, *found, held.clone()));
            let lacking = first.difference(&held).filter(|id| lacks(found, &cheat, told, id));
            let other_lacks = held.difference(first).filter(|id| lacks(other_found, &cheat, told, id));
            let differ: Vec<String> = lacking.chain(other_lacks).map(reference::hex).collect();
            if !differ.is_empty() {
                let what = format!(
                    "{title}, node {index}: holds other entries of who cheats than node {other}: {differ:?}"
                );
                return Err(Failed::by(Check::Converged, what));
            }
        }
        Ok(())
    }
}

/// Whether a device that does not hold an entry of who cheats says so itself, and not that it was not for it.
fn lacks(found: &Found, cheat: &Id, told: &Told, id: &Id) -> bool {
    let claims = found.claims.get(cheat);
    told.entries.get(id).is_none_or(|entry| claims.is_none_or(|claims| !claims.covers(entry.seq)))
}
