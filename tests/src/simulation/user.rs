use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use undertone::command::{Ask, Command, CommandId};
use undertone::store::{ContactState, NodeStore, StoreError};
use undertone_protocol::entry::Content;
use undertone_protocol::ids::UserId;
use undertone_protocol::keys::direct_conversation;

use super::circle::Circle;
use super::faults::{happens, one_in};
use super::node::Node;

/// A person. What they see is what is on the disk of the device that they look at, and what was answered.
#[derive(Debug)]
pub(super) struct User {
    /// Their number in the world.
    index: usize,
    pub(super) name: &'static str,
    pub(super) id: UserId,
    /// The nodes that are theirs, the one with the identity key first.
    pub(super) devices: Vec<usize>,
    /// How many devices they come to have.
    devices_wanted: usize,
    /// How many messages they still want to write.
    pub(super) to_write: u32,
    /// How often they still want to do something to a message: answer, react, edit, delete, pin.
    pub(super) to_change: u32,
    /// Whether it is they who make the group.
    pub(super) founds: bool,
    /// Whom they want in the group in any case.
    pub(super) lets_in: Option<&'static str>,
    /// How often they still want to do something about the group's membership.
    pub(super) to_administer: u32,
    /// The timer that they set there, in seconds; 0: none.
    pub(super) timer_s: u64,
    /// With whom they quarrel, and how often: they decline, block and unblock.
    quarrels: BTreeMap<usize, u32>,
    written: u32,
    /// What they ever put in the place of something.
    edits: BTreeSet<String>,
    asked: u64,
    /// Commands that wrote no message: what they answer with may be somebody else's.
    changing: BTreeSet<CommandId>,
    /// For whom links were asked that are not there yet.
    inviting: BTreeMap<CommandId, Vec<usize>>,
}

/// Another user, as one knows them outside of this system.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    pub(super) index: usize,
    pub(super) name: &'static str,
    pub(super) id: UserId,
}

/// What there is of somebody on a device's screen.
struct Screen {
    name: String,
    state: ContactState,
    /// What we have to say does not reach them.
    refused: bool,
    /// Ids of the last messages, and whether they are their own.
    messages: Vec<(String, bool)>,
}

impl User {
    pub(super) fn new(index: usize, name: &'static str, id: UserId, device: usize) -> Self {
        Self {
            index,
            name,
            id,
            devices: vec![device],
            devices_wanted: 1,
            to_write: 0,
            to_change: 0,
            founds: false,
            lets_in: None,
            to_administer: 0,
            timer_s: 0,
            quarrels: BTreeMap::new(),
            written: 0,
            edits: BTreeSet::new(),
            asked: 0,
            changing: BTreeSet::new(),
            inviting: BTreeMap::new(),
        }
    }

    /// Wants so many devices, wants to write so many messages, and quarrels with these as often as that.
    pub(super) fn mood(&mut self, devices: usize, to_write: u32, quarrels: &BTreeSet<usize>, often: u32) {
        self.devices_wanted = devices;
        self.to_write = to_write;
        self.to_change = to_write;
        self.quarrels = quarrels.iter().map(|peer| (*peer, often)).collect();
    }

    /// Quarrels with nobody any more.
    pub(super) fn calm_down(&mut self) {
        self.quarrels.clear();
    }

    pub(super) const fn peer(&self) -> Peer {
        Peer { index: self.index, name: self.name, id: self.id }
    }

    /// How many devices they come to have.
    pub(super) const fn devices_wanted(&self) -> usize {
        self.devices_wanted
    }

    /// Whether they ever said this to somebody.
    pub(super) fn said(&self, peer: &Peer, text: &str) -> bool {
        let number = text.strip_prefix(&self.begins(peer)).and_then(|number| number.parse().ok());
        number.is_some_and(|number: u32| (1..=self.written).contains(&number)) || self.edits.contains(text)
    }

    /// Whether they could do with another device.
    pub(super) const fn wants_device(&self) -> bool {
        self.devices.len() < self.devices_wanted
    }

    /// What they do next about a contact, on one of their devices; `None`: nothing just now.
    pub(super) fn act(
        &mut self,
        node: &mut Node,
        peer: Peer,
        circle: &mut Circle,
        rng: &mut ChaCha20Rng,
    ) -> Result<Option<Ask>, StoreError> {
        let command = match self.look(node, peer)? {
            // A link is used once, so on one device.
            None if !node.first => None,
            None => self.meet(peer, circle, rng),
            // They are in a group together, and never asked each other anything.
            Some(screen) if screen.state == ContactState::Member => {
                node.first.then(|| self.meet(peer, circle, rng)).flatten()
            }
            Some(screen) => self.chat(&screen, peer, circle, rng),
        };
        Ok(command.map(|command| self.ask_about(command, peer, circle)))
    }

