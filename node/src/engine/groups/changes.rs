//! Operations that this device makes.

use undertone_protocol::entry::{Content, EntryBody};
use undertone_protocol::ids::{CertificateHash, ConversationId, DeviceId, EntryId, OperationHash, UserId};
use undertone_protocol::keys::{Certificate, Name};
use undertone_protocol::limits::GROUP_MEMBERS_MAX;
use undertone_protocol::membership::{
    Action, Create, Cut, CutHeads, Document, Operation, SettingsChange, SignedOperation, Verdict,
};

use super::{following, updates, written};
use crate::engine::context::Context;
use crate::engine::writing;
use crate::store::{Group, Standing, StoreError};

/// Makes a group of which this user is the owner, and so far the only member.
pub(in crate::engine) fn create(
    ctx: &mut Context<'_>,
    name: Name,
) -> Result<Result<Group, String>, StoreError> {
    let mut salt = [0; 16];
    rand_core::Rng::fill_bytes(ctx.rng, &mut salt);
    let settings = SettingsChange { name: Some(name.clone()), ..SettingsChange::default() };
    let operation = Operation {
        group: None,
        device: ctx.me.device,
        certificate: own_certificate(ctx),
        parents: Vec::new(),
        number: 0,
        action: Action::Create(Create { salt, cap: GROUP_MEMBERS_MAX, settings }),
    };
    let signed = match SignedOperation::issue(&ctx.me.key, operation) {
        Ok(signed) => signed,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let id = Document::group_of(&signed);
    let group = Group { id, name: name.to_string(), standing: Standing::In, added: ctx.now };
    updates::open(ctx, &group, Document::new(id))?;
    Ok(take(ctx, &id, signed)?.map(|_| group))
}

fn own_certificate(ctx: &Context<'_>) -> CertificateHash {
    Operation::certificate_hash(&ctx.me.account.certificate)
}

/// Whether a change would count, or why not.
pub(in crate::engine) fn may(ctx: &mut Context<'_>, group: &Group, action: &Action) -> Result<(), String> {
    let (me, device) = (ctx.me.user, ctx.me.device);
    let Some(document) = ctx.groups.document(&group.id) else {
        return Err("it is not known here".to_owned());
    };
    document.allowed(me, device, action).map_err(|forbidden| forbidden.why.to_owned())
}

/// Changes a group: judges, signs, follows, and writes it into the group's log. The error says why it would not count.
pub(in crate::engine) fn operate(
    ctx: &mut Context<'_>,
    group: &Group,
    action: Action,
) -> Result<Result<EntryId, String>, StoreError> {
    let known = ctx.groups.heads_for(&group.id, &ctx.me.user);
    let (me, device, certificate) = (ctx.me.user, ctx.me.device, own_certificate(ctx));
    let Some(document) = ctx.groups.document(&group.id) else {
        return Ok(Err("it is not known here".to_owned()));
    };
    if let Err(forbidden) = document.allowed(me, device, &action) {
        return Ok(Err(forbidden.why.to_owned()));
    }
    let Some(operation) = document.draft(&me, device, certificate, action) else {
        return Ok(Err("this device has changed the group as often as it may".to_owned()));
    };
    let signed = match SignedOperation::issue(&ctx.me.key, operation) {
        Ok(signed) => signed,
        Err(error) => return Ok(Err(error.to_string())),
    };
    // Who is let in by it is told of it like all others, who is put out is not.
    let body = match EntryBody::new(Content::Operation(signed.signed()), ctx.rng) {
        Ok(body) => body,
        Err(error) => return Ok(Err(error.to_string())),
    };
    if let Err(why) = take(ctx, &group.id, signed)? {
        return Ok(Err(why));
    }
    // By what was known before: who leaves has said so as a member.
    writing::append_knowing(ctx, group, &known, body).map(Ok)
}

fn take(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    signed: SignedOperation,
) -> Result<Result<OperationHash, String>, StoreError> {
    let own: Certificate = ctx.me.account.certificate.clone();
    let before = ctx.groups.view(group).cloned();
    let device = ctx.me.device;
    let Some(document) = ctx.groups.document(group) else {
        return Ok(Err("it is not known here".to_owned()));
    };
    let known = |hash: &_| Some(own.clone()).filter(|own| Operation::certificate_hash(own) == *hash);
    match document.take(device, signed.signed(), known) {
        Ok(undertone_protocol::membership::Taken::Held(released)) => {
            let counts = |hash: &OperationHash| document.verdict(hash) == Some(Verdict::Counts);
            // Of very many operations beside each other it can't name all that allow it.
            let made = released.held.first().copied().filter(counts);
            following::changed(ctx, group, before, &released.held)?;
            Ok(made.ok_or_else(|| "too much was changed at once: try it again".to_owned()))
        }
        Ok(_) => Ok(Err("nothing was changed".to_owned())),
        Err(error) => Ok(Err(error.to_string())),
    }
}

/// What of somebody counts who is put out: what this device knows of theirs, also by the word of others.
pub(in crate::engine) fn cut_of(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    user: &UserId,
) -> Result<Option<Cut>, StoreError> {
    let mut cut = Cut::default();
    let Some(list) = ctx.tx.contact(user)?.and_then(|person| person.device_list) else {
        return Ok(Some(cut));
    };
    let told = ctx.tx.member(group, user)?.map(|member| member.written).unwrap_or_default();
    let written = written::of(&list, &written::held(ctx.tx, group)?, &told);
    for device in list.devices.iter().map(|listed| listed.certificate.device) {
        let last = written.iter().find(|written| written.device == device);
        let heads = CutHeads {
            operation: last_operation(ctx, group, &device),
            entry: last.map(|written| written.entry),
        };
        if heads != CutHeads::default() {
            cut.devices.insert(device, heads);
        }
    }
    Ok(Some(cut))
}

/// The last operation of a device among those that what this device does now stands on: a cut names no other.
pub(super) fn last_operation(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    device: &DeviceId,
) -> Option<OperationHash> {
    let (me, own) = (ctx.me.user, ctx.me.device);
    let document = ctx.groups.document(group)?;
    let parents = document.parents_for(&me, &own).unwrap_or_default();
    let below = document.past_of(&parents, &[]);
    let of_device = below.filter(|(_, operation)| operation.operation.device == *device);
    of_device.map(|(hash, _)| hash).last()
}
