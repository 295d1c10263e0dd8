//! Who takes part in a conversation: a contact, or the members of a group.

use std::time::Duration;

use undertone_protocol::ids::{ConversationId, DeviceId, UserId};
use undertone_protocol::limits::{
    DIRECT_ROTATION_AGE, DIRECT_ROTATION_MESSAGES, GROUP_ROTATION_AGE, GROUP_ROTATION_JITTER,
    GROUP_ROTATION_MESSAGES,
};

use super::agenda::Side;
use super::context::Context;
use super::own;
use crate::store::{Contact, ContactState, Group, Member, Standing, StoreError};

/// A conversation with who takes part in it beside this user.
#[derive(Debug, Clone)]
pub(super) enum Circle {
    /// A contact, who may be oneself.
    Direct(Box<Contact>),
    /// The members of a group.
    Group(Group),
}

/// When a sender key is old.
pub(super) struct KeyLife {
    pub(super) messages: u64,
    pub(super) age: Duration,
    /// It may be up to so much shorter.
    pub(super) jitter: Duration,
}

impl Circle {
    /// Of a conversation that is known here.
    pub(super) fn of(ctx: &Context<'_>, conversation: &ConversationId) -> Result<Option<Self>, StoreError> {
        match ctx.agenda.directory.get(conversation) {
            Some(Side::User(user)) => {
                Ok(ctx.tx.contact(user)?.map(|contact| Self::Direct(Box::new(contact))))
            }
            Some(Side::Group) => Ok(ctx.tx.group(conversation)?.map(Self::Group)),
            None => Ok(None),
        }
    }

    /// Which conversation it is.
    pub(super) fn conversation(&self, ctx: &Context<'_>) -> ConversationId {
        match self {
            Self::Direct(contact) => ctx.me.direct(&contact.user),
            Self::Group(group) => group.id,
        }
    }

