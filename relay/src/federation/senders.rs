//! The devices that are there to take answers: the newest connection of each, and what was given on it.

use std::collections::{BTreeMap, VecDeque};

use undertone_protocol::ids::PublishId;

use super::act::Cx;
use super::answers;
use crate::conn::ConnId;
use crate::store::owner::Owner;
use crate::store::{Overlay, Store, StoreError};

/// Answers that one device may have to acknowledge; the next goes out when it has one of them.
const GIVEN_MAX: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Senders {
    live: BTreeMap<Owner, Sender>,
    conns: BTreeMap<ConnId, Owner>,
}

#[derive(Debug)]
struct Sender {
    conn: ConnId,
    /// What is read from the store so far; `None`: all, and what comes from now on is in `waiting`.
    unread: Option<Unread>,
    /// To be given before what is unread.
    waiting: VecDeque<PublishId>,
    given: Vec<PublishId>,
}

/// Answers that were there before their device, and are read when they can be given.
#[derive(Debug)]
struct Unread {
    /// They are behind this one; `None`: all of them.
    behind: Option<PublishId>,
}

impl Unread {
    /// Whether this one will be come to.
    fn has(&self, forward: &PublishId) -> bool {
        self.behind.is_none_or(|behind| *forward > behind)
    }
}

impl Senders {
    /// A device is there, on this connection; it gets what waits for it from the first on, unless it does so already.
    pub(super) fn arrive<S: Store + ?Sized>(
        &mut self,
        owner: Owner,
        conn: ConnId,
        cx: &mut Cx<'_>,
        tx: &Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        if self.live.get(&owner).is_some_and(|sender| sender.conn == conn) {
            return Ok(());
        }
        let unread = Some(Unread { behind: None });
        let sender = Sender { conn, unread, waiting: VecDeque::new(), given: Vec::new() };
        if let Some(old) = self.live.insert(owner, sender) {
            self.conns.remove(&old.conn);
        }
        self.conns.insert(conn, owner);
        self.give(&owner, cx, tx)
    }

    pub(super) fn gone(&mut self, conn: ConnId) {
        if let Some(owner) = self.conns.remove(&conn) {
            self.live.remove(&owner);
        }
    }

    /// Something more waits for a device.
    pub(super) fn more<S: Store + ?Sized>(
        &mut self,
        owner: &Owner,
        forward: PublishId,
        cx: &mut Cx<'_>,
        tx: &Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        let Some(sender) = self.live.get_mut(owner) else { return Ok(()) };
        if !sender.unread.as_ref().is_some_and(|unread| unread.has(&forward)) {
            sender.waiting.push_back(forward);
        }
        self.give(owner, cx, tx)
    }

    /// A device asked once more for what was answered: it is given again.
    pub(super) fn again<S: Store + ?Sized>(
        &mut self,
        owner: &Owner,
        forward: PublishId,
        cx: &mut Cx<'_>,
        tx: &Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        let Some(sender) = self.live.get_mut(owner) else { return Ok(()) };
        sender.given.retain(|given| *given != forward);
        sender.waiting.retain(|waiting| *waiting != forward);
        sender.waiting.push_front(forward);
        self.give(owner, cx, tx)
    }

    /// A device has kept these.
    pub(super) fn taken<S: Store + ?Sized>(
        &mut self,
        owner: &Owner,
        forwards: &[PublishId],
        cx: &mut Cx<'_>,
        tx: &Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        let Some(sender) = self.live.get_mut(owner) else { return Ok(()) };
        sender.given.retain(|given| !forwards.contains(given));
        self.give(owner, cx, tx)
    }

    fn give<S: Store + ?Sized>(
        &mut self,
        owner: &Owner,
        cx: &mut Cx<'_>,
        tx: &Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        let Some(sender) = self.live.get_mut(owner) else { return Ok(()) };
        while sender.given.len() < GIVEN_MAX
            && let Some(forward) = sender.waiting.pop_front()
        {
            let Some(answer) = answers::get(tx, owner, &forward)? else { continue };
            cx.send(sender.conn, 0, answer.into_body());
            sender.given.push(forward);
        }
        let room = GIVEN_MAX.saturating_sub(sender.given.len());
        let Some(unread) = sender.unread.as_mut().filter(|_| room > 0) else { return Ok(()) };
        let found = answers::waiting(tx, owner, unread.behind.as_ref(), room)?;
        let is_all = found.len() < room;
        for (forward, answer) in found {
            unread.behind = Some(forward);
            // It was asked for meanwhile.
            if !sender.given.contains(&forward) {
                cx.send(sender.conn, 0, answer.into_body());
                sender.given.push(forward);
            }
        }
        if is_all {
            sender.unread = None;
        }
        Ok(())
    }
}
