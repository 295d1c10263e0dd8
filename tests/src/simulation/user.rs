use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use undertone::command::{Ask, Command, CommandId};
use undertone::store::{ContactState, NodeStore, StoreError};

use super::node::Node;

/// A user in front of a node: what they see is what is on its disk and what was answered.
#[derive(Debug, Default)]
pub(super) struct User {
    /// How many messages they still want to write.
    pub(super) to_write: u32,
    /// Whether they decline, block and unblock.
    pub(super) quarrels: bool,
    written: u32,
    asked: u64,
}

/// What there is on a user's screen.
struct Screen {
    contact: Option<(String, ContactState)>,
}

impl User {
    pub(super) fn new(to_write: u32, quarrels: bool) -> Self {
        Self { to_write, quarrels, ..Self::default() }
    }

    /// What the user does next; `None`: nothing just now. `link` is the invitation, once there is one, and
    /// `invites` says whose part it is to invite.
    pub(super) fn act(
        &mut self,
        node: &mut Node,
        invites: bool,
        link: Option<&String>,
        rng: &mut ChaCha20Rng,
    ) -> Result<Option<Ask>, StoreError> {
        let screen = look(node)?;
        let quarrels = self.quarrels && rng.next_u32().is_multiple_of(8);
        let command = match screen.contact {
            None if invites && link.is_none() => {
                Some(Command::Invite { uses: 1, life: Duration::from_secs(7 * 24 * 3600) })
            }
            None if invites => None,
            None => link.map(|link| Command::ContactAdd {
                link: link.clone(),
                name: None,
                message: rng.next_u32().is_multiple_of(2).then(|| self.words(node.name)),
            }),
            Some((name, ContactState::Requested)) if quarrels && rng.next_u32().is_multiple_of(2) => {
                Some(Command::ContactDecline { name })
            }
            Some((name, ContactState::Blocked(_))) => quarrels.then_some(Command::ContactUnblock { name }),
            Some((name, _)) if quarrels => Some(Command::ContactBlock { name }),
            Some((name, ContactState::Declined)) => {
                rng.next_u32().is_multiple_of(4).then_some(Command::ContactAccept { name })
            }
            Some((name, ContactState::Requested)) => Some(Command::ContactAccept { name }),
            Some((name, _)) if rng.next_u32().is_multiple_of(4) => Some(Command::Read { name }),
            Some((name, _)) if rng.next_u32().is_multiple_of(16) => Some(Command::Retry { name }),
            Some((name, _)) if self.to_write > 0 => {
                let text = self.words(node.name);
                Some(Command::Send { name, text })
            }
            Some(_) => None,
        };
        Ok(command.map(|command| self.ask(command)))
    }

    /// Makes peace: lets in whom they turned away, sends again what failed, reads what came.
    pub(super) fn make_peace(&mut self, node: &mut Node) -> Result<Vec<Ask>, StoreError> {
        let Some((name, state)) = look(node)?.contact else { return Ok(Vec::new()) };
        let commands = match state {
            ContactState::Blocked(_) => vec![Command::ContactUnblock { name }],
            ContactState::Requested | ContactState::Declined => vec![Command::ContactAccept { name }],
            ContactState::Requesting | ContactState::Accepted => {
                vec![Command::Retry { name: name.clone() }, Command::Read { name }]
            }
        };
        Ok(commands.into_iter().map(|command| self.ask(command)).collect())
    }

    fn words(&mut self, name: &str) -> String {
        self.to_write = self.to_write.saturating_sub(1);
        self.written += 1;
        format!("{MARKER} {name} {}", self.written)
    }

    fn ask(&mut self, command: Command) -> Ask {
        self.asked += 1;
        Ask { id: CommandId(self.asked), command, wait: Duration::from_secs(10) }
    }
}

/// Stands in every message, so that it can be searched for where it must not be.
pub(super) const MARKER: &str = "in-the-clear";

fn look(node: &mut Node) -> Result<Screen, StoreError> {
    node.disk.transaction(|tx| {
        let own = tx.account()?.map(|account| account.certificate.user);
        let contact = tx.contacts()?.into_iter().find(|contact| Some(contact.user) != own);
        Ok(Screen { contact: contact.map(|contact| (contact.name.to_string(), contact.state)) })
    })
}
