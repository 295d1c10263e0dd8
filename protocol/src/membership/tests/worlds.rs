//! Random groups: a few users with two devices each, who know more or less of what the others did.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::codec::Signed;
use crate::ids::{ConversationId, DeviceId, DeviceListHash, EntryId, Handle, OperationHash, UserId};
use crate::keys::{DeviceRevoke, DeviceRevokeFields, Name};
use crate::membership::*;
use crate::testing::membership_model::{
    ADMIN, Cut, Device, Entry, Id, Kind, MEMBER, Model, OWNER, Op, User, View,
};

pub(super) const USERS: usize = 8;
pub(super) const DEVICES: usize = 2;

/// What one step of a world is made of; all numbers are taken modulo what there is.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) user: usize,
    pub(super) device: usize,
    pub(super) kind: u8,
    pub(super) target: usize,
    pub(super) role: u32,
    /// What it stands on: how far back each lies; none: all heads.
    pub(super) back: Vec<usize>,
    pub(super) extra: usize,
}

pub(super) fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let back = prop_oneof![3 => Just(Vec::new()), 4 => prop::collection::vec(0..6_usize, 1..3), 1 => prop::collection::vec(0..40_usize, 1..4)];
    let step = (0..USERS, 0..DEVICES, 0..20_u8, 0..USERS, 0..3_u32, back, 0..64_usize);
    let step = step.prop_map(|(user, device, kind, target, role, back, extra)| Step {
        // The first few users act the most: they have something to say.
        user: if extra % 3 == 0 { user } else { user % 3 },
        device,
        kind,
        target,
        role,
        back,
        extra,
    });
    prop::collection::vec(step, 1..most)
}

/// A world as it grows.
#[derive(Debug, Clone, Default)]
pub(super) struct Growing {
    pub(super) ops: BTreeMap<Id, Op>,
    pub(super) order: Vec<Id>,
}

impl Growing {
    pub(super) fn new(cap: usize) -> Self {
        let mut world = Self::default();
        world.push(Op { user: 0, device: 0, parents: Vec::new(), kind: Kind::Create { cap, name: None } });
        world
    }

    fn push(&mut self, op: Op) {
        // Ids must not ascend with the order in which operations are made.
        let id = (self.order.len() * 37 + 11) % 101;
        self.ops.insert(id, op);
        self.order.push(id);
    }

    pub(super) fn step(&mut self, step: &Step) {
        let model = Model::new(self.ops.clone());
        let parents = self.parents(&model, &step.back);
        let mut past: BTreeSet<Id> = parents.iter().copied().collect();
        past.extend(parents.iter().flat_map(|parent| model.past(*parent)));
        let device = step.user * DEVICES + step.device;
        let kind = self.kind(step, &past);
        self.push(Op { user: step.user, device, parents, kind });
    }

    /// The maximal ones of those that lie so far back.
    fn parents(&self, model: &Model, back: &[usize]) -> Vec<Id> {
        let chosen: BTreeSet<Id> = match back {
            [] => self.order.iter().copied().collect(),
            _ => back.iter().map(|back| self.order[self.order.len() - 1 - back % self.order.len()]).collect(),
        };
        let below: BTreeSet<Id> = chosen.iter().flat_map(|id| model.past(*id)).collect();
        chosen.difference(&below).copied().take(8).collect()
    }

    fn kind(&self, step: &Step, past: &BTreeSet<Id>) -> Kind {
        let (target, role) = (step.target, step.role);
        match step.kind {
            0..=5 => Kind::Add { target, role },
            6..=7 => Kind::Remove { target, cut: None },
            8 => Kind::Remove { target, cut: Some(self.cut(step, past)) },
            9..=12 => Kind::SetRole { target, role },
            13 => Kind::Leave { successor: step.extra.is_multiple_of(2).then_some(target) },
            14..=15 => {
                let device = target * DEVICES + step.extra % DEVICES;
                Kind::DeviceRevoke { target, device, cut: self.head(device, step.extra, past) }
            }
            16 => Kind::Settings { name: Some(u32::try_from(step.extra).unwrap()), add: None },
            17 => Kind::Settings { name: None, add: Some(role) },
            18 => Kind::InviteLink,
            _ => Kind::InviteRevoke { link: *past.iter().nth(step.extra % past.len()).unwrap() },
        }
    }

