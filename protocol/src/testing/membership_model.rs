//! The rules of `spec/groups.md` once more, plain and slow: recursion over sets, straight from the text. Nothing
//! of the resolver is used here, so that the two can be compared.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a model: what does not hold in it is a failed test"
)]

mod terms;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

pub use terms::{ADMIN, Cut, Device, Entry, Id, Kind, MEMBER, OWNER, Op, Rank, User, View};

/// The rules, with what they were asked before.
#[derive(Default)]
pub struct Model {
    /// All operations that are held.
    pub ops: BTreeMap<Id, Op>,
    /// A rule that is left out, to see which vectors need it.
    pub without: Option<u8>,
    /// What is anchored, if not everything is.
    pub anchored: Option<BTreeSet<Id>>,
    views: BTreeMap<BTreeSet<Id>, Rc<View>>,
}

impl Model {
    /// Of these operations.
    pub fn new(ops: BTreeMap<Id, Op>) -> Self {
        Self { ops, ..Self::default() }
    }

    fn has(&self, rule: u8) -> bool {
        self.without != Some(rule)
    }

    /// Rule 2.
    pub fn past(&self, id: Id) -> BTreeSet<Id> {
        let mut past = BTreeSet::new();
        for parent in &self.ops[&id].parents {
            past.insert(*parent);
            if self.has(2) {
                past.extend(self.past_of(*parent));
            }
        }
        past
    }

    fn past_of(&self, id: Id) -> BTreeSet<Id> {
        let mut found = BTreeSet::new();
        let mut open = vec![id];
        while let Some(next) = open.pop() {
            for parent in &self.ops[&next].parents {
                if found.insert(*parent) {
                    open.push(*parent);
                }
            }
        }
        found
    }

    /// The view of all that is anchored.
    pub fn everything(&mut self) -> Rc<View> {
        let all = self.anchored.clone().unwrap_or_else(|| self.ops.keys().copied().collect());
        self.view(&all)
    }

    /// The view of what these operations stand on, themselves included.
    pub fn at(&mut self, heads: &BTreeSet<Id>) -> Rc<View> {
        let set = self.closed(heads);
        self.view(&set)
    }

    fn closed(&self, heads: &BTreeSet<Id>) -> BTreeSet<Id> {
        let mut set = heads.clone();
        for head in heads {
            set.extend(self.past(*head));
        }
        set
    }

    /// V(S).
    pub fn view(&mut self, set: &BTreeSet<Id>) -> Rc<View> {
        if let Some(view) = self.views.get(set) {
            return Rc::clone(view);
        }
        let view = Rc::new(self.compute(set));
        self.views.insert(set.clone(), Rc::clone(&view));
        view
    }

    fn view_before(&mut self, id: Id) -> Rc<View> {
        let past = self.past(id);
        self.view(&past)
    }

    /// Rule 4: `None` is below all; an outsider's operations have no rank.
    fn rank(&mut self, id: Id) -> Option<Option<Rank>> {
        let op = self.ops[&id].clone();
        match op.kind {
            Kind::Create { .. } | Kind::DeviceRevoke { .. } => Some(None),
            _ => self.view_before(id).members.get(&op.user).copied().map(Some),
        }
    }

    /// Rule 3: whom it grants which rank.
    fn grant(&mut self, id: Id) -> Option<(User, Rank)> {
        let op = self.ops[&id].clone();
        let (user, role) = match op.kind {
            Kind::Create { .. } => return Some((op.user, (OWNER, 0))),
            Kind::Add { target, role } | Kind::SetRole { target, role } => (target, role),
            Kind::Leave { successor } => (successor?, OWNER),
            _ => return None,
        };
        let (_, generation) = *self.view_before(id).members.get(&op.user)?;
        Some((user, (role, if self.has(4) { generation + 1 } else { 0 })))
    }

    /// Rule 3: whether a SetRole lowers its target's rank.
    fn lowers(&mut self, id: Id) -> bool {
        let Kind::SetRole { target, .. } = self.ops[&id].kind else { return false };
        let Some((_, given)) = self.grant(id).filter(|_| self.has(3)) else { return false };
        self.view_before(id).members.get(&target).is_some_and(|rank| given > *rank)
    }

