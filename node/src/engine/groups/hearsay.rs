//! What others only tell of: groups in which this user never was, and people who are in none of the others. A contact can
//! name as many as they like, so there is room for a number of either, and for a while.

use std::collections::BTreeSet;

use undertone_protocol::ids::{ConversationId, UserId};
use undertone_protocol::limits::{ENVELOPE_TTL_MAX, GROUPS_MAX};
use undertone_protocol::membership::Action;
use undertone_protocol::time::Timestamp;

use crate::engine::agenda::{Agenda, Told};
use crate::engine::context::Context;
use crate::engine::outgoing;
use crate::store::{Contact, ContactState, Group, Member, NodeTx, Purpose, Standing, StoreError};

/// Groups in which this user never was that one contact brought.
pub(super) const TOLD_GROUPS_PER_CONTACT_MAX: usize = 64;
/// Such groups in all.
pub(super) const TOLD_GROUPS_MAX: usize = 512;
/// People who are in no group that this user is or was in, and no contacts.
pub(super) const STRANGERS_MAX: usize = 4_096;
/// So many stay where they were too many: who they are takes a look at all groups, which not each new one may cost.
pub(super) const STRANGERS_LEFT: usize = STRANGERS_MAX / 4 * 3;

/// At a start: a group in which this user may never have been. Where something was said it stays.
pub(super) fn look_at(
    tx: &dyn NodeTx,
    agenda: &mut Agenda,
    group: &Group,
    members: &[Member],
) -> Result<(), StoreError> {
    let is_told = group.standing == Standing::Out && !members.iter().any(Member::was_in);
    if is_told && tx.heads(&group.id, 1)?.is_empty() {
        agenda.told.insert(group.id, Told { by: None, added: group.added });
    }
    Ok(())
}

/// A contact brought a group.
pub(super) fn note_group(ctx: &mut Context<'_>, group: &ConversationId, by: &UserId) {
    ctx.agenda.told.insert(*group, Told { by: Some(*by), added: ctx.now });
}

/// Another own device holds something that was said in a group, so this user was in, though what let them in may not count
/// any more.
pub(in crate::engine) fn is_held_elsewhere(ctx: &mut Context<'_>, group: &ConversationId) {
    ctx.agenda.told.remove(group);
}

/// Whether this user never was in a group, as far as is known here.
pub(super) fn is_told(ctx: &Context<'_>, group: &ConversationId) -> bool {
    let me = &ctx.me.user;
    let knows_me =
        || ctx.groups.view(group).is_some_and(|view| view.is_in(me) || view.past_members.contains_key(me));
    ctx.agenda.told.contains_key(group) && !knows_me()
}

/// Whether there is room for one more group, which a user brings or makes. Groups in which this user never was make it: what
/// says that they are in comes again, as this device asks for what it lacks. Of too many a contact's own go, so that nobody
/// keeps out what others bring.
pub(in crate::engine) fn make_room(ctx: &mut Context<'_>, by: &UserId) -> Result<bool, StoreError> {
    let is_theirs = |told: &Told| told.by == Some(*by);
    if ctx.agenda.told.values().filter(|told| is_theirs(told)).count() >= TOLD_GROUPS_PER_CONTACT_MAX {
        drop_oldest(ctx, is_theirs)?;
    } else if ctx.agenda.told.len() >= TOLD_GROUPS_MAX {
        drop_oldest(ctx, |_| true)?;
    }
    Ok(ctx.tx.groups()?.len() < GROUPS_MAX || drop_oldest(ctx, |_| true)?)
}

/// Whether there was such a one.
fn drop_oldest(ctx: &mut Context<'_>, is_such: impl Fn(&Told) -> bool) -> Result<bool, StoreError> {
    loop {
        let such = ctx.agenda.told.iter().filter(|(_, told)| is_such(told));
        let Some((_, group)) = such.map(|(group, told)| (told.added, *group)).min() else { return Ok(false) };
        if drop_told(ctx, &group)? {
            return Ok(true);
        }
    }
}

/// Whether it went; else this user came in since.
fn drop_told(ctx: &mut Context<'_>, group: &ConversationId) -> Result<bool, StoreError> {
    if !is_told(ctx, group) {
        ctx.agenda.told.remove(group);
        return Ok(false);
    }
    tracing::debug!(
        device = ctx.me.device.short(),
        group = group.short(),
        "a group that is only told of goes"
    );
    let members = ctx.tx.members(group)?;
    ctx.tx.delete_group(group)?;
    ctx.groups.remove(group);
    ctx.agenda.forget_group(group);
    call_back(ctx, group, &members)?;
    Ok(true)
}

