//! How members get to know each other: each device says to each other one how to reach it, by a token of the group; who
//! was added is told everything first.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use undertone_protocol::codec::Signed;
use undertone_protocol::ids::{ConversationId, DeviceId, Handle, UserId};
use undertone_protocol::keys::{
    DeliveryGrant, DeviceList, Introduction, IntroductionFields, IntroductionKind, Name,
};
use undertone_protocol::limits::{DELEGATED_TOKEN_LIFE, ENVELOPE_TTL_MAX, REMOVED_TOKEN_LIFE};
use undertone_protocol::membership::{GroupUpdate, Person, Written};
use undertone_protocol::token::Step;
use undertone_protocol::wire::pairwise::Body;

use super::{rounds, views, written};
use crate::engine::addresses::{self, Changes};
use crate::engine::circle::{Circle, name_of};
use crate::engine::context::Context;
use crate::engine::outgoing::{self, NO_GROUP};
use crate::engine::pairwise;
use crate::engine::{acknowledging, group_acknowledging, history, introducing, lists, members, names};
use crate::event::Event;
use crate::store::{Contact, ContactState, Member, OutboxState, Purpose, Standing, StoreError};

/// Says to members how to reach this device, where that is due.
pub(super) fn seal_due(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    for (group, user) in std::mem::take(&mut ctx.agenda.meet) {
        let Some(circle) = Circle::of(ctx, &group)? else { continue };
        let is_due = |member: &Member| {
            member.welcome_due || member.introduction_due && member.is_in() && circle.is_open()
        };
        if let Some(member) = ctx.tx.member(&group, &user)?.filter(is_due) {
            meet(ctx, &circle, member)?;
        }
    }
    Ok(())
}

fn meet(ctx: &mut Context<'_>, circle: &Circle, mut member: Member) -> Result<(), StoreError> {
    let Some(person) = ctx.tx.contact(&member.user)? else { return Ok(()) };
    let devices = circle.authorised(ctx, &person);
    let reach = pairwise::look(ctx, &person, &devices)?;
    if reach.waits || reach.devices.is_empty() {
        return Ok(());
    }
    let update = if member.welcome_due { welcome(ctx, &member)? } else { greeting(ctx, &member.group) };
    for device in &reach.devices {
        let introduction = introduction(ctx, &member, &person, device)?;
        tell(ctx, &person, device, update.clone(), Some(introduction))?;
    }
    member.introduction_due = false;
    member.welcome_due = false;
    ctx.tx.put_member(&member)
}

/// Seals an update for a device, in as many envelopes as it takes.
pub(super) fn tell(
    ctx: &mut Context<'_>,
    person: &Contact,
    device: &DeviceId,
    update: GroupUpdate,
    mut introduction: Option<Signed>,
) -> Result<(), StoreError> {
    let purpose = Purpose::Group(update.group);
    for part in update.parts() {
        let body = Body::Group(part.to_wire());
        let Some(payload) = pairwise::seal(ctx, person, device, body, introduction.take())? else { continue };
        outgoing::put(ctx, &person.user, &[*device], purpose, NO_GROUP, payload)?;
    }
    Ok(())
}

/// What goes along with an introduction: what this device knows of the operations.
fn greeting(ctx: &mut Context<'_>, group: &ConversationId) -> GroupUpdate {
    let heads = ctx.groups.document(group).map(|document| document.landmarks()).unwrap_or_default();
    GroupUpdate { heads, ..GroupUpdate::of(*group) }
}

/// Everything, for somebody whom this user added.
fn welcome(ctx: &mut Context<'_>, member: &Member) -> Result<GroupUpdate, StoreError> {
    let mut update = greeting(ctx, &member.group);
    if let Some(document) = ctx.groups.document(&member.group) {
        update.operations = document.since(&[]).map(|(_, operation)| operation.signed()).collect();
    }
    update.people = people(ctx, &member.group, Some(member))?;
    Ok(update)
}

