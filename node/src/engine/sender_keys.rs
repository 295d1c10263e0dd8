//! This device's sender keys: when a new one is made, and who gets it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand_core::Rng;
use undertone_protocol::codec::Signed;
use undertone_protocol::crypto::{HeaderKey, KeyPackage, PackageEnds, SenderKeyInfo};
use undertone_protocol::entry::SignedEntry;
use undertone_protocol::ids::{ConversationId, DeviceId, UserId};
use undertone_protocol::limits::SENDER_KEY_MESSAGES_MAX;
use undertone_protocol::wire::pairwise::Body;

use super::circle::{Circle, KeyLife};
use super::context::Context;
use super::{outgoing, own, pairwise};
use crate::store::{Contact, Purpose, SenderKey, StoreError};

/// Under which header key something goes to whom: to the others, or to one's own other devices. A relay must not see
/// that both get the same message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Copies {
    Theirs,
    Own,
}

/// Whether the next message goes under a new key.
pub(super) fn must_rotate(
    ctx: &Context<'_>,
    circle: &Circle,
    key: &SenderKey,
    users: &BTreeMap<DeviceId, UserId>,
) -> bool {
    let siblings = own::siblings(ctx);
    let life = circle.key_life();
    key.turned
        || ctx.now.since(key.made) >= life.age
        || key.messages >= life.messages.min(SENDER_KEY_MESSAGES_MAX)
        || key.holders.iter().any(|holder| !users.contains_key(holder))
        || key.own_holders.iter().any(|holder| !siblings.contains(holder))
        // By a clock that was ahead when it was made it would not age.
        || key.made > ctx.now
}

pub(super) fn new_key(ctx: &mut Context<'_>, conversation: ConversationId, life: &KeyLife) -> SenderKey {
    let jitter_ms = u64::try_from(life.jitter.as_millis()).unwrap_or(u64::MAX);
    let earlier_ms = if jitter_ms == 0 { 0 } else { ctx.rng.next_u64() % jitter_ms };
    SenderKey {
        conversation,
        state: ctx.crypto.new_sender_key(),
        header_key: HeaderKey::random(ctx.rng),
        holders: Vec::new(),
        own_header_key: HeaderKey::random(ctx.rng),
        own_holders: Vec::new(),
        made: ctx.now.before(Duration::from_millis(earlier_ms)),
        messages: 0,
        turned: false,
    }
}

/// What keys are handed out for.
pub(super) struct Round<'a> {
    pub(super) circle: &'a Circle,
    pub(super) entry: &'a SignedEntry,
    pub(super) copies: Copies,
    /// With which they travel in one publish.
    pub(super) group: u64,
    /// The key at its present index.
    pub(super) info: &'a SenderKeyInfo,
    /// Who has it already.
    pub(super) held: BTreeSet<DeviceId>,
}

/// Gives the key, at its present index, to those of a person's devices that don't have it.
pub(super) fn hand_out(
    ctx: &mut Context<'_>,
    round: &Round<'_>,
    person: &Contact,
    devices: &[DeviceId],
    key: &mut SenderKey,
) -> Result<(), StoreError> {
    let Round { circle, entry, copies, group, info, ref held } = *round;
    let header_key = match copies {
        Copies::Theirs => key.header_key.clone(),
        Copies::Own => key.own_header_key.clone(),
    };
    let lacking: Vec<DeviceId> = devices.iter().filter(|device| !held.contains(device)).copied().collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let first_seq = match circle {
        Circle::Group(of) if copies == Copies::Theirs => {
            ctx.tx.member(&of.id, &person.user)?.map_or(entry.header.seq, |member| member.from_seq)
        }
        _ => entry.header.seq,
    };
    let purpose = if own::is_me(ctx, person) { Purpose::OwnKey(entry.id) } else { Purpose::Key(entry.id) };
    for device in lacking {
        let package = package(ctx, person, &device, (&header_key, info), entry, first_seq);
        let Some(payload) = pairwise::seal(ctx, person, &device, Body::KeyPackage(package.to_wire()), None)?
        else {
            continue;
        };
        outgoing::put(ctx, &person.user, &[device], purpose, group, payload)?;
        match copies {
            Copies::Theirs => key.holders.push(device),
            Copies::Own => key.own_holders.push(device),
        }
    }
    Ok(())
}

fn package(
    ctx: &Context<'_>,
    person: &Contact,
    device: &DeviceId,
    (header_key, info): (&HeaderKey, &SenderKeyInfo),
    entry: &SignedEntry,
    first_seq: u64,
) -> Signed {
    let package = KeyPackage {
        ends: PackageEnds {
            sender_user: ctx.me.user,
            sender_device: ctx.me.device,
            recipient_user: person.user,
            recipient_device: *device,
        },
        conversation: entry.header.conversation,
        session: info.session,
        first_index: info.next_index,
        next_seq: first_seq,
        membership_heads: entry.header.membership_heads.clone(),
        session_key: info.session_key.clone(),
        header_key: header_key.clone(),
    };
    package.sign(ctx.me.key.signing_key())
}
