//! Devices that forked: what is left out, against the plainest reading of `spec/groups.md`, "Forks".

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::worlds::*;
use crate::membership::*;
use crate::testing::membership_model::{Device, Entry, Id, Model};

impl Model {
    /// How many operations of a device are in a set; `None` if two of them stand apart from each other.
    pub(super) fn chain_in(&self, device: Device, set: &BTreeSet<Id>) -> Option<usize> {
        let own: Vec<Id> = set.iter().copied().filter(|id| self.ops[id].device == device).collect();
        let apart = |a: &Id, b: &Id| a != b && !self.past(*a).contains(b) && !self.past(*b).contains(a);
        let forked = own.iter().any(|a| own.iter().any(|b| apart(a, b)));
        (!forked).then_some(own.len())
    }

    /// The right number of an operation of this device with these parents, if it has a good form.
    pub(super) fn number_for(&self, device: Device, parents: &[Id]) -> Option<usize> {
        let mut past: BTreeSet<Id> = parents.iter().copied().collect();
        past.extend(parents.iter().flat_map(|parent| self.past(*parent)));
        let stand = parents.iter().all(|parent| self.chain_in(self.ops[parent].device, &past).is_some());
        self.chain_in(device, &past).filter(|_| stand)
    }

    /// Whether an entry's heads have a good form: they are as an operation's parents.
    pub(super) fn may_name(&self, entry: &Entry) -> bool {
        let heads: Vec<Id> = entry.heads.iter().copied().collect();
        self.number_for(Device::MAX, &heads).is_some()
    }

    pub(super) fn number(&self, id: Id) -> usize {
        self.number_for(self.ops[&id].device, &self.ops[&id].parents).unwrap()
    }

    /// The least number that each device gave twice, in the set or in what else is known.
    pub(super) fn forks(&self, known: &BTreeSet<(Device, usize)>) -> BTreeMap<Device, usize> {
        let mut forks = BTreeMap::new();
        let numbered = |id: &Id| (self.ops[id].device, self.number(*id));
        let all: Vec<(Device, usize)> = self.ops.keys().map(numbered).collect();
        let twice = all.iter().filter(|place| all.iter().filter(|other| other == place).count() > 1);
        for (device, number) in twice.chain(known) {
            let least = forks.entry(*device).or_insert(*number);
            *least = (*number).min(*least);
        }
        forks
    }

    /// Create, what lies before its device's fork, and what these stand on.
    pub(super) fn anchored(&self, known: &BTreeSet<(Device, usize)>) -> BTreeSet<Id> {
        let forks = self.forks(known);
        let holds = |id: &Id| {
            let fork = forks.get(&self.ops[id].device);
            self.ops[id].parents.is_empty() || fork.is_none_or(|fork| self.number(*id) < *fork)
        };
        let mut anchored: BTreeSet<Id> = self.ops.keys().copied().filter(holds).collect();
        let below: Vec<Id> = anchored.iter().flat_map(|id| self.past(*id)).collect();
        anchored.extend(below);
        anchored
    }
}

/// As much of a world as has a good form, with the model of it.
fn well_formed(world: &Growing) -> Model {
    let mut model = Model::default();
    for id in &world.order {
        let op = &world.ops[id];
        let is_there = op.parents.iter().all(|parent| model.ops.contains_key(parent));
        if is_there && model.number_for(op.device, &op.parents).is_some() {
            model.ops.insert(*id, op.clone());
        }
    }
    model
}

fn compare_all(
    anchored: &mut Anchored,
    model: &mut Model,
    known: &BTreeSet<(Device, usize)>,
) -> Result<(), TestCaseError> {
    let set = model.anchored(known);
    for id in &set {
        prop_assert!(model.ops[id].parents.iter().all(|parent| set.contains(parent)), "closed under parents");
    }
    let view = model.view(&set);
    compare_views(&anchored.view(), &view)?;
    for id in model.ops.keys() {
        prop_assert_eq!(anchored.is_anchored(&hash(*id)), set.contains(id), "operation {}", id);
        let verdict = anchored.verdict(&hash(*id)).unwrap();
        prop_assert_eq!(verdict == Verdict::LeftOut, !set.contains(id));
        prop_assert_eq!(verdict == Verdict::Counts, view.counts.contains(id));
    }
    let is_head = |id: &Id| !set.iter().any(|other| model.ops[other].parents.contains(id));
    let mut heads: Vec<_> = set.iter().copied().filter(is_head).map(hash).collect();
    heads.sort();
    prop_assert_eq!(anchored.heads(), heads);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// After each operation, in any order, with proofs that come whenever they like: as from scratch, and as the
    /// model has it. What has a bad form is refused at once and always.
    #[test]
    fn what_is_left_out_follows_from_the_set(
        steps in steps(40),
        seed in prop::collection::vec(0..64_usize, 1..40),
        proofs in prop::collection::vec((0..40_usize, 0..USERS * DEVICES, 0..4_usize), 0..3),
    ) {
        let world = grown(&steps, 6);
        let whole = well_formed(&world);
        let mut anchored = Anchored::default();
        let (mut there, mut known) = (BTreeMap::new(), BTreeSet::new());
        for (count, id) in shuffled(&world, &seed).into_iter().enumerate() {
            for (_, of, number) in proofs.iter().filter(|(at, _, _)| *at == count) {
                anchored.fork(device(*of), u32::try_from(*number).unwrap());
                known.insert((*of, *number));
            }
            let taken = anchored.place(placed(id, &world.ops[&id]), None);
            prop_assert_eq!(taken.is_ok(), whole.ops.contains_key(&id), "{:?}", taken);
            if taken.is_ok() {
                there.insert(id, world.ops[&id].clone());
                compare_all(&mut anchored, &mut Model::new(there.clone()), &known)?;
            }
        }
    }

    /// Who writes on top of what is anchored, from whatever they know, writes what everybody takes.
    #[test]
    fn an_honest_device_is_never_refused(
        steps in steps(40),
        part in prop::collection::vec(any::<bool>(), 40),
        who in 0..USERS,
    ) {
        let world = grown(&steps, 6);
        let whole = well_formed(&world);
        let mut theirs = Anchored::default();
        let mut everything = Anchored::default();
        for (id, knows) in whole.ops.keys().copied().collect::<Vec<_>>().into_iter().zip(part.iter().cycle()) {
            let mut below: Vec<Id> = world.order.iter().copied().filter(|other| whole.ops.contains_key(other)).collect();
            let past = whole.past(id);
            below.retain(|other| past.contains(other) || *other == id);
            for next in below {
                let _ = everything.place(placed(next, &world.ops[&next]), None);
                if *knows {
                    let _ = theirs.place(placed(next, &world.ops[&next]), None);
                }
            }
        }
        let id = USERS * DEVICES + who;
        let Some((parents, number)) = theirs.place_for(&user(who), &device(id)) else { return Ok(()) };
        let next = Placed { hash: hash(9_000), user: user(who), device: device(id), parents, action: Action::Leave { successor: None } };
        prop_assert_eq!(theirs.place(next.clone(), Some(number)).is_ok(), true);
        prop_assert_eq!(everything.place(next.clone(), Some(number)).is_ok(), true);
        prop_assert!(everything.is_anchored(&next.hash));
    }
}