    fn cut(&self, step: &Step, past: &BTreeSet<Id>) -> BTreeMap<Device, Cut> {
        let devices = (0..DEVICES).filter(|device| step.extra >> device & 1 == 0);
        let mut cut = BTreeMap::new();
        for device in devices.map(|device| step.target * DEVICES + device) {
            let head = self.head(device, step.extra / 4, past);
            if head != Cut::default() {
                cut.insert(device, head);
            }
        }
        cut
    }

    /// An operation of the device that is known; now and then one that is not.
    fn head(&self, device: Device, extra: usize, past: &BTreeSet<Id>) -> Cut {
        let stray = extra % 13 == 12;
        let own = self.order.iter().copied().filter(|id| self.ops[id].device == device);
        let own: Vec<Id> = own.filter(|id| stray || past.contains(id)).collect();
        let entry = (!extra.is_multiple_of(5)).then_some(extra % 7);
        Cut { operation: own.get(extra % (own.len() + 1)).copied(), entry }
    }
}

pub(super) fn grown(steps: &[Step], cap: usize) -> Growing {
    let mut world = Growing::new(cap);
    steps.iter().for_each(|step| world.step(step));
    world
}

pub(super) fn hash(id: Id) -> OperationHash {
    OperationHash::new(wide(id))
}

pub(super) fn user(user: User) -> UserId {
    UserId::new(wide(user + 1))
}

pub(super) fn device(device: Device) -> DeviceId {
    DeviceId::new(wide(device + 1))
}

pub(super) fn entry(entry: Id) -> EntryId {
    EntryId::new(wide(entry))
}

fn wide(number: usize) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[30..].copy_from_slice(&u16::try_from(number).unwrap().to_be_bytes());
    bytes
}

pub(super) fn role(role: u32) -> Role {
    match role {
        OWNER => Role::Owner,
        ADMIN => Role::Admin,
        MEMBER => Role::Member,
        other => panic!("role {other}"),
    }
}

/// The operation as the resolver takes it.
pub(super) fn placed(id: Id, op: &Op) -> Placed {
    Placed {
        hash: hash(id),
        user: user(op.user),
        device: device(op.device),
        parents: op.parents.iter().copied().map(hash).collect(),
        action: action(&op.kind),
    }
}

pub(super) fn action(kind: &Kind) -> Action {
    match kind {
        Kind::Create { cap, .. } => {
            Action::Create(Create { salt: [0; 16], cap: *cap, settings: SettingsChange::default() })
        }
        Kind::Add { target, role: given } => Action::Add { user: user(*target), role: role(*given) },
        Kind::Remove { target, cut } => Action::Remove {
            user: user(*target),
            cut: cut.as_ref().map(|cut| crate::membership::Cut {
                devices: cut.iter().map(|(id, cut)| (device(*id), heads(cut))).collect(),
            }),
        },
        Kind::SetRole { target, role: given } => Action::SetRole { user: user(*target), role: role(*given) },
        Kind::Leave { successor } => Action::Leave { successor: successor.map(user) },
        Kind::DeviceRevoke { target, device: id, cut } => {
            Action::DeviceRevoke(Box::new(revoke(*target, *id, *cut)))
        }
        Kind::Settings { name, add } => Action::Settings(SettingsChange {
            name: name.map(|name| Name::new(&name.to_string()).unwrap()),
            may_add: add.map(role),
            ..SettingsChange::default()
        }),
        Kind::InviteLink => Action::InviteLink { handle: Handle::new([7; 8]), not_after: None },
        Kind::InviteRevoke { link } => Action::InviteRevoke { link: hash(*link) },
    }
}

fn heads(cut: &Cut) -> CutHeads {
    CutHeads { operation: cut.operation.map(hash), entry: cut.entry.map(entry) }
}

