//! What must go again to devices: how far it was looked for, and how much went.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use undertone_protocol::ids::{ConversationId, DeviceId};
use undertone_protocol::limits::RESENT_MESSAGES_PER_HOUR_MAX;
use undertone_protocol::time::Timestamp;

const HOUR: Duration = Duration::from_secs(3_600);

/// A look through the messages that a device did not acknowledge, for those that must go again.
#[derive(Debug)]
pub(super) struct Look {
    /// From this number.
    pub(super) next: u64,
    /// Through this one.
    pub(super) through: u64,
    /// For which.
    pub(super) what: What,
    /// It goes on then.
    pub(super) not_before: Timestamp,
    /// Where what was too young to be missed is looked at again when it is old enough.
    pub(super) again: Option<Again>,
}

/// A look that begins anew for what was too young.
#[derive(Debug)]
pub(super) struct Again {
    /// From this number.
    pub(super) from: u64,
    /// Then; `None`: nothing was too young so far.
    pub(super) at: Option<Timestamp>,
}

impl Look {
    /// Something is not old enough to be missed before this.
    pub(super) fn note_young(&mut self, until: Timestamp) {
        if let Some(again) = &mut self.again {
            again.at = again.at.into_iter().chain([until]).min();
        }
    }

    /// It came to its end; false: it begins anew later, for what was too young.
    pub(super) fn ends(&mut self) -> bool {
        let Some((from, at)) = self.again.as_mut().and_then(|again| Some((again.from, again.at.take()?)))
        else {
            return true;
        };
        (self.next, self.what, self.not_before) = (from, What::Lost(at), at);
        false
    }
}

/// Which messages must go again.
#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    /// What a relay took for the device some time before a moment.
    Lost(Timestamp),
    /// All that was sealed by an outbox item up to this one; and whether it is sealed again at once, or with whatever is
    /// sealed next.
    All { through_id: u64, at_once: bool },
    /// What was not sealed for the device, because it could not be reached.
    LeftOut,
}

/// The looks that are not over, and how much went again of late. Volatile.
#[derive(Debug, Default)]
pub(super) struct Looks {
    looks: BTreeMap<(DeviceId, ConversationId), Look>,
    /// Whose was the last to go on: each has its turn.
    last: Option<(DeviceId, ConversationId)>,
    resent: BTreeMap<DeviceId, Resent>,
}

#[derive(Debug)]
struct Resent {
    since: Timestamp,
    messages: u32,
}

impl Looks {
    /// Begins a look, unless one is on its way. Says whether it did. One for what was too young goes as far as a later one
    /// would.
    pub(super) fn begin(&mut self, device: &DeviceId, conversation: &ConversationId, look: Look) -> bool {
        match self.looks.entry((*device, *conversation)) {
            Entry::Vacant(free) => {
                free.insert(look);
                true
            }
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                if known.again.is_some() && look.again.is_some() {
                    known.through = known.through.max(look.through);
                }
                false
            }
        }
    }

    /// Puts a look in the place of any other one.
    pub(super) fn put(&mut self, which: (DeviceId, ConversationId), look: Look) {
        self.looks.insert(which, look);
    }

    /// Those that are due now, whose turn it is first.
    pub(super) fn due(&self, now: Timestamp) -> Vec<(DeviceId, ConversationId)> {
        let due = self.looks.iter().filter(|(_, look)| look.not_before <= now).map(|(which, _)| *which);
        let (before, after): (Vec<_>, Vec<_>) = due.partition(|which| Some(*which) <= self.last);
        after.into_iter().chain(before).collect()
    }

    /// It goes on.
    pub(super) fn take(&mut self, which: &(DeviceId, ConversationId)) -> Option<Look> {
        self.last = Some(*which);
        self.looks.remove(which)
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.looks.values().map(|look| look.not_before).min()
    }

    /// Counts a message that goes again to a device. If there were too many of late: when the next one may.
    pub(super) fn count(&mut self, device: &DeviceId, now: Timestamp) -> Result<(), Timestamp> {
        self.resent.retain(|_, resent| now.since(resent.since) < HOUR);
        let resent = self.resent.entry(*device).or_insert(Resent { since: now, messages: 0 });
        if resent.messages >= RESENT_MESSAGES_PER_HOUR_MAX {
            return Err(resent.since.after(HOUR));
        }
        resent.messages += 1;
        Ok(())
    }

    /// A device newly acknowledged so many messages: as many more may go again to it.
    pub(super) fn acknowledged(&mut self, device: &DeviceId, messages: usize, now: Timestamp) {
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        let Some(resent) = self.resent.get_mut(device).filter(|_| messages > 0) else { return };
        resent.messages = resent.messages.saturating_sub(messages);
        for (_, look) in self.looks.iter_mut().filter(|((other, _), _)| other == device) {
            look.not_before = look.not_before.min(now);
        }
    }

    /// The clock was set back by so much.
    pub(super) fn set_back(&mut self, by: Duration) {
        for look in self.looks.values_mut() {
            look.not_before = look.not_before.before(by);
            if let What::Lost(moment) = &mut look.what {
                *moment = moment.before(by);
            }
            if let Some(at) = look.again.as_mut().and_then(|again| again.at.as_mut()) {
                *at = at.before(by);
            }
        }
        for resent in self.resent.values_mut() {
            resent.since = resent.since.before(by);
        }
    }
}
