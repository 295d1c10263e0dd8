//! What a node keeps, as its engine sees it. How a store lays it out is the store's affair.

use std::time::Duration;

use bytes::Bytes;
use undertone_protocol::crypto::{HeaderKey, ReceiverKeyState, SenderKeyState, SessionState};
use undertone_protocol::entry::SignedEntry;
use undertone_protocol::ids::{
    ConversationId, CurveKey, DeviceId, EntryId, Generation, Handle, Locator, MailboxId, PayloadHash,
    RelayId, Secret, SessionId, UserId,
};
use undertone_protocol::keys::{
    Bundle, BundleAccess, Certificate, DeliveryGrant, DeviceList, Name, RelayAddress,
};
use undertone_protocol::log::{Frontier, SeqRange};
use undertone_protocol::receipts::{Denial, Tick};
use undertone_protocol::time::Timestamp;

/// The account that this store belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// What the user calls themselves.
    pub name: Name,
    /// Of the identity key, on the primary device only.
    pub identity_seed: Option<Secret>,
    /// Of the device key.
    pub device_seed: Secret,
    /// Of the X-Wing key.
    pub xwing_seed: Secret,
    /// The published fallback prekey.
    pub fallback_prekey: CurveKey,
    /// When these two were made.
    pub keys_made: Timestamp,
    /// The X-Wing key before; the Olm account has the fallback prekey that went with it. `None` when both are gone.
    pub superseded: Option<SupersededKey>,
    /// Opens this device's bundle.
    pub bundle_key: Secret,
    /// The key of this device's code, while it waits to be added by another device of its user: until then
    /// identity and list are placeholders.
    pub linking: Option<Secret>,
    /// This device.
    pub certificate: Certificate,
    /// All the user's devices.
    pub device_list: DeviceList,
}

/// An X-Wing key that another took the place of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupersededKey {
    /// Its seed.
    pub xwing_seed: Secret,
    /// When it was made. It was superseded when the present one was made.
    pub made: Timestamp,
}

/// A relay that this device has, or wants, a mailbox with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeRelay {
    /// Where it is.
    pub address: RelayAddress,
    /// Lower is preferred.
    pub priority: u32,
    /// This device's mailbox there.
    pub mailbox: MailboxId,
    /// The mailbox's secret, K.
    pub secret: Secret,
    /// The epoch of the secret.
    pub epoch: u32,
    /// The relay's registration that the cursors belong to; `None` before the first.
    pub generation: Option<Generation>,
    /// Where this device's bundle lies there.
    pub locator: Locator,
    /// Whether the relay confirmed the present bundle.
    pub bundle_stored: bool,
    /// The number of the newest batch of one-time prekeys that was made; 0: none.
    pub prekey_batch: u64,
    /// That batch, sealed, while the relay has not confirmed it.
    pub prekeys_unconfirmed: Vec<Bytes>,
    /// What was received and committed, for classes 0 and 1.
    pub received: [Received; 2],
}

/// What was received of one class of a mailbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Received {
    /// Everything through this.
    pub through: u64,
    /// And these beyond it, ascending, apart.
    pub ranges: Vec<SeqRange>,
}

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
    /// Their identity was seen in two hands: shown until verified again.
    pub identity_warning: bool,
    /// They started anew: shown until verified again.
    pub reinstalled: bool,
    /// A device that came with a list without predecessor, and is to be answered with the one known.
    pub reset_by: Option<DeviceId>,
    /// The handle of the token step that was issued to them.
    pub token: Handle,
    /// Handles of earlier ones, to be taken back when they were introduced to the present one.
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
    /// When each of their devices made the newest introduction that was taken, by its clock; by device.
    pub introduced: Vec<(DeviceId, Timestamp)>,
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
    /// The user wants nothing from them.
    Blocked(Block),
}

/// What is known of a contact that is blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// What they were before.
    pub was: BeforeBlock,
    /// When they were blocked: what came later is not shown.
    pub since: Timestamp,
}

/// The states that a contact can be blocked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeforeBlock {
    /// [`ContactState::Requesting`].
    Requesting,
    /// [`ContactState::Requested`].
    Requested,
    /// [`ContactState::Declined`].
    Declined,
    /// [`ContactState::Accepted`].
    Accepted,
}

/// A delivery token that a home relay must refuse, with all that extend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Which relay.
    pub relay: RelayId,
    /// The handles of the token's first steps, 1 to 4.
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

/// One Olm session with a peer's device. The one with the largest `used` is sent on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OlmSession {
    /// With whom.
    pub device: DeviceId,
    /// The session's id.
    pub id: [u8; 32],
    /// The ratchet.
    pub state: SessionState,
    /// When it last received something, or was made.
    pub used: Timestamp,
}

/// The outbound sender key (Megolm session) of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderKey {
    /// Which conversation.
    pub conversation: ConversationId,
    /// The ratchet.
    pub state: SenderKeyState,
    /// H.
    pub header_key: HeaderKey,
    /// Who has the key: the recipients of what is sealed under it.
    pub holders: Vec<DeviceId>,
    /// H of the copies for the user's own other devices.
    pub own_header_key: HeaderKey,
    /// Which of these have the key.
    pub own_holders: Vec<DeviceId>,
    /// Messages sealed under it.
    pub messages: u64,
    /// Whether an entry of somebody else came since it was made.
    pub turned: bool,
}

/// An inbound sender key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverKey {
    /// The Megolm session.
    pub session: SessionId,
    /// Of which conversation.
    pub conversation: ConversationId,
    /// Whose.
    pub device: DeviceId,
    /// The ratchet.
    pub state: ReceiverKeyState,
    /// H.
    pub header_key: HeaderKey,
    /// Messages below this were opened in order, and their keys forgotten.
    pub next_index: u32,
    /// Tags of messages below this are, or were, expected.
    pub tags_end: u32,
    /// When the key came.
    pub received: Timestamp,
}

