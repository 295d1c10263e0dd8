//! The membership of a group, worked out anew from signed bytes by the model of the rules that `spec/groups.md` gives. Of
//! the document nothing is used but the bytes that it carries: hashes are made here, after the spec.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::{Signature, VerifyingKey};
use prost::Message;
use sha2::{Digest, Sha256};
use undertone_protocol::testing::membership_model::{ADMIN, Cut, Entry, Kind, MEMBER, Model, OWNER, Op};
use undertone_protocol::wire::{self, operation::Action};

use super::super::reference::{self, Id};
use super::anchored::{Stands, anchored, forks};

/// The rules of a group with all operations that somebody holds; users, devices, operations and entries are called by
/// numbers.
pub(super) struct Membership {
    pub(super) model: Model,
    numbers: Numbers,
    /// What is not left out since its device forked.
    pub(super) anchored: BTreeSet<Id>,
    /// Where devices forked: the number that they gave twice.
    pub(super) forks: BTreeMap<Id, u32>,
}

/// What its members are called by the model. Of operations the order is that of the hashes.
#[derive(Default)]
struct Numbers {
    operations: BTreeMap<Id, usize>,
    others: BTreeMap<Id, usize>,
}

impl Numbers {
    fn other(&mut self, id: &[u8]) -> Result<usize, String> {
        let id = id_of(id)?;
        let next = self.others.len();
        Ok(*self.others.entry(id).or_insert(next))
    }

    /// Of one that need not be there: nobody holds what this gives otherwise.
    fn named(&self, hash: &[u8]) -> Result<usize, String> {
        Ok(self.operations.get(&id_of(hash)?).copied().unwrap_or(usize::MAX))
    }

    fn operation(&self, hash: &[u8]) -> Result<usize, String> {
        let number = id_of(hash).map(|hash| self.operations.get(&hash).copied())?;
        number.ok_or_else(|| format!("nobody holds the operation {}", data_encoding::HEXLOWER.encode(hash)))
    }
}

/// An operation as it was signed, with its hash and the number of its op in the document.
struct Read {
    operation: wire::Operation,
    number: u64,
}

impl Membership {
    /// Of these signed operations, of which those that are `there`, with what proves that devices forked, can be known;
    /// `users` are the users of all devices.
    pub(super) fn of(
        signed: &[wire::Signed],
        there: &[wire::Signed],
        proofs: &[[wire::Signed; 2]],
        users: &BTreeMap<Id, Id>,
    ) -> Result<Self, String> {
        let operations = read_all(signed)?;
        let forks = forks_of(there, proofs)?;
        let numbered = operations.keys().copied().enumerate().map(|(at, hash)| (hash, at)).collect();
        let mut numbers = Numbers { operations: numbered, ..Numbers::default() };
        let mut ops = BTreeMap::new();
        for (hash, read) in &operations {
            let op = op(read, users, &mut numbers)?;
            ops.insert(numbers.operation(hash)?, op);
        }
        let anchored = anchored(&stands(&read_all(there)?)?, &forks);
        let numbered = anchored.iter().map(|hash| numbers.operation(hash)).collect::<Result<_, _>>()?;
        let mut model = Model::new(ops);
        model.anchored = Some(numbered);
        Ok(Self { model, numbers, anchored, forks })
    }

    /// Whether these are the operations that are anchored.
    pub(super) fn are_anchored(&self, held: &BTreeSet<Id>) -> Result<(), String> {
        if *held == self.anchored {
            return Ok(());
        }
        let more: Vec<Id> = held.difference(&self.anchored).copied().collect();
        let fewer: Vec<Id> = self.anchored.difference(held).copied().collect();
        let (more, fewer) = (self.called(&more), self.called(&fewer));
        Err(format!(
            "members take {more} for anchored, and leave {fewer} out; forks {:?}",
            self.forks.values()
        ))
    }

    /// Who is in, with their roles, by all operations.
    pub(super) fn members(&mut self) -> BTreeMap<Id, u32> {
        let view = self.model.everything();
        self.named(view.members.iter().map(|(user, (role, _))| (*user, *role)))
    }

    /// Who acts as owner, if there is none.
    pub(super) fn acting(&mut self) -> Option<Id> {
        let view = self.model.everything();
        let acting = view.acting.map(|user| (user, OWNER));
        self.named(acting).into_keys().next()
    }

    /// The operations, for the report of a failure.
    pub(super) fn described(&mut self) -> String {
        let view = self.model.everything();
        let users: BTreeMap<usize, String> =
            self.numbers.others.iter().map(|(id, number)| (*number, reference::hex(id))).collect();
        let ops = self.model.ops.iter().map(|(id, op)| {
            let user = users.get(&op.user).and_then(|user| user.get(..8)).unwrap_or_default();
            format!(
                "{id} by {user} after {:?}, counts: {}: {:?}",
                op.parents,
                view.counts.contains(id),
                op.kind
            )
        });
        let ops: Vec<String> = ops.collect();
        let users: Vec<String> = users.into_iter().map(|(number, id)| format!("{number} = {id}")).collect();
        format!("{}\n{}", ops.join("\n"), users.join("\n"))
    }

