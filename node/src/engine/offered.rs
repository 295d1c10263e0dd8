//! Which entries a device gets from here that others wrote, or that go out no more by themselves.

use undertone_protocol::entry::Content;
use undertone_protocol::ids::{ConversationId, DeviceId, UserId};
use undertone_protocol::limits::ENVELOPE_TTL_MAX;
use undertone_protocol::log::FrontierItem;
use undertone_protocol::receipts::Tick;

use super::circle::Circle;
use super::context::Context;
use super::{membership, own};
use crate::store::{Contact, StoreError, StoredEntry};

/// Which of an author's entries a device gets from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offered {
    None,
    All,
    /// What was written before its user came in.
    Before,
    /// What it says that it lacks between others.
    Gaps,
    /// Of these what its author sends no more by itself.
    OldGaps,
    /// Of these what says nothing any more.
    GoneGaps,
}

/// A sibling gets everybody's; somebody else's device those of the user's devices that can't send them themselves any
/// more, and in a group those of members who are gone. Whom this device let in gets what the group shows them; and what
/// a member's device says that it lacks of an author it gets from whoever it says so to.
pub(super) fn offered(
    ctx: &Context<'_>,
    circle: &Circle,
    to: &Contact,
    hands: bool,
    author: &DeviceId,
) -> Offered {
    let Some(user) = circle.user_of(ctx, author) else {
        return if own::is_me(ctx, to) { Offered::All } else { Offered::None };
    };
    let is_mine = user == ctx.me.user;
    // A user's devices lack what one of theirs wrote that is lost, before the group knows of that.
    let theirs = to.device_list.as_ref().filter(|_| user == to.user);
    let gone = || {
        if is_mine {
            !own::is_sibling(ctx, author) && *author != ctx.me.device
        } else {
            membership::is_gone(ctx, circle, &user, author)
                || theirs.is_some_and(|list| list.active_device(author).is_none())
        }
    };
    match circle {
        _ if own::is_me(ctx, to) || gone() => Offered::All,
        Circle::Direct(_) if *author == ctx.me.device => Offered::GoneGaps,
        Circle::Direct(_) => Offered::None,
        Circle::Group(_) if hands => Offered::Before,
        Circle::Group(_) if is_mine => Offered::OldGaps,
        Circle::Group(_) => Offered::Gaps,
    }
}

impl Offered {
    /// The last number that is looked at, by what a device says that it holds of the author.
    pub(super) fn through(self, item: &FrontierItem) -> u64 {
        match self {
            Self::None => 0,
            Self::All | Self::Before => u64::MAX,
            Self::Gaps => item.last(),
            // What says nothing any more is not sealed again, so it may be the end that is lacked.
            Self::OldGaps | Self::GoneGaps => u64::MAX,
        }
    }

    /// Whether an entry is among them, for a device that holds so much of its author.
    pub(super) fn covers(
        self,
        ctx: &Context<'_>,
        circle: &Circle,
        (to, item): (&Contact, &FrontierItem),
        stored: &StoredEntry,
    ) -> Result<bool, StoreError> {
        Ok(match self {
            Self::None => false,
            Self::All | Self::Gaps => true,
            // Whoever was put out was not sent the entry by which they were.
            Self::Before => {
                matches!(stored.entry.body.content, Content::Operation(_))
                    || !membership::was_told(ctx, circle, &to.user, &stored.entry.header)
            }
            Self::OldGaps => {
                let is_between = stored.entry.header.seq < item.last();
                (is_between && ctx.now.since(stored.received) >= ENVELOPE_TTL_MAX)
                    || is_gone_for(ctx, item, stored)?
            }
            Self::GoneGaps => is_gone_for(ctx, item, stored)?,
        })
    }
}

/// Whether an entry says nothing any more, and is lacked without that. A device that holds nothing of its author may be
/// new, and all from before is not for it; but what nobody ever got is lacked.
fn is_gone_for(ctx: &Context<'_>, item: &FrontierItem, stored: &StoredEntry) -> Result<bool, StoreError> {
    if !stored.entry.body.is_gone() || item.last() > 0 {
        return Ok(stored.entry.body.is_gone());
    }
    let delivery = ctx.tx.delivery(&stored.entry.id)?;
    Ok(delivery.is_some_and(|delivery| delivery.tick < Tick::Delivered))
}

/// Whether this device hands over to a member what was written before they came in.
pub(super) fn hands_history(ctx: &Context<'_>, circle: &Circle, user: &UserId) -> Result<bool, StoreError> {
    let Circle::Group(group) = circle else { return Ok(false) };
    let shows = ctx.groups.view(&group.id).is_some_and(|view| view.settings.history);
    Ok(shows && ctx.tx.member(&group.id, user)?.is_some_and(|member| member.hands_history))
}

/// Somebody who was let in has all that was written before.
pub(super) fn handed_over(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    user: &UserId,
) -> Result<(), StoreError> {
    let Some(mut member) = ctx.tx.member(group, user)? else { return Ok(()) };
    member.hands_history = false;
    ctx.tx.put_member(&member)
}
