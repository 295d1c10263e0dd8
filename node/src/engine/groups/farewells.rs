//! What somebody is told who is out of a group: that they are, and nothing that came after.

use std::collections::BTreeSet;

use undertone_protocol::ids::{ConversationId, DeviceId, EntryId, OperationHash, UserId};
use undertone_protocol::limits::{LARGE_GROUP_MEMBERS, UPDATE_FORKS_MAX, UPDATE_HEADS_MAX};
use undertone_protocol::membership::{
    Action, GroupUpdate, Operation, Person, Proof, Role, SignedOperation, Verdict,
};

use super::let_in::{did_let_in, let_in, undone_by};
use super::meeting;
use crate::engine::agenda::Update;
use crate::engine::context::Context;
use crate::engine::own;
use crate::store::StoreError;

/// Whoever was put out is told so, and nothing that came after: by the operation, and by its entry, which shows it.
pub(in crate::engine) fn tell_removed(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    user: &UserId,
    known: &[OperationHash],
    entry: EntryId,
) -> Result<(), StoreError> {
    for device in devices_of(ctx, user)? {
        tell_gone(ctx, group, user, &device, known);
        ctx.agenda.updates.entry((*group, device)).or_default().farewell = Some(entry);
    }
    Ok(())
}

/// Somebody turned out to be no member whom this user let in without having the right to: nobody else may know of them.
pub(super) fn tell_void(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    user: &UserId,
) -> Result<(), StoreError> {
    let was_in = ctx.groups.view(group).is_none_or(|view| view.past_members.contains_key(user));
    let own = let_in(ctx, group, user).into_iter().filter(|add| add.by == ctx.me.user);
    let own: Vec<OperationHash> = own.map(|add| add.operation).collect();
    if was_in || own.is_empty() {
        return Ok(());
    }
    for device in devices_of(ctx, user)? {
        tell_gone(ctx, group, user, &device, &own);
    }
    Ok(())
}

fn devices_of(ctx: &Context<'_>, user: &UserId) -> Result<Vec<DeviceId>, StoreError> {
    Ok(ctx.tx.contact(user)?.map(|person| own::authorised(ctx, &person)).unwrap_or_default())
}

/// A device says by what it knows whether it knows that its user is out: else it is told, in a large group by admins, and by
/// whoever let them in. Where nobody put them out, it is what voids that they were let in.
pub(super) fn tell_gone(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    user: &UserId,
    device: &DeviceId,
    known: &[OperationHash],
) {
    let Some(view) = ctx.groups.view(group).cloned() else { return };
    if view.is_in(user) {
        return;
    }
    let is_admin = view.role(&ctx.me.user).is_some_and(|role| role <= Role::Admin);
    // Who put several out may have told one of them alone.
    let was_in = view.is_in(&ctx.me.user) || view.past_members.contains_key(&ctx.me.user);
    let may_tell =
        is_admin || was_in && view.members.len() <= LARGE_GROUP_MEMBERS || did_let_in(ctx, group, user);
    if !may_tell {
        return;
    }
    let (mut removals, others) = removals_beyond(ctx, group, user, known);
    if removals.is_empty() {
        let undone_by = undone_by(ctx, group, user);
        removals.extend(others.into_iter().filter(|hash| undone_by.contains(hash)));
    }
    let Some(document) = ctx.groups.document(group) else { return };
    let somebody_forked = document.proofs().next().is_some();
    removals.truncate(UPDATE_HEADS_MAX);
    // Or what let them in is left out with a device that forked: the proof says so.
    if removals.is_empty() && !somebody_forked {
        return;
    }
    let update = ctx.agenda.updates.entry((*group, *device)).or_default();
    update.named.extend(removals);
    update.below = known.to_vec();
}

