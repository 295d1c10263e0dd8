//! What happens in a world, one step after the other.

use super::super::op::{Cut, Field, Kind, Op, Role, User};
use super::builder::Builder;

/// So often does one look for something that they may do.
const TRIES: usize = 8;

impl Builder {
    /// The first user creates the group and adds some; all know it.
    pub(super) fn found(&mut self) {
        if let Some(op) = self.draft(0, Vec::new(), Kind::Create) {
            self.put(0, op);
        }
        let members = self.rng.below(6);
        let others: Vec<User> = self.users().into_iter().skip(1).take(members).collect();
        for user in others {
            let role = self.role();
            if let Some(op) = self.draft_on_top(0, Kind::Add { user, role }) {
                self.put(0, op);
            }
        }
        self.sync_all();
    }

    /// Something happens.
    pub(super) fn step(&mut self) {
        let at = self.rng.below(self.replicas.len());
        match self.rng.below(100) {
            0..35 => {
                let from = self.rng.below(self.replicas.len());
                self.sync(from, at);
            }
            35..50 => self.write(at),
            50..82 => self.permitted(at),
            82..86 => self.attempt(at),
            86..90 => self.backdated(at),
            90..92 => self.circle(),
            92..94 => self.puppet(at),
            94..96 => self.again(at),
            96..98 => self.sync_all(),
            _ => self.malformed(at),
        }
    }

    /// Someone does what they may. Who is out could only carry revocations of devices.
    fn permitted(&mut self, at: usize) {
        for _ in 0..TRIES {
            if !self.is_in(at) && !self.rng.happens(3) {
                return;
            }
            let kind = self.kind(at);
            let op = self.draft_on_top(at, kind);
            if let Some(op) = op.filter(|op| self.model.would_allow(op)) {
                return self.put(at, op);
            }
        }
    }

    /// Someone does anything.
    fn attempt(&mut self, at: usize) {
        let kind = self.kind(at);
        if let Some(op) = self.draft_on_top(at, kind) {
            self.put(at, op);
        }
    }

    /// Someone does what they might once, as if they knew no more than then.
    fn backdated(&mut self, at: usize) {
        for _ in 0..TRIES {
            let known = self.replicas.get(at).map(|replica| replica.ops.clone()).unwrap_or_default();
            let parents: Vec<_> = self.rng.pick(known).into_iter().collect();
            let kind = self.kind(at);
            if matches!(kind, Kind::DeviceRevoke { .. }) {
                continue;
            }
            let op: Option<Op> = self.draft(at, parents, kind);
            if let Some(op) = op.filter(|op| self.model.would_allow(op)) {
                return self.put(at, op);
            }
        }
    }

    /// Any operation.
    pub(super) fn kind(&mut self, at: usize) -> Kind {
        let author = self.replicas.get(at).map_or(User(0), |replica| replica.user);
        let user = self.rng.pick(self.users()).unwrap_or(author);
        match self.rng.below(100) {
            0..33 => Kind::Add { user, role: self.role() },
            33..50 => Kind::Remove { user, cut: self.some_cut(at, user) },
            50..77 => Kind::SetRole { user, role: self.role() },
            77..82 => Kind::Leave { successor: self.rng.happens(50).then_some(user) },
            82..84 => self.device_revoke(at),
            _ => self.setting(),
        }
    }

    pub(super) fn role(&mut self) -> Role {
        self.rng.pick([Role::Owner, Role::Admin, Role::Admin, Role::Member]).unwrap_or(Role::Member)
    }

    pub(super) fn some_cut(&mut self, at: usize, user: User) -> Option<Cut> {
        match self.rng.below(10) {
            0..4 => None,
            4..8 => Some(self.cut(at, user, true)),
            8 => Some(self.cut(at, user, false)),
            _ => Some(Cut::new()),
        }
    }

    fn device_revoke(&mut self, at: usize) -> Kind {
        let target = self.rng.below(self.replicas.len());
        let target = self.replicas.get(target).map(|replica| (replica.user, replica.device));
        let Some((user, device)) = target else { return self.setting() };
        let mut cut = self.some_cut(at, user).unwrap_or_default();
        cut.retain(|of, _| *of == device);
        Kind::DeviceRevoke { user, device, cut }
    }

    fn setting(&mut self) -> Kind {
        let field = self.rng.pick([Field::Name, Field::Picture, Field::Timer, Field::Policy, Field::Policy]);
        let value = u32::try_from(self.rng.below(4)).unwrap_or_default();
        Kind::Settings { field: field.unwrap_or(Field::Name), value }
    }
}
