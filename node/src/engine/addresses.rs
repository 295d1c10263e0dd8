//! How devices are reached: where their bundles lie, and which tokens their mailboxes take.

use std::collections::BTreeSet;

use undertone_protocol::ids::{DeviceId, RelayId};
use undertone_protocol::keys::{BundleAccess, DeliveryGrant, IntroductionFields};
use undertone_protocol::token::{Step, TokenGrant};

use super::context::Context;
use super::home::{mailbox_address, offered, token};
use super::own;
use crate::store::{Contact, HomeRelay, StoreError};

/// Bundles, and mailboxes, of other own devices in one introduction.
const SIBLING_ADDRESSES_MAX: usize = 64;

/// What became of mailboxes that were known.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Whether anything did.
    pub(super) any: bool,
    /// Devices with another token for a mailbox, or with mailboxes where none was known.
    pub(super) renewed: Vec<DeviceId>,
    /// Relays where devices have no mailbox any more, or have it anew: the relay forgot what it held.
    pub(super) gone: Vec<(DeviceId, RelayId)>,
}

impl Changes {
    /// What it means that devices say that they have these mailboxes, where those were known.
    pub(super) fn of(known: &[DeliveryGrant], said: &[DeliveryGrant]) -> Self {
        let place = |grant: &DeliveryGrant| (grant.device, grant.mailbox.relay.relay);
        let opens = |grant: &DeliveryGrant| (grant.mailbox.mailbox, grant.mailbox.epoch, grant.token.clone());
        let is_renewed = |grant: &&DeliveryGrant| {
            let mut there = known.iter().filter(|known| known.device == grant.device).peekable();
            let is_unknown = there.peek().is_none();
            is_unknown || there.any(|known| place(known) == place(grant) && opens(known) != opens(grant))
        };
        let mut renewed: Vec<DeviceId> = said.iter().filter(is_renewed).map(|grant| grant.device).collect();
        renewed.dedup();
        let spoke = |known: &&DeliveryGrant| said.iter().any(|grant| grant.device == known.device);
        let is_gone = |known: &&DeliveryGrant| match said.iter().find(|grant| place(grant) == place(known)) {
            Some(grant) => began_anew(known, grant),
            None => true,
        };
        let gone: Vec<_> = known.iter().filter(spoke).filter(is_gone).map(place).collect();
        let any = !gone.is_empty() || said.iter().any(|grant| !known.contains(grant));
        Self { any, renewed, gone }
    }
}

/// Whether two tokens for a mailbox differ in the last step alone: the relay forgot everything in between ([`token`]).
/// A member who has a new token after a revocation looks the same: there what goes again is known already.
fn began_anew(known: &DeliveryGrant, said: &DeliveryGrant) -> bool {
    let (known_path, said_path) = (known.token.path(), said.token.path());
    let begins_alike = said_path.split_last().is_some_and(|(_, begin)| {
        !begin.is_empty() && known_path.starts_with(begin) && known_path.len() <= said_path.len()
    });
    let mailbox = |grant: &DeliveryGrant| (grant.mailbox.mailbox, grant.mailbox.epoch);
    begins_alike && known_path != said_path && mailbox(known) == mailbox(said)
}

