//! Commands, handed to the part that each concerns.

use std::time::Duration;

use undertone_protocol::crypto::safety_number;
use undertone_protocol::entry::check_text;
use undertone_protocol::ids::UserId;
use undertone_protocol::keys::{Invitation, Name};

use super::agenda::Kept;
use super::answers::{Answer, Reply, error, now};
use super::circle::Circle;
use super::context::Context;
use super::links::Links;
use super::types::{Notice, Outputs};
use super::waiters::{Condition, Waiters};
use super::{
    blocking, contacts, devices, direct, group_commands, group_links, group_names, groups, introducing,
    lines, membership, messages, own, relay_commands, resend, views, warnings,
};
use crate::command::{
    Ask, Command, CommandError, CommandId, CountView, ErrorKind, RelayView, Response, SafetyNumberView,
    StatusView,
};
use crate::store::{Contact, ContactState, Failure, Fault, StoreError};

/// Carries out a command; the answer may wait.
pub(super) fn ask(
    ctx: &mut Context<'_>,
    links: &mut Links,
    waiters: &mut Waiters,
    ask: Ask,
    out: &mut Outputs,
) -> Result<(), StoreError> {
    let Ask { id, command, wait } = ask;
    match carry_out(ctx, links, command, out)? {
        Ok(Reply::Later(condition)) => waiters.add(id, condition, ctx.now.after(wait)),
        Ok(Reply::Now(response)) => reply(out, id, Ok(response)),
        Err(error) => reply(out, id, Err(error)),
    }
    Ok(())
}

fn reply(out: &mut Outputs, id: CommandId, result: Result<Response, CommandError>) {
    out.notices.push(Notice::Reply { id, result: Box::new(result) });
}

