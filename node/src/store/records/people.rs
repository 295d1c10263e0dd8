use std::collections::BTreeSet;

use undertone_protocol::entry::BlockedFrom;
use undertone_protocol::ids::{CurveKey, DeviceId, Handle, RelayId, UserId};
use undertone_protocol::keys::{Bundle, BundleAccess, DeliveryGrant, DeviceList, Name};
use undertone_protocol::limits::DEVICES_PER_USER_MAX;
use undertone_protocol::receipts::Denial;
use undertone_protocol::time::Timestamp;

/// Somebody whom the user knows, or who asks to be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Who they are.
    pub user: UserId,
    /// What the user calls them: unique among contacts.
    pub name: Name,
    /// How far the acquaintance has come.
    pub state: ContactState,
    /// Whether the user compared safety numbers.
    pub verified: bool,
    /// Their identity was seen in two hands, or they re-installed: shown until verified again.
    pub identity_warning: bool,
    /// A device list said that they started anew: shown until verified again.
    pub reinstalled: bool,
    /// The handle of the token step that was issued to them.
    pub token: Handle,
    /// Handles of earlier token steps, to be revoked when the introduction with the present one is at a relay.
    pub former_tokens: Vec<Handle>,
    /// The newest list known; `None` before their first introduction or bundle.
    pub device_list: Option<DeviceList>,
    /// Where their bundles lie.
    pub bundles: Vec<BundleAccess>,
    /// Their mailboxes with the right to deliver: by introduction token at first, then by their own.
    pub grants: Vec<DeliveryGrant>,
    /// The invitation that a request of ours answers (or that theirs answered).
    pub invitation: Option<Handle>,
    /// An introduction that must go out as soon as a bundle is there.
    pub introduction_due: bool,
    /// When each of their devices made the newest introduction that was taken, by its clock: by device, at most
    /// [`DEVICES_PER_USER_MAX`].
    pub introduced: Vec<(DeviceId, Timestamp)>,
    /// A device that came with a list without predecessor, and has to be answered with the one known.
    pub reset_by: Option<DeviceId>,
    /// A link of a group by which they ask to be let in, while they are a contact already.
    pub asks_by: Option<Handle>,
    /// A link of a group of theirs by which they have to be asked to let the user in, while they are a contact already.
    pub join_by: Option<Handle>,
    /// Why our request can't reach them.
    pub refused: Option<Denial>,
    /// When the contact was added here.
    pub added: Timestamp,
}

/// How far an acquaintance has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContactState {
    /// We asked.
    Requesting,
    /// They asked; waits for the user.
    Requested,
    /// They asked; the user declined, and they are not told.
    Declined,
    /// Both want to talk.
    Accepted,
    /// They are in a group with the user, and no more: not among the contacts.
    Member,
    /// The user wants nothing from them.
    Blocked(Block),
}

/// What is known of a contact that is blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// What they were before.
    pub was: BlockedFrom,
    /// When they were blocked: what came later is not shown.
    pub since: Timestamp,
}

/// Delivery tokens that a home relay must refuse: all whose path begins so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Which relay.
    pub relay: RelayId,
    /// The handles of the first steps: 1 to [`undertone_protocol::limits::TOKEN_STEPS_MAX`].
    pub path: Vec<Handle>,
    /// Whether the relay said that it is done.
    pub confirmed: bool,
}

/// What is known of a contact's device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerDevice {
    /// The device.
    pub device: DeviceId,
    /// Its user.
    pub user: UserId,
    /// Its newest bundle known.
    pub bundle: Bundle,
    /// A one-time prekey that came with it and was not used yet.
    pub prekey: Option<CurveKey>,
    /// When the bundle was fetched.
    pub fetched: Timestamp,
}

/// An invitation of this device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredInvitation {
    /// Its name: the first handle of its tokens.
    pub handle: Handle,
    /// How many users may answer it.
    pub uses_max: u32,
    /// Who answered it.
    pub used_by: Vec<UserId>,
    /// It ends then.
    pub not_after: Timestamp,
    /// The home relays that still have to be told.
    pub unconfirmed: Vec<RelayId>,
}

