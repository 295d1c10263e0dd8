use std::collections::BTreeMap;

use undertone_protocol::wire;

use crate::limits::Limits;
use crate::mailbox::{AckSpans, DurableClass};

/// The deliveries of one class to one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lane {
    /// The next sequence number to look at.
    pub(crate) cursor: u64,
    sent: Totals,
    credit: Totals,
    /// Sent and not acknowledged: sequence number and length.
    unacknowledged: BTreeMap<u64, u32>,
    unacknowledged_bytes: u64,
    window: Totals,
}

/// Messages and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Totals {
    messages: u64,
    bytes: u64,
}

impl Lane {
    /// Nothing sent yet, and no credit.
    pub(super) fn new(class: DurableClass, cursor: u64, limits: &Limits) -> Self {
        let (messages, bytes) = match class {
            DurableClass::Zero => {
                (limits.unacknowledged_class_0_messages_max, limits.unacknowledged_class_0_bytes_max)
            }
            DurableClass::One => {
                (limits.unacknowledged_class_1_messages_max, limits.unacknowledged_class_1_bytes_max)
            }
        };
        Self {
            cursor,
            sent: Totals::default(),
            credit: Totals::default(),
            unacknowledged: BTreeMap::new(),
            unacknowledged_bytes: 0,
            window: Totals { messages, bytes },
        }
    }

    /// Raises the credit to these totals; they never shrink.
    pub(super) fn grant(&mut self, credit: &wire::Credit) {
        self.credit.messages = self.credit.messages.max(credit.messages);
        self.credit.bytes = self.credit.bytes.max(credit.bytes);
    }

    /// Whether anything may be sent at all.
    pub(crate) fn open(&self) -> bool {
        self.allows(0)
    }

    /// Whether a payload of this length may be sent now.
    pub(crate) fn allows(&self, size: u32) -> bool {
        let in_flight = u64::try_from(self.unacknowledged.len()).unwrap_or(u64::MAX);
        let size = u64::from(size);
        let credited = self.sent.messages < self.credit.messages
            && self.sent.bytes.saturating_add(size) <= self.credit.bytes;
        // One payload always fits, or a small window would stop the lane for good.
        let windowed = in_flight == 0
            || in_flight < self.window.messages
                && self.unacknowledged_bytes.saturating_add(size) <= self.window.bytes;
        credited && windowed
    }

    /// A payload was sent.
    pub(crate) fn sent(&mut self, seq: u64, size: u32) {
        self.cursor = seq.saturating_add(1);
        self.sent.messages += 1;
        self.sent.bytes = self.sent.bytes.saturating_add(u64::from(size));
        self.unacknowledged.insert(seq, size);
        self.unacknowledged_bytes += u64::from(size);
    }

    /// The device acknowledged: what was sent of it beyond `through`, and is acknowledged for the first time.
    pub(super) fn acknowledged(&mut self, spans: &AckSpans) -> Vec<u64> {
        while let Some(first) =
            self.unacknowledged.first_entry().filter(|first| *first.key() <= spans.through)
        {
            self.unacknowledged_bytes -= u64::from(first.remove());
        }
        let mut beyond: Vec<u64> = Vec::new();
        for (first, last) in &spans.ranges {
            beyond.extend(self.unacknowledged.range(first..=last).map(|(seq, _)| *seq));
        }
        for seq in &beyond {
            self.unacknowledged_bytes -= self.unacknowledged.remove(seq).map_or(0, u64::from);
        }
        beyond
    }
}
