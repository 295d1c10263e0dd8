//! The model: takes operations in by rule 1, and tells what a set of them shows.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::allowed::allowed;
use super::counting::{Facts, counts};
use super::fact::Fact;
use super::op::{Field, Group, Kind, NUMBER_MAX, Op, OpId, PARENTS_MAX, Role, User};
use super::seats::show;
use super::view::{Member, Rule, Set, View};

/// What all operations together show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Who is in, with role and generation.
    pub members: BTreeMap<User, (Role, u32)>,
    /// Who stands in for an owner, where there is none.
    pub acting: Option<User>,
    /// What is set.
    pub settings: BTreeMap<Field, u32>,
    /// Which operations count, and which rule stands against the others.
    pub counts: BTreeMap<OpId, Result<(), Rule>>,
}

/// What all operations together show, in whatever order they stand.
pub fn resolve(group: Group, ops: &[Op]) -> Resolved {
    let model = Model::of(group, ops);
    let view = model.view(&model.all());
    let mut counts: BTreeMap<OpId, _> = ops.iter().map(|op| (op.id, Err(Rule::Form))).collect();
    counts.extend(view.counts.clone());
    let seat = |member: &Member| (member.rank.role, member.rank.generation);
    let members = view.members.iter().map(|(user, member)| (*user, seat(member)));
    Resolved { members: members.collect(), acting: view.acting, settings: view.settings.clone(), counts }
}

/// A parent-closed set of signed, well-formed operations of one group, to which more can be added.
#[derive(Debug)]
pub struct Model {
    group: Group,
    facts: BTreeMap<OpId, Fact>,
    /// V, as far as it was asked for: a set never shows anything else later.
    views: RefCell<BTreeMap<Set, Rc<View>>>,
}

impl Model {
    /// Nothing yet.
    pub fn new(group: Group) -> Self {
        Self { group, facts: BTreeMap::new(), views: RefCell::default() }
    }

    /// As many of these as have good form, good signatures and all their past, in whatever order they stand.
    pub fn of(group: Group, ops: &[Op]) -> Self {
        let mut model = Self::new(group);
        // By name: of two with one name the one that stands first must not be preferred.
        let mut waiting: BTreeSet<&Op> = ops.iter().collect();
        loop {
            let before = waiting.len();
            waiting.retain(|op| model.add(op).is_err());
            if waiting.len() == before {
                return model;
            }
        }
    }

    /// Takes in an operation whose past is held, if its form and signature are good (rule 1).
    pub fn add(&mut self, op: &Op) -> Result<(), Rule> {
        let past = self.past_by_form(op)?;
        let before = self.view(&past);
        let fact = Fact::new(op, past, before, self.group.cap);
        self.facts.entry(op.id).or_insert(fact);
        Ok(())
    }

    /// Rule 1. The number is a matter of form, whether or not the device gave it twice.
    fn past_by_form(&self, op: &Op) -> Result<Set, Rule> {
        let parents: Set = op.parents.iter().copied().collect();
        let count = op.parents.len();
        let fits = match op.kind {
            Kind::Create => op.id == self.group.id && count == 0,
            _ => op.id != self.group.id && (1..=PARENTS_MAX).contains(&count) && parents.len() == count,
        };
        if !op.signed || op.number > NUMBER_MAX || !fits {
            return Err(Rule::Form);
        }
        let mut strict = Set::new();
        for parent in &parents {
            strict.extend(&self.facts.get(parent).ok_or(Rule::Form)?.past);
        }
        if !strict.is_disjoint(&parents) {
            return Err(Rule::Form);
        }
        Ok(strict.union(&parents).copied().collect())
    }

    /// All that is held.
    pub(super) fn all(&self) -> Set {
        self.facts.keys().copied().collect()
    }

    /// The heads with all their past, or nothing if one is not held.
    pub(super) fn closure(&self, heads: &[OpId]) -> Option<Set> {
        let mut closure = Set::new();
        for head in heads {
            closure.extend(&self.facts.get(head)?.past);
            closure.insert(*head);
        }
        Some(closure)
    }

    /// What an operation stands on, if this is held, and its form good.
    pub(super) fn past_of(&self, op: &Op) -> Option<Set> {
        self.past_by_form(op).ok()
    }

    pub(super) fn op(&self, id: OpId) -> Option<&Op> {
        self.facts.get(&id).map(|fact| &fact.op)
    }

    /// Whether an operation would be held, and Allowed where it stands.
    pub(super) fn would_allow(&self, op: &Op) -> bool {
        let allows = |past: Set| allowed(&past, &self.view(&past), op, self.group.cap).is_ok();
        self.past_by_form(op).is_ok_and(allows)
    }

    /// V(S), for a parent-closed S; what is not held is passed over.
    pub fn view(&self, set: &Set) -> Rc<View> {
        if let Some(view) = self.views.borrow().get(set) {
            return Rc::clone(view);
        }
        let view = Rc::new(self.look(set));
        self.views.borrow_mut().insert(set.clone(), Rc::clone(&view));
        view
    }

    fn look(&self, set: &Set) -> View {
        let facts: Facts<'_> =
            set.iter().filter_map(|id| self.facts.get(id)).map(|fact| (fact.op.id, fact)).collect();
        let counts = counts(&facts, self.group.cap);
        let counting: Vec<&Fact> =
            facts.into_values().filter(|fact| counts.get(&fact.op.id) == Some(&Ok(()))).collect();
        View { counts, ..show(&counting) }
    }
}
