use proptest::prelude::*;

use super::worlds::*;
use crate::membership::*;
use crate::testing::membership_model::Model;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// The resolver against the model: the same view, and the same rule for what does not count.
    #[test]
    fn the_resolver_follows_the_rules(steps in steps(40), cap in 3..9_usize) {
        let world = grown(&steps, cap);
        let mut model = Model::new(world.ops.clone());
        let mut resolver = resolved(&world, &world.order);
        compare(&mut resolver, &model.everything(), &world.order)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// One operation after another, the model agrees: what is kept up to date is what comes from scratch.
    #[test]
    fn each_step_is_as_from_scratch(steps in steps(30), seed in prop::collection::vec(0..64_usize, 1..30)) {
        let world = grown(&steps, 6);
        let order = shuffled(&world, &seed);
        let mut resolver = Resolver::default();
        for (count, id) in (1..).zip(&order) {
            resolver.place(placed(*id, &world.ops[id])).unwrap();
            let part = order[..count].iter().map(|id| (*id, world.ops[id].clone())).collect();
            compare(&mut resolver, &Model::new(part).everything(), &order[..count])?;
        }
    }

    /// No order of arrival decides anything, and what comes twice changes nothing.
    #[test]
    fn any_order_gives_the_same(steps in steps(40), seed in prop::collection::vec(0..64_usize, 1..40)) {
        let world = grown(&steps, 6);
        let mut resolver = resolved(&world, &world.order);
        let order = shuffled(&world, &seed);
        let mut other = Resolver::default();
        for id in &order {
            other.place(placed(*id, &world.ops[id])).unwrap();
            prop_assert_eq!(other.place(placed(*id, &world.ops[id])), Err(PlaceError::Known));
        }
        prop_assert_eq!(resolver.view(), other.view());
        prop_assert_eq!(resolver.heads(), other.heads());
        for id in &order {
            let counts = |resolver: &Resolver| resolver.verdict(&hash(*id)) == Some(Verdict::Counts);
            prop_assert_eq!(counts(&resolver), counts(&other));
        }
    }

    /// What somebody saw who knew less, and which entries count.
    #[test]
    fn views_at_heads_and_entries(
        steps in steps(30),
        asked in prop::collection::vec((prop::collection::vec(0..30_usize, 1..3), 0..USERS, 0..DEVICES, prop::collection::vec(0..7_usize, 0..4)), 1..20),
    ) {
        let world = grown(&steps, 6);
        let mut model = Model::new(world.ops.clone());
        let mut resolver = resolved(&world, &world.order);
        for (at, author, number, below) in asked {
            let heads: Vec<usize> = at.iter().map(|at| world.order[at % world.order.len()]).collect();
            let hashes: Vec<_> = heads.iter().copied().map(hash).collect();
            let view = model.at(&heads.iter().copied().collect());
            compare_views(&resolver.view_at(&hashes).unwrap(), &view)?;
            let id = author * DEVICES + number;
            let place = EntryPlace { user: user(author), device: device(id), heads: &hashes };
            let is_below = |head: &crate::ids::EntryId| below.iter().any(|known| entry(*known) == *head);
            let verdict = resolver.entry_counts(place, is_below).unwrap();
            let entry = entry_of(&model, author, id, &heads, &below);
            prop_assert_eq!(verdict == EntryVerdict::Counts, model.entry_counts(&entry));
        }
    }
}

/// What a member without a role signs, beside everything and backdated as they like.
fn of_a_member() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(
        (0..20_u8, 0..USERS, 0..3_u32, prop::collection::vec(0..40_usize, 1..4), 0..64_usize),
        1..8,
    )
    .prop_map(|steps| {
        let step = |(kind, target, role, back, extra): (u8, usize, u32, Vec<usize>, usize)| Step {
            user: 7,
            device: 0,
            // Not their identity key's word, which is about their own devices alone.
            kind: if (14..=15).contains(&kind) { 0 } else { kind },
            target,
            role,
            back,
            extra,
        };
        steps.into_iter().map(step).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    /// Nobody else loses anything by what a plain member signs: neither their place nor their rank.
    #[test]
    fn a_plain_member_takes_nothing_from_others(steps in steps(25), theirs in of_a_member(), open: bool) {
        let mut world = Growing::new(100);
        let policy = Step { user: 0, device: 0, kind: 17, target: 0, role: 2, back: Vec::new(), extra: 0 };
        let join = Step { user: 0, device: 0, kind: 0, target: 7, role: 2, back: Vec::new(), extra: 0 };
        if open {
            world.step(&policy);
        }
        world.step(&join);
        // The others do as they like, but give user 7 no role.
        for step in steps.iter().filter(|step| step.user != 7 && !(step.target == 7 && (step.role < 2 || step.kind == 13))) {
            world.step(step);
        }
        let before = resolved(&world, &world.order).view();
        for step in &theirs {
            world.step(step);
        }
        let after = resolved(&world, &world.order).view();
        let ever_more = after.members.keys().chain(after.past_members.keys()).any(|id| {
            *id == user(7) && after.role(id).is_some_and(|role| role < Role::Member)
        });
        prop_assume!(!ever_more && before.acting_owner.is_none());
        for (id, member) in before.members.iter().filter(|(id, _)| **id != user(7)) {
            let now = after.members.get(id);
            prop_assert!(now.is_some_and(|now| now.rank <= member.rank), "{:?} {:?} {:?}", id, member, now);
        }
    }
}
