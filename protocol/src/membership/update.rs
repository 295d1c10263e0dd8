//! What devices tell each other of a group beside its entries (`spec/groups.md`, "Updates").

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;

use crate::codec::{Malformed, Signed};
use crate::ids::{ConversationId, DeviceId, EntryId, OperationHash, UserId};
use crate::keys::{BundleAccess, DeliveryGrant, DeviceList, KeysError, Name};
use crate::limits::{
    PERSON_ADDRESSES_MAX, PERSON_BYTES_MAX, UPDATE_BYTES_MAX, UPDATE_FORKS_MAX, UPDATE_HEADS_MAX,
    UPDATE_WANTS_MAX,
};
use crate::wire;

/// What a device tells another of a group. The operations are checked by the document that takes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupUpdate {
    /// Which group.
    pub group: ConversationId,
    /// Operations that the sender holds, with all that they stand on: at most [`UPDATE_HEADS_MAX`].
    pub heads: Vec<OperationHash>,
    /// Operations that the recipient may lack, parents first.
    pub operations: Vec<Signed>,
    /// Whose operations these are, and who is in.
    pub people: Vec<Person>,
    /// Whether the sender lacks something.
    pub asks: bool,
    /// Members whom the sender can't reach: at most [`UPDATE_WANTS_MAX`].
    pub wants: Vec<UserId>,
    /// Pairs that prove that devices forked: at most [`UPDATE_FORKS_MAX`]. The document that takes them checks them.
    pub forks: Vec<[Signed; 2]>,
    /// Operations that the sender waits for: at most [`UPDATE_HEADS_MAX`].
    pub lacks: Vec<OperationHash>,
}

/// A user, as the sender may let others reach them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// What they call themselves; `None`: the sender does not say.
    pub name: Option<Name>,
    /// Their devices.
    pub device_list: DeviceList,
    /// Where the bundles of active ones lie; of more than [`PERSON_ADDRESSES_MAX`] some are not sent.
    pub bundles: Vec<BundleAccess>,
    /// Their mailboxes, with tokens for the recipient; likewise.
    pub grants: Vec<DeliveryGrant>,
    /// Up to where they wrote in the group, as the sender knows: at most one of each device in the list, revoked ones
    /// included.
    pub written: Vec<Written>,
}

/// The newest entry of a device in a group before which its holder knows of no gap. Whoever puts a user out names it of a
/// device of which they hold nothing themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Which device.
    pub device: DeviceId,
    /// The entry's number; not 0.
    pub seq: u64,
    /// Its id.
    pub entry: EntryId,
}

impl GroupUpdate {
    /// One that says nothing yet.
    pub const fn of(group: ConversationId) -> Self {
        Self {
            group,
            heads: Vec::new(),
            operations: Vec::new(),
            people: Vec::new(),
            asks: false,
            wants: Vec::new(),
            forks: Vec::new(),
            lacks: Vec::new(),
        }
    }

    /// For the wire.
    pub fn to_wire(&self) -> wire::GroupUpdate {
        wire::GroupUpdate {
            group: self.group.to_wire(),
            heads: self.heads.iter().map(OperationHash::to_wire).collect(),
            operations: self.operations.iter().map(Signed::to_wire).collect(),
            people: self.people.iter().map(Person::to_wire).collect(),
            asks: self.asks,
            wants: self.wants.iter().map(UserId::to_wire).collect(),
            forks: self.forks.iter().map(fork_to_wire).collect(),
            lacks: self.lacks.iter().map(OperationHash::to_wire).collect(),
        }
    }

