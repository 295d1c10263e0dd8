//! What people do in the group.

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use undertone::command::{Ask, Command, GroupChange};
use undertone::store::{ContactState, Group, NodeStore, NodeTx, Standing, StoreError};
use undertone_protocol::entry::Content;
use undertone_protocol::ids::UserId;
use undertone_protocol::membership::Document;

use super::super::faults::{below, one_in};
use super::super::node::Node;
use super::super::user::{Peer, User};

/// What the group of a world is called.
pub(in super::super) const GROUP: Peer =
    Peer { index: usize::MAX, name: "Everybody", id: UserId::new([0; 32]) };
const ROLES: [&str; 3] = ["owner", "admin", "member"];

/// What there is of the group on a device's screen.
struct Screen {
    is_in: bool,
    /// Members and others, by name.
    members: Vec<String>,
    contacts: Vec<String>,
    /// Ids of the last messages, and whether they are their own.
    messages: Vec<(String, bool)>,
}

impl User {
    /// What they do next in the group, on one of their devices; `None`: nothing just now.
    pub(in super::super) fn act_in_group(
        &mut self,
        node: &mut Node,
        rng: &mut ChaCha20Rng,
    ) -> Result<Option<Ask>, StoreError> {
        let command = match look(node)? {
            // It is made once, so on one device.
            None if node.first && self.founds => self.found(node, rng)?,
            None => None,
            Some(screen) if !screen.is_in => None,
            Some(screen) => self.take_part(&screen, rng),
        };
        Ok(command.map(|command| self.ask(command)))
    }

    fn found(&mut self, node: &mut Node, rng: &mut ChaCha20Rng) -> Result<Option<Command>, StoreError> {
        let mut members = node.disk.transaction(contacts)?;
        members.retain(|name| one_in(rng, 2) || self.lets_in == Some(name));
        Ok((!members.is_empty()).then(|| Command::GroupCreate { name: GROUP.name.to_owned(), members }))
    }

    fn take_part(&mut self, screen: &Screen, rng: &mut ChaCha20Rng) -> Option<Command> {
        let name = GROUP.name.to_owned();
        match rng.next_u32() % 16 {
            0..3 => Some(Command::Read { name }),
            3 => Some(Command::Retry { name }),
            4..8 if self.to_administer > 0 => {
                self.to_administer -= 1;
                let first = self.raise(screen, rng).or_else(|| self.set_timer(rng));
                first.or_else(|| administer(screen, rng))
            }
            8..11 if self.to_change > 0 => self.change(&screen.messages, name, GROUP, rng),
            _ if self.to_write > 0 => Some(Command::Send { name, text: self.words(GROUP) }),
            _ => None,
        }
    }

    /// Lets somebody do more whom they want in.
    fn raise(&self, screen: &Screen, rng: &mut ChaCha20Rng) -> Option<Command> {
        let name = self.lets_in.filter(|_| one_in(rng, 2))?;
        let (group, member) = (GROUP.name.to_owned(), name.to_owned());
        match screen.members.contains(&member) {
            true => Some(Command::GroupRole { group, member, role: "admin".to_owned() }),
            false => Some(Command::GroupAdd { group, members: vec![member], role: "member".to_owned() }),
        }
    }

    /// Sets the timer of what is said in the group, or ends it.
    fn set_timer(&self, rng: &mut ChaCha20Rng) -> Option<Command> {
        if self.timer_s == 0 || one_in(rng, 2) {
            return None;
        }
        let timer_s = Some(if one_in(rng, 4) { 0 } else { self.timer_s });
        let change = GroupChange { timer_s, ..GroupChange::default() };
        Some(Command::GroupSet { group: GROUP.name.to_owned(), change })
    }

    /// Sends again what failed, and reads what came.
    pub(in super::super) fn settle_group(&mut self, node: &mut Node) -> Result<Vec<Ask>, StoreError> {
        if look(node)?.is_none_or(|screen| !screen.is_in) {
            return Ok(Vec::new());
        }
        let name = || GROUP.name.to_owned();
        let commands = [Command::Retry { name: name() }, Command::Read { name: name() }];
        Ok(commands.map(|command| self.ask(command)).to_vec())
    }

    /// A word to the group, so that what was lost shows.
    pub(in super::super) fn greet_group(&mut self, node: &mut Node) -> Result<Option<Ask>, StoreError> {
        let screen = look(node)?.filter(|screen| screen.is_in);
        Ok(screen.map(|_| {
            let text = self.words(GROUP);
            self.ask(Command::Send { name: GROUP.name.to_owned(), text })
        }))
    }
}

/// Does something to the membership, whether they may or not.
fn administer(screen: &Screen, rng: &mut ChaCha20Rng) -> Option<Command> {
    let group = GROUP.name.to_owned();
    let member = screen.members.get(below(rng, screen.members.len())).cloned();
    let contact = screen.contacts.get(below(rng, screen.contacts.len())).cloned();
    let role = ROLES.get(below(rng, ROLES.len())).copied().unwrap_or_default().to_owned();
    match rng.next_u32() % 16 {
        0..6 => Some(Command::GroupAdd { group, members: vec![contact?], role }),
        6..9 => Some(Command::GroupRemove { group, member: member? }),
        9..13 => Some(Command::GroupRole { group, member: member?, role }),
        13..15 => {
            let may_add = one_in(rng, 2).then_some(role);
            let description = Some(format!("the {}th of them", rng.next_u32() % 1_000));
            let change = GroupChange { description, may_add, ..GroupChange::default() };
            Some(Command::GroupSet { group, change })
        }
        _ => Some(Command::GroupLeave { group, successor: one_in(rng, 2).then_some(member).flatten() }),
    }
}

/// The group that was made. Whoever cheats may tell of others, of which nothing is held.
pub(super) fn made(tx: &dyn NodeTx) -> Result<Option<Group>, StoreError> {
    for group in tx.groups()? {
        let parts = tx.group_document(&group.id)?;
        if parts.iter().any(|part| !part.is_empty())
            && Document::load_parts(&parts).is_ok_and(|document| !document.is_empty())
        {
            return Ok(Some(group));
        }
    }
    Ok(None)
}

fn look(node: &mut Node) -> Result<Option<Screen>, StoreError> {
    node.disk.transaction(|tx| {
        let Some(group) = made(tx)? else { return Ok(None) };
        let own = tx.account()?.map(|account| account.device_list);
        let is_own = |device| own.as_ref().is_some_and(|list| list.device(device).is_some());
        let mut last = tx.history(&group.id, None, 20)?;
        last.retain(|stored| matches!(stored.entry.body.content, Content::Text(_)));
        let messages = last.iter().map(|stored| &stored.entry);
        let messages = messages.map(|entry| (entry.id.to_hex(), is_own(&entry.header.device))).collect();
        let mut members = Vec::new();
        for member in tx.members(&group.id)?.into_iter().filter(|member| member.is_in()) {
            members.extend(tx.contact(&member.user)?.map(|contact| contact.name.to_string()));
        }
        let is_in = group.standing == Standing::In;
        Ok(Some(Screen { is_in, members, contacts: contacts(tx)?, messages }))
    })
}

/// The names of accepted contacts.
fn contacts(tx: &mut dyn NodeTx) -> Result<Vec<String>, StoreError> {
    let me = tx.account()?.map(|account| account.certificate.user);
    let mut contacts = tx.contacts()?;
    contacts.retain(|contact| contact.state == ContactState::Accepted && Some(contact.user) != me);
    Ok(contacts.into_iter().map(|contact| contact.name.to_string()).collect())
}
