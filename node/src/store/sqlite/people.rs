use rusqlite::{Connection, Row, params};
use undertone_protocol::entry::BlockedFrom;
use undertone_protocol::ids::{DeviceId, EntryId, Handle, RelayId, UserId};
use undertone_protocol::keys::{Bundle, BundleAccess, DeliveryGrant, DeviceList};
use undertone_protocol::time::Timestamp;

use super::account::read_name;
use super::columns::{
    all, damaged, denial, denial_from, get_id, get_id_opt, get_joined, get_moments, get_ms, get_packed,
    get_signed, join, join_moments, ms, one, pack, run, signed,
};
use super::{SqliteTx, changes, revocations};
use crate::store::{
    Block, Contact, ContactState, PeerDevice, PeopleTx, Revocation, StoreError, StoredInvitation,
};

const CONTACT: &str = "contact";
const PEER_DEVICE: &str = "device of a contact";
const INVITATION: &str = "invitation";

const SELECT_CONTACT: &str = "SELECT user, name, state, verified, identity_warning, token, device_list, bundles, \
     grants, invitation, introduction_due, introduced, refused, added, blocked_since, \
     reinstalled, former_tokens, reset_by, asks_by, join_by FROM contacts";

impl PeopleTx for SqliteTx<'_> {
    fn contact(&self, user: &UserId) -> Result<Option<Contact>, StoreError> {
        contact(self.connection, user)
    }

    fn contacts(&self) -> Result<Vec<Contact>, StoreError> {
        contacts(self.connection)
    }

    fn contacts_called(&self, folded: &str) -> Result<Vec<UserId>, StoreError> {
        let sql = "SELECT user FROM contacts WHERE name_folded = ? ORDER BY user";
        all(self.connection, sql, [folded], |row| get_id(row, 0, CONTACT))
    }

    fn put_contact(&mut self, contact: &Contact) -> Result<(), StoreError> {
        put_contact(self.connection, contact)
    }

    fn delete_contact(&mut self, user: &UserId) -> Result<(), StoreError> {
        run(self.connection, "DELETE FROM contacts WHERE user = ?", [user.as_bytes()])?;
        Ok(())
    }

    fn peer_device(&self, device: &DeviceId) -> Result<Option<PeerDevice>, StoreError> {
        peer_device(self.connection, device)
    }

    fn peer_fetched(&self, device: &DeviceId) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT fetched FROM peer_devices WHERE device = ?";
        one(self.connection, sql, [device.as_bytes()], |row| get_ms(row, 0))
    }

    fn put_peer_device(&mut self, device: &PeerDevice) -> Result<(), StoreError> {
        put_peer_device(self.connection, device)
    }

    fn delete_peer_device(&mut self, device: &DeviceId) -> Result<(), StoreError> {
        delete_peer_device(self.connection, device)
    }

    fn invitation(&self, handle: &Handle) -> Result<Option<StoredInvitation>, StoreError> {
        invitation(self.connection, handle)
    }

    fn invitations(&self) -> Result<Vec<StoredInvitation>, StoreError> {
        invitations(self.connection)
    }

    fn put_invitation(&mut self, invitation: &StoredInvitation) -> Result<(), StoreError> {
        put_invitation(self.connection, invitation)
    }

    fn delete_invitation(&mut self, handle: &Handle) -> Result<(), StoreError> {
        delete_invitation(self.connection, handle)
    }

    fn revocations_due(&self, relay: &RelayId, limit: usize) -> Result<Vec<Vec<Handle>>, StoreError> {
        revocations::due(self.connection, relay, limit)
    }

    fn is_revoked(&self, relay: &RelayId, path: &[Handle]) -> Result<bool, StoreError> {
        revocations::is_there(self.connection, relay, path)
    }

    fn put_revocation(&mut self, revocation: &Revocation) -> Result<(), StoreError> {
        revocations::put(self.connection, revocation)
    }

    fn reopen_revocations(&mut self, relay: &RelayId) -> Result<(), StoreError> {
        revocations::reopen(self.connection, relay)
    }

    fn delete_revocations(&mut self, relay: &RelayId) -> Result<(), StoreError> {
        revocations::delete(self.connection, relay)
    }

    fn put_account_change(
        &mut self,
        user: &UserId,
        entry: &EntryId,
        replaces: &[EntryId],
    ) -> Result<(), StoreError> {
        changes::put(self.connection, user, entry, replaces)
    }

    fn account_changes(&self, user: &UserId) -> Result<Vec<EntryId>, StoreError> {
        changes::standing(self.connection, user)
    }
}

