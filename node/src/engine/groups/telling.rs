//! What a device is told of a group: operations that it lacks, and whose they are, as often as is good for it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use prost::bytes::Bytes;
use undertone_protocol::codec::Signed;
use undertone_protocol::ids::{ConversationId, DeviceId, OperationHash, UserId};
use undertone_protocol::limits::{UPDATE_FORKS_MAX, UPDATE_HEADS_MAX, UPDATE_WANTS_MAX};
use undertone_protocol::membership::{Action, GroupUpdate, Operation, Person, Proof};
use undertone_protocol::time::Timestamp;

use super::farewells::for_gone;
use super::meeting;
use crate::engine::agenda::Update;
use crate::engine::circle::Circle;
use crate::engine::context::Context;
use crate::engine::{offers, own, pairwise, routes};
use crate::store::{Member, StoreError};

/// A device is told of a group no more often than this.
const EVERY: Duration = Duration::from_secs(5);

/// Whether a user may know what happens in a group.
pub(super) fn is_entitled(ctx: &Context<'_>, user: &UserId, group: &ConversationId) -> bool {
    *user == ctx.me.user || ctx.groups.view(group).is_some_and(|view| view.is_in(user))
}

/// When updates are due that would have come too early.
pub(in crate::engine) fn next_deadline(
    updates: &BTreeMap<(ConversationId, DeviceId), Update>,
    updated: &BTreeMap<(ConversationId, DeviceId), Timestamp>,
) -> Option<Timestamp> {
    let due = |which| updated.get(which).map_or(Timestamp::ZERO, |at| at.after(EVERY));
    updates.keys().map(due).min()
}

/// Seals the updates that are due.
pub(super) fn seal_due(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    let updated = &ctx.agenda.updated;
    let is_due =
        |which: &(ConversationId, DeviceId)| updated.get(which).is_none_or(|at| ctx.now.since(*at) >= EVERY);
    let due: Vec<_> = ctx.agenda.updates.keys().filter(|which| is_due(which)).copied().collect();
    for which in due {
        let Some(update) = ctx.agenda.updates.remove(&which) else { continue };
        ctx.agenda.updated.insert(which, ctx.now);
        seal(ctx, which, update)?;
    }
    let now = ctx.now;
    ctx.agenda.updated.retain(|_, at| now.since(*at) < EVERY);
    Ok(())
}

fn seal(
    ctx: &mut Context<'_>,
    (group, device): (ConversationId, DeviceId),
    due: Update,
) -> Result<(), StoreError> {
    let Some(circle) = Circle::of(ctx, &group)? else { return Ok(()) };
    let Some(user) = circle.user_of(ctx, &device) else { return Ok(()) };
    let Some(person) = ctx.tx.contact(&user)? else { return Ok(()) };
    let reach = pairwise::look(ctx, &person, &[device])?;
    if reach.devices.is_empty() {
        // It is tried again while its bundle is on its way; else the device asks when it can.
        if reach.waits {
            ctx.agenda.updates.insert((group, device), due);
        }
        return Ok(());
    }
    let ways = routes::grants_of(ctx, Some(&group), &user)?;
    if ways.iter().all(|grant| grant.device != device) {
        // It would only lie in the outbox: by its introduction, with which a way comes, the device says what it knows.
        return Ok(());
    }
    if !is_entitled(ctx, &user, &group) {
        let farewell = due.farewell;
        let update = for_gone(ctx, &group, due)?;
        meeting::tell(ctx, &person, &device, update, None)?;
        return match farewell.map(|entry| ctx.tx.entry(&entry)).transpose()?.flatten() {
            Some(entry) => offers::send(ctx, &person, &device, &group, vec![entry]),
            None => Ok(()),
        };
    }
    let mut people = match due.people {
        true if user == ctx.me.user => meeting::people(ctx, &group, None)?,
        true => lists_of(ctx, &group)?,
        false => Vec::new(),
    };
    let Some(document) = ctx.groups.document(&group) else { return Ok(()) };
    let known = due.since.clone().unwrap_or_default();
    let named: Vec<OperationHash> = due.named.into_iter().collect();
    let named = document.past_of(&named, &known).map(|(_, operation)| operation.signed());
    let mut operations: Vec<Signed> = named.collect();
    let beyond = due.since.iter().flat_map(|heads| document.since(heads));
    let sent: BTreeSet<Bytes> = operations.iter().map(|signed| signed.body.clone()).collect();
    operations.extend(
        beyond.map(|(_, operation)| operation.signed()).filter(|signed| !sent.contains(&signed.body)),
    );
    let forks = document.proofs().map(Proof::signed).take(UPDATE_FORKS_MAX).collect();
    let mut heads = document.landmarks();
    heads.truncate(UPDATE_HEADS_MAX);
    let mut wanted = due.people_of;
    wanted.extend(let_in_by(ctx, &operations));
    let member = ctx.tx.member(&group, &user)?.filter(Member::is_in);
    if member.is_some() || user == ctx.me.user {
        for wanted in wanted.iter().filter(|wanted| **wanted != ctx.me.user && **wanted != user) {
            people.extend(meeting::person(ctx, &group, wanted, member.as_ref())?);
        }
    }
    let (wants, lacks) = (due.wants.into_iter().collect(), due.lacks.into_iter().collect());
    let update = GroupUpdate { group, heads, operations, people, asks: due.asks, wants, forks, lacks };
    meeting::tell(ctx, &person, &device, update, None)
}

/// Whom a user let in by some of these: whoever hears of it first by an update was let in at the same time, so that
/// neither stands in the other's welcome.
fn let_in_by(ctx: &Context<'_>, operations: &[Signed]) -> BTreeSet<UserId> {
    let made = operations.iter().filter_map(|signed| Operation::from_bytes(&signed.body).ok());
    let own = made.filter(|operation| own::is_own(ctx, &operation.device));
    let let_in = own.filter_map(|operation| match operation.action {
        Action::Add { user, .. } => Some(user),
        _ => None,
    });
    let_in.take(UPDATE_WANTS_MAX).collect()
}

/// Whose the operations are, and nothing of how to reach them: members say that themselves.
fn lists_of(ctx: &mut Context<'_>, group: &ConversationId) -> Result<Vec<Person>, StoreError> {
    let people = meeting::people(ctx, group, None)?;
    Ok(people
        .into_iter()
        .map(|person| Person { grants: Vec::new(), written: Vec::new(), ..person })
        .collect())
}
