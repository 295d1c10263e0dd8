//! What the user's devices tell each other of contacts: records in the account conversation, of which the causally
//! maximal one counts.

use std::collections::{BTreeSet, VecDeque};

use undertone_protocol::codec::Signed;
use undertone_protocol::entry::{AccountRecord, AccountState, Content, EntryBody};
use undertone_protocol::ids::{DeviceId, EntryId, Handle, UserId};
use undertone_protocol::keys::{DeliveryGrant, DeviceList, Name};
use undertone_protocol::limits::{ACCOUNT_ADDRESSES_MAX, ENTRY_HEADS_MAX};

use super::addresses::Changes;
use super::agenda::Side;
use super::context::Context;
use super::{
    acknowledging, addresses, blocking, introducing, introductions, lists, names, own, revocations, views,
    writing,
};
use crate::event::Event;
use crate::log;
use crate::store::{Block, Contact, ContactState, StoreError};

/// So far back a device looks at what a record replaces.
const PAST_RECORDS_MAX: usize = 64;

/// Tells the other devices what changed here.
pub(super) fn tell_due(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    for user in std::mem::take(&mut ctx.agenda.changed) {
        if user == ctx.me.user {
            continue;
        }
        // Members of groups are known by their groups.
        let contact = ctx.tx.contact(&user)?.filter(|contact| contact.state != ContactState::Member);
        if let (Some(contact), Some(own)) = (contact, own::own_contact(ctx)?) {
            tell(ctx, &contact, &own)?;
        }
    }
    Ok(())
}

fn tell(ctx: &mut Context<'_>, contact: &Contact, own: &Contact) -> Result<(), StoreError> {
    let current = current(ctx, &contact.user)?;
    let mut record = record(contact);
    let is_known = matches!(current.as_slice(), [(_, known)]
        if AccountRecord { replaces: known.replaces.clone(), ..record.clone() } == *known);
    if is_known {
        return Ok(());
    }
    record.replaces = current.iter().map(|(entry, _)| *entry).take(ENTRY_HEADS_MAX).collect();
    let replaces = record.replaces.clone();
    match EntryBody::new(Content::Account(Box::new(record)), ctx.rng) {
        Ok(body) => {
            let entry = writing::append(ctx, own, body)?;
            ctx.tx.put_account_change(&contact.user, &entry, &replaces)
        }
        Err(error) => {
            tracing::error!(%error, "a contact could not be told to the other devices");
            Ok(())
        }
    }
}

/// The records of a user that none replaces.
fn current(ctx: &Context<'_>, user: &UserId) -> Result<Vec<(EntryId, AccountRecord)>, StoreError> {
    let mut records = Vec::new();
    for id in ctx.tx.account_changes(user)? {
        if let Some(stored) = ctx.tx.entry(&id)?
            && log::counts(ctx.tx, &stored)?
            && let Content::Account(record) = stored.entry.body.content
        {
            records.push((id, *record));
        }
    }
    Ok(records)
}

fn record(contact: &Contact) -> AccountRecord {
    AccountRecord {
        user: contact.user,
        replaces: Vec::new(),
        state: match contact.state {
            ContactState::Requesting => AccountState::Requesting,
            ContactState::Requested | ContactState::Member => AccountState::Requested,
            ContactState::Declined => AccountState::Declined,
            ContactState::Accepted => AccountState::Accepted,
            ContactState::Blocked(Block { was, since }) => AccountState::Blocked { since, was },
        },
        name: contact.name.clone(),
        verified: contact.verified,
        token: contact.token,
        invitation: contact.invitation,
        device_list: contact.device_list.as_ref().map(|list| list.signed.clone()),
        bundles: contact.bundles.iter().take(ACCOUNT_ADDRESSES_MAX).cloned().collect(),
        grants: contact.grants.iter().take(ACCOUNT_ADDRESSES_MAX).cloned().collect(),
    }
}

const fn state(state: AccountState) -> ContactState {
    match state {
        AccountState::Requesting => ContactState::Requesting,
        AccountState::Requested => ContactState::Requested,
        AccountState::Declined => ContactState::Declined,
        AccountState::Accepted => ContactState::Accepted,
        AccountState::Blocked { since, was } => ContactState::Blocked(Block { was, since }),
    }
}

/// Does here what other devices told.
pub(super) fn follow_due(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    for user in std::mem::take(&mut ctx.agenda.followed) {
        let mut records = current(ctx, &user)?;
        // Of concurrent ones all devices choose the same.
        records.sort_by_key(|(entry, record)| (record.state, *entry));
        if let Some((_, mut record)) = records.pop() {
            for (_, other) in records.into_iter().rev() {
                learn(ctx, &mut record, other)?;
            }
            let told_before = ctx.agenda.changed.contains(&user);
            let knows_better = follow(ctx, record)?;
            if knows_better {
                ctx.agenda.changed.insert(user);
            } else if !told_before {
                ctx.agenda.changed.remove(&user);
            }
        }
    }
    Ok(())
}

