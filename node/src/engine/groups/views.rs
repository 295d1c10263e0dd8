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
        let (name, role) = (name_of(ctx, user)?, member.rank.role);
        let place = (role, name.to_lowercase(), *user);
        let shown = GroupMemberView {
            name,
            user: user.to_hex(),
            role: role.as_str().to_owned(),
            acts_as_owner: view.acting_owner == Some(*user),
            me: *user == ctx.me.user,
        };
        members.push((place, shown));
    }
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    let members = members.into_iter().map(|(_, member)| member).collect();
    let mut links = Vec::new();
    for (hash, link) in view.links.iter().filter(|(_, link)| link.not_after.is_none_or(|end| end >= ctx.now))
    {
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