/// Takes what is of a group out of the outbox, and what goes to its members by their place in it alone: to somebody who is
/// blocked nothing goes but what is of a group.
fn call_back(ctx: &mut Context<'_>, group: &ConversationId, members: &[Member]) -> Result<(), StoreError> {
    let of_group = [Purpose::Group, Purpose::Acknowledgement, Purpose::OwnAcknowledgement, Purpose::History];
    let mut purposes: Vec<Purpose> = of_group.into_iter().map(|of| of(*group)).collect();
    for user in members.iter().map(|member| member.user) {
        let contact = ctx.tx.contact(&user)?;
        let is_shut_out = contact
            .is_some_and(|contact| contact.state == ContactState::Member || contact.state.is_blocked());
        if is_shut_out && ctx.tx.groups_of(&user)?.is_empty() {
            purposes.push(Purpose::Retry(user));
        }
    }
    for purpose in &purposes {
        for head in ctx.tx.outbox_heads_of(purpose)? {
            ctx.tx.delete_outbox(head.id)?;
        }
    }
    Ok(())
}

/// Somebody of whom nothing was known is named. Of too many the oldest make room: who is in a group of this user's is no
/// stranger, and is named again where operations or messages lack them.
pub(super) fn note_person(ctx: &mut Context<'_>, user: &UserId) -> Result<(), StoreError> {
    if ctx.agenda.strangers.len() >= STRANGERS_MAX {
        let strangers = strangers(ctx)?;
        let too_many = strangers.len().saturating_sub(STRANGERS_LEFT);
        if too_many > 0 {
            tracing::warn!(too_many, "people who are in no group of this user's make room for others");
        }
        for (_, stranger) in strangers.iter().take(too_many) {
            drop_stranger(ctx, stranger)?;
        }
    }
    ctx.agenda.strangers.insert(*user);
    Ok(())
}

/// Those who are in no group that counts, the oldest first. Who they are is noted.
fn strangers(ctx: &mut Context<'_>) -> Result<Vec<(Timestamp, UserId)>, StoreError> {
    let held = held(ctx)?;
    let mut strangers = Vec::new();
    for user in ctx.agenda.strangers.difference(&held) {
        let contact = ctx.tx.contact(user)?.filter(is_only_named);
        strangers.extend(contact.map(|contact| (contact.added, *user)));
    }
    ctx.agenda.strangers = strangers.iter().map(|(_, user)| *user).collect();
    strangers.sort_unstable();
    Ok(strangers)
}

/// Whom the user verified they have met.
fn is_only_named(contact: &Contact) -> bool {
    contact.state == ContactState::Member && !contact.verified
}

/// Who is or was in a group in which this user is or was too, was let in there, or changed it.
fn held(ctx: &mut Context<'_>) -> Result<BTreeSet<UserId>, StoreError> {
    let mut held = BTreeSet::new();
    for group in ctx.tx.groups()? {
        if is_told(ctx, &group.id) {
            continue;
        }
        if let Some(view) = ctx.groups.view(&group.id) {
            held.extend(view.members.keys().chain(view.past_members.keys()));
        }
        held.extend(ctx.tx.members(&group.id)?.iter().filter(|kept| kept.was_in()).map(|kept| kept.user));
        let Some(document) = ctx.groups.document(&group.id) else { continue };
        for (_, made) in document.since(&[]) {
            held.extend(ctx.agenda.devices.get(&made.operation.device));
            if let Action::Add { user, .. } = &made.operation.action {
                held.insert(*user);
            }
        }
    }
    Ok(held)
}

fn drop_stranger(ctx: &mut Context<'_>, user: &UserId) -> Result<(), StoreError> {
    let list = ctx.tx.contact(user)?.and_then(|contact| contact.device_list);
    let conversation = ctx.me.direct(user);
    for device in list.iter().flat_map(|list| &list.devices).map(|listed| listed.certificate.device) {
        // Anybody can list a device that is not theirs.
        if ctx.agenda.devices.get(&device) == Some(user) {
            outgoing::forget(ctx, &device)?;
            outgoing::forget_all(ctx, &conversation, &device)?;
            ctx.agenda.devices.remove(&device);
        }
    }
    for group in ctx.tx.groups_of(user)? {
        ctx.tx.delete_member(&group, user)?;
        ctx.agenda.meet.remove(&(group, *user));
    }
    ctx.agenda.strangers.remove(user);
    // What is being fetched of theirs is not waited for.
    ctx.agenda.fetch.insert(*user);
    ctx.tx.delete_contact(user)
}

/// Drops what nothing came of for as long as a relay may hold what says that this user is in.
pub(super) fn sweep(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    let now = ctx.now;
    let is_old = |added: Timestamp| now.since(added) >= ENVELOPE_TTL_MAX;
    let old = ctx.agenda.told.iter().filter(|(_, told)| is_old(told.added)).map(|(group, _)| *group);
    for group in old.collect::<Vec<_>>() {
        drop_told(ctx, &group)?;
    }
    if ctx.agenda.strangers.is_empty() {
        return Ok(());
    }
    for (_, stranger) in strangers(ctx)?.iter().take_while(|(added, _)| is_old(*added)) {
        drop_stranger(ctx, stranger)?;
    }
    Ok(())
}
