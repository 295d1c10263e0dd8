//! What devices tell each other of a group beside its entries: operations that one lacks, and whose they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use undertone_protocol::codec::Signed;
use undertone_protocol::entry::{BlockedFrom, EntryHeader};
use undertone_protocol::ids::{CertificateHash, ConversationId, DeviceId, OperationHash, UserId};
use undertone_protocol::keys::Certificate;
use undertone_protocol::limits::UPDATE_HEADS_MAX;
use undertone_protocol::membership::{Document, GroupUpdate, Missing, Operation, Person, Taken, View};
use undertone_protocol::wire;

use super::farewells::{is_farewell, tell_gone};
use super::telling::is_entitled;
use super::written::Word;
use super::{following, hearsay, meeting, seeking, written};
use crate::engine::addresses;
use crate::engine::agenda::Side;
use crate::engine::circle::Circle;
use crate::engine::context::Context;
use crate::engine::{lists, own, received_keys};
use crate::store::{ContactState, Group, Member, Standing, StoreError};

/// What a device tells of a group.
pub(in crate::engine) fn received(
    ctx: &mut Context<'_>,
    user: &UserId,
    device: &DeviceId,
    update: wire::GroupUpdate,
) -> Result<(), StoreError> {
    let update = match GroupUpdate::from_wire(update) {
        Ok(update) => update,
        Err(error) => {
            tracing::warn!(device = %device.short(), %error, "an update of a group was refused");
            return Ok(());
        }
    };
    if !begin(ctx, user, &update.group)? {
        tracing::warn!(device = %device.short(), "an update of a group that is not ours");
        return Ok(());
    }
    let group = update.group;
    tracing::debug!(
        device = ctx.me.device.short(),
        from = %device.short(),
        group = %group.short(),
        operations = update.operations.len(),
        heads = update.heads.len(),
        asks = update.asks,
        "an update of a group"
    );
    let says_how = may_say_how(ctx, user, &group)?;
    let word = match update.people.iter().all(|person| person.written.is_empty()) {
        true => Word::Passed,
        false => written::word_of(ctx, &group, user)?,
    };
    for person in update.people {
        let said = if says_how { person } else { without_addresses(person) };
        meet(ctx, user, &group, said, word)?;
    }
    retry(ctx, &group)?;
    take_forks(ctx, &group, device, update.forks)?;
    take_operations(ctx, &group, device, update.operations)?;
    answer(ctx, user, device, &group, &update.heads, update.asks)?;
    if update.wants.is_empty() && update.lacks.is_empty() || !is_entitled(ctx, user, &group) {
        return Ok(());
    }
    if update.wants.contains(&ctx.me.user) {
        seeking::is_sought(ctx, &group, user)?;
    }
    let answer = ctx.agenda.updates.entry((group, *device)).or_default();
    answer.people_of.extend(update.wants);
    if !update.lacks.is_empty() {
        answer.named.extend(update.lacks);
        answer.since.get_or_insert(update.heads);
    }
    Ok(())
}

/// Whether something is to be heard of a group from a user. A contact, or another own device, may bring a new one; of one
/// that is known those are heard too who were blocked since: they may be in it, and what they say is judged by its rules.
fn begin(ctx: &mut Context<'_>, user: &UserId, group: &ConversationId) -> Result<bool, StoreError> {
    if let Some(circle) = Circle::of(ctx, group)? {
        let is_known = matches!(circle, Circle::Group(_)) && circle.knows(ctx, user);
        return Ok(is_known || *user == ctx.me.user || is_contact(ctx, user, true)?);
    }
    let is_own = *user == ctx.me.user;
    if !is_own && !is_contact(ctx, user, false)? || !hearsay::make_room(ctx, user)? {
        return Ok(false);
    }
    let new = Group { id: *group, name: group.short(), standing: Standing::Out, added: ctx.now };
    open(ctx, &new, Document::new(*group))?;
    if !is_own {
        hearsay::note_group(ctx, group, user);
    }
    Ok(true)
}

/// A contact writes in a conversation that is not known here, and so in a group. They bring it by that: what told of it may
/// have been lost on its way. Another own device may mean a contact who is not known here yet.
pub(in crate::engine) fn heard_of(
    ctx: &mut Context<'_>,
    header: &EntryHeader,
) -> Result<Option<Circle>, StoreError> {
    let author = ctx.agenda.devices.get(&header.device).copied();
    match author.filter(|author| *author != ctx.me.user) {
        Some(author) if begin(ctx, &author, &header.conversation)? => Circle::of(ctx, &header.conversation),
        _ => Ok(None),
    }
}

/// Whether a user is believed how members are reached: those who are in, or whose operations stand in it, one's own
/// devices, and whoever brings a group of which nothing is known yet. Somebody else could keep this device from them.
fn may_say_how(ctx: &mut Context<'_>, user: &UserId, group: &ConversationId) -> Result<bool, StoreError> {
    let is_in = ctx.groups.view(group).is_some_and(|view| view.is_in(user));
    if *user == ctx.me.user || is_in {
        return Ok(true);
    }
    let devices = ctx.tx.contact(user)?.and_then(|contact| contact.device_list);
    let Some(document) = ctx.groups.document(group) else { return Ok(false) };
    let is_theirs = |device: &DeviceId| devices.as_ref().is_some_and(|list| list.device(device).is_some());
    let mut operations = document.since(&[]).map(|(_, made)| made.operation.device);
    Ok(document.is_empty() || operations.any(|device| is_theirs(&device)))
}

