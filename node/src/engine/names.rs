//! What contacts are called.

use undertone_protocol::ids::{Handle, UserId};
use undertone_protocol::keys::Name;

use super::context::Context;
use crate::store::{Contact, ContactState, NodeTx, StoreError};

/// A contact of whom nothing is known yet.
pub(super) fn stranger(ctx: &mut Context<'_>, user: UserId, name: Name, state: ContactState) -> Contact {
    Contact::new(user, name, state, Handle::random(ctx.rng), ctx.now)
}

/// A name that no other contact has: with the beginning of the user id where it is taken.
pub(super) fn unique_name(tx: &dyn NodeTx, wanted: &Name, user: &UserId) -> Result<Name, StoreError> {
    if is_taken(tx, wanted, user)? { longer_name(tx, wanted, user) } else { Ok(wanted.clone()) }
}

/// What a member of a group is called who now says it themselves: this, where only the id was known.
pub(super) fn as_said(tx: &dyn NodeTx, member: &Contact, said: &Name) -> Result<Name, StoreError> {
    let is_nameless = member.name.as_str() == member.user.short();
    if is_nameless { unique_name(tx, said, &member.user) } else { Ok(member.name.clone()) }
}

/// The name with the beginning of the user id.
pub(super) fn longer_name(tx: &dyn NodeTx, wanted: &Name, user: &UserId) -> Result<Name, StoreError> {
    let short: String = wanted.as_str().chars().take(16).collect();
    for longer in [format!("{short}-{}", user.short()), user.to_hex()] {
        if let Ok(name) = Name::new(&longer)
            && !is_taken(tx, &name, user)?
        {
            return Ok(name);
        }
    }
    Ok(wanted.clone())
}

fn is_taken(tx: &dyn NodeTx, name: &Name, user: &UserId) -> Result<bool, StoreError> {
    Ok(tx.contacts_called(&folded(name))?.iter().any(|other| other != user))
}

/// A name as contacts are told apart by: letter case aside.
pub(super) fn folded(name: &Name) -> String {
    name.as_str().to_lowercase()
}