    fn meet(&mut self, peer: Peer, circle: &mut Circle, rng: &mut ChaCha20Rng) -> Option<Command> {
        let invite = self.invite(peer, circle);
        // Whoever both invites and was invited does one or the other: requests cross.
        if invite.is_some() && one_in(rng, 2) {
            return invite;
        }
        let message = one_in(rng, 2);
        match circle.take_link(peer.index, self.index) {
            Some(link) => {
                let message = message.then(|| self.words(peer));
                Some(Command::ContactAdd { link, name: None, message })
            }
            None => invite,
        }
    }

    fn chat(
        &mut self,
        screen: &Screen,
        peer: Peer,
        circle: &mut Circle,
        rng: &mut ChaCha20Rng,
    ) -> Option<Command> {
        let often = self.quarrels.get(&peer.index).copied().unwrap_or(0);
        let quarrels = happens(rng, often);
        let name = screen.name.clone();
        match screen.state {
            ContactState::Requested if quarrels && one_in(rng, 2) => Some(Command::ContactDecline { name }),
            ContactState::Blocked(_) => quarrels.then_some(Command::ContactUnblock { name }),
            _ if quarrels => Some(Command::ContactBlock { name }),
            ContactState::Declined => one_in(rng, 4).then_some(Command::ContactAccept { name }),
            ContactState::Requested => Some(Command::ContactAccept { name }),
            ContactState::Requesting | ContactState::Accepted if screen.refused && one_in(rng, 4) => {
                self.knock_again(peer, circle)
            }
            _ if one_in(rng, 8) && !circle.invited(self.index, peer.index).is_empty() => {
                self.invite(peer, circle)
            }
            _ if one_in(rng, 4) => Some(Command::Read { name }),
            _ if one_in(rng, 16) => Some(Command::Retry { name }),
            _ if self.to_change > 0 && one_in(rng, 3) => self.change(&screen.messages, name, peer, rng),
            _ if self.to_write > 0 => Some(Command::Send { name, text: self.words(peer) }),
            _ => None,
        }
    }

    /// Does something to one of the last messages.
    pub(super) fn change(
        &mut self,
        messages: &[(String, bool)],
        name: String,
        peer: Peer,
        rng: &mut ChaCha20Rng,
    ) -> Option<Command> {
        let at = rng.next_u32() as usize % messages.len().max(1);
        let (message, mine) = messages.get(at)?.clone();
        self.to_change -= 1;
        let text = format!("{}for the {}th time", self.begins(&peer), self.to_change);
        Some(match rng.next_u32() % 10 {
            0..2 => Command::Reply { name, message, text: self.words(peer) },
            2..4 if mine => {
                self.edits.insert(text.clone());
                Command::Edit { name, message, text }
            }
            4 if mine => Command::Delete { name, message, for_me: false },
            5 => Command::Pin { name, message, off: one_in(rng, 2) },
            kind => {
                let reaction = ["", "+", "-", "!"].get(kind as usize % 4).copied().unwrap_or_default();
                Command::React { name, message, reaction: reaction.to_owned() }
            }
        })
    }

    /// Makes peace: lets in whom they turned away, sends again what failed, reads what came. After `long`,
    /// what was on its way may be gone: they ask and greet anew.
    pub(super) fn make_peace(
        &mut self,
        node: &mut Node,
        peer: Peer,
        circle: &mut Circle,
        long: bool,
        rng: &mut ChaCha20Rng,
    ) -> Result<Vec<Ask>, StoreError> {
        let screen = self.look(node, peer)?;
        let Some(screen) = screen.filter(|screen| screen.state != ContactState::Member) else {
            if !node.first {
                return Ok(Vec::new());
            }
            let met = self.meet(peer, circle, rng);
            if met.is_none() && long {
                circle.meet_again(self.index, peer.index);
            }
            return Ok(met.into_iter().map(|command| self.ask_about(command, peer, circle)).collect());
        };
        let name = screen.name.clone();
        let mut commands: Vec<Command> = match screen.state {
            ContactState::Blocked(_) => vec![Command::ContactUnblock { name }],
            ContactState::Requested | ContactState::Declined => vec![Command::ContactAccept { name }],
            ContactState::Requesting | ContactState::Accepted if screen.refused => {
                self.knock_again(peer, circle).into_iter().collect()
            }
            ContactState::Requesting if long => self.knock_again(peer, circle).into_iter().collect(),
            ContactState::Member => Vec::new(),
            ContactState::Requesting | ContactState::Accepted => {
                let mut commands =
                    vec![Command::Retry { name: name.clone() }, Command::Read { name: name.clone() }];
                let greets = node.first && screen.messages.is_empty() && self.index < peer.index;
                if screen.state == ContactState::Accepted && greets {
                    commands.push(Command::Send { name, text: self.words(peer) });
                }
                commands
            }
        };
        if !matches!(screen.state, ContactState::Blocked(_)) {
            commands.extend(self.invite(peer, circle));
        }
        Ok(commands.into_iter().map(|command| self.ask_about(command, peer, circle)).collect())
    }