/// All who are or were in a group, or of whom operations stand in it that count nowhere. `joiner`: who is let use this user's tokens for a while; nobody: an own other device,
/// which may use them as they are.
pub(super) fn people(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    joiner: Option<&Member>,
) -> Result<Vec<Person>, StoreError> {
    let Some(view) = ctx.groups.view(group).cloned() else { return Ok(Vec::new()) };
    let mut users: BTreeSet<UserId> = view.members.keys().chain(view.past_members.keys()).copied().collect();
    if let Some(document) = ctx.groups.document(group) {
        let authors = document.since(&[]).map(|(_, made)| made.operation.device);
        users.extend(authors.filter_map(|device| ctx.agenda.devices.get(&device)));
    }
    let held = written::held(ctx.tx, group)?;
    let mut people = Vec::new();
    for user in &users {
        if joiner.is_some_and(|joiner| joiner.user == *user) {
            continue;
        }
        if *user == ctx.me.user {
            people.extend(joiner.map(|_| myself(ctx, &held)));
            continue;
        }
        let told = ctx.tx.member(group, user)?.map(|member| member.written).unwrap_or_default();
        let person = person(ctx, group, user, joiner)?;
        people.extend(person.map(|person| {
            let written = written::of(&person.device_list, &held, &told);
            Person { written, ..person }
        }));
    }
    Ok(people)
}

/// One of them, and how to reach them if they are in.
pub(super) fn person(
    ctx: &Context<'_>,
    group: &ConversationId,
    user: &UserId,
    joiner: Option<&Member>,
) -> Result<Option<Person>, StoreError> {
    let Some(contact) = ctx.tx.contact(user)? else { return Ok(None) };
    let Some(device_list) = contact.device_list.clone() else { return Ok(None) };
    let is_in = ctx.groups.view(group).is_some_and(|view| view.is_in(user));
    let is_active = |device: &DeviceId| device_list.active_device(device).is_some();
    let mut grants = ctx.tx.member(group, user)?.map(|member| member.grants).unwrap_or_default();
    let known: Vec<DeviceId> = grants.iter().map(|grant| grant.device).collect();
    grants.extend(contact.grants.iter().filter(|grant| !known.contains(&grant.device)).cloned());
    grants.retain(|grant| is_in && is_active(&grant.device));
    if let Some(joiner) = joiner {
        let end = Some(ctx.now.after(DELEGATED_TOKEN_LIFE));
        let step = Step { not_after: end, ..Step::named(joiner.token) };
        let delegated = grants.into_iter().filter_map(|grant| {
            let token = grant.token.extend(step.clone())?;
            Some(DeliveryGrant { token, ..grant })
        });
        grants = delegated.collect();
    }
    let bundles = contact.bundles.iter().filter(|access| is_active(&access.device)).cloned().collect();
    // What this user calls somebody is nobody else's business: they say themselves what they are called.
    Ok(Some(Person { name: None, device_list, bundles, grants, written: Vec::new() }))
}

/// This user: their devices speak for themselves.
fn myself(ctx: &Context<'_>, held: &BTreeMap<DeviceId, Written>) -> Person {
    Person {
        name: Some(ctx.me.account.name.clone()),
        device_list: ctx.me.account.device_list.clone(),
        bundles: Vec::new(),
        grants: Vec::new(),
        written: written::of(&ctx.me.account.device_list, held, &[]),
    }
}

fn introduction(
    ctx: &mut Context<'_>,
    member: &Member,
    person: &Contact,
    device: &DeviceId,
) -> Result<Signed, StoreError> {
    let account = &ctx.me.account;
    let fields = IntroductionFields {
        kind: IntroductionKind::Member { group: member.group },
        recipient_user: person.user,
        recipient_device: *device,
        certificate: account.certificate.clone(),
        device_list: account.device_list.clone(),
        bundles: addresses::own_bundles(ctx)?,
        grants: members::own_grants(ctx, member)?,
        name: account.name.clone(),
        issued: introducing::issued(ctx)?,
    };
    Ok(Introduction::issue(&ctx.me.key, fields).signed)
}

