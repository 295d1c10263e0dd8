use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::bits::{Bits, Past};
use super::engine::{Forbidden, PlaceError, Placed, Resolver, UnknownHead, Verdict};
use super::entries::{EntryPlace, EntryVerdict};
use super::table::Table;
use super::view::View;
use crate::ids::{DeviceId, EntryId, OperationHash, UserId};
use crate::limits::OPERATIONS_PER_DEVICE_MAX;
use crate::membership::action::Action;

mod tops;

/// The resolver of a set in which devices may have forked: signed two operations with one number. The view is of
/// what is *anchored* alone: Create, each operation whose number is below that of its device's fork, and all that
/// these stand on (`spec/groups.md`, "Forks").
///
/// So what is anchored is closed under parents by how it is made. A fork's number only ever goes down, and what else
/// comes only adds: what is anchored follows from the operations and the forks, whatever way they came.
#[derive(Debug, Clone, Default)]
pub struct Anchored {
    resolver: Resolver,
    rows: Table<Row>,
    devices: Table<Written>,
    numbers: BTreeMap<DeviceId, usize>,
    anchored: Bits,
}

#[derive(Debug, Clone, Default)]
struct Row {
    device: usize,
    number: usize,
    parents: Vec<usize>,
}

/// What one device wrote.
#[derive(Debug, Clone, Default)]
struct Written {
    /// By number. None is passed over: an operation stands on those before it.
    slots: Vec<Slot>,
    /// Slots with more than one operation.
    forked_slots: usize,
    /// The least number that it is known to have given twice.
    fork: Option<usize>,
}

/// The operations of a device with one number: rows.
#[derive(Debug, Clone)]
struct Slot {
    first: usize,
    others: Vec<usize>,
}

impl Slot {
    fn count_in(&self, past: &Past) -> usize {
        let all = std::iter::once(&self.first).chain(&self.others);
        all.filter(|at| past.contains(**at)).count()
    }
}

impl Written {
    /// How many operations of the device a past holds; `None` if two of them have one number.
    fn count_in(&self, past: &Past) -> Option<usize> {
        if self.forked_slots == 0 {
            // Each stands on the one before. Mostly the past has them all.
            let has_all = self.slots.last().is_none_or(|slot| past.contains(slot.first));
            let count = || self.slots.partition_point(|slot| past.contains(slot.first));
            return Some(if has_all { self.slots.len() } else { count() });
        }
        let mut count = 0;
        for slot in &self.slots {
            match slot.count_in(past) {
                0 => break,
                1 => count += 1,
                _ => return None,
            }
        }
        Some(count)
    }
}

impl Anchored {
    /// Takes an operation in, and gives those that are anchored since: none, or it, or it and others that were in
    /// already. Without a number it has the right one. An error leaves everything as it was.
    pub fn place(&mut self, placed: Placed, number: Option<u32>) -> Result<Vec<OperationHash>, PlaceError> {
        self.take(placed, number, |_, _, _, _| Ok(()))
    }

    /// The same, if its author was in the group for who knew what it stands on.
    pub fn place_of_member(
        &mut self,
        placed: Placed,
        number: Option<u32>,
    ) -> Result<Vec<OperationHash>, PlaceError> {
        self.take(placed, number, |resolver, placed, parents, past| {
            let is_in = parents.is_empty() || resolver.is_in_at(&placed.user, parents, past);
            if is_in { Ok(()) } else { Err(PlaceError::NotIn) }
        })
    }

