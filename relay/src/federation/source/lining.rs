//! The line for connections: there are fewer than relays that something may wait for, and each gets its turn. Those that
//! are only asked for their keys stand in a line of their own, behind it.

use undertone_protocol::ids::RelayId;
use undertone_protocol::limits::RELAY_ADDRESSES_MAX;
use undertone_protocol::time::Timestamp;

use super::Source;
use crate::federation::act::{Act, Cx};
use crate::federation::link::{Line, Link};
use crate::federation::outbox;
use crate::federation::up::Up;
use crate::store::{Overlay, Store, StoreError};

impl Source {
    /// When a connection is to be asked to make way for those in the line.
    pub(super) fn line_due(&self) -> Option<Timestamp> {
        let up = || self.conns.values().filter_map(|relay| self.links.get(relay)?.as_up());
        let leaving = up().filter(|up| up.leaving).count();
        if self.line.len() > leaving { up().filter_map(Up::turn_ends).min() } else { None }
    }

    /// Puts a relay that is to be called into its line.
    pub(super) fn line_up(&mut self, relay: &RelayId) {
        let Some(link) = self.links.get_mut(relay) else { return };
        let line = if link.waited_for { Line::Waited } else { Line::Asked };
        match (link.in_line.replace(line), line) {
            (None, Line::Waited) => self.line.push_back(*relay),
            (None, Line::Asked) => self.key_line.push_back(*relay),
            (Some(Line::Asked), Line::Waited) => {
                self.key_line.retain(|other| other != relay);
                self.line.push_back(*relay);
            }
            // It has a place already; one in the first line is none the worse for a key that is asked for, too.
            (Some(before), _) => link.in_line = Some(before),
        }
    }

    /// Calls those in the line, as long as there may be more connections.
    pub(super) fn serve_line<S: Store + ?Sized>(
        &mut self,
        cx: &mut Cx<'_>,
        tx: &Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        if self.line.is_empty() && self.key_line.is_empty() {
            return Ok(());
        }
        let mut open = self.links.values().filter(|link| link.retry_at().is_none()).count();
        while !self.line.is_empty() {
            if open >= cx.limits.destination_links_max {
                if !self.make_way(cx) {
                    break;
                }
                open -= 1;
            }
            let Some(relay) = self.line.pop_front() else { break };
            open += usize::from(self.call(&relay, cx, tx)?);
        }
        self.serve_key_line(open, cx, tx)
    }

    /// Ends a connection that can do without; if there is none, those whose turn is over take on nothing more.
    fn make_way(&mut self, cx: &mut Cx<'_>) -> bool {
        if self.end_needless(cx) {
            return true;
        }
        let up = || self.conns.values().filter_map(|relay| Some((relay, self.links.get(relay)?.as_up()?)));
        let leaving = up().filter(|(_, up)| up.leaving).count();
        let staying = up().filter_map(|(relay, up)| Some((up.turn_ends()?, *relay)));
        let mut staying: Vec<_> = staying.filter(|(end, _)| *end <= cx.now).collect();
        staying.sort_unstable();
        for (_, relay) in staying.iter().take(self.line.len().saturating_sub(leaving)) {
            if let Some(up) = self.links.get_mut(relay).and_then(Link::up) {
                up.leaving = true;
            }
        }
        false
    }

    /// Ends a connection that can do without, if there is one.
    pub(super) fn end_needless(&mut self, cx: &mut Cx<'_>) -> bool {
        let can_go = |link: &Link| link.as_up().is_some_and(|up| up.can_go(link.wanted, cx.now));
        let goes = self.conns.values().find(|relay| self.links.get(relay).is_some_and(can_go)).copied();
        if let Some(relay) = goes {
            self.close(&relay, cx);
        }
        goes.is_some()
    }

    /// Whether there is to be a connection.
    pub(super) fn call<S: Store + ?Sized>(
        &mut self,
        relay: &RelayId,
        cx: &mut Cx<'_>,
        tx: &Overlay<'_, S>,
    ) -> Result<bool, StoreError> {
        let record = outbox::destination(tx, relay)?;
        let Some(link) = self.links.get_mut(relay) else { return Ok(false) };
        link.in_line = None;
        link.look(record.is_some());
        if !link.wanted || !link.may_dial(cx.now) {
            return Ok(false);
        }
        // Its own word counts first.
        let mut addresses = self.relays.addresses(relay, cx.now).to_vec();
        let named = record.map(|record| record.addresses).unwrap_or_default();
        let peer = self.peers.get(relay);
        let asked = link.key_wanted.iter().flat_map(|wanted| &wanted.addresses);
        for named in named.iter().chain(asked).chain(peer.into_iter().flatten()) {
            if !addresses.contains(named) {
                addresses.push(named.clone());
            }
        }
        addresses.truncate(RELAY_ADDRESSES_MAX);
        link.dialling(cx.now);
        cx.acts.push(Act::Dial { relay: *relay, addresses });
        Ok(true)
    }
}
