use bytes::Bytes;

use super::role::Role;
use crate::codec::Malformed;
use crate::keys::Name;
use crate::limits::{GROUP_DESCRIPTION_BYTES_MAX, GROUP_PICTURE_BYTES_MAX};
use crate::wire;

/// A change of a group's settings: what is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsChange {
    /// What the group is called.
    pub name: Option<Name>,
    /// At most [`GROUP_DESCRIPTION_BYTES_MAX`] bytes.
    pub description: Option<String>,
    /// How to get the picture, at most [`GROUP_PICTURE_BYTES_MAX`] bytes; empty: none.
    pub picture: Option<Bytes>,
    /// Entries disappear after so many seconds; 0: they stay.
    pub timer_s: Option<u64>,
    /// The least role that may add members and make invitation links.
    pub may_add: Option<Role>,
    /// The least role that may write.
    pub may_write: Option<Role>,
    /// Whether new members get what was written before.
    pub history: Option<bool>,
}

/// A group's settings as they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What the group is called; `None`: nobody named it.
    pub name: Option<Name>,
    /// What it is about; may be empty.
    pub description: String,
    /// How to get the picture; empty: none.
    pub picture: Bytes,
    /// Entries disappear after so many seconds; 0: they stay.
    pub timer_s: u64,
    /// The least role that may add members and make invitation links; admins unless set.
    pub may_add: Role,
    /// The least role that may write; every member unless set.
    pub may_write: Role,
    /// Whether new members get what was written before; not unless set.
    pub history: bool,
}

/// One of the settings: each has a value of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Setting {
    Name,
    Description,
    Picture,
    Timer,
    MayAdd,
    MayWrite,
    History,
}

impl Setting {
    pub(super) const ALL: [Self; 7] = [
        Self::Name,
        Self::Description,
        Self::Picture,
        Self::Timer,
        Self::MayAdd,
        Self::MayWrite,
        Self::History,
    ];
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: None,
            description: String::new(),
            picture: Bytes::new(),
            timer_s: 0,
            may_add: Role::Admin,
            may_write: Role::Member,
            history: false,
        }
    }
}

impl Settings {
    /// Takes one setting over from a change that sets it.
    pub(super) fn take(&mut self, setting: Setting, change: &SettingsChange) {
        match setting {
            Setting::Name => self.name.clone_from(&change.name),
            Setting::Description => self.description = change.description.clone().unwrap_or_default(),
            Setting::Picture => self.picture = change.picture.clone().unwrap_or_default(),
            Setting::Timer => self.timer_s = change.timer_s.unwrap_or_default(),
            Setting::MayAdd => self.may_add = change.may_add.unwrap_or(self.may_add),
            Setting::MayWrite => self.may_write = change.may_write.unwrap_or(self.may_write),
            Setting::History => self.history = change.history.unwrap_or_default(),
        }
    }
}

impl SettingsChange {
    /// Whether it says something of this setting.
    pub(super) fn sets(&self, setting: Setting) -> bool {
        match setting {
            Setting::Name => self.name.is_some(),
            Setting::Description => self.description.is_some(),
            Setting::Picture => self.picture.is_some(),
            Setting::Timer => self.timer_s.is_some(),
            Setting::MayAdd => self.may_add.is_some(),
            Setting::MayWrite => self.may_write.is_some(),
            Setting::History => self.history.is_some(),
        }
    }

    /// Checks the form.
    pub(super) fn from_wire(settings: wire::GroupSettings) -> Result<Self, Malformed> {
        let bad = |why: &str| Err(Malformed::new("group settings", why));
        if settings.description.as_ref().is_some_and(|text| text.len() > GROUP_DESCRIPTION_BYTES_MAX) {
            return bad("the description has more than 2,048 bytes");
        }
        if settings.picture.as_ref().is_some_and(|picture| picture.len() > GROUP_PICTURE_BYTES_MAX) {
            return bad("the picture has more than 512 bytes");
        }
        let role = |role: Option<i32>| role.map(|role| Role::from_wire("group settings", role)).transpose();
        Ok(Self {
            name: settings.name.as_deref().map(Name::new).transpose()?,
            description: settings.description,
            picture: settings.picture,
            timer_s: settings.timer_s,
            may_add: role(settings.may_add)?,
            may_write: role(settings.may_write)?,
            history: settings.history,
        })
    }

    /// For the wire.
    pub(super) fn to_wire(&self) -> wire::GroupSettings {
        wire::GroupSettings {
            name: self.name.as_ref().map(|name| name.as_str().to_owned()),
            description: self.description.clone(),
            picture: self.picture.clone(),
            timer_s: self.timer_s,
            may_add: self.may_add.map(Role::to_wire),
            may_write: self.may_write.map(Role::to_wire),
            history: self.history,
        }
    }
}
