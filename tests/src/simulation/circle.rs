use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::ChaCha20Rng;

use super::faults::one_in;

/// Who gets to know whom, and the links that they hand each other outside of this system. Users go by their
/// number in the world.
#[derive(Debug, Default)]
pub(super) struct Circle {
    pairs: Vec<(usize, usize)>,
    /// Who has to give whom a link: (inviter, invited).
    wanted: BTreeSet<(usize, usize)>,
    /// Those who make one link for all whom they invite at a time.
    sharing: BTreeSet<usize>,
    /// Links that were handed over: (inviter, invited).
    links: BTreeMap<(usize, usize), Link>,
}

#[derive(Debug)]
struct Link {
    text: String,
    used: bool,
}

impl Circle {
    /// A connected circle of so many users: a tree, and some more of the pairs. Either side of a pair invites,
    /// sometimes both.
    pub(super) fn random(users: usize, rng: &mut ChaCha20Rng) -> Self {
        let mut circle = Self::default();
        for user in 1..users {
            let others = u32::try_from(user).unwrap_or(u32::MAX);
            let first = (0..user).find(|_| one_in(rng, others)).unwrap_or(user - 1);
            for other in 0..user {
                if other == first || one_in(rng, 3) {
                    circle.acquaint(other, user, rng);
                }
            }
        }
        circle.sharing = (0..users).filter(|_| one_in(rng, 2)).collect();
        circle
    }

    fn acquaint(&mut self, a: usize, b: usize, rng: &mut ChaCha20Rng) {
        self.pairs.push((a, b));
        let (inviter, invited) = if one_in(rng, 2) { (a, b) } else { (b, a) };
        self.wanted.insert((inviter, invited));
        if one_in(rng, 4) {
            self.wanted.insert((invited, inviter));
        }
    }

    /// Who knows whom, each pair once.
    pub(super) fn pairs(&self) -> &[(usize, usize)] {
        &self.pairs
    }

    /// Whom a user knows.
    pub(super) fn of(&self, user: usize) -> Vec<usize> {
        let others = self.pairs.iter().filter_map(|(a, b)| match (*a == user, *b == user) {
            (true, _) => Some(*b),
            (_, true) => Some(*a),
            _ => None,
        });
        others.collect()
    }

    /// Whether a link of or for a user was handed over.
    pub(super) fn has_met(&self, user: usize) -> bool {
        self.links.keys().any(|(inviter, invited)| *inviter == user || *invited == user)
    }

    /// The invited could do with a link: the one that they have is of no use any more.
    pub(super) fn want(&mut self, inviter: usize, invited: usize) {
        self.links.remove(&(inviter, invited));
        self.wanted.insert((inviter, invited));
    }

    /// Somebody used this user's link, and who knew of it may have been a device that is lost: then the user asks
    /// them for one of theirs.
    pub(super) fn meet_again(&mut self, user: usize, other: usize) {
        let used = self.links.get(&(user, other)).is_some_and(|link| link.used);
        if used && !self.links.contains_key(&(other, user)) {
            self.wanted.insert((other, user));
        }
    }

    /// For whom a user makes a link when this one wants it; empty: this one wants none.
    pub(super) fn invited(&self, inviter: usize, invited: usize) -> Vec<usize> {
        if !self.wanted.contains(&(inviter, invited)) {
            return Vec::new();
        }
        if !self.sharing.contains(&inviter) {
            return vec![invited];
        }
        self.wanted.iter().filter(|(by, _)| *by == inviter).map(|(_, invited)| *invited).collect()
    }

    /// A link was made, and is handed over.
    pub(super) fn give(&mut self, inviter: usize, invited: &[usize], text: &str) {
        for invited in invited {
            if self.wanted.remove(&(inviter, *invited)) {
                self.links.insert((inviter, *invited), Link { text: text.to_owned(), used: false });
            }
        }
    }

    /// The link from one user to another, once it was handed over.
    pub(super) fn take_link(&mut self, inviter: usize, invited: usize) -> Option<String> {
        let link = self.links.get_mut(&(inviter, invited))?;
        link.used = true;
        Some(link.text.clone())
    }

    /// A link that was never used yet; one that was is given up for a new one.
    pub(super) fn take_new_link(&mut self, inviter: usize, invited: usize) -> Option<String> {
        if self.links.get(&(inviter, invited)).is_none_or(|link| link.used) {
            self.want(inviter, invited);
        }
        self.take_link(inviter, invited)
    }
}
