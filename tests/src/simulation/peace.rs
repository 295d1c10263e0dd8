//! After the trouble: faults end, everybody makes peace, and all must come to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use undertone::engine::Input;
use undertone::store::NodeStore;
use undertone_protocol::ids::{DeviceId, UserId};
use undertone_protocol::keys::direct_conversation;
use undertone_protocol::time::Timestamp;

use super::answers::HISTORY_MAX;
use super::bounds;
use super::checks::{self, View};
use super::failed::{Check, Failed};
use super::faults::Gap;
use super::node::Node;
use super::reference;
use super::user::{Peer, User};
use super::world::World;

/// How long it may take to come to rest: longer than a device waits for what a revoked one wrote in a group, an hour.
const REST_MAX: Duration = Duration::from_secs(4_500);
/// All that waits for an acknowledgement has expired after so many days.
const EXPIRED_DAYS: u32 = 23;
/// How often users greet each other after months, until all comes to rest.
const GREET_EVERY: Duration = Duration::from_secs(600);
const GREETS_MAX: u32 = 4;
/// How often users look after what is not settled yet.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// After how long all of a group is looked at again where somebody cheats.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

impl World {
    pub(super) fn come_to_rest(&mut self) -> Result<(), Failed> {
        self.faults = self.faults.over();
        if self.lied {
            self.relay_behaves();
        }
        self.users.iter_mut().for_each(User::calm_down);
        self.relays_recover()?;
        for node in 0..self.nodes.len() {
            self.come_back(node);
        }
        let rested = self.rest();
        let late = |failed: &Failed| [Check::Rest, Check::ReadTicks].contains(&failed.check());
        match rested {
            // What a relay spoilt that nobody misses, an introduction say, is made anew when what waits for it expires.
            Err(failed) if self.lies.told.corrupted > 0 && late(&failed) => {
                self.report.late += 1;
                self.everybody_is_away(EXPIRED_DAYS)?;
                for node in 0..self.nodes.len() {
                    self.come_back(node);
                }
                self.rest()
            }
            rested => rested,
        }
    }

    /// Until nothing is left to be done, or it has taken too long.
    fn rest(&mut self) -> Result<(), Failed> {
        let (begun, end) = (self.now, self.now.after(REST_MAX));
        let (mut looked, mut look) = (Timestamp::ZERO, Timestamp::ZERO);
        let mut greets = 0;
        loop {
            for _ in 0..20 {
                self.next()?;
            }
            self.revoked = self.lost()?;
            if self.now > begun.after(REST_MAX / 2) {
                self.cheat_goes();
            }
            let quiet = self.is_quiet()? && self.group_is_quiet()?;
            // Acknowledgements that expired are told with the next message.
            // What somebody who cheats told some alone, the others hear of with what these write next.
            let cheated = self.hostile.is_some() && self.has_group;
            // So do they of what a device told only those who are out of the group, before it was revoked.
            let revoked = self.has_group && !self.revoked.is_empty();
            let greet = (self.faults.is_long() || self.lied || cheated || revoked) && (greets == 0 || !quiet);
            if greet && (quiet || self.now > begun.after(GREET_EVERY * (greets + 1))) && greets < GREETS_MAX {
                greets += 1;
                self.everybody_greets()?;
            } else if quiet && self.now >= look || self.now > end {
                let report = self.report;
                let judged = self.judge();
                if judged.is_ok() {
                    return judged;
                }
                self.report = report;
                // What own devices tell each other, and what members hand on of who is gone, may be on its way.
                // And whoever is asked here does what is due by then.
                let comes = [Check::ReadTicks, Check::Settled, Check::Membership, Check::Rest];
                // So may what whoever cheats says now, and what proves that they do.
                let of_cheat = [Check::Converged, Check::Reference];
                let late = |failed: &Failed| {
                    let comes =
                        comes.contains(&failed.check()) || cheated && of_cheat.contains(&failed.check());
                    comes && self.now <= end
                };
                if !judged.as_ref().is_err_and(late) {
                    return judged;
                }
                // The model of the rules is slow.
                look = if cheated { self.now.after(LOOK_AGAIN) } else { look };
            }
            if self.now > looked.after(LOOK_EVERY) {
                looked = self.now;
                self.everybody_makes_peace()?;
            }
        }
    }

