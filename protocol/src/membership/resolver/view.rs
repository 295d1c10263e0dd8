use std::collections::{BTreeMap, BTreeSet};

use super::graph::{Deed, Graph};
use super::world::World;
use crate::ids::{DeviceId, Handle, OperationHash, UserId};
use crate::limits::GROUP_MEMBERS_MAX;
use crate::membership::action::Action;
use crate::membership::role::{Rank, Role};
use crate::membership::settings::{Setting, Settings};
use crate::time::Timestamp;

/// A group as a set of operations makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Who is in.
    pub members: BTreeMap<UserId, Member>,
    /// Who was in and is not, with their last rank.
    pub past_members: BTreeMap<UserId, Rank>,
    /// Where there is no owner: the member with an owner's power.
    pub acting_owner: Option<UserId>,
    /// The settings that hold.
    pub settings: Settings,
    /// Members at most.
    pub cap: usize,
    /// Invitation links that were not taken back. Whether one has ended is the reader's question.
    pub links: BTreeMap<OperationHash, Link>,
    /// Devices that their users' identities revoked here.
    pub revoked_devices: BTreeSet<(UserId, DeviceId)>,
}

/// A member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Role and generation.
    pub rank: Rank,
    /// The grant that gives it; of several the least hash.
    pub grant: OperationHash,
}

/// An invitation link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Names it.
    pub handle: Handle,
    /// Who made it.
    pub maker: UserId,
    /// It ends then; `None`: never.
    pub not_after: Option<Timestamp>,
}

impl View {
    /// Whether a user is in.
    pub fn is_in(&self, user: &UserId) -> bool {
        self.members.contains_key(user)
    }

    /// A member's role.
    pub fn role(&self, user: &UserId) -> Option<Role> {
        self.members.get(user).map(|member| member.rank.role)
    }

    /// Whether a user's device acts in the group: the user is in, the device not revoked here.
    pub fn is_active(&self, user: &UserId, device: &DeviceId) -> bool {
        self.is_in(user) && !self.revoked_devices.contains(&(*user, *device))
    }

    /// Whether a user may write: as their role and the settings say, or as acting owner.
    pub fn may_write(&self, user: &UserId) -> bool {
        let role = if self.acting_owner == Some(*user) { Some(Role::Owner) } else { self.role(user) };
        role.is_some_and(|role| role <= self.settings.may_write)
    }

    /// What a world holds.
    pub(super) fn of(graph: &Graph, world: &mut World) -> Self {
        let acting_owner = world.acting(graph).and_then(|user| graph.user_id(user));
        let mut settings = Settings::default();
        for setting in Setting::ALL {
            let setter = world.setter(graph, setting);
            if let Some(change) = setter.and_then(|setter| graph.node(setter).settings()) {
                settings.take(setting, change);
            }
        }
        let mut members = BTreeMap::new();
        let mut past_members = BTreeMap::new();
        for (user, standing) in world.standings() {
            let Some(id) = graph.user_id(user) else { continue };
            let grant = standing.grants.iter().filter_map(|grant| graph.node(*grant).hash).min();
            if let (Some(rank), Some(grant)) = (standing.rank, grant) {
                members.insert(id, Member { rank, grant });
            }
            past_members.extend(standing.last.map(|last| (id, last)));
        }
        let is_revoked = |device| graph.device_revokes(device).iter().any(|revoke| world.counts(*revoke));
        let revoked = graph.devices().filter(|(_, number)| is_revoked(*number));
        Self {
            members,
            past_members,
            acting_owner,
            settings,
            cap: graph.cap().unwrap_or(GROUP_MEMBERS_MAX),
            links: links(graph, world),
            revoked_devices: revoked.map(|(device, _)| *device).collect(),
        }
    }
}

fn links(graph: &Graph, world: &World) -> BTreeMap<OperationHash, Link> {
    let revokes = graph.link_revokes().iter().filter(|revoke| world.counts(**revoke));
    let link_of = |revoke: &usize| match graph.node(*revoke).deed {
        Deed::InviteRevoke { link } => link,
        _ => None,
    };
    let revoked: BTreeSet<usize> = revokes.filter_map(link_of).collect();
    let open = graph.links().iter().filter(|link| world.counts(**link) && !revoked.contains(link));
    let read = |link: &usize| {
        let node = graph.node(*link);
        let Some(Action::InviteLink { handle, not_after }) = node.action else { return None };
        Some((node.hash?, Link { handle, maker: graph.user_id(node.user)?, not_after }))
    };
    open.filter_map(read).collect()
}