fn carry_out(
    ctx: &mut Context<'_>,
    links: &mut Links,
    command: Command,
    out: &mut Outputs,
) -> Result<Answer, StoreError> {
    if let Some(hindrance) = devices::hindrance(ctx, &command) {
        return Ok(Err(hindrance));
    }
    match command {
        Command::Id {} => now(Response::Id(views::id(ctx))),
        Command::Status {} => now(Response::Status(status(ctx, links)?)),
        Command::Invite { uses, life } => invite(ctx, uses, life),
        Command::ContactAdd { link, name, message } => add(ctx, &link, name, message),
        Command::ContactList {} => {
            let mut contacts = ctx.tx.contacts()?;
            contacts.retain(|contact| !own::is_me(ctx, contact) && contact.state != ContactState::Member);
            let views =
                contacts.iter().map(|contact| views::contact(ctx, contact)).collect::<Result<_, _>>()?;
            now(Response::Contacts(views))
        }
        Command::ContactAccept { name } => with_contact(ctx, &name, accept),
        Command::ContactDecline { name } => {
            with_contact(ctx, &name, |ctx, contact| match blocking::decline(ctx, contact)? {
                Ok(contact) => shown(ctx, &contact),
                Err(problem) => Ok(Err(problem)),
            })
        }
        Command::ContactBlock { name } => {
            with_contact(ctx, &name, |ctx, contact| match blocking::block(ctx, contact)? {
                Ok(contact) => shown(ctx, &contact),
                Err(problem) => Ok(Err(problem)),
            })
        }
        Command::ContactUnblock { name } => with_contact(ctx, &name, unblock),
        Command::ContactVerify { name, confirm } => {
            with_contact(ctx, &name, |ctx, contact| verify(ctx, contact, confirm))
        }
        Command::Send { name, text } => with_circle(ctx, &name, |ctx, circle| send(ctx, &circle, &text)),
        Command::Reply { name, message, text } => {
            with_circle(ctx, &name, |ctx, circle| messages::reply(ctx, &circle, &message, &text))
        }
        Command::Forward { name, message, to } => with_circle(ctx, &name, |ctx, circle| {
            with_circle(ctx, &to, |ctx, to| messages::forward(ctx, &circle, &message, &to))
        }),
        Command::React { name, message, reaction } => {
            with_circle(ctx, &name, |ctx, circle| messages::react(ctx, &circle, &message, &reaction))
        }
        Command::Edit { name, message, text } => {
            with_circle(ctx, &name, |ctx, circle| messages::edit(ctx, &circle, &message, &text))
        }
        Command::Delete { name, message, for_me: true } => {
            with_circle(ctx, &name, |ctx, circle| messages::hide(ctx, &circle, &message))
        }
        Command::Delete { name, message, for_me: false } => {
            with_circle(ctx, &name, |ctx, circle| messages::delete(ctx, &circle, &message))
        }
        Command::Pin { name, message, off } => {
            with_circle(ctx, &name, |ctx, circle| messages::pin(ctx, &circle, &message, !off))
        }
        Command::Info { name, message } => {
            with_circle(ctx, &name, |ctx, circle| messages::info(ctx, &circle, &message))
        }
        Command::Retry { name } => with_circle(ctx, &name, retry),
        Command::History { name, limit } => {
            with_circle(ctx, &name, |ctx, circle| lines::history(ctx, &circle, limit))
        }
        Command::Read { name } => with_circle(ctx, &name, lines::read),
        Command::GroupCreate { name, members } => group_commands::create(ctx, &name, &members),
        Command::GroupAdd { group, members, role } => group_commands::add(ctx, &group, &members, &role),
        Command::GroupRemove { group, member } => group_commands::remove(ctx, &group, &member),
        Command::GroupRole { group, member, role } => group_commands::role(ctx, &group, &member, &role),
        Command::GroupLeave { group, successor } => group_commands::leave(ctx, &group, successor.as_deref()),
        Command::GroupSet { group, change } => group_commands::set(ctx, &group, change),
        Command::GroupLink { group, uses, life } => group_links::link(ctx, &group, uses, life),
        Command::GroupUnlink { group, link } => group_links::unlink(ctx, &group, &link),
        Command::GroupJoin { link, message } => join(ctx, &link, message),
        Command::GroupList {} => group_commands::list(ctx),
        Command::GroupShow { group } => group_commands::show(ctx, &group),
        Command::DeviceCode {} => devices::code(ctx),
        Command::DeviceAdd { code } => devices::add(ctx, &code),
        Command::DeviceList {} => devices::list(ctx),
        Command::DeviceRevoke { name } => devices::revoke(ctx, &name),
        Command::RelayList {} => relay_commands::list(ctx, links),
        Command::RelayAdd { addresses, priority } => relay_commands::add(ctx, links, &addresses, priority),
        Command::RelayRemove { relay } => relay_commands::remove(ctx, links, &relay, out),
        Command::RelayMove { addresses } => relay_commands::move_to(ctx, links, &addresses, out),
    }
}

