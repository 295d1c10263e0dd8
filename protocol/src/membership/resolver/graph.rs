use std::collections::BTreeMap;
use std::sync::Arc;

use super::bits::{Bits, Past};
use super::table::Table;
use crate::ids::{DeviceId, OperationHash, UserId};
use crate::membership::action::Action;
use crate::membership::role::{Rank, Role};
use crate::membership::settings::{Setting, SettingsChange};

/// What is known of the operations whatever else there is: each one's past, and what was judged in it.
/// Operations, users and devices are called by numbers, in the order in which they came; no order is taken from
/// them but that parents come first.
#[derive(Debug, Clone, Default)]
pub(super) struct Graph {
    nodes: Table<Node>,
    by_hash: BTreeMap<OperationHash, usize>,
    users: BTreeMap<UserId, usize>,
    user_ids: Table<Option<UserId>>,
    devices: BTreeMap<(UserId, DeviceId), usize>,
    people: Table<Person>,
    /// Revocations of each device.
    device_revokes: Table<Vec<usize>>,
    setters: BTreeMap<Setting, Vec<usize>>,
    links: Vec<usize>,
    link_revokes: Vec<usize>,
}

/// One operation.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    pub(super) hash: Option<OperationHash>,
    pub(super) user: usize,
    pub(super) device: usize,
    pub(super) past: Past,
    pub(super) action: Option<Action>,
    pub(super) deed: Deed,
    pub(super) judgement: Judgement,
    /// Operations whose author has the rank by this one.
    pub(super) supported: Vec<usize>,
}

/// What an operation does, by numbers.
#[derive(Debug, Clone, Default)]
pub(super) enum Deed {
    #[default]
    Nothing,
    Create {
        cap: usize,
    },
    Add {
        target: usize,
        role: Role,
    },
    Remove {
        target: usize,
        cut: Option<CutNumbers>,
    },
    SetRole {
        target: usize,
        role: Role,
    },
    Leave {
        successor: Option<usize>,
    },
    DeviceRevoke {
        user: usize,
        device: usize,
        cut: Head,
    },
    Settings,
    InviteLink,
    InviteRevoke {
        link: Option<usize>,
    },
}

/// The last operation of each device that counts.
pub(super) type CutNumbers = Vec<(usize, Head)>;

/// The last operation of a device that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    /// None does.
    Nothing,
    /// This one.
    At(usize),
    /// One that is not known.
    Unknown,
}

/// What is found of an operation in the view of its past, once and for all.
#[derive(Debug, Clone, Default)]
pub(super) struct Judgement {
    /// The rule that forbids it.
    pub(super) forbidden: Option<Forbidden>,
    /// Its author's; `None`: below all.
    pub(super) rank: Option<Rank>,
    /// The grants that gave it to the author.
    pub(super) supports: Vec<usize>,
    /// The last rank with which its author could do it.
    pub(super) need: Option<Rank>,
    /// Whether it is a revocation.
    pub(super) revokes: bool,
    /// Whom it grants which rank.
    pub(super) grant: Option<(usize, Rank)>,
    /// Of a grant: the users that had been removed.
    pub(super) removed: Option<Arc<Bits>>,
}

/// Which rule forbids an operation, and what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Forbidden {
    pub(super) rule: u8,
    pub(super) why: &'static str,
}

/// The operations that concern one user, ascending.
#[derive(Debug, Clone, Default)]
pub(super) struct Person {
    pub(super) authored: Vec<usize>,
    pub(super) grants: Vec<usize>,
    /// Remove and Leave.
    pub(super) removals: Vec<usize>,
    /// Remove and SetRole that lowers.
    pub(super) revocations: Vec<usize>,
}

impl Graph {
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn node(&self, at: usize) -> &Node {
        self.nodes.get(at)
    }

    pub(super) fn find(&self, hash: &OperationHash) -> Option<usize> {
        self.by_hash.get(hash).copied()
    }

    pub(super) fn person(&self, user: usize) -> &Person {
        self.people.get(user)
    }

