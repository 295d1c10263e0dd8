use undertone_protocol::crypto::AccountState;
use undertone_protocol::ids::{ConversationId, DeviceId, EntryId, Handle, RelayId, UserId};
use undertone_protocol::time::Timestamp;

use crate::store::{
    Account, Contact, Group, HomeRelay, Member, PeerDevice, Revocation, StoreError, StoredInvitation,
};

/// The account and its home relays.
pub trait AccountTx {
    /// The account; `None` before `init`.
    fn account(&self) -> Result<Option<Account>, StoreError>;
    /// Keeps the account.
    fn put_account(&mut self, account: &Account) -> Result<(), StoreError>;
    /// The Olm account; there from `init` on.
    fn olm_account(&self) -> Result<Option<AccountState>, StoreError>;
    /// Keeps the Olm account.
    fn put_olm_account(&mut self, state: &AccountState) -> Result<(), StoreError>;
    /// When the latest introduction of this device was issued; `None` before the first.
    fn introduced(&self) -> Result<Option<Timestamp>, StoreError>;
    /// Keeps that.
    fn put_introduced(&mut self, issued: Timestamp) -> Result<(), StoreError>;
    /// All home relays, by priority, then key.
    fn home_relays(&self) -> Result<Vec<HomeRelay>, StoreError>;
    /// One home relay.
    fn home_relay(&self, relay: &RelayId) -> Result<Option<HomeRelay>, StoreError>;
    /// Keeps a home relay.
    fn put_home_relay(&mut self, relay: &HomeRelay) -> Result<(), StoreError>;
    /// Forgets a home relay.
    fn delete_home_relay(&mut self, relay: &RelayId) -> Result<(), StoreError>;
}

/// Contacts, their devices, invitations, and what was revoked.
pub trait PeopleTx {
    /// A contact.
    fn contact(&self, user: &UserId) -> Result<Option<Contact>, StoreError>;
    /// All contacts, by name, letter case aside.
    fn contacts(&self) -> Result<Vec<Contact>, StoreError>;
    /// The contacts of a name, which is as [`Contact::name_folded`] gives it, by user.
    fn contacts_called(&self, folded: &str) -> Result<Vec<UserId>, StoreError>;
    /// Keeps a contact. Its name is unique, letter case aside: the engine sees to it.
    fn put_contact(&mut self, contact: &Contact) -> Result<(), StoreError>;
    /// Forgets a contact.
    fn delete_contact(&mut self, user: &UserId) -> Result<(), StoreError>;
    /// What is known of a device.
    fn peer_device(&self, device: &DeviceId) -> Result<Option<PeerDevice>, StoreError>;
    /// When the bundle of a device was fetched, if it is known.
    fn peer_fetched(&self, device: &DeviceId) -> Result<Option<Timestamp>, StoreError>;
    /// Keeps a device.
    fn put_peer_device(&mut self, device: &PeerDevice) -> Result<(), StoreError>;
    /// Forgets a device.
    fn delete_peer_device(&mut self, device: &DeviceId) -> Result<(), StoreError>;
    /// An invitation of this device.
    fn invitation(&self, handle: &Handle) -> Result<Option<StoredInvitation>, StoreError>;
    /// All invitations of this device, by handle.
    fn invitations(&self) -> Result<Vec<StoredInvitation>, StoreError>;
    /// Keeps an invitation.
    fn put_invitation(&mut self, invitation: &StoredInvitation) -> Result<(), StoreError>;
    /// Forgets an invitation.
    fn delete_invitation(&mut self, handle: &Handle) -> Result<(), StoreError>;

    /// Paths whose tokens a home relay still has to be told to refuse, by path, at most `limit`.
    fn revocations_due(&self, relay: &RelayId, limit: usize) -> Result<Vec<Vec<Handle>>, StoreError>;
    /// Whether tokens whose path begins exactly so were revoked at a home relay, confirmed or not.
    fn is_revoked(&self, relay: &RelayId, path: &[Handle]) -> Result<bool, StoreError>;
    /// Keeps a revocation.
    fn put_revocation(&mut self, revocation: &Revocation) -> Result<(), StoreError>;
    /// A relay forgot everything: it has to be told all its revocations again.
    fn reopen_revocations(&mut self, relay: &RelayId) -> Result<(), StoreError>;
    /// Forgets all revocations at a relay: the tokens are void by a new epoch.
    fn delete_revocations(&mut self, relay: &RelayId) -> Result<(), StoreError>;

    /// Remembers that `entry` set the account's record of `user` in the place of what the entries `replaces`
    /// set: each of these is replaced, whether it was put already or is put later. Said again, or in another
    /// order, it comes to the same.
    fn put_account_change(
        &mut self,
        user: &UserId,
        entry: &EntryId,
        replaces: &[EntryId],
    ) -> Result<(), StoreError>;
    /// The entries that set the account's record of a user and that no other one replaces, by id: more than
    /// one when devices set it at once.
    fn account_changes(&self, user: &UserId) -> Result<Vec<EntryId>, StoreError>;
}

/// Groups, and what is kept of their members.
pub trait GroupsTx {
    /// A group.
    fn group(&self, id: &ConversationId) -> Result<Option<Group>, StoreError>;
    /// All groups, by id.
    fn groups(&self) -> Result<Vec<Group>, StoreError>;
    /// Keeps a group.
    fn put_group(&mut self, group: &Group) -> Result<(), StoreError>;
    /// Forgets a group, with its document, its members, and what is kept of it beside its entries: frontiers, gaps, cuts and
    /// acknowledgements. Of entries there must be none: they stay.
    fn delete_group(&mut self, id: &ConversationId) -> Result<(), StoreError>;
    /// A group's membership document: as it was put, and then each part that was added; empty if it was not put.
    fn group_document(&self, id: &ConversationId) -> Result<Vec<Vec<u8>>, StoreError>;
    /// Keeps a group's membership document, in the place of an earlier one with all of its parts.
    fn put_group_document(&mut self, id: &ConversationId, document: &[u8]) -> Result<(), StoreError>;
    /// Keeps a part of a group's membership document behind what is there of it.
    fn add_to_group_document(&mut self, id: &ConversationId, part: &[u8]) -> Result<(), StoreError>;
    /// What is kept of a member.
    fn member(&self, group: &ConversationId, user: &UserId) -> Result<Option<Member>, StoreError>;
    /// What is kept of all members of a group, former ones included, by user.
    fn members(&self, group: &ConversationId) -> Result<Vec<Member>, StoreError>;
    /// The groups of which something is kept of a user, by id.
    fn groups_of(&self, user: &UserId) -> Result<Vec<ConversationId>, StoreError>;
    /// Keeps what is known of a member.
    fn put_member(&mut self, member: &Member) -> Result<(), StoreError>;
    /// Forgets a member.
    fn delete_member(&mut self, group: &ConversationId, user: &UserId) -> Result<(), StoreError>;
}