fn contact(connection: &Connection, user: &UserId) -> Result<Option<Contact>, StoreError> {
    one(connection, &format!("{SELECT_CONTACT} WHERE user = ?"), [user.as_bytes()], read_contact)
}

fn contacts(connection: &Connection) -> Result<Vec<Contact>, StoreError> {
    all(connection, &format!("{SELECT_CONTACT} ORDER BY name_folded, user"), [], read_contact)
}

fn put_contact(connection: &Connection, contact: &Contact) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO contacts (user, name, name_folded, state, verified, identity_warning, \
               token, device_list, bundles, grants, invitation, introduction_due, introduced, refused, added, \
               blocked_since, reinstalled, former_tokens, reset_by, asks_by, join_by) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    run(
        connection,
        sql,
        params![
            contact.user.as_bytes(),
            contact.name.as_str(),
            contact.name_folded(),
            state_number(contact.state),
            contact.verified,
            contact.identity_warning,
            contact.token.as_bytes(),
            contact.device_list.as_ref().map(|list| signed(&list.signed)),
            *pack(contact.bundles.iter().map(BundleAccess::to_wire)),
            *pack(contact.grants.iter().map(DeliveryGrant::to_wire)),
            contact.invitation.as_ref().map(|handle| handle.as_bytes().as_slice()),
            contact.introduction_due,
            join_moments(&contact.introduced),
            contact.refused.map(denial),
            ms(contact.added),
            blocked_since(contact.state).map(ms),
            contact.reinstalled,
            join(contact.former_tokens.iter().map(Handle::as_bytes)),
            contact.reset_by.as_ref().map(|device| device.as_bytes().as_slice()),
            contact.asks_by.as_ref().map(|handle| handle.as_bytes().as_slice()),
            contact.join_by.as_ref().map(|handle| handle.as_bytes().as_slice()),
        ],
    )?;
    Ok(())
}

fn read_contact(row: &Row<'_>) -> Result<Contact, StoreError> {
    let device_list = match row.get_ref(6)? {
        rusqlite::types::ValueRef::Null => None,
        _ => Some(
            DeviceList::from_stored(get_signed(row, 6, CONTACT)?).map_err(|error| damaged(CONTACT, error))?,
        ),
    };
    let refused: Option<i64> = row.get(12)?;
    Ok(Contact {
        user: get_id(row, 0, CONTACT)?,
        name: read_name(row, 1, CONTACT)?,
        state: read_state(row)?,
        verified: row.get(3)?,
        identity_warning: row.get(4)?,
        token: get_id(row, 5, CONTACT)?,
        device_list,
        bundles: get_packed(row, 7, CONTACT, BundleAccess::from_wire)?,
        grants: get_packed(row, 8, CONTACT, DeliveryGrant::from_wire)?,
        invitation: get_id_opt(row, 9, CONTACT)?,
        introduction_due: row.get(10)?,
        introduced: get_moments(row, 11, CONTACT)?,
        refused: refused.map(|number| denial_from(number, CONTACT)).transpose()?,
        added: get_ms(row, 13)?,
        reinstalled: row.get(15)?,
        former_tokens: get_joined::<8, _>(row, 16, CONTACT)?,
        reset_by: get_id_opt(row, 17, CONTACT)?,
        asks_by: get_id_opt(row, 18, CONTACT)?,
        join_by: get_id_opt(row, 19, CONTACT)?,
    })
}

/// A blocked contact has the number of what it was before, and a time.
const fn state_number(state: ContactState) -> i64 {
    match state {
        ContactState::Requesting | ContactState::Blocked(Block { was: BlockedFrom::Requesting, .. }) => 1,
        ContactState::Requested | ContactState::Blocked(Block { was: BlockedFrom::Requested, .. }) => 2,
        ContactState::Accepted | ContactState::Blocked(Block { was: BlockedFrom::Accepted, .. }) => 3,
        ContactState::Declined | ContactState::Blocked(Block { was: BlockedFrom::Declined, .. }) => 4,
        ContactState::Member => 5,
    }
}

