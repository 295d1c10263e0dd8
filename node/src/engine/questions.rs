//! What was asked on one connection and is not answered yet, and how quickly the relay answers.

use std::collections::BTreeMap;
use std::time::Duration;

use undertone_protocol::limits::{ANSWER_WAIT_MAX, FALL_OVER_WAIT};
use undertone_protocol::time::Timestamp;

use super::asked::{Asked, InFlight};
use super::latency::Latency;

const REQUESTS_PENDING_MAX: usize = 256;

/// What is not answered yet, by request number, and since when.
#[derive(Debug, Default)]
pub(super) struct Questions {
    open: BTreeMap<u64, (Asked, Timestamp)>,
    /// The last number given.
    last: u64,
    /// How long publishes took to be answered.
    latency: Latency,
}

impl Questions {
    /// One more; gives its number.
    pub(super) fn ask(&mut self, asked: Asked, now: Timestamp) -> u64 {
        self.last += 1;
        self.open.insert(self.last, (asked, now));
        self.last
    }

    /// What an answer answers; `None` when nothing of that number was asked.
    pub(super) fn answered(&mut self, request: u64, now: Timestamp) -> Option<Asked> {
        let (asked, at) = self.open.remove(&request)?;
        if asked.is_upload() {
            self.latency.took(now.since(at), now);
        }
        Some(asked)
    }

    /// The connection is gone: gives the publishes that were on their way.
    pub(super) fn end(&mut self) -> Vec<InFlight> {
        let open = std::mem::take(&mut self.open).into_values();
        let publishes = open.filter_map(|(asked, _)| match asked {
            Asked::Publish(publish) => Some(publish),
            _ => None,
        });
        publishes.collect()
    }

    /// Whether such a one is on its way.
    pub(super) fn any(&self, same: impl Fn(&Asked) -> bool) -> bool {
        self.open.values().any(|(asked, _)| same(asked))
    }

    /// How many such are on their way.
    pub(super) fn count(&self, same: impl Fn(&Asked) -> bool) -> usize {
        self.open.values().filter(|(asked, _)| same(asked)).count()
    }

    /// Whether none is on its way.
    pub(super) fn are_answered(&self) -> bool {
        self.open.is_empty()
    }

    /// How many more may be.
    pub(super) fn left(&self) -> usize {
        REQUESTS_PENDING_MAX.saturating_sub(self.open.len())
    }

    /// How long publishes take to be answered, if that was seen of late.
    pub(super) fn latency(&self, now: Timestamp) -> Option<Duration> {
        self.latency.get(now)
    }

    /// When the connection is given up for one that is not answered.
    pub(super) fn overdue_at(&self) -> Option<Timestamp> {
        self.open.values().map(|(_, at)| at.after(ANSWER_WAIT_MAX)).min()
    }

    /// Whether a publish or forward was not answered for long.
    pub(super) fn are_stuck(&self, now: Timestamp) -> bool {
        self.uploads().any(|(_, stuck_at)| stuck_at <= now)
    }

    /// When the next publish that may go another way is unanswered for long.
    pub(super) fn next_stuck(&self, now: Timestamp) -> Option<Timestamp> {
        let may_go = |asked: &Asked| matches!(asked, Asked::Publish(publish) if publish.has_others);
        self.uploads().filter(|(asked, at)| may_go(asked) && *at > now).map(|(_, at)| at).min()
    }

    /// Publishes and forwards, and when they are not answered for long.
    fn uploads(&self) -> impl Iterator<Item = (&Asked, Timestamp)> {
        let uploads = self.open.values().filter(|(asked, _)| asked.is_upload());
        uploads.map(|(asked, at)| (asked, at.after(FALL_OVER_WAIT)))
    }

    /// The clock was set back by so much.
    pub(super) fn set_back(&mut self, by: Duration) {
        for (_, at) in self.open.values_mut() {
            *at = at.before(by);
        }
        self.latency.set_back(by);
    }
}