/// A list is signed by its user, whoever brings it.
fn without_addresses(person: Person) -> Person {
    Person { bundles: Vec::new(), grants: Vec::new(), ..person }
}

/// A group is kept from here on.
pub(super) fn open(ctx: &mut Context<'_>, group: &Group, document: Document) -> Result<(), StoreError> {
    ctx.tx.put_group(group)?;
    ctx.agenda.directory.insert(group.id, Side::Group);
    received_keys::begin(ctx, &group.id)?;
    ctx.groups.put(document);
    ctx.groups.refresh(&group.id, ctx.tx)
}

/// Whether a user is a contact; `or_was`: or was one, and is blocked.
fn is_contact(ctx: &Context<'_>, user: &UserId, or_was: bool) -> Result<bool, StoreError> {
    Ok(ctx.tx.contact(user)?.is_some_and(|contact| match contact.state {
        ContactState::Accepted => true,
        ContactState::Blocked(block) => or_was && block.was == BlockedFrom::Accepted,
        _ => false,
    }))
}

/// Takes what is said of a member: their devices, how to reach them until they say so themselves, and up to where they
/// wrote.
fn meet(
    ctx: &mut Context<'_>,
    by: &UserId,
    group: &ConversationId,
    person: Person,
    word: Word,
) -> Result<(), StoreError> {
    let user = person.device_list.user;
    if user == ctx.me.user {
        return Ok(());
    }
    let known = match ctx.tx.contact(&user)? {
        Some(known) => Some(known),
        None => {
            hearsay::note_person(ctx, &user)?;
            meeting::stranger(ctx, user, person.name.as_ref())?
        }
    };
    let Some(mut contact) = known else { return Ok(()) };
    // Whoever has a list signed is believed it; how to reach somebody only where nothing better is known.
    lists::take_list(ctx, &mut contact, &person.device_list)?;
    let is_active = own::authorised(ctx, &contact);
    addresses::learn_bundles(
        &mut contact,
        person.bundles.into_iter().filter(|access| is_active.contains(&access.device)).collect(),
    );
    ctx.tx.put_contact(&contact)?;
    ctx.agenda.fetch.insert(user);
    let mut member = match ctx.tx.member(group, &user)? {
        Some(member) => member,
        None => Member { removed: Some(ctx.now), ..meeting::new_member(ctx, *group, user) },
    };
    let trusted = *by == ctx.me.user;
    let known: Vec<DeviceId> = member.grants.iter().map(|grant| grant.device).collect();
    for grant in person.grants.into_iter().filter(|grant| is_active.contains(&grant.device)) {
        let spoke = member.introduced.iter().any(|(device, _)| *device == grant.device);
        if !spoke && (trusted || !known.contains(&grant.device)) {
            member.grants.retain(|known| known.mailbox.mailbox != grant.mailbox.mailbox);
            member.grants.push(grant);
            // Something may wait for a way to them.
            ctx.agenda.publish = true;
        }
    }
    written::learn(&mut member, person.written, word);
    ctx.tx.put_member(&member)?;
    ctx.agenda.meet.insert((*group, user));
    Ok(())
}

/// Operations that waited for whom they are of.
fn retry(ctx: &mut Context<'_>, group: &ConversationId) -> Result<(), StoreError> {
    let Some(document) = ctx.groups.document(group) else { return Ok(()) };
    if document.waiting() == 0 {
        return Ok(());
    }
    let mut certificates: BTreeMap<CertificateHash, Certificate> = BTreeMap::new();
    let lists = ctx.tx.contacts()?.into_iter().filter_map(|contact| contact.device_list);
    for list in lists.chain([ctx.me.account.device_list.clone()]) {
        let listed = list.devices.into_iter().map(|listed| listed.certificate);
        certificates
            .extend(listed.map(|certificate| (Operation::certificate_hash(&certificate), certificate)));
    }
    let (before, forks) = (ctx.groups.view(group).cloned(), forks_of(ctx, group));
    let Some(document) = ctx.groups.document(group) else { return Ok(()) };
    let released = document.retry(|hash| certificates.get(hash).cloned());
    took(ctx, group, before, &forks, &released.held)
}