    /// Checks the form, and the signatures of device lists.
    pub fn from_wire(update: wire::GroupUpdate) -> Result<Self, KeysError> {
        if update.heads.len() > UPDATE_HEADS_MAX {
            return Err(Malformed::new("group update", "more than 128 heads").into());
        }
        if update.lacks.len() > UPDATE_HEADS_MAX {
            return Err(Malformed::new("group update", "more than 128 operations are waited for").into());
        }
        if update.forks.len() > UPDATE_FORKS_MAX {
            return Err(Malformed::new("group update", "more than 16 forks").into());
        }
        if update.wants.len() > UPDATE_WANTS_MAX {
            return Err(Malformed::new("group update", "more than 64 people are wanted").into());
        }
        let heads = update.heads.iter().map(|hash| OperationHash::from_slice(hash));
        Ok(Self {
            group: ConversationId::from_slice(&update.group)?,
            heads: heads.collect::<Result<_, _>>()?,
            operations: update.operations.into_iter().map(Signed::from_wire).collect::<Result<_, _>>()?,
            people: update.people.into_iter().map(Person::from_wire).collect::<Result<_, _>>()?,
            asks: update.asks,
            wants: update.wants.iter().map(|user| UserId::from_slice(user)).collect::<Result<_, _>>()?,
            forks: update.forks.into_iter().map(fork_from_wire).collect::<Result<_, _>>()?,
            lacks: update
                .lacks
                .iter()
                .map(|hash| OperationHash::from_slice(hash))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The same in as many updates as it takes for each to fit an envelope: people first, as they say whose operations
    /// the others are. The heads and the question go with the last one.
    pub fn parts(self) -> Vec<Self> {
        let Self { group, heads, operations, people, asks, wants, forks, lacks } = self;
        let empty = || Self::of(group);
        let mut parts = vec![empty()];
        let mut bytes = 0;
        let mut part = |parts: &mut Vec<Self>, size: usize| {
            bytes += size;
            if bytes > UPDATE_BYTES_MAX && bytes > size {
                bytes = size;
                parts.push(empty());
            }
        };
        for person in people.into_iter().map(Person::bounded) {
            part(&mut parts, person.to_wire().encoded_len() + ITEM_BYTES);
            parts.last_mut().into_iter().for_each(|last| last.people.push(person.clone()));
        }
        for fork in forks {
            part(&mut parts, fork_to_wire(&fork).encoded_len() + ITEM_BYTES);
            parts.last_mut().into_iter().for_each(|last| last.forks.push(fork.clone()));
        }
        for operation in operations {
            part(&mut parts, operation.to_wire().encoded_len() + ITEM_BYTES);
            parts.last_mut().into_iter().for_each(|last| last.operations.push(operation.clone()));
        }
        if let Some(last) = parts.last_mut() {
            last.heads = heads;
            last.asks = asks;
            last.wants = wants;
            last.lacks = lacks;
        }
        parts
    }
}

fn fork_to_wire(fork: &[Signed; 2]) -> wire::Fork {
    let [one, other] = fork;
    wire::Fork { one: Some(one.to_wire()), other: Some(other.to_wire()) }
}

fn fork_from_wire(fork: wire::Fork) -> Result<[Signed; 2], Malformed> {
    let one = Signed::required("group update", "operation of a fork", fork.one)?;
    Ok([one, Signed::required("group update", "other operation of a fork", fork.other)?])
}

/// Puts the first of each device before all second ones, and so on.
fn spread<T>(items: Vec<T>, device_of: impl Fn(&T) -> DeviceId) -> Vec<T> {
    let mut counts: BTreeMap<DeviceId, usize> = BTreeMap::new();
    let numbered = items.into_iter().map(|item| {
        let count = counts.entry(device_of(&item)).or_default();
        *count += 1;
        (*count, item)
    });
    let mut numbered: Vec<(usize, T)> = numbered.collect();
    numbered.sort_by_key(|(number, _)| *number);
    numbered.into_iter().map(|(_, item)| item).collect()
}

/// What goes around an item of an update.
const ITEM_BYTES: usize = 8;

impl Person {
    /// The same with as many addresses as may be sent, each device's first ones before others.
    fn bounded(self) -> Self {
        let mut bounded = Self {
            bundles: spread(self.bundles, |access| access.device),
            grants: spread(self.grants, |grant| grant.device),
            ..self
        };
        bounded.bundles.truncate(PERSON_ADDRESSES_MAX);
        bounded.grants.truncate(PERSON_ADDRESSES_MAX);
        while bounded.to_wire().encoded_len() > PERSON_BYTES_MAX {
            let dropped = if bounded.grants.len() > bounded.bundles.len() {
                bounded.grants.pop().is_some()
            } else {
                bounded.bundles.pop().is_some()
            };
            if !dropped {
                break;
            }
        }
        bounded
    }

    fn to_wire(&self) -> wire::Person {
        wire::Person {
            name: self.name.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default(),
            device_list: Some(self.device_list.signed.to_wire()),
            bundles: self.bundles.iter().map(BundleAccess::to_wire).collect(),
            grants: self.grants.iter().map(DeliveryGrant::to_wire).collect(),
            written: self.written.iter().map(Written::to_wire).collect(),
        }
    }

    fn from_wire(person: wire::Person) -> Result<Self, KeysError> {
        if person.bundles.len() > PERSON_ADDRESSES_MAX || person.grants.len() > PERSON_ADDRESSES_MAX {
            return Err(
                Malformed::new("group update", "more than 64 bundles or mailboxes of a person").into()
            );
        }
        if person.encoded_len() > PERSON_BYTES_MAX {
            return Err(Malformed::new("group update", "a person of more than 39 KiB").into());
        }
        let list = Signed::required("group update", "device list", person.device_list)?;
        let device_list = DeviceList::verify(list)?;
        let bundles: Vec<_> =
            person.bundles.into_iter().map(BundleAccess::from_wire).collect::<Result<_, _>>()?;
        let grants: Vec<_> =
            person.grants.into_iter().map(DeliveryGrant::from_wire).collect::<Result<_, _>>()?;
        let bundle_devices = bundles.iter().map(|access| &access.device);
        let mut devices = bundle_devices.chain(grants.iter().map(|grant| &grant.device));
        if devices.any(|device| device_list.active_device(device).is_none()) {
            return Err(KeysError::NotListed);
        }
        let written: Vec<_> = person.written.iter().map(Written::from_wire).collect::<Result<_, _>>()?;
        let of: BTreeSet<DeviceId> = written.iter().map(|written| written.device).collect();
        if of.len() < written.len() {
            return Err(Malformed::new("group update", "a device wrote up to two entries").into());
        }
        if of.iter().any(|device| device_list.device(device).is_none()) {
            return Err(KeysError::NotListed);
        }
        let name = (!person.name.is_empty()).then(|| Name::new(&person.name)).transpose()?;
        Ok(Self { name, device_list, bundles, grants, written })
    }
}

impl Written {
    /// For the wire.
    pub fn to_wire(&self) -> wire::Written {
        wire::Written { device: self.device.to_wire(), seq: self.seq, entry: self.entry.to_wire() }
    }

    /// Checks the form.
    pub fn from_wire(written: &wire::Written) -> Result<Self, Malformed> {
        if written.seq == 0 {
            return Err(Malformed::new("group update", "an entry with the number 0"));
        }
        Ok(Self {
            device: DeviceId::from_slice(&written.device)?,
            seq: written.seq,
            entry: EntryId::from_slice(&written.entry)?,
        })
    }
}
