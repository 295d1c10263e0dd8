//! What the user wrote on another device shows here as *sent* by that device's word: its acknowledgements to siblings
//! cover those of its own entries that are in custody.

use undertone_protocol::ids::{ConversationId, EntryId};
use undertone_protocol::limits::FRONTIER_RANGES_MAX;
use undertone_protocol::log::{FrontierItem, SeqRange};
use undertone_protocol::receipts::{AcknowledgementFields, Tick};

use super::circle::Circle;
use super::context::Context;
use super::elsewhere::{self, TICKS_TOLD};
use crate::event::Event;
use crate::log;
use crate::store::{Acknowledged, StoreError};

/// Between so many gaps there are as many ranges as a frontier takes.
const GAPS_MAX: usize = FRONTIER_RANGES_MAX + 1;

/// Which of this device's entries are in custody for the contact, or have come further; `None`: none.
pub(super) fn in_custody(
    ctx: &Context<'_>,
    conversation: &ConversationId,
) -> Result<Option<FrontierItem>, StoreError> {
    let written = log::frontier_of(ctx.tx, conversation, &ctx.me.device)?;
    let waiting = ctx.tx.deliveries_waiting(conversation, GAPS_MAX)?;
    let (seq, ranges) = all_but(written.seq, &waiting);
    let head = match written.head {
        Some(head) if seq == written.seq => Some(head),
        _ => entry_at(ctx, conversation, seq)?,
    };
    Ok((seq == 0 || head.is_some())
        .then_some(FrontierItem { seq, head, ranges, ends: Vec::new() })
        .filter(|item| item.last() > 0))
}

fn entry_at(
    ctx: &Context<'_>,
    conversation: &ConversationId,
    seq: u64,
) -> Result<Option<EntryId>, StoreError> {
    let entries = ctx.tx.entries_at(conversation, &ctx.me.device, seq)?;
    Ok(entries.first().map(|stored| stored.entry.id))
}

/// The numbers 1 to `last` but for some gaps, which ascend: the highest before the first gap, and the ranges beyond.
/// What the ranges have no room for is left out, and so is what may have gaps that were not asked for.
fn all_but(last: u64, gaps: &[SeqRange]) -> (u64, Vec<SeqRange>) {
    let beyond = SeqRange { from: last.saturating_add(1), through: u64::MAX };
    let end = (gaps.len() < GAPS_MAX).then_some(beyond);
    let (mut seq, mut ranges, mut from) = (None, Vec::new(), 1);
    for gap in gaps.iter().chain(&end) {
        let through = gap.from.saturating_sub(1);
        match seq {
            None => seq = Some(through),
            Some(_) if from <= through && ranges.len() < FRONTIER_RANGES_MAX => {
                ranges.push(SeqRange { from, through });
            }
            Some(_) => {}
        }
        from = gap.through.saturating_add(1);
    }
    (seq.unwrap_or_default(), ranges)
}

/// Another device of the user says what of its own is in custody: what it did not say before is told, but for what
/// went to somebody who is blocked now.
pub(super) fn told(
    ctx: &mut Context<'_>,
    circle: &Circle,
    before: &Acknowledged,
    said: &AcknowledgementFields,
) -> Result<(), StoreError> {
    let AcknowledgementFields { conversation, device, delivered, .. } = said;
    let is_blocked = circle.contact().is_some_and(|contact| contact.state.is_blocked());
    let Some(item) = delivered.get(device).filter(|_| !is_blocked) else { return Ok(()) };
    let known = before.delivered.get(device).cloned().unwrap_or_default();
    let from = known.seq.max(item.last().saturating_sub(TICKS_TOLD as u64)).saturating_add(1);
    for stored in ctx.tx.entries_of(conversation, device, from, TICKS_TOLD)? {
        let header = &stored.entry.header;
        if !item.covers(header.seq) || known.covers(header.seq) || !log::counts(ctx.tx, &stored)? {
            continue;
        }
        if elsewhere::tick(ctx, circle, header)? == Tick::Sent {
            ctx.events.push(Event::Tick {
                contact: circle.name(),
                id: stored.entry.id.to_hex(),
                state: Tick::Sent.as_str().to_owned(),
                failed: None,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_but_the_gaps_are_covered(last in 0u64..60, gaps in proptest::collection::btree_set(1u64..60, 0..20)) {
            let gaps: BTreeSet<u64> = gaps.into_iter().filter(|gap| *gap <= last).collect();
            let runs: Vec<_> = gaps.iter().map(|gap| SeqRange { from: *gap, through: *gap }).collect();
            let (seq, ranges) = all_but(last, &runs);
            let item = FrontierItem { seq, head: None, ranges, ends: Vec::new() };
            for number in 1..70 {
                prop_assert_eq!(item.covers(number), number <= last && !gaps.contains(&number), "{}", number);
            }
            let apart = item.ranges.windows(2).all(|pair| pair[1].from > pair[0].through + 1);
            prop_assert!(apart && item.ranges.first().is_none_or(|first| first.from > seq + 1), "{:?}", item);
        }
    }
    /// Every other number is a gap, and there are more of them than were asked for.
    #[test]
    fn what_may_have_gaps_is_left_out() {
        let gaps: Vec<_> = (1..).map(|n| SeqRange { from: 2 * n, through: 2 * n }).take(GAPS_MAX).collect();
        let (seq, ranges) = all_but(10_000, &gaps);
        assert_eq!((seq, ranges.len()), (1, FRONTIER_RANGES_MAX));
        assert_eq!(ranges.last(), Some(&SeqRange { from: 65, through: 65 }));
    }
}