    /// Whoever cheats in a group keeps the others busy for as long as they are there.
    fn cheat_goes(&mut self) {
        for index in 0..self.nodes.len() {
            let cheats = |node: &Node| node.cheat.is_some() && !node.away;
            if self.has_group && self.nodes.get(index).is_some_and(cheats) {
                self.leave(index);
            }
        }
    }

    /// What a relay kept back comes when connections are made anew.
    fn relay_behaves(&mut self) {
        for conn in self.network.all() {
            self.network.close(conn, self.now, &mut self.rng, &mut self.schedule);
        }
        if self.lies.told.of_forwards > 0 {
            (0..self.relays.all.len()).for_each(|relay| self.trunks_break(relay));
        }
    }

    fn everybody_makes_peace(&mut self) -> Result<(), Failed> {
        // What was on its way may have expired, or waits for a device that is lost.
        let long =
            self.faults.gap != Gap::None || self.faults.clock_jumps || !self.revoked.is_empty() || self.lied;
        for (user, index, peer) in self.usable()? {
            let (Some(user), Some(node)) = (self.users.get_mut(user), self.nodes.get_mut(index)) else {
                continue;
            };
            for ask in user.make_peace(node, peer, &mut self.circle, long, &mut self.rng)? {
                self.step_node(index, vec![Input::Ask(ask)])?;
            }
        }
        self.everybody_settles_group()?;
        for user in 0..self.users.len() {
            self.finish_linking(user)?;
        }
        Ok(())
    }

    fn everybody_greets(&mut self) -> Result<(), Failed> {
        for (user, index, peer) in self.usable()? {
            let (Some(user), Some(node)) = (self.users.get_mut(user), self.nodes.get_mut(index)) else {
                continue;
            };
            if let Some(ask) = user.greet(node, peer)? {
                self.step_node(index, vec![Input::Ask(ask)])?;
            }
        }
        self.everybody_greets_group()
    }

    /// Everybody at each of their devices that can be used now, with each whom they know.
    fn usable(&mut self) -> Result<Vec<(usize, usize, Peer)>, Failed> {
        let ways: Vec<(usize, usize)> =
            self.circle.pairs().iter().flat_map(|(a, b)| [(*a, *b), (*b, *a)]).collect();
        // Whoever cheats makes no peace.
        let ways = ways.into_iter().filter(|(user, _)| Some(*user) != self.hostile).collect::<Vec<_>>();
        let mut usable = Vec::new();
        for (user, peer) in ways {
            let Some(peer) = self.users.get(peer).map(User::peer) else { continue };
            for index in self.devices_of(user) {
                if self.is_usable(index)? {
                    usable.push((user, index, peer));
                }
            }
        }
        Ok(usable)
    }