const fn blocked_since(state: ContactState) -> Option<Timestamp> {
    match state {
        ContactState::Blocked(block) => Some(block.since),
        _ => None,
    }
}

fn read_state(row: &Row<'_>) -> Result<ContactState, StoreError> {
    let was = match row.get(2)? {
        1 => BlockedFrom::Requesting,
        2 => BlockedFrom::Requested,
        3 => BlockedFrom::Accepted,
        4 => BlockedFrom::Declined,
        5 => return Ok(ContactState::Member),
        number => return Err(damaged(CONTACT, format!("unknown state {number}"))),
    };
    let since: Option<i64> = row.get(14)?;
    if since.is_none() {
        return Ok(was.into());
    }
    Ok(ContactState::Blocked(Block { was, since: get_ms(row, 14)? }))
}

const SELECT_DEVICE: &str = "SELECT device, user, bundle, prekey, fetched FROM peer_devices";

fn peer_device(connection: &Connection, device: &DeviceId) -> Result<Option<PeerDevice>, StoreError> {
    one(connection, &format!("{SELECT_DEVICE} WHERE device = ?"), [device.as_bytes()], read_device)
}

fn put_peer_device(connection: &Connection, device: &PeerDevice) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO peer_devices (device, user, bundle, prekey, fetched) \
               VALUES (?, ?, ?, ?, ?)";
    run(
        connection,
        sql,
        params![
            device.device.as_bytes(),
            device.user.as_bytes(),
            signed(&device.bundle.signed),
            device.prekey.as_ref().map(|key| key.as_bytes().as_slice()),
            ms(device.fetched),
        ],
    )?;
    Ok(())
}

fn delete_peer_device(connection: &Connection, device: &DeviceId) -> Result<(), StoreError> {
    run(connection, "DELETE FROM peer_devices WHERE device = ?", [device.as_bytes()])?;
    Ok(())
}

fn read_device(row: &Row<'_>) -> Result<PeerDevice, StoreError> {
    let device = get_id(row, 0, PEER_DEVICE)?;
    let user = get_id(row, 1, PEER_DEVICE)?;
    let bundle = Bundle::from_stored(get_signed(row, 2, PEER_DEVICE)?, &user, &device);
    Ok(PeerDevice {
        device,
        user,
        bundle: bundle.map_err(|error| damaged(PEER_DEVICE, error))?,
        prekey: get_id_opt(row, 3, PEER_DEVICE)?,
        fetched: get_ms(row, 4)?,
    })
}

const SELECT_INVITATION: &str = "SELECT handle, uses_max, used_by, not_after, unconfirmed FROM invitations";

fn invitation(connection: &Connection, handle: &Handle) -> Result<Option<StoredInvitation>, StoreError> {
    let sql = format!("{SELECT_INVITATION} WHERE handle = ?");
    one(connection, &sql, [handle.as_bytes()], read_invitation)
}

fn invitations(connection: &Connection) -> Result<Vec<StoredInvitation>, StoreError> {
    all(connection, &format!("{SELECT_INVITATION} ORDER BY handle"), [], read_invitation)
}

fn put_invitation(connection: &Connection, invitation: &StoredInvitation) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO invitations (handle, uses_max, used_by, not_after, unconfirmed) \
               VALUES (?, ?, ?, ?, ?)";
    run(
        connection,
        sql,
        params![
            invitation.handle.as_bytes(),
            invitation.uses_max,
            join(invitation.used_by.iter().map(UserId::as_bytes)),
            ms(invitation.not_after),
            join(invitation.unconfirmed.iter().map(RelayId::as_bytes)),
        ],
    )?;
    Ok(())
}

fn delete_invitation(connection: &Connection, handle: &Handle) -> Result<(), StoreError> {
    run(connection, "DELETE FROM invitations WHERE handle = ?", [handle.as_bytes()])?;
    Ok(())
}

fn read_invitation(row: &Row<'_>) -> Result<StoredInvitation, StoreError> {
    Ok(StoredInvitation {
        handle: get_id(row, 0, INVITATION)?,
        uses_max: row.get(1)?,
        used_by: get_joined::<32, _>(row, 2, INVITATION)?,
        not_after: get_ms(row, 3)?,
        unconfirmed: get_joined::<32, _>(row, 4, INVITATION)?,
    })
}
