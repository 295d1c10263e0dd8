//! The group of a world: many change its membership at once, and at the end all must agree, with each other and with the
//! model of the rules.

mod found;
mod operations;
mod people;

use std::collections::{BTreeMap, BTreeSet};

use undertone::command::{Command, GroupView, HistoryItem, MessageView, Response};
use undertone::engine::Input;
use undertone::store::{NodeStore, Standing};

use super::checks;
use super::failed::{Check, Failed};
use super::reference::{self, Entry, Expected, Id};
use super::world::World;
use found::Found;
use operations::Membership;
pub(super) use people::GROUP;

impl World {
    /// A user does something in the group, on one of their devices.
    pub(super) fn acts_in_group(&mut self, user: usize, index: usize) -> Result<(), Failed> {
        let (Some(user), Some(node)) = (self.users.get_mut(user), self.nodes.get_mut(index)) else {
            return Ok(());
        };
        let Some(ask) = user.act_in_group(node, &mut self.rng)? else { return Ok(()) };
        self.ask(index, ask)
    }

    /// Everybody reads what came in the group, at each of their devices.
    pub(super) fn everybody_settles_group(&mut self) -> Result<(), Failed> {
        for (user, index) in self.group_devices()? {
            let (Some(user), Some(node)) = (self.users.get_mut(user), self.nodes.get_mut(index)) else {
                continue;
            };
            for ask in user.settle_group(node)? {
                self.step_node(index, vec![Input::Ask(ask)])?;
            }
        }
        Ok(())
    }

    /// Everybody says a word in the group.
    pub(super) fn everybody_greets_group(&mut self) -> Result<(), Failed> {
        for (user, index) in self.group_devices()? {
            let (Some(user), Some(node)) = (self.users.get_mut(user), self.nodes.get_mut(index)) else {
                continue;
            };
            if let Some(ask) = user.greet_group(node)? {
                self.step_node(index, vec![Input::Ask(ask)])?;
            }
        }
        Ok(())
    }

    /// All devices that can be used now, with whose they are; none in a world without a group.
    fn group_devices(&mut self) -> Result<Vec<(usize, usize)>, Failed> {
        let mut devices = Vec::new();
        let users = if self.has_group { self.users.len() } else { 0 };
        for user in 0..users {
            for index in self.devices_of(user) {
                if self.is_usable(index)? {
                    devices.push((user, index));
                }
            }
        }
        Ok(devices)
    }