    fn is_revocation(&mut self, id: Id) -> bool {
        match self.ops[&id].kind {
            Kind::Remove { .. } | Kind::Leave { .. } | Kind::DeviceRevoke { .. } => true,
            _ => self.lowers(id),
        }
    }

    /// Rules 5, 6, 7, 15, 16: the first rule that forbids it.
    fn forbidden(&mut self, id: Id) -> Option<u8> {
        let op = self.ops[&id].clone();
        let view = self.view_before(id);
        match &op.kind {
            Kind::Create { .. } => None,
            Kind::DeviceRevoke { cut, .. } => self.bad_cut(id, [*cut]).then_some(15),
            _ => {
                let Some(rank) = view.members.get(&op.user) else { return Some(5) };
                if view.revoked.contains(&(op.user, op.device)) {
                    return Some(5);
                }
                let power = if view.acting == Some(op.user) { OWNER } else { rank.0 };
                self.forbidden_to(id, *rank, power)
            }
        }
    }

    fn bad_cut(&self, id: Id, cuts: impl IntoIterator<Item = Cut>) -> bool {
        let past = self.past(id);
        cuts.into_iter().filter_map(|cut| cut.operation).any(|head| !past.contains(&head))
    }

    /// The same for an author of this rank, with the power of this role.
    fn forbidden_to(&mut self, id: Id, rank: Rank, power: u32) -> Option<u8> {
        let op = self.ops[&id].clone();
        let view = self.view_before(id);
        let last_owner = |user: &User| {
            view.members.get(user).is_some_and(|rank| rank.0 == OWNER)
                && view.members.values().filter(|rank| rank.0 == OWNER).count() == 1
        };
        match op.kind {
            Kind::Create { .. } | Kind::DeviceRevoke { .. } => None,
            Kind::Add { target, role } => {
                let may = power <= view.add && role >= rank.0 && !view.members.contains_key(&target);
                if !may {
                    return Some(5);
                }
                (view.members.len() >= self.cap()).then_some(16)
            }
            Kind::Remove { target, cut } => {
                if power > ADMIN || target == op.user {
                    return Some(5);
                }
                match (view.members.get(&target), view.past.get(&target)) {
                    (Some(theirs), _) if rank > *theirs => Some(5),
                    (None, Some(last)) if rank >= *last => Some(7),
                    (None, None) => Some(7),
                    _ => self.bad_cut(id, cut.into_iter().flatten().map(|(_, cut)| cut)).then_some(15),
                }
            }
            Kind::SetRole { target, role } => {
                let Some(theirs) = view.members.get(&target) else { return Some(5) };
                if power > ADMIN || role < rank.0 {
                    return Some(5);
                }
                if target != op.user && self.lowers(id) && rank > *theirs {
                    return Some(5);
                }
                (last_owner(&target) && role != OWNER).then_some(6)
            }
            Kind::Leave { successor: None } => {
                (rank.0 == OWNER && last_owner(&op.user) && view.members.len() > 1).then_some(6)
            }
            Kind::Leave { successor: Some(successor) } => {
                let given = self.grant(id).map(|(_, given)| given);
                let raises = view.members.get(&successor).is_some_and(|theirs| given < Some(*theirs));
                (rank.0 != OWNER || successor == op.user || !raises).then_some(5)
            }
            Kind::Settings { .. } => (power > ADMIN).then_some(5),
            Kind::InviteLink => (power > view.add).then_some(5),
            Kind::InviteRevoke { link } => {
                let known = self.past(id).contains(&link) && self.ops[&link].kind == Kind::InviteLink;
                (!known || (self.ops[&link].user != op.user && power > ADMIN)).then_some(5)
            }
        }
    }

    fn cap(&self) -> usize {
        let cap = |op: &Op| if let Kind::Create { cap, .. } = op.kind { Some(cap) } else { None };
        self.ops.values().find_map(cap).unwrap()
    }

    /// Rule 8: the grants that gave the author the rank.
    fn supports(&mut self, id: Id) -> BTreeSet<Id> {
        let user = self.ops[&id].user;
        self.view_before(id).grants.get(&user).cloned().unwrap_or_default()
    }