/// Takes operations that somebody brings. What they lack is asked for.
pub(super) fn take_operations(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    supplier: &DeviceId,
    operations: Vec<Signed>,
) -> Result<(), StoreError> {
    let (before, forks) = (ctx.groups.view(group).cloned(), forks_of(ctx, group));
    let mut held: Vec<OperationHash> = Vec::new();
    let mut lacks = Vec::new();
    for signed in operations {
        let author = Operation::from_bytes(&signed.body).ok().map(|operation| operation.device);
        let certificate = match author {
            Some(author) => certificate_of(ctx, &author)?,
            None => None,
        };
        let known = |hash: &CertificateHash| {
            certificate.clone().filter(|found| Operation::certificate_hash(found) == *hash)
        };
        let Some(document) = ctx.groups.document(group) else { return Ok(()) };
        match document.take(*supplier, signed, known) {
            Ok(Taken::Held(released)) => held.extend(released.held),
            Ok(Taken::Known) => {}
            Ok(Taken::Waits(missing) | Taken::Dropped(missing)) => lacks.push(missing),
            Err(error) => {
                tracing::warn!(device = %supplier.short(), %error, "an operation of a group was refused");
            }
        }
    }
    for missing in lacks {
        ask(ctx, group, supplier, missing);
    }
    took(ctx, group, before, &forks, &held)
}

/// Which devices are known to have forked, and where.
fn forks_of(ctx: &mut Context<'_>, group: &ConversationId) -> BTreeMap<DeviceId, u32> {
    let Some(document) = ctx.groups.document(group) else { return BTreeMap::new() };
    document.proofs().map(|proof| (proof.device(), proof.number())).collect()
}

/// Operations are held that were not before, and forks may be known that were not: others, or further down.
fn took(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    before: Option<Arc<View>>,
    forks: &BTreeMap<DeviceId, u32>,
    held: &[OperationHash],
) -> Result<(), StoreError> {
    let is_news = forks_of(ctx, group) != *forks;
    if is_news {
        tell_forks(ctx, group)?;
    }
    if held.is_empty() && !is_news { Ok(()) } else { following::changed(ctx, group, before, held) }
}

fn certificate_of(ctx: &Context<'_>, device: &DeviceId) -> Result<Option<Certificate>, StoreError> {
    if let Some(own) = ctx.me.account.device_list.device(device) {
        return Ok(Some(own.clone()));
    }
    let Some(user) = ctx.agenda.devices.get(device) else { return Ok(None) };
    let list = ctx.tx.contact(user)?.and_then(|contact| contact.device_list);
    Ok(list.and_then(|list| list.device(device).cloned()))
}

/// This device lacks something of a group that another one has.
pub(in crate::engine) fn ask(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    device: &DeviceId,
    missing: Missing,
) {
    let update = ctx.agenda.updates.entry((*group, *device)).or_default();
    update.asks = true;
    if let Missing::Operation(hash) = missing
        && update.lacks.len() < UPDATE_HEADS_MAX
    {
        update.lacks.insert(hash);
    }
}

/// Takes proofs that devices forked: all who hear of one must know the same.
fn take_forks(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    supplier: &DeviceId,
    forks: Vec<[Signed; 2]>,
) -> Result<(), StoreError> {
    let before = ctx.groups.view(group).cloned();
    let mut is_news = false;
    for pair in forks {
        let Some(document) = ctx.groups.document(group) else { return Ok(()) };
        match document.take_proof(pair) {
            Ok(news) => is_news |= news,
            Err(error) => {
                tracing::warn!(device = %supplier.short(), %error, "a proof of a fork was refused");
            }
        }
    }
    if !is_news {
        return Ok(());
    }
    tell_forks(ctx, group)?;
    following::changed(ctx, group, before, &[])
}

/// A device of the group turned out to have forked: all are told.
fn tell_forks(ctx: &mut Context<'_>, group: &ConversationId) -> Result<(), StoreError> {
    let Some(circle) = Circle::of(ctx, group)? else { return Ok(()) };
    for device in circle.devices(ctx)? {
        ctx.agenda.updates.entry((*group, device)).or_default();
    }
    Ok(())
}

/// Sends a device what it lacks, and asks for what this one does.
fn answer(
    ctx: &mut Context<'_>,
    user: &UserId,
    device: &DeviceId,
    group: &ConversationId,
    heads: &[OperationHash],
    asks: bool,
) -> Result<(), StoreError> {
    let is_entitled = is_entitled(ctx, user, group);
    if !is_entitled && !heads.is_empty() && !is_farewell(ctx, group, heads) {
        tell_gone(ctx, group, user, device, heads);
    }
    let Some(document) = ctx.groups.document(group) else { return Ok(()) };
    if !document.missing(heads).is_empty() {
        ctx.agenda.updates.entry((*group, *device)).or_default().asks = true;
    }
    let has_more = !heads.is_empty() && document.since(heads).next().is_some();
    if is_entitled && (asks || has_more) {
        let update = ctx.agenda.updates.entry((*group, *device)).or_default();
        update.since = Some(heads.to_vec());
        // Whoever lacks operations may lack whose they are.
        update.people |= asks;
    }
    Ok(())
}

/// Another own device may not know a group, or lack what happened in it.
pub(super) fn tell_siblings(ctx: &mut Context<'_>, group: &ConversationId) -> Result<(), StoreError> {
    for sibling in own::siblings(ctx) {
        let update = ctx.agenda.updates.entry((*group, sibling)).or_default();
        update.since = Some(Vec::new());
        update.people = true;
    }
    Ok(())
}
