//! The model itself: examples worked out by hand, and what must hold in any world.

mod entries;
mod outcomes;
mod properties;
mod random;
mod ranks;
mod rules;
mod settings;

use std::collections::BTreeMap;

use super::op::{Cut, Device, Group, Kind, Op, OpId, Role, User};
use super::resolver::{Resolved, resolve};
use super::view::Rule;

pub(super) use Role::{Admin, Member, Owner};

/// A group written by hand. User 0 creates it, in operation 0; device 10 u is the first one of user u. Hashes rise.
struct Book {
    group: Group,
    ops: Vec<Op>,
}

impl Book {
    /// With users 1 and up, added by the creator one after the other.
    fn with(roles: &[Role]) -> Self {
        let mut book = Self { group: Group::new(OpId(0)), ops: Vec::new() };
        book.op(0, &[], Kind::Create);
        for (user, role) in (1..).zip(roles) {
            book.then(0, add(user, *role));
        }
        book
    }

    /// A user does something on top of these.
    fn op(&mut self, author: u32, parents: &[OpId], kind: Kind) -> OpId {
        self.by_device(10 * author, parents, kind)
    }

    /// A device does.
    fn by_device(&mut self, device: u32, parents: &[OpId], kind: Kind) -> OpId {
        let id = OpId(u32::try_from(self.ops.len()).unwrap());
        let (author, device) = (User(device / 10), Device(device));
        let (hash, parents) = (id.0.into(), parents.to_vec());
        self.ops.push(Op { id, hash, author, device, number: 0, parents, kind, signed: true });
        id
    }

    /// A user does something on top of the last operation.
    fn then(&mut self, author: u32, kind: Kind) -> OpId {
        self.op(author, &[self.last()], kind)
    }

    fn last(&self) -> OpId {
        self.ops.last().unwrap().id
    }

    fn edit(&mut self, id: OpId) -> &mut Op {
        self.ops.iter_mut().find(|op| op.id == id).unwrap()
    }

    fn resolve(&self) -> Resolved {
        resolve(self.group, &self.ops)
    }

    /// Who is in, with role and generation.
    fn members(&self) -> Vec<(u32, Role, u32)> {
        let members = self.resolve().members;
        members.into_iter().map(|(user, (role, generation))| (user.0, role, generation)).collect()
    }

    fn counts(&self, id: OpId) -> Result<(), Rule> {
        self.resolve().counts[&id]
    }
}

fn add(user: u32, role: Role) -> Kind {
    Kind::Add { user: User(user), role }
}

fn set(user: u32, role: Role) -> Kind {
    Kind::SetRole { user: User(user), role }
}

fn remove(user: u32) -> Kind {
    Kind::Remove { user: User(user), cut: None }
}

/// Of the first device the operations up to this one.
fn remove_after(user: u32, head: OpId) -> Kind {
    let cut = BTreeMap::from([(Device(10 * user), (Some(head), None))]);
    Kind::Remove { user: User(user), cut: Some(cut) }
}

fn remove_all(user: u32) -> Kind {
    Kind::Remove { user: User(user), cut: Some(Cut::new()) }
}

fn leave() -> Kind {
    Kind::Leave { successor: None }
}

fn leave_to(user: u32) -> Kind {
    Kind::Leave { successor: Some(User(user)) }
}

fn revoke(device: u32, cut: Option<Cut>) -> Kind {
    let cut = cut.unwrap_or_default();
    Kind::DeviceRevoke { user: User(device / 10), device: Device(device), cut }
}