impl ContactState {
    /// Whether the user blocked them.
    pub const fn is_blocked(self) -> bool {
        matches!(self, Self::Blocked(_))
    }
}

impl From<BlockedFrom> for ContactState {
    fn from(was: BlockedFrom) -> Self {
        match was {
            BlockedFrom::Requesting => Self::Requesting,
            BlockedFrom::Requested => Self::Requested,
            BlockedFrom::Declined => Self::Declined,
            BlockedFrom::Accepted => Self::Accepted,
        }
    }
}

impl Contact {
    /// Somebody of whom nothing is known yet, with the handle of the token that they get.
    pub const fn new(user: UserId, name: Name, state: ContactState, token: Handle, added: Timestamp) -> Self {
        Self {
            user,
            name,
            state,
            verified: false,
            identity_warning: false,
            reinstalled: false,
            token,
            former_tokens: Vec::new(),
            device_list: None,
            bundles: Vec::new(),
            grants: Vec::new(),
            invitation: None,
            introduction_due: false,
            introduced: Vec::new(),
            reset_by: None,
            asks_by: None,
            join_by: None,
            refused: None,
            added,
        }
    }

    /// The name as contacts are ordered by and told apart by: letter case aside.
    pub fn name_folded(&self) -> String {
        self.name.as_str().to_lowercase()
    }

    /// Devices whose mailboxes this one may deliver to.
    pub fn reached(&self) -> BTreeSet<DeviceId> {
        self.grants.iter().map(|grant| grant.device).collect()
    }

    /// Whether an introduction of this device was taken.
    pub fn has_introduced(&self, device: &DeviceId) -> bool {
        self.introduced.iter().any(|(by, _)| by == device)
    }

    /// When a device made the newest introduction that was taken, by its clock; zero when none was.
    pub fn introduced_by(&self, device: &DeviceId) -> Timestamp {
        let by = self.introduced.iter().find(|(by, _)| by == device);
        by.map_or(Timestamp::ZERO, |(_, at)| *at)
    }

    /// Notes an introduction that was taken. Beyond [`DEVICES_PER_USER_MAX`] devices, the one whose
    /// introduction is the oldest is forgotten.
    pub fn note_introduction(&mut self, device: DeviceId, at: Timestamp) {
        self.introduced.retain(|(by, _)| *by != device);
        if self.introduced.len() >= DEVICES_PER_USER_MAX {
            let oldest = self.introduced.iter().min_by_key(|(by, at)| (*at, *by)).copied();
            self.introduced.retain(|introduced| Some(*introduced) != oldest);
        }
        self.introduced.push((device, at));
        self.introduced.sort_unstable();
    }
}

#[cfg(test)]
mod tests {
    use undertone_protocol::ids::Secret;
    use undertone_protocol::keys::IdentityKey;

    use super::*;

    fn device(n: u8) -> DeviceId {
        DeviceId::new([n; 32])
    }

    fn contact() -> Contact {
        let user = IdentityKey::from_seed(&Secret::new([1; 32])).user();
        let (name, token) = (Name::new("Ada").unwrap(), Handle::new([1; 8]));
        Contact::new(user, name, ContactState::Accepted, token, Timestamp::ZERO)
    }

    #[test]
    fn introductions_are_noted_by_device_and_bounded() {
        let mut contact = contact();
        let devices = u8::try_from(DEVICES_PER_USER_MAX).unwrap();
        for n in (0..devices).rev() {
            contact.note_introduction(device(n), Timestamp::from_ms(100 - u64::from(n)));
        }
        contact.note_introduction(device(3), Timestamp::from_ms(500));
        assert!(contact.introduced.is_sorted());
        assert_eq!(contact.introduced.len(), DEVICES_PER_USER_MAX);
        assert_eq!(contact.introduced_by(&device(3)), Timestamp::from_ms(500));
        // The oldest makes room.
        contact.note_introduction(device(200), Timestamp::from_ms(1));
        assert_eq!(contact.introduced.len(), DEVICES_PER_USER_MAX);
        assert_eq!(contact.introduced_by(&device(devices - 1)), Timestamp::ZERO);
        assert_eq!(contact.introduced_by(&device(200)), Timestamp::from_ms(1));
    }
}
