//! What must hold in any world.

use super::super::World;
use super::super::random::Rng;
use super::super::resolver::Model;
use super::*;

const SEEDS: u64 = 150;

#[test]
fn the_order_of_the_list_does_not_matter() {
    for seed in 0..SEEDS {
        let world = World::random(seed);
        let (resolved, mut rng) = (resolve(world.group, &world.ops), Rng::new(seed));
        let mut ops = world.ops.clone();
        rng.shuffle(&mut ops);
        ops.extend(world.ops.first().cloned());
        assert_eq!(resolve(world.group, &ops), resolved, "seed {seed}");
    }
}

/// A model that learned of the operations one by one, and was asked on the way, sees what a fresh one sees.
#[test]
fn the_order_of_arrival_does_not_matter() {
    for seed in 0..SEEDS {
        let world = World::random(seed);
        let mut model = Model::new(world.group);
        for op in &world.ops {
            let _ = model.add(op);
            model.view(&model.all());
        }
        let fresh = Model::of(world.group, &world.ops);
        assert_eq!(model.view(&model.all()), fresh.view(&fresh.all()), "seed {seed}");
    }
}

/// Of one who is out where the operation stands, DeviceRevoke apart, which anyone may carry.
#[test]
fn what_one_who_is_out_does_changes_nobodys_state() {
    let mut tried = 0;
    for seed in 0..SEEDS {
        let world = World::random(seed);
        let model = Model::of(world.group, &world.ops);
        let resolved = resolve(world.group, &world.ops);
        let mut rng = Rng::new(seed);
        for op in world.ops.iter().filter(|op| !matches!(op.kind, Kind::DeviceRevoke { .. })) {
            let Some(parent) = rng.pick(model.all()) else { continue };
            let view = model.view(&model.closure(&[parent]).unwrap());
            if view.members.contains_key(&op.author) || op.kind == Kind::Create {
                continue;
            }
            let id = OpId(1_000);
            let more =
                Op { id, parents: vec![parent], signed: true, number: 0, hash: u64::MAX, ..op.clone() };
            let ops: Vec<Op> = world.ops.iter().cloned().chain([more]).collect();
            let mut with = resolve(world.group, &ops);
            assert_eq!(with.counts.remove(&id), Some(Err(Rule::Allowed)), "seed {seed}: {op:?}");
            assert_eq!(with, resolved, "seed {seed}: {op:?}");
            tried += 1;
        }
    }
    assert!(tried > 100, "{tried}");
}

/// An operation that does not count could as well not be there, as long as nothing stands on it.
#[test]
fn what_does_not_count_is_as_if_it_were_not_there() {
    for seed in 0..SEEDS {
        let world = World::random(seed);
        let resolved = resolve(world.group, &world.ops);
        let cuts = |id: OpId| {
            let cuts = world.ops.iter().map(super::super::op::cut);
            cuts.flat_map(BTreeMap::into_values).any(|(op, _)| op == Some(id))
        };
        let leaf = world.ops.iter().find(|op| {
            let is_parent = world.ops.iter().any(|other| other.parents.contains(&op.id));
            resolved.counts[&op.id].is_err() && !is_parent && !cuts(op.id)
        });
        let Some(leaf) = leaf else { continue };
        let ops: Vec<Op> = world.ops.iter().filter(|op| op.id != leaf.id).cloned().collect();
        let mut expected = resolved;
        expected.counts.remove(&leaf.id);
        assert_eq!(resolve(world.group, &ops), expected, "seed {seed}");
    }
}

/// An elder goes only by their own hand, by an elder's, or by an equal's.
#[test]
fn nobody_is_removed_by_a_junior() {
    for seed in 0..SEEDS {
        let world = World::random(seed);
        let model = Model::of(world.group, &world.ops);
        let counts = resolve(world.group, &world.ops).counts;
        for op in world.ops.iter().filter(|op| counts[&op.id].is_ok()) {
            let Kind::Remove { user, .. } = op.kind else { continue };
            let before = model.view(&model.closure(&op.parents).unwrap());
            let last = before.former.get(&user).copied();
            let target = before.members.get(&user).map(|target| target.rank).or(last).unwrap();
            assert!(before.members[&op.author].rank <= target, "seed {seed}: {op:?}");
        }
    }
}

/// Whoever goes down by one more operation of a junior was no elder where that operation stands, or not known there.
#[test]
fn a_junior_does_not_lower_whom_they_know_as_an_elder() {
    let mut tried = 0;
    for seed in 0..SEEDS {
        let world = World::random(seed);
        let model = Model::of(world.group, &world.ops);
        let all = model.all();
        let after = model.view(&all);
        for op in world.ops.iter().filter(|op| after.counts.get(&op.id) == Some(&Ok(()))) {
            let is_parent =
                world.ops.iter().any(|other| all.contains(&other.id) && other.parents.contains(&op.id));
            let past = model.view(&model.closure(&op.parents).unwrap());
            let Some(author) = past.members.get(&op.author).filter(|_| !is_parent) else { continue };
            let before = model.view(&all.iter().copied().filter(|id| *id != op.id).collect());
            for (user, member) in before.members.iter().filter(|(_, member)| member.rank < author.rank) {
                let lowered = after.members.get(user).is_none_or(|now| now.rank > member.rank);
                let elder = past.members.get(user).is_some_and(|then| then.rank < author.rank);
                let revoke = matches!(op.kind, Kind::DeviceRevoke { .. });
                assert!(!lowered || !elder || revoke, "seed {seed}: {op:?} lowers {user:?}");
                tried += 1;
            }
        }
    }
    assert!(tried > 100, "{tried}");
}
