//! Turns that chance alone would seldom bring about.

use std::collections::BTreeMap;

use super::super::op::{Kind, OpId, Role, User};
use super::super::view::Rank;
use super::builder::Builder;

impl Builder {
    /// Two or three of one rank, who all know the same, do something to the next one at once.
    pub(super) fn circle(&mut self) {
        self.sync_all();
        let mut ranks: BTreeMap<Rank, Vec<User>> = BTreeMap::new();
        for (user, member) in &self.view(0).members {
            ranks.entry(member.rank).or_default().push(*user);
        }
        let equals = ranks.into_iter().filter(|(rank, of)| rank.role != Role::Member && of.len() > 1);
        let equals: Vec<Vec<User>> = equals.map(|(_, users)| users).collect();
        let at = self.rng.below(equals.len());
        let Some(mut users) = equals.into_iter().nth(at) else { return };
        self.rng.shuffle(&mut users);
        users.truncate(2 + self.rng.below(2));
        let next = users.iter().cycle().skip(1).copied();
        let turns: Vec<(User, User)> = users.iter().copied().zip(next).collect();
        for (user, target) in turns {
            self.against(user, target);
        }
    }

    /// A user removes another one, or makes them a member.
    fn against(&mut self, user: User, target: User) {
        let Some(at) = self.rng.pick(self.devices_of(user)) else { return };
        let kind = if self.rng.happens(70) {
            Kind::Remove { user: target, cut: self.some_cut(at, target) }
        } else {
            Kind::SetRole { user: target, role: Role::Member }
        };
        if let Some(op) = self.draft_on_top(at, kind) {
            self.put(at, op);
        }
    }

    /// An owner promotes somebody, who turns on them, or on another elder, and whom they put down again meanwhile.
    pub(super) fn puppet(&mut self, at: usize) {
        if !self.leads(at) {
            return;
        }
        let elder = self.replicas.get(at).map(|replica| replica.user);
        let members: Vec<User> = self.view(at).members.keys().copied().collect();
        let others = members.iter().copied().filter(|user| Some(*user) != elder);
        let (Some(elder), Some(puppet)) = (elder, self.rng.pick(others)) else { return };
        let Some(puppets) = self.rng.pick(self.devices_of(puppet)) else { return };
        let role = if self.rng.happens(70) { Role::Owner } else { Role::Admin };
        let Some(op) = self.draft_on_top(at, Kind::SetRole { user: puppet, role }) else { return };
        self.put(at, op);
        self.sync(at, puppets);
        let target = if self.rng.happens(70) { Some(elder) } else { self.rng.pick(members) };
        self.against(puppet, target.unwrap_or(elder));
        if self.rng.happens(50) {
            self.against(elder, puppet);
        }
    }

    /// Someone is removed and added again, while another device of theirs knows nothing of it and does something.
    pub(super) fn again(&mut self, at: usize) {
        if !self.leads(at) {
            return;
        }
        let user = self.replicas.get(at).map(|replica| replica.user);
        let others: Vec<User> = self.view(at).members.keys().copied().filter(|u| Some(*u) != user).collect();
        let Some(target) = self.rng.pick(others) else { return };
        let kinds = [
            Kind::Remove { user: target, cut: self.some_cut(at, target) },
            Kind::Add { user: target, role: self.role() },
        ];
        for kind in kinds {
            if let Some(op) = self.draft_on_top(at, kind) {
                self.put(at, op);
            }
        }
        let Some(theirs) = self.rng.pick(self.devices_of(target)) else { return };
        let kind = if self.rng.happens(40) { Kind::Leave { successor: None } } else { self.kind(theirs) };
        if let Some(op) = self.draft_on_top(theirs, kind) {
            self.put(theirs, op);
        }
    }

    /// Whether a device sees its user as an owner or admin.
    fn leads(&self, at: usize) -> bool {
        let view = self.view(at);
        let member = self.replicas.get(at).and_then(|replica| view.members.get(&replica.user));
        member.is_some_and(|member| member.rank.role <= Role::Admin)
    }

    /// What a device knows, as parents that are no antichain if it knows enough.
    pub(super) fn with_ancestor(&mut self, at: usize) -> Vec<OpId> {
        let known = self.replicas.get(at).map(|replica| replica.ops.clone()).unwrap_or_default();
        let mut parents = self.heads(&known);
        parents.truncate(3);
        parents.extend(known.first());
        parents
    }
}