/// A concurrent record may tell of devices that this one does not know yet, have changed what this one only took over, or
/// have been let in where this one still asks by the same invitation.
fn learn(ctx: &Context<'_>, record: &mut AccountRecord, other: AccountRecord) -> Result<(), StoreError> {
    if record.invitation == other.invitation {
        let let_in = |device: &DeviceId| {
            other.grants.iter().any(|grant| grant.device == *device && !is_asking(grant, other.invitation))
        };
        record.grants.retain(|grant| !(is_asking(grant, record.invitation) && let_in(&grant.device)));
    }
    let (known_here, known_there) = (past_of(ctx, record)?, past_of(ctx, &other)?);
    let was = |known: &[AccountRecord], of| known.iter().any(|said| said.invitation == of);
    if was(&known_there, record.invitation) && !was(&known_here, other.invitation) {
        record.invitation = other.invitation;
    }
    let known =
        [&known_here, &known_there].map(|known| known.iter().flat_map(|said| &said.bundles).collect());
    merge(&mut record.bundles, other.bundles, known, |access| access.device);
    let known = [&known_here, &known_there].map(|known| known.iter().flat_map(|said| &said.grants).collect());
    merge(&mut record.grants, other.grants, known, |grant| grant.device);
    Ok(())
}

/// The records that one replaces, directly or further back, as far as this device has them.
fn past_of(ctx: &Context<'_>, record: &AccountRecord) -> Result<Vec<AccountRecord>, StoreError> {
    let (mut past, mut known) = (Vec::new(), BTreeSet::new());
    let mut next: VecDeque<EntryId> = record.replaces.iter().copied().collect();
    while past.len() < PAST_RECORDS_MAX
        && let Some(id) = next.pop_front()
    {
        if known.insert(id)
            && let Some(stored) = ctx.tx.entry(&id)?
            && let Content::Account(said) = stored.entry.body.content
        {
            next.extend(&said.replaces);
            past.push(*said);
        }
    }
    Ok(past)
}

/// Adds what the other says of devices of which this one says nothing, or only what the other one knew and changed.
/// `known`: what stood in what this one replaces, and in what the other one does.
fn merge<T: PartialEq>(
    own: &mut Vec<T>,
    other: Vec<T>,
    [known_here, known_there]: [Vec<&T>; 2],
    device: fn(&T) -> DeviceId,
) {
    let unknown = |all: &[T], known: &[&T]| -> BTreeSet<DeviceId> {
        all.iter().filter(|said| !known.contains(said)).map(device).collect()
    };
    let (own_word, others_word) = (unknown(own, &known_there), unknown(&other, &known_here));
    own.retain(|said| own_word.contains(&device(said)) || !others_word.contains(&device(said)));
    let known: BTreeSet<DeviceId> = own.iter().map(device).collect();
    own.extend(other.into_iter().filter(|said| !known.contains(&device(said))));
}

/// Whether a token stands on the invitation, so that all it lets one do is ask.
fn is_asking(grant: &DeliveryGrant, invitation: Option<Handle>) -> bool {
    invitation.is_some() && grant.token.path().first().map(|step| step.handle) == invitation
}

/// Does what a record says. Says whether this device knows better in something: then it has to tell.
fn follow(ctx: &mut Context<'_>, record: AccountRecord) -> Result<bool, StoreError> {
    if record.user == ctx.me.user {
        return Ok(false);
    }
    let target = state(record.state);
    let known = ctx.tx.contact(&record.user)?;
    let is_new = known.as_ref().is_none_or(|known| known.state == ContactState::Member);
    let was_accepted = known.as_ref().is_some_and(|known| known.state == ContactState::Accepted);
    let name = name(ctx, &record)?;
    let mut contact = match known {
        Some(known) if known.state == ContactState::Member => Contact { state: before(target), ..known },
        Some(known) => known,
        None => names::stranger(ctx, record.user, name.clone(), before(target)),
    };
    contact.name = name;
    contact.verified = record.verified;
    let began_anew = std::mem::replace(&mut contact.invitation, record.invitation) != record.invitation;
    // Their list first: it may take the token on.
    if let Some(list) = record.device_list.clone().and_then(verified) {
        lists::take_list(ctx, &mut contact, &list)?;
    }
    // Whoever wrote the record may not have known that a token was taken back, by a block that is over with it, say.
    let is_void =
        !matches!(target, ContactState::Blocked(_)) && revocations::is_revoked(ctx, &contact, &record.token)?;
    let next = match is_void {
        false => record.token,
        true if revocations::is_revoked(ctx, &contact, &contact.token)? => Handle::random(ctx.rng),
        // Each would tell the other its own for ever.
        true if knew(ctx, &record, &contact.token)? => Handle::random(ctx.rng),
        true => contact.token,
    };
    let former = std::mem::replace(&mut contact.token, next);
    let token_changed = former != next;
    if token_changed && is_void {
        contact.former_tokens.push(former);
    }
    let changes = take_addresses(&mut contact, &record);
    let moved = changes.any;
    // A stranger must not make this device dial relays of their choice.
    if moved && matches!(target, ContactState::Requesting | ContactState::Accepted) {
        ctx.agenda.fetch.insert(record.user);
    }
    ctx.tx.put_contact(&contact)?;
    if is_new {
        meet(ctx, &contact)?;
    }
    change(ctx, contact, target)?;
    let Some(mut contact) = ctx.tx.contact(&record.user)? else { return Ok(false) };
    // This device says itself how it is reached, with the token that holds now.
    let again = moved && contact.refused.take().is_some();
    let is_anew = contact.state == ContactState::Accepted && (!was_accepted || token_changed || began_anew);
    let is_again = again && matches!(contact.state, ContactState::Requesting | ContactState::Accepted);
    if is_anew || is_again {
        introducing::answer(ctx, &mut contact);
    }
    if moved && contact.state == ContactState::Accepted {
        introductions::moved(ctx, &mut contact, &changes)?;
    }
    ctx.tx.put_contact(&contact)?;
    Ok(is_void)
}