    /// A word to a contact, so that what was lost shows.
    pub(super) fn greet(&mut self, node: &mut Node, peer: Peer) -> Result<Option<Ask>, StoreError> {
        let screen = self.look(node, peer)?.filter(|screen| screen.state == ContactState::Accepted);
        Ok(screen.map(|screen| {
            let text = self.words(peer);
            self.ask(Command::Send { name: screen.name, text })
        }))
    }

    /// The link that was asked for by this command is there, or is not.
    pub(super) fn invited(&mut self, id: CommandId, link: Option<&str>, circle: &mut Circle) {
        if let (Some(invited), Some(link)) = (self.inviting.remove(&id), link) {
            circle.give(self.index, &invited, link);
        }
    }

    fn invite(&self, peer: Peer, circle: &Circle) -> Option<Command> {
        let invited = circle.invited(self.index, peer.index);
        let uses = u32::try_from(invited.len()).ok().filter(|uses| *uses > 0)?;
        Some(Command::Invite { uses, life: Duration::from_secs(7 * 24 * 3600) })
    }

    /// What was said does not reach them: they need to hear from us by a new link.
    fn knock_again(&mut self, peer: Peer, circle: &mut Circle) -> Option<Command> {
        let link = circle.take_new_link(peer.index, self.index)?;
        Some(Command::ContactAdd { link, name: None, message: None })
    }

    pub(super) fn words(&mut self, peer: Peer) -> String {
        self.to_write = self.to_write.saturating_sub(1);
        self.written += 1;
        format!("{}{}", self.begins(&peer), self.written)
    }

    /// How each of their messages to a contact begins.
    pub(super) fn begins(&self, peer: &Peer) -> String {
        format!("{MARKER} {} to {}, ", self.name, peer.name)
    }

    fn ask_about(&mut self, command: Command, peer: Peer, circle: &Circle) -> Ask {
        let invites = matches!(command, Command::Invite { .. });
        let ask = self.ask(command);
        if invites {
            self.inviting.insert(ask.id, circle.invited(self.index, peer.index));
        }
        ask
    }

    /// Whether it was asked for a message to be changed, and not for one to be sent.
    pub(super) fn is_change(&self, id: &CommandId) -> bool {
        self.changing.contains(id)
    }

    pub(super) fn ask(&mut self, command: Command) -> Ask {
        self.asked += 1;
        if matches!(
            command,
            Command::React { .. } | Command::Edit { .. } | Command::Delete { .. } | Command::Pin { .. }
        ) {
            self.changing.insert(CommandId(self.asked));
        }
        Ask { id: CommandId(self.asked), command, wait: Duration::from_secs(10) }
    }

    fn look(&self, node: &mut Node, peer: Peer) -> Result<Option<Screen>, StoreError> {
        let conversation = direct_conversation(&self.id, &peer.id);
        node.disk.transaction(|tx| {
            let Some(contact) = tx.contact(&peer.id)? else { return Ok(None) };
            let list = tx.account()?.map(|account| account.device_list);
            let mut last = tx.history(&conversation, None, 20)?;
            last.retain(|stored| matches!(stored.entry.body.content, Content::Text(_)));
            let is_own = |device| list.as_ref().is_some_and(|list| list.device(device).is_some());
            let messages = last.iter().map(|stored| &stored.entry);
            Ok(Some(Screen {
                name: contact.name.to_string(),
                state: contact.state,
                refused: contact.refused.is_some(),
                messages: messages.map(|entry| (entry.id.to_hex(), is_own(&entry.header.device))).collect(),
            }))
        })
    }
}

/// Stands in every message, so that it can be searched for where it must not be.
pub(super) const MARKER: &str = "in-the-clear";