/// A member's device says how to reach it. False: this device does not know yet that they are in.
pub(in crate::engine) fn admit(
    ctx: &mut Context<'_>,
    known: Option<Contact>,
    fields: &IntroductionFields,
    group: &ConversationId,
) -> Result<bool, StoreError> {
    let (user, device) = (fields.certificate.user, fields.certificate.device);
    let member = ctx.tx.member(group, &user)?;
    let is_in = member.as_ref().is_some_and(Member::is_in);
    // Whom this user knows may have added them to a group that comes with it.
    let may_welcome = known.as_ref().is_some_and(|known| known.state == ContactState::Accepted);
    if !is_in && !may_welcome {
        return Ok(false);
    }
    let called = name_of(ctx, &user)?;
    let contact = match known {
        Some(known) => Some(known),
        None => stranger(ctx, user, Some(&fields.name))?,
    };
    let Some(mut contact) = contact else { return Ok(false) };
    take_name(ctx, &mut contact, &fields.name)?;
    lists::take_list(ctx, &mut contact, &fields.device_list)?;
    ctx.agenda.note_device(device, user);
    addresses::take_bundles(&mut contact, &device, &fields.bundles);
    ctx.tx.put_contact(&contact)?;
    if name_of(ctx, &user)? != called {
        tell_name(ctx, &user)?;
    }
    ctx.agenda.fetch.insert(user);
    let mut member = match member {
        Some(member) => member,
        // They are in when the operations say so; till then it is only how to answer them.
        None => Member { removed: Some(ctx.now), ..new_member(ctx, *group, user) },
    };
    if fields.issued < member.introduced_by(&device) {
        return Ok(true);
    }
    let is_first = member.introduced.iter().all(|(by, _)| *by != device);
    member.introduced.retain(|(by, _)| *by != device);
    member.introduced.push((device, fields.issued));
    member.introduced.sort_unstable();
    let grants: Vec<_> = fields.grants.iter().filter(|grant| grant.device == device).cloned().collect();
    let changed = !grants.iter().all(|grant| member.grants.contains(grant));
    let Changes { gone, .. } = Changes::of(&member.grants, &grants);
    for (device, relay) in &gone {
        outgoing::not_fetched(ctx, device, relay)?;
    }
    member.grants.retain(|grant| grant.device != device);
    member.grants.extend(grants);
    // One that speaks for the first time may not know how to reach this one.
    member.introduction_due |= is_first || !gone.is_empty();
    ctx.tx.put_member(&member)?;
    ctx.agenda.meet.insert((*group, user));
    ctx.agenda.publish = true;
    if changed {
        history::reached(ctx, &user, &device)?;
        ctx.agenda.behind.insert((*group, device));
        group_acknowledging::tell_again(ctx, group, &user)?;
        acknowledging::make_due(ctx, group)?;
    }
    Ok(true)
}

/// A member of whom nothing was known; `None`: they did not say what they are called.
pub(super) fn stranger(
    ctx: &mut Context<'_>,
    user: UserId,
    name: Option<&Name>,
) -> Result<Option<Contact>, StoreError> {
    let Some(wanted) = name.cloned().or_else(|| Name::new(&user.short()).ok()) else { return Ok(None) };
    let name = names::unique_name(ctx.tx, &wanted, &user)?;
    Ok(Some(names::stranger(ctx, user, name, ContactState::Member)))
}

/// A member says what they are called of whom only the id was known.
fn take_name(ctx: &Context<'_>, contact: &mut Contact, said: &Name) -> Result<(), StoreError> {
    if contact.state == ContactState::Member && contact.name.as_str() == contact.user.short() {
        contact.name = names::as_said(ctx.tx, contact, said)?;
    }
    Ok(())
}

/// Whoever watches groups learns what a member is called: soon, as a whole group may say it at once, and each time all
/// members are named.
fn tell_name(ctx: &mut Context<'_>, user: &UserId) -> Result<(), StoreError> {
    for group in ctx.tx.groups_of(user)? {
        ctx.agenda.renamed.entry(group).or_insert(ctx.now.after(RENAMED));
    }
    Ok(())
}

const RENAMED: Duration = Duration::from_secs(1);