fn revoke(target: User, id: Device, cut: Cut) -> DeviceRevoke {
    let fields = DeviceRevokeFields {
        user: user(target),
        list: DeviceListHash::new([0; 32]),
        device: device(id),
        conversation: ConversationId::new([0; 32]),
        cut: cut.entry.map(|head| (1, entry(head))),
    };
    let signed = Signed { body: bytes::Bytes::new(), signature: [0; 64] };
    DeviceRevoke { fields, operation_head: cut.operation.map(hash), signed }
}

/// Everything in this order.
pub(super) fn resolved(world: &Growing, order: &[Id]) -> Resolver {
    let mut resolver = Resolver::default();
    for id in order {
        resolver.place(placed(*id, &world.ops[id])).unwrap();
    }
    resolver
}

/// Another order in which parents come first.
pub(super) fn shuffled(world: &Growing, seed: &[usize]) -> Vec<Id> {
    let mut left = world.order.clone();
    let mut order = Vec::new();
    let mut seed = seed.iter().cycle();
    while !left.is_empty() {
        let ready: Vec<Id> = left
            .iter()
            .copied()
            .filter(|id| world.ops[id].parents.iter().all(|parent| order.contains(parent)))
            .collect();
        let next = ready[seed.next().unwrap_or(&0) % ready.len()];
        left.retain(|id| *id != next);
        order.push(next);
    }
    order
}

/// The resolver's view in the model's terms.
pub(super) fn compare(resolver: &mut Resolver, model: &View, ids: &[Id]) -> Result<(), TestCaseError> {
    let view = resolver.view();
    compare_views(&view, model)?;
    for id in ids {
        let verdict = resolver.verdict(&hash(*id)).unwrap();
        let void = match verdict {
            Verdict::Counts => None,
            Verdict::Forbidden(forbidden) => Some(forbidden.rule),
            Verdict::Unsupported => Some(8),
            Verdict::Killed(_) => Some(9),
            Verdict::LeftOut => Some(1),
        };
        prop_assert_eq!(void, model.void.get(id).copied(), "operation {}", id);
        prop_assert_eq!(void.is_none(), model.counts.contains(id), "operation {}", id);
    }
    Ok(())
}

pub(super) fn compare_views(view: &crate::membership::View, model: &View) -> Result<(), TestCaseError> {
    let rank = |(given, generation): (u32, u32)| Rank { role: role(given), generation };
    let members: BTreeMap<UserId, Member> = model
        .members
        .iter()
        .map(|(id, given)| {
            (user(*id), Member { rank: rank(*given), grant: hash(*model.grants[id].first().unwrap()) })
        })
        .collect();
    prop_assert_eq!(&view.members, &members);
    let past: BTreeMap<UserId, Rank> = model.past.iter().map(|(id, last)| (user(*id), rank(*last))).collect();
    prop_assert_eq!(&view.past_members, &past);
    prop_assert_eq!(view.acting_owner, model.acting.map(user));
    prop_assert_eq!(
        view.settings.name.as_ref().map(|name| name.as_str().to_owned()),
        model.name.map(|name| name.to_string())
    );
    prop_assert_eq!(view.settings.may_add, role(model.add));
    let links: Vec<OperationHash> = model.links.iter().copied().map(hash).collect();
    prop_assert_eq!(view.links.keys().copied().collect::<Vec<_>>(), links);
    let revoked: BTreeSet<(UserId, DeviceId)> =
        model.revoked.iter().map(|(owner, id)| (user(*owner), device(*id))).collect();
    prop_assert_eq!(&view.revoked_devices, &revoked);
    Ok(())
}

/// An entry's place in the model's terms.
pub(super) fn entry_of(model: &Model, author: User, id: Device, heads: &[Id], below: &[Id]) -> Entry {
    let known: BTreeSet<Id> = heads.iter().copied().filter(|head| model.ops.contains_key(head)).collect();
    Entry { user: author, device: id, heads: known, below: below.iter().copied().collect() }
}