    fn take(
        &mut self,
        placed: Placed,
        number: Option<u32>,
        check: impl FnOnce(&mut Resolver, &Placed, &[usize], &Past) -> Result<(), PlaceError>,
    ) -> Result<Vec<OperationHash>, PlaceError> {
        let parents = self.resolver.check(&placed)?;
        let past = self.resolver.graph.past_of(&parents);
        let number = self.number(&placed.device, number, &past)?;
        if self.stands_on_fork(&parents, &past) {
            return Err(PlaceError::ForkedParent);
        }
        check(&mut self.resolver, &placed, &parents, &past)?;
        let device = self.device(placed.device);
        let at = self.resolver.put(placed, &parents, past);
        self.rows.push(Row { device, number, parents });
        if self.fill_slot(device, number, at) {
            self.stand();
        }
        Ok(if self.holds_by_itself(at) { self.anchor(at) } else { Vec::new() })
    }

    /// A device is known to have given this number twice. The operations need not be in.
    pub fn fork(&mut self, device: DeviceId, number: u32) {
        let device = self.device(device);
        if self.lower_fork(device, usize::try_from(number).unwrap_or(usize::MAX)) {
            self.stand();
        }
    }

    /// The least number that a device is known to have given twice.
    pub fn fork_of(&self, device: &DeviceId) -> Option<u32> {
        let written = self.devices.get(*self.numbers.get(device)?);
        written.fork.and_then(|number| u32::try_from(number).ok())
    }

    /// The first operation that came of a device with this number.
    pub fn numbered(&self, device: &DeviceId, number: u32) -> Option<OperationHash> {
        let written = self.devices.get(*self.numbers.get(device)?);
        let slot = written.slots.get(usize::try_from(number).ok()?)?;
        self.resolver.graph.node(slot.first).hash
    }

    /// The form of a number: so many operations of the device come before, each on top of the other.
    fn number(&self, device: &DeviceId, number: Option<u32>, past: &Past) -> Result<usize, PlaceError> {
        let written = self.numbers.get(device).map(|device| self.devices.get(*device));
        let count = written.map_or(Some(0), |written| written.count_in(past)).ok_or(PlaceError::Number)?;
        let given = number.map_or(Some(count), |number| usize::try_from(number).ok());
        if given == Some(count) && count < OPERATIONS_PER_DEVICE_MAX {
            Ok(count)
        } else {
            Err(PlaceError::Number)
        }
    }

    /// Whether one of these is of a device that forked in what stands before an operation with these parents.
    fn stands_on_fork(&self, parents: &[usize], past: &Past) -> bool {
        let written = |at: &usize| self.devices.get(self.rows.get(*at).device);
        parents.iter().map(written).any(|written| written.count_in(past).is_none())
    }

    fn device(&mut self, device: DeviceId) -> usize {
        let devices = &mut self.devices;
        *self.numbers.entry(device).or_insert_with(|| devices.push(Written::default()))
    }

    /// Whether this made the device's fork known, or lower.
    fn fill_slot(&mut self, device: usize, number: usize, at: usize) -> bool {
        let written = self.devices.grown(device);
        match written.slots.get_mut(number) {
            None => {
                written.slots.push(Slot { first: at, others: Vec::new() });
                return false;
            }
            Some(slot) => {
                written.forked_slots += usize::from(slot.others.is_empty());
                slot.others.push(at);
            }
        }
        self.lower_fork(device, number)
    }

    fn lower_fork(&mut self, device: usize, number: usize) -> bool {
        let fork = &mut self.devices.grown(device).fork;
        let is_lower = fork.is_none_or(|known| number < known);
        if is_lower {
            *fork = Some(number);
        }
        is_lower
    }

    /// Whether it is anchored whatever stands on it. Create always is: a device can't take back the group.
    fn holds_by_itself(&self, at: usize) -> bool {
        let row = self.rows.get(at);
        row.parents.is_empty() || self.devices.get(row.device).fork.is_none_or(|fork| row.number < fork)
    }

    /// Anchors one, and what it stands on.
    fn anchor(&mut self, at: usize) -> Vec<OperationHash> {
        let mut found = BTreeSet::from([at]);
        let mut open = vec![at];
        while let Some(next) = open.pop() {
            let parents = self.rows.get(next).parents.iter();
            for parent in parents.filter(|parent| !self.anchored.contains(**parent)) {
                if found.insert(*parent) {
                    open.push(*parent);
                }
            }
        }
        // Parents first.
        for at in &found {
            self.anchored.set(*at, true);
            self.resolver.enter(*at, &self.rows.get(*at).parents);
        }
        found.iter().filter_map(|at| self.resolver.graph.node(*at).hash).collect()
    }

