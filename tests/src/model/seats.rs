//! Rules 11 to 14: what the operations that count show.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::fact::Fact;
use super::op::{Device, Field, Kind, OpId, Role, User};
use super::view::{Member, Rank, Standing, View};

/// What these show, which are all that count in a set.
pub(super) fn show(counting: &[&Fact]) -> View {
    let mut view = View { revoked: revoked(counting), settings: settings(counting), ..View::default() };
    let users: BTreeSet<User> = counting.iter().filter_map(|fact| fact.grant).map(|(user, _)| user).collect();
    for user in users {
        match membership(user, counting) {
            Ok(member) => drop(view.members.insert(user, member)),
            Err(last) => drop(view.former.insert(user, last)),
        }
    }
    view.acting = acting(&view.members, counting);
    view
}

/// Rule 12; for who is out, the last rank: what their maximal counting grants give.
fn membership(user: User, counting: &[&Fact]) -> Result<Member, Rank> {
    let is_theirs = |fact: &&Fact| fact.grant.is_some_and(|(to, _)| to == user);
    let grants: Vec<&Fact> = counting.iter().copied().filter(is_theirs).collect();
    let live: Vec<&Fact> = grants.iter().copied().filter(|g| is_live(g, user, counting)).collect();
    if live.is_empty() { Err(sum_up(&grants).rank) } else { Ok(sum_up(&live)) }
}

/// Rule 13.
fn acting(members: &BTreeMap<User, Member>, counting: &[&Fact]) -> Option<User> {
    if members.values().any(|member| member.rank.role == Role::Owner) {
        return None;
    }
    let hash = |member: &Member| {
        let grants = counting.iter().filter(|fact| member.grants.contains(&fact.op.id));
        grants.map(|fact| fact.op.hash).min()
    };
    members.iter().min_by_key(|(_, member)| (member.rank, hash(member))).map(|(user, _)| *user)
}

/// Rule 11. One who is unknown in V(past(g)), or never was in, is not *already removed* there.
fn is_live(g: &Fact, user: User, counting: &[&Fact]) -> bool {
    let ends = |r: &Fact| match r.op.kind {
        Kind::Remove { user: target, .. } => target == user,
        Kind::Leave { .. } => r.op.author == user,
        _ => false,
    };
    let reaches = |r: &Fact| {
        let later = r.past.contains(&g.op.id);
        let concurrent = !later && !g.past.contains(&r.op.id);
        later || (concurrent && !g.before.former.contains_key(&r.op.author))
    };
    !counting.iter().any(|r| ends(r) && r.op.id != g.op.id && reaches(r))
}

/// Rule 12, over these grants: the least powerful role of the maximal ones, and its least generation. What somebody
/// gives who stood below what another one gives takes nothing from it.
fn sum_up(grants: &[&Fact]) -> Member {
    let maximal = maximal(grants);
    let given = |g: &Fact| g.grant.map(|(_, rank)| rank);
    let overruled = |g: &&&Fact| {
        maximal.iter().filter_map(|other| given(other)).any(|other| {
            given(g).is_some_and(|rank| rank.role > other.role) && g.standing > Some(Standing::Of(other))
        })
    };
    let left = maximal.iter().filter(|g| !overruled(g));
    let ranks: BTreeMap<OpId, Rank> = left.filter_map(|g| Some((g.op.id, given(g)?))).collect();
    // None but by mistake: there is a grant, and so a maximal one.
    let role = ranks.values().map(|rank| rank.role).max().unwrap_or(Role::Member);
    let of_role = ranks.values().filter(|rank| rank.role == role);
    let generation = of_role.map(|rank| rank.generation).min().unwrap_or(u32::MAX);
    let rank = Rank { role, generation };
    let giving = ranks.iter().filter(|(_, given)| **given == rank).map(|(id, _)| *id);
    Member { rank, grants: giving.collect() }
}

/// Those of these that are in no other's past.
fn maximal<'a>(facts: &[&'a Fact]) -> Vec<&'a Fact> {
    let is_maximal = |fact: &&Fact| !facts.iter().any(|other| other.past.contains(&fact.op.id));
    facts.iter().copied().filter(|fact| is_maximal(fact)).collect()
}

fn revoked(counting: &[&Fact]) -> BTreeSet<(User, Device)> {
    let of = |fact: &&Fact| match fact.op.kind {
        Kind::DeviceRevoke { user, device, .. } => Some((user, device)),
        _ => None,
    };
    counting.iter().filter_map(of).collect()
}

/// Rule 14, for each field by itself.
fn settings(counting: &[&Fact]) -> BTreeMap<Field, u32> {
    let mut by_field: BTreeMap<Field, Vec<&Fact>> = BTreeMap::new();
    for fact in counting {
        if let Kind::Settings { field, .. } = fact.op.kind {
            by_field.entry(field).or_default().push(fact);
        }
    }
    let mut settings = BTreeMap::new();
    for (field, facts) in by_field {
        let order = |fact: &&&Fact| (fact.standing, Reverse(fact.op.hash));
        let first = maximal(&facts).iter().min_by_key(order).map(|fact| &fact.op.kind);
        if let Some(Kind::Settings { value, .. }) = first {
            settings.insert(field, *value);
        }
    }
    settings
}
