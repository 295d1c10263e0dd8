use std::collections::BTreeSet;

use bytes::Bytes;
use proptest::prelude::*;

use crate::ids::{DeviceId, EntryId};
use crate::limits::{FRONTIER_DEVICES_MAX, FRONTIER_RANGES_MAX};
use crate::log::{Frontier, FrontierItem, SeqRange};
use crate::wire;

const DEVICE: DeviceId = DeviceId::new([1; 32]);

/// The item that holds exactly these numbers.
fn item(held: &BTreeSet<u64>) -> FrontierItem {
    let seq = (1..).take_while(|seq| held.contains(seq)).last().unwrap_or(0);
    let mut ranges: Vec<SeqRange> = Vec::new();
    for number in held.iter().copied().filter(|number| *number > seq) {
        match ranges.last_mut() {
            Some(range) if range.through + 1 == number => range.through = number,
            _ => ranges.push(SeqRange { from: number, through: number }),
        }
    }
    FrontierItem { seq, head: (seq > 0).then_some(EntryId::new([9; 32])), ranges, ends: Vec::new() }
}

fn frontier(item: FrontierItem) -> Frontier {
    let mut frontier = Frontier::default();
    frontier.set(DEVICE, item);
    frontier
}

fn wire_item(seq: u64, ranges: &[(u64, u64)]) -> wire::FrontierItem {
    wire::FrontierItem {
        device: DEVICE.to_wire(),
        seq,
        head: if seq == 0 { Bytes::new() } else { vec![9; 32].into() },
        ranges: ranges.iter().map(|(from, through)| wire::Range { from: *from, through: *through }).collect(),
        ends: Vec::new(),
    }
}

fn is_read(item: wire::FrontierItem) -> bool {
    Frontier::from_wire(wire::Frontier { items: vec![item] }).is_ok()
}

#[test]
fn ranges_lie_apart_and_ascend() {
    assert!(is_read(wire_item(3, &[(5, 5), (7, 9)])));
    assert!(is_read(wire_item(0, &[(2, 3)])), "the first is missing");
    assert!(is_read(wire_item(0, &[(2, u64::MAX)])));
    assert!(is_read(wire_item(3, &[(4, 5), (7, 9)])), "no head is known for 5");
    let bad: [(u64, &[(u64, u64)]); 8] = [
        (3, &[(3, 5)]),
        (3, &[(2, 5)]),
        (3, &[(6, 5)]),
        (3, &[(5, 6), (7, 8)]),
        (3, &[(7, 9), (5, 5)]),
        (3, &[(5, 8), (6, 7)]),
        (0, &[(0, 4)]),
        (0, &[(2, u64::MAX), (5, 6)]),
    ];
    for (seq, ranges) in bad {
        assert!(!is_read(wire_item(seq, ranges)), "{seq} {ranges:?}");
    }
    assert!(!is_read(wire_item(u64::MAX, &[(u64::MAX, u64::MAX)])));
}

#[test]
fn the_head_names_the_last_without_a_gap() {
    assert!(!is_read(wire::FrontierItem { head: Bytes::new(), ..wire_item(1, &[]) }));
    assert!(!is_read(wire::FrontierItem { head: vec![9; 31].into(), ..wire_item(1, &[]) }));
    assert!(!is_read(wire::FrontierItem { head: vec![9; 32].into(), ..wire_item(0, &[]) }));
    assert!(!is_read(wire::FrontierItem { device: Bytes::new(), ..wire_item(1, &[]) }));
}

#[test]
fn each_range_has_an_end_or_none_has() {
    let ends = |lengths: &[usize]| wire::FrontierItem {
        ends: lengths.iter().map(|length| vec![9; *length].into()).collect(),
        ..wire_item(1, &[(3, 4), (6, 8)])
    };
    assert!(is_read(ends(&[])) && is_read(ends(&[32, 32])));
    for lengths in [&[32][..], &[32, 31], &[32, 0], &[32; 3]] {
        assert!(!is_read(ends(lengths)), "{lengths:?}");
    }
    let read = FrontierItem::from_wire(ends(&[32, 32])).unwrap();
    let named: Vec<u64> = read.named().map(|(number, _)| number).collect();
    assert_eq!(named, [1, 4, 8]);
    assert_eq!(read.to_wire(&DEVICE).ends.len(), 2);
}