    /// What the user calls it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Direct(contact) => contact.name.to_string(),
            Self::Group(group) => group.name.clone(),
        }
    }

    /// The contact of a direct conversation.
    pub(super) fn contact(&self) -> Option<&Contact> {
        match self {
            Self::Direct(contact) => Some(contact),
            Self::Group(_) => None,
        }
    }

    /// Whether something may go out.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Direct(contact) => contact.state == ContactState::Accepted,
            Self::Group(group) => group.standing == Standing::In,
        }
    }

    /// Whether what others say shows.
    pub(super) fn shows(&self) -> bool {
        match self {
            Self::Direct(contact) => contact.state == ContactState::Accepted,
            Self::Group(_) => true,
        }
    }

    /// Whether it is the conversation with oneself.
    pub(super) fn is_account(&self, ctx: &Context<'_>) -> bool {
        self.contact().is_some_and(|contact| own::is_me(ctx, contact))
    }

    /// How long a sender key serves.
    pub(super) const fn key_life(&self) -> KeyLife {
        match self {
            Self::Direct(_) => KeyLife {
                messages: DIRECT_ROTATION_MESSAGES,
                age: DIRECT_ROTATION_AGE,
                jitter: Duration::ZERO,
            },
            // A thousand members whose keys were made with the group must not hand out new ones at once.
            Self::Group(_) => KeyLife {
                messages: GROUP_ROTATION_MESSAGES,
                age: GROUP_ROTATION_AGE,
                jitter: GROUP_ROTATION_JITTER,
            },
        }
    }

    /// After how long what is written vanishes; `None`: it stays.
    pub(super) fn timer(&self, ctx: &Context<'_>) -> Option<Duration> {
        let seconds = match self {
            // No timer of a chat with a contact can be set yet.
            Self::Direct(_) => 0,
            Self::Group(group) => ctx.groups.view(&group.id).map_or(0, |view| view.settings.timer_s),
        };
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }

    /// The others who take part now; of some nothing may be known yet.
    pub(super) fn users(&self, ctx: &Context<'_>) -> Vec<UserId> {
        match self {
            Self::Direct(contact) => vec![contact.user],
            Self::Group(group) => {
                let members = ctx.groups.view(&group.id).into_iter().flat_map(|view| view.members.keys());
                members.filter(|user| **user != ctx.me.user).copied().collect()
            }
        }
    }

    /// The others who take part now, as far as something is known of them.
    pub(super) fn people(&self, ctx: &Context<'_>) -> Result<Vec<Contact>, StoreError> {
        if let Self::Direct(contact) = self {
            return Ok(vec![contact.as_ref().clone()]);
        }
        let known = self.users(ctx).into_iter().map(|user| ctx.tx.contact(&user));
        Ok(known.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// One of the others, if they take part now.
    pub(super) fn person(&self, ctx: &Context<'_>, user: &UserId) -> Result<Option<Contact>, StoreError> {
        match self {
            Self::Direct(contact) => {
                Ok((contact.user == *user || *user == ctx.me.user).then(|| contact.as_ref().clone()))
            }
            Self::Group(group) => {
                let is_in = ctx.groups.view(&group.id).is_some_and(|view| view.is_in(user));
                if is_in { ctx.tx.contact(user) } else { Ok(None) }
            }
        }
    }

    /// Whether a user may speak of it: they take part, or did.
    pub(super) fn knows(&self, ctx: &Context<'_>, user: &UserId) -> bool {
        match self {
            Self::Direct(contact) => contact.user == *user,
            Self::Group(group) => ctx
                .groups
                .view(&group.id)
                .is_some_and(|view| view.is_in(user) || view.past_members.contains_key(user)),
        }
    }

    /// D, of one person: the active devices of their newest list, less those that are revoked in the group.
    pub(super) fn authorised(&self, ctx: &Context<'_>, person: &Contact) -> Vec<DeviceId> {
        let mut devices = own::authorised(ctx, person);
        if let Self::Group(group) = self
            && let Some(view) = ctx.groups.view(&group.id)
        {
            devices.retain(|device| view.is_active(&person.user, device));
        }
        devices
    }

    /// How many others are in the group; nobody, in a direct conversation.
    pub(super) fn others(&self, ctx: &Context<'_>) -> usize {
        let Self::Group(group) = self else { return 0 };
        let members = ctx.groups.view(&group.id).map_or(0, |view| view.members.len());
        members.saturating_sub(1)
    }

    /// Everybody's devices but this one: D of each of the others, and one's own.
    pub(super) fn devices(&self, ctx: &Context<'_>) -> Result<Vec<DeviceId>, StoreError> {
        let mut devices = own::siblings(ctx);
        for person in self.people(ctx)? {
            devices.extend(self.authorised(ctx, &person));
        }
        Ok(devices)
    }

    /// What is kept of the others who are in the group; nobody, of a direct conversation.
    pub(super) fn members(&self, ctx: &Context<'_>) -> Result<Vec<Member>, StoreError> {
        let Self::Group(group) = self else { return Ok(Vec::new()) };
        let mut members = ctx.tx.members(&group.id)?;
        members.retain(Member::is_in);
        Ok(members)
    }

    /// Whose device it is, as far as that is known.
    pub(super) fn user_of(&self, ctx: &Context<'_>, device: &DeviceId) -> Option<UserId> {
        if own::is_own(ctx, device) {
            return Some(ctx.me.user);
        }
        match self {
            Self::Direct(contact) => Some(contact.user),
            Self::Group(_) => ctx.agenda.devices.get(device).copied(),
        }
    }

    /// What the author of an entry is called.
    pub(super) fn author(&self, ctx: &Context<'_>, device: &DeviceId) -> Result<String, StoreError> {
        match self.user_of(ctx, device) {
            Some(user) => name_of(ctx, &user),
            None => Ok(device.short()),
        }
    }
}

/// What a user is called.
pub(super) fn name_of(ctx: &Context<'_>, user: &UserId) -> Result<String, StoreError> {
    if *user == ctx.me.user {
        return Ok(ctx.me.account.name.to_string());
    }
    Ok(ctx.tx.contact(user)?.map_or_else(|| user.short(), |contact| contact.name.to_string()))
}
