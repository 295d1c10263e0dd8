use std::collections::BTreeMap;

use super::role::Role;
use super::settings::SettingsChange;
use crate::codec::{Malformed, Signed, required};
use crate::ids::{DeviceId, EntryId, Handle, OperationHash, UserId};
use crate::keys::{DeviceRevoke, KeysError};
use crate::limits::{DEVICES_PER_USER_MAX, GROUP_MEMBERS_MAX};
use crate::time::Timestamp;
use crate::wire::{self, operation::Action as WireAction};

const SALT_BYTES: usize = 16;

/// What an operation does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Makes the group; its author is the owner.
    Create(Create),
    /// Lets a user in who is not.
    Add {
        /// Whom.
        user: UserId,
        /// As what.
        role: Role,
    },
    /// Puts a user out.
    Remove {
        /// Whom.
        user: UserId,
        /// What of theirs counts; `None`: what the remover knew of their operations, and no entry.
        cut: Option<Cut>,
    },
    /// Gives a member a role.
    SetRole {
        /// Whom.
        user: UserId,
        /// Which.
        role: Role,
    },
    /// The author goes.
    Leave {
        /// Who becomes owner by it; the last owner must name one while others are in.
        successor: Option<UserId>,
    },
    /// The identity key's word that a device is out of use.
    DeviceRevoke(Box<DeviceRevoke>),
    /// Changes settings.
    Settings(SettingsChange),
    /// Makes a link that lets its holder ask to be added.
    InviteLink {
        /// Names the link.
        handle: Handle,
        /// It ends then; `None`: never.
        not_after: Option<Timestamp>,
    },
    /// Takes a link back.
    InviteRevoke {
        /// The operation that made it.
        link: OperationHash,
    },
}

/// How a group begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// Random: keeps two groups of one device apart.
    pub salt: [u8; SALT_BYTES],
    /// Members at most, 1 to [`GROUP_MEMBERS_MAX`].
    pub cap: usize,
    /// The settings to begin with.
    pub settings: SettingsChange,
}

/// How much of a user's counts. Of a device that does not stand in it nothing does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cut {
    /// At most [`DEVICES_PER_USER_MAX`].
    pub devices: BTreeMap<DeviceId, CutHeads>,
}

/// How much of one device's counts: these and what they stand on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CutHeads {
    /// The last operation; `None`: none counts.
    pub operation: Option<OperationHash>,
    /// The last entry; `None`: none counts.
    pub entry: Option<EntryId>,
}

/// Why an action is refused: it breaks the format, or a signature within it does not verify. Its maker is at
/// fault.
pub(super) type ActionError = KeysError;

impl Action {
    /// What it is called, in text and JSON.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Add { .. } => "add",
            Self::Remove { .. } => "remove",
            Self::SetRole { .. } => "set_role",
            Self::Leave { .. } => "leave",
            Self::DeviceRevoke(_) => "device_revoke",
            Self::Settings(_) => "settings",
            Self::InviteLink { .. } => "invite_link",
            Self::InviteRevoke { .. } => "invite_revoke",
        }
    }

    /// The settings that it sets, if it may.
    pub(super) const fn settings(&self) -> Option<&SettingsChange> {
        match self {
            Self::Create(create) => Some(&create.settings),
            Self::Settings(change) => Some(change),
            _ => None,
        }
    }

    /// Checks the form.
    pub(super) fn from_wire(action: Option<WireAction>) -> Result<Self, ActionError> {
        match required("operation", "an action that this version knows", action)? {
            WireAction::Create(create) => Ok(Self::Create(Create::from_wire(create)?)),
            WireAction::Add(add) => Ok(Self::Add {
                user: UserId::from_slice(&add.user)?,
                role: Role::from_wire("operation", add.role)?,
            }),
            WireAction::Remove(remove) => Ok(Self::Remove {
                user: UserId::from_slice(&remove.user)?,
                cut: remove.cut.map(Cut::from_wire).transpose()?,
            }),
            WireAction::SetRole(set) => Ok(Self::SetRole {
                user: UserId::from_slice(&set.user)?,
                role: Role::from_wire("operation", set.role)?,
            }),
            WireAction::Leave(leave) => {
                let named = !leave.successor.is_empty();
                let successor = named.then(|| UserId::from_slice(&leave.successor)).transpose()?;
                Ok(Self::Leave { successor })
            }
            WireAction::DeviceRevoke(signed) => {
                let revoke = DeviceRevoke::verify(Signed::from_wire(signed)?)?;
                Ok(Self::DeviceRevoke(Box::new(revoke)))
            }
            WireAction::Settings(settings) => Ok(Self::Settings(SettingsChange::from_wire(settings)?)),
            WireAction::InviteLink(link) => Ok(Self::InviteLink {
                handle: Handle::from_slice(&link.handle)?,
                not_after: (link.not_after_ms != 0).then(|| Timestamp::from_ms(link.not_after_ms)),
            }),
            WireAction::InviteRevoke(revoke) => {
                Ok(Self::InviteRevoke { link: OperationHash::from_slice(&revoke.link)? })
            }
        }
    }

    /// For the wire.
    pub(super) fn to_wire(&self) -> WireAction {
        match self {
            Self::Create(create) => WireAction::Create(create.to_wire()),
            Self::Add { user, role } => {
                WireAction::Add(wire::AddMember { user: user.to_wire(), role: role.to_wire() })
            }
            Self::Remove { user, cut } => {
                let cut = cut.as_ref().map(Cut::to_wire);
                WireAction::Remove(wire::RemoveMember { user: user.to_wire(), cut })
            }
            Self::SetRole { user, role } => {
                WireAction::SetRole(wire::SetRole { user: user.to_wire(), role: role.to_wire() })
            }
            Self::Leave { successor } => {
                let successor = successor.map(|user| user.to_wire()).unwrap_or_default();
                WireAction::Leave(wire::LeaveGroup { successor })
            }
            Self::DeviceRevoke(revoke) => WireAction::DeviceRevoke(revoke.signed.to_wire()),
            Self::Settings(change) => WireAction::Settings(change.to_wire()),
            Self::InviteLink { handle, not_after } => WireAction::InviteLink(wire::InviteLink {
                handle: handle.to_wire(),
                not_after_ms: not_after.map_or(0, Timestamp::as_ms),
            }),
            Self::InviteRevoke { link } => {
                WireAction::InviteRevoke(wire::InviteRevoke { link: link.to_wire() })
            }
        }
    }
}

