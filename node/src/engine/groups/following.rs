//! What follows here when the operations of a group become more.

use std::sync::Arc;

use undertone_protocol::ids::{ConversationId, DeviceId, Handle, OperationHash};
use undertone_protocol::membership::{Action, View};

use super::{departures, farewells, judging, rounds, seeking, views};
use crate::engine::context::Context;
use crate::engine::membership::{heads_of, went_between};
use crate::engine::{acknowledging, progress, resend};
use crate::event::Event;
use crate::log;
use crate::store::{Contact, Member, Standing, StoreError};

/// Operations are held that were not before.
pub(super) fn changed(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    before: Option<Arc<View>>,
    held: &[OperationHash],
) -> Result<(), StoreError> {
    ctx.groups.refresh(group, ctx.tx)?;
    let Some(view) = ctx.groups.view(group).cloned() else { return Ok(()) };
    let was_in = before.as_ref().is_some_and(|before| before.is_in(&ctx.me.user));
    keep_group(ctx, group, &view)?;
    follow_members(ctx, group, &view, was_in)?;
    if judges(ctx, group, held) {
        // Whoever was removed may be back by the same update.
        let ever_cut = ctx.groups.document(group).map(|document| document.ever_cut());
        for user in ever_cut.unwrap_or_default() {
            judging::judge_user(ctx, group, &user)?;
        }
    }
    if view.is_in(&ctx.me.user) && !was_in {
        ctx.agenda.share.insert(*group);
        let members = ctx.tx.members(group)?;
        ctx.agenda.meet.extend(members.iter().map(|member| (*group, member.user)));
        acknowledging::make_own_due(ctx, group)?;
    }
    rounds::follow(ctx, group, before.as_deref(), held)?;
    progress::look_again(ctx, group)?;
    ctx.agenda.seal.insert(*group);
    ctx.agenda.quarantine = true;
    ctx.agenda.receipts = true;
    if was_in || view.is_in(&ctx.me.user) {
        let view = views::group(ctx, group)?;
        ctx.events.extend(view.map(|group| Event::Group { group: Box::new(group) }));
    }
    Ok(())
}

fn keep_group(ctx: &mut Context<'_>, group: &ConversationId, view: &View) -> Result<(), StoreError> {
    let Some(mut kept) = ctx.tx.group(group)? else { return Ok(()) };
    if let Some(name) = &view.settings.name {
        kept.name = name.to_string();
    }
    kept.standing = if view.is_in(&ctx.me.user) { Standing::In } else { Standing::Out };
    if kept.standing == Standing::In {
        ctx.agenda.told.remove(group);
    }
    ctx.tx.put_group(&kept)
}

/// Keeps what is needed of who came, and takes note of who went: where this user did, that is all of them.
fn follow_members(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    view: &View,
    was_in: bool,
) -> Result<(), StoreError> {
    if !view.is_in(&ctx.me.user) {
        for kept in ctx.tx.members(group)?.into_iter().filter(Member::is_in) {
            went(ctx, view, kept)?;
        }
        return Ok(());
    }
    let (next, knew) = last_words(ctx, group)?;
    let then = ctx.groups.view_at(group, &knew).filter(|_| !was_in);
    for (user, member) in &view.members {
        if *user == ctx.me.user {
            continue;
        }
        let known = ctx.tx.member(group, user)?;
        if known.as_ref().is_some_and(Member::is_in) {
            continue;
        }
        // Never one that was taken back: by that one they would be refused for good.
        let mut kept = known.unwrap_or_else(|| Member::new(*group, *user, Handle::random(ctx.rng), next));
        if kept.was_in() {
            // What they said of how to reach them before they went has ended, or will.
            let heard = |device: &DeviceId| kept.introduced.iter().any(|(by, _)| by == device);
            kept.grants.retain(|grant| heard(&grant.device));
        }
        tracing::debug!(device = ctx.me.device.short(), group = group.short(), who = user.short(), "came in");
        // Where this user was out, and they were not, what was for them still is.
        let stayed = kept.was_in()
            && then.as_ref().is_some_and(|then| then.is_in(user))
            && !went_between(ctx, group, user, &knew, &ctx.groups.heads(group));
        kept.from_seq = match (view.settings.history, stayed) {
            (true, _) => 1,
            (false, true) => kept.from_seq,
            (false, false) => next,
        };
        kept.hands_history = view.settings.history && is_own(ctx, group, &member.grant);
        kept.removed = None;
        kept.introduction_due = true;
        ctx.tx.put_member(&kept)?;
        ctx.agenda.meet.insert((*group, *user));
        // Whatever they asked for, they are in.
        if let Some(contact) = ctx.tx.contact(user)?.filter(|contact| contact.asks_by.is_some()) {
            ctx.tx.put_contact(&Contact { asks_by: None, ..contact })?;
        }
        ctx.agenda.fetch.insert(*user);
        ctx.agenda.seek.insert(*group, seeking::first(ctx.now));
    }
    for kept in ctx.tx.members(group)?.into_iter().filter(Member::is_in) {
        if !view.is_in(&kept.user) {
            went(ctx, view, kept)?;
            // The next message gets a key that they don't have.
            resend::renew_key(ctx, group)?;
        }
    }
    Ok(())
}

/// The number of the next entry of this device, and what it knew when it wrote the last one.
fn last_words(ctx: &Context<'_>, group: &ConversationId) -> Result<(u64, Vec<OperationHash>), StoreError> {
    let last = log::frontier_of(ctx.tx, group, &ctx.me.device)?.last();
    let held = ctx.tx.entries_at(group, &ctx.me.device, last)?;
    let knew = held.first().map(|stored| heads_of(&stored.entry.header)).unwrap_or_default();
    Ok((last.saturating_add(1), knew))
}

/// Somebody is not in any more, or this user is not: from now on their token ends.
fn went(ctx: &mut Context<'_>, view: &View, mut kept: Member) -> Result<(), StoreError> {
    let (group, who) = (kept.group.short(), kept.user.short());
    tracing::debug!(device = ctx.me.device.short(), group, who, "went");
    kept.removed = Some(ctx.now);
    kept.introduced.clear();
    kept.introduction_due = false;
    // Whom this user let in before they went themselves, nobody else may be able to tell.
    kept.welcome_due &= view.is_in(&kept.user);
    kept.hands_history = false;
    ctx.tx.put_member(&kept)?;
    farewells::tell_void(ctx, &kept.group, &kept.user)?;
    departures::settle(ctx, &kept.group, &kept.user)
}

/// Whether this device made an operation.
fn is_own(ctx: &mut Context<'_>, group: &ConversationId, hash: &OperationHash) -> bool {
    let me = ctx.me.device;
    let made = ctx.groups.document(group).and_then(|document| document.get(hash));
    made.is_some_and(|made| made.operation.device == me)
}

/// Whether entries may count that did not, or the other way round. Where a device forked, a removal may have been left
/// out, or hold again, whatever came.
fn judges(ctx: &mut Context<'_>, group: &ConversationId, held: &[OperationHash]) -> bool {
    let Some(document) = ctx.groups.document(group) else { return false };
    let has_forks = document.proofs().next().is_some();
    has_forks
        || held.iter().filter_map(|hash| document.get(hash)).any(|operation| {
            !matches!(
                operation.operation.action,
                Action::Create(_)
                    | Action::Settings(_)
                    | Action::InviteLink { .. }
                    | Action::InviteRevoke { .. }
            )
        })
}
