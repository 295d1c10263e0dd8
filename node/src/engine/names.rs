//! What contacts are called.

use undertone_protocol::ids::{Handle, UserId};
use undertone_protocol::keys::Name;

use super::context::Context;
use crate::store::{Contact, ContactState};

/// A contact of whom nothing is known yet.
pub(super) fn stranger(ctx: &mut Context<'_>, user: UserId, name: Name, state: ContactState) -> Contact {
    Contact::new(user, name, state, Handle::random(ctx.rng), ctx.now)
}

/// A name that no other contact has: with the beginning of the user id where it is taken.
pub(super) fn unique_name(contacts: &[Contact], wanted: &Name, user: &UserId) -> Name {
    if is_taken(contacts, wanted, user) { longer_name(contacts, wanted, user) } else { wanted.clone() }
}

/// What a member of a group is called who now says it themselves: this, where only the id was known.
pub(super) fn as_said(contacts: &[Contact], member: &Contact, said: &Name) -> Name {
    let is_nameless = member.name.as_str() == member.user.short();
    if is_nameless { unique_name(contacts, said, &member.user) } else { member.name.clone() }
}

/// The name with the beginning of the user id.
pub(super) fn longer_name(contacts: &[Contact], wanted: &Name, user: &UserId) -> Name {
    let short: String = wanted.as_str().chars().take(16).collect();
    let longer = [format!("{short}-{}", user.short()), user.to_hex()];
    let mut longer = longer.iter().filter_map(|name| Name::new(name).ok());
    let free = longer.find(|name| !is_taken(contacts, name, user));
    free.unwrap_or_else(|| wanted.clone())
}

fn is_taken(contacts: &[Contact], name: &Name, user: &UserId) -> bool {
    contacts.iter().any(|contact| contact.user != *user && same(&contact.name, name))
}

/// Whether two names are one to whoever types them.
pub(super) fn same(one: &Name, other: &Name) -> bool {
    one.as_str().to_lowercase() == other.as_str().to_lowercase()
}
