//! Who has a message, and who read it, by what their devices signed.

use undertone_protocol::entry::EntryHeader;
use undertone_protocol::ids::DeviceId;
use undertone_protocol::keys::ListedDevice;
use undertone_protocol::log::Frontier;
use undertone_protocol::receipts::{AcknowledgementFields, Tick};
use undertone_protocol::time::Timestamp;

use super::circle::Circle;
use super::context::Context;
use super::{acknowledged, changes, membership, own, shown, views};
use crate::command::{DeviceInfo, InfoView, MemberInfo};
use crate::log;
use crate::store::{Acknowledged, AcknowledgedBy, StoreError, StoredEntry};

/// Remembers when a device said what it has, and what was read, of entries that are not its user's own. Numbers that
/// were not written are not taken for any.
pub(super) fn note_times(
    ctx: &mut Context<'_>,
    said: &AcknowledgementFields,
    ever: &Acknowledged,
) -> Result<(), StoreError> {
    for (read, said_of, ever) in [(false, &said.delivered, &ever.delivered), (true, &said.read, &ever.read)] {
        for (author, through) in told(ctx, said, said_of, ever)? {
            let which = AcknowledgedBy { conversation: said.conversation, device: said.device, author, read };
            if ctx.tx.acknowledged_at(&which, through)?.is_none() {
                ctx.tx.put_acknowledged_at(&which, through, said.at)?;
            }
        }
    }
    Ok(())
}

/// Through which number of each author a device has, or read, everything.
fn told(
    ctx: &Context<'_>,
    said: &AcknowledgementFields,
    said_of: &Frontier,
    ever: &Frontier,
) -> Result<Vec<(DeviceId, u64)>, StoreError> {
    let is_own = own::is_own(ctx, &said.device);
    let mut told = Vec::new();
    for (author, item) in said_of.items().filter(|(author, _)| own::is_own(ctx, author) != is_own) {
        // Of what others wrote under numbers of this user's devices nothing is concluded.
        let agreed = if *author == ctx.me.device {
            acknowledged::of_mine(ctx, &said.conversation, item)?.map_or(0, |item| item.seq)
        } else {
            ever.get(author).map_or(0, |item| item.seq)
        };
        let written = log::frontier_of(ctx.tx, &said.conversation, author)?.last();
        let through = item.seq.min(agreed).min(written);
        if through > 0 {
            told.push((*author, through));
        }
    }
    Ok(told)
}

/// All that is known of how far a message has come.
pub(super) fn view(ctx: &Context<'_>, circle: &Circle, stored: &StoredEntry) -> Result<InfoView, StoreError> {
    let header = &stored.entry.header;
    let author = circle.user_of(ctx, &header.device);
    let mut members = Vec::new();
    for (user, name) in shown::members(ctx, circle)? {
        // Who else has what somebody else wrote, only its author is told.
        let is_told = author == Some(ctx.me.user) || user == ctx.me.user;
        if Some(user) == author && !circle.is_account(ctx)
            || !is_told
            || !membership::was_told(ctx, circle, &user, header)
        {
            continue;
        }
        let list = if user == ctx.me.user {
            Some(ctx.me.account.device_list.clone())
        } else {
            ctx.tx.contact(&user)?.and_then(|person| person.device_list)
        };
        let mut devices = Vec::new();
        for listed in list.iter().flat_map(|list| &list.devices) {
            devices.extend(device(ctx, stored, listed)?);
        }
        members.push(member(user.to_hex(), name, devices));
    }
    Ok(InfoView {
        message: views::message(ctx, circle, stored)?,
        members,
        changes: changes::of(ctx, circle, stored)?,
    })
}

fn member(user: String, name: String, devices: Vec<DeviceInfo>) -> MemberInfo {
    let has = |state: &str| devices.iter().any(|device| device.state == state);
    let state = ["read", "delivered"].into_iter().find(|state| has(state)).unwrap_or("waiting");
    MemberInfo {
        user,
        name,
        state: state.to_owned(),
        delivered_ms: devices.iter().filter_map(|device| device.delivered_ms).min(),
        read_ms: devices.iter().filter_map(|device| device.read_ms).min(),
        devices,
    }
}

/// `None` for the device that wrote it, and for one that is gone and never had it.
fn device(
    ctx: &Context<'_>,
    stored: &StoredEntry,
    listed: &ListedDevice,
) -> Result<Option<DeviceInfo>, StoreError> {
    let header = &stored.entry.header;
    let device = listed.certificate.device;
    if device == header.device {
        return Ok(None);
    }
    let (tick, delivered_ms) = if device == ctx.me.device {
        let is_read = ctx.tx.own_receipts(&header.conversation)?.read.covers(&header.device, header.seq);
        (if is_read { Tick::Read } else { Tick::Delivered }, Some(stored.received.as_ms()))
    } else {
        let tick = acknowledged::tick(&acknowledged::of(ctx.tx, &header.conversation, &device)?, header);
        (tick, at(ctx, header, device, false)?)
    };
    if listed.revoked && tick < Tick::Delivered {
        return Ok(None);
    }
    let read_ms = at(ctx, header, device, true)?;
    let state = if tick < Tick::Delivered { "waiting" } else { tick.as_str() };
    Ok(Some(DeviceInfo {
        device: device.to_hex(),
        name: listed.certificate.name.to_string(),
        state: state.to_owned(),
        // What was read was delivered by then.
        delivered_ms: delivered_ms.or(read_ms).filter(|_| tick >= Tick::Delivered),
        read_ms: read_ms.filter(|_| tick == Tick::Read),
    }))
}

fn at(
    ctx: &Context<'_>,
    header: &EntryHeader,
    device: DeviceId,
    read: bool,
) -> Result<Option<u64>, StoreError> {
    let which = AcknowledgedBy { conversation: header.conversation, device, author: header.device, read };
    Ok(ctx.tx.acknowledged_at(&which, header.seq)?.map(Timestamp::as_ms))
}
