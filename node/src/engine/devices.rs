//! Commands about the user's own devices.

use std::collections::BTreeSet;

use undertone_protocol::keys::{DeviceCode, ListedDevice};

use super::answers::{Answer, error, later, now};
use super::context::Context;
use super::waiters::Condition;
use super::{linking, own, views, warnings};
use crate::command::{Command, CommandError, ErrorKind, Response};
use crate::store::StoreError;

/// Why this device can't carry a command out, if it is not one of its user's now.
pub(super) fn hindrance(ctx: &Context<'_>, command: &Command) -> Option<CommandError> {
    let looks = matches!(
        command,
        Command::Id {}
            | Command::Status {}
            | Command::DeviceList {}
            | Command::DeviceCode {}
            | Command::RelayList {}
    );
    let reads = matches!(
        command,
        Command::ContactList {}
            | Command::History { .. }
            | Command::Info { .. }
            | Command::ContactVerify { .. }
            | Command::GroupList {}
            | Command::GroupShow { .. }
    );
    let message = if ctx.me.is_linking() && !looks {
        "this device waits to be added by another one of yours: show its code by `undertone device link`, and \
         use it there by `undertone device add CODE`"
            .to_owned()
    } else if ctx.me.is_revoked() && !looks && !reads {
        "this device was revoked by another one of yours: it only shows what it has".to_owned()
    } else if let Some(fault) = ctx.me.account.fault.filter(|_| !looks && !reads) {
        warnings::fault(ctx, fault)
    } else {
        return None;
    };
    Some(CommandError::new(ErrorKind::Conflict, message))
}

pub(super) fn code(ctx: &Context<'_>) -> Result<Answer, StoreError> {
    let Some(code) = linking::code(ctx)? else { return now(Response::DeviceCode(views::no_code())) };
    if code.grants.is_empty() {
        return error(
            ErrorKind::Conflict,
            "this device has no relay, so no answer could reach it: begin anew with `--relay ADDR`",
        );
    }
    later(Condition::Registered { code: code.to_string() })
}

pub(super) fn add(ctx: &mut Context<'_>, code: &str) -> Result<Answer, StoreError> {
    let code = match DeviceCode::parse(code) {
        Ok(code) => code,
        Err(problem) => return error(ErrorKind::Invalid, problem.to_string()),
    };
    match linking::add(ctx, &code)? {
        Ok(certificate) => later(Condition::Linked { device: certificate.device }),
        Err(problem) => Ok(Err(problem)),
    }
}

pub(super) fn list(ctx: &Context<'_>) -> Result<Answer, StoreError> {
    let listed = &ctx.me.account.device_list.devices;
    let own = own::own_contact(ctx)?;
    let forked = warnings::own_forked(ctx)?;
    let views = listed.iter().map(|listed| views::device(ctx, own.as_ref(), &forked, listed));
    now(Response::Devices(views.collect::<Result<_, _>>()?))
}

pub(super) fn revoke(ctx: &mut Context<'_>, name: &str) -> Result<Answer, StoreError> {
    match linking::revoke(ctx, name)? {
        Ok(certificate) => {
            let own = own::own_contact(ctx)?;
            let listed = ListedDevice { certificate, revoked: true };
            now(Response::Device(views::device(ctx, own.as_ref(), &BTreeSet::new(), &listed)?))
        }
        Err(problem) => Ok(Err(problem)),
    }
}
