//! What is missing of a device below what is held of it (spec: `log.md`, "Lost entries"). A gap is recorded as it
//! appears, and lost when it was looked for on many days in vain.

use std::time::Duration;

use undertone_protocol::ids::{ConversationId, DeviceId};
use undertone_protocol::limits::{FRONTIER_RANGES_MAX, GAPS_PER_DEVICE_MAX};
use undertone_protocol::log::{FrontierItem, SeqRange};
use undertone_protocol::time::Timestamp;

use crate::store::{Gap, LogTx, StoreError};

/// A gap is looked for once in so long.
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// The gaps of one device, ascending.
pub(crate) fn of(
    tx: &dyn LogTx,
    conversation: &ConversationId,
    device: &DeviceId,
) -> Result<Vec<Gap>, StoreError> {
    let gaps = tx.gaps(conversation)?.into_iter();
    Ok(gaps.filter(|(of, _)| of == device).map(|(_, gap)| gap).collect())
}

/// Keeps what is missing of a device, in the place of what was known to be.
pub(crate) fn keep(
    tx: &mut dyn LogTx,
    conversation: &ConversationId,
    device: &DeviceId,
    known: &[Gap],
    after: &[Gap],
) -> Result<(), StoreError> {
    for gap in known.iter().filter(|gap| !after.iter().any(|kept| kept.from == gap.from)) {
        tx.delete_gap(conversation, device, gap.from)?;
    }
    for gap in after.iter().filter(|gap| !known.contains(gap)) {
        tx.put_gap(conversation, device, gap)?;
    }
    Ok(())
}

/// What is missing after the entry `came` did, which moved the frontier to `item`. What is lost stays so, but for what
/// came; what is missing besides has the age of the gap that it was part of.
pub(crate) fn followed(known: &[Gap], item: &FrontierItem, came: u64, now: Timestamp) -> Vec<Gap> {
    let lost: Vec<Gap> = known.iter().filter(|gap| gap.is_lost()).copied().collect();
    let has_room = lost.len() < GAPS_PER_DEVICE_MAX;
    let rest = |gap: &Gap| if gap.covers(came) && has_room { without(gap, came) } else { vec![*gap] };
    let mut after: Vec<Gap> = lost.iter().flat_map(rest).collect();
    for SeqRange { from, through } in holes(item) {
        let part_of = known.iter().find(|gap| gap.from <= from && through <= gap.through);
        if after.len() < GAPS_PER_DEVICE_MAX && !part_of.is_some_and(Gap::is_lost) {
            let new = Gap { from, through, days: 0, looked: now };
            after.push(part_of.map_or(new, |gap| Gap { from, through, ..*gap }));
        }
    }
    after
}

/// What is left of a gap when one of its numbers came.
fn without(gap: &Gap, came: u64) -> Vec<Gap> {
    let below = Gap { through: came.saturating_sub(1), ..*gap };
    let above = Gap { from: came.saturating_add(1), ..*gap };
    let parts = [(below, gap.from < came), (above, came < gap.through)];
    parts.into_iter().filter(|(_, is_left)| *is_left).map(|(part, _)| part).collect()
}

/// What a frontier says is missing below what is held.
fn holes(item: &FrontierItem) -> Vec<SeqRange> {
    let mut holes = Vec::new();
    let mut from = item.seq.saturating_add(1);
    for range in &item.ranges {
        if from < range.from {
            holes.push(SeqRange { from, through: range.from.saturating_sub(1) });
        }
        from = range.through.saturating_add(1);
    }
    holes
}

/// What a look at a gap came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looked {
    /// It was looked for less than a day ago, or is lost already.
    TooEarly,
    /// One more day on which it was looked for in vain.
    InVain,
    /// The last of them: it is lost from now on.
    Lost,
}

/// Counts a day on which a gap was looked for in vain, if that is due.
pub(crate) fn look(
    tx: &mut dyn LogTx,
    conversation: &ConversationId,
    device: &DeviceId,
    mut gap: Gap,
    now: Timestamp,
) -> Result<Looked, StoreError> {
    if gap.is_lost() || now < gap.looked.after(DAY) {
        return Ok(Looked::TooEarly);
    }
    gap.days = gap.days.saturating_add(1);
    gap.looked = now;
    tx.put_gap(conversation, device, &gap)?;
    Ok(if gap.is_lost() { Looked::Lost } else { Looked::InVain })
}

