//! Rule 15: which entries of a group's log count.

use super::engine::{Resolver, UnknownHead};
use crate::ids::{DeviceId, EntryId, OperationHash, UserId};
use crate::membership::action::Action;

/// What an entry says of its place in the group.
#[derive(Debug, Clone, Copy)]
pub struct EntryPlace<'a> {
    /// Whose device wrote it.
    pub user: UserId,
    /// Which.
    pub device: DeviceId,
    /// Its membership heads.
    pub heads: &'a [OperationHash],
}

/// Whether an entry counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryVerdict {
    /// It does.
    Counts,
    /// Its author was not in, as they knew themselves.
    NotIn,
    /// The device had been revoked, as its author knew, or is now, and the entry is outside a cut.
    DeviceRevoked,
    /// Its author was removed, and the entry is outside every cut.
    Removed,
    /// One of its heads is of a device of which the author knew that it had signed two operations with one number.
    ForkedHead,
}

impl Resolver {
    /// Whether an entry counts, by all operations that are held. `is_below` says whether the entry is this one, or
    /// an ancestor of it.
    pub fn entry_counts(
        &mut self,
        place: EntryPlace<'_>,
        is_below: impl Fn(&EntryId) -> bool,
    ) -> Result<EntryVerdict, UnknownHead> {
        let view = self.view_at(place.heads)?;
        if !view.is_in(&place.user) {
            return Ok(EntryVerdict::NotIn);
        }
        if !view.is_active(&place.user, &place.device) || self.beyond_revocation(&place, &is_below) {
            return Ok(EntryVerdict::DeviceRevoked);
        }
        let removals = self.cuts_unknown_to(&place)?;
        let spared = removals.is_empty() || removals.iter().flatten().any(is_below);
        Ok(if spared { EntryVerdict::Counts } else { EntryVerdict::Removed })
    }

    /// Several revocations intersect.
    fn beyond_revocation(&self, place: &EntryPlace<'_>, is_below: impl Fn(&EntryId) -> bool) -> bool {
        let Some(device) = self.graph.device(&place.user, &place.device) else { return false };
        let counting = self.graph.device_revokes(device).iter().filter(|at| self.current.counts(**at));
        let mut cuts = counting.filter_map(|at| match &self.graph.node(*at).action {
            Some(Action::DeviceRevoke(revoke)) => Some(revoke.fields.cut.map(|(_, head)| head)),
            _ => None,
        });
        cuts.any(|head| !head.is_some_and(|head| is_below(&head)))
    }

    /// Of each counting Remove of the author that the entry did not know: the last entry of the device that counts.
    fn cuts_unknown_to(&self, place: &EntryPlace<'_>) -> Result<Vec<Option<EntryId>>, UnknownHead> {
        let find = |head: &OperationHash| self.graph.find(head).ok_or(UnknownHead(*head));
        let heads: Vec<usize> = place.heads.iter().map(find).collect::<Result<_, _>>()?;
        let known = self.graph.past_of(&heads);
        let Some(user) = self.graph.user(&place.user) else { return Ok(Vec::new()) };
        let removals = self.graph.person(user).removals.iter();
        let unknown = removals.filter(|at| self.current.counts(**at) && !known.contains(**at));
        let cut = |at: &usize| match &self.graph.node(*at).action {
            Some(Action::Remove { cut, .. }) => {
                Some(cut.as_ref().and_then(|cut| cut.devices.get(&place.device)?.entry))
            }
            _ => None,
        };
        Ok(unknown.filter_map(cut).collect())
    }
}
