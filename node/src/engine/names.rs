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
    let taken = |name: &Name| {
        contacts.iter().any(|contact| {
            contact.user != *user && contact.name.as_str().to_lowercase() == name.as_str().to_lowercase()
        })
    };
    if !taken(wanted) {
        return wanted.clone();
    }
    let short: String = wanted.as_str().chars().take(16).collect();
    let longer = [format!("{short}-{}", user.short()), user.to_hex()];
    let free = longer.iter().filter_map(|name| Name::new(name).ok()).find(|name| !taken(name));
    free.unwrap_or_else(|| wanted.clone())
}
