//! Commands whose answer waits for the network.

use std::collections::BTreeSet;
use std::time::Duration;

use undertone_protocol::ids::{ConversationId, DeviceId, EntryId, Handle, RelayId, UserId};
use undertone_protocol::limits::INVITATION_RELAYS_MAX;
use undertone_protocol::receipts::Tick;
use undertone_protocol::time::Timestamp;

use super::context::Context;
use super::links::Links;
use super::types::{Notice, Outputs};
use super::{changes, home, own, relays, views, warnings};
use crate::command::{
    CommandError, CommandId, CountView, DeviceCodeView, ErrorKind, GroupView, InvitationView, Response,
};
use crate::store::{Purpose, StoreError};

/// Answers that may wait at one time; one more is answered at once.
const WAITERS_MAX: usize = 1_024;

/// What an answer waits for.
#[derive(Debug)]
pub(super) enum Condition {
    /// A message is at a relay, or failed.
    Sent { entry: EntryId },
    /// A home relay knows an invitation.
    Invited { handle: Handle, view: InvitationView },
    /// A request or an accept is at a relay, or was refused.
    Introduced {
        user: UserId,
        /// The group that they were let into by it.
        into: Option<String>,
    },
    /// This new device is known to a relay, so that it can be answered.
    Registered { code: String },
    /// What makes a device one of this user's is at its relay.
    Linked { device: DeviceId },
    /// Acknowledgements of a conversation, and messages to it, are at a relay.
    Flushed { conversation: ConversationId, view: CountView },
    /// A home relay that was added is ready, and everybody was told of what is new of home relays.
    Relays { relay: Option<RelayId> },
    /// What was changed of a group is at a relay, for all who can be reached.
    Told { group: ConversationId, view: Box<GroupView> },
}

struct Waiter {
    id: CommandId,
    condition: Condition,
    deadline: Timestamp,
}

/// The commands that wait. Volatile: who asked is gone with the process.
#[derive(Default)]
pub(super) struct Waiters(Vec<Waiter>);

impl Waiters {
    pub(super) fn add(&mut self, id: CommandId, condition: Condition, deadline: Timestamp) {
        let deadline = if self.0.len() < WAITERS_MAX { deadline } else { Timestamp::ZERO };
        self.0.push(Waiter { id, condition, deadline });
    }

