use crate::limits::CHANNEL_UNACKNOWLEDGED_MAX;

/// Which indices were opened: those below the window count as opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Window {
    /// The highest index opened, plus 1.
    pub(super) next: u64,
    /// Bit k: index `next - 1 - k` was opened.
    pub(super) seen: u128,
}

/// What the window says about an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Fresh,
    Repeat,
    TooFarAhead,
}

impl Window {
    /// Indices that are remembered one by one.
    pub(super) const WIDTH: u64 = 128;

    pub(super) fn judge(&self, index: u64) -> Verdict {
        if index >= self.limit() {
            return Verdict::TooFarAhead;
        }
        match self.age(index) {
            None => Verdict::Fresh,
            Some(age) if age < Self::WIDTH && self.seen & (1 << age) == 0 => Verdict::Fresh,
            Some(_) => Verdict::Repeat,
        }
    }

    /// Marks an index that was judged fresh.
    pub(super) fn mark(&mut self, index: u64) {
        match self.age(index) {
            Some(age) if age < Self::WIDTH => self.seen |= 1 << age,
            Some(_) => {}
            None => {
                let shift = index - self.next + 1;
                self.seen = if shift < Self::WIDTH { self.seen << shift } else { 0 };
                self.seen |= 1;
                self.next = index + 1;
            }
        }
    }

    /// The first index that is too far ahead: a sender has at most so many unacknowledged, and we
    /// never acknowledged more than `next`.
    pub(super) const fn limit(&self) -> u64 {
        self.next.saturating_add(CHANNEL_UNACKNOWLEDGED_MAX)
    }

    /// Every index that may still come, lowest first.
    pub(super) fn fresh(&self) -> impl Iterator<Item = u64> + '_ {
        (self.next.saturating_sub(Self::WIDTH)..self.limit())
            .filter(|&index| self.judge(index) == Verdict::Fresh)
    }

    /// How far below the highest opened index; `None` above it.
    fn age(&self, index: u64) -> Option<u64> {
        self.next.checked_sub(1)?.checked_sub(index)
    }
}
