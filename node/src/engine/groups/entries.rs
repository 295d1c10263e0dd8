//! Which entries of a group are taken.

use undertone_protocol::entry::{Content, SignedEntry};
use undertone_protocol::ids::{ConversationId, UserId};
use undertone_protocol::membership::{EntryVerdict, Missing, Operation, UnknownHead};

use super::judging::verdict;
use super::{farewells, hearsay, updates};
use crate::engine::admission::Admission;
use crate::engine::circle::Circle;
use crate::engine::context::Context;
use crate::engine::membership::heads_of;
use crate::store::{Group, StoreError};

/// Whether an entry may go into a group's log, or why not. What it does to the membership is done either way: who may do
/// what, the operations say themselves.
pub(in crate::engine) fn admit_entry(
    ctx: &mut Context<'_>,
    group: &Group,
    entry: &SignedEntry,
) -> Result<Result<(), Admission>, StoreError> {
    let header = &entry.header;
    if let Content::Operation(signed) = &entry.body.content {
        let is_own = Operation::from_bytes(&signed.body).is_ok_and(|made| made.device == header.device);
        if !is_own {
            return Ok(Err(Admission::Refused("a change of the group by another device")));
        }
        updates::take_operations(ctx, &group.id, &header.device, vec![signed.clone()])?;
    }
    let circle = Circle::Group(group.clone());
    let Some(user) = circle.user_of(ctx, &header.device) else { return Ok(Err(Admission::Later)) };
    match verdict(ctx, &group.id, &user, header, &entry.id)? {
        Err(UnknownHead(hash)) => {
            let missing = Missing::Operation(hash);
            updates::ask(ctx, &group.id, &header.device, missing);
            Ok(Err(Admission::Lacks(missing)))
        }
        Ok(EntryVerdict::ForkedHead) => {
            Ok(Err(Admission::Refused("its membership stands on a device that forked")))
        }
        Ok(EntryVerdict::NotIn) => Ok(Err(Admission::Refused("its author was not in the group"))),
        Ok(_) if !may_write(ctx, &group.id, &user, entry) => {
            Ok(Err(Admission::Refused("its author may not write in the group")))
        }
        // Nothing is kept of what is said in a group that may go.
        Ok(_) if hearsay::is_told(ctx, &group.id) => Ok(Err(Admission::Later)),
        Ok(EntryVerdict::Counts | EntryVerdict::DeviceRevoked | EntryVerdict::Removed) => {
            // If they are out, its author does not know.
            farewells::tell_gone(ctx, &group.id, &user, &header.device, &heads_of(header));
            farewells::pass_on(ctx, &group.id, (&user, &header.device), &heads_of(header));
            // What an entry names is held for good, as what an operation stands on.
            let keeps = ctx.groups.document(&group.id).is_some_and(|document| {
                let aside = document.aside();
                document.keep(&heads_of(header)) && document.aside() != aside
            });
            if keeps {
                ctx.groups.refresh(&group.id, ctx.tx)?;
            }
            Ok(Ok(()))
        }
    }
}

/// Whether the author may say this, by what they knew.
fn may_write(ctx: &Context<'_>, group: &ConversationId, user: &UserId, entry: &SignedEntry) -> bool {
    if matches!(entry.body.content, Content::Operation(_) | Content::Devices(_)) {
        return true;
    }
    let view = ctx.groups.view_at(group, &heads_of(&entry.header));
    view.is_some_and(|view| view.may_write(user))
}
