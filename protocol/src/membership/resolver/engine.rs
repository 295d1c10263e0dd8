use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::bits::Past;
use super::graph::{Graph, Node};
use super::judge::{Case, judge};
use super::view::View;
use super::world::World;
use crate::ids::{DeviceId, OperationHash, UserId};
use crate::limits::{OPERATION_PARENTS_MAX, REMEMBERED_VIEWS_MAX};
use crate::membership::action::Action;

/// Worlds that stand at pasts.
const ASIDE_MAX: usize = 4;
/// A world further away than so many operations is copied before it moves, so that it stays where it is as well.
const NEAR_OPERATIONS: usize = 64;

/// A group's operations and what follows from them.
#[derive(Debug, Clone, Default)]
pub struct Resolver {
    pub(super) graph: Graph,
    /// What nothing else that the view is of stands on.
    heads: BTreeSet<usize>,
    /// Stands at what the view is of.
    pub(super) current: World,
    /// The last used at the end.
    aside: Vec<World>,
    view: Option<Arc<View>>,
    views: BTreeMap<Vec<usize>, Arc<View>>,
}

/// An operation whose signatures were checked, with its user, as the resolver takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// What it is called.
    pub hash: OperationHash,
    /// Whose device signed it.
    pub user: UserId,
    /// Which.
    pub device: DeviceId,
    /// What it stands on; none for Create.
    pub parents: Vec<OperationHash>,
    /// What it does.
    pub action: Action,
}

/// Why an operation is no part of the group's set (rule 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// It is in already.
    #[error("it is known already")]
    Known,
    /// Something that it stands on is not in.
    #[error("a parent is missing")]
    MissingParent(OperationHash),
    /// One of its parents stands on another one, or stands there twice.
    #[error("the parents are no antichain")]
    NotAntichain,
    /// Too many parents, or none.
    #[error("1 to {OPERATION_PARENTS_MAX} parents are allowed, none for Create")]
    Parents,
    /// The first is no Create, or there is one already.
    #[error("a group has one Create, and begins with it")]
    Create,
    /// Its number is not how many operations of its device it stands on, or these stand apart from each other.
    #[error("the number is not how many of the device's operations come before")]
    Number,
    /// What it stands on has two operations of a parent's device that stand apart from each other.
    #[error("a parent's device is known to have signed two operations apart from each other")]
    ForkedParent,
    /// By what it stands on its author was not in the group: it can't count, whatever comes.
    #[error("its author was not in the group")]
    NotIn,
}

/// An operation that is not in the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an operation among the heads is not known")]
pub struct UnknownHead(pub OperationHash);

/// Why an action would not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{why} (rule {rule})")]
pub struct Forbidden {
    /// The rule that says so.
    pub rule: u8,
    /// In words.
    pub why: &'static str,
}

/// Whether an operation counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Counts,
    /// Its past forbids it, whatever else comes.
    Forbidden(Forbidden),
    /// No grant that gave its author the rank counts (rule 8).
    Unsupported,
    /// A counting revocation that it did not know voids it (rule 9).
    Killed(OperationHash),
    /// Its device signed two operations apart from each other, and nothing that stays stands on it (rule 1).
    LeftOut,
}

impl Resolver {
    /// Takes an operation in. An error leaves everything as it was.
    pub fn place(&mut self, placed: Placed) -> Result<(), PlaceError> {
        let parents = self.check(&placed)?;
        let past = self.graph.past_of(&parents);
        let at = self.put(placed, &parents, past);
        self.enter(at, &parents);
        Ok(())
    }

    /// Judges an operation that was checked, and keeps it; the view is not of it before [`Self::enter`].
    pub(super) fn put(&mut self, placed: Placed, parents: &[usize], past: Past) -> usize {
        let user = self.graph.intern_user(placed.user);
        let device = self.graph.intern_device(placed.user, placed.device);
        let deed = self.graph.deed(&placed.action);
        let case = Case { user, device, deed: &deed, past: &past };
        let (graph, world) = self.at(parents, &past);
        let judgement = judge(graph, world, &case);
        let action = Some(placed.action);
        let node = Node {
            hash: Some(placed.hash),
            user,
            device,
            past,
            action,
            deed,
            judgement,
            supported: Vec::new(),
        };
        self.graph.push(node)
    }

    /// Whether a user is in for who knows these operations alone.
    pub(super) fn is_in_at(&mut self, user: &UserId, parents: &[usize], past: &Past) -> bool {
        let Some(user) = self.graph.user(user) else { return false };
        let (_, world) = self.at(parents, past);
        world.standing(user).rank.is_some()
    }

    /// The world of a past.
    fn at(&mut self, parents: &[usize], past: &Past) -> (&Graph, &mut World) {
        if parents.len() == self.heads.len() && parents.iter().all(|at| self.heads.contains(at)) {
            return (&self.graph, &mut self.current);
        }
        let number = self.world_at(past);
        (&self.graph, self.aside.get_mut(number).unwrap_or(&mut self.current))
    }

    /// The view is of this one too from now on. It is of its parents already.
    pub(super) fn enter(&mut self, at: usize, parents: &[usize]) {
        self.heads.retain(|head| !parents.contains(head));
        self.heads.insert(at);
        self.current.enter(&self.graph, at);
        self.view = None;
    }

    /// The view is of these and what they stand on from now on. They are an antichain.
    pub(super) fn stand(&mut self, heads: BTreeSet<usize>) {
        let numbers: Vec<usize> = heads.iter().copied().collect();
        let set = self.graph.past_of(&numbers);
        self.current.move_to(&self.graph, &set);
        self.heads = heads;
        self.view = None;
    }

