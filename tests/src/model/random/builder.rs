//! A world on its way: what there is, who knows what of it, and how something comes to be known.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::super::entries::{Entry, upto};
use super::super::op::{Cut, Device, EntryId, Group, Kind, Op, OpId, PARENTS_MAX, User};
use super::super::resolver::Model;
use super::super::view::View;
use super::replica::Replica;
use super::rng::Rng;

const USERS_MAX: usize = 8;

#[derive(Debug)]
pub(super) struct Builder {
    pub(super) rng: Rng,
    pub(super) model: Model,
    pub(super) group: Group,
    pub(super) ops: Vec<Op>,
    pub(super) entries: Vec<Entry>,
    pub(super) replicas: Vec<Replica>,
}

impl Builder {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut group = Group::new(OpId(0));
        if rng.happens(25) {
            group.cap = 3 + rng.below(3);
        }
        let mut replicas = Vec::new();
        for user in (0..u32::MAX).take(3 + rng.below(USERS_MAX - 2)) {
            for device in (0..2).take(1 + rng.below(2)) {
                replicas.push(Replica::new(User(user), Device(10 * user + device)));
            }
        }
        Self { rng, model: Model::new(group), group, ops: Vec::new(), entries: Vec::new(), replicas }
    }

    pub(super) fn users(&self) -> BTreeSet<User> {
        self.replicas.iter().map(|replica| replica.user).collect()
    }

    /// The devices of a user, as places in the list.
    pub(super) fn devices_of(&self, user: User) -> Vec<usize> {
        (0..).zip(&self.replicas).filter(|(_, replica)| replica.user == user).map(|(at, _)| at).collect()
    }

    /// What a device sees.
    pub(super) fn view(&self, at: usize) -> Rc<View> {
        self.replicas.get(at).map(|replica| self.model.view(&replica.ops)).unwrap_or_default()
    }

    /// Whether a device sees that it is in.
    pub(super) fn is_in(&self, at: usize) -> bool {
        let view = self.view(at);
        self.replicas.get(at).is_some_and(|replica| view.admits(replica.user, replica.device))
    }

    /// An operation of a device on top of these, with nothing wrong about its form.
    pub(super) fn draft(&mut self, at: usize, parents: Vec<OpId>, kind: Kind) -> Option<Op> {
        let id = OpId(u32::try_from(self.ops.len()).ok()?);
        let hash = self.rng.number();
        let replica = self.replicas.get(at)?;
        let (author, device, number) = (replica.user, replica.device, replica.number);
        Some(Op { id, hash, author, device, number, parents, kind, signed: true })
    }

    /// An operation on top of all that a device knows, or of as much as may be named.
    pub(super) fn draft_on_top(&mut self, at: usize, kind: Kind) -> Option<Op> {
        let parents = self.heads(&self.replicas.get(at)?.ops.clone());
        self.draft(at, parents, kind)
    }

    /// Of a set, what nothing else in it stands on; in any order, and no more than may be parents.
    pub(super) fn heads(&mut self, set: &BTreeSet<OpId>) -> Vec<OpId> {
        let mut heads: Vec<OpId> = set.iter().copied().filter(|id| !self.is_below(*id, set)).collect();
        self.rng.shuffle(&mut heads);
        heads.truncate(PARENTS_MAX);
        heads
    }

    fn is_below(&self, id: OpId, set: &BTreeSet<OpId>) -> bool {
        set.iter().any(|other| {
            *other != id && self.model.closure(&[*other]).is_some_and(|closure| closure.contains(&id))
        })
    }

    /// Something is there. Its device knows it, if its form is good.
    pub(super) fn put(&mut self, at: usize, op: Op) {
        if self.model.add(&op).is_ok()
            && let Some(replica) = self.replicas.get_mut(at)
        {
            let past = self.model.closure(&op.parents).unwrap_or_default();
            replica.ops.extend(past);
            replica.ops.insert(op.id);
            replica.number += 1;
        }
        self.ops.push(op);
    }

    /// A device that sees that it is in, or some other one, writes an entry on top of all that it knows.
    pub(super) fn write(&mut self, at: usize) {
        let Some(replica) = self.replicas.get(at).cloned() else { return };
        let Ok(id) = u32::try_from(self.entries.len()).map(EntryId) else { return };
        let parents = self.entry_heads(&replica.entries);
        let heads = self.heads(&replica.ops);
        if !self.is_in(at) && !self.rng.happens(10) {
            return;
        }
        self.entries.push(Entry { id, author: replica.user, device: replica.device, parents, heads });
        if let Some(replica) = self.replicas.get_mut(at) {
            replica.entries.insert(id);
        }
    }

    fn entry_heads(&self, set: &BTreeSet<EntryId>) -> Vec<EntryId> {
        let parents = self.entries.iter().filter(|entry| set.contains(&entry.id)).flat_map(|e| &e.parents);
        let below: BTreeSet<EntryId> = parents.copied().collect();
        set.difference(&below).copied().collect()
    }

    /// One device tells another all that it knows, or a part with its past.
    pub(super) fn sync(&mut self, from: usize, to: usize) {
        let Some(from) = self.replicas.get(from).cloned() else { return };
        let (mut ops, mut entries) = (from.ops, from.entries);
        if self.rng.happens(40) {
            let op = self.rng.pick(ops.iter().copied());
            ops = self.model.closure(op.as_slice()).unwrap_or_default();
            let entry = self.rng.pick(entries.iter().copied());
            let log: BTreeMap<EntryId, &Entry> = self.entries.iter().map(|entry| (entry.id, entry)).collect();
            entries = entry.map(|entry| upto(&log, entry)).unwrap_or_default();
        }
        if let Some(to) = self.replicas.get_mut(to) {
            to.ops.extend(ops);
            to.entries.extend(entries);
        }
    }

    /// All devices know what any knows.
    pub(super) fn sync_all(&mut self) {
        let ops: BTreeSet<OpId> = self.replicas.iter().flat_map(|replica| &replica.ops).copied().collect();
        let entries: BTreeSet<EntryId> = self.replicas.iter().flat_map(|r| &r.entries).copied().collect();
        for replica in &mut self.replicas {
            replica.ops.extend(&ops);
            replica.entries.extend(&entries);
        }
    }

    /// For each device of a user the last that a device knows of it, or, if it is not honest, anything.
    pub(super) fn cut(&mut self, at: usize, user: User, honest: bool) -> Cut {
        let Some(known) = self.replicas.get(at).cloned() else { return Cut::new() };
        let mut cut = Cut::new();
        for device in self.devices_of(user) {
            let Some(device) = self.replicas.get(device).map(|replica| replica.device) else { continue };
            let ops: Vec<OpId> = self.ops.iter().filter(|op| op.device == device).map(|op| op.id).collect();
            let entries: Vec<EntryId> =
                self.entries.iter().filter(|entry| entry.device == device).map(|entry| entry.id).collect();
            if honest {
                let op = ops.into_iter().filter(|id| known.ops.contains(id)).max();
                let entry = entries.into_iter().filter(|id| known.entries.contains(id)).max();
                cut.insert(device, (op, entry));
            } else if self.rng.happens(70) {
                cut.insert(device, (self.rng.pick(ops), self.rng.pick(entries)));
            }
        }
        cut
    }
}
