//! What the nodes of a world answer when they are asked.

use std::time::Duration;

use undertone::command::{Ask, Command, CommandId, HistoryItem, MessageView, Response};
use undertone::engine::{Input, Notice};
use undertone::store::{ContactState, NodeStore};
use undertone_protocol::ids::UserId;

use super::checks;
use super::failed::Failed;
use super::node::Stepped;
use super::world::World;

/// No conversation of a world has so many messages.
pub(super) const HISTORY_MAX: usize = 1_000;

impl World {
    /// What a device says of a conversation when it is asked; `None`: there is none.
    pub(super) fn history(
        &mut self,
        index: usize,
        peer: &UserId,
    ) -> Result<Option<Vec<MessageView>>, Failed> {
        let Some(node) = self.nodes.get_mut(index) else { return Ok(None) };
        let Some(contact) = node.disk.transaction(|tx| tx.contact(peer))? else { return Ok(None) };
        // Before a request is accepted it is no conversation.
        if contact.state != ContactState::Accepted {
            return Ok(None);
        }
        let command = Command::History { name: contact.name.to_string(), limit: HISTORY_MAX };
        Ok(match self.answer(index, command)? {
            Some(Response::History(items)) => {
                Some(items.into_iter().filter_map(HistoryItem::message).collect())
            }
            Some(_) => Some(Vec::new()),
            None => None,
        })
    }

    /// What a device answers; `None`: it does not run, or refuses.
    pub(super) fn answer(&mut self, index: usize, command: Command) -> Result<Option<Response>, Failed> {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(index) else { return Ok(None) };
        let ask = Ask { id: CommandId(0), command, wait: Duration::ZERO };
        let Stepped::Alive(out) = node.step(vec![Input::Ask(ask)], now, None)? else { return Ok(None) };
        Ok(out.notices.into_iter().find_map(|notice| match notice {
            Notice::Reply { result, .. } => result.ok(),
            Notice::Event(_) => None,
        }))
    }

    /// What is in the outboxes, for the report of a failure.
    pub(super) fn left(&mut self) -> Vec<String> {
        self.nodes.iter_mut().flat_map(|node| checks::left(node.name, &mut node.disk)).collect()
    }

    /// How the nodes say that they are, for the report of a failure.
    pub(super) fn statuses(&mut self) -> Vec<Notice> {
        let ask = Ask { id: CommandId(0), command: Command::Status {}, wait: Duration::ZERO };
        let now = self.now;
        let steps = self.nodes.iter_mut().map(|node| node.step(vec![Input::Ask(ask.clone())], now, None));
        let outs = steps.filter_map(|stepped| match stepped {
            Ok(Stepped::Alive(out)) => Some(out.notices),
            _ => None,
        });
        outs.flatten().collect()
    }
}
