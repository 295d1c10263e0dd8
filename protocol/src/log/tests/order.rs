use proptest::prelude::*;

use super::model::Replica;
use crate::entry::EntryHeader;
use crate::ids::{ConversationId, DeviceId, EntryId};
use crate::limits::{CLAIMED_LEAD_MAX, CLAIMED_MS_MAX};
use crate::log::effective_time;
use crate::time::Timestamp;

const LEAD_MS: u64 = 24 * 3_600_000;

/// An entry with what it may claim, and which of those before it it has seen.
#[derive(Debug, Clone)]
struct Made {
    device: u8,
    claimed_ms: u64,
    seen: u16,
}

fn made() -> impl Strategy<Value = Vec<Made>> {
    let claimed = prop_oneof![0u64..100, 0..20 * LEAD_MS, Just(CLAIMED_MS_MAX)];
    let one = (0u8..3, claimed, any::<u16>());
    proptest::collection::vec(
        one.prop_map(|(device, claimed_ms, seen)| Made { device, claimed_ms, seen }),
        1..12,
    )
}

fn id(at: usize) -> EntryId {
    EntryId::new(*blake3::hash(&[u8::try_from(at).unwrap()]).as_bytes())
}

/// Real headers of a small conversation of three devices.
fn headers(made: &[Made]) -> Vec<EntryHeader> {
    let header = |at: usize, entry: &Made| {
        let own: Vec<usize> = (0..at).filter(|before| made[*before].device == entry.device).collect();
        EntryHeader {
            conversation: ConversationId::new([0; 32]),
            device: DeviceId::new([entry.device; 32]),
            seq: u64::try_from(own.len()).unwrap() + 1,
            prev: own.last().map(|before| id(*before)),
            heads: (0..at).filter(|before| entry.seen & (1 << before) != 0).map(id).collect(),
            claimed: Timestamp::from_ms(entry.claimed_ms),
            membership_heads: Vec::new(),
            body_hash: [0; 32],
            expires: None,
        }
    };
    made.iter().enumerate().map(|(at, entry)| header(at, entry)).collect()
}

fn replica(headers: &[EntryHeader], arrival: impl IntoIterator<Item = usize>) -> Replica {
    let mut replica = Replica::default();
    for at in arrival {
        replica.insert(id(at), headers[at].clone());
    }
    replica
}

fn in_order(headers: &[EntryHeader]) -> Replica {
    replica(headers, 0..headers.len())
}

/// Whether each entry is `of` or stands on it.
fn stands_on(headers: &[EntryHeader], of: usize) -> Vec<bool> {
    let mut on: Vec<bool> = Vec::new();
    for (at, header) in headers.iter().enumerate() {
        let follows = (0..at).any(|before| on[before] && header.parents().any(|parent| parent == id(before)));
        on.push(at == of || follows);
    }
    on
}

fn ms(ms: u64) -> Timestamp {
    Timestamp::from_ms(ms)
}

#[test]
fn the_claim_stands_within_its_bounds() {
    let parent = ms(1_000_000);
    let of = |claimed: u64| effective_time(ms(claimed), Some(parent)).as_ms();
    assert_eq!(of(1_000_500), 1_000_500);
    assert_eq!(of(5), 1_000_001, "never before a parent");
    assert_eq!(of(1_000_000), 1_000_001, "nor beside it");
    assert_eq!(of(1_000_000 + LEAD_MS), 1_000_000 + LEAD_MS);
    assert_eq!(of(1_000_001 + LEAD_MS), 1_000_000 + LEAD_MS, "at most 24 hours ahead");
    assert_eq!(effective_time(ms(77), None), ms(77));
}

proptest! {
    #[test]
    fn effective_times_follow_parents_within_a_day(claimed_ms in 0..=CLAIMED_MS_MAX, latest_ms in 0..=CLAIMED_MS_MAX) {
        let latest = ms(latest_ms);
        let effective = effective_time(ms(claimed_ms), Some(latest));
        prop_assert!(effective > latest);
        prop_assert!(effective <= latest.after(CLAIMED_LEAD_MAX));
        if (latest_ms + 1..=latest_ms + LEAD_MS).contains(&claimed_ms) {
            prop_assert_eq!(effective, ms(claimed_ms));
        }
    }

    #[test]
    fn the_order_does_not_depend_on_the_arrival(
        (made, arrival) in made().prop_flat_map(|made| {
            let arrival: Vec<usize> = (0..made.len()).collect();
            (Just(made), Just(arrival).prop_shuffle())
        }),
    ) {
        let headers = headers(&made);
        prop_assert_eq!(replica(&headers, arrival).order(), in_order(&headers).order());
    }

    #[test]
    fn no_entry_stands_before_its_parents(made in made()) {
        let headers = headers(&made);
        let replica = in_order(&headers);
        for (at, header) in headers.iter().enumerate() {
            for parent in header.parents() {
                prop_assert!(replica.key(&parent) < replica.key(&id(at)));
            }
        }
    }

    #[test]
    fn a_lying_clock_moves_nothing_but_its_entry_and_what_stands_on_it(
        made in made(), at: prop::sample::Index, claimed_ms in 0..=CLAIMED_MS_MAX,
    ) {
        let at = at.index(made.len());
        let mut lied = made.clone();
        lied[at].claimed_ms = claimed_ms;
        let (honest, lied) = (headers(&made), headers(&lied));
        let moved = stands_on(&honest, at);
        let (before, after) = (in_order(&honest), in_order(&lied));
        for (other, _) in moved.iter().enumerate().filter(|(_, moved)| !**moved) {
            prop_assert_eq!(before.key(&id(other)), after.key(&id(other)));
        }
    }
}

/// The limit of the rule: what stands on an entry of a clock that is fast follows it, a millisecond apart.
#[test]
fn what_stands_on_a_fast_clock_is_pushed_on() {
    let day = |n: u64| n * LEAD_MS;
    let fast = Made { device: 0, claimed_ms: day(300), seen: 0 };
    let honest = [1, 2].map(|device| Made { device, claimed_ms: day(2) - u64::from(device), seen: 1 });
    let [second, third] = honest;
    let replica = in_order(&headers(&[fast, second, third]));
    assert_eq!(replica.key(&id(0)).effective, ms(day(300)), "without a parent nothing bounds it");
    assert_eq!([1, 2].map(|at| replica.key(&id(at)).effective), [ms(day(300) + 1); 2]);
    assert!(replica.key(&id(1)) < replica.key(&id(2)), "by device, though it was written later");
}