    pub(super) fn user_id(&self, user: usize) -> Option<UserId> {
        *self.user_ids.get(user)
    }

    pub(super) fn user(&self, user: &UserId) -> Option<usize> {
        self.users.get(user).copied()
    }

    pub(super) fn device(&self, user: &UserId, device: &DeviceId) -> Option<usize> {
        self.devices.get(&(*user, *device)).copied()
    }

    pub(super) fn devices(&self) -> impl Iterator<Item = (&(UserId, DeviceId), usize)> {
        self.devices.iter().map(|(device, number)| (device, *number))
    }

    pub(super) fn device_revokes(&self, device: usize) -> &[usize] {
        self.device_revokes.get(device)
    }

    /// How many members the group may have, as its Create says.
    pub(super) fn cap(&self) -> Option<usize> {
        let cap = |node: &Node| if let Deed::Create { cap } = node.deed { Some(cap) } else { None };
        self.nodes.iter().next().and_then(|(_, first)| cap(first))
    }

    /// Operations that make invitation links.
    pub(super) fn links(&self) -> &[usize] {
        &self.links
    }

    /// Operations that take them back.
    pub(super) fn link_revokes(&self) -> &[usize] {
        &self.link_revokes
    }

    pub(super) fn setters(&self, setting: Setting) -> &[usize] {
        self.setters.get(&setting).map_or(&[], Vec::as_slice)
    }

    /// The number of a user, who need not be known.
    pub(super) fn intern_user(&mut self, user: UserId) -> usize {
        if let Some(number) = self.users.get(&user) {
            return *number;
        }
        let number = self.user_ids.push(Some(user));
        self.users.insert(user, number);
        number
    }

    /// The number of a user's device, which need not be known.
    pub(super) fn intern_device(&mut self, user: UserId, device: DeviceId) -> usize {
        let next = self.devices.len();
        *self.devices.entry((user, device)).or_insert(next)
    }

    /// What stands before an operation with these parents.
    pub(super) fn past_of(&self, parents: &[usize]) -> Past {
        let mut past = Past::default();
        for parent in parents {
            past.merge(&self.node(*parent).past);
        }
        for parent in parents {
            past.insert(*parent);
        }
        past
    }

    /// An action by numbers.
    pub(super) fn deed(&mut self, action: &Action) -> Deed {
        match action {
            Action::Create(create) => Deed::Create { cap: create.cap },
            Action::Add { user, role } => Deed::Add { target: self.intern_user(*user), role: *role },
            Action::Remove { user, cut } => Deed::Remove {
                target: self.intern_user(*user),
                cut: cut.as_ref().map(|cut| {
                    let heads = cut.devices.iter();
                    heads
                        .map(|(device, heads)| {
                            (self.intern_device(*user, *device), self.head(heads.operation.as_ref()))
                        })
                        .collect()
                }),
            },
            Action::SetRole { user, role } => Deed::SetRole { target: self.intern_user(*user), role: *role },
            Action::Leave { successor } => {
                Deed::Leave { successor: successor.map(|user| self.intern_user(user)) }
            }
            Action::DeviceRevoke(revoke) => Deed::DeviceRevoke {
                user: self.intern_user(revoke.fields.user),
                device: self.intern_device(revoke.fields.user, revoke.fields.device),
                cut: self.head(revoke.operation_head.as_ref()),
            },
            Action::Settings(_) => Deed::Settings,
            Action::InviteLink { .. } => Deed::InviteLink,
            Action::InviteRevoke { link } => Deed::InviteRevoke { link: self.find(link) },
        }
    }

    fn head(&self, operation: Option<&OperationHash>) -> Head {
        match operation.map(|hash| self.find(hash)) {
            None => Head::Nothing,
            Some(Some(at)) => Head::At(at),
            Some(None) => Head::Unknown,
        }
    }