/// An entry in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// The entry.
    pub entry: SignedEntry,
    /// Its effective time, for the order; it can move while parents are missing.
    pub effective: Timestamp,
    /// When it came to this device, or was made here.
    pub received: Timestamp,
}

/// Where a device's part of a conversation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The last number that counts; 0: none does.
    pub through: u64,
    /// The entry with that number, where it is known.
    pub head: Option<EntryId>,
    /// Why.
    pub why: CutReason,
}

/// Why a device's part of a conversation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutReason {
    /// Its user revoked it.
    Revoked,
    /// It signed two entries with one number.
    Forked,
}

/// How far a message of this device has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The message.
    pub entry: EntryId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// Its number in this device's chain.
    pub seq: u64,
    /// Whether it is sealed and in the outbox (or beyond); else it waits for a key or an acceptance.
    pub sealed: bool,
    /// How far it has come; never goes back.
    pub tick: Tick,
    /// Why it does not get further.
    pub failed: Option<Failure>,
}

/// Why a message does not get further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No device of the recipient acknowledged it in time.
    Expired,
    /// A relay refused it.
    Denied(Denial),
    /// A relay takes nothing of this size.
    TooLarge {
        /// What it takes.
        bytes_max: u32,
    },
}

/// Something sealed that must reach devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxItem {
    /// Ascending: lower goes out first. 0 when it is to be put; the store numbers it.
    pub id: u64,
    /// Items of one group go out in one publish.
    pub group: u64,
    /// What it is.
    pub purpose: Purpose,
    /// 0 or 1.
    pub class: u8,
    /// The sealed bytes; publishing again repeats them.
    pub payload: Bytes,
    /// Whom it is for.
    pub recipients: Vec<OutboxRecipient>,
    /// When it was sealed.
    pub created: Timestamp,
}

/// What an outbox item is, which decides how long it stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An entry: until each device acknowledged it.
    Entry(EntryId),
    /// A key package that was made for this entry, and that later entries need too: until custody, and
    /// until each device acknowledged the entry.
    Key(EntryId),
    /// An acknowledgement entry of this conversation: until custody.
    Acknowledgement(ConversationId),
    /// A request or an accept to this user, with the entry inside, if one is: until custody.
    Introduction(UserId),
    /// A retry receipt to this user: until custody.
    Retry(UserId),
    /// A copy of an entry for the user's own other devices: until custody. One that is lost after that is sent as history.
    OwnEntry(EntryId),
    /// A key package that goes with such copies: like the copies.
    OwnKey(EntryId),
    /// An acknowledgement of this conversation for the user's own other devices: until custody.
    OwnAcknowledgement(ConversationId),
    /// Entries of this conversation that another device seems to lack: until custody.
    History(ConversationId),
    /// What makes a new device one of the user's: until custody.
    Link(DeviceId),
    /// A device list, back to its user who started anew: until custody.
    DeviceList(UserId),
}

/// One recipient of an outbox item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRecipient {
    /// The device.
    pub device: DeviceId,
    /// Its user.
    pub user: UserId,
    /// How far the item has come on its way there.
    pub state: OutboxState,
}

/// How far an outbox item has come on its way to one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutboxState {
    /// It must be published.
    Pending {
        /// How often it was tried.
        attempts: u32,
        /// Not before this.
        not_before: Timestamp,
    },
    /// A relay signed for it.
    Custody {
        /// Which relay.
        relay: RelayId,
        /// It holds the item until then.
        held_until: Timestamp,
    },
    /// The device acknowledged it.
    Acknowledged,
    /// It can't be delivered to this device.
    Failed,
}

/// What this device says about a conversation in its acknowledgement entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnReceipts {
    /// The count of the last one made.
    pub counter: u64,
    /// What the user has read.
    pub read: Frontier,
    /// Whether the other user's devices have to be told something new.
    pub due: bool,
    /// Whether the user's own other devices have to be.
    pub own_due: bool,
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

/// A payload that can't be opened yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// The payload's hash.
    pub hash: PayloadHash,
    /// The payload.
    pub payload: Bytes,
    /// When it came.
    pub received: Timestamp,
}

/// How long the hash of a handled payload is remembered: longer than a relay holds the payload.
pub const SEEN_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

impl ContactState {
    /// Whether the user blocked them.
    pub const fn is_blocked(self) -> bool {
        matches!(self, Self::Blocked(_))
    }
}

impl Contact {
    /// The name as contacts are ordered by and told apart by: letter case aside.
    pub fn name_folded(&self) -> String {
        self.name.as_str().to_lowercase()
    }
}

impl OutboxItem {
    /// Whether it must be published to some recipient.
    pub fn is_pending(&self) -> bool {
        self.recipients.iter().any(|recipient| matches!(recipient.state, OutboxState::Pending { .. }))
    }

    /// When the latest custody ends for a user of whom no device acknowledged; `None` when there is none.
    pub fn custody_ends(&self) -> Option<Timestamp> {
        let has_acknowledged = |user: &UserId| {
            self.recipients
                .iter()
                .any(|other| other.user == *user && other.state == OutboxState::Acknowledged)
        };
        let waiting = self.recipients.iter().filter(|recipient| !has_acknowledged(&recipient.user));
        waiting
            .filter_map(|recipient| match recipient.state {
                OutboxState::Custody { held_until, .. } => Some(held_until),
                _ => None,
            })
            .max()
    }
}