/// Tells what members are called by now, where that is due.
pub(super) fn tell_names_due(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    let due = ctx.agenda.renamed.iter().filter(|(_, at)| **at <= ctx.now).map(|(group, _)| *group);
    for group in due.collect::<Vec<_>>() {
        ctx.agenda.renamed.remove(&group);
        let view = views::group(ctx, &group)?.filter(|view| view.state == "in");
        ctx.events.extend(view.map(|group| Event::Group { group: Box::new(group) }));
    }
    Ok(())
}

/// What is kept of somebody of whom nothing is said yet.
pub(super) fn new_member(ctx: &mut Context<'_>, group: ConversationId, user: UserId) -> Member {
    let token = Handle::random(ctx.rng);
    Member::new(group, user, token, u64::MAX)
}

/// Takes tokens back that are due. Once a day, and soon after a start, introduces this device to whom it did not hear of, and
/// says to somebody what it knows.
pub(super) fn sweep(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    for group in ctx.tx.groups()? {
        // A device that never runs for a day is to greet, too.
        let greeted = ctx.agenda.greeted.get(&group.id);
        let greets = greeted.is_none_or(|greeted| ctx.now.since(*greeted) >= DAY);
        if greets {
            ctx.agenda.greeted.insert(group.id, ctx.now);
            rounds::tell_somebody(ctx, &group.id)?;
        }
        for member in ctx.tx.members(&group.id)? {
            look_at(ctx, member, greets)?;
        }
    }
    Ok(())
}

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Whether this user went, and what says so still has to get out to somebody: not for longer than a relay would hold it.
fn is_awaited(ctx: &Context<'_>, member: &Member) -> Result<bool, StoreError> {
    let is_out = ctx.tx.group(&member.group)?.is_some_and(|group| group.standing == Standing::Out);
    let is_old = member.removed.is_some_and(|removed| ctx.now.since(removed) >= ENVELOPE_TTL_MAX);
    if !is_out || is_old {
        return Ok(false);
    }
    if member.welcome_due {
        return Ok(true);
    }
    let person = ctx.tx.contact(&member.user)?;
    for certificate in person.iter().flat_map(|person| &person.device_list).flat_map(DeviceList::active) {
        let waits = |state| matches!(state, OutboxState::Pending { .. });
        if outgoing::any_message_to(ctx.tx, &certificate.device, waits)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Somebody has no token any more. Whoever stays while this user is out is no newcomer when they are back: where what is
/// for them begins is kept.
fn forget(ctx: &mut Context<'_>, member: Member) -> Result<(), StoreError> {
    if !ctx.tx.group(&member.group)?.is_some_and(|group| group.standing == Standing::Out) {
        return ctx.tx.delete_member(&member.group, &member.user);
    }
    let anew = Member::new(member.group, member.user, Handle::random(ctx.rng), member.from_seq);
    ctx.tx.put_member(&Member { removed: member.removed, introduction_due: true, ..anew })
}

fn look_at(ctx: &mut Context<'_>, mut member: Member, greets: bool) -> Result<(), StoreError> {
    let is_over = member.removed.is_some_and(|removed| ctx.now.since(removed) >= REMOVED_TOKEN_LIFE);
    // Who never was in was given no token, and anybody can name as many as they like.
    if is_over && !member.was_in() {
        return ctx.tx.delete_member(&member.group, &member.user);
    }
    let has_token = member.is_in() || !member.introduction_due;
    if is_over && has_token && !is_awaited(ctx, &member)? {
        let mut handles = std::mem::take(&mut member.former_tokens);
        handles.push(member.token);
        members::revoke(ctx, &member, &handles)?;
        return forget(ctx, member);
    }
    if !member.former_tokens.is_empty() && !member.introduction_due {
        let former = std::mem::take(&mut member.former_tokens);
        members::revoke(ctx, &member, &former)?;
        ctx.tx.put_member(&member)?;
    }
    if greets && member.is_in() && member.introduced.is_empty() {
        member.introduction_due = true;
        ctx.tx.put_member(&member)?;
        ctx.agenda.meet.insert((member.group, member.user));
    }
    Ok(())
}
