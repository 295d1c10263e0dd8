//! What a home relay delivers: which numbers came, what to acknowledge, and the credit to give
//! (`spec/relay.md`). Classes 0 and 1; class 2 has nothing that is known to this version.

use undertone_protocol::limits::{ACK_RANGES_MAX, CREDIT_CLASS_0, CREDIT_CLASS_1};
use undertone_protocol::log::SeqRange;
use undertone_protocol::wire;

use crate::store::Received;

/// Messages and bytes that may be on their way, by class.
const WINDOWS: [(u64, u64); 2] = [CREDIT_CLASS_0, CREDIT_CLASS_1];

/// What came in since the link was attached, by class.
#[derive(Debug, Default)]
pub(super) struct Intakes([Intake; 2]);

#[derive(Debug, Default)]
struct Intake {
    /// What the store has, or will have with this transaction.
    received: Received,
    /// Whether the relay must be told.
    dirty: bool,
    messages: u64,
    bytes: u64,
    granted: (u64, u64),
}

/// What to store, and to tell the relay once it is stored.
pub(super) struct Report {
    pub(super) received: [Received; 2],
    pub(super) acks: Vec<wire::Ack>,
    pub(super) credits: Vec<wire::Credit>,
}

impl Intakes {
    /// Begins counting anew, from what the store has; gives the first credit.
    pub(super) fn attach(&mut self, received: [Received; 2]) -> Vec<wire::Credit> {
        self.0 = received.map(|received| Intake { received, ..Intake::default() });
        self.credits()
    }

    /// Takes a delivery in. False when it is of no known class, was taken before, or would leave too many
    /// gaps: then it is not taken, and will be delivered again.
    pub(super) fn take(&mut self, class: u32, seq: u64, bytes: usize) -> bool {
        let class = usize::try_from(class).unwrap_or(usize::MAX);
        let Some(intake) = self.0.get_mut(class) else { return false };
        intake.messages += 1;
        intake.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        intake.dirty = true;
        intake.received.add(seq)
    }

    /// What came since the last report; `None`: nothing.
    pub(super) fn report(&mut self) -> Option<Report> {
        let mut acks = Vec::new();
        for (class, intake) in (0..).zip(&mut self.0) {
            if std::mem::take(&mut intake.dirty) {
                acks.push(ack(class, &intake.received));
            }
        }
        if acks.is_empty() {
            return None;
        }
        let received = self.0.each_ref().map(|intake| intake.received.clone());
        Some(Report { received, acks, credits: self.credits() })
    }

    fn credits(&mut self) -> Vec<wire::Credit> {
        let classes = self.0.iter_mut().zip(WINDOWS).zip(0..);
        classes.filter_map(|((intake, window), class)| intake.credit(class, window)).collect()
    }
}

impl Intake {
    /// New totals, once half of the window is used up.
    fn credit(&mut self, class: u32, window: (u64, u64)) -> Option<wire::Credit> {
        let left = (self.granted.0.saturating_sub(self.messages), self.granted.1.saturating_sub(self.bytes));
        if left.0 > window.0 / 2 && left.1 > window.1 / 2 {
            return None;
        }
        self.granted = (self.messages + window.0, self.bytes + window.1);
        Some(wire::Credit { class, messages: self.granted.0, bytes: self.granted.1 })
    }
}

/// What the device has committed of one class.
pub(super) fn ack(class: u32, received: &Received) -> wire::Ack {
    let ranges = received
        .ranges
        .iter()
        .map(|range| wire::Range { from: range.from, through: range.through })
        .collect();
    wire::Ack { class, through: received.through, ranges }
}

impl Received {
    /// Takes a number in. False when it was taken before, or would need one range too many.
    fn add(&mut self, seq: u64) -> bool {
        if seq <= self.through || self.ranges.iter().any(|range| (range.from..=range.through).contains(&seq))
        {
            return false;
        }
        let mut ranges = self.ranges.clone();
        let at = ranges.iter().position(|range| range.from > seq).unwrap_or(ranges.len());
        ranges.insert(at, SeqRange { from: seq, through: seq });
        let (through, ranges) = join(self.through, ranges);
        if ranges.len() > ACK_RANGES_MAX {
            return false;
        }
        (self.through, self.ranges) = (through, ranges);
        true
    }
}

/// Joins ranges that touch, and those that touch `through` to it.
fn join(mut through: u64, ranges: Vec<SeqRange>) -> (u64, Vec<SeqRange>) {
    let mut joined: Vec<SeqRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        let touches = |end: u64| range.from <= end.saturating_add(1);
        match joined.last_mut() {
            Some(last) if touches(last.through) => last.through = last.through.max(range.through),
            None if touches(through) => through = through.max(range.through),
            _ => joined.push(range),
        }
    }
    (through, joined)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn received_is_a_set(seqs in proptest::collection::vec(1u64..60, 0..120)) {
            let mut received = Received::default();
            let mut model = BTreeSet::new();
            for seq in seqs {
                prop_assert_eq!(received.add(seq), model.insert(seq));
            }
            let mut covered: BTreeSet<u64> = (1..=received.through).collect();
            let mut last = received.through;
            for range in &received.ranges {
                prop_assert!(range.from > last + 1, "ranges must lie apart");
                last = range.through;
                covered.extend(range.from..=range.through);
            }
            prop_assert_eq!(covered, model);
        }
    }

    #[test]
    fn ranges_are_bounded() {
        let mut received = Received::default();
        let taken = (1..=100).filter(|n| received.add(n * 2)).count();
        assert_eq!(taken, ACK_RANGES_MAX);
        assert!(received.add(1), "what closes a gap still goes in");
    }
}
