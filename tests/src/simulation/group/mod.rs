//! The group of a world: many change its membership at once, and at the end all must agree, with each other and with the
//! model of the rules.

mod anchored;
mod cheated;
mod found;
mod operations;
mod people;
mod told;

use std::collections::{BTreeMap, BTreeSet};

use undertone::command::{Command, GroupView, HistoryItem, MessageView, Response};
use undertone::engine::Input;
use undertone::store::Standing;

use super::checks;
use super::failed::{Check, Failed};
use super::reference::{self, Entry, Expected, Id};
use super::vanishing;
use super::world::World;
use found::Found;
use operations::Membership;
pub(super) use people::GROUP;
use told::Told;

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

    /// All devices that can be used now, with whose they are, but for one that cheats; none in a world without a group.
    fn group_devices(&mut self) -> Result<Vec<(usize, usize)>, Failed> {
        let mut devices = Vec::new();
        let users = if self.has_group { self.users.len() } else { 0 };
        let cheats = self.hostile;
        for user in (0..users).filter(|user| Some(*user) != cheats) {
            for index in self.devices_of(user) {
                if self.is_usable(index)? {
                    devices.push((user, index));
                }
            }
        }
        Ok(devices)
    }

    /// Whether all who believe to be in hold the same operations, and everything of theirs was read, if nobody cheats, who
    /// need not read anything.
    pub(super) fn group_is_quiet(&mut self) -> Result<bool, Failed> {
        let mut first: Option<BTreeSet<Id>> = None;
        for (_, index) in self.group_devices()? {
            let Some(node) = self.nodes.get_mut(index) else { continue };
            let Some(found) = Found::at(node)?.filter(|found| found.standing == Standing::In) else {
                continue;
            };
            let unread = vanishing::unread(node, &found.group, self.now)?;
            let unread = if self.hostile.is_some() { 0 } else { unread };
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
            // What is there of one that cheats, nobody vouches for.
            let Some(node) = self.nodes.get_mut(index).filter(|node| node.cheat.is_none()) else { continue };
            all.extend(Found::at(node)?.map(|found| (index, found)));
        }
        let Some(group) = all.values().next().map(|found| *found.group.as_bytes()) else { return Ok(()) };
        if all.values().any(|found| *found.group.as_bytes() != group) {
            return Err(Failed::by(Check::Membership, "there is more than one group"));
        }
        let users: BTreeMap<Id, Id> =
            self.nodes.iter().map(|node| (*node.device.as_bytes(), *node.user.as_bytes())).collect();
        // What only a device knew that is lost, nobody can have, nor whether what it wrote stands on it. Of forks nobody
        // tells those who are out, nor hears from them.
        let has_cheat = self.hostile.is_some();
        let is_heard = |found: &Found| !has_cheat || found.standing == Standing::In;
        let there = all.iter().filter(|(index, found)| !self.revoked.contains(index) && is_heard(found));
        let there = || there.clone().map(|(_, found)| found);
        let all_of =
            |found: &Found| found.operations.values().chain(&found.left_out).cloned().collect::<Vec<_>>();
        let signed: Vec<_> = all.values().flat_map(all_of).collect();
        let held: Vec<_> = there().flat_map(all_of).collect();
        let proofs: Vec<_> = there().flat_map(|found| found.proofs.iter().cloned()).collect();
        let hashes: BTreeSet<Id> = there().flat_map(|found| found.operations.keys().copied()).collect();
        let is_there = !held.is_empty();
        let reference = |what: String| Failed::by(Check::Membership, what);
        let mut membership = Membership::of(&signed, &held, &proofs, &users).map_err(reference)?;
        let members = membership.members();
        self.report.groups += 1;
        self.report.operations += membership.model.ops.len();
        let sealed: Vec<_> = all.values().flat_map(|found| found.entries.iter().cloned()).collect();
        let entries = reference::read_all(&group, &sealed, &self.bodies).map_err(reference)?;
        let out = membership.ever_out();
        let cheat = self.nodes.iter().find(|node| node.cheat.is_some()).map(|node| *node.device.as_bytes());
        let (gone, there) = (BTreeSet::new(), BTreeSet::new());
        let latest_ms = vanishing::latest_ms(&self.nodes, self.now);
        let mut told = Told { out, membership, entries, users, cheat, latest_ms, gone, there };
        self.report.vanished += told.entries.values().filter(|entry| entry.has_vanished(latest_ms)).count();
        for (index, found) in &all {
            self.holds_only_own(*index, found, &mut told)?;
        }
        if self.hostile.is_some() && is_there {
            told.membership.are_anchored(&hashes).map_err(reference)?;
        }
        // Members get it from each other: who is out sends nothing any more.
        let of_member = |index: &usize| {
            let user = self.nodes.get(*index).map(|node| *node.user.as_bytes());
            user.is_some_and(|user| members.contains_key(&user)) && !self.revoked.contains(index)
        };
        let held = all.iter().filter(|(index, _)| of_member(index)).flat_map(|(_, found)| &found.held);
        told.there = held.copied().collect();
        let counting = told.counting(&told.there.clone()).map_err(reference)?;
        let gone = reference::drops_only_deleted(&told.entries, &counting, &told.users, latest_ms);
        told.gone = gone.map_err(reference)?;
        for user in 0..self.users.len() {
            let Some(id) = self.users.get(user).map(|user| *user.id.as_bytes()) else { continue };
            if !members.contains_key(&id) || Some(user) == self.hostile {
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
        self.agree_on_cheat(&all, &members, &told)
    }

    /// Nobody holds an entry of somebody else's that was written when they were not in. Whoever cheats may give what they
    /// write to anybody.
    fn holds_only_own(&mut self, index: usize, found: &Found, told: &mut Told) -> Result<(), Failed> {
        let Some((name, user)) = self.nodes.get(index).map(|node| (node.name, *node.user.as_bytes())) else {
            return Ok(());
        };
        for id in &found.held {
            let Some(entry) = told.entries.get(id).filter(|entry| entry.is_message()) else { continue };
            if told.cheat == Some(entry.device) {
                continue;
            }
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
                // What somebody cheats of is sent to whom they like, and is theirs to send: others don't hand it on.
                // And what is over is given to those who lack it when their own clock says so.
                if told.cheat == Some(entry.device) || entry.is_over(told.latest_ms) {
                    continue;
                }
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
        // Whoever was out lacks what was written then, and can't tell what is before it that a cut names. Where somebody
        // cheats nobody may have all of it: what counts follows from what each holds.
        let lacks = told.out.contains(user) || told.cheat.is_some();
        let by_held = lacks.then(|| told.counting(&found.held)).transpose().map_err(by)?;
        let counting = by_held.as_ref().unwrap_or(counting);
        let held = counting.iter().filter(|(id, _)| found.held.contains(*id));
        let held: BTreeMap<Id, Entry> = held.map(|(id, entry)| (*id, entry.clone())).collect();
        let admins = told.of_admins(&held).map_err(by)?;
        let expected = reference::laid_out(&held, &told.users, &|id| admins.contains(id));
        let expected = Expected { gone: told.gone.clone(), ..expected };
        let shown = self.group_history(index)?;
        if let Some(node) = self.nodes.get(index) {
            vanishing::nothing_shows(node, self.now, &shown, &told.entries)?;
        }
        self.report.group_messages += expected.texts.len();
        // A message counts as far as with the one with whom it came the least far, and who cheats need not read.
        let as_expected = checks::as_expected(title, &shown, &expected, self.hostile.is_none());
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