/// How to reach this user, for one device of theirs or of a contact: this device by its own word, and the other ones by
/// what they let this one hand on.
pub(super) fn own_addresses(
    ctx: &Context<'_>,
    contact: &Contact,
    device: &DeviceId,
) -> Result<(Vec<BundleAccess>, Vec<DeliveryGrant>), StoreError> {
    let homes = offered(ctx)?;
    let is_me = own::is_me(ctx, contact);
    let handle = if is_me { own::sibling_handle(contact, device) } else { contact.token };
    let mut bundles: Vec<BundleAccess> = homes.iter().map(|home| own_bundle(ctx, home)).collect();
    let grant = |home: &HomeRelay| {
        // What a sibling hands on stands on its token, and must end with it.
        let token = match is_me {
            true => TokenGrant::issue(&home.secret, Step::named(handle)),
            false => token(home, &[handle])?,
        };
        Some(DeliveryGrant { device: ctx.me.device, mailbox: mailbox_address(home), token })
    };
    let mut grants: Vec<DeliveryGrant> = homes.iter().filter_map(grant).collect();
    if let Some(own) = own::own_contact(ctx)? {
        // Of these only their own word can be handed on: they take back what stands on it.
        let is_handed_on = |sibling: &DeviceId| sibling != device && own.has_introduced(sibling);
        let siblings = own.bundles.iter().filter(|access| is_handed_on(&access.device));
        bundles.extend(siblings.take(SIBLING_ADDRESSES_MAX).cloned());
        let siblings = own.grants.iter().filter(|grant| is_handed_on(&grant.device));
        let siblings = siblings.take(SIBLING_ADDRESSES_MAX).cloned();
        grants.extend(siblings.filter_map(|grant| {
            let token = grant.token.extend(Step::named(handle))?;
            Some(DeliveryGrant { token, ..grant })
        }));
    }
    Ok((bundles, grants))
}

/// Where the bundles of this device lie.
pub(super) fn own_bundles(ctx: &Context<'_>) -> Result<Vec<BundleAccess>, StoreError> {
    Ok(offered(ctx)?.iter().map(|home| own_bundle(ctx, home)).collect())
}

/// A device says where its own bundles lie.
pub(super) fn take_bundles(contact: &mut Contact, device: &DeviceId, bundles: &[BundleAccess]) {
    let said = bundles.iter().filter(|access| access.device == *device).cloned().collect();
    merge(contact, said, Vec::new());
}

/// What others say of devices of which nothing is known yet.
pub(super) fn learn_bundles(contact: &mut Contact, bundles: Vec<BundleAccess>) {
    let known: BTreeSet<DeviceId> = contact.bundles.iter().map(|access| access.device).collect();
    let unknown = bundles.into_iter().filter(|access| !known.contains(&access.device)).collect();
    merge(contact, unknown, Vec::new());
}

fn own_bundle(ctx: &Context<'_>, home: &HomeRelay) -> BundleAccess {
    BundleAccess {
        device: ctx.me.device,
        relay: home.address.clone(),
        locator: home.locator,
        key: ctx.me.account.bundle_key.clone(),
    }
}

/// Takes the addresses of an introduction. A device's own word on itself stands against what others say of it.
/// Gives what became of the mailboxes.
pub(super) fn take(ctx: &Context<'_>, contact: &mut Contact, fields: &IntroductionFields) -> Changes {
    let sender = fields.certificate.device;
    contact.note_introduction(sender, fields.issued);
    let list = contact.device_list.clone();
    let is_active = |device: &DeviceId| {
        *device == sender || list.as_ref().is_some_and(|list| list.active_device(device).is_some())
    };
    contact.introduced.retain(|(device, _)| is_active(device));
    let introduced: Vec<DeviceId> = contact.introduced.iter().map(|(device, _)| *device).collect();
    let counts = |device: &DeviceId| {
        let spoke = introduced.contains(device) || *device == ctx.me.device;
        *device == sender || (!spoke && is_active(device))
    };
    let bundles = fields.bundles.iter().filter(|access| counts(&access.device)).cloned().collect();
    let grants = fields.grants.iter().filter(|grant| counts(&grant.device)).cloned().collect();
    merge(contact, bundles, grants)
}

/// Puts addresses in the place of those of the same devices. Gives what became of the mailboxes.
pub(super) fn merge(
    contact: &mut Contact,
    bundles: Vec<BundleAccess>,
    grants: Vec<DeliveryGrant>,
) -> Changes {
    let changes = Changes::of(&contact.grants, &grants);
    contact.bundles.retain(|known| !bundles.iter().any(|access| access.device == known.device));
    contact.bundles.extend(bundles);
    contact.grants.retain(|known| !grants.iter().any(|grant| grant.device == known.device));
    contact.grants.extend(grants);
    contact.bundles.sort_by_key(|access| access.device);
    contact.grants.sort_by_key(|grant| grant.device);
    changes
}

#[cfg(test)]
mod tests;
