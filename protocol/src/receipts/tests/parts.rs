use super::acknowledgements::key;
use crate::ids::{ConversationId, DeviceId, EntryId};
use crate::limits::{ACKNOWLEDGED_BYTES_MAX, FRONTIER_DEVICES_MAX, FRONTIER_RANGES_MAX};
use crate::log::{Frontier, FrontierItem, SeqRange};
use crate::receipts::{Acknowledgement, AcknowledgementFields, Authors};
use crate::time::Timestamp;

fn device(n: u16) -> DeviceId {
    let mut id = [7; 32];
    id[..2].copy_from_slice(&n.to_be_bytes());
    DeviceId::new(id)
}

/// As large as may be: numbers of nine or ten bytes, and all ranges.
fn largest() -> FrontierItem {
    let first = u64::MAX - 1_000;
    let from = |n: usize| first + 2 + 4 * n as u64;
    let range = |n| SeqRange { from: from(n), through: from(n) + 1 };
    FrontierItem {
        seq: first,
        head: Some(EntryId::new([1; 32])),
        ranges: (0..FRONTIER_RANGES_MAX).map(range).collect(),
        ends: vec![EntryId::new([2; 32]); FRONTIER_RANGES_MAX],
    }
}

fn through(seq: u64) -> FrontierItem {
    FrontierItem { seq, head: Some(EntryId::new([1; 32])), ..FrontierItem::default() }
}

fn frontier(devices: std::ops::Range<u16>, item: &FrontierItem) -> Frontier {
    let mut frontier = Frontier::default();
    devices.for_each(|n| frontier.set(device(n), item.clone()));
    frontier
}

fn fields(counter: u64, delivered: Frontier, read: Frontier) -> AcknowledgementFields {
    AcknowledgementFields {
        conversation: ConversationId::new([3; 32]),
        device: key().device(),
        counter,
        delivered,
        read,
        at: Timestamp::from_ms(counter),
        authors: Authors::default(),
    }
}

/// As each is taken in by whoever knows nothing yet.
fn joined<'a>(parts: impl IntoIterator<Item = &'a Acknowledgement>) -> AcknowledgementFields {
    let all = parts.into_iter().map(|part| part.fields.clone());
    all.reduce(|known, part| part.joined(&known).unwrap()).unwrap()
}

#[test]
fn what_fits_is_one_as_ever() {
    let fields = fields(5, frontier(0..300, &through(9)), frontier(0..300, &through(8)));
    let all = Acknowledgement::issue_all(&key(), fields.clone());
    assert_eq!(all, [Acknowledgement::issue(&key(), fields)]);
}

#[test]
fn what_does_not_fit_goes_in_parts_that_come_to_the_same_in_any_order() {
    for (delivered, read) in [
        (frontier(0..1_500, &through(9)), frontier(0..1_500, &through(8))),
        (frontier(0..100, &largest()), frontier(50..200, &largest())),
        (Frontier::default(), frontier(0..100, &largest())),
    ] {
        let fields = fields(5, delivered, read);
        let all = Acknowledgement::issue_all(&key(), fields.clone());
        assert!(all.len() > 1);
        for (part, counter) in all.iter().zip(5..) {
            assert_eq!(part.fields.counter, counter);
            assert!(part.signed.body.len() < ACKNOWLEDGED_BYTES_MAX + 300, "{}", part.signed.body.len());
            assert_eq!(Acknowledgement::verify(part.signed.clone()).unwrap(), *part);
        }
        let last = all.last().unwrap().fields.counter;
        let all_of_it = AcknowledgementFields { counter: last, ..fields };
        assert_eq!(joined(&all), all_of_it);
        let late = joined(all.iter().rev());
        assert_eq!(
            (late.counter, &late.delivered, &late.read),
            (last, &all_of_it.delivered, &all_of_it.read)
        );
    }
}

#[test]
fn a_part_says_all_of_its_own_devices_and_nothing_of_others() {
    let known = fields(5, frontier(0..9, &through(9)), frontier(0..9, &through(9)));
    let authors = Authors { after: Some(device(2)), through: Some(device(5)) };
    let said = fields(6, frontier(3..5, &through(4)), Frontier::default());
    let part = AcknowledgementFields { authors, ..said };
    let joined = part.joined(&known).unwrap();
    let seqs = |frontier: &Frontier| {
        (0..9).map(|n| frontier.get(&device(n)).map_or(0, |item| item.seq)).collect::<Vec<_>>()
    };
    assert_eq!(seqs(&joined.delivered), [9, 9, 9, 4, 4, 0, 9, 9, 9]);
    assert_eq!(seqs(&joined.read), [9, 9, 9, 0, 0, 0, 9, 9, 9]);
    assert_eq!((joined.counter, joined.at, joined.authors), (6, part.at, Authors::default()));
    // One that comes late, or again, takes nothing back.
    let late = AcknowledgementFields { counter: 4, ..part.clone() }.joined(&known).unwrap();
    assert_eq!(late, known);
    assert_eq!(AcknowledgementFields { counter: 5, ..part.clone() }.joined(&known), None);
    // One of all devices says all.
    let whole = AcknowledgementFields { authors: Authors::default(), ..part };
    assert_eq!(whole.joined(&known), Some(whole.clone()));
    assert_eq!(AcknowledgementFields { counter: 4, ..whole }.joined(&known), None);
}

/// Or whoever names ever more devices would fill the disk, and what can't be read again would be kept.
#[test]
fn of_no_more_devices_is_kept_than_a_frontier_may_name() {
    let mut known = fields(1, Frontier::default(), Frontier::default());
    for n in 0..6 {
        let authors = Authors { after: (n > 0).then(|| device(n * 1_000 - 1)), through: None };
        let named = frontier(n * 1_000..(n + 1) * 1_000, &through(1));
        let said = fields(2 + u64::from(n), named, Frontier::default());
        known = AcknowledgementFields { authors, ..said }.joined(&known).unwrap();
    }
    assert_eq!(known.delivered.items().count(), FRONTIER_DEVICES_MAX);
}
