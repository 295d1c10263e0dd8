use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use undertone::command::{Ask, Command, CommandId};
use undertone::store::{ContactState, MemoryStore, NodeStore, StoreError};

use super::meeting::Meeting;

/// Somebody with one device or more: what they see is what is on a device's disk and what was answered.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) name: &'static str,
    /// In hexadecimal.
    pub(super) user: String,
    /// Numbers of nodes, the one with the identity key first.
    pub(super) devices: Vec<usize>,
    /// How many devices they come to have.
    pub(super) devices_wanted: usize,
    /// How many messages they still want to write.
    pub(super) to_write: u32,
    /// Whether they decline, block and unblock.
    pub(super) quarrels: bool,
    written: u32,
    asked: u64,
}

/// Somebody on the screen.
struct Shown {
    user: String,
    state: ContactState,
}

impl Person {
    pub(super) fn new(name: &'static str, user: String, device: usize) -> Self {
        Self {
            name,
            user,
            devices: vec![device],
            devices_wanted: 1,
            to_write: 0,
            quarrels: false,
            written: 0,
            asked: 0,
        }
    }

    /// What they do next on one of their devices; `None`: nothing just now.
    pub(super) fn act(
        &mut self,
        disk: &mut MemoryStore,
        meetings: &[Meeting],
        rng: &mut ChaCha20Rng,
    ) -> Result<Option<Ask>, StoreError> {
        let screen = look(disk)?;
        let command = match self.get_to_know(&screen, meetings, rng) {
            Some(command) => Some(command),
            None => self.get_on(&screen, rng),
        };
        Ok(command.map(|command| self.ask(command)))
    }

    fn get_to_know(
        &mut self,
        screen: &[Shown],
        meetings: &[Meeting],
        rng: &mut ChaCha20Rng,
    ) -> Option<Command> {
        let knows = |user: &String| screen.iter().any(|shown| shown.user == *user);
        for meeting in meetings {
            if meeting.inviter == self.user && meeting.link.is_none() {
                return Some(Command::Invite { uses: 1, life: Duration::from_secs(7 * 24 * 3600) });
            }
            let link =
                meeting.link.as_ref().filter(|_| meeting.joiner == self.user && !knows(&meeting.inviter));
            if let Some(link) = link {
                let message = rng.next_u32().is_multiple_of(2).then(|| self.words(&meeting.inviter));
                return Some(Command::ContactAdd { link: link.clone(), name: None, message });
            }
        }
        None
    }

    fn get_on(&mut self, screen: &[Shown], rng: &mut ChaCha20Rng) -> Option<Command> {
        let which = usize::try_from(rng.next_u32()).unwrap_or(0).checked_rem(screen.len())?;
        let Shown { user, state } = screen.get(which)?;
        let name = user.clone();
        let one_in = |rng: &mut ChaCha20Rng, n: u32| rng.next_u32().is_multiple_of(n);
        let quarrels = self.quarrels && one_in(rng, 8);
        match state {
            ContactState::Requested if quarrels && one_in(rng, 2) => Some(Command::ContactDecline { name }),
            ContactState::Blocked(_) => quarrels.then_some(Command::ContactUnblock { name }),
            _ if quarrels => Some(Command::ContactBlock { name }),
            ContactState::Declined => one_in(rng, 4).then_some(Command::ContactAccept { name }),
            ContactState::Requested => Some(Command::ContactAccept { name }),
            _ if one_in(rng, 4) => Some(Command::Read { name }),
            _ if one_in(rng, 16) => Some(Command::Retry { name }),
            _ if self.to_write > 0 => {
                let text = self.words(&name);
                Some(Command::Send { name, text })
            }
            _ => None,
        }
    }

    /// Makes peace: lets in whom they turned away, sends again what failed, reads what came.
    pub(super) fn make_peace(&mut self, disk: &mut MemoryStore) -> Result<Vec<Ask>, StoreError> {
        let commands = look(disk)?.into_iter().flat_map(|Shown { user: name, state }| match state {
            ContactState::Blocked(_) => vec![Command::ContactUnblock { name }],
            ContactState::Requested | ContactState::Declined => vec![Command::ContactAccept { name }],
            ContactState::Requesting | ContactState::Accepted => {
                vec![Command::Retry { name: name.clone() }, Command::Read { name }]
            }
        });
        let commands: Vec<Command> = commands.collect();
        Ok(commands.into_iter().map(|command| self.ask(command)).collect())
    }

    fn words(&mut self, to: &str) -> String {
        self.to_write = self.to_write.saturating_sub(1);
        self.written += 1;
        format!("{MARKER} {} {} to {}", self.name, self.written, to.get(..8).unwrap_or(to))
    }

    pub(super) fn ask(&mut self, command: Command) -> Ask {
        self.asked += 1;
        Ask { id: CommandId(self.asked), command, wait: Duration::from_secs(10) }
    }
}

/// Stands in every message, so that it can be searched for where it must not be.
pub(super) const MARKER: &str = "in-the-clear";

/// Everybody on a device's screen but oneself.
fn look(disk: &mut MemoryStore) -> Result<Vec<Shown>, StoreError> {
    disk.transaction(|tx| {
        let own = tx.account()?.map(|account| account.certificate.user);
        let others = tx.contacts()?.into_iter().filter(|contact| Some(contact.user) != own);
        Ok(others.map(|contact| Shown { user: contact.user.to_hex(), state: contact.state }).collect())
    })
}