    /// Finds anew what is anchored: less than before.
    fn stand(&mut self) {
        let mut anchored = Bits::default();
        let mut below = Bits::default();
        for at in (0..self.rows.len()).rev() {
            if below.contains(at) || self.holds_by_itself(at) {
                anchored.set(at, true);
                self.rows.get(at).parents.iter().for_each(|parent| below.set(*parent, true));
            }
        }
        let heads =
            (0..self.rows.len()).filter(|at| anchored.contains(*at) && !below.contains(*at)).collect();
        self.anchored = anchored;
        self.resolver.stand(heads);
    }

    /// Whether it is in.
    pub fn contains(&self, hash: &OperationHash) -> bool {
        self.resolver.contains(hash)
    }

    /// Whether it is in, and anchored.
    pub fn is_anchored(&self, hash: &OperationHash) -> bool {
        self.resolver.graph.find(hash).is_some_and(|at| self.anchored.contains(at))
    }

    /// Whether the operation that was the so many-th to come in (the first: 0) is anchored whatever stands on it.
    pub(in crate::membership) fn leads(&self, at: usize) -> bool {
        at < self.rows.len() && self.holds_by_itself(at)
    }

    /// Whether an operation, or an entry, may name these as what it stands on: they are in, and none is of a device
    /// that forked in what they stand on.
    pub fn may_stand_on(&self, heads: &[OperationHash]) -> bool {
        let numbers: Option<Vec<usize>> = heads.iter().map(|head| self.resolver.graph.find(head)).collect();
        numbers.is_some_and(|heads| !self.stands_on_fork(&heads, &self.resolver.graph.past_of(&heads)))
    }

    /// How many are in.
    pub fn len(&self) -> usize {
        self.resolver.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.resolver.is_empty()
    }

    /// The anchored operations that no other one stands on, ascending. None of them is of a device that forked.
    pub fn heads(&self) -> Vec<OperationHash> {
        self.resolver.heads()
    }

    /// The group as it is.
    pub fn view(&mut self) -> Arc<View> {
        self.resolver.view()
    }

    /// The group as it was for somebody who knew these operations and what they stand on.
    pub fn view_at(&mut self, heads: &[OperationHash]) -> Result<Arc<View>, UnknownHead> {
        self.resolver.view_at(heads)
    }

    /// Whether what somebody does now would count, as far as is known.
    pub fn allowed(&mut self, user: UserId, device: DeviceId, action: &Action) -> Result<(), Forbidden> {
        self.resolver.allowed(user, device, action)
    }

    /// Whether an operation counts; `None` if it is not in.
    pub fn verdict(&self, hash: &OperationHash) -> Option<Verdict> {
        let at = self.resolver.graph.find(hash)?;
        if self.anchored.contains(at) { self.resolver.verdict(hash) } else { Some(Verdict::LeftOut) }
    }

    /// Whether an entry of the group's log counts, by all that is anchored; see [`Resolver::entry_counts`].
    pub fn entry_counts(
        &mut self,
        place: EntryPlace<'_>,
        is_below: impl Fn(&EntryId) -> bool,
    ) -> Result<EntryVerdict, UnknownHead> {
        let find = |head: &OperationHash| self.resolver.graph.find(head).ok_or(UnknownHead(*head));
        let heads: Vec<usize> = place.heads.iter().map(find).collect::<Result<_, _>>()?;
        if self.stands_on_fork(&heads, &self.resolver.graph.past_of(&heads)) {
            return Ok(EntryVerdict::ForkedHead);
        }
        self.resolver.entry_counts(place, is_below)
    }
}