    /// Rule 9, but for whether r counts.
    fn kills(&mut self, r: Id, o: Id) -> bool {
        let (revocation, op) = (self.ops[&r].clone(), self.ops[&o].clone());
        if matches!(op.kind, Kind::Create { .. } | Kind::DeviceRevoke { .. })
            || r == o
            || self.past(o).contains(&r)
        {
            return false;
        }
        let (Some(of_r), Some(of_o)) = (self.rank(r), self.rank(o)) else { return false };
        if !(of_r < of_o || of_r == of_o && !self.is_revocation(o)) {
            return false;
        }
        let within = |head: Option<Id>| head.is_some_and(|head| head == o || self.past(head).contains(&o));
        match revocation.kind {
            Kind::DeviceRevoke { target, device, cut } => {
                (target, device) == (op.user, op.device) && !within(cut.operation)
            }
            Kind::Remove { target, cut } => {
                let inside = match cut {
                    None => self.past(r).contains(&o),
                    Some(cut) => within(cut.get(&op.device).and_then(|cut| cut.operation)),
                };
                target == op.user && !inside
            }
            Kind::SetRole { target, .. } if target == op.user && self.lowers(r) => {
                let Some((_, given)) = self.grant(r) else { return false };
                !self.past(r).contains(&o) && self.forbidden_to(o, given, given.0).is_some()
            }
            _ => false,
        }
    }

    /// Rule 10.
    fn compute(&mut self, set: &BTreeSet<Id>) -> View {
        let mut view = View::default();
        let mut order = Vec::new();
        for id in set {
            let forbidden = self.forbidden(*id).filter(|rule| self.has(*rule));
            match (forbidden, self.rank(*id)) {
                (None, Some(rank)) => order.push((rank, !self.is_revocation(*id), *id)),
                (rule, _) => drop(view.void.insert(*id, rule.unwrap_or(5))),
            }
        }
        if self.has(10) {
            order.sort_unstable();
        }
        for (rank, _, id) in order {
            if self.has(8) && rank.is_some() && self.supports(id).is_disjoint(&view.counts) {
                view.void.insert(id, 8);
            } else if self.has(9) && set.iter().any(|r| view.counts.contains(r) && self.kills(*r, id)) {
                view.void.insert(id, 9);
            } else {
                view.counts.insert(id);
            }
        }
        self.fill(&mut view);
        view
    }

    fn fill(&mut self, view: &mut View) {
        let counting: Vec<Id> = view.counts.iter().copied().collect();
        let users: BTreeSet<User> =
            counting.iter().filter_map(|id| self.grant(*id)).map(|(user, _)| user).collect();
        for user in users {
            let granted = |model: &mut Self, id: &Id| model.grant(*id).is_some_and(|(to, _)| to == user);
            let all: Vec<Id> = counting.iter().copied().filter(|id| granted(self, id)).collect();
            let live: Vec<Id> = all.iter().copied().filter(|id| self.live(*id, user, &counting)).collect();
            if live.is_empty() {
                view.past.insert(user, self.resolve(&all).0);
            } else {
                let (rank, grants) = self.resolve(&live);
                view.members.insert(user, rank);
                view.grants.insert(user, grants);
            }
        }
        if self.has(13) && view.members.values().all(|rank| rank.0 != OWNER) {
            let least = view.members.iter().min_by_key(|(user, rank)| (**rank, view.grants[*user].first()));
            view.acting = least.map(|(user, _)| *user);
        }
        self.registers(view, &counting);
        for id in counting {
            match self.ops[&id].kind {
                Kind::DeviceRevoke { target, device, .. } => drop(view.revoked.insert((target, device))),
                Kind::InviteLink => drop(view.links.insert(id)),
                _ => {}
            }
        }
        let revokes = |op: &Op| if let Kind::InviteRevoke { link } = op.kind { Some(link) } else { None };
        let revoked: BTreeSet<Id> = view.counts.iter().filter_map(|id| revokes(&self.ops[id])).collect();
        view.links.retain(|link| !revoked.contains(link));
    }

