//! The policy changed: what waits for relays that it excludes is given up.

use undertone_protocol::federation::DeadLetterReason;
use undertone_protocol::ids::RelayId;

use super::Source;
use crate::federation::act::Cx;
use crate::federation::outbox;
use crate::store::{Overlay, Store, StoreError};

impl Source {
    /// Has nothing more to do with a relay that something waits for.
    pub(super) fn exclude(&mut self, relay: RelayId, cx: &mut Cx<'_>) {
        self.close(&relay, cx);
        self.links.remove(&relay);
        self.line.retain(|other| *other != relay);
        self.key_line.retain(|other| *other != relay);
        self.excluded.insert(relay, 0);
    }

    /// Gives up at most `budget` forwards; whether there are more.
    pub(super) fn give_up_excluded<S: Store + ?Sized>(
        &mut self,
        mut budget: usize,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<bool, StoreError> {
        while budget > 0
            && let Some((relay, from)) = self.excluded.first_key_value().map(|(relay, from)| (*relay, *from))
        {
            let found = outbox::next(tx, &relay, from, budget)?;
            match found.last() {
                Some((last, _)) => self.excluded.insert(relay, last.saturating_add(1)),
                None => self.excluded.remove(&relay),
            };
            budget -= found.len();
            for (_, id) in found {
                if let Some(forward) = outbox::forward(tx, &id)? {
                    self.give_up(&id, &forward, DeadLetterReason::Refused, cx, tx)?;
                }
            }
        }
        Ok(!self.excluded.is_empty())
    }
}