/// The counting operations beyond what somebody knows: those that put a user out, and the others.
fn removals_beyond(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    user: &UserId,
    known: &[OperationHash],
) -> (Vec<OperationHash>, Vec<OperationHash>) {
    let (me, devices) = (ctx.me, &ctx.agenda.devices);
    let is_theirs = |device: &DeviceId| match me.account.device_list.device(device) {
        Some(_) => me.user == *user,
        None => devices.get(device) == Some(user),
    };
    let puts_out = |made: &Operation| match &made.action {
        Action::Remove { user: gone, .. } => gone == user,
        // The device that left may be gone too, and have told no other one.
        Action::Leave { .. } => is_theirs(&made.device),
        _ => false,
    };
    let Some(document) = ctx.groups.document(group) else { return Default::default() };
    let beyond = document.since(known).filter(|(hash, _)| document.verdict(hash) == Some(Verdict::Counts));
    let beyond = beyond.map(|(hash, made)| (hash, puts_out(&made.operation)));
    let (removals, others): (Vec<_>, Vec<_>) = beyond.partition(|(_, puts_out)| *puts_out);
    let hashes =
        |operations: Vec<(OperationHash, bool)>| operations.into_iter().map(|(hash, _)| hash).collect();
    (hashes(removals), hashes(others))
}

/// Whether what somebody says they know is what tells this user that they are out ([`for_gone`]): that says nothing of what
/// else they know, and two who are both out would tell each other so for ever.
pub(super) fn is_farewell(ctx: &mut Context<'_>, group: &ConversationId, heads: &[OperationHash]) -> bool {
    let me = ctx.me.user;
    if ctx.groups.view(group).is_none_or(|view| view.is_in(&me)) {
        return false;
    }
    let (removals, _) = removals_beyond(ctx, group, &me, &[]);
    let undone_by = undone_by(ctx, group, &me);
    heads.iter().all(|head| removals.contains(head) || undone_by.contains(head))
}

/// A member writes in a group as if this user were in: whoever put them out may have told nobody else, or that they left was
/// lost. The member is told what there is beyond what they know.
pub(super) fn pass_on(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    (user, device): (&UserId, &DeviceId),
    known: &[OperationHash],
) {
    let me = ctx.me.user;
    let is_out = ctx.groups.view(group).is_some_and(|view| view.is_in(user) && !view.is_in(&me));
    if is_out && ctx.groups.view_at(group, known).is_some_and(|view| view.is_in(&me)) {
        let update = ctx.agenda.updates.entry((*group, *device)).or_default();
        update.since.get_or_insert_with(|| known.to_vec());
    }
}

/// A device can be reached that could not be before, or by another way: of each group that its user is out of it is told
/// so, as what would have told it was not sent, or not heard.
pub(in crate::engine) fn tell_late(
    ctx: &mut Context<'_>,
    user: &UserId,
    device: &DeviceId,
) -> Result<(), StoreError> {
    for group in ctx.tx.groups_of(user)? {
        tell_gone(ctx, &group, user, device, &[]);
    }
    Ok(())
}

/// For a device that is out: what put it out, what that stands on, and whose it is. Or it is asked for what it has.
pub(super) fn for_gone(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    due: Update,
) -> Result<GroupUpdate, StoreError> {
    let heads: Vec<OperationHash> = due.named.into_iter().collect();
    let made = ctx.groups.past_of(group, &heads, &due.below);
    let authors: BTreeSet<UserId> =
        made.iter().filter_map(|made| ctx.agenda.devices.get(&made.operation.device)).copied().collect();
    let mut people = Vec::new();
    for author in authors {
        let person = meeting::person(ctx, group, &author, None)?;
        people.extend(person.map(|person| Person { grants: Vec::new(), ..person }));
    }
    let operations = made.iter().map(SignedOperation::signed).collect();
    let lacks = due.lacks.into_iter().collect();
    let forks = match ctx.groups.document(group) {
        Some(document) if heads.is_empty() => {
            document.proofs().map(Proof::signed).take(UPDATE_FORKS_MAX).collect()
        }
        _ => Vec::new(),
    };
    Ok(GroupUpdate { heads, operations, people, asks: due.asks, lacks, forks, ..GroupUpdate::of(*group) })
}