impl Create {
    fn from_wire(create: wire::CreateGroup) -> Result<Self, Malformed> {
        let salt = create.salt.as_ref().try_into();
        let cap = usize::try_from(create.cap).unwrap_or(usize::MAX);
        if cap > GROUP_MEMBERS_MAX {
            return Err(Malformed::new("operation", "a cap of more than 1,024 members"));
        }
        Ok(Self {
            salt: salt.map_err(|_| Malformed::new("operation", "the salt must be 16 bytes"))?,
            cap: if cap == 0 { GROUP_MEMBERS_MAX } else { cap },
            settings: create.settings.map(SettingsChange::from_wire).transpose()?.unwrap_or_default(),
        })
    }

    fn to_wire(&self) -> wire::CreateGroup {
        let cap = if self.cap == GROUP_MEMBERS_MAX { 0 } else { self.cap };
        let settings = (self.settings != SettingsChange::default()).then(|| self.settings.to_wire());
        wire::CreateGroup {
            salt: self.salt.to_vec().into(),
            cap: u32::try_from(cap).unwrap_or(u32::MAX),
            settings,
        }
    }
}

impl Cut {
    fn from_wire(cut: wire::Cut) -> Result<Self, Malformed> {
        let bad = |why: &str| Err(Malformed::new("cut", why));
        if cut.devices.len() > DEVICES_PER_USER_MAX {
            return bad("more than 32 devices");
        }
        let mut devices = BTreeMap::new();
        for item in cut.devices {
            let device = DeviceId::from_slice(&item.device)?;
            let heads = CutHeads::from_wire(&item)?;
            if heads == CutHeads::default() {
                return bad("a device of which nothing counts must not stand in it");
            }
            if devices.last_key_value().is_some_and(|(last, _)| device <= *last) {
                return bad("the devices must ascend");
            }
            devices.insert(device, heads);
        }
        Ok(Self { devices })
    }

    fn to_wire(&self) -> wire::Cut {
        let item = |(device, heads): (&DeviceId, &CutHeads)| wire::CutDevice {
            device: device.to_wire(),
            operation_head: heads.operation.map(|head| head.to_wire()).unwrap_or_default(),
            entry_head: heads.entry.map(|head| head.to_wire()).unwrap_or_default(),
        };
        wire::Cut { devices: self.devices.iter().map(item).collect() }
    }
}

impl CutHeads {
    fn from_wire(item: &wire::CutDevice) -> Result<Self, Malformed> {
        let (operation, entry) = (&item.operation_head, &item.entry_head);
        Ok(Self {
            operation: (!operation.is_empty()).then(|| OperationHash::from_slice(operation)).transpose()?,
            entry: (!entry.is_empty()).then(|| EntryId::from_slice(entry)).transpose()?,
        })
    }
}
