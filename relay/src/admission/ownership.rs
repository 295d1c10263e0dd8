use bytes::Bytes;
use ed25519_dalek::SigningKey;
use rand_core::CryptoRng;
use undertone_protocol::ids::{DeviceId, Generation, MailboxId, Secret};
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{self, RefusalCode};

use super::invitations;
use super::rates::Rate;
use super::record::{Mailbox, not_owner, read, write};
use super::revocation;
use crate::answer::{Failed, Refused};
use crate::limits::{Limits, Registration};
use crate::store::owner::{self, Owner};
use crate::store::usage::{self, MAILBOX_DISK_BYTES};
use crate::store::{Overlay, Store, StoreError};

/// What a registration is decided by, beside the store.
pub(crate) struct Registering<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) registration: Registration,
    /// New mailboxes of the whole relay.
    pub(crate) rate: &'a Rate,
    /// The relay's key, under which its operator invites.
    pub(crate) key: &'a SigningKey,
    pub(crate) now: Timestamp,
}

/// Registers a mailbox, repeats a registration, or starts a new epoch; whether the mailbox is a new one.
pub(crate) fn register<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    device: &DeviceId,
    asked: &wire::Register,
    by: &Registering<'_>,
    rng: &mut dyn CryptoRng,
) -> Result<(wire::Registered, bool), Failed> {
    let mailbox = MailboxId::from_slice(&asked.mailbox)?;
    let secret = Secret::from_slice(&asked.secret)?;
    if asked.epoch == 0 {
        return Err(Refused::malformed("the first epoch is 1").into());
    }
    let known = read(tx, &mailbox)?;
    let new = known.is_none();
    let record = match known {
        Some(known) => renew(tx, device, &mailbox, known, asked, by.limits)?,
        None => create(tx, device, &secret, asked, by, rng)?,
    };
    write(tx, &mailbox, &record);
    Ok((wire::Registered { generation: record.generation }, new))
}

fn create<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    device: &DeviceId,
    secret: &Secret,
    asked: &wire::Register,
    by: &Registering<'_>,
    mut rng: &mut dyn CryptoRng,
) -> Result<Mailbox, Failed> {
    if by.registration == Registration::Closed {
        return Err(Refused::new(
            RefusalCode::Closed,
            "this relay takes no new mailboxes: its operator closed it, so choose another one",
        )
        .into());
    }
    let owner = Owner::of(device);
    if owner::holdings(tx, owner.as_bytes())?.mailboxes >= by.limits.mailboxes_per_device_max {
        return Err(Refused::limit("mailboxes_per_device_max").into());
    }
    if usage::usage(tx)?.mailboxes >= by.limits.mailboxes_max {
        return Err(Refused::limit("mailboxes_max").into());
    }
    if !usage::fits(tx, MAILBOX_DISK_BYTES, by.limits.disk_bytes_max)? {
        return Err(Refused::disk_full(by.limits.full_retry_after_ms).into());
    }
    // Whoever was not invited takes nothing of the rate from those who were.
    let is_for_invited = by.registration == Registration::Invite;
    let invited =
        is_for_invited.then(|| invitations::check(tx, &asked.invitation, by.key, by.now)).transpose()?;
    by.rate.take().map_err(|wait| Refused::retry_after("registrations_per_minute", wait.retry_after_ms))?;
    if let Some(invited) = invited {
        invitations::take(tx, invited, by.limits)?;
    }
    usage::change(tx, |usage| {
        usage.mailboxes += 1;
        usage.disk_bytes += MAILBOX_DISK_BYTES;
    })?;
    owner::change(tx, owner.as_bytes(), |holdings| holdings.mailboxes += 1)?;
    Ok(Mailbox {
        owner: Bytes::copy_from_slice(owner.as_bytes()),
        secret: Bytes::copy_from_slice(secret.expose()),
        epoch: asked.epoch,
        generation: Generation::random(&mut rng).to_wire(),
        revoked: 0,
        introductions: 0,
    })
}

/// Gives a mailbox another generation: its device counts from 0 again, and takes nothing for known that it told this relay
/// before.
pub(crate) fn forget_generation<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    mailbox: &MailboxId,
    mut rng: &mut dyn CryptoRng,
) -> Result<Bytes, StoreError> {
    let record = read(tx, mailbox)?.ok_or(StoreError::Corrupt { what: "mailbox record" })?;
    let generation = Generation::random(&mut rng).to_wire();
    write(tx, mailbox, &Mailbox { generation: generation.clone(), ..record });
    Ok(generation)
}

/// The same registration again changes nothing; a larger epoch replaces K and forgets what was
/// revoked and introduced under the old one.
fn renew<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    device: &DeviceId,
    mailbox: &MailboxId,
    known: Mailbox,
    asked: &wire::Register,
    limits: &Limits,
) -> Result<Mailbox, Failed> {
    if !Owner::of(device).is(&known.owner) {
        return Err(not_owner().into());
    }
    if asked.epoch == known.epoch && asked.secret == known.secret {
        return Ok(known);
    }
    if asked.epoch <= known.epoch {
        return Err(Refused::new(RefusalCode::Epoch, format!("the epoch is {} already", known.epoch)).into());
    }
    revocation::leave_epoch(tx, mailbox, &known, limits)?;
    Ok(Mailbox { secret: asked.secret.clone(), epoch: asked.epoch, revoked: 0, introductions: 0, ..known })
}