/// A frontier that passed over what is lost, as it is without that: nobody is told that lost entries are held. What the
/// ranges have no room for is left out. Its head is not known, where it is another one.
pub(crate) fn unpassed(item: &FrontierItem, gaps: &[Gap]) -> FrontierItem {
    let mut passed = gaps.iter().filter(|gap| gap.is_lost() && gap.through <= item.seq).peekable();
    let Some(first) = passed.peek() else { return item.clone() };
    let seq = first.from.saturating_sub(1);
    let mut ranges = Vec::new();
    while let Some(gap) = passed.next() {
        let through = passed.peek().map_or(item.seq, |next| next.from.saturating_sub(1));
        ranges.push(SeqRange { from: gap.through.saturating_add(1), through });
    }
    ranges.retain(|range| range.from <= range.through);
    ranges.extend(item.ranges.iter().copied());
    ranges.truncate(FRONTIER_RANGES_MAX);
    FrontierItem { seq, ranges, ..FrontierItem::default() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use undertone_protocol::limits::LOST_AFTER_DAYS;

    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(9);

    fn range(from: u64, through: u64) -> SeqRange {
        SeqRange { from, through }
    }

    fn gap(from: u64, through: u64, days: u32) -> Gap {
        Gap { from, through, days, looked: NOW }
    }

    #[test]
    fn a_part_of_a_gap_is_as_old_as_the_gap() {
        let item = FrontierItem {
            seq: 2,
            head: None,
            ranges: vec![range(5, 5), range(9, 10), range(12, 12)],
            ends: Vec::new(),
        };
        let after = followed(&[gap(3, 8, 7)], &item, 5, NOW);
        assert_eq!(after, [gap(3, 4, 7), gap(6, 8, 7), gap(11, 11, 0)]);
    }

    #[test]
    fn what_comes_of_what_was_lost_is_taken_out() {
        let item = FrontierItem { seq: 20, head: None, ..FrontierItem::default() };
        let known = [gap(3, 8, LOST_AFTER_DAYS), gap(10, 10, LOST_AFTER_DAYS)];
        assert_eq!(followed(&known, &item, 3, NOW), [gap(4, 8, LOST_AFTER_DAYS), known[1]]);
        assert_eq!(followed(&known, &item, 10, NOW), [known[0]]);
        assert_eq!(followed(&known, &item, 21, NOW), known);
    }

    #[test]
    fn there_is_an_end_to_gaps() {
        let lost = (0..400).map(|n| gap(10 * n + 1, 10 * n + 9, LOST_AFTER_DAYS));
        let known: Vec<Gap> = lost.take(GAPS_PER_DEVICE_MAX).collect();
        let item =
            FrontierItem { seq: 4_000, head: None, ranges: vec![range(4_002, 4_002)], ends: Vec::new() };
        assert_eq!(followed(&known, &item, 5, NOW), known);
    }

    proptest! {
        /// Whatever came and was lost, nobody is told that what did not come is held.
        #[test]
        fn nothing_lost_is_said_to_be_held(seqs in proptest::collection::btree_set(1u64..40, 1..20)) {
            let item = held(&seqs);
            let mut gaps = followed(&[], &item, 0, NOW);
            gaps.iter_mut().for_each(|gap| gap.days = LOST_AFTER_DAYS);
            let passed = FrontierItem { seq: item.last(), head: None, ..FrontierItem::default() };
            prop_assert_eq!(unpassed(&passed, &gaps), item);
        }
    }

    /// The frontier of these numbers.
    fn held(seqs: &BTreeSet<u64>) -> FrontierItem {
        let mut item = FrontierItem::default();
        for seq in seqs {
            match item.ranges.last_mut() {
                None if *seq == item.seq + 1 => item.seq += 1,
                Some(last) if last.through + 1 == *seq => last.through = *seq,
                _ => item.ranges.push(range(*seq, *seq)),
            }
        }
        item
    }
}