/// Whether whoever wrote a record knew of a token, and chose another one.
fn knew(ctx: &Context<'_>, record: &AccountRecord, token: &Handle) -> Result<bool, StoreError> {
    Ok(past_of(ctx, record)?.iter().any(|replaced| replaced.token == *token))
}

/// What a contact is called of whom another device told. Two contacts may have got one name at the same time on two
/// devices: on all of them the one with the lower user id keeps it.
fn name(ctx: &mut Context<'_>, record: &AccountRecord) -> Result<Name, StoreError> {
    let called = ctx.tx.contacts_called(&names::folded(&record.name))?;
    let holder = called.iter().find(|other| **other > record.user);
    let Some(mut holder) = holder.map(|other| ctx.tx.contact(other)).transpose()?.flatten() else {
        return names::unique_name(ctx.tx, &record.name, &record.user);
    };
    holder.name = names::longer_name(ctx.tx, &holder.name, &holder.user)?;
    ctx.tx.put_contact(&holder)?;
    let view = views::contact(ctx, &holder)?;
    ctx.events.push(Event::Contact { contact: view });
    Ok(record.name.clone())
}

fn verified(signed: Signed) -> Option<DeviceList> {
    DeviceList::verify(signed)
        .inspect_err(|error| tracing::warn!(%error, "another own device told a bad device list"))
        .ok()
}

/// What somebody is who is heard of by another device: the change to what they are there comes after.
const fn before(target: ContactState) -> ContactState {
    match target {
        ContactState::Requested | ContactState::Declined => ContactState::Requested,
        ContactState::Requesting
        | ContactState::Accepted
        | ContactState::Member
        | ContactState::Blocked(_) => ContactState::Requesting,
    }
}

/// Takes the addresses of devices that did not speak for themselves here. Gives what became of their mailboxes.
fn take_addresses(contact: &mut Contact, record: &AccountRecord) -> Changes {
    let introduced: Vec<DeviceId> = contact.introduced.iter().map(|(device, _)| *device).collect();
    let list = contact.device_list.clone();
    let is_revoked = |device: &DeviceId| list.as_ref().is_some_and(|list| list.has_revoked(device));
    let unknown = |device: &DeviceId| !introduced.contains(device) && !is_revoked(device);
    let bundles = record.bundles.iter().filter(|access| unknown(&access.device)).cloned().collect();
    let grants = record.grants.iter().filter(|grant| unknown(&grant.device)).cloned().collect();
    addresses::merge(contact, bundles, grants)
}

/// A conversation that this device did not know: the others send what they have of it.
fn meet(ctx: &mut Context<'_>, contact: &Contact) -> Result<(), StoreError> {
    let conversation = ctx.me.direct(&contact.user);
    ctx.agenda.directory.insert(conversation, Side::User(contact.user));
    ctx.agenda.quarantine = true;
    acknowledging::make_own_due(ctx, &conversation)
}

fn change(ctx: &mut Context<'_>, mut contact: Contact, target: ContactState) -> Result<(), StoreError> {
    match (contact.state, target) {
        (state, target) if state == target => Ok(()),
        (ContactState::Blocked(_), ContactState::Blocked(block)) => {
            contact.state = ContactState::Blocked(block);
            ctx.tx.put_contact(&contact)
        }
        (_, ContactState::Blocked(block)) => blocking::shut_out(ctx, contact, block),
        (ContactState::Blocked(_), target) => blocking::let_in(ctx, contact, target).map(drop),
        (_, ContactState::Accepted) => introductions::accepted(ctx, &mut contact),
        (_, target) => {
            contact.state = target;
            ctx.tx.put_contact(&contact)?;
            introductions::answered(ctx);
            introductions::announce(ctx, &contact.user)
        }
    }
}

#[cfg(test)]
mod tests;