    fn is_quiet(&mut self) -> Result<bool, Failed> {
        for (a, b) in self.circle.pairs().to_vec() {
            let views = self.views(a, b)?;
            let quiet = match self.cheats(a, b) {
                // A proof of what does not count may still be on its way.
                true => checks::converged(&views) && self.is_as_expected(a, b).is_ok(),
                false => checks::is_quiet(&views),
            };
            if !quiet {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether one of two users cheats.
    fn cheats(&self, a: usize, b: usize) -> bool {
        self.hostile.is_some_and(|hostile| [a, b].contains(&hostile))
    }

    /// What all devices of two acquaintances show of each other; one that cheats is not asked.
    fn views(&mut self, a: usize, b: usize) -> Result<Vec<View>, Failed> {
        let mut views = Vec::new();
        let hostile = self.hostile.and_then(|hostile| self.users.get(hostile)).map(|user| user.id);
        for (user, peer) in [(a, b), (b, a)] {
            if Some(user) == self.hostile {
                continue;
            }
            let devices = self.devices_of(user);
            let (Some(user), Some(peer)) = (self.users.get(user), self.users.get(peer)) else { continue };
            for index in devices {
                let Some(node) = self.nodes.get_mut(index) else { continue };
                let title = format!("{}'s {} of {}", user.name, node.device.short(), peer.name);
                views.push(checks::view(
                    title,
                    &mut node.disk,
                    &user.id,
                    &peer.id,
                    hostile.as_ref(),
                    &self.bodies,
                )?);
            }
        }
        Ok(views)
    }

    fn judge(&mut self) -> Result<(), Failed> {
        self.report.full = self.relays.full();
        let users: Vec<UserId> = self.users.iter().map(|user| user.id).collect();
        for relay in &self.relays.all {
            checks::relay_is_blind(&relay.disk, &users)?;
        }
        self.custody_is_true()?;
        self.what_waits_is_held(Check::Settled)?;
        // Of what a full mailbox put off, later messages came first; and so they do by another relay than the one where the
        // key lies. What a new device sends before it is heard of can't be opened, and comes again another way.
        let may_be_shut = self.report.wedged + self.report.blocked + self.report.full > 0
            || self.faults.is_long()
            || self.lied
            || self.hostile.is_some()
            || self.nodes.len() > self.users.len()
            || self.relays.are_several();
        for node in self.nodes.iter_mut().filter(|node| node.cheat.is_none()) {
            bounds::hold(node)?;
            if self.hostile.is_some() {
                bounds::disk_is_small(node)?;
            }
        }
        if let Some(node) = self.nodes.iter().find(|node| node.seen.asked_again && !may_be_shut) {
            let what = format!("{} could not read something, and nothing was broken", node.name);
            return Err(Failed::by(Check::Readable, what));
        }
        for (a, b) in self.circle.pairs().to_vec() {
            let views = self.views(a, b)?;
            if self.cheats(a, b) {
                if !checks::converged(&views) {
                    let what = format!("the devices of one user show different things: {views:#?}");
                    return Err(Failed::by(Check::Converged, what));
                }
                self.is_as_expected(a, b)?;
                continue;
            }
            let answered = self.answered_between(a, b);
            let settled = checks::at_the_end(&views, &answered, may_be_shut);
            settled.map_err(|failed| failed.with(format!("{:?}\n{:#?}", self.statuses(), self.left())))?;
            self.only_what_was_said(a, b, &views)?;
            self.is_as_expected(a, b)?;
            self.all_show_alike(a, b)?;
            self.report.pairs += 1;
            self.report.messages += views.first().map_or(0, |view| view.shown.len());
        }
        let in_group = self.group_holds();
        in_group.map_err(|failed| failed.with(format!("{:#?}", self.left())))?;
        self.nobody_knows_strangers()
    }

    /// Whatever was answered, edited, deleted, pinned, and how people reacted.
    fn all_show_alike(&mut self, a: usize, b: usize) -> Result<(), Failed> {
        if self.cheats(a, b) {
            return Ok(());
        }
        let undone = self.deleted_by_revoked(a, b)?;
        let mut first: Option<Vec<String>> = None;
        for (user, peer, other) in [(a, b, false), (b, a, true)] {
            let Some(peer) = self.users.get(peer).map(User::peer) else { continue };
            for index in self.devices_of(user) {
                let Some(views) = self.history(index, &peer.id)? else { continue };
                let views = views.into_iter();
                let said = views.filter(|view| view.kind == "text" && !undone.contains(&view.id));
                let said = said.map(|view| checks::without_quotes_of(view, &undone));
                let shown: Vec<String> = said.map(|view| checks::as_shown(&view, other)).collect();
                let first = first.get_or_insert_with(|| shown.clone());
                if *first != shown {
                    let text =
                        format!("device {index} shows of {}: {shown:#?}\nanother {first:#?}", peer.name);
                    return Err(Failed::by(Check::Reference, text));
                }
            }
        }
        Ok(())
    }

    /// What was deleted on a device that was revoked later. Where the others did not hold the deletion by then it counts no
    /// more; but who held it may have dropped the text.
    fn deleted_by_revoked(&mut self, a: usize, b: usize) -> Result<BTreeSet<String>, Failed> {
        let lost: Vec<DeviceId> =
            self.revoked.iter().filter_map(|index| self.nodes.get(*index)).map(|node| node.device).collect();
        let (Some(a), Some(b)) = (self.users.get(a), self.users.get(b)) else { return Ok(BTreeSet::new()) };
        let conversation = direct_conversation(&a.id, &b.id);
        let mut deleted = BTreeSet::new();
        for node in &mut self.nodes {
            for device in &lost {
                let written =
                    node.disk.transaction(|tx| tx.entries_of(&conversation, device, 1, HISTORY_MAX))?;
                deleted.extend(written.iter().filter_map(checks::deletes));
            }
        }
        Ok(deleted)
    }

    fn only_what_was_said(&self, a: usize, b: usize, views: &[View]) -> Result<(), Failed> {
        for text in views.iter().flat_map(|view| &view.shown) {
            if !self.was_said_between(a, b, text) {
                return Err(Failed::by(Check::Truth, format!("\"{text}\" shows, and nobody said it")));
            }
        }
        Ok(())
    }

    /// The devices of two users show what the reference model makes of the entries that they hold together; where one
    /// cheats, those of the other one.
    fn is_as_expected(&mut self, a: usize, b: usize) -> Result<(), Failed> {
        let (Some(first), Some(second)) = (self.users.get(a), self.users.get(b)) else { return Ok(()) };
        let (first, second) = (first.id, second.id);
        let conversation = direct_conversation(&first, &second);
        let mut entries = Vec::new();
        let mut devices = Vec::new();
        for user in [a, b].into_iter().filter(|user| Some(*user) != self.hostile) {
            for index in self.devices_of(user) {
                let Some(node) = self.nodes.get_mut(index) else { continue };
                entries.extend(checks::entries(&mut node.disk, &conversation)?);
                devices.push(index);
            }
        }
        let users: BTreeMap<_, _> =
            self.nodes.iter().map(|node| (*node.device.as_bytes(), *node.user.as_bytes())).collect();
        let expected = reference::expected(conversation.as_bytes(), &entries, &self.bodies, &users);
        let expected = expected.map_err(|what| Failed::by(Check::Reference, what))?;
        let read = !self.cheats(a, b);
        for index in devices {
            let Some(node) = self.nodes.get(index) else { continue };
            let title = format!("{} {}", node.name, node.device.short());
            let peer = if node.user == first { second } else { first };
            if let Some(shown) = self.history(index, &peer)? {
                checks::as_expected(&title, &shown, &expected, read)?;
            }
        }
        Ok(())
    }

    fn nobody_knows_strangers(&mut self) -> Result<(), Failed> {
        for (a, b) in self.circle.pairs().to_vec() {
            let views = self.views(a, b)?;
            for (user, view) in [(a, views.first()), (b, views.last())] {
                let acquaintances = self.circle.of(user);
                // Where one cheats only the other one's devices were asked.
                let asked = if self.cheats(a, b) { self.hostile.map(|h| a + b - h) } else { Some(user) };
                if asked != Some(user) {
                    continue;
                }
                let cheats = acquaintances.iter().filter(|peer| Some(**peer) == self.hostile).count();
                view.map_or(Ok(()), |view| checks::knows_only(view, acquaintances.len(), cheats))?;
            }
        }
        Ok(())
    }

    fn answered_between(&self, a: usize, b: usize) -> Vec<&String> {
        let (Some(a), Some(b)) = (self.users.get(a), self.users.get(b)) else { return Vec::new() };
        let begins = [a.begins(&b.peer()), b.begins(&a.peer())];
        let kept = |(text, node): &(&String, &usize)| {
            !self.revoked.contains(node) && begins.iter().any(|begins| text.starts_with(begins))
        };
        self.answered.iter().filter(kept).map(|(text, _)| text).collect()
    }
}
