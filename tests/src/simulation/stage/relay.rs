//! What the relay of a [`Stage`] does, and does not do.

use std::time::Duration;

use undertone::LinkId;
use undertone::engine::Input;
use undertone_protocol::wire::{Frame, Refusal, RefusalCode, frame::Body};
use undertone_relay::core::{ConnId, Input as RelayInput};
use undertone_relay::store::Store as _;

use super::{Held, Stage};
use crate::simulation::failed::Failed;

impl Stage {
    /// The relay loses its disk, keeps its key, and starts anew.
    pub fn relay_forgets(&mut self) -> Result<(), Failed> {
        self.relay.disk = undertone_relay::store::MemoryStore::new();
        self.restart_relay()
    }

    /// The relay starts anew, and holds so many messages of class 0 for a device.
    pub fn relay_holds(&mut self, messages_max: u64) -> Result<(), Failed> {
        self.relay.limits.mailbox_class_0_messages_max = messages_max;
        self.restart_relay()
    }

    /// The relay starts anew, and drops bundles that were not written for so many days.
    pub fn relay_keeps_bundles(&mut self, days: u32) -> Result<(), Failed> {
        self.relay.limits.bundle_unseen_days_max = days;
        self.restart_relay()
    }

    /// The same for acknowledgements.
    pub fn relay_holds_acknowledgements(&mut self, messages_max: u64) -> Result<(), Failed> {
        self.relay.limits.mailbox_class_1_messages_max = messages_max;
        self.restart_relay()
    }

    /// The relay starts anew, and takes so many new mailboxes in a minute.
    pub fn relay_registers(&mut self, per_minute: u32) -> Result<(), Failed> {
        self.relay.limits.registrations_per_minute = per_minute;
        self.restart_relay()
    }

    fn restart_relay(&mut self) -> Result<(), Failed> {
        self.relay.start();
        for (node, link) in std::mem::take(&mut self.conns).into_values() {
            self.down(node, link)?;
        }
        self.run(Duration::from_secs(120))
    }

    /// How much lies on the relay's disk, in bytes.
    pub fn relay_bytes(&self) -> Result<usize, Failed> {
        let everything = self.relay.disk.range(&[], &[0xff; 64], usize::MAX);
        let everything = everything.map_err(|error| Failed::new(error.to_string()))?;
        Ok(everything.iter().map(|(key, value)| key.len() + value.len()).sum())
    }

    /// A frame reaches the relay as if a node had sent it.
    pub fn inject(&mut self, node: usize, frame: Frame) -> Result<(), Failed> {
        let conn = self.conn_of(node, self.home()).ok_or_else(|| Failed::new("it is not connected"))?;
        self.step_relay(RelayInput::Frame { conn, frame })
    }

    /// From now on what the relay sends to a node about its mailbox does not get there, but waits to be looked at.
    pub fn hold(&mut self, node: usize) {
        self.held = Some(Held { node, all: false, frames: Vec::new() });
    }

    /// The same of all that the relay sends to a node.
    pub fn hold_all(&mut self, node: usize) {
        self.held = Some(Held { node, all: true, frames: Vec::new() });
    }

    /// What waited, in order; what comes from now on gets there.
    pub fn let_go(&mut self) -> Vec<Frame> {
        self.let_go_all().into_iter().map(|(_, frame)| frame).collect()
    }

    /// The same, with the connections that it was on.
    pub fn let_go_all(&mut self) -> Vec<(LinkId, Frame)> {
        self.held.take().map(|held| held.frames).unwrap_or_default()
    }

    /// A frame reaches a node as if the relay had sent it about its mailbox.
    pub fn give(&mut self, node: usize, frame: Frame) -> Result<(), Failed> {
        self.give_on(node, self.home(), frame)
    }

    /// A frame reaches a node as if the relay had sent it on this connection.
    pub fn give_on(&mut self, node: usize, link: LinkId, frame: Frame) -> Result<(), Failed> {
        self.step_node(node, Input::Frame { link, frame })
    }

    /// The connection on which a node publishes.
    pub fn hidden(&self) -> LinkId {
        LinkId::hidden(self.relay.address().relay)
    }

    /// From now on the relay refuses what a node publishes, and says when it may be tried again; `None`: not any more.
    pub fn refuse_publishes(&mut self, node: usize, retry_after_ms: Option<u64>) {
        self.refusing = retry_after_ms.map(|retry_after_ms| (node, retry_after_ms));
    }

    /// How many it refused.
    pub const fn refused_publishes(&self) -> usize {
        self.refused
    }

    /// The answer to a frame that does not get to the relay, if it is to be refused.
    pub(super) fn answer_instead(&mut self, conn: ConnId, frame: &Frame) -> Option<Frame> {
        let (node, retry_after_ms) = self.refusing?;
        let is_refused = self.conns.get(&conn).is_some_and(|(of, _)| *of == node)
            && matches!(frame.body, Some(Body::Publish(_)));
        self.refused += usize::from(is_refused);
        let code = i32::from(RefusalCode::RetryAfter);
        let refusal = Refusal { code, text: "too much just now".to_owned(), retry_after_ms };
        is_refused.then(|| Frame { request: frame.request, body: Some(Body::Refusal(refusal)) })
    }
}
