//! Operations that no group takes in.

use super::super::op::{Kind, NUMBER_MAX, Op, OpId, Role};
use super::builder::Builder;

impl Builder {
    /// Someone writes what is malformed, and perhaps something on top of it.
    pub(super) fn malformed(&mut self, at: usize) {
        let kind = self.kind(at);
        let Some(op) = self.draft_on_top(at, kind) else { return };
        let op = self.spoil(at, op);
        let id = op.id;
        self.put(at, op);
        if self.rng.happens(50) {
            let kind = self.kind(at);
            if let Some(op) = self.draft(at, vec![id], kind) {
                self.put(at, op);
            }
        }
    }

    fn spoil(&mut self, at: usize, op: Op) -> Op {
        let known = self.replicas.get(at).map(|replica| replica.ops.clone()).unwrap_or_default();
        match self.rng.below(10) {
            0 => Op { kind: Kind::Create, parents: Vec::new(), ..op },
            1 => Op { kind: Kind::Create, ..op },
            2 => Op { parents: Vec::new(), ..op },
            3 => Op { parents: self.with_ancestor(at), ..op },
            4 => Op { parents: known.into_iter().rev().take(9).collect(), ..op },
            5 => Op { parents: op.parents.iter().chain(&op.parents).copied().collect(), ..op },
            6 => Op { parents: vec![OpId(u32::MAX)], ..op },
            7 => Op { number: NUMBER_MAX + 1, ..op },
            8 => Op { parents: vec![op.id], ..op },
            _ => Op { signed: false, kind: self.weighty(at), ..op },
        }
    }

    /// What would change much, if it counted.
    fn weighty(&mut self, at: usize) -> Kind {
        let user = self.rng.pick(self.users());
        match user {
            Some(user) if self.rng.happens(50) => Kind::SetRole { user, role: Role::Owner },
            _ => self.kind(at),
        }
    }
}
