//! Rules 8 to 10: which operations of a set count.

use std::collections::BTreeMap;

use super::allowed::{Right, judge};
use super::fact::{Fact, targets};
use super::op::{Kind, OpId, cut};
use super::view::{Rule, Standing};

/// S.
pub(super) type Facts<'a> = BTreeMap<OpId, &'a Fact>;

/// For each operation of a set, whether it counts there, or what stands against it.
pub(super) fn counts(set: &Facts<'_>, cap: usize) -> BTreeMap<OpId, Result<(), Rule>> {
    let mut counting = Counting { set, cap, memory: BTreeMap::new() };
    set.values().map(|fact| (fact.op.id, counting.counts(fact))).collect()
}

struct Counting<'a> {
    set: &'a Facts<'a>,
    cap: usize,
    memory: BTreeMap<OpId, Result<(), Rule>>,
}

impl Counting<'_> {
    /// Rule 10, with a memory. It comes to an end: a supporter's rank is lower; and a killer's is too, or it is a
    /// revocation of the same rank, which none of the same rank kills.
    fn counts(&mut self, fact: &Fact) -> Result<(), Rule> {
        if let Some(known) = self.memory.get(&fact.op.id) {
            return *known;
        }
        let result = self.judged(fact);
        self.memory.insert(fact.op.id, result);
        result
    }

    fn judged(&mut self, fact: &Fact) -> Result<(), Rule> {
        fact.allowed?;
        if fact.standing == Some(Standing::BelowAll) {
            return Ok(());
        }
        let set = self.set;
        let author = fact.before.members.get(&fact.op.author);
        let mut grants = author.into_iter().flat_map(|author| &author.grants).filter_map(|id| set.get(id));
        if !grants.any(|grant| self.counts(grant).is_ok()) {
            return Err(Rule::Supported);
        }
        if set.values().any(|r| self.would_kill(r, fact) && self.counts(r).is_ok()) {
            return Err(Rule::Killed);
        }
        Ok(())
    }

    /// Rule 9: whether r kills o if r counts.
    fn would_kill(&self, r: &Fact, o: &Fact) -> bool {
        targets(&r.op, &o.op)
            && self.removes_right(r, o)
            && !o.past.contains(&r.op.id)
            && !self.is_within_cut(r, o)
            && r.standing.is_some()
            && (r.standing < o.standing || (r.standing == o.standing && !o.is_revocation))
    }

    /// Whether r takes from o's author what o needs. A lowering does if its target could not do this, in the same view,
    /// with the rank that is left to them, and not acting as owner.
    fn removes_right(&self, r: &Fact, o: &Fact) -> bool {
        match (&r.op.kind, r.grant) {
            (Kind::Remove { .. } | Kind::DeviceRevoke { .. }, _) => true,
            (Kind::SetRole { .. }, Some((_, rank))) if r.is_revocation => {
                judge(&o.before, &o.op, Right { rank, acts: false }, self.cap).is_err()
            }
            _ => false,
        }
    }

    /// A cut that is given takes the place of past(r). It covers the head that it names of o's device, and its past.
    fn is_within_cut(&self, r: &Fact, o: &Fact) -> bool {
        if matches!(r.op.kind, Kind::Remove { cut: None, .. } | Kind::SetRole { .. }) {
            return r.past.contains(&o.op.id);
        }
        let cut = cut(&r.op);
        let Some((Some(head), _)) = cut.get(&o.op.device) else { return false };
        let head = self.set.get(head);
        head.is_some_and(|head| head.op.id == o.op.id || head.past.contains(&o.op.id))
    }
}