    /// What the operations are called in that report.
    pub(super) fn called(&self, heads: &[Id]) -> String {
        format!("{:?}", heads.iter().map(|head| self.numbers.operations.get(head)).collect::<Vec<_>>())
    }

    /// Who was ever put out, or left, whether it counts in the end or not. What its author had no right to never did.
    pub(super) fn ever_out(&mut self) -> BTreeSet<Id> {
        let out = |(id, op): (&usize, &Op)| match op.kind {
            Kind::Remove { target, .. } => Some((*id, target)),
            Kind::Leave { .. } => Some((*id, op.user)),
            _ => None,
        };
        let all: Vec<(usize, usize)> = self.model.ops.iter().filter_map(out).collect();
        let counted =
            all.into_iter().filter(|(id, _)| self.model.at(&BTreeSet::from([*id])).counts.contains(id));
        let out: Vec<(usize, u32)> = counted.map(|(_, user)| (user, OWNER)).collect();
        self.named(out).into_keys().collect()
    }

    /// Who is in, with their roles, for somebody who knew these operations.
    pub(super) fn members_at(&mut self, heads: &[Id]) -> Result<BTreeMap<Id, u32>, String> {
        let heads = self.heads(heads)?;
        let view = self.model.at(&heads);
        Ok(self.named(view.members.iter().map(|(user, (role, _))| (*user, *role))))
    }

    /// Whether an entry counts, of which these entries of its device are no earlier.
    pub(super) fn counts(
        &mut self,
        user: &Id,
        device: &Id,
        heads: &[Id],
        not_before: &[Id],
    ) -> Result<bool, String> {
        let mut below = BTreeSet::new();
        for entry in not_before {
            below.insert(self.numbers.other(entry)?);
        }
        let entry = Entry {
            user: self.numbers.other(user)?,
            device: self.numbers.other(device)?,
            heads: self.heads(heads)?,
            below,
        };
        Ok(self.model.entry_counts(&entry))
    }

    fn heads(&self, heads: &[Id]) -> Result<BTreeSet<usize>, String> {
        heads.iter().map(|head| self.numbers.operation(head)).collect()
    }

    fn named(&self, numbers: impl IntoIterator<Item = (usize, u32)>) -> BTreeMap<Id, u32> {
        let roles: BTreeMap<usize, u32> = numbers.into_iter().collect();
        let others = self.numbers.others.iter();
        others.filter_map(|(id, number)| Some((*id, *roles.get(number)?))).collect()
    }
}

/// All of them by hash: of each the parents are there.
fn read_all(signed: &[wire::Signed]) -> Result<BTreeMap<Id, Read>, String> {
    let mut left: Vec<(&wire::Signed, wire::Operation)> = Vec::new();
    let mut seen = BTreeSet::new();
    for signed in signed.iter().filter(|signed| seen.insert(signed.body.clone())) {
        left.push((signed, verified(signed)?));
    }
    let mut read: BTreeMap<Id, Read> = BTreeMap::new();
    while !left.is_empty() {
        let (ready, rest): (Vec<_>, Vec<_>) = left.into_iter().partition(|(_, operation)| {
            operation
                .parents
                .iter()
                .all(|parent| id_of(parent).is_ok_and(|parent| read.contains_key(&parent)))
        });
        if ready.is_empty() {
            return Err(format!("the parents of {} operations are held by nobody", rest.len()));
        }
        for (signed, operation) in ready {
            let parents =
                operation.parents.iter().map(|parent| id_of(parent)).collect::<Result<Vec<_>, _>>()?;
            let before = parents.iter().filter_map(|parent| read.get(parent)).map(|read| read.number).max();
            let number = before.unwrap_or(0) + 1;
            read.insert(hash(&signed.body, &parents, number), Read { operation, number });
        }
        left = rest;
    }
    Ok(read)
}

fn stands(operations: &BTreeMap<Id, Read>) -> Result<BTreeMap<Id, Stands>, String> {
    let mut stands = BTreeMap::new();
    for (hash, Read { operation, .. }) in operations {
        let parents = operation.parents.iter().map(|parent| id_of(parent)).collect::<Result<_, _>>()?;
        let (device, number) = (id_of(&operation.device)?, operation.number);
        stands.insert(*hash, Stands { device, number, parents });
    }
    Ok(stands)
}

/// Where devices forked, by all that was signed.
fn forks_of(signed: &[wire::Signed], proofs: &[[wire::Signed; 2]]) -> Result<BTreeMap<Id, u32>, String> {
    let mut given = Vec::new();
    for signed in signed.iter().chain(proofs.iter().flatten()) {
        let operation = verified(signed)?;
        given.push((&signed.body[..], id_of(&operation.device)?, operation.number));
    }
    Ok(forks(given.into_iter()))
}