    /// Whether all who believe to be in hold the same operations, and everything of theirs was read.
    pub(super) fn group_is_quiet(&mut self) -> Result<bool, Failed> {
        let mut first: Option<BTreeSet<Id>> = None;
        for (_, index) in self.group_devices()? {
            let Some(node) = self.nodes.get_mut(index) else { continue };
            let Some(found) = Found::at(node)?.filter(|found| found.standing == Standing::In) else {
                continue;
            };
            let unread = node.disk.transaction(|tx| Ok(tx.deliveries_unread(&found.group)?.len()))?;
            let hashes: BTreeSet<Id> = found.operations.keys().copied().collect();
            if unread > 0 || *first.get_or_insert_with(|| hashes.clone()) != hashes {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// At the end all who are in agree on who is, show what was said to them, and nobody holds what was not.
    pub(super) fn group_holds(&mut self) -> Result<(), Failed> {
        let mut all: BTreeMap<usize, Found> = BTreeMap::new();
        for index in 0..self.nodes.len() {
            let Some(node) = self.nodes.get_mut(index) else { continue };
            all.extend(Found::at(node)?.map(|found| (index, found)));
        }
        let Some(group) = all.values().next().map(|found| *found.group.as_bytes()) else { return Ok(()) };
        if all.values().any(|found| *found.group.as_bytes() != group) {
            return Err(Failed::by(Check::Membership, "there is more than one group"));
        }
        let users: BTreeMap<Id, Id> =
            self.nodes.iter().map(|node| (*node.device.as_bytes(), *node.user.as_bytes())).collect();
        let signed: Vec<_> = all.values().flat_map(|found| found.operations.values().cloned()).collect();
        let reference = |what: String| Failed::by(Check::Membership, what);
        let mut membership = Membership::of(&signed, &users).map_err(reference)?;
        let members = membership.members();
        self.report.groups += 1;
        self.report.operations += membership.model.ops.len();
        let sealed: Vec<_> = all.values().flat_map(|found| found.entries.iter().cloned()).collect();
        let entries = reference::read_all(&group, &sealed, &self.bodies).map_err(reference)?;
        let out = membership.ever_out();
        let mut told =
            Told { out, membership, entries, users, gone: BTreeSet::new(), there: BTreeSet::new() };
        for (index, found) in &all {
            self.holds_only_own(*index, found, &mut told)?;
        }
        // What only a device knew that is lost, nobody can have, nor whether what it wrote stands on it.
        let there = || all.iter().filter(|(index, _)| !self.revoked.contains(index)).map(|(_, found)| found);
        let hashes: BTreeSet<Id> = there().flat_map(|found| found.operations.keys().copied()).collect();
        // Members get it from each other: who is out sends nothing any more.
        let of_member = |index: &usize| {
            let user = self.nodes.get(*index).map(|node| *node.user.as_bytes());
            user.is_some_and(|user| members.contains_key(&user)) && !self.revoked.contains(index)
        };
        let held = all.iter().filter(|(index, _)| of_member(index)).flat_map(|(_, found)| &found.held);
        told.there = held.copied().collect();
        let counting = told.counting(&told.there.clone()).map_err(reference)?;
        let gone = reference::drops_only_deleted(&told.entries, &counting, &told.users);
        told.gone = gone.map_err(reference)?;
        for user in 0..self.users.len() {
            let Some(id) = self.users.get(user).map(|user| *user.id.as_bytes()) else { continue };
            if !members.contains_key(&id) {
                continue;
            }
            for index in self.devices_of(user) {
                let title =
                    self.nodes.get(index).map(|node| format!("{} {}", node.name, node.device.short()));
                let title = title.unwrap_or_default();
                let Some(found) = all.get(&index) else {
                    let described = told.membership.described();
                    let what = format!("{title}: is in, and does not know the group\n{described}");
                    return Err(Failed::by(Check::Membership, what));
                };
                let held: BTreeSet<Id> = found.operations.keys().copied().collect();
                if held != hashes {
                    return Err(lacks_operations(&title, &held, &hashes, &all, &mut told.membership));
                }
                self.shows_members(index, &title, &members, told.membership.acting())?;
                self.shows_messages(index, (&title, &id, &members), found, &counting, &mut told)?;
            }
        }
        Ok(())
    }

    /// Nobody holds an entry of somebody else's that was written when they were not in.
    fn holds_only_own(&mut self, index: usize, found: &Found, told: &mut Told) -> Result<(), Failed> {
        let Some((name, user)) = self.nodes.get(index).map(|node| (node.name, *node.user.as_bytes())) else {
            return Ok(());
        };
        for id in &found.held {
            let Some(entry) = told.entries.get(id).filter(|entry| entry.is_message()) else { continue };
            let heads = entry.membership_heads.clone();
            let at = told.membership.members_at(&heads).map_err(|what| Failed::by(Check::Entitled, what))?;
            if !at.contains_key(&user) {
                let what = format!("{name}: holds what was written to others: {}", reference::hex(id));
                return Err(Failed::by(Check::Entitled, what));
            }
        }
        Ok(())
    }

    fn shows_members(
        &mut self,
        index: usize,
        title: &str,
        members: &BTreeMap<Id, u32>,
        acting: Option<Id>,
    ) -> Result<(), Failed> {
        let Some(view) = self.group_view(index)? else {
            return Err(Failed::by(Check::Membership, format!("{title}: shows no group")));
        };
        let roles = ["owner", "admin", "member"];
        let hex = data_encoding::HEXLOWER;
        let wanted: BTreeMap<String, (&str, bool)> = members
            .iter()
            .map(|(user, role)| {
                let role = usize::try_from(*role).ok().and_then(|role| roles.get(role).copied());
                (hex.encode(user), (role.unwrap_or_default(), acting == Some(*user)))
            })
            .collect();
        let shown: BTreeMap<String, (&str, bool)> = view
            .members
            .iter()
            .map(|member| (member.user.clone(), (member.role.as_str(), member.acts_as_owner)))
            .collect();
        if shown == wanted && view.state == "in" {
            return Ok(());
        }
        let what = format!("{title}: shows {} with {shown:#?}, and not {wanted:#?}", view.state);
        Err(Failed::by(Check::Membership, what))
    }

    /// A device shows what counts of what its user holds, and holds everything that was said to them.
    fn shows_messages(
        &mut self,
        index: usize,
        (title, user, members): (&str, &Id, &BTreeMap<Id, u32>),
        found: &Found,
        counting: &BTreeMap<Id, Entry>,
        told: &mut Told,
    ) -> Result<(), Failed> {
        let by = |what: String| Failed::by(Check::Reference, format!("{title}: {what}"));
        if !told.out.contains(user) && !self.faults.is_long() {
            for (id, entry) in
                counting.iter().filter(|(id, entry)| entry.is_message() && told.there.contains(*id))
            {
                let at = told.membership.members_at(&entry.membership_heads).map_err(by)?;
                let author = told.users.get(&entry.device).copied().unwrap_or_default();
                // Of somebody whom nobody had the right to let in the others need not even have heard.
                let is_known = members.contains_key(&author) || told.out.contains(&author);
                if is_known && at.contains_key(user) && !found.held.contains(id) {
                    let author = reference::hex(&author);
                    let what =
                        format!("{title}: lacks {} of {author}, number {}", reference::hex(id), entry.seq);
                    return Err(Failed::by(Check::Settled, what));
                }
            }
        }
        // Whoever was out lacks what was written then, and can't tell what is before it that a cut names.
        let by_held = told.out.contains(user).then(|| told.counting(&found.held)).transpose().map_err(by)?;
        let counting = by_held.as_ref().unwrap_or(counting);
        let held = counting.iter().filter(|(id, _)| found.held.contains(*id));
        let held: BTreeMap<Id, Entry> = held.map(|(id, entry)| (*id, entry.clone())).collect();
        let admins = told.of_admins(&held).map_err(by)?;
        let expected = reference::laid_out(&held, &told.users, &|id| admins.contains(id));
        let expected = Expected { gone: told.gone.clone(), ..expected };
        let shown = self.group_history(index)?;
        self.report.group_messages += expected.texts.len();
        let as_expected = checks::as_expected(title, &shown, &expected, true);
        as_expected.map_err(|failed| failed.with(told.described(&found.held, counting)))
    }

    fn group_view(&mut self, index: usize) -> Result<Option<GroupView>, Failed> {
        let command = Command::GroupShow { group: GROUP.name.to_owned() };
        Ok(match self.answer(index, command)? {
            Some(Response::Group(view)) => Some(*view),
            _ => None,
        })
    }

    fn group_history(&mut self, index: usize) -> Result<Vec<MessageView>, Failed> {
        let command = Command::History { name: GROUP.name.to_owned(), limit: 1_000 };
        Ok(match self.answer(index, command)? {
            Some(Response::History(items)) => items.into_iter().filter_map(HistoryItem::message).collect(),
            _ => Vec::new(),
        })
    }
}

fn lacks_operations(
    title: &str,
    held: &BTreeSet<Id>,
    all: &BTreeSet<Id>,
    found: &BTreeMap<usize, Found>,
    membership: &mut Membership,
) -> Failed {
    let lacks: Vec<Id> = all.difference(held).copied().collect();
    let has_them = |found: &Found| lacks.iter().any(|hash| found.operations.contains_key(hash));
    let holders: Vec<usize> = found.iter().filter(|(_, found)| has_them(found)).map(|(at, _)| *at).collect();
    let (which, described) = (membership.called(&lacks), membership.described());
    let what = format!("{title}: holds {} operations of {}", held.len(), all.len());
    Failed::by(Check::Membership, format!("{what}\nit lacks {which}, nodes {holders:?} have it\n{described}"))
}

/// What was ever said in the group, with the rules to judge it by.
struct Told {
    membership: Membership,
    entries: BTreeMap<Id, Entry>,
    users: BTreeMap<Id, Id>,
    /// Who was ever put out, or left.
    out: BTreeSet<Id>,
    /// What some device of a member holds that is not lost.
    there: BTreeSet<Id>,
    /// Texts that were dropped by what does not count any more.
    gone: BTreeSet<String>,
}

impl Told {
    /// Entries that count, for whoever holds these.
    fn counting(&mut self, there: &BTreeSet<Id>) -> Result<BTreeMap<Id, Entry>, String> {
        let mut counting = BTreeMap::new();
        for (id, entry) in &self.entries {
            let Some(user) = self.users.get(&entry.device) else { continue };
            let of_device = self.entries.iter().filter(|(_, other)| other.device == entry.device);
            let of_device = of_device.filter(|(id, _)| there.contains(*id));
            let not_before = of_device.filter(|(_, other)| other.seq >= entry.seq);
            let not_before: Vec<Id> = not_before.map(|(id, _)| *id).collect();
            if self.membership.counts(user, &entry.device, &entry.membership_heads, &not_before)? {
                counting.insert(*id, entry.clone());
            }
        }
        Ok(counting)
    }

    /// The operations, and the entries that a device holds, for the report of a failure.
    fn described(&mut self, held: &BTreeSet<Id>, counting: &BTreeMap<Id, Entry>) -> String {
        let mut lines = vec![self.membership.described()];
        for (id, entry) in self.entries.iter().filter(|(id, _)| held.contains(*id)) {
            let user = self.users.get(&entry.device).map(reference::hex).unwrap_or_default();
            let heads = self.membership.called(&entry.membership_heads);
            let (counts, seq) = (counting.contains_key(id), entry.seq);
            lines.push(format!("{} {user} {seq} at {heads}, counts: {counts}", reference::hex(id)));
        }
        lines.join("\n")
    }

    /// Those that were written by who was an admin, as they knew.
    fn of_admins(&mut self, entries: &BTreeMap<Id, Entry>) -> Result<BTreeSet<Id>, String> {
        let mut admins = BTreeSet::new();
        for (id, entry) in entries {
            let roles = self.membership.members_at(&entry.membership_heads)?;
            let role = self.users.get(&entry.device).and_then(|user| roles.get(user));
            if role.is_some_and(|role| *role <= 1) {
                admins.insert(*id);
            }
        }
        Ok(admins)
    }
}