    /// Takes a judged operation in, and gives its number.
    pub(super) fn push(&mut self, node: Node) -> usize {
        let at = self.nodes.len();
        if let Some(hash) = node.hash {
            self.by_hash.insert(hash, at);
        }
        for support in &node.judgement.supports {
            self.nodes.grown(*support).supported.push(at);
        }
        self.people.grown(node.user).authored.push(at);
        if let Some((user, _)) = node.judgement.grant {
            self.people.grown(user).grants.push(at);
        }
        match node.deed {
            Deed::Remove { target, .. } => {
                self.people.grown(target).removals.push(at);
                self.people.grown(target).revocations.push(at);
            }
            Deed::SetRole { target, .. } if node.judgement.revokes => {
                self.people.grown(target).revocations.push(at);
            }
            Deed::Leave { .. } => self.people.grown(node.user).removals.push(at),
            Deed::DeviceRevoke { device, .. } => self.device_revokes.grown(device).push(at),
            Deed::InviteLink => self.links.push(at),
            Deed::InviteRevoke { .. } => self.link_revokes.push(at),
            _ => {}
        }
        for setting in Setting::ALL {
            if node.settings().is_some_and(|change| change.sets(setting)) {
                self.setters.entry(setting).or_default().push(at);
            }
        }
        self.nodes.push(node)
    }

    /// Rule 9, but for whether `r` counts: whether it kills `o` where both are.
    pub(super) fn kills(&self, r: usize, o: usize) -> bool {
        let (revocation, operation) = (self.node(r), self.node(o));
        if r == o || operation.past.contains(r) || operation.always_counts() {
            return false;
        }
        let (by, of) = (&revocation.judgement, &operation.judgement);
        if by.rank > of.rank || by.rank == of.rank && of.revokes {
            return false;
        }
        match &revocation.deed {
            Deed::Remove { target, cut: None } => *target == operation.user && !revocation.past.contains(o),
            Deed::Remove { target, cut: Some(cut) } => {
                let head = cut.iter().find(|(device, _)| *device == operation.device);
                *target == operation.user && !head.is_some_and(|(_, head)| self.within(*head, o))
            }
            Deed::DeviceRevoke { device, cut, .. } => *device == operation.device && !self.within(*cut, o),
            Deed::SetRole { target, .. } => {
                let given = by.grant.map(|(_, rank)| rank);
                *target == operation.user && by.revokes && !revocation.past.contains(o) && given > of.need
            }
            _ => false,
        }
    }

    fn within(&self, head: Head, at: usize) -> bool {
        match head {
            Head::At(head) => head == at || self.node(head).past.contains(at),
            Head::Nothing | Head::Unknown => false,
        }
    }

    /// What a revocation may kill, and more: candidates for [`Self::kills`].
    pub(super) fn targets(&self, r: usize) -> &[usize] {
        let node = self.node(r);
        match &node.deed {
            Deed::Remove { target, cut: None } => since(&self.person(*target).authored, node.past.floor()),
            Deed::Remove { target, cut: Some(_) } => &self.person(*target).authored,
            Deed::SetRole { target, .. } if node.judgement.revokes => {
                since(&self.person(*target).authored, node.past.floor())
            }
            Deed::DeviceRevoke { user, .. } => &self.person(*user).authored,
            _ => &[],
        }
    }
}

impl Node {
    /// Create and DeviceRevoke.
    pub(super) const fn always_counts(&self) -> bool {
        matches!(self.deed, Deed::Create { .. } | Deed::DeviceRevoke { .. })
    }

    /// The settings that it sets, if it may.
    pub(super) fn settings(&self) -> Option<&SettingsChange> {
        self.action.as_ref().and_then(Action::settings)
    }

    /// Whom it removes from the group.
    pub(super) fn removes(&self) -> Option<usize> {
        match self.deed {
            Deed::Remove { target, .. } => Some(target),
            Deed::Leave { .. } => Some(self.user),
            _ => None,
        }
    }
}

/// The part of an ascending list that begins at `floor`.
pub(super) fn since(list: &[usize], floor: usize) -> &[usize] {
    list.get(list.partition_point(|at| *at < floor)..).unwrap_or_default()
}