    pub(super) fn check(&self, placed: &Placed) -> Result<Vec<usize>, PlaceError> {
        if self.graph.find(&placed.hash).is_some() {
            return Err(PlaceError::Known);
        }
        let creates = matches!(placed.action, Action::Create(_));
        if placed.parents.len() > OPERATION_PARENTS_MAX || creates != placed.parents.is_empty() {
            return Err(PlaceError::Parents);
        }
        if creates && self.graph.len() > 0 {
            return Err(PlaceError::Create);
        }
        let find = |hash: &OperationHash| self.graph.find(hash).ok_or(PlaceError::MissingParent(*hash));
        let parents: Vec<usize> = placed.parents.iter().map(find).collect::<Result<_, _>>()?;
        let distinct: BTreeSet<usize> = parents.iter().copied().collect();
        let above = |at: &usize| parents.iter().any(|other| self.graph.node(*other).past.contains(*at));
        if distinct.len() < parents.len() || parents.iter().any(above) {
            return Err(PlaceError::NotAntichain);
        }
        Ok(parents)
    }

    /// Whether it is in.
    pub fn contains(&self, hash: &OperationHash) -> bool {
        self.graph.find(hash).is_some()
    }

    /// How many are in.
    pub fn len(&self) -> usize {
        self.graph.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.graph.len() == 0
    }

    /// What no other operation that the view is of stands on, ascending. May be more than an operation can name: then it names the
    /// first ones.
    pub fn heads(&self) -> Vec<OperationHash> {
        let hashes: BTreeSet<OperationHash> =
            self.heads.iter().filter_map(|at| self.graph.node(*at).hash).collect();
        hashes.into_iter().collect()
    }

    /// The group as it is.
    pub fn view(&mut self) -> Arc<View> {
        if let Some(view) = &self.view {
            return Arc::clone(view);
        }
        let view = Arc::new(View::of(&self.graph, &mut self.current));
        self.view = Some(Arc::clone(&view));
        view
    }

    /// The same, worked out anew.
    pub(super) fn current_view(&self) -> View {
        View::of(&self.graph, &mut self.current.clone())
    }

    /// The group as it was for somebody who knew these operations and what they stand on.
    pub fn view_at(&mut self, heads: &[OperationHash]) -> Result<Arc<View>, UnknownHead> {
        let mut numbers: Vec<usize> = heads
            .iter()
            .map(|head| self.graph.find(head).ok_or(UnknownHead(*head)))
            .collect::<Result<_, _>>()?;
        numbers.sort_unstable();
        if let Some(view) = self.views.get(&numbers) {
            return Ok(Arc::clone(view));
        }
        let past = self.graph.past_of(&numbers);
        let world = self.world_at(&past);
        let world = self.aside.get_mut(world).map(|world| View::of(&self.graph, world));
        let view = Arc::new(world.unwrap_or_else(|| View::of(&self.graph, &mut World::default())));
        if self.views.len() >= REMEMBERED_VIEWS_MAX {
            self.views.clear();
        }
        self.views.insert(numbers, Arc::clone(&view));
        Ok(view)
    }

    /// Whether what somebody does now would count, as far as is known.
    pub fn allowed(&mut self, user: UserId, device: DeviceId, action: &Action) -> Result<(), Forbidden> {
        let heads: Vec<usize> = self.heads.iter().copied().collect();
        let past = self.graph.past_of(&heads);
        let user = self.graph.intern_user(user);
        let device =
            self.graph.intern_device(self.graph.user_id(user).unwrap_or(UserId::new([0; 32])), device);
        let deed = self.graph.deed(action);
        let case = Case { user, device, deed: &deed, past: &past };
        match judge(&self.graph, &mut self.current, &case).forbidden {
            None => Ok(()),
            Some(forbidden) => Err(Forbidden { rule: forbidden.rule, why: forbidden.why }),
        }
    }

    /// Whether an operation counts; `None` if it is not in.
    pub fn verdict(&self, hash: &OperationHash) -> Option<Verdict> {
        let at = self.graph.find(hash)?;
        let forbidden = self.graph.node(at).judgement.forbidden;
        if let Some(forbidden) = forbidden {
            return Some(Verdict::Forbidden(Forbidden { rule: forbidden.rule, why: forbidden.why }));
        }
        if self.current.counts(at) {
            return Some(Verdict::Counts);
        }
        let killer = self.current.killer(&self.graph, at).and_then(|killer| self.graph.node(killer).hash);
        match killer {
            Some(killer) if self.current.is_supported(&self.graph, at) => Some(Verdict::Killed(killer)),
            _ => Some(Verdict::Unsupported),
        }
    }

    /// The number of a world that stands at this set: the nearest, moved.
    pub(super) fn world_at(&mut self, set: &Past) -> usize {
        let distance = |world: &World| world.distance(set);
        let nearest = self.aside.iter().enumerate().map(|(number, world)| (distance(world), number)).min();
        let from_current = distance(&self.current);
        let world = match nearest {
            Some((away, number)) if away <= NEAR_OPERATIONS && away <= from_current => {
                self.aside.remove(number)
            }
            Some((away, number)) if away <= from_current => {
                self.aside.get(number).cloned().unwrap_or_default()
            }
            _ => self.current.clone(),
        };
        if self.aside.len() >= ASIDE_MAX {
            self.aside.remove(0);
        }
        self.aside.push(world);
        let last = self.aside.len().saturating_sub(1);
        if let Some(world) = self.aside.get_mut(last) {
            world.move_to(&self.graph, set);
        }
        last
    }
}