/// Finds a contact by name (letter case aside) or by the beginning of the user id, eight digits at least.
fn with_contact(
    ctx: &mut Context<'_>,
    name: &str,
    work: impl FnOnce(&mut Context<'_>, Contact) -> Result<Answer, StoreError>,
) -> Result<Answer, StoreError> {
    let wanted = name.trim().to_lowercase();
    let by_id = |user: &UserId| wanted.len() >= 8 && user.to_hex().starts_with(&wanted);
    let contacts = ctx.tx.contacts()?;
    let named = contacts.iter().find(|contact| contact.name.as_str().to_lowercase() == wanted);
    match named.or_else(|| contacts.iter().find(|contact| by_id(&contact.user))).cloned() {
        Some(contact) => work(ctx, contact),
        None => error(
            ErrorKind::Unknown,
            format!("no contact is called \"{}\": see `undertone contact list`", name.trim()),
        ),
    }
}

/// Finds a conversation: with a contact, or of a group. A contact's name stands before that of a group, or others could
/// hide them by the names of groups.
fn with_circle(
    ctx: &mut Context<'_>,
    name: &str,
    work: impl FnOnce(&mut Context<'_>, Circle) -> Result<Answer, StoreError>,
) -> Result<Answer, StoreError> {
    if is_contact_called(ctx, name)? {
        return with_contact(ctx, name, |ctx, contact| work(ctx, Circle::Direct(Box::new(contact))));
    }
    match group_names::find(ctx, name)? {
        Ok(group) => work(ctx, Circle::Group(group)),
        Err(problem) if problem.kind == ErrorKind::Conflict => Ok(Err(problem)),
        Err(_) => match with_contact(ctx, name, |ctx, contact| work(ctx, Circle::Direct(Box::new(contact))))?
        {
            Err(problem) if problem.kind == ErrorKind::Unknown => error(
                ErrorKind::Unknown,
                format!(
                    "no contact and no group is called \"{}\": see `undertone contact list` and `undertone group list`",
                    name.trim()
                ),
            ),
            answer => Ok(answer),
        },
    }
}

fn is_contact_called(ctx: &Context<'_>, name: &str) -> Result<bool, StoreError> {
    let wanted = name.trim().to_lowercase();
    let mut contacts = ctx.tx.contacts()?.into_iter();
    Ok(contacts.any(|contact| contact.state != ContactState::Member && contact.name_folded() == wanted))
}

fn status(ctx: &Context<'_>, links: &Links) -> Result<StatusView, StoreError> {
    let mut contacts = ctx.tx.contacts()?;
    contacts.retain(|contact| !own::is_me(ctx, contact));
    let mut requests = 0;
    for contact in &contacts {
        let asks = contact.state == ContactState::Requested || membership::asks_for(ctx, contact)?.is_some();
        requests += usize::from(asks);
    }
    let relays = links.iter().filter(|(id, _)| links.stands_for_relay(id));
    let relays = relays.map(|(id, link)| RelayView {
        relay: id.relay.to_hex(),
        addresses: link.address().addresses.clone(),
        home: link.is_home(),
        connected: link.is_ready(),
        problem: links.problem(id),
    });
    Ok(StatusView {
        id: views::id(ctx),
        device_state: device_state(ctx).to_owned(),
        warning: warnings::of_own(ctx)?,
        relays: relays.collect(),
        outbox: views::outbox_pending(ctx, 1_000)?,
        requests,
        requests_kept: ctx.agenda.kept(Kept::Request),
        contacts: contacts.iter().filter(|contact| is_contact(contact.state)).count(),
    })
}

fn device_state(ctx: &Context<'_>) -> &'static str {
    match ctx.me {
        me if me.is_linking() => "linking",
        me if me.is_revoked() => "revoked",
        me => match me.account.fault {
            Some(Fault::RolledBack) => "rolled back",
            Some(Fault::Copied) => "copied",
            None => "active",
        },
    }
}

const fn is_contact(state: ContactState) -> bool {
    matches!(state, ContactState::Requesting | ContactState::Accepted)
}

fn invite(ctx: &mut Context<'_>, uses: u32, life: Duration) -> Result<Answer, StoreError> {
    if let Some(problem) = contacts::bad_bounds(uses, life) {
        return Ok(Err(problem));
    }
    let expires = ctx.now.after(life);
    Ok(contacts::invite(ctx, uses, expires, None)?
        .map(|invited| group_links::invited_by(invited, uses, expires)))
}

/// Asks to be let into a group, by its link: as a request to be a contact of who made it.
fn join(ctx: &mut Context<'_>, link: &str, message: Option<String>) -> Result<Answer, StoreError> {
    match Invitation::parse(link) {
        Ok(invitation) if invitation.group.is_some() => add(ctx, link, None, message),
        Ok(_) => error(ErrorKind::Invalid, "that link is of a person: `undertone contact add` takes it"),
        Err(problem) => error(ErrorKind::Invalid, problem.to_string()),
    }
}

fn add(
    ctx: &mut Context<'_>,
    link: &str,
    name: Option<String>,
    message: Option<String>,
) -> Result<Answer, StoreError> {
    let invitation = match Invitation::parse(link) {
        Ok(invitation) => invitation,
        Err(problem) => return error(ErrorKind::Invalid, problem.to_string()),
    };
    let name = match name.map(|name| Name::new(&name)).transpose() {
        Ok(name) => name,
        Err(problem) => return error(ErrorKind::Invalid, problem.to_string()),
    };
    if let Some(text) = &message
        && let Err(problem) = check_text(text)
    {
        return error(ErrorKind::Invalid, problem.to_string());
    }
    if ctx.tx.home_relays()?.is_empty() {
        return error(
            ErrorKind::Conflict,
            "this account has no relay, so no answer could reach it: add one with `undertone relay add ADDR`",
        );
    }
    let contact = match contacts::add(ctx, &invitation, name)? {
        Ok(contact) => contact,
        Err(problem) => return Ok(Err(problem)),
    };
    if let Some(text) = message
        && let Err(problem) = direct::compose(ctx, &Circle::Direct(Box::new(contact.clone())), &text)?
    {
        return error(ErrorKind::Invalid, problem.to_string());
    }
    Ok(Ok(Reply::Later(Condition::Introduced { user: contact.user, into: None })))
}

fn accept(ctx: &mut Context<'_>, contact: Contact) -> Result<Answer, StoreError> {
    let user = contact.user;
    let into = match group_links::let_in(ctx, &contact)? {
        Ok(into) => into,
        Err(problem) => return Ok(Err(problem)),
    };
    if let Some(contact) = ctx.tx.contact(&user)?
        && let Err(problem) = contacts::accept(ctx, contact)?
    {
        return Ok(Err(problem));
    }
    if let Some(group) = &into {
        groups::welcome(ctx, &group.id, &user)?;
    }
    Ok(Ok(Reply::Later(Condition::Introduced { user, into: into.map(|group| group.name) })))
}

fn unblock(ctx: &mut Context<'_>, contact: Contact) -> Result<Answer, StoreError> {
    match blocking::unblock(ctx, contact)? {
        Ok(contact) if contact.introduction_due => {
            Ok(Ok(Reply::Later(Condition::Introduced { user: contact.user, into: None })))
        }
        Ok(contact) => shown(ctx, &contact),
        Err(problem) => Ok(Err(problem)),
    }
}

fn shown(ctx: &Context<'_>, contact: &Contact) -> Result<Answer, StoreError> {
    now(Response::Contact(views::contact(ctx, contact)?))
}

fn verify(ctx: &mut Context<'_>, mut contact: Contact, confirm: bool) -> Result<Answer, StoreError> {
    if own::is_me(ctx, &contact) {
        return error(ErrorKind::Conflict, "these are your own devices: see `undertone device list`");
    }
    if confirm {
        contact.verified = true;
        contact.identity_warning = false;
        contact.reinstalled = false;
        ctx.agenda.changed.insert(contact.user);
        ctx.tx.put_contact(&contact)?;
    }
    now(Response::SafetyNumber(SafetyNumberView {
        name: contact.name.to_string(),
        number: safety_number(&ctx.me.user, &contact.user),
        verified: contact.verified,
    }))
}

fn send(ctx: &mut Context<'_>, circle: &Circle, text: &str) -> Result<Answer, StoreError> {
    if let Some(problem) = messages::hindrance(ctx, circle)? {
        return Ok(Err(problem));
    }
    match direct::compose(ctx, circle, text)? {
        Ok(entry) => Ok(Ok(Reply::Later(Condition::Sent { entry }))),
        Err(problem) => error(ErrorKind::Invalid, problem.to_string()),
    }
}

fn retry(ctx: &mut Context<'_>, circle: Circle) -> Result<Answer, StoreError> {
    if let Some(contact) = circle.contact().filter(|contact| contact.state.is_blocked()) {
        return error(ErrorKind::Conflict, messages::blocked(contact));
    }
    let conversation = circle.conversation(ctx);
    let mut messages = 0;
    for delivery in ctx.tx.deliveries_unread(&conversation)? {
        if delivery.failed.is_some_and(Failure::may_pass) {
            resend::again(ctx, delivery)?;
            messages += 1;
        }
    }
    if let Circle::Direct(contact) = &circle
        && messages > 0
        && contact.state == ContactState::Requesting
    {
        // The first text goes along with the request.
        let mut contact = contact.as_ref().clone();
        contact.refused = None;
        introducing::answer(ctx, &mut contact);
        ctx.tx.put_contact(&contact)?;
    }
    ctx.agenda.seal.insert(conversation);
    now(Response::Count(CountView { name: circle.name(), messages }))
}