fn verified(signed: &wire::Signed) -> Result<wire::Operation, String> {
    let operation =
        wire::Operation::decode(signed.body.clone()).map_err(|_| "a device holds no operation")?;
    let key = VerifyingKey::from_bytes(&id_of(&operation.device)?).map_err(|_| "its device is no key")?;
    let signature = Signature::from_slice(&signed.signature).map_err(|_| "no signature")?;
    let message = [b"undertone v1 operation\0", &signed.body[..]].concat();
    key.verify_strict(&message, &signature).map_err(|_| "its device did not sign an operation")?;
    Ok(operation)
}

/// The hash of the change that carries an operation ("The document").
fn hash(operation: &[u8], parents: &[Id], number: u64) -> Id {
    let mut meta = vec![0x7f];
    uleb(&mut meta, 16 * operation.len() as u64 + 7);
    let actor = blake3::derive_key("undertone v1 operation actor", operation);
    let key = data_encoding::HEXLOWER.encode(blake3::hash(operation).as_bytes());
    let mut content = Vec::new();
    uleb(&mut content, parents.len() as u64);
    parents.iter().for_each(|parent| content.extend(parent));
    content.push(0x20);
    content.extend(actor);
    content.push(1);
    uleb(&mut content, number);
    content.extend([0, 0, 0, 0x06, 0x15, 0x42, 0x34, 0x01, 0x42, 0x02, 0x56]);
    uleb(&mut content, meta.len() as u64);
    content.push(0x57);
    uleb(&mut content, operation.len() as u64);
    content.extend([0x70, 0x02, 0x7f, 0x40]);
    content.extend(key.as_bytes());
    content.extend([0x01, 0x7f, 0x01]);
    content.extend(meta);
    content.extend(operation);
    content.extend([0x7f, 0]);
    let mut change = vec![1];
    uleb(&mut change, content.len() as u64);
    change.extend(content);
    Sha256::digest(&change).into()
}

fn uleb(bytes: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

fn op(read: &Read, users: &BTreeMap<Id, Id>, numbers: &mut Numbers) -> Result<Op, String> {
    let operation = &read.operation;
    let device = id_of(&operation.device)?;
    let user = users.get(&device).ok_or("an operation of nobody's device")?;
    let parents =
        operation.parents.iter().map(|parent| numbers.operation(parent)).collect::<Result<_, _>>()?;
    let action = operation.action.as_ref().ok_or("an operation that does nothing")?;
    Ok(Op {
        user: numbers.other(user)?,
        device: numbers.other(&device)?,
        parents,
        kind: kind(action, numbers)?,
    })
}

fn kind(action: &Action, numbers: &mut Numbers) -> Result<Kind, String> {
    Ok(match action {
        Action::Create(create) => {
            let cap = if create.cap == 0 { 1_024 } else { create.cap };
            Kind::Create { cap: usize::try_from(cap).unwrap_or(usize::MAX), name: None }
        }
        Action::Add(add) => Kind::Add { target: numbers.other(&add.user)?, role: role(add.role)? },
        Action::Remove(remove) => {
            let cut = remove.cut.as_ref().map(|cut| cut_of(cut, numbers)).transpose()?;
            Kind::Remove { target: numbers.other(&remove.user)?, cut }
        }
        Action::SetRole(set) => Kind::SetRole { target: numbers.other(&set.user)?, role: role(set.role)? },
        Action::Leave(leave) => {
            let successor = (!leave.successor.is_empty()).then(|| numbers.other(&leave.successor));
            Kind::Leave { successor: successor.transpose()? }
        }
        Action::DeviceRevoke(signed) => {
            let revoke = wire::DeviceRevoke::decode(signed.body.clone()).map_err(|_| "no revocation")?;
            Kind::DeviceRevoke {
                target: numbers.other(&revoke.user)?,
                device: numbers.other(&revoke.device)?,
                cut: cut_at(&revoke.operation_head, &revoke.head, numbers)?,
            }
        }
        Action::Settings(settings) => {
            let add = settings.may_add.map(role).transpose()?;
            Kind::Settings { name: None, add }
        }
        Action::InviteLink(_) => Kind::InviteLink,
        Action::InviteRevoke(revoke) => Kind::InviteRevoke { link: numbers.named(&revoke.link)? },
    })
}

fn cut_of(cut: &wire::Cut, numbers: &mut Numbers) -> Result<BTreeMap<usize, Cut>, String> {
    let mut devices = BTreeMap::new();
    for device in &cut.devices {
        let at = cut_at(&device.operation_head, &device.entry_head, numbers)?;
        devices.insert(numbers.other(&device.device)?, at);
    }
    Ok(devices)
}

fn cut_at(operation: &[u8], entry: &[u8], numbers: &mut Numbers) -> Result<Cut, String> {
    let operation = (!operation.is_empty()).then(|| numbers.named(operation)).transpose()?;
    let entry = (!entry.is_empty()).then(|| numbers.other(entry)).transpose()?;
    Ok(Cut { operation, entry })
}

fn role(role: i32) -> Result<u32, String> {
    match role {
        1 => Ok(OWNER),
        2 => Ok(ADMIN),
        3 => Ok(MEMBER),
        _ => Err("no role".to_owned()),
    }
}

fn id_of(bytes: &[u8]) -> Result<Id, String> {
    reference::id_of(bytes)
}
