//! Rules 3 to 8, 15 and 16 as far as they look at an operation's past alone.

use super::bits::Past;
use super::graph::{Deed, Forbidden, Graph, Head, Judgement};
use super::world::World;
use crate::limits::GROUP_MEMBERS_MAX;
use crate::membership::role::{Rank, Role};
use crate::membership::settings::Setting;

/// An operation before it is taken in.
pub(super) struct Case<'a> {
    pub(super) user: usize,
    pub(super) device: usize,
    pub(super) deed: &'a Deed,
    pub(super) past: &'a Past,
}

/// How an author comes to do something: their rank, and the role whose power they have.
struct Author {
    rank: Rank,
    power: Role,
}

const fn forbid(rule: u8, why: &'static str) -> Forbidden {
    Forbidden { rule, why }
}

/// Judges an operation in the view of its past, which is what `world` stands at.
pub(super) fn judge(graph: &Graph, world: &mut World, case: &Case<'_>) -> Judgement {
    match case.deed {
        Deed::Create { .. } => {
            let grant = Some((case.user, Rank::CREATOR));
            return Judgement { grant, removed: Some(world.removed()), ..Judgement::default() };
        }
        Deed::DeviceRevoke { cut, .. } => {
            let forbidden = check_cut([*cut], case.past).err();
            return Judgement { forbidden, revokes: true, ..Judgement::default() };
        }
        _ => {}
    }
    let Some(rank) = world.standing(case.user).rank else {
        return refused(forbid(5, "the author is not in the group"));
    };
    if graph.device_revokes(case.device).iter().any(|revoke| world.counts(*revoke)) {
        return refused(forbid(5, "the author's device was revoked"));
    }
    let power = if world.acting(graph) == Some(case.user) { Role::Owner } else { rank.role };
    let author = Author { rank, power };
    let lowered = lowered(world, case, rank);
    let grant = match case.deed {
        Deed::Add { target, role } | Deed::SetRole { target, role } => Some((*target, rank.granting(*role))),
        Deed::Leave { successor: Some(successor) } => Some((*successor, rank.granting(Role::Owner))),
        _ => None,
    };
    let need = match need(graph, world, case, &author, lowered) {
        Ok(need) => need,
        Err(forbidden) => return refused(forbidden),
    };
    Judgement {
        forbidden: None,
        rank: Some(rank),
        supports: world.standing(case.user).grants.clone(),
        need: Some(need),
        revokes: matches!(case.deed, Deed::Remove { .. } | Deed::Leave { .. }) || lowered.is_some(),
        removed: grant.is_some().then(|| world.removed()),
        grant,
    }
}

fn refused(forbidden: Forbidden) -> Judgement {
    Judgement { forbidden: Some(forbidden), ..Judgement::default() }
}

/// The rank of the target, if this is a SetRole that lowers it.
fn lowered(world: &World, case: &Case<'_>, rank: Rank) -> Option<Rank> {
    let Deed::SetRole { target, role } = case.deed else { return None };
    world.standing(*target).rank.filter(|theirs| rank.granting(*role) > *theirs)
}

/// Rule 5: the last rank with which the author could do this; an error says which rule forbids it to them.
fn need(
    graph: &Graph,
    world: &mut World,
    case: &Case<'_>,
    author: &Author,
    lowered: Option<Rank>,
) -> Result<Rank, Forbidden> {
    match case.deed {
        Deed::Add { target, role } => need_to_add(graph, world, author, *target, *role),
        Deed::Remove { target, cut } => {
            let need = need_to_remove(world, case.user, author, *target)?;
            check_cut(cut.iter().flatten().map(|(_, head)| *head), case.past)?;
            Ok(need)
        }
        Deed::SetRole { target, role } => {
            let need = need_to_set_role(world, case.user, author, *target, *role, lowered)?;
            if *role != Role::Owner && is_last_owner(world, *target) {
                return Err(forbid(6, "the last owner can't be lowered"));
            }
            Ok(need)
        }
        // Who is alone leaves nobody without an owner.
        Deed::Leave { successor: None } if is_last_owner(world, case.user) && world.members() > 1 => {
            Err(forbid(6, "the last owner can't leave without naming a successor"))
        }
        Deed::Leave { successor: None } => Ok(Rank::last(Role::Member)),
        Deed::Leave { successor: Some(successor) } => need_to_hand_over(world, case.user, author, *successor),
        Deed::Settings => admin(author, "only admins change settings"),
        Deed::InviteLink => {
            let may_add = may_add(graph, world);
            if author.power > may_add {
                return Err(forbid(5, "the group's settings don't let this role make links"));
            }
            Ok(Rank::last(may_add))
        }
        Deed::InviteRevoke { link } => {
            let known = link.filter(|link| case.past.contains(*link)).map(|link| graph.node(link));
            match known {
                Some(node) if !matches!(node.deed, Deed::InviteLink) => {
                    Err(forbid(5, "what it takes back is no link"))
                }
                Some(node) if node.user == case.user => Ok(Rank::last(Role::Member)),
                Some(_) => admin(author, "only admins take back the links of others"),
                None => Err(forbid(5, "it takes back a link that is not in its past")),
            }
        }
        Deed::Nothing | Deed::Create { .. } | Deed::DeviceRevoke { .. } => Ok(Rank::last(Role::Member)),
    }
}