    /// The clock was set back by so much.
    pub(super) fn set_back(&mut self, by: Duration) {
        for waiter in &mut self.0 {
            waiter.deadline = waiter.deadline.before(by);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.0.iter().map(|waiter| waiter.deadline).min()
    }

    /// Answers those whose wait is over.
    pub(super) fn check(
        &mut self,
        ctx: &mut Context<'_>,
        links: &Links,
        out: &mut Outputs,
    ) -> Result<(), StoreError> {
        for waiter in std::mem::take(&mut self.0) {
            let over = waiter.deadline <= ctx.now;
            match answer(ctx, links, &waiter.condition, over)? {
                Some(result) => out.notices.push(Notice::Reply { id: waiter.id, result: Box::new(result) }),
                None => self.0.push(waiter),
            }
        }
        Ok(())
    }
}

/// The answer, if it is due.
fn answer(
    ctx: &mut Context<'_>,
    links: &Links,
    condition: &Condition,
    over: bool,
) -> Result<Option<Result<Response, CommandError>>, StoreError> {
    match condition {
        Condition::Sent { entry } => {
            let Some(delivery) = ctx.tx.delivery(entry)? else { return Ok(None) };
            let done = delivery.tick >= Tick::Sent
                || delivery.failed.is_some()
                || !views::can_progress(ctx, &delivery)?;
            if !done && !over {
                return Ok(None);
            }
            Ok(changes::message_by_id(ctx, entry)?.map(|message| Ok(Response::Message(message))))
        }
        Condition::Invited { handle, view } => {
            let invitation = ctx.tx.invitation(handle)?;
            let homes = home::offered(ctx)?;
            // One relay that knows it, and has the bundle, is enough to answer it.
            let ready = invitation.is_some_and(|invitation| {
                homes
                    .iter()
                    .take(INVITATION_RELAYS_MAX)
                    .any(|home| home.bundle_stored && !invitation.unconfirmed.contains(&home.address.relay))
            });
            let problem = home_problem(links).filter(|_| !ready);
            let view = InvitationView { ready, problem, ..view.clone() };
            Ok((ready || over).then_some(Ok(Response::Invitation(view))))
        }
        Condition::Registered { code } => {
            let ready = ctx.tx.home_relays()?.iter().any(|home| home.generation.is_some());
            let problem = home_problem(links).filter(|_| !ready);
            let view = DeviceCodeView { code: Some(code.clone()), ready, problem };
            Ok((ready || over).then_some(Ok(Response::DeviceCode(view))))
        }
        Condition::Linked { device } => {
            let there = ctx.tx.outbox_heads_of(&Purpose::Link(*device))?.is_empty();
            let listed = ctx.me.account.device_list.devices.iter();
            let Some(listed) = listed.clone().find(|listed| listed.certificate.device == *device) else {
                return Ok(None);
            };
            let view = views::device(ctx, own::own_contact(ctx)?.as_ref(), &BTreeSet::new(), listed)?;
            // One that has spoken since was added all the same.
            let refused = ctx.agenda.links_refused.get(device).filter(|_| !there || view.state == "linking");
            if let Some(failure) = refused {
                let error = CommandError::new(ErrorKind::Refused, views::link_refused(&view.name, *failure));
                return Ok(Some(Err(error)));
            }
            Ok((there || over).then_some(Ok(Response::Device(view))))
        }
        Condition::Relays { relay } => {
            let added = relay.as_ref().map(|relay| ctx.tx.home_relay(relay)).transpose()?.flatten();
            let ready = added.is_none_or(|home| home.announced) && relays::untold(ctx)? == 0;
            Ok(if ready || over { Some(Ok(Response::Relays(relays::views(ctx, links)?))) } else { None })
        }
        Condition::Introduced { user, into } => introduced(ctx, user, into.as_ref(), over),
        Condition::Flushed { conversation, view } => {
            let flushed = !ctx.tx.own_receipts(conversation)?.due
                && ctx.tx.outbox_heads_of(&Purpose::Acknowledgement(*conversation))?.is_empty();
            Ok((flushed || over).then(|| Ok(Response::Count(view.clone()))))
        }
        Condition::Told { group, view } => {
            let is_told = ctx.tx.deliveries_waiting(group, 1)?.is_empty()
                && ctx.tx.outbox_heads_of(&Purpose::Group(*group))?.is_empty()
                && !ctx.agenda.updates.keys().any(|(of, _)| of == group);
            Ok((is_told || over).then(|| Ok(Response::Group(view.clone()))))
        }
    }
}

/// What is wrong with a home relay.
fn home_problem(links: &Links) -> Option<String> {
    links.homes().find_map(|(_, link)| link.problem.clone())
}

fn introduced(
    ctx: &mut Context<'_>,
    user: &UserId,
    into: Option<&String>,
    over: bool,
) -> Result<Option<Result<Response, CommandError>>, StoreError> {
    let Some(contact) = ctx.tx.contact(user)? else { return Ok(None) };
    // It was blocked meanwhile: nothing goes out.
    let over = over || contact.state.is_blocked();
    if let Some(denial) = contact.refused {
        let message = warnings::refusal(&contact, denial);
        return Ok(Some(Err(CommandError::new(ErrorKind::Refused, message))));
    }
    let mut view = views::contact(ctx, &contact)?;
    view.group = view.group.or_else(|| into.cloned());
    Ok((view.introduced || over).then_some(Ok(Response::Contact(view))))
}