    /// Rule 11.
    fn live(&mut self, g: Id, user: User, counting: &[Id]) -> bool {
        let past_of_g = self.past(g);
        counting.iter().all(|r| {
            let op = self.ops[r].clone();
            let removes = match op.kind {
                Kind::Remove { target, .. } => target == user,
                Kind::Leave { .. } => op.user == user,
                _ => false,
            };
            if !removes || past_of_g.contains(r) || !self.has(11) {
                return true;
            }
            !self.past(*r).contains(&g) && self.view(&past_of_g).past.contains_key(&op.user)
        })
    }

    /// Rule 12: the rank that these grants give, and which of them give it.
    fn resolve(&mut self, grants: &[Id]) -> (Rank, BTreeSet<Id>) {
        let pasts: Vec<BTreeSet<Id>> = grants.iter().map(|g| self.past(*g)).collect();
        let maximal: Vec<Id> =
            grants.iter().copied().filter(|g| !pasts.iter().any(|past| past.contains(g))).collect();
        let given: Vec<(Id, Rank, Option<Rank>)> =
            maximal.into_iter().map(|g| (g, self.grant(g).unwrap().1, self.rank(g).unwrap())).collect();
        // What somebody grants who stands below what another one gives takes nothing from it.
        let overruled = |role: u32, by: Option<Rank>| {
            given.iter().any(|(_, other, _)| other.0 < role && by > Some(*other))
        };
        let left: Vec<_> = given.iter().filter(|(_, rank, by)| !overruled(rank.0, *by)).collect();
        let roles = left.iter().map(|(_, rank, _)| rank.0);
        let role = if self.has(12) { roles.max() } else { roles.min() }.unwrap();
        let rank = left.iter().map(|(_, rank, _)| *rank).filter(|rank| rank.0 == role).min().unwrap();
        let grants = left.iter().filter(|(_, given, _)| *given == rank).map(|(g, _, _)| *g).collect();
        (rank, grants)
    }

    /// Rule 14.
    fn registers(&mut self, view: &mut View, counting: &[Id]) {
        let name = |kind: &Kind| match kind {
            Kind::Create { name, .. } | Kind::Settings { name, .. } => *name,
            _ => None,
        };
        let add = |kind: &Kind| if let Kind::Settings { add, .. } = kind { *add } else { None };
        view.name = self.register(counting, &name);
        view.add = self.register(counting, &add).unwrap_or(ADMIN);
    }

    fn register(&mut self, counting: &[Id], read: &dyn Fn(&Kind) -> Option<u32>) -> Option<u32> {
        let set: Vec<Id> = counting.iter().copied().filter(|id| read(&self.ops[id].kind).is_some()).collect();
        let mut best: Option<(Option<Rank>, Id)> = None;
        for id in &set {
            if set.iter().any(|other| self.past(*other).contains(id)) {
                continue;
            }
            let rank = self.rank(*id).unwrap();
            if best.is_none_or(|(least, highest)| {
                rank < least || rank == least && *id > highest || !self.has(14)
            }) {
                best = Some((rank, *id));
            }
        }
        best.and_then(|(_, id)| read(&self.ops[&id].kind))
    }

    /// Rule 15, for entries.
    pub fn entry_counts(&mut self, entry: &Entry) -> bool {
        let known = self.closed(&entry.heads);
        let all = self.everything();
        if !self.has(15) {
            return true;
        }
        let is_in = self.view(&known);
        if !is_in.members.contains_key(&entry.user) || is_in.revoked.contains(&(entry.user, entry.device)) {
            return false;
        }
        let inside =
            |cut: Option<&Cut>| cut.and_then(|cut| cut.entry).is_some_and(|head| entry.below.contains(&head));
        let mut removed = false;
        let mut spared = false;
        for id in &all.counts {
            match &self.ops[id].kind {
                Kind::Remove { target, cut } if *target == entry.user && !known.contains(id) => {
                    removed = true;
                    spared |= inside(cut.as_ref().and_then(|cut| cut.get(&entry.device)));
                }
                Kind::DeviceRevoke { target, device, cut }
                    if (*target, *device) == (entry.user, entry.device) && !inside(Some(cut)) =>
                {
                    return false;
                }
                _ => {}
            }
        }
        !removed || spared
    }
}