#[test]
fn sizes_are_bounded() {
    let ranges = |count: u64| (1..=count).map(|n| (n * 2 + 1, n * 2 + 1)).collect::<Vec<_>>();
    let count = u64::try_from(FRONTIER_RANGES_MAX).unwrap();
    assert!(is_read(wire_item(1, &ranges(count))));
    assert!(!is_read(wire_item(1, &ranges(count + 1))));
    let of = |count: usize| {
        let device = |n: usize| *blake3::hash(&n.to_be_bytes()).as_bytes();
        let items =
            (0..count).map(|n| wire::FrontierItem { device: device(n).to_vec().into(), ..wire_item(1, &[]) });
        Frontier::from_wire(wire::Frontier { items: items.collect() })
    };
    assert!(of(FRONTIER_DEVICES_MAX).is_ok());
    assert!(of(FRONTIER_DEVICES_MAX + 1).is_err());
    let twice = wire::Frontier { items: vec![wire_item(1, &[]), wire_item(2, &[])] };
    assert!(Frontier::from_wire(twice).is_err(), "a device twice");
}

#[test]
fn counts_hold_at_their_end() {
    let ranges = vec![SeqRange { from: 3, through: u64::MAX }];
    let item = FrontierItem { seq: 1, ranges, ..FrontierItem::default() };
    assert_eq!(item.count(), u64::MAX - 1);
    let mut frontier = frontier(item.clone());
    frontier.set(DeviceId::new([2; 32]), item);
    assert_eq!(frontier.count(), u64::MAX);
    assert!(frontier.covers(&DEVICE, u64::MAX) && !frontier.covers(&DEVICE, 2));
}

proptest! {
    #[test]
    fn a_frontier_is_the_set_that_it_stands_for(held in proptest::collection::btree_set(1u64..60, 0..50)) {
        let item = item(&held);
        let frontier = frontier(item.clone());
        for seq in 0..70 {
            prop_assert_eq!(frontier.covers(&DEVICE, seq), held.contains(&seq), "{}", seq);
        }
        prop_assert!(!frontier.covers(&DeviceId::new([2; 32]), 1));
        prop_assert_eq!(frontier.count(), u64::try_from(held.len()).unwrap());
        prop_assert_eq!(item.last(), held.last().copied().unwrap_or(0));
        prop_assert_eq!(Frontier::from_wire(frontier.to_wire()), Ok(frontier));
    }

    #[test]
    fn merging_loses_nothing_and_adds_nothing(
        mine in proptest::collection::btree_set(1u64..40, 0..40),
        theirs in proptest::collection::btree_set(1u64..40, 0..40),
    ) {
        let union: BTreeSet<u64> = mine.union(&theirs).copied().collect();
        let mut merged = frontier(item(&mine));
        prop_assert_eq!(merged.merge(&frontier(item(&theirs))), union != mine);
        for seq in 0..45 {
            prop_assert_eq!(merged.covers(&DEVICE, seq), union.contains(&seq), "{}", seq);
        }
        prop_assert!(!merged.clone().merge(&frontier(item(&theirs))), "again");
        prop_assert_eq!(Frontier::from_wire(merged.to_wire()), Ok(merged));
    }

    #[test]
    fn parts_of_a_frontier_are_those_of_the_set(
        mine in proptest::collection::btree_set(1u64..40, 0..40),
        theirs in proptest::collection::btree_set(1u64..40, 0..40),
        at in 0u64..45,
    ) {
        let (one, other) = (item(&mine), item(&theirs));
        let beyond: Vec<u64> = one.beyond(&other).iter().flat_map(|run| run.from..=run.through).collect();
        let expected: Vec<u64> = mine.iter().filter(|number| !theirs.contains(number)).copied().collect();
        prop_assert_eq!(beyond, expected);
        let gap = one.gap(at).unwrap();
        let from = (at.max(1)..).find(|number| !mine.contains(number));
        let through = (gap.from..60).find(|number| mine.contains(number)).map_or(u64::MAX, |held| held - 1);
        prop_assert_eq!((Some(gap.from), gap.through), (from, through));
        let until = one.until(at, EntryId::new([3; 32]));
        for number in 1..60 {
            prop_assert_eq!(until.covers(number), one.covers(number) && number <= at, "{}", number);
        }
        prop_assert_eq!(until.seq == 0, until.head.is_none());
    }

    #[test]
    fn what_is_read_is_well_formed(seq in 0u64..6, ranges in proptest::collection::vec((0u64..12, 0u64..12), 0..4)) {
        let read = Frontier::from_wire(wire::Frontier { items: vec![wire_item(seq, &ranges)] });
        let mut numbers: Vec<u64> = (1..=seq).collect();
        let mut apart = true;
        for (position, (from, through)) in (0..).zip(&ranges) {
            let gap = u64::from(position > 0);
            apart &= *from > numbers.last().copied().unwrap_or(0) + gap && from <= through;
            numbers.extend(*from..=*through);
        }
        prop_assert_eq!(read.is_ok(), apart);
    }
}
