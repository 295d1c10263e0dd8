//! What is named by who writes: as parents of an operation, as membership heads of an entry (`spec/groups.md`, "Forks").

use super::super::bits::Bits;
use super::super::engine::Verdict;
use super::Anchored;
use crate::ids::{DeviceId, OperationHash, UserId};
use crate::limits::{MEMBERSHIP_HEADS_MAX, OPERATION_PARENTS_MAX, OPERATIONS_PER_DEVICE_MAX};

impl Anchored {
    /// What an entry of a user is to name as membership heads, ascending: at most [`MEMBERSHIP_HEADS_MAX`].
    pub fn heads_for(&self, user: &UserId) -> Vec<OperationHash> {
        self.named(None, user, MEMBERSHIP_HEADS_MAX)
    }

    /// What an operation of a user's device is to name as parents, ascending: at most [`OPERATION_PARENTS_MAX`]; and its
    /// number. `None`: the device has forked, or may write no more.
    pub fn place_for(&self, user: &UserId, device: &DeviceId) -> Option<(Vec<OperationHash>, u32)> {
        let written = self.numbers.get(device).map(|device| self.devices.get(*device));
        if written.is_some_and(|written| written.fork.is_some()) {
            return None;
        }
        let number = written.map_or(0, |written| written.slots.len());
        let last = written.and_then(|written| written.slots.last()).map(|slot| slot.first);
        let parents = self.named(last, user, OPERATION_PARENTS_MAX);
        let number = u32::try_from(number).ok().filter(|_| number < OPERATIONS_PER_DEVICE_MAX)?;
        Some((parents, number)).filter(|(parents, _)| !parents.is_empty())
    }

    /// The heads. Where they are more than `max`, only the last of those that count: their view is the same, and what
    /// does not count anybody may sign. Of these, where they are still more, first the one that stands on `last`, then
    /// one by which the user is in.
    fn named(&self, last: Option<usize>, user: &UserId, max: usize) -> Vec<OperationHash> {
        let heads = self.heads();
        if heads.len() <= max {
            return heads;
        }
        let member = self.resolver.current_view().members.get(user).copied();
        let grant = member.and_then(|member| self.resolver.graph.find(&member.grant));
        let mut tops = self.counting_tops();
        if let Some(last) = last.filter(|last| !tops.iter().any(|top| self.is_over(*top, *last))) {
            tops.retain(|top| !self.is_over(last, *top));
            tops.push(last);
        }
        let covers = |top: usize, at: Option<usize>| at.is_some_and(|at| self.is_over(top, at));
        tops.sort_by_key(|top| {
            let hash = self.resolver.graph.node(*top).hash;
            (!covers(*top, last), !covers(*top, grant), hash)
        });
        tops.truncate(max);
        let mut named: Vec<_> =
            tops.into_iter().filter_map(|top| self.resolver.graph.node(top).hash).collect();
        named.sort_unstable();
        named
    }

    /// The anchored operations that count and that no other one stands on that counts.
    fn counting_tops(&self) -> Vec<usize> {
        let mut tops = Vec::new();
        let mut below = Bits::default();
        // What stands on others comes after them.
        for at in (0..self.rows.len()).rev().filter(|at| self.anchored.contains(*at)) {
            let is_top = !below.contains(at) && self.counts(at);
            if is_top {
                tops.push(at);
            }
            if is_top || below.contains(at) {
                self.rows.get(at).parents.iter().for_each(|parent| below.set(*parent, true));
            }
        }
        tops
    }

    fn counts(&self, at: usize) -> bool {
        let hash = self.resolver.graph.node(at).hash;
        hash.and_then(|hash| self.resolver.verdict(&hash)) == Some(Verdict::Counts)
    }

    /// Whether one is, or stands on, another one.
    fn is_over(&self, one: usize, other: usize) -> bool {
        one == other || self.resolver.graph.node(one).past.contains(other)
    }
}
