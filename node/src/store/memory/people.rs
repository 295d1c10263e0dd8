use undertone_protocol::ids::{DeviceId, EntryId, Handle, RelayId, UserId};
use undertone_protocol::time::Timestamp;

use super::table::all;
use super::tables::{Change, Tables};
use crate::store::{Contact, PeerDevice, PeopleTx, Revocation, StoreError, StoredInvitation};

impl PeopleTx for Tables {
    fn contact(&self, user: &UserId) -> Result<Option<Contact>, StoreError> {
        Ok(self.contacts.get(user).cloned())
    }

    fn contacts(&self) -> Result<Vec<Contact>, StoreError> {
        let mut contacts = all(self.contacts.iter());
        contacts.sort_by_cached_key(|contact| (contact.name_folded(), contact.user));
        Ok(contacts)
    }

    fn contacts_called(&self, folded: &str) -> Result<Vec<UserId>, StoreError> {
        let called = self.contacts.iter().filter(|(_, contact)| contact.name_folded() == folded);
        Ok(called.map(|(user, _)| *user).collect())
    }

    fn put_contact(&mut self, contact: &Contact) -> Result<(), StoreError> {
        self.contacts.put(contact.user, contact.clone());
        Ok(())
    }

    fn delete_contact(&mut self, user: &UserId) -> Result<(), StoreError> {
        self.contacts.remove(user);
        Ok(())
    }

    fn peer_device(&self, device: &DeviceId) -> Result<Option<PeerDevice>, StoreError> {
        Ok(self.peer_devices.get(device).cloned())
    }

    fn peer_fetched(&self, device: &DeviceId) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.peer_devices.get(device).map(|known| known.fetched))
    }

    fn put_peer_device(&mut self, device: &PeerDevice) -> Result<(), StoreError> {
        self.peer_devices.put(device.device, device.clone());
        Ok(())
    }

    fn delete_peer_device(&mut self, device: &DeviceId) -> Result<(), StoreError> {
        self.peer_devices.remove(device);
        Ok(())
    }

    fn invitation(&self, handle: &Handle) -> Result<Option<StoredInvitation>, StoreError> {
        Ok(self.invitations.get(handle).cloned())
    }

    fn invitations(&self) -> Result<Vec<StoredInvitation>, StoreError> {
        Ok(all(self.invitations.iter()))
    }

    fn put_invitation(&mut self, invitation: &StoredInvitation) -> Result<(), StoreError> {
        self.invitations.put(invitation.handle, invitation.clone());
        Ok(())
    }

    fn delete_invitation(&mut self, handle: &Handle) -> Result<(), StoreError> {
        self.invitations.remove(handle);
        Ok(())
    }

    fn revocations_due(&self, relay: &RelayId, limit: usize) -> Result<Vec<Vec<Handle>>, StoreError> {
        let due = self.revocations_of(relay).filter(|(_, revocation)| !revocation.confirmed);
        Ok(due.map(|((_, path), _)| path.clone()).take(limit).collect())
    }

    fn is_revoked(&self, relay: &RelayId, path: &[Handle]) -> Result<bool, StoreError> {
        Ok(self.revocations.contains(&(*relay, path.to_vec())))
    }

    fn put_revocation(&mut self, revocation: &Revocation) -> Result<(), StoreError> {
        self.revocations.put((revocation.relay, revocation.path.clone()), revocation.clone());
        Ok(())
    }

    fn reopen_revocations(&mut self, relay: &RelayId) -> Result<(), StoreError> {
        let all: Vec<Revocation> = self.revocations_of(relay).map(|(_, one)| one.clone()).collect();
        for revocation in all {
            self.put_revocation(&Revocation { confirmed: false, ..revocation })?;
        }
        Ok(())
    }

    fn delete_revocations(&mut self, relay: &RelayId) -> Result<(), StoreError> {
        self.revocations.forget(|(of, _), _| of == relay);
        Ok(())
    }

    fn put_account_change(
        &mut self,
        user: &UserId,
        entry: &EntryId,
        replaces: &[EntryId],
    ) -> Result<(), StoreError> {
        self.change_account_change((*user, *entry), |change| change.is_put = true);
        for replaced in replaces {
            self.change_account_change((*user, *replaced), |change| change.is_replaced = true);
        }
        Ok(())
    }

    fn account_changes(&self, user: &UserId) -> Result<Vec<EntryId>, StoreError> {
        let user = *user;
        let changes = self.account_changes.from((user, EntryId::new([0; 32])), move |(of, _)| *of == user);
        let standing = changes.filter(|(_, change)| change.is_put && !change.is_replaced);
        Ok(standing.map(|((_, entry), _)| *entry).collect())
    }
}

impl Tables {
    /// By path.
    fn revocations_of(
        &self,
        relay: &RelayId,
    ) -> impl Iterator<Item = (&(RelayId, Vec<Handle>), &Revocation)> {
        let relay = *relay;
        self.revocations.from((relay, Vec::new()), move |(of, _)| *of == relay)
    }

    fn change_account_change(&mut self, key: (UserId, EntryId), change: impl FnOnce(&mut Change)) {
        let mut changed = self.account_changes.get(&key).copied().unwrap_or_default();
        change(&mut changed);
        self.account_changes.put(key, changed);
    }
}
