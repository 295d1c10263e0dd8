//! Devices that forked, and what is left out of the view for it: the plainest reading of "Forks" in `spec/groups.md`.
//! It stands apart from the rules, which look at what is left.

use std::collections::{BTreeMap, BTreeSet};

use super::op::{Device, Kind, NUMBER_MAX, Op, OpId};
use super::resolver::Model;
use super::view::Set;

/// Which number an operation counts as having.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// That which it says.
    Given,
    /// The right one for where it stands, so that more worlds have forks of good form in them.
    Right,
}

/// What a replica holds that was given all of a world, and what of it is anchored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchored {
    /// What has a good form, its number among it.
    pub held: Set,
    /// What of these the view is of.
    pub anchored: Set,
}

impl Anchored {
    /// Of these operations, which the model knows.
    pub fn of(model: &Model, ops: &[Op], numbers: Numbers) -> Self {
        let mut held: BTreeMap<OpId, (Device, usize)> = BTreeMap::new();
        loop {
            let before = held.len();
            for op in ops {
                let Some(past) = model.past_of(op) else { continue };
                let right =
                    past.iter().all(|id| held.contains_key(id)).then(|| number(model, &past, op)).flatten();
                let given = usize::try_from(op.number).ok();
                if right.is_some() && (numbers == Numbers::Right || right == given) {
                    held.extend(right.map(|number| (op.id, (op.device, number))));
                }
            }
            if held.len() == before {
                break;
            }
        }
        let forks = forks(model, ops, &held, numbers);
        let holds = |id: &OpId, (device, number): &(Device, usize)| {
            model.op(*id).is_some_and(|op| op.kind == Kind::Create)
                || forks.get(device).is_none_or(|fork| number < fork)
        };
        let mut anchored: Set =
            held.iter().filter(|(id, place)| holds(id, place)).map(|(id, _)| *id).collect();
        let tops: Vec<OpId> = anchored.iter().copied().collect();
        anchored.extend(model.closure(&tops).unwrap_or_default());
        Self { held: held.into_keys().collect(), anchored }
    }
}

/// How many of its device come before an operation; none if these stand apart from each other, or those of a device
/// whose operation it names as a parent.
fn number(model: &Model, past: &Set, op: &Op) -> Option<usize> {
    let parents = op.parents.iter().filter_map(|id| model.op(*id)).map(|parent| parent.device);
    let devices: BTreeSet<Device> = parents.chain([op.device]).collect();
    devices.iter().all(|device| is_chain(model, past, *device)).then(|| own(model, past, op.device).len())
}

fn own(model: &Model, set: &Set, device: Device) -> Vec<OpId> {
    set.iter().copied().filter(|id| model.op(*id).is_some_and(|op| op.device == device)).collect()
}

fn is_chain(model: &Model, set: &Set, device: Device) -> bool {
    let own = own(model, set, device);
    let below = |a: &OpId, b: &OpId| {
        model.op(*b).and_then(|op| model.past_of(op)).is_some_and(|past| past.contains(a))
    };
    own.iter().all(|a| own.iter().all(|b| a == b || below(a, b) || below(b, a)))
}

/// Where each device forks: at the least number that it gave twice, whether or not there is a place for both.
fn forks(
    model: &Model,
    ops: &[Op],
    held: &BTreeMap<OpId, (Device, usize)>,
    numbers: Numbers,
) -> BTreeMap<Device, usize> {
    let mut given: BTreeMap<(Device, usize), BTreeSet<OpId>> = BTreeMap::new();
    for op in ops {
        let place = match numbers {
            Numbers::Right => held.get(&op.id).copied(),
            Numbers::Given => usize::try_from(op.number).ok().map(|number| (op.device, number)),
        };
        let creates = op.kind == Kind::Create;
        let is_proof = op.signed && op.number <= NUMBER_MAX && (!creates || model.op(op.id).is_some());
        if let Some(place) = place.filter(|_| is_proof) {
            given.entry(place).or_default().insert(op.id);
        }
    }
    let mut forks = BTreeMap::new();
    for ((device, number), _) in given.iter().filter(|(_, ids)| ids.len() > 1) {
        // Numbers ascend.
        forks.entry(*device).or_insert(*number);
    }
    forks
}
