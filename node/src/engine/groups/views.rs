//! What users see of groups.

use undertone_protocol::ids::ConversationId;

use crate::command::{GroupLinkView, GroupMemberView, GroupSettingsView, GroupView};
use crate::engine::circle::name_of;
use crate::engine::context::Context;
use crate::store::{Standing, StoreError};

/// A group as it stands; `None`: it is not known here.
pub(in crate::engine) fn group(
    ctx: &Context<'_>,
    id: &ConversationId,
) -> Result<Option<GroupView>, StoreError> {
    let (Some(group), Some(view)) = (ctx.tx.group(id)?, ctx.groups.view(id).cloned()) else {
        return Ok(None);
    };
    let mut members = Vec::with_capacity(view.members.len());
    for (user, member) in &view.members {
        members.push(GroupMemberView {
            name: name_of(ctx, user)?,
            user: user.to_hex(),
            role: member.rank.role.as_str().to_owned(),
            acts_as_owner: view.acting_owner == Some(*user),
            me: *user == ctx.me.user,
        });
    }
    let mut links = Vec::new();
    for (hash, link) in &view.links {
        links.push(GroupLinkView {
            link: hash.to_hex(),
            maker: name_of(ctx, &link.maker)?,
            expires_ms: link.not_after.map(|at| at.as_ms()),
        });
    }
    let settings = &view.settings;
    Ok(Some(GroupView {
        name: group.name,
        group: id.to_hex(),
        state: match group.standing {
            Standing::In => "in",
            Standing::Out => "out",
        }
        .to_owned(),
        members,
        settings: GroupSettingsView {
            description: settings.description.clone(),
            may_add: settings.may_add.as_str().to_owned(),
            may_write: settings.may_write.as_str().to_owned(),
            history: settings.history,
            timer_s: settings.timer_s,
        },
        links,
    }))
}
