//! The worlds: the same for the same seed, and with enough of everything in them.

use std::collections::BTreeSet;

use super::super::{World, entries_count};
use super::*;

#[test]
fn a_seed_is_a_world() {
    for seed in 0..20 {
        let worlds = [World::random(seed), World::random(seed)];
        assert_eq!(worlds[0].ops, worlds[1].ops);
        assert_eq!(worlds[0].entries, worlds[1].entries);
    }
    assert_ne!(World::random(1).ops, World::random(2).ops);
}

#[test]
fn there_is_enough_of_everything() {
    let (mut most, mut entries, mut lost, mut acting) = (0, 0, 0, 0);
    let mut by_rule: BTreeMap<Result<(), Rule>, usize> = BTreeMap::new();
    let mut kinds = BTreeMap::new();
    for seed in 0..300 {
        let world = World::random(seed);
        most = most.max(world.ops.len());
        let users: BTreeSet<User> = world.devices.iter().map(|(user, _)| *user).collect();
        assert!((3..=8).contains(&users.len()));
        let resolved = resolve(world.group, &world.ops);
        acting += usize::from(resolved.acting.is_some());
        for op in &world.ops {
            *by_rule.entry(resolved.counts[&op.id]).or_default() += 1;
            let key = (kind(&op.kind), resolved.counts[&op.id].is_ok());
            *kinds.entry(key).or_insert(0) += 1;
        }
        entries += world.entries.len();
        lost += entries_count(world.group, &world.ops, &world.entries).values().filter(|c| !**c).count();
    }
    println!("{by_rule:?}\n{kinds:?}\nmost {most}, acting {acting}, entries {entries}, not counting {lost}");
    assert!(by_rule.len() == 9 && by_rule.values().all(|count| *count >= 10), "{by_rule:?}");
    assert!(kinds.len() == 14 && kinds.values().all(|count| *count >= 5), "{kinds:?}");
    assert!((50..=60).contains(&most) && acting >= 5 && lost >= 100 && entries > 2 * lost);
}

fn kind(kind: &Kind) -> &'static str {
    match kind {
        Kind::Create => "create",
        Kind::Add { .. } => "add",
        Kind::Remove { .. } => "remove",
        Kind::SetRole { .. } => "set role",
        Kind::Leave { .. } => "leave",
        Kind::DeviceRevoke { .. } => "device revoke",
        Kind::Settings { .. } => "settings",
    }
}
