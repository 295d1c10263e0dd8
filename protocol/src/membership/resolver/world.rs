use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::bits::{Bits, Past};
use super::graph::{Graph, since};
use super::standing::{Standing, standing};
use super::table::Table;
use crate::membership::role::{Rank, Role};
use crate::membership::settings::Setting;

/// What counts in one parent-closed set of operations, and what follows from it for its users. It moves from set
/// to set: what enters or leaves has only those judged again that it touches, by ascending rank, revocations first.
/// So what it holds is a function of the set, whatever way it came.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    present: Bits,
    counts: Bits,
    /// To be judged again.
    agenda: BTreeSet<(Option<Rank>, bool, usize)>,
    standings: Table<Standing>,
    /// Users whose standing may have changed.
    dirty: BTreeSet<usize>,
    members: usize,
    owners: BTreeSet<usize>,
    removed: Arc<Bits>,
    /// The operations that settings hold by, as far as known.
    settings: BTreeMap<Setting, Option<usize>>,
    /// Who acts as owner, as far as known.
    acting: Option<Option<usize>>,
}

impl World {
    pub(super) fn counts(&self, at: usize) -> bool {
        self.counts.contains(at)
    }

    pub(super) fn distance(&self, set: &Past) -> usize {
        self.present.distance(set)
    }

    pub(super) fn owners(&self) -> usize {
        self.owners.len()
    }

    pub(super) fn members(&self) -> usize {
        self.members
    }

    /// Users that were members and are not.
    pub(super) fn removed(&self) -> Arc<Bits> {
        Arc::clone(&self.removed)
    }

    pub(super) fn standing(&self, user: usize) -> &Standing {
        self.standings.get(user)
    }

    pub(super) fn standings(&self) -> impl Iterator<Item = (usize, &Standing)> {
        self.standings.iter()
    }

    /// Takes an operation in that stands on nothing but what is in.
    pub(super) fn enter(&mut self, graph: &Graph, at: usize) {
        self.present.set(at, true);
        self.ask(graph, at);
        self.settle(graph);
    }

    /// Goes to another set.
    pub(super) fn move_to(&mut self, graph: &Graph, set: &Past) {
        for at in self.present.difference(set) {
            let enters = set.contains(at);
            self.present.set(at, enters);
            if enters {
                self.ask(graph, at);
            } else if self.counts(at) {
                self.turn(graph, at, false);
            }
        }
        self.settle(graph);
    }

    fn ask(&mut self, graph: &Graph, at: usize) {
        let judgement = &graph.node(at).judgement;
        if judgement.forbidden.is_none() {
            self.agenda.insert((judgement.rank, !judgement.revokes, at));
        }
    }

    /// Judges what is to be judged, and then the users that it concerns.
    fn settle(&mut self, graph: &Graph) {
        while let Some((_, _, at)) = self.agenda.pop_first() {
            let counts = self.present.contains(at)
                && (graph.node(at).always_counts()
                    || self.is_supported(graph, at) && self.killer(graph, at).is_none());
            if counts != self.counts(at) {
                self.turn(graph, at, counts);
            }
        }
        while let Some(user) = self.dirty.pop_first() {
            self.settle_user(graph, user);
        }
    }

    pub(super) fn is_supported(&self, graph: &Graph, at: usize) -> bool {
        graph.node(at).judgement.supports.iter().any(|grant| self.counts(*grant))
    }

    /// A counting revocation that kills it.
    pub(super) fn killer(&self, graph: &Graph, at: usize) -> Option<usize> {
        let node = graph.node(at);
        let floor = node.past.floor();
        let of_user = since(&graph.person(node.user).revocations, floor);
        let of_device = since(graph.device_revokes(node.device), floor);
        let mut candidates = of_device.iter().chain(of_user).copied();
        candidates.find(|r| self.counts(*r) && graph.kills(*r, at))
    }

    /// An operation begins to count, or ceases to: what that touches is asked anew.
    fn turn(&mut self, graph: &Graph, at: usize, counts: bool) {
        self.counts.set(at, counts);
        let node = graph.node(at);
        for target in graph.targets(at) {
            if self.present.contains(*target) && graph.kills(at, *target) {
                self.ask(graph, *target);
            }
        }
        for supported in &node.supported {
            if self.present.contains(*supported) {
                self.ask(graph, *supported);
            }
        }
        self.dirty.extend(node.judgement.grant.map(|(user, _)| user));
        self.dirty.extend(node.removes());
        if node.settings().is_some() {
            self.settings.clear();
        }
    }

    fn settle_user(&mut self, graph: &Graph, user: usize) {
        let new = standing(graph, &self.counts, user);
        let row = self.standings.grown(user);
        let old = std::mem::replace(row, new);
        let (was, is) = (old.rank, row.rank);
        let is_past = row.last.is_some();
        if old.rank != row.rank || old.grants != row.grants {
            self.acting = None;
        }
        if was.is_some() != is.is_some() {
            self.members = if is.is_some() { self.members + 1 } else { self.members.saturating_sub(1) };
        }
        let owns = |rank: Option<Rank>| rank.is_some_and(|rank| rank.role == Role::Owner);
        if owns(is) {
            self.owners.insert(user);
        } else if owns(was) {
            self.owners.remove(&user);
        }
        if old.last.is_some() != is_past {
            Arc::make_mut(&mut self.removed).set(user, is_past);
        }
    }

    /// Rule 13: who acts as owner where there is none.
    pub(super) fn acting(&mut self, graph: &Graph) -> Option<usize> {
        if !self.owners.is_empty() {
            return None;
        }
        if let Some(known) = self.acting {
            return known;
        }
        let place = |standing: &Standing| {
            let hash = standing.grants.iter().filter_map(|grant| graph.node(*grant).hash).min();
            standing.rank.map(|rank| (rank, hash))
        };
        let places = self.standings.iter().filter_map(|(user, standing)| Some((place(standing)?, user)));
        let acting = places.min().map(|(_, user)| user);
        self.acting = Some(acting);
        acting
    }

    /// Rule 14: the operation that a setting holds by.
    pub(super) fn setter(&mut self, graph: &Graph, setting: Setting) -> Option<usize> {
        if let Some(known) = self.settings.get(&setting) {
            return *known;
        }
        let set = graph.setters(setting).iter().copied().filter(|at| self.counts(*at));
        let maximal = super::standing::maximal(graph, set);
        let hash = |at: &usize| graph.node(*at).hash;
        let first = |a: &usize, b: &usize| {
            let rank = |at: &usize| graph.node(*at).judgement.rank;
            rank(a).cmp(&rank(b)).then(hash(b).cmp(&hash(a)))
        };
        let setter = maximal.into_iter().min_by(first);
        self.settings.insert(setting, setter);
        setter
    }
}