fn admin(author: &Author, why: &'static str) -> Result<Rank, Forbidden> {
    if author.power > Role::Admin { Err(forbid(5, why)) } else { Ok(Rank::last(Role::Admin)) }
}

fn may_add(graph: &Graph, world: &mut World) -> Role {
    world
        .setter(graph, Setting::MayAdd)
        .and_then(|setter| graph.node(setter).settings()?.may_add)
        .unwrap_or(Role::Admin)
}

fn need_to_add(
    graph: &Graph,
    world: &mut World,
    author: &Author,
    target: usize,
    role: Role,
) -> Result<Rank, Forbidden> {
    let may_add = may_add(graph, world);
    if author.power > may_add {
        return Err(forbid(5, "the group's settings don't let this role add members"));
    }
    if role < author.rank.role {
        return Err(forbid(5, "nobody grants a role above their own"));
    }
    if world.standing(target).rank.is_some() {
        return Err(forbid(5, "the user is in already"));
    }
    if world.members() >= graph.cap().unwrap_or(GROUP_MEMBERS_MAX) {
        return Err(forbid(16, "the group is full"));
    }
    Ok(Rank::last(may_add.min(role)))
}

fn need_to_remove(world: &World, user: usize, author: &Author, target: usize) -> Result<Rank, Forbidden> {
    let admin = admin(author, "only admins remove members")?;
    if target == user {
        return Err(forbid(5, "who goes by themselves leaves"));
    }
    let standing = world.standing(target);
    match (standing.rank, standing.last) {
        (Some(theirs), _) if author.rank > theirs => Err(forbid(5, "the user stands above the author")),
        (Some(theirs), _) => Ok(admin.min(theirs)),
        (None, Some(last)) => match last.above() {
            Some(above) if author.rank <= above => Ok(admin.min(above)),
            _ => Err(forbid(7, "only who stands above a past member removes them once more")),
        },
        (None, None) => Err(forbid(7, "the user was never in")),
    }
}

fn need_to_set_role(
    world: &World,
    user: usize,
    author: &Author,
    target: usize,
    role: Role,
    lowered: Option<Rank>,
) -> Result<Rank, Forbidden> {
    if world.standing(target).rank.is_none() {
        return Err(forbid(5, "the user is not in the group"));
    }
    let admin = admin(author, "only admins set roles")?;
    if role < author.rank.role {
        return Err(forbid(5, "nobody grants a role above their own"));
    }
    match lowered.filter(|_| target != user) {
        Some(theirs) if author.rank > theirs => Err(forbid(5, "the user stands above the author")),
        Some(theirs) => Ok(admin.min(Rank::last(role)).min(theirs)),
        None => Ok(admin.min(Rank::last(role))),
    }
}

fn need_to_hand_over(
    world: &World,
    user: usize,
    author: &Author,
    successor: usize,
) -> Result<Rank, Forbidden> {
    if author.rank.role != Role::Owner {
        return Err(forbid(5, "only an owner names a successor"));
    }
    let raises = |theirs| author.rank.granting(Role::Owner) < theirs;
    if successor == user || !world.standing(successor).rank.is_some_and(raises) {
        return Err(forbid(5, "the successor must be another member whom it raises"));
    }
    Ok(Rank::last(Role::Owner))
}

fn is_last_owner(world: &World, user: usize) -> bool {
    world.owners() == 1 && world.standing(user).rank.is_some_and(|rank| rank.role == Role::Owner)
}

/// Rule 15: who cuts knows what they cut at.
fn check_cut(heads: impl IntoIterator<Item = Head>, past: &Past) -> Result<(), Forbidden> {
    let known = |head| match head {
        Head::Nothing => true,
        Head::At(at) => past.contains(at),
        Head::Unknown => false,
    };
    if heads.into_iter().all(known) {
        Ok(())
    } else {
        Err(forbid(15, "a cut names an operation that is not in the past"))
    }
}
